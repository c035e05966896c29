package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	ingestDefinitions = 100
	ingestNames       = 20 // names of events; each is that of five definitions
	ingestUsers       = 1000
	ingestBatch       = 100
	batchClients      = 4
	fewClients        = 16
	manyClients       = 32
)

// ingest is how fast events are accepted.
type ingest struct {
	Definitions int `json:"definitions"`

	Few    intake `json:"single_16_clients"`
	Many   intake `json:"single_32_clients"`
	Steady intake `json:"single_steady"` // at half of what 32 clients reached
	Batch  intake `json:"batches_of_100"`
}

// intake is one way to send events. Each was answered after it was on disk.
type intake struct {
	Events    int     `json:"events"`
	Accepted  float64 `json:"accepted_per_s"`
	Evaluated float64 `json:"evaluated_per_s"` // until the last was evaluated
	P50       float64 `json:"request_p50_ms"`  // steadily: from when the event was due
	P99       float64 `json:"request_p99_ms"`
}

// ingestion is the measurement under way.
type ingestion struct {
	*bench
	*service
	next int // number of the next event

	mu     sync.Mutex
	sent   int             // events that were accepted
	unsure int             // events without an answer
	in     map[string]bool // who must have been enrolled in what
}

func measureIngest(ctx context.Context, b *bench) (_ result, err error) {
	s, err := b.serveAlone(ctx, "ingest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	i, err := b.ingestion(ctx, s)
	if err != nil {
		return nil, err
	}
	r := &ingest{Definitions: ingestDefinitions}
	if r.Few, err = i.fast(ctx, b.events, 1, fewClients); err != nil {
		return nil, err
	}
	if r.Many, err = i.fast(ctx, b.events, 1, manyClients); err != nil {
		return nil, err
	}
	rate := max(1, int(r.Many.Accepted/2))
	if r.Steady, err = i.steady(ctx, min(rate*b.seconds, maxCount), rate); err != nil {
		return nil, err
	}
	if r.Batch, err = i.fast(ctx, 4*b.events, ingestBatch, batchClients); err != nil {
		return nil, err
	}
	return r, i.verify(ctx)
}

// ingestion prepares a service, and sends it what is slow only at first.
func (b *bench) ingestion(ctx context.Context, s *service) (*ingestion, error) {
	i := &ingestion{bench: b, service: s, in: map[string]bool{}}
	if err := i.prepare(ctx); err != nil {
		return nil, err
	}
	_, err := i.fast(ctx, 200, 1, manyClients)
	return i, err
}

// prepare adds the users and publishes the definitions. Each event concerns five of them, and for one
// user in a hundred one of their conditions holds.
func (i *ingestion) prepare(ctx context.Context) error {
	if err := i.declare(ctx, map[string]string{"bench_plan": "string", "bench_state": "string"}); err != nil {
		return err
	}
	_, err := i.conn.Exec(ctx, `
		insert into users (id, properties, created_at, updated_at)
		select 'u' || n, jsonb_build_object('status', 'active', 'first_name', 'Ada', 'main_team', 'support',
			'bench_plan', case when n % 100 = 0 then 'plan' || n / 100 % 5 else 'none' end), now(), now()
		from generate_series(0, $1::int - 1) n`, ingestUsers)
	if err != nil {
		return fmt.Errorf("add users: %w", err)
	}
	for d := range ingestDefinitions {
		err := i.publish(ctx, object{
			"name": fmt.Sprintf("d%d", d),
			"triggers": []any{object{
				"event": eventName(d % ingestNames),
				"where": object{"property": "bench_plan", "op": "equals", "value": fmt.Sprintf("plan%d", d/ingestNames)},
			}},
			"steps": []any{object{"id": "mark", "action": "set_property", "with": object{"property": "bench_state", "value": "active"}}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func eventName(n int) string { return fmt.Sprintf("happened_%d", n) }

// request is some events that are sent together.
type request struct {
	events  []any
	enrolls []string // whom they enroll, and in what
	due     time.Time
	took    time.Duration
}

// add makes the next event.
func (i *ingestion) add(r *request) {
	k := i.next
	i.next++
	user, name := k%ingestUsers, (k+k/ingestUsers)%ingestNames
	if user%100 == 0 {
		r.enrolls = append(r.enrolls, fmt.Sprintf("d%d u%d", name+ingestNames*(user/100%5), user))
	}
	r.events = append(r.events, object{"id": fmt.Sprintf("e%d", k), "name": eventName(name), "user_id": fmt.Sprintf("u%d", user)})
}

func (i *ingestion) requests(events, together int) []*request {
	all := make([]*request, max(1, events/together))
	for n := range all {
		all[n] = &request{}
		for range together {
			i.add(all[n])
		}
	}
	return all
}

// accepted notes what has to be there after a request.
func (i *ingestion) accepted(r *request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sent += len(r.events)
	for _, who := range r.enrolls {
		i.in[who] = true
	}
}

// send sends a request and notes how long that took since it was due.
func (i *ingestion) send(ctx context.Context, r *request) error {
	var err error
	if len(r.events) == 1 {
		err = i.call(ctx, http.MethodPost, "/v1/events", r.events[0], nil)
	} else {
		err = i.batch(ctx, "/v1/events/batch", r.events)
	}
	r.took = time.Since(r.due)
	if err == nil {
		i.accepted(r)
	}
	return err
}

// fast sends events as fast as a number of clients can.
func (i *ingestion) fast(ctx context.Context, events, together, clients int) (intake, error) {
	i.say("ingest: %d events by %d clients, %d at a time", events, clients, together)
	return i.intake(ctx, i.requests(events, together), func(ctx context.Context, all []*request) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(clients)
		for _, r := range all {
			group.Go(func() error {
				r.due = time.Now()
				return i.send(ctx, r)
			})
		}
		return group.Wait()
	})
}

// steady sends single events at a rate.
func (i *ingestion) steady(ctx context.Context, events, rate int) (intake, error) {
	i.say("ingest: %d events at %d per second", events, rate)
	return i.intake(ctx, i.requests(events, 1), func(ctx context.Context, all []*request) error {
		return atRate(ctx, all, rate, i.send)
	})
}

// atRate sends requests when they are due, whether or not earlier ones were answered.
func atRate(ctx context.Context, all []*request, rate int, send func(context.Context, *request) error) error {
	group, ctx := errgroup.WithContext(ctx)
	pace(ctx, time.Now(), len(all), rate, func(n int, due time.Time) {
		r := all[n]
		r.due = due
		group.Go(func() error { return send(ctx, r) })
	})
	return group.Wait()
}

// intake sends requests and waits until all of their events are evaluated.
func (i *ingestion) intake(ctx context.Context, all []*request, send func(context.Context, []*request) error) (intake, error) {
	began := time.Now()
	if err := send(ctx, all); err != nil {
		return intake{}, err
	}
	accepted := time.Since(began)
	if err := i.evaluated(ctx); err != nil {
		return intake{}, err
	}
	evaluated := time.Since(began)
	events := len(all) * len(all[0].events)
	took := make([]float64, len(all))
	for n, r := range all {
		took[n] = milliseconds(r.took)
	}
	slices.Sort(took)
	return intake{
		Events: events, Accepted: float64(events) / accepted.Seconds(), Evaluated: float64(events) / evaluated.Seconds(),
		P50: quantile(took, 0.50), P99: quantile(took, 0.99),
	}, nil
}

// verify looks for exactly the events that were accepted, and the enrollments that they must have made. Those
// without an answer may be there or not.
func (i *ingestion) verify(ctx context.Context) error {
	n, err := i.count(ctx, `select count(*) from events where name like 'happened_%'`)
	if err != nil {
		return err
	}
	if n < i.sent || n > i.sent+i.unsure {
		return fmt.Errorf("%d events are there; %d were accepted, and %d had no answer", n, i.sent, i.unsure)
	}
	if err := i.ended(ctx); err != nil || i.unsure > 0 {
		return err
	}
	return i.expect(ctx, len(i.in), "enrollments have completed", `select count(*) from enrollments where status = 'completed'`)
}

func (i *ingest) enter(r *report) { r.Ingest = i }

func (i *ingest) write(w io.Writer) error {
	rows := [][]string{{"", "accepted/s", "evaluated/s", "request p50 ms", "p99 ms", "budget"}}
	add := func(label, budget string, of intake) {
		rows = append(rows, []string{label, digits(of.Accepted), digits(of.Evaluated), digits(of.P50), digits(of.P99), budget})
	}
	add("single events, 16 clients", "", i.Few)
	add("single events, 32 clients", "≥ 1,000/s", i.Many)
	add("single events at half of that rate, from when they are due", "p99 ≤ 100 ms", i.Steady)
	add("batches of 100, 4 clients", "", i.Batch)
	return table(w, fmt.Sprintf("ingest: %d live workflows, of which each event concerns five", i.Definitions), rows)
}
