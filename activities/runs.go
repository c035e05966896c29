package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

// maxStep is how many users one step of a run decides at most.
const maxStep = 2500

// lastTry is at which attempt a step that fails, though the database answers, ends its run.
const lastTry = 10

// openRuns makes runs of the firings of a schedule that are due, and returns those that the workflow
// has to carry out. Asked again, it returns them again.
func (s *Set) openRuns(ctx context.Context, in workflows.ScheduledInput) ([]string, error) {
	id := activity.GetInfo(ctx).WorkflowExecution.ID
	byHand, err := s.DB.WokenByHand(ctx, in.Definition, in.Trigger, in.Woken)
	if err != nil {
		return nil, err
	}
	if byHand {
		if _, err := s.DB.RunNow(ctx, in.Definition, &in.Trigger, id); err != nil {
			return nil, forGood(fmt.Errorf("trigger %d of %s by hand: %w", in.Trigger, in.Definition, err))
		}
		return s.DB.OpenRuns(ctx, id)
	}
	until := time.Now()
	if in.Woken.After(until) && in.Woken.Before(until.Add(time.Minute)) {
		until = in.Woken // Temporal's clock is ahead of ours
	}
	if _, err := s.DB.OpenDue(ctx, in.Definition, in.Trigger, until, id); err != nil {
		return nil, forGood(fmt.Errorf("trigger %d of %s: %w", in.Trigger, in.Definition, err))
	}
	return s.DB.OpenRuns(ctx, id)
}

// forGood keeps Temporal from trying again what cannot pass.
func forGood(err error) error {
	for _, lasting := range []error{automation.ErrNotFound, automation.ErrConflict, automation.ErrInvalid} {
		if errors.Is(err, lasting) {
			return temporal.NewNonRetryableApplicationError(err.Error(), workflows.FailedForGood, err)
		}
	}
	return err
}

// stepRun decides the next users of a run, and says how long to wait to keep to its rate.
func (s *Set) stepRun(ctx context.Context, in workflows.RunInput) (workflows.RunStep, error) {
	began := time.Now()
	step, err := s.DB.StepRun(ctx, in.RunID, maxStep)
	if err != nil && !errors.Is(err, automation.ErrUnavailable) && activity.GetInfo(ctx).Attempt >= lastTry {
		r, failed := s.DB.FailRun(ctx, in.RunID, err.Error())
		if failed == nil {
			return workflows.RunStep{Ended: true, Shown: shownRun(r)}, nil
		}
	}
	if err != nil {
		return workflows.RunStep{}, fmt.Errorf("run %s: %w", in.RunID, err)
	}
	r := &step.Run
	out := workflows.RunStep{Paused: r.Status == postgres.RunPaused, Ended: r.EndedAt != nil, Shown: shownRun(r)}
	if r.PerSecond > 0 && !out.Paused && !out.Ended {
		atRate := time.Duration(step.Decided) * time.Second / time.Duration(r.PerSecond)
		out.Wait = max(0, atRate-time.Since(began))
	}
	return out, nil
}

// shownRun says in Markdown how far a run is.
func shownRun(r *postgres.Run) string {
	var s strings.Builder
	fmt.Fprintf(&s, "### %s of `%s` version %d: %s\n\n", r.Kind, r.Workflow, r.Version, r.Status)
	if r.Nominal != nil {
		fmt.Fprintf(&s, "Firing of %s, due at %s\n\n", *r.Nominal, r.DueAt.Format(time.RFC3339))
	}
	fmt.Fprintf(&s, "%d users, %.0f %% decided: %d enrolled, %d held\n", r.Matched, 100*r.Done(), r.Enrolled, r.Held)
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
