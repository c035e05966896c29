package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// StepRunActivity decides the next users of a run.
const StepRunActivity = "step_run"

// RunInput names a run and says where it stands.
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
	options := workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	}
	resumed := workflow.GetSignalChannel(ctx, ResumeSignal)
	for {
		options.Summary = "enroll the next users"
		var step RunStep
		err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), StepRunActivity, in).Get(ctx, &step)
		if err != nil {
			return "", fmt.Errorf("step of run %s: %w", in.RunID, err)
		}
		workflow.SetCurrentDetails(ctx, step.Shown)
		switch {
		case step.Ended:
			return step.Shown, nil
		case step.Paused:
			resumed.Receive(ctx, nil)
		case step.Wait > 0:
			pause := workflow.TimerOptions{Summary: "keep to the rate"}
			if err := workflow.NewTimerWithOptions(ctx, step.Wait, pause).Get(ctx, nil); err != nil {
				return "", err
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			for resumed.ReceiveAsync(nil) { // the next step asks the database anyway
			}
			return "", workflow.NewContinueAsNewError(ctx, Backfill, in)
		}
	}
}
