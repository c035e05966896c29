package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// overload is what becomes of events of which more are sent than can be accepted. The service is a process
// of its own; the client takes its share of the processor.
type overload struct {
	Capacity float64 `json:"capacity_per_s"` // accepted, by 32 clients
	Events   int     `json:"events"`         // sent
	Rate     int     `json:"rate_per_s"`     // sent

	Accepted    int     `json:"accepted"`
	AcceptedPer float64 `json:"accepted_per_s"`
	AcceptedP50 float64 `json:"accepted_p50_ms"` // from when it was sent
	AcceptedP99 float64 `json:"accepted_p99_ms"`
	Refused     int     `json:"refused"` // answered 503 or 429
	RefusedP50  float64 `json:"refused_p50_ms"`
	RefusedP99  float64 `json:"refused_p99_ms"`
	Unanswered  int     `json:"unanswered"`

	Before int64   `json:"memory_before_bytes"` // of the service
	Most   int64   `json:"memory_most_bytes"`
	Drain  float64 `json:"drain_s"` // from the last answer until all that was accepted was evaluated
}

// overloading is the measurement under way.
type overloading struct {
	*ingestion
	process *child
	result  *overload

	mu                sync.Mutex
	accepted, refused []float64 // how many milliseconds their answers took
}

func measureOverload(ctx context.Context, b *bench) (_ result, err error) {
	s, process, err := b.serveApart(ctx, "overload")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	i, err := b.ingestion(ctx, s)
	if err != nil {
		return nil, err
	}
	capacity, err := i.fast(ctx, b.events, 1, manyClients)
	if err != nil {
		return nil, err
	}
	o := &overloading{ingestion: i, process: process, result: &overload{Capacity: capacity.Accepted}}
	if err := o.flood(ctx); err != nil {
		return nil, err
	}
	return o.result, o.verify(ctx)
}

// flood sends too many events, and reads the memory meanwhile.
func (o *overloading) flood(ctx context.Context) (err error) {
	r := o.result
	r.Rate = o.over * int(r.Capacity)
	r.Events = min(r.Rate*o.seconds, maxCount)
	all := o.requests(r.Events, 1)
	if r.Before, err = o.process.memory(); err != nil {
		return err
	}
	o.say("overload: %d events at %d per second, where %.0f can be accepted", r.Events, r.Rate, r.Capacity)
	most := o.watch(ctx)
	began := time.Now()
	if err := atRate(ctx, all, r.Rate, o.send); err != nil {
		return err
	}
	answered := time.Now()
	if err := o.evaluated(ctx); err != nil {
		return err
	}
	r.Drain = time.Since(answered).Seconds()
	r.Most = most()
	slices.Sort(o.accepted)
	slices.Sort(o.refused)
	r.Accepted, r.Refused = len(o.accepted), len(o.refused)
	r.AcceptedPer = float64(r.Accepted) / answered.Sub(began).Seconds()
	r.AcceptedP50, r.AcceptedP99 = quantile(o.accepted, 0.50), quantile(o.accepted, 0.99)
	r.RefusedP50, r.RefusedP99 = quantile(o.refused, 0.50), quantile(o.refused, 0.99)
	return ctx.Err()
}

// send sends an event and notes what became of it. Another answer than that it is on disk, or that it may be
// sent again, is an error.
func (o *overloading) send(ctx context.Context, r *request) error {
	sent := time.Now()
	status, said, err := o.ask(ctx, http.MethodPost, "/v1/events", r.events[0])
	took := milliseconds(time.Since(sent))
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
		o.result.Unanswered++
	case status == http.StatusAccepted:
		o.accepted = append(o.accepted, took)
		o.ingestion.accepted(r)
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		o.refused = append(o.refused, took)
	default:
		return fmt.Errorf("POST /v1/events: %d: %s", status, said)
	}
	return nil
}

// watch reads the memory of the service until it is asked how much that was at most.
func (o *overloading) watch(ctx context.Context) (most func() int64) {
	ctx, cancel := context.WithCancel(ctx)
	read := make(chan int64)
	go func() {
		var most int64
		for pause(ctx, 100*time.Millisecond) {
			if now, err := o.process.memory(); err == nil {
				most = max(most, now)
			}
		}
		read <- most
	}()
	return func() int64 { cancel(); return <-read }
}

// verify looks for exactly the events that were accepted, but for those without an answer, which may be there
// or not, and for whom they enroll.
func (o *overloading) verify(ctx context.Context) error {
	if o.result.Unanswered == 0 {
		return o.ingestion.verify(ctx)
	}
	n, err := o.count(ctx, `select count(*) from events where name like 'happened_%'`)
	if err != nil {
		return err
	}
	if n < o.sent || n > o.sent+o.result.Unanswered {
		return fmt.Errorf("%d events are there; %d were accepted, and %d had no answer", n, o.sent, o.result.Unanswered)
	}
	return o.ended(ctx)
}

func (o *overload) enter(r *report) { r.Overload = o }

func (o *overload) write(w io.Writer) error {
	row := func(what string, n int, p50, p99 float64, budget string) []string {
		return []string{what, strconv.Itoa(n), digits(p50), digits(p99), budget}
	}
	err := table(w, fmt.Sprintf("overload: %d events a second, where %.0f can be accepted", o.Rate, o.Capacity), [][]string{
		{"", "events", "p50 ms", "p99 ms", ""},
		row("accepted", o.Accepted, o.AcceptedP50, o.AcceptedP99, ""),
		row("refused, to be sent again", o.Refused, o.RefusedP50, o.RefusedP99, "≤ 100 ms"),
	})
	fmt.Fprintf(w, "\n%.0f a second were accepted, %d had no answer; all were evaluated %.1f s after the last answer\n"+
		"memory of the service: %d MiB before, %d MiB at most\n", o.AcceptedPer, o.Unanswered, o.Drain, o.Before>>20, o.Most>>20)
	return err
}
