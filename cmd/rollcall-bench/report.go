package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// round is one turn of one side.
type round struct {
	Side    string  `json:"side"`
	Figures figures `json:"figures"`
	Costs   costs   `json:"costs_per_run"` // of the burst
}

// report is the whole measurement. Its outermost latency and lateness are Rollcall's.
type report struct {
	StartRatio      float64 `json:"start_ratio"`      // Rollcall's started per second, to the hand-written program's
	CompletionRatio float64 `json:"completion_ratio"` // the same of completed
	AcceptRatio     float64 `json:"accept_ratio"`     // the same of accepted
	CPURatio        float64 `json:"cpu_ratio"`        // the hand-written program's processor time per run, to Rollcall's
	LatencyP50      float64 `json:"latency_p50_ms"`
	LatencyP99      float64 `json:"latency_p99_ms"`
	LateP50         float64 `json:"lateness_p50_ms"`
	LateP99         float64 `json:"lateness_p99_ms"`

	Rollcall    figures `json:"rollcall"`
	Handwritten figures `json:"hand_written"`
	Rounds      []round `json:"rounds"`

	Runs    int `json:"runs"`
	Clients int `json:"clients"`
	Rate    int `json:"rate"`
	Seconds int `json:"seconds"`
}

func newReport(o options, rounds []round) report {
	of := func(side string) figures {
		var all []figures
		for _, r := range rounds {
			if r.Side == side {
				all = append(all, r.Figures)
			}
		}
		return medians(all)
	}
	cpu := func(side string) float64 {
		var all []float64
		for _, r := range rounds {
			if r.Side == side {
				all = append(all, r.Costs.CPU)
			}
		}
		return median(all)
	}
	ours, theirs := of((*product)(nil).name()), of((*handwritten)(nil).name())
	return report{
		StartRatio: ours.Started / theirs.Started, CompletionRatio: ours.Completed / theirs.Completed,
		AcceptRatio: ours.Accepted / theirs.Accepted,
		CPURatio:    cpu((*handwritten)(nil).name()) / cpu((*product)(nil).name()),
		LatencyP50:  ours.LatencyP50, LatencyP99: ours.LatencyP99, LateP50: ours.LateP50, LateP99: ours.LateP99,
		Rollcall: ours, Handwritten: theirs, Rounds: rounds,
		Runs: o.runs, Clients: o.clients, Rate: o.rate, Seconds: o.seconds,
	}
}

func (r report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// write prints the table that people read.
func (r report) write(w io.Writer) error {
	fmt.Fprintf(w, "\nevent with a condition on the user → set_property → send_webhook → 1 s → send_webhook\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\t rollcall\t hand-written\t ratio\t rollcall per round\t hand-written per round\t\n")
	row := func(label, format string, ratio bool, get func(figures) float64) {
		ours, theirs := get(r.Rollcall), get(r.Handwritten)
		text := ""
		if ratio {
			text = fmt.Sprintf("%.2f", ours/theirs)
		}
		fmt.Fprintf(t, "%s\t "+format+"\t "+format+"\t %s\t %s\t %s\t\n", label, ours, theirs, text,
			r.each((*product)(nil).name(), format, get), r.each((*handwritten)(nil).name(), format, get))
	}
	const rate, ms = "%.0f", "%.0f"
	row("accepted per second", rate, true, func(f figures) float64 { return f.Accepted })
	row("started per second", rate, true, func(f figures) float64 { return f.Started })
	row("completed per second", rate, true, func(f figures) float64 { return f.Completed })
	row("accepted → first webhook, p50 ms", ms, false, func(f figures) float64 { return f.LatencyP50 })
	row("p99 ms", ms, false, func(f figures) float64 { return f.LatencyP99 })
	row("event due → first webhook, p50 ms", ms, false, func(f figures) float64 { return f.WholeP50 })
	row("p99 ms", ms, false, func(f figures) float64 { return f.WholeP99 })
	row("lateness of the wait, p50 ms", ms, false, func(f figures) float64 { return f.LateP50 })
	row("p99 ms", ms, false, func(f figures) float64 { return f.LateP99 })
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nrates: %d runs as fast as %d clients can send; times: %d events per second for %d s\n",
		r.Runs, r.Clients, r.Rate, r.Seconds)
	fmt.Fprintf(w, "processor time of a run, hand-written to rollcall: %.2f; other work on the machine disturbs it least\n", r.CPURatio)
	fmt.Fprint(w, "\nper run of the burst:\n")
	for _, turn := range r.Rounds {
		fmt.Fprintf(w, "  %-12s  %s\n", turn.Side, turn.Costs)
	}
	return nil
}

func (r report) each(side, format string, get func(figures) float64) string {
	var values []string
	for _, turn := range r.Rounds {
		if turn.Side == side {
			values = append(values, fmt.Sprintf(format, get(turn.Figures)))
		}
	}
	return strings.Join(values, " ")
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
