package triggers

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rollcall/postgres"
)

const (
	batchSize  = 200
	sweepEvery = 200 * time.Millisecond // how late an item is at most when its writer is another process
)

// Pump evaluates work items. Several pumps, in one or many processes, share the work.
type Pump struct {
	db      *postgres.DB
	starter *Starter
	log     *slog.Logger
	wake    chan struct{}
	metrics *Metrics
}

// NewPump returns a pump that hands what it enrolls to the starter.
func NewPump(db *postgres.DB, s *Starter, log *slog.Logger, m *Metrics) *Pump {
	return &Pump{db: db, starter: s, log: log, wake: make(chan struct{}, 1), metrics: m}
}

// Wake tells the pump that there is something to evaluate. It never blocks. Losing a call is
// harmless: the pump looks by itself all the time.
func (p *Pump) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run evaluates until the context ends.
func (p *Pump) Run(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := p.Once(ctx)
		if err != nil && ctx.Err() == nil {
			p.log.Error("evaluation", "error", err)
		}
		if n == 0 || err != nil {
			p.pause(ctx)
		}
	}
}

func (p *Pump) pause(ctx context.Context) {
	timer := time.NewTimer(sweepEvery/2 + rand.N(sweepEvery))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-p.wake:
	case <-timer.C:
	}
}

// Once evaluates what waits now, at most one batch, and hands the orders to the starter. It
// returns how many items it evaluated. An item that cannot be evaluated is put aside, and does not
// keep the others back.
func (p *Pump) Once(ctx context.Context) (items int, err error) {
	done, err := p.db.Evaluate(ctx, batchSize, judge)
	if err != nil && ctx.Err() == nil {
		done, err = p.oneByOne(ctx)
	}
	if done.Items > 0 {
		p.metrics.evaluated(done)
	}
	p.starter.Start(done.Orders)
	if done.Left+done.Woken > 0 {
		p.starter.Wake()
	}
	return done.Items, err
}

// oneByOne finds the item that spoils a batch by evaluating one after the other.
func (p *Pump) oneByOne(ctx context.Context) (postgres.Evaluation, error) {
	var all postgres.Evaluation
	for range batchSize {
		done, err := p.db.Evaluate(ctx, 1, judge)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if bad, ok := errors.AsType[*postgres.ItemError](err); ok {
			p.log.Error("evaluation of an item, will be tried again", "item", bad.ID, "error", bad.Err)
			if err := p.db.FailItem(ctx, bad.ID, bad.Err); err != nil {
				return all, err
			}
			continue
		}
		if err != nil || done.Items == 0 {
			return all, err
		}
		all.Items += done.Items
		all.Orders = append(all.Orders, done.Orders...)
		all.Left += done.Left
		all.Woken += done.Woken
		all.Oldest = done.Oldest
	}
	return all, nil
}

// Metrics are the figures of the pump and the starter. A nil Metrics counts nothing.
type Metrics struct {
	items     prometheus.Counter
	wait      prometheus.Histogram
	enrolled  prometheus.Counter
	left      prometheus.Counter
	late      prometheus.Histogram
	started   prometheus.Counter
	startTime prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 60}
	m := &Metrics{
		items:     prometheus.NewCounter(prometheus.CounterOpts{Name: "rollcall_items_evaluated_total", Help: "Work items evaluated."}),
		wait:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rollcall_evaluation_wait_seconds", Help: "Age of the oldest work item of a batch when its evaluation ended.", Buckets: buckets}),
		enrolled:  prometheus.NewCounter(prometheus.CounterOpts{Name: "rollcall_enrollments_total", Help: "Enrollments made by triggers."}),
		left:      prometheus.NewCounter(prometheus.CounterOpts{Name: "rollcall_leavings_total", Help: "Enrollments ended because a condition came to hold."}),
		late:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rollcall_clock_lateness_seconds", Help: "How late the clock noticed what time alone may have changed.", Buckets: buckets}),
		started:   prometheus.NewCounter(prometheus.CounterOpts{Name: "rollcall_starts_total", Help: "Enrollments that Temporal took."}),
		startTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rollcall_start_seconds", Help: "Duration of a start in Temporal.", Buckets: buckets}),
	}
	r.MustRegister(m.items, m.wait, m.enrolled, m.left, m.late, m.started, m.startTime)
	return m
}

func (m *Metrics) evaluated(e postgres.Evaluation) {
	if m == nil {
		return
	}
	m.items.Add(float64(e.Items))
	m.enrolled.Add(float64(len(e.Orders)))
	m.left.Add(float64(e.Left))
	m.wait.Observe(time.Since(e.Oldest).Seconds())
}

func (m *Metrics) rang(r postgres.Rung) {
	if m != nil {
		m.late.Observe(r.Late.Seconds())
	}
}

func (m *Metrics) startedIn(d time.Duration) {
	if m == nil {
		return
	}
	m.started.Inc()
	m.startTime.Observe(d.Seconds())
}
