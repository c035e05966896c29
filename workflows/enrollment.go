package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"rollcall/automation"
)

// Enrollment carries one user through one version of a definition. Whatever becomes of the user,
// it closes as completed with an EnrollmentResult; an error from it is a bug.
func Enrollment(ctx workflow.Context, in EnrollmentInput) (EnrollmentResult, error) {
	e := &enrollment{EnrollmentInput: in, position: Position{Step: in.Program.Start, Visits: map[string]int{}}}
	if in.At != nil {
		e.position = *in.At
	}
	if err := e.setup(ctx); err != nil {
		return EnrollmentResult{}, err
	}
	return e.run(ctx)
}

// enrollment is the state of one running enrollment.
type enrollment struct {
	EnrollmentInput
	position  Position
	scope     workflow.Context // what the program runs in; cancelled when the enrollment is taken out
	stopped   string           // why it was taken out; "" while it was not
	resumed   workflow.ReceiveChannel
	woken     workflow.ReceiveChannel
	completed bool // the last step recorded the end already
	log       log.Logger
}

// errEnded ends the program when the database says that the enrollment is not live any more.
var errEnded = errors.New("the enrollment has ended")

func (e *enrollment) setup(ctx workflow.Context) error {
	e.log = log.With(workflow.GetLogger(ctx), "enrollment_id", e.EnrollmentID)
	scope, stop := workflow.WithCancel(ctx)
	e.scope = scope
	e.resumed, e.woken = workflow.GetSignalChannel(ctx, ResumeSignal), workflow.GetSignalChannel(ctx, WakeSignal)
	return workflow.SetUpdateHandler(ctx, UnenrollUpdate, func(_ workflow.Context, reason string) error {
		e.stopped = reason
		stop()
		return nil
	})
}

func (e *enrollment) run(ctx workflow.Context) (EnrollmentResult, error) {
	if e.At == nil {
		e.log.Info("enrollment started", "workflow", e.Program.Definition, "version", e.Program.Version, "user", e.UserID)
	}
	for e.position.Step != "" && e.stopped == "" {
		if e.crowded() && e.scope.Err() == nil {
			return EnrollmentResult{}, e.continueAsNew(ctx)
		}
		if err := e.attend(e.here()); err != nil && !errors.Is(err, errMoved) {
			return e.fault(ctx, nil, err)
		}
		if e.position.Step == "" {
			break
		}
		node, ok := e.Program.Node(e.position.Step)
		if !ok {
			return EnrollmentResult{}, fmt.Errorf("version %d of %s has no step %s", e.Program.Version, e.Program.Definition, e.position.Step)
		}
		next, err := e.visit(node)
		leaves, isLeaving := errors.AsType[leavesError](err)
		switch {
		case errors.Is(err, errMoved):
			e.position.Left = ""
			continue
		case errors.Is(err, errAsleep):
			return EnrollmentResult{}, e.continueAsNew(ctx)
		case isLeaving:
			return e.finish(ctx, automation.Completed, string(leaves))
		case node.Kind == automation.ExitStep:
			return e.finish(ctx, automation.Completed, node.Reason)
		case err != nil && e.rescued(node, err):
			next = *node.Rescue
		case err != nil:
			return e.fault(ctx, node, err)
		}
		e.position.Step, e.position.Left = next, ""
		if len(node.Arms) == 0 && node.Kind != automation.GotoStep && err == nil {
			e.position.Left = node.ID
		}
	}
	if e.stopped != "" {
		return e.finish(ctx, automation.Unenrolled, e.stopped)
	}
	return e.finish(ctx, automation.Completed, "")
}

// visit enters a step and returns the one that follows.
func (e *enrollment) visit(n *automation.Node) (next string, err error) {
	e.position.Visits[n.ID]++
	e.position.Inside = false
	in := StepInput{
		EnrollmentID: e.EnrollmentID, Step: n.ID, Visit: e.position.Visits[n.ID], Last: n.Next == "" && n.Rescue == nil,
		At: workflow.Now(e.scope).UTC(), Hours: e.Program.Hours, Timed: n.Timed, Attended: e.position.Attended,
	}
	switch n.Kind {
	case automation.ActionStep:
		return n.Next, e.action(n, in)
	case automation.DelayStep:
		return n.Next, e.delay(n, in)
	case automation.WaitStep:
		return n.Next, e.waitFor(n, in)
	case automation.BranchStep, automation.BranchOnStep, automation.SplitStep:
		in.Kind = n.Kind
		return e.branch(n, in)
	case automation.GotoStep:
		return n.Leads(in.Visit), nil
	default:
		return "", nil
	}
}

// rescued reports whether the enrollment goes on though a step failed for good, and records that.
func (e *enrollment) rescued(n *automation.Node, failed error) bool {
	if n.Rescue == nil || e.stopped != "" || errors.Is(failed, errEnded) || e.scope.Err() != nil {
		return false
	}
	in := FailureInput{StepInput{EnrollmentID: e.EnrollmentID, Step: n.ID, Visit: e.position.Visits[n.ID], At: workflow.Now(e.scope).UTC()}, cause(failed)}
	return local(e.scope, label(n)+" failed, the flow goes on", NoteFailureActivity, in, nil) == nil
}

// fault turns the error of a step into the end of the enrollment.
func (e *enrollment) fault(ctx workflow.Context, n *automation.Node, err error) (EnrollmentResult, error) {
	switch {
	case e.stopped != "":
		return e.finish(ctx, automation.Unenrolled, e.stopped)
	case errors.Is(err, errEnded):
		return e.finish(ctx, "", "") // how it ended, the database knows
	case ctx.Err() != nil:
		return e.finish(ctx, automation.Unenrolled, "canceled in Temporal")
	case n == nil:
		return EnrollmentResult{}, err
	default:
		return e.finish(ctx, automation.Failed, fmt.Sprintf("step %s: %s", n.ID, cause(err)))
	}
}

// cause is the innermost message of an activity's error.
func cause(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Message()
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return "gave up: " + timeout.Message()
	}
	return err.Error()
}

// finish records the end. What the database recorded before stands, so the result is what it says.
func (e *enrollment) finish(ctx workflow.Context, status automation.EnrollmentStatus, reason string) (EnrollmentResult, error) {
	result := EnrollmentResult{Status: status, Reason: reason}
	if !e.completed {
		free, _ := workflow.NewDisconnectedContext(ctx)
		in := FinishInput{EnrollmentID: e.EnrollmentID, Status: status, Reason: reason, Step: e.position.Step, At: workflow.Now(free).UTC(), Attended: e.position.Attended}
		if status == automation.Failed {
			in.Visits = e.position.Visits
		}
		err := local(free, "record the end", FinishEnrollmentActivity, in, &result)
		if err != nil {
			return result, err
		}
	}
	workflow.SetCurrentDetails(ctx, e.details("**"+string(result.Status)+"** "+result.Reason))
	e.log.Info("enrollment ended", "status", string(result.Status), "reason", result.Reason)
	return result, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

// continueAsNew starts the next run at the step that would be entered now. What is signalled
// meanwhile is not lost: Temporal refuses to end this run before it has seen every signal, each says no
// more than that the database has news, and that this is so goes along.
func (e *enrollment) continueAsNew(ctx workflow.Context) error {
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	e.nudged()
	next := e.EnrollmentInput
	next.At = &e.position
	return workflow.NewContinueAsNewError(ctx, Enrollment, next)
}

// crowded reports whether the history of the run is so long that another one should go on.
func (e *enrollment) crowded() bool { return workflow.GetInfo(e.scope).GetContinueAsNewSuggested() }

// details is the text that Temporal's Web UI shows about the enrollment.
func (e *enrollment) details(where string) string {
	return fmt.Sprintf("### %s\nUser `%s` in version %d of `%s`\n\n%s", e.Program.Title, e.UserID, e.Program.Version, e.Program.Definition, where)
}
