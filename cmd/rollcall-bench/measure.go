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

	LatencyP50 float64 `json:"latency_p50_ms"` // from accepted to the first webhook
	LatencyP99 float64 `json:"latency_p99_ms"`
	WholeP50   float64 `json:"whole_p50_ms"` // from when the event was due to the first webhook
	WholeP99   float64 `json:"whole_p99_ms"`
	LateP50    float64 `json:"lateness_p50_ms"` // of the wait of one second, between the webhooks
	LateP99    float64 `json:"lateness_p99_ms"`
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

// latencies are the figures of a stream. An answer may overtake: the first webhook can arrive before
// the client has read that its event is accepted, which counts as no time.
func (p *phase) latencies(f *figures) {
	of := func(d func(*passage) time.Duration) (p50, p99 float64) {
		all := make([]float64, len(p.passages))
		for i, r := range p.passages {
			all[i] = max(0, d(r).Seconds()*1000)
		}
		slices.Sort(all)
		return quantile(all, 0.50), quantile(all, 0.99)
	}
	f.LatencyP50, f.LatencyP99 = of(func(r *passage) time.Duration { return r.first.Sub(r.accepted) })
	f.WholeP50, f.WholeP99 = of(func(r *passage) time.Duration { return r.first.Sub(r.due) })
	f.LateP50, f.LateP99 = of(func(r *passage) time.Duration { return r.second.Sub(r.handled) - time.Second })
}

// quantile is that of sorted values, by the nearest rank.
func quantile(sorted []float64, q float64) float64 {
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
	of := func(get func(*figures) *float64) func(to *figures) {
		return func(to *figures) {
			values := make([]float64, len(rounds))
			for i := range rounds {
				values[i] = *get(&rounds[i])
			}
			*get(to) = median(values)
		}
	}
	var m figures
	for _, set := range []func(*figures){
		of(func(f *figures) *float64 { return &f.Accepted }),
		of(func(f *figures) *float64 { return &f.Started }),
		of(func(f *figures) *float64 { return &f.Completed }),
		of(func(f *figures) *float64 { return &f.LatencyP50 }),
		of(func(f *figures) *float64 { return &f.LatencyP99 }),
		of(func(f *figures) *float64 { return &f.WholeP50 }),
		of(func(f *figures) *float64 { return &f.WholeP99 }),
		of(func(f *figures) *float64 { return &f.LateP50 }),
		of(func(f *figures) *float64 { return &f.LateP99 }),
	} {
		set(&m)
	}
	return m
}
