package main

import (
	"math"
	"slices"
	"time"
)

// figures are what one side came to in one round, or the medians over the rounds.
type figures struct {
	Accepted  float64 `json:"accepted_per_s"`  // events on disk
	Started   float64 `json:"started_per_s"`   // passages whose first webhook arrived
	Completed float64 `json:"completed_per_s"` // passages whose second webhook arrived

	// From accepted to the first webhook: while nothing else happens, at half of what the side
	// completes, and at -rate. The side with regular activities is not asked for -rate.
	IdleP50    float64 `json:"latency_idle_p50_ms"`
	IdleP99    float64 `json:"latency_idle_p99_ms"`
	HalfP50    float64 `json:"latency_half_p50_ms"`
	HalfP99    float64 `json:"latency_half_p99_ms"`
	HalfRate   float64 `json:"half_rate_per_s"`
	LatencyP50 float64 `json:"latency_p50_ms,omitempty"`
	LatencyP99 float64 `json:"latency_p99_ms,omitempty"`
	WholeP50   float64 `json:"whole_p50_ms,omitempty"` // from when the event was due to the first webhook
	WholeP99   float64 `json:"whole_p99_ms,omitempty"`
	LateP50    float64 `json:"lateness_p50_ms,omitempty"` // of the wait of one second, between the webhooks
	LateP99    float64 `json:"lateness_p99_ms,omitempty"`
}

// all lists the figures.
func (f *figures) all() []*float64 {
	return []*float64{
		&f.Accepted, &f.Started, &f.Completed,
		&f.IdleP50, &f.IdleP99, &f.HalfP50, &f.HalfP99, &f.HalfRate,
		&f.LatencyP50, &f.LatencyP99, &f.WholeP50, &f.WholeP99, &f.LateP50, &f.LateP99,
	}
}

// rates are the figures of a burst. Each counts to its last passage.
func (p *phase) rates(f *figures) {
	per := func(of func(*passage) time.Time) float64 {
		last := p.began
		for _, r := range p.passages {
			if at := of(r); at.After(last) {
				last = at
			}
		}
		return float64(len(p.passages)) / last.Sub(p.began).Seconds()
	}
	f.Accepted = per(func(r *passage) time.Time { return r.accepted })
	f.Started = per(func(r *passage) time.Time { return r.first })
	f.Completed = per(func(r *passage) time.Time { return r.second })
}

// latency is from accepted to the first webhook. An answer may overtake: the first webhook can arrive
// before the client has read that its event is accepted, which counts as no time.
func (p *phase) latency() (p50, p99 float64) {
	return p.times(func(r *passage) time.Duration { return r.first.Sub(r.accepted) })
}

// latencies are the figures of a stream at -rate.
func (p *phase) latencies(f *figures) {
	f.LatencyP50, f.LatencyP99 = p.latency()
	f.WholeP50, f.WholeP99 = p.times(func(r *passage) time.Duration { return r.first.Sub(r.due) })
	f.LateP50, f.LateP99 = p.times(func(r *passage) time.Duration { return r.second.Sub(r.handled) - time.Second })
}

func (p *phase) times(of func(*passage) time.Duration) (p50, p99 float64) {
	all := make([]float64, len(p.passages))
	for i, r := range p.passages {
		all[i] = max(0, milliseconds(of(r)))
	}
	slices.Sort(all)
	return quantile(all, 0.50), quantile(all, 0.99)
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// quantile is that of sorted values, by the nearest rank; 0 where there are none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// median is the middle of values, and the mean of the two in the middle where they are even.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// medians are the medians of each figure.
func medians(rounds []figures) figures {
	var m figures
	for i, to := range m.all() {
		values := make([]float64, len(rounds))
		for j := range rounds {
			values[j] = *rounds[j].all()[i]
		}
		*to = median(values)
	}
	return m
}
