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

	answers     sync.Mutex
	let, turned []float64 // how many milliseconds it took to accept, and to refuse
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
	slices.Sort(o.let)
	slices.Sort(o.turned)
	r.Accepted, r.Refused, r.Unanswered = len(o.let), len(o.turned), o.unsure
	r.AcceptedPer = float64(r.Accepted) / answered.Sub(began).Seconds()
	r.AcceptedP50, r.AcceptedP99 = quantile(o.let, 0.50), quantile(o.let, 0.99)
	r.RefusedP50, r.RefusedP99 = quantile(o.turned, 0.50), quantile(o.turned, 0.99)
	return ctx.Err()
}

// send sends an event and notes what became of it. Another answer than that it is on disk, or that it may be
// sent again, is an error.
func (o *overloading) send(ctx context.Context, r *request) error {
	sent := time.Now()
	status, said, err := o.ask(ctx, http.MethodPost, "/v1/events", r.events[0])
	took := milliseconds(time.Since(sent))
	o.answers.Lock()
	defer o.answers.Unlock()
	switch {
	case err != nil:
		o.unsure++
	case status == http.StatusAccepted:
		o.let = append(o.let, took)
		o.accepted(r)
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		o.turned = append(o.turned, took)
	default:
		return fmt.Errorf("POST /v1/events: %d: %s", status, said)
	}
	return nil
}

// watch reads the memory of the service until it is asked how much that was at most.
func (o *overloading) watch(ctx context.Context) (most func() int64) {
	ctx, cancel := context.WithCancel(ctx)
	read := make(chan int64, 1) // nobody may ask any more
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
