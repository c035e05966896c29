package workflows

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"rollcall/automation"
)

var (
	// errMoved says that the enrollment goes on where its position says.
	errMoved = errors.New("the enrollment goes on elsewhere")
	// errAsleep says that a long wait should be waited in a new run, whose history is short.
	errAsleep = errors.New("the wait goes on in a new run")
)

// leavesError is the reason for which a step's own rule ends the enrollment.
type leavesError string

func (e leavesError) Error() string { return string(e) }

// nudged reports whether a signal said that something may be wanted.
func (e *enrollment) nudged() bool {
	for e.woken.ReceiveAsync(nil) {
		e.position.Nudged = true
	}
	return e.position.Nudged
}

// attend asks, where a signal said that there may be something, what is wanted of the enrollment, and
// follows it. It returns errMoved where the position is another one afterwards.
func (e *enrollment) attend(at AttendInput) error {
	moved := false
	for e.nudged() {
		e.position.Nudged = false
		for {
			at.EnrollmentID, at.Followed, at.At = e.EnrollmentID, e.position.Attended, workflow.Now(e.scope).UTC()
			var wanted Wanted
			if err := local(e.scope, "what is wanted", AttendActivity, at, &wanted); err != nil {
				return err
			}
			if wanted.Outcome == Ended {
				return errEnded
			}
			if wanted.ID == 0 {
				break
			}
			moved = true
			if wanted.Kind == MigrateWanted {
				version := VersionAttribute.ValueSet(int64(wanted.Program.Version))
				if err := workflow.UpsertTypedSearchAttributes(e.scope, version); err != nil {
					return err
				}
			}
			if stays := e.follow(wanted, at); !stays {
				at.Step, at.Inside, at.Visit, at.After = e.position.Step, false, 0, ""
			}
		}
	}
	if moved {
		return errMoved
	}
	return nil
}

// follow moves the enrollment as an intervention says. It reports whether it stays in the step that it
// is in.
func (e *enrollment) follow(w Wanted, at AttendInput) (stays bool) {
	e.position.Attended = w.ID
	if e.position.Inside = false; at.Inside {
		e.position.Visits[at.Step] = at.Visit
	}
	switch w.Kind {
	case SkipWanted:
		n, _ := e.Program.Node(at.Step)
		e.position.Step = n.Next
	case RetryWanted:
		e.reenter(at.Step)
		return true
	case MigrateWanted:
		e.Program = *w.Program
		e.position.Step = w.Landing.Step
		if w.Landing.Stays {
			e.reenter(w.Landing.Step)
		}
		return w.Landing.Stays
	default:
		e.position.Step = w.Landing.Step
	}
	return false
}

// reenter makes the next visit of a step the same one as now.
func (e *enrollment) reenter(step string) {
	e.position.Step, e.position.Left, e.position.Inside = step, "", true
	e.position.Visits[step]--
}

// here is what attend asks between two steps, or about one that the enrollment is to enter again.
func (e *enrollment) here() AttendInput {
	p := &e.position
	if p.Inside {
		return AttendInput{Step: p.Step, Visit: p.Visits[p.Step] + 1, Inside: true}
	}
	return AttendInput{Step: p.Step, After: p.Left}
}

// inside is what attend asks about a step that the enrollment is in.
func inside(n *automation.Node, in StepInput) AttendInput {
	return AttendInput{Step: n.ID, Visit: in.Visit, Inside: true}
}

// settle waits until a future is ready, and follows meanwhile what is wanted of the enrollment: then it
// returns errMoved and whatever the future is of goes on by itself.
func (e *enrollment) settle(n *automation.Node, in StepInput, f workflow.Future) error {
	for {
		if err := workflow.Await(e.scope, func() bool { return f.IsReady() || e.nudged() }); err != nil {
			return err
		}
		if f.IsReady() {
			return nil
		}
		if err := e.attend(inside(n, in)); err != nil {
			return err
		}
	}
}
