package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The activities of runs.
const (
	OpenRunsActivity = "open_runs" // makes runs of the firings of a schedule that are due
	StepRunActivity  = "step_run"  // decides the next users of a run
)

// RunInput names a run.
type RunInput struct {
	RunID string `json:"run_id"`
}

// RunStep is what one step of a run came to.
type RunStep struct {
	Paused bool          `json:"paused,omitempty"` // nothing was done: it waits for the resumption
	Ended  bool          `json:"ended,omitempty"`
	Wait   time.Duration `json:"wait,omitempty"` // until the next step, at the rate of the run
	Shown  string        `json:"shown"`          // how far it is, in words
}

// Backfill enrolls, a few at a time and at a given rate, the users for whom a filter trigger held when
// its version was published. Where the run stands is in the database, so a step that is repeated goes
// on where the last one ended.
func Backfill(ctx workflow.Context, in RunInput) (string, error) {
	shown, goOn, err := carry(ctx, in.RunID)
	if goOn {
		return "", workflow.NewContinueAsNewError(ctx, Backfill, in)
	}
	return shown, err
}

// scheduledStart is when a workflow that a Temporal Schedule started was to be started.
var scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// ScheduledInput names the schedule trigger that fires, or runs of its firings.
type ScheduledInput struct {
	Definition string   `json:"definition"`
	Trigger    int      `json:"trigger"`
	RunIDs     []string `json:"run_ids,omitempty"` // none: those of the firings that are due

	// Woken is for when Temporal woke the schedule, by Temporal's clock.
	Woken time.Time `json:"woken,omitzero"`
}

// ScheduledEnrollment enrolls the users whom the firings of a schedule concern. A Temporal Schedule
// starts it; which firings are due is decided by the database, where each has one run for ever.
func ScheduledEnrollment(ctx workflow.Context, in ScheduledInput) (string, error) {
	if len(in.RunIDs) == 0 {
		in.Woken, _ = workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart)
		opening := workflow.WithActivityOptions(ctx, runOptions("note whom it concerns"))
		if err := workflow.ExecuteActivity(opening, OpenRunsActivity, in).Get(ctx, &in.RunIDs); err != nil {
			return "", fmt.Errorf("firing of trigger %d of %s: %w", in.Trigger, in.Definition, err)
		}
	}
	shown := "Nothing is due: the firing has a run already."
	for len(in.RunIDs) > 0 {
		last, goOn, err := carry(ctx, in.RunIDs[0])
		if goOn {
			return "", workflow.NewContinueAsNewError(ctx, ScheduledEnrollment, in)
		}
		if err != nil {
			return "", err
		}
		shown, in.RunIDs = last, in.RunIDs[1:]
	}
	workflow.SetCurrentDetails(ctx, shown)
	return shown, nil
}

func runOptions(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: 20 * time.Second, // of a step that takes one: a lost one is repeated soon
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
		Summary:             summary,
	}
}

// carry takes a run to its end, or so far that its workflow should go on as a new one.
func carry(ctx workflow.Context, run string) (shown string, goOn bool, err error) {
	stepping := workflow.WithActivityOptions(ctx, runOptions("enroll the next users"))
	resumed := workflow.GetSignalChannel(ctx, ResumeSignal)
	for {
		var step RunStep
		if err := workflow.ExecuteActivity(stepping, StepRunActivity, RunInput{run}).Get(ctx, &step); err != nil {
			return "", false, fmt.Errorf("step of run %s: %w", run, err)
		}
		workflow.SetCurrentDetails(ctx, step.Shown)
		switch {
		case step.Ended:
			forget(resumed)
			return step.Shown, false, nil
		case step.Paused:
			resumed.Receive(ctx, nil)
		case step.Wait > 0:
			pause := workflow.TimerOptions{Summary: "keep to the rate"}
			if err := workflow.NewTimerWithOptions(ctx, step.Wait, pause).Get(ctx, nil); err != nil {
				return "", false, err
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			forget(resumed)
			return "", true, nil
		}
	}
}

// forget takes the words to go on that came: the next step asks the database anyway.
func forget(resumed workflow.ReceiveChannel) {
	for resumed.ReceiveAsync(nil) {
	}
}
