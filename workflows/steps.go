package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"rollcall/automation"
)

const (
	// attemptLimit is how long one attempt of an action may take.
	attemptLimit = time.Minute
	// patience is how long an action is tried.
	patience = 3 * 24 * time.Hour
	// firstPause is how long a first failure is let rest.
	firstPause = 5 * time.Second
	// worthShowing is how long a wait is at least for the step to stand in the search attributes.
	worthShowing = time.Minute
)

// action carries out an action.
func (e *enrollment) action(n *automation.Node, in StepInput) error {
	for {
		workflow.SetCurrentDetails(e.scope, e.details("Doing **"+label(n)+"**"))
		result, err := e.try(n, in)
		if err != nil {
			return err
		}
		e.completed = result.Completed
		if again, err := e.admitted(n, result.Outcome); !again {
			return err
		}
	}
}

// admitted judges whether a step was let in. While its definition is paused it waits for the
// resumption and asks to try again.
func (e *enrollment) admitted(n *automation.Node, o Outcome) (again bool, err error) {
	switch o {
	case Done:
		return false, nil
	case Kept:
		workflow.SetCurrentDetails(e.scope, e.details("Held before **"+label(n)+"**: the workflow is paused"))
		selector := workflow.NewSelector(e.scope)
		selector.AddReceive(workflow.GetSignalChannel(e.scope, ResumeSignal), func(c workflow.ReceiveChannel, _ bool) {
			c.Receive(e.scope, nil)
		})
		selector.AddReceive(e.scope.Done(), func(workflow.ReceiveChannel, bool) {})
		selector.Select(e.scope)
		return e.scope.Err() == nil, e.scope.Err()
	default:
		return false, errEnded
	}
}

// try runs the action's activity: first as a local activity, which costs one history event, and
// where that fails in passing or takes too long, as a regular one with the long retries. Both use
// the same visit, so the effect has the same key.
func (e *enrollment) try(n *automation.Node, in StepInput) (result ActionResult, err error) {
	summary := label(n)
	if n.FirstTry > 0 {
		err = workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(e.scope, workflow.LocalActivityOptions{
			StartToCloseTimeout: n.FirstTry,
			RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
			Summary:             summary,
		}), n.Action, in).Get(e.scope, &result)
		if err == nil || forGood(err) || e.scope.Err() != nil {
			return result, err
		}
		if pause := rest(err); pause > 0 {
			timer := workflow.NewTimerWithOptions(e.scope, pause, workflow.TimerOptions{Summary: n.ID + " · rests before it is tried again"})
			workflow.SetCurrentDetails(e.scope, e.details("Tries **"+summary+"** again soon: "+cause(err)))
			if err := timer.Get(e.scope, nil); err != nil {
				return result, err
			}
		}
	}
	err = workflow.ExecuteActivity(workflow.WithActivityOptions(e.scope, workflow.ActivityOptions{
		StartToCloseTimeout:    attemptLimit,
		ScheduleToCloseTimeout: patience,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: firstPause, BackoffCoefficient: 3, MaximumInterval: 8 * time.Hour},
		Summary:                summary,
	}), n.Action, in).Get(e.scope, &result)
	return result, err
}

// forGood reports whether an action must not be tried again.
func forGood(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && app.NonRetryable()
}

// rest is how long to wait after a failed first try: as long as the receiver asks for, and not at
// all after an answer that was only slow.
func rest(err error) time.Duration {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return max(firstPause, app.NextRetryDelay())
	}
	return 0
}

// delay waits for an amount of time, counted from now.
func (e *enrollment) delay(n *automation.Node, in StepInput) error {
	var wait DelayResult
	err := local(e.scope, "begin "+n.ID, BeginDelayActivity,
		DelayInput{StepInput: in, Until: workflow.Now(e.scope).Add(time.Duration(n.Delay)).UTC()}, &wait)
	switch {
	case err != nil:
		return err
	case wait.Outcome == Ended:
		return errEnded
	}
	remaining := wait.Until.Sub(workflow.Now(e.scope))
	if remaining <= 0 {
		return nil
	}
	if remaining >= worthShowing {
		if err := workflow.UpsertTypedSearchAttributes(e.scope, StepAttribute.ValueSet(n.ID)); err != nil {
			return err
		}
	}
	workflow.SetCurrentDetails(e.scope, e.details("In **"+label(n)+"**, waiting until **"+wait.Shown+"**"))
	timer := workflow.NewTimerWithOptions(e.scope, remaining, workflow.TimerOptions{Summary: n.ID + " · " + n.Delay.String() + ", until " + wait.Shown})
	return timer.Get(e.scope, nil)
}

// branch decides where the flow goes on.
func (e *enrollment) branch(n *automation.Node, in StepInput) (next string, err error) {
	for {
		var taken BranchResult
		if err := local(e.scope, label(n), TakeBranchActivity, in, &taken); err != nil {
			return "", err
		}
		again, err := e.admitted(n, taken.Outcome)
		if !again {
			if err != nil {
				return "", err
			}
			return n.Arms[taken.Arm], nil
		}
	}
}

// local runs an activity of our own database, which is tried until the database answers.
func local(ctx workflow.Context, summary, name string, in, result any) error {
	return workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    10 * time.Second,
		ScheduleToCloseTimeout: 10 * 365 * 24 * time.Hour,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Minute},
		Summary:                summary,
	}), name, in).Get(ctx, result)
}

// label is what people read of a step.
func label(n *automation.Node) string {
	name := n.ID
	if n.Title != "" {
		name = n.Title
	}
	if n.Action != "" {
		return name + " · " + n.Action
	}
	return name
}
