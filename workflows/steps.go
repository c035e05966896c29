package workflows

import (
	"cmp"
	"errors"
	"fmt"
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
		if result.Outcome == Pending {
			return e.answer(n, in)
		}
		if result.Outcome == Shut {
			why := "Before **" + label(n) + "**, outside of the hours: held until **" + result.Shown + "**"
			if _, err := e.sleep(n, in, result.Until, why, label(n)+" · held until "+result.Shown); err != nil {
				return err
			}
		} else if again, err := e.admitted(n, in, result.Outcome); !again {
			return err
		}
		in.At = workflow.Now(e.scope).UTC()
	}
}

// admitted judges whether a step was let in. While its definition is paused it waits for the
// resumption and asks to try again.
func (e *enrollment) admitted(n *automation.Node, in StepInput, o Outcome) (again bool, err error) {
	switch o {
	case Done:
		return false, nil
	case Kept:
		if e.crowded() {
			e.reenter(n.ID)
			return false, errAsleep
		}
		workflow.SetCurrentDetails(e.scope, e.details("Held before **"+label(n)+"**: the workflow is paused"))
		if err := workflow.Await(e.scope, func() bool { return e.resumed.ReceiveAsync(nil) || e.nudged() }); err != nil {
			return false, err
		}
		if err := e.attend(inside(n, in)); err != nil {
			return false, err
		}
		return true, nil
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
			resting, stop := workflow.WithCancel(e.scope)
			timer := workflow.NewTimerWithOptions(resting, pause, workflow.TimerOptions{Summary: n.ID + " · rests before it is tried again"})
			workflow.SetCurrentDetails(e.scope, e.details("Tries **"+summary+"** again soon: "+cause(err)))
			if err := e.settle(n, in, timer); err != nil {
				stop()
				return result, err
			}
		}
	}
	trying, stop := workflow.WithCancel(e.scope)
	future := workflow.ExecuteActivity(workflow.WithActivityOptions(trying, workflow.ActivityOptions{
		StartToCloseTimeout:    attemptLimit,
		ScheduleToCloseTimeout: patience,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: firstPause, BackoffCoefficient: 3, MaximumInterval: 8 * time.Hour},
		Summary:                summary,
	}), n.Action, in)
	if err := e.settle(n, in, future); err != nil {
		stop() // what is being tried at this moment may still be done
		return result, err
	}
	return result, future.Get(e.scope, &result)
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

// delay waits for time. The instant is decided by the database, once, and again when what it depends on
// has changed.
func (e *enrollment) delay(n *automation.Node, in StepInput) error {
	for {
		ask := DelayInput{StepInput: in}
		if n.Rule == "" {
			ask.Until = in.At.Add(time.Duration(n.Delay))
		}
		var wait DelayResult
		if err := local(e.scope, "begin "+n.ID, BeginDelayActivity, ask, &wait); err != nil {
			return err
		}
		switch wait.Outcome {
		case Ended:
			return errEnded
		case Leave:
			return leavesError(wait.Reason)
		}
		rule := cmp.Or(n.Rule, n.Delay.String())
		if !wait.Until.IsZero() && !wait.Until.After(workflow.Now(e.scope)) {
			return nil
		}
		over, err := e.sleep(n, in, wait.Until, "In **"+label(n)+"**, waiting until **"+wait.Shown+"**", n.ID+" · "+rule+", until "+wait.Shown)
		if err != nil || over && !n.Follows { // else it may have moved, and the word of that not come
			return err
		}
		in.At = workflow.Now(e.scope).UTC()
	}
}

// longWait is for how long a wait lasts at least to be waited in a run whose history is short, and
// shortHistory how many events such a one has.
const (
	longWait     = 24 * time.Hour
	shortHistory = 500
)

// sleep waits until an instant, or without end where there is none; it says whether that has come. What
// is wanted of the enrollment meanwhile is followed.
func (e *enrollment) sleep(n *automation.Node, in StepInput, until time.Time, where, summary string) (over bool, err error) {
	remaining := until.Sub(workflow.Now(e.scope))
	forEver := until.IsZero()
	if !forEver && remaining <= 0 {
		return true, nil
	}
	long := forEver || remaining >= longWait
	if e.crowded() || long && workflow.GetInfo(e.scope).GetCurrentHistoryLength() > shortHistory {
		// Runs that began to wait before there was this rule wait on where they are.
		if workflow.GetVersion(e.scope, "waits in a new run", workflow.DefaultVersion, 1) != workflow.DefaultVersion {
			e.reenter(n.ID)
			return false, errAsleep
		}
	}
	if forEver || remaining >= worthShowing {
		if err := workflow.UpsertTypedSearchAttributes(e.scope, StepAttribute.ValueSet(n.ID)); err != nil {
			return false, err
		}
	}
	workflow.SetCurrentDetails(e.scope, e.details(where))
	sleeping, stop := workflow.WithCancel(e.scope)
	due := func() bool { return false }
	if !forEver {
		timer := workflow.NewTimerWithOptions(sleeping, remaining, workflow.TimerOptions{Summary: summary})
		due = timer.IsReady
	}
	if err := workflow.Await(e.scope, func() bool { return due() || e.nudged() }); err != nil {
		return false, err
	}
	if due() {
		return true, nil
	}
	stop()
	return false, e.attend(inside(n, in))
}

// waitFor waits until something happens. The database decides whether it did, or the time was up first.
func (e *enrollment) waitFor(n *automation.Node, in StepInput) error {
	ask := WaitInput{StepInput: in, AtMost: n.AtMost}
	activity := BeginWaitActivity
	for {
		var wait WaitResult
		if err := local(e.scope, label(n), activity, ask, &wait); err != nil {
			return err
		}
		if wait.Outcome == Ended {
			return errEnded
		}
		if wait.Over {
			return nil
		}
		summary := n.ID + " · waits for " + n.Rule
		if !wait.Until.IsZero() {
			summary += ", until " + wait.Shown
		}
		over, err := e.sleep(n, in, wait.Until, "In **"+label(n)+"**, waiting for **"+n.Rule+"**"+untilShown(wait), summary)
		if err != nil {
			return err
		}
		activity, ask.TimedUp, ask.At = EndWaitActivity, over, workflow.Now(e.scope).UTC()
	}
}

func untilShown(w WaitResult) string {
	if w.Until.IsZero() {
		return ""
	}
	return ", until **" + w.Shown + "**"
}

// answer waits for the answer to an action that is given later. The database decides whether it came, or
// the time was up first.
func (e *enrollment) answer(n *automation.Node, in StepInput) error {
	ask := WaitInput{StepInput: in}
	for { // it may be there already, and the word of that have come before it was waited for
		ask.At = workflow.Now(e.scope).UTC()
		var wait WaitResult
		if err := local(e.scope, label(n)+" · the answer", EndCallActivity, ask, &wait); err != nil {
			return err
		}
		if wait.Outcome == Ended {
			return errEnded
		}
		if wait.Over {
			return nil
		}
		over, err := e.sleep(n, in, wait.Until, "In **"+label(n)+"**, waiting for the answer"+untilShown(wait), label(n)+" · waits for the answer, until "+wait.Shown)
		if err != nil {
			return err
		}
		ask.TimedUp = over
	}
}

// branch decides where the flow goes on.
func (e *enrollment) branch(n *automation.Node, in StepInput) (next string, err error) {
	for {
		var taken BranchResult
		if err := local(e.scope, label(n), TakeBranchActivity, in, &taken); err != nil {
			return "", err
		}
		again, err := e.admitted(n, in, taken.Outcome)
		if !again {
			if err != nil {
				return "", err
			}
			if taken.Arm < 0 || taken.Arm >= len(n.Arms) {
				return "", fmt.Errorf("there is no way %d out of it", taken.Arm+1)
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
