package activities

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rollcall/postgres"
)

// Metrics counts what actions come to. A nil Metrics counts nothing.
type Metrics struct {
	actions  *prometheus.CounterVec
	lateness prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_action_attempts_total", Help: "Attempts of actions by kind and result.",
		}, []string{"kind", "result"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rollcall_delay_lateness_seconds", Help: "How long after its intended instant the step behind a delay began.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 60, 600},
		}),
	}
	r.MustRegister(m.actions, m.lateness)
	return m
}

func (m *Metrics) done(kind string) {
	if m != nil {
		m.actions.WithLabelValues(kind, "done").Inc()
	}
}

func (m *Metrics) failed(kind string) {
	if m != nil {
		m.actions.WithLabelValues(kind, "failed").Inc()
	}
}

func (m *Metrics) late(g *postgres.Gate) {
	if m != nil && g != nil && g.WaitedFor != nil && g.Attempts == 1 {
		m.lateness.Observe(time.Since(*g.WaitedFor).Seconds())
	}
}
