package activities

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/postgres"
	"rollcall/workflows"
)

// maxText is how much of an error's text or of a value is kept.
const maxText = 4 << 10

// act runs an action and says to the workflow what came of it.
func (s *Set) act(ctx context.Context, kind string, run runner, in workflows.StepInput) (workflows.ActionResult, error) {
	completed, err := run(ctx, refOf(in), in.Last)
	if shut, ok := errors.AsType[*postgres.ShutError](err); ok {
		return workflows.ActionResult{Outcome: workflows.Shut, Until: shut.Until, Shown: shut.Shown}, nil
	}
	if pending, ok := errors.AsType[*postgres.PendingError](err); ok {
		return workflows.ActionResult{Outcome: workflows.Pending, Until: pending.Until, Shown: pending.Shown}, nil
	}
	outcome, err := judged(err)
	if err != nil {
		s.Metrics.failed(kind)
		return workflows.ActionResult{}, failure(err)
	}
	if outcome == workflows.Done {
		s.Metrics.done(kind)
	}
	return workflows.ActionResult{Outcome: outcome, Completed: completed}, nil
}

// refOf names the visit that an activity is to carry out.
func refOf(in workflows.StepInput) postgres.VisitRef {
	return postgres.VisitRef{EnrollmentID: in.EnrollmentID, Step: in.Step, Visit: in.Visit, At: in.At, Hours: in.Hours, Timed: in.Timed, Attended: in.Attended}
}

// judged takes the answers of the gate out of an error.
func judged(err error) (workflows.Outcome, error) {
	switch {
	case err == nil:
		return workflows.Done, nil
	case errors.Is(err, automation.ErrFinished):
		return workflows.Ended, nil
	case errors.Is(err, postgres.ErrPaused):
		return workflows.Kept, nil
	default:
		return "", err
	}
}

func notAdmitted(err error) bool {
	_, shut := errors.AsType[*postgres.ShutError](err)
	outcome, _ := judged(err)
	return shut || outcome != ""
}

// lasting is a context to write a record in: it outlives the attempt's own time, because the effect
// may have happened.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// finish writes down what an action did.
func (s *Set) finish(ctx context.Context, g *postgres.Gate, ref postgres.VisitRef, out Output, last bool) (completed bool, err error) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	version, err := s.DB.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version)
	if err == nil {
		done := out.done()
		done.Needed, done.Last, done.In = version.UsesOutputs, last, version.Number
		completed, err = s.DB.FinishVisit(ctx, ref, done)
	}
	if err != nil {
		err = fmt.Errorf("record %s: %w", ref.Step, err)
	}
	return completed, err
}

// fail writes down why an attempt failed, and returns that.
func (s *Set) fail(ctx context.Context, ref postgres.VisitRef, f postgres.Failure, failed error) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	f.Text, f.Retry = cut(failed.Error()), !permanent(failed)
	return errors.Join(failed, s.DB.FailVisit(ctx, ref, f))
}

// permanent reports whether trying an action again cannot help.
func permanent(err error) bool {
	return errors.Is(err, automation.ErrInvalid) || errors.Is(err, automation.ErrNotFound) ||
		errors.Is(err, automation.ErrConflict) || connect.IsPermanent(err)
}

// failure is an action's error in Temporal's terms. What the error says may speak of people: that stands
// in the timeline, and Temporal knows no more than its kind.
func failure(err error) error { return failureSaying(kindOf(err), err) }

func failureSaying(text string, err error) error {
	if permanent(err) {
		return temporal.NewNonRetryableApplicationError(text, workflows.FailedForGood, nil)
	}
	options := temporal.ApplicationErrorOptions{}
	if after, ok := connect.RetryAfter(err); ok {
		options.NextRetryDelay = after
	}
	return temporal.NewApplicationErrorWithOptions(text, connect.Class(err), options)
}

// kindOf says in words what kind of error it is.
func kindOf(err error) string {
	kind := connect.Class(err)
	for _, known := range []error{automation.ErrInvalid, automation.ErrNotFound, automation.ErrConflict, automation.ErrUnavailable} {
		if kind == connect.Unknown && errors.Is(err, known) {
			kind = known.Error()
		}
	}
	if kind == connect.Unknown {
		return "it failed, the timeline says more"
	}
	if code := connect.StatusCode(err); code != 0 {
		kind += " " + strconv.Itoa(code)
	}
	return "it failed (" + strings.ReplaceAll(kind, "_", " ") + "), the timeline says more"
}

// storable makes a text one that PostgreSQL takes: UTF-8 without the character U+0000.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// cut keeps the beginning of a text, at a character's edge.
func cut(text string) string {
	text = storable(text)
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && text[end]&0xc0 == 0x80 {
		end--
	}
	return text[:end] + "…"
}

func (s *Set) beginDelay(ctx context.Context, in workflows.DelayInput) (workflows.DelayResult, error) {
	ref := refOf(in.StepInput)
	wait, err := s.DB.BeginDelay(ctx, ref, in.Until)
	outcome, err := judged(err)
	if err != nil && permanent(err) {
		s.Metrics.failed(string(automation.DelayStep))
		return workflows.DelayResult{}, failure(s.fail(ctx, ref, postgres.Failure{Kind: string(automation.DelayStep)}, err))
	}
	if wait.Leave != "" {
		outcome = workflows.Leave
	}
	return workflows.DelayResult{Outcome: outcome, Until: wait.Until, Shown: wait.Shown, Reason: wait.Leave}, err
}

func (s *Set) beginWait(ctx context.Context, in workflows.WaitInput) (workflows.WaitResult, error) {
	return awaiting(s.DB.BeginWait(ctx, refOf(in.StepInput), (*time.Duration)(in.AtMost)))
}

func (s *Set) endWait(ctx context.Context, in workflows.WaitInput) (workflows.WaitResult, error) {
	return awaiting(s.DB.EndWait(ctx, refOf(in.StepInput), in.TimedUp))
}

func (s *Set) endCall(ctx context.Context, in workflows.WaitInput) (workflows.WaitResult, error) {
	result, err := awaiting(s.DB.EndCall(ctx, refOf(in.StepInput), in.TimedUp))
	if err != nil && permanent(err) {
		s.Metrics.failed(CallParams{}.Kind())
		err = failure(err)
	}
	return result, err
}

func awaiting(a postgres.Awaiting, err error) (workflows.WaitResult, error) {
	outcome, err := judged(err)
	return workflows.WaitResult{Outcome: outcome, Over: a.Over, Came: a.Came, Until: a.Until, Shown: a.Shown}, err
}

func (s *Set) attend(ctx context.Context, in workflows.AttendInput) (workflows.Wanted, error) {
	ref := postgres.VisitRef{EnrollmentID: in.EnrollmentID, Step: in.Step, Visit: in.Visit, At: in.At}
	w, err := s.DB.NextWanted(ctx, ref, in.Followed, automation.Place{Step: in.Step, Inside: in.Inside, After: in.After})
	outcome, err := judged(err)
	return workflows.Wanted{Outcome: outcome, ID: w.ID, Kind: w.Kind, Landing: w.Landing, Program: w.Program}, err
}

func (s *Set) noteFailure(ctx context.Context, in workflows.FailureInput) error {
	return s.DB.NoteFailure(ctx, refOf(in.StepInput), cut(in.Error))
}

func (s *Set) finishEnrollment(ctx context.Context, in workflows.FinishInput) (workflows.EnrollmentResult, error) {
	status, _, err := s.DB.EndEnrollment(ctx, postgres.End{ID: in.EnrollmentID, Status: in.Status, Reason: cut(in.Reason), Step: in.Step, At: in.At, Visits: in.Visits, Attended: in.Attended})
	if errors.Is(err, automation.ErrNotFound) { // its ledger row is gone with its database
		return workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "the enrollment is unknown"}, nil
	}
	result := workflows.EnrollmentResult{Status: status}
	if status == in.Status { // the reason that is recorded may speak of people
		result.Reason = in.Reason
	}
	return result, err
}
