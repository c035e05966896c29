package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report is all that was measured. The figures of the comparison stand outermost, the others below
// their names.
type report struct {
	*onboarding

	Ingest   *ingest   `json:"ingest,omitempty"`
	Overload *overload `json:"overload,omitempty"`
	History  *history  `json:"history,omitempty"`
	Changes  *changes  `json:"changes,omitempty"`
	Firing   *firing   `json:"firing,omitempty"`
	Sleepers *sleepers `json:"sleepers,omitempty"`

	results []result // in the order in which they were measured
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// write prints the tables that people read.
func (r *report) write(w io.Writer) error {
	for _, of := range r.results {
		if err := of.write(w); err != nil {
			return err
		}
	}
	return nil
}

// table prints rows of cells under a title, the first column to the left and the others to the right.
func table(w io.Writer, title string, rows [][]string) error {
	fmt.Fprintf(w, "\n%s\n\n", title)
	widest := 0
	for _, row := range rows {
		widest = max(widest, len([]rune(row[0])))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		label := fmt.Sprintf("%-*s", widest, row[0])
		fmt.Fprintf(t, "%s\t%s\t\n", label, strings.Join(row[1:], "\t"))
	}
	return t.Flush()
}

// digits prints a figure with as many digits as say something.
func digits(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.0f", f)
	}
}
