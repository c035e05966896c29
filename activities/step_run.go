package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/postgres"
	"rollcall/workflows"
)

// maxStep is how many users one step of a run decides at most.
const maxStep = 500

// stepRun decides the next users of a run, and says how long to wait to keep to its rate.
func (s *Set) stepRun(ctx context.Context, in workflows.RunInput) (workflows.RunStep, error) {
	began := time.Now()
	step, err := s.DB.StepRun(ctx, in.RunID, maxStep)
	if err != nil {
		return workflows.RunStep{}, fmt.Errorf("run %s: %w", in.RunID, err)
	}
	r := &step.Run
	out := workflows.RunStep{Paused: r.Status == postgres.RunPaused, Ended: r.EndedAt != nil, Shown: shownRun(r)}
	if !out.Paused && !out.Ended {
		atRate := time.Duration(step.Decided) * time.Second / time.Duration(r.PerSecond)
		out.Wait = max(0, atRate-time.Since(began))
	}
	return out, nil
}

// shownRun says in Markdown how far a run is.
func shownRun(r *postgres.Run) string {
	var s strings.Builder
	fmt.Fprintf(&s, "### %s of `%s` version %d: %s\n\n%d users, %.0f %% decided: %d enrolled, %d held\n",
		r.Kind, r.Workflow, r.Version, r.Status, r.Matched, 100*r.Done(), r.Enrolled, r.Held)
	var reasons []string
	for reason := range r.Skipped {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		fmt.Fprintf(&s, "- %d not: %s\n", r.Skipped[reason], reason)
	}
	return s.String()
}
