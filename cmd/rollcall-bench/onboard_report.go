package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// onboarding is what the comparison came to. A ratio is to that of the programs written by hand which
// is better at what it is about; above 1, Rollcall is. The latency and the lateness are Rollcall's, at
// -rate.
type onboarding struct {
	StartRatio      float64 `json:"start_ratio"`
	CompletionRatio float64 `json:"completion_ratio"`
	AcceptRatio     float64 `json:"accept_ratio"`
	CPURatio        float64 `json:"cpu_ratio"` // of the processor time per run
	LatencyP50      float64 `json:"latency_p50_ms"`
	LatencyP99      float64 `json:"latency_p99_ms"`
	LateP50         float64 `json:"lateness_p50_ms"`
	LateP99         float64 `json:"lateness_p99_ms"`

	Rollcall figures `json:"rollcall"`
	Local    figures `json:"hand_written"`         // local activities, eager starts
	Regular  figures `json:"hand_written_regular"` // regular activities
	Rounds   []round `json:"rounds"`

	Runs    int `json:"runs"`
	Clients int `json:"clients"`
	Rate    int `json:"rate"`
	Seconds int `json:"seconds"`
}

func newOnboarding(o options, rounds []round) *onboarding {
	of := func(side string) (figures, float64) {
		var all []figures
		var cpu []float64
		for _, r := range rounds {
			if r.Side == side {
				all, cpu = append(all, r.Figures), append(cpu, r.Costs.CPU)
			}
		}
		return medians(all), median(cpu)
	}
	ours, ourCPU := of(rollcallSide)
	local, localCPU := of(localSide)
	regular, regularCPU := of(regularSide)
	return &onboarding{
		StartRatio:      ours.Started / max(local.Started, regular.Started),
		CompletionRatio: ours.Completed / max(local.Completed, regular.Completed),
		AcceptRatio:     ours.Accepted / max(local.Accepted, regular.Accepted),
		CPURatio:        min(localCPU, regularCPU) / ourCPU,
		LatencyP50:      ours.LatencyP50, LatencyP99: ours.LatencyP99, LateP50: ours.LateP50, LateP99: ours.LateP99,
		Rollcall: ours, Local: local, Regular: regular, Rounds: rounds,
		Runs: o.runs, Clients: o.clients, Rate: o.rate, Seconds: o.seconds,
	}
}

func (o *onboarding) enter(r *report) { r.onboarding = o }

func (o *onboarding) write(w io.Writer) error {
	rows := [][]string{{"", "rollcall", "local, eager", "regular", "ratio", "budget"}}
	add := func(label, ratio, budget string, get func(figures) float64) {
		row := []string{label}
		for _, f := range []figures{o.Rollcall, o.Local, o.Regular} {
			cell := "–"
			if v := get(f); v > 0 {
				cell = fmt.Sprintf("%.0f", v)
			}
			row = append(row, cell)
		}
		rows = append(rows, append(row, ratio, budget))
	}
	ratio := func(f float64) string { return fmt.Sprintf("%.2f", f) }
	const most = "≤ 50"
	const tail = "≤ 250"
	add("accepted per second", ratio(o.AcceptRatio), "", func(f figures) float64 { return f.Accepted })
	add("started per second", ratio(o.StartRatio), "", func(f figures) float64 { return f.Started })
	add("completed per second", ratio(o.CompletionRatio), "≥ 0.90", func(f figures) float64 { return f.Completed })
	add("accepted → first webhook, idle, p50 ms", "", "", func(f figures) float64 { return f.IdleP50 })
	add("p99 ms", "", "", func(f figures) float64 { return f.IdleP99 })
	add("the same at half of capacity, p50 ms", "", "", func(f figures) float64 { return f.HalfP50 })
	add("p99 ms", "", "", func(f figures) float64 { return f.HalfP99 })
	add("events per second there", "", "", func(f figures) float64 { return f.HalfRate })
	add(fmt.Sprintf("the same at %d per second, p50 ms", o.Rate), "", most, func(f figures) float64 { return f.LatencyP50 })
	add("p99 ms", "", tail, func(f figures) float64 { return f.LatencyP99 })
	add("event due → first webhook, p50 ms", "", "", func(f figures) float64 { return f.WholeP50 })
	add("p99 ms", "", "", func(f figures) float64 { return f.WholeP99 })
	add("lateness of the wait, p50 ms", "", most, func(f figures) float64 { return f.LateP50 })
	add("p99 ms", "", tail, func(f figures) float64 { return f.LateP99 })
	const title = "onboard: event with a condition on the user → set_property → send_webhook → 1 s → send_webhook"
	if err := table(w, title, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nrates: %d runs as fast as %d clients can send; times: events sent steadily for %d s\n", o.Runs, o.Clients, o.Seconds)
	fmt.Fprintf(w, "processor time of a run, hand-written to rollcall: %.2f; other work on the machine disturbs it least\n", o.CPURatio)
	fmt.Fprint(w, "\nturns, and per run of the burst:\n")
	for _, turn := range o.Rounds {
		fmt.Fprintf(w, "  %-12s  %3.0f started/s, %3.0f completed/s; %s\n", turn.Side, turn.Figures.Started, turn.Figures.Completed, turn.Costs)
	}
	return nil
}

// String says what a passage costs in a line.
func (c costs) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.Postgres)) {
		if c.Postgres[name] >= 0.05 {
			parts = append(parts, fmt.Sprintf("%s %.1f", name, c.Postgres[name]))
		}
	}
	var commits []string
	for _, name := range slices.Sorted(maps.Keys(c.Commits)) {
		if c.Commits[name] >= 0.1 {
			commits = append(commits, fmt.Sprintf("%s %.1f", name, c.Commits[name]))
		}
	}
	return fmt.Sprintf("CPU %.1f ms: process %.1f, PostgreSQL %s; commits: %s; WAL %.0f KiB",
		c.CPU, c.Process, strings.Join(parts, " "), strings.Join(commits, " "), c.WAL)
}
