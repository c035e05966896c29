package triggers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// errand is an enrollment that stands at an action, between a delay and a wait.
const errand = `{"id": "rest", "delay": "30d"}, {"id": "act", "action": "noop"}, {"id": "reply", "wait_for": {"event": "replied"}}, {"id": "end", "action": "noop"}`

// wants asks for an intervention.
func (b *bundle) wants(id, kind string, target ...string) (*postgres.Order, error) {
	return b.db.Intervene(b.ctx, id, postgres.Asked{Kind: kind, Target: append(target, "")[0], Actor: "ada", Reason: "in a hurry"})
}

// gets asks for an intervention that is granted.
func (b *bundle) gets(id, kind string, target ...string) *postgres.Order {
	b.t.Helper()
	order, err := b.wants(id, kind, target...)
	require.NoError(b.t, err)
	return order
}

// follow is what an enrollment has to follow that stands inside a step; it is the same when the answer
// gets lost.
func (b *bundle) follow(ref postgres.VisitRef, followed int64, place ...automation.Place) postgres.Wanted {
	b.t.Helper()
	here := append(place, automation.Place{Step: ref.Step, Inside: true})[0]
	w, err := b.db.NextWanted(b.ctx, ref, followed, here)
	require.NoError(b.t, err)
	state := b.state(ref.EnrollmentID)
	again, err := b.db.NextWanted(b.ctx, ref, followed, here)
	require.NoError(b.t, err)
	require.Equal(b.t, w, again)
	require.Equal(b.t, state, b.state(ref.EnrollmentID))
	return w
}

// state is how an enrollment stands, with its visits and interventions.
func (b *bundle) state(id string) []string {
	b.t.Helper()
	return b.texts(`
		select concat_ws(' ', status, version, step, waiting_until, reason, attempt, position) from enrollments where id = $1
		union all (select concat_ws(' ', step, visit, status, until, output, error) from visits where enrollment_id = $1 order by step, visit)
		union all (select concat_ws(' ', kind, step, visit, target, version, outcome, landing) from interventions where enrollment_id = $1 order by id)`, id)
}

// fates lists what became of the interventions in an enrollment.
func (b *bundle) fates(id string) []string {
	b.t.Helper()
	list, err := b.db.Interventions(b.ctx, id)
	require.NoError(b.t, err)
	fates := make([]string, len(list))
	for i, v := range list {
		fates[i] = v.Kind + ": " + v.Outcome
	}
	return fates
}

// fails lets an attempt of an action fail, for good or not, and the enrollment with it where it is for good.
func (b *bundle) fails(ref postgres.VisitRef, retry bool) {
	b.t.Helper()
	_, err := b.db.BeginVisit(b.ctx, ref, "noop")
	require.NoError(b.t, err)
	require.NoError(b.t, b.db.FailVisit(b.ctx, ref, postgres.Failure{Kind: "noop", Text: "no", Retry: retry}))
	if !retry {
		b.ends(ref, automation.Failed)
	}
}

func (b *bundle) ends(ref postgres.VisitRef, status automation.EnrollmentStatus) {
	b.t.Helper()
	end := postgres.End{ID: ref.EnrollmentID, Status: status, Reason: "no", Step: ref.Step, Attended: b.anew(ref).Attended}
	_, _, err := b.db.EndEnrollment(b.ctx, end)
	require.NoError(b.t, err)
}

// anew is a visit as the run of Temporal asks for it that goes on.
func (b *bundle) anew(ref postgres.VisitRef) postgres.VisitRef {
	b.t.Helper()
	position, err := b.db.PositionOf(b.ctx, ref.EnrollmentID)
	require.NoError(b.t, err)
	if position != nil {
		ref.Attended = position.Attended
	}
	return ref
}

func (b *bundle) enrollment(id string) *automation.Enrollment {
	b.t.Helper()
	e, err := b.db.Enrollment(b.ctx, id)
	require.NoError(b.t, err)
	return e
}

// standings are the ways in which an enrollment can stand; each brings one there and returns the visit
// that it is in.
var standings = map[string]func(b *bundle, in postgres.VisitRef) postgres.VisitRef{
	"pending": func(_ *bundle, in postgres.VisitRef) postgres.VisitRef { return at(in, "rest") },
	"delay": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		_, err := b.db.BeginDelay(b.ctx, at(in, "rest"), b.now().Add(30*day))
		require.NoError(b.t, err)
		return at(in, "rest")
	},
	"wait": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		b.begin(at(in, "reply"))
		return at(in, "reply")
	},
	"paused": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		_, err := b.db.Pause(b.ctx, "w")
		require.NoError(b.t, err)
		_, err = b.db.BeginVisit(b.ctx, at(in, "act"), "noop")
		require.ErrorIs(b.t, err, postgres.ErrPaused)
		return at(in, "act")
	},
	"running": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		_, err := b.db.BeginVisit(b.ctx, at(in, "act"), "noop")
		require.NoError(b.t, err)
		return at(in, "act")
	},
	"failing": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		b.fails(at(in, "act"), true)
		return at(in, "act")
	},
	"between": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		b.done(at(in, "act"))
		return at(in, "act")
	},
	"failed": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		b.fails(at(in, "act"), false)
		return at(in, "act")
	},
	"completed": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		b.ends(at(in, "end"), automation.Completed)
		return at(in, "end")
	},
	"unenrolled": func(b *bundle, in postgres.VisitRef) postgres.VisitRef {
		_, _, err := b.db.Unenroll(b.ctx, in.EnrollmentID, "no", "bob")
		require.NoError(b.t, err)
		return at(in, "end")
	},
}

func TestWhatMayBeWantedOfAnEnrollment(t *testing.T) {
	t.Parallel()
	no, over := automation.ErrConflict, automation.ErrFinished
	for name, want := range map[string][4]error{ // skip, retry, jump, unenroll
		"pending":    {no, no, nil, nil},
		"delay":      {nil, no, nil, nil},
		"wait":       {nil, no, nil, nil},
		"paused":     {nil, no, nil, nil},
		"running":    {no, no, nil, nil},
		"failing":    {nil, nil, nil, nil},
		"between":    {no, no, nil, nil},
		"failed":     {nil, nil, nil, over},
		"completed":  {over, over, over, over},
		"unenrolled": {over, over, over, over},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.flow("w", byRequest, errand)
			for i, kind := range []string{postgres.SkipStep, postgres.RetryStep, postgres.JumpToStep, postgres.TakeOut} {
				b.put("u_"+kind, nil)
				ref := standings[name](b, b.enroll("w", "u_"+kind))
				id, before := ref.EnrollmentID, b.state(ref.EnrollmentID)

				var order *postgres.Order
				var err error
				if kind == postgres.TakeOut {
					_, _, err = b.db.Unenroll(b.ctx, id, "in a hurry", "ada")
				} else {
					order, err = b.wants(id, kind, "end")
				}

				if want[i] != nil {
					require.ErrorIs(t, err, want[i], kind)
					require.NotErrorIs(t, err, map[error]error{no: over, over: automation.ErrNotFound}[want[i]], kind)
					require.Equal(t, before, b.state(id), kind)
					continue
				}
				require.NoError(t, err, kind)
				require.Equal(t, name == "failed", order != nil, kind)
				list, err := b.db.Interventions(b.ctx, id)
				require.NoError(t, err)
				require.Len(t, list, 1)
				require.Equal(t, []string{kind, "ada", "in a hurry"}, []string{list[0].Kind, list[0].Actor, list[0].Reason})
				if name == "failed" || kind == postgres.TakeOut {
					require.Equal(t, "done", list[0].Outcome)
				} else {
					require.Empty(t, list[0].Outcome)
					require.Equal(t, 1, b.wakes(id))
				}
				if name == "paused" {
					_, err := b.db.Resume(b.ctx, "w", 0)
					require.NoError(t, err)
				}
			}
		})
	}
}

func TestNothingIsWantedOfWhatThereIsNot(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest+`, "guard": {"max_per_hour": 1}`, errand)
	for _, id := range []string{"", "x", "0190b7a0-0000-7000-8000-000000000000"} {
		_, err := b.wants(id, postgres.SkipStep)
		require.ErrorIs(t, err, automation.ErrNotFound)
	}
	b.put("u_1", nil)
	b.put("u_2", nil)
	in := b.enroll("w", "u_1")
	_, err := b.wants(in.EnrollmentID, postgres.JumpToStep, "nowhere")
	require.ErrorIs(t, err, automation.ErrInvalid)
	require.Empty(t, b.fates(in.EnrollmentID))
	held := b.enroll("w", "u_2").EnrollmentID
	require.Equal(t, automation.Held, b.enrollment(held).Status)
	for _, kind := range []string{postgres.SkipStep, postgres.RetryStep, postgres.JumpToStep} {
		_, err := b.wants(held, kind, "end")
		require.ErrorIs(t, err, automation.ErrConflict)
		require.ErrorContains(t, err, "approval")
	}
	_, err = b.db.NextWanted(b.ctx, at(postgres.VisitRef{EnrollmentID: "0190b7a0-0000-7000-8000-000000000000"}, "rest"), 0, automation.Place{})
	require.ErrorIs(t, err, automation.ErrFinished)
}

func TestStepIsSkippedOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"delay", "wait", "paused", "failing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.flow("w", byRequest, errand)
			b.put("u_1", nil)
			ref := standings[name](b, b.enroll("w", "u_1"))
			id := ref.EnrollmentID
			b.gets(id, postgres.SkipStep)
			b.gets(id, postgres.SkipStep)

			first := b.follow(ref, 0)

			require.Equal(t, postgres.SkipStep, first.Kind)
			require.Equal(t, []string{ref.Step + " 1 skipped: skipped"}, b.visits(id))
			require.Nil(t, b.enrollment(id).WaitingUntil)
			require.Zero(t, b.follow(at(ref, "end"), first.ID, automation.Place{Step: "end"}))
			require.Equal(t, []string{"skip: done", "skip: the enrollment had gone on"}, b.fates(id))

			// An attempt that is under way at that moment does nothing more, and changes nothing.
			before := b.state(id)
			if name != "paused" { // there it is asked again after the pause
				gate, err := b.db.BeginVisit(b.ctx, ref, "noop")
				require.NoError(t, err)
				require.True(t, gate.Done)
			}
			require.NoError(t, b.db.FailVisit(b.ctx, ref, postgres.Failure{Kind: "noop", Text: "late", Retry: true}))
			require.Equal(t, before, b.state(id))
		})
	}
}

func TestInterventionInAStepThatHasGoneOnIsPassed(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, errand)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	b.fails(at(in, "act"), true)
	b.gets(in.EnrollmentID, postgres.RetryStep)
	b.gets(in.EnrollmentID, postgres.SkipStep)
	b.done(at(in, "act")) // the next attempt was better
	b.gets(in.EnrollmentID, postgres.JumpToStep, "rest")
	b.begin(at(in, "reply"))

	w := b.follow(at(in, "reply"), 0)

	require.Equal(t, []any{postgres.JumpToStep, automation.Landing{Step: "rest"}}, []any{w.Kind, w.Landing})
	require.Equal(t, []string{"retry: the enrollment had gone on", "skip: the enrollment had gone on", "jump: done"}, b.fates(in.EnrollmentID))
	require.Equal(t, []string{"act 1 done", "reply 1 skipped: skipped"}, b.visits(in.EnrollmentID))
	require.Zero(t, b.follow(at(in, "rest"), w.ID))
}

func TestSkippedWaitIsNotEndedByAnEvent(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, reply)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "reply")
	b.begin(ref)
	b.gets(ref.EnrollmentID, postgres.SkipStep)
	b.follow(ref, 0)
	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, []string{"reply 1 skipped: skipped"}, b.visits(ref.EnrollmentID))
	require.Equal(t, postgres.Awaiting{Over: true, Came: automation.OutcomeSkipped}, b.look(ref, true))
}

// How late an action is counts from the end of what came before it, however that ended.
func TestLatenessCountsFromTheEndOfAWait(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]func(b *bundle, in postgres.VisitRef){
		"by an event": func(b *bundle, in postgres.VisitRef) {
			b.event("", "replied", "u_1")
			b.drain()
			require.True(b.t, b.look(at(in, "reply"), false).Over)
		},
		"by a skip": func(b *bundle, in postgres.VisitRef) {
			b.gets(in.EnrollmentID, postgres.SkipStep)
			b.follow(at(in, "reply"), 0)
		},
		"by time": func(b *bundle, in postgres.VisitRef) {
			b.pass(28 * day)
			require.True(b.t, b.look(at(in, "reply"), true).Over)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.flow("w", byRequest, reply)
			b.put("u_1", nil)
			in := b.enroll("w", "u_1")
			_, err := b.db.BeginWait(b.ctx, at(in, "reply"), ptr(30*day))
			require.NoError(t, err)
			b.pass(2 * day)
			over(b, in)
			b.pass(3 * time.Hour) // nobody works
			ref := at(in, "end")
			ref.Timed = true

			gate, err := b.db.BeginVisit(b.ctx, ref, "noop")

			require.NoError(t, err)
			require.Equal(t, 3*time.Hour, gate.Late)
		})
	}
}

func TestRetryKeepsTheVisitAndTheEffectKey(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, errand+`, {"id": "again", "goto": "act", "at_most": 5}`)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	id := in.EnrollmentID
	b.done(at(in, "act", 1))
	b.done(at(in, "end", 1))
	b.fails(at(in, "act", 2), false)

	for attempt := 1; attempt <= 2; attempt++ {
		order := b.gets(id, postgres.RetryStep)

		e := b.enrollment(id)
		require.Equal(t, &postgres.Order{ID: id, Definition: "w", Version: 1, UserID: "u_1", Ordinal: 1, Attempt: attempt}, order)
		require.Equal(t, automation.Pending, e.Status)
		require.Empty(t, e.Reason)
		require.Nil(t, e.EndedAt)
		position, err := b.db.PositionOf(b.ctx, id)
		require.NoError(t, err)
		require.Equal(t, "act", position.Step)
		require.Equal(t, map[string]int{"act": 1, "end": 1}, position.Visits, "the next visit of it is the second one again")
		orders, err := b.db.ToStart(b.ctx, 10, -time.Second, -time.Second)
		require.NoError(t, err)
		require.Equal(t, []postgres.Order{*order}, orders)
		gate, err := b.db.BeginVisit(b.ctx, b.anew(at(in, "act", 2)), "noop")
		require.NoError(t, err)
		require.Equal(t, attempt+1, gate.Attempts)
		require.NoError(t, b.db.FailVisit(b.ctx, at(in, "act", 2), postgres.Failure{Kind: "noop", Text: "no"}))
		b.ends(at(in, "act", 2), automation.Failed)
	}
	require.Equal(t, []string{"act 1 done", "end 1 done", "act 2 failed"}, b.visits(id))
}

func TestFailedStepIsPassedOrJumpedOver(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, errand)
	for kind, want := range map[string]string{postgres.SkipStep: "reply", postgres.JumpToStep: "rest"} {
		b.put("u_"+kind, nil)
		in := b.enroll("w", "u_"+kind)
		b.fails(at(in, "act"), false)

		require.NotNil(t, b.gets(in.EnrollmentID, kind, "rest"))

		position, err := b.db.PositionOf(b.ctx, in.EnrollmentID)
		require.NoError(t, err)
		require.Equal(t, want, position.Step)
		require.Equal(t, map[string]int{"act": 1}, position.Visits)
		timeline, err := b.db.Timeline(b.ctx, in.EnrollmentID)
		require.NoError(t, err)
		require.Equal(t, "no", timeline[0].Error, "what was wrong stays known")
		require.Equal(t, kind == postgres.SkipStep, timeline[0].Status == automation.StepSkipped)
		require.Equal(t, kind == postgres.SkipStep, timeline[0].Output["outcome"] == "skipped")
		_, err = b.wants(in.EnrollmentID, kind, "rest")
		require.Equal(t, kind == postgres.SkipStep, err != nil, "it has not begun, so that there is nothing to skip")
	}
}

func TestFailureOfTheLastStepCanBeSkipped(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, errand)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	b.fails(at(in, "end"), false)
	b.gets(in.EnrollmentID, postgres.SkipStep)
	position, err := b.db.PositionOf(b.ctx, in.EnrollmentID)
	require.NoError(t, err)
	require.Empty(t, position.Step, "it has come to its end")
}

func TestRetryIsRefusedWhereItCannotBe(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, errand)
	for _, user := range []string{"u_anew", "u_gone", "u_nowhere"} {
		b.put(user, nil)
	}
	anew, gone, nowhere := b.enroll("w", "u_anew"), b.enroll("w", "u_gone"), b.enroll("w", "u_nowhere")
	b.fails(at(anew, "act"), false)
	b.fails(at(gone, "act"), false)
	b.ends(at(nowhere, "vanished"), automation.Failed)
	second := b.enroll("w", "u_anew")
	require.NoError(t, b.db.DeleteUser(b.ctx, "u_gone", "test"))

	for _, kind := range []string{postgres.RetryStep, postgres.SkipStep, postgres.JumpToStep} {
		for _, id := range []string{anew.EnrollmentID, gone.EnrollmentID, nowhere.EnrollmentID} {
			if id == nowhere.EnrollmentID && kind == postgres.JumpToStep {
				continue
			}
			before := b.state(id)
			_, err := b.wants(id, kind, "end")
			require.ErrorIs(t, err, automation.ErrConflict)
			require.Equal(t, id == anew.EnrollmentID, err == automation.ErrAlreadyEnrolled) //nolint:errorlint // it is that one itself
			require.Equal(t, before, b.state(id))
		}
	}
	b.ends(second, automation.Completed)
	b.gets(anew.EnrollmentID, postgres.RetryStep)
	b.gets(nowhere.EnrollmentID, postgres.JumpToStep, "end")
}

func TestEnrollmentThatBeganAnewFollowsNothingFromBefore(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, errand)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	id := in.EnrollmentID
	standings["delay"](b, in)
	b.gets(id, postgres.JumpToStep, "act")
	b.follow(at(in, "rest"), 0)
	b.fails(at(in, "act"), true)
	b.gets(id, postgres.JumpToStep, "end") // and before it could follow
	b.fails(at(in, "act"), false)

	b.gets(id, postgres.JumpToStep, "reply")

	position, err := b.db.PositionOf(b.ctx, id)
	require.NoError(t, err)
	b.begin(b.anew(at(in, "reply")))
	require.Zero(t, b.follow(at(in, "reply"), position.Attended))
	require.Equal(t, []string{"jump: done", "jump: the enrollment had failed", "jump: done"}, b.fates(id))
	b.gets(id, postgres.SkipStep)
	require.Equal(t, postgres.SkipStep, b.follow(at(in, "reply"), position.Attended).Kind)
}

func TestRunThatFailedIsLetInNowhereOnceItsEnrollmentWasBegunAnew(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(time.Hour)
	for name, ask := range map[string]func(b *bundle, ref postgres.VisitRef) error{
		"action": func(b *bundle, ref postgres.VisitRef) error {
			_, err := b.db.BeginVisit(b.ctx, ref, "noop")
			return err
		},
		"action inside": func(b *bundle, ref postgres.VisitRef) error {
			_, err := b.db.VisitInside(b.ctx, ref, "noop", true, func(*postgres.Inside) (postgres.Done, error) {
				return postgres.Done{}, nil
			})
			return err
		},
		"action in a pause": func(b *bundle, ref postgres.VisitRef) error {
			_, err := b.db.Pause(b.ctx, "w")
			require.NoError(b.t, err)
			_, err = b.db.BeginVisit(b.ctx, ref, "noop")
			return err
		},
		"delay": func(b *bundle, ref postgres.VisitRef) error {
			_, err := b.db.BeginDelay(b.ctx, ref, until)
			return err
		},
		"wait": func(b *bundle, ref postgres.VisitRef) error {
			_, err := b.db.BeginWait(b.ctx, ref, nil)
			return err
		},
		"call": func(b *bundle, ref postgres.VisitRef) error { return b.db.Suspend(b.ctx, ref, until, "called") },
		"answer": func(b *bundle, ref postgres.VisitRef) error {
			_, err := b.db.EndCall(b.ctx, ref, true)
			return err
		},
		"what is wanted": func(b *bundle, ref postgres.VisitRef) error {
			_, err := b.db.NextWanted(b.ctx, ref, ref.Attended, automation.Place{Step: ref.Step})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.flow("w", byRequest, errand)
			b.put("u_1", nil)
			ref := at(b.enroll("w", "u_1"), "act")
			b.fails(ref, false)
			b.gets(ref.EnrollmentID, postgres.RetryStep)

			require.ErrorIs(t, ask(b, ref), automation.ErrFinished)

			require.Equal(t, automation.Pending, b.enrollment(ref.EnrollmentID).Status, "it can be started")
			err := ask(b, b.anew(ref))
			require.NotErrorIs(t, err, automation.ErrFinished, "the run that goes on is let in")
		})
	}
}

func TestEnrollmentThatBeganAnewIsNeitherTakenForLostNorStartedForEver(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest, errand)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	b.fails(at(in, "act"), false)
	b.pass(30 * day)
	b.gets(in.EnrollmentID, postgres.RetryStep)
	b.pass(time.Minute)
	checks, err := b.db.ToCheck(b.ctx, 10, 10*time.Minute)
	require.NoError(t, err)
	require.Empty(t, checks, "Temporal has the run that failed, and not yet the other one")
	starts := func() int {
		orders, err := b.db.ToStart(b.ctx, 10, time.Second, 2*time.Minute)
		require.NoError(t, err)
		return len(orders)
	}
	require.Equal(t, 1, starts())
	require.NoError(t, b.db.MarkHanded(b.ctx, []postgres.Order{{ID: in.EnrollmentID}}))
	require.Equal(t, 1, starts(), "that was the run that failed")
	require.NoError(t, b.db.MarkHanded(b.ctx, []postgres.Order{{ID: in.EnrollmentID, Attempt: 1}}))
	require.Zero(t, starts(), "Temporal has it")
	b.pass(time.Hour) // during which the workflow is paused, perhaps
	require.Equal(t, 1, starts())
	checks, err = b.db.ToCheck(b.ctx, 10, 10*time.Minute)
	require.NoError(t, err)
	require.Len(t, checks, 1)
}

func TestConditionsToLeaveOfARetiredVersionActAgainAfterARetry(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest+`, "unenroll": {"when": `+titled+`}`, errand)
	b.put("u_1", nil)
	b.put("u_2", map[string]any{"job_title": "x"})
	in := b.enroll("w", "u_1")
	b.fails(at(in, "act"), false)
	b.flow("w", byRequest, `{"id": "other", "action": "noop"}`)
	b.put("u_1", map[string]any{"phone": "1"})
	b.drain()
	epoch := b.count(`select epoch from publication`)

	b.gets(in.EnrollmentID, postgres.RetryStep)

	require.Equal(t, epoch+1, b.count(`select epoch from publication`))
	b.put("u_1", map[string]any{"job_title": "x"})
	b.drain()
	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_1"))
}

func TestRetryIsRefusedWhileAConditionKeepsTheUserOut(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest+`, "unenroll": {"when": `+titled+`}`, errand)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	b.fails(at(in, "act"), false)
	b.put("u_1", map[string]any{"job_title": "x"})
	b.drain()

	_, err := b.wants(in.EnrollmentID, postgres.RetryStep)

	require.ErrorIs(t, err, automation.ErrSuppressed)
	b.put("u_1", map[string]any{"job_title": nil})
	b.gets(in.EnrollmentID, postgres.RetryStep)
}

func TestRetryIsAPassageToThoseWhoAskAboutIt(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, errand)
	b.flow("watch", `"triggers": [{"filter": {"workflow": "w", "op": "active"}}]`+again, `{"id": "s", "action": "noop"}`)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	b.drain()
	b.finish("watch", "u_1")
	b.fails(at(in, "act"), false)
	b.drain()

	b.gets(in.EnrollmentID, postgres.RetryStep)
	b.drain()

	require.Equal(t, []string{"completed", "pending"}, b.passages("watch", "u_1"))
}

// moved publishes another version, to which everybody moves.
func (b *bundle) moved(steps string, mapping map[string]string) *postgres.Publication {
	b.t.Helper()
	return b.flow("w", byRequest, steps, postgres.Migration{Migrate: true, Mapping: mapping, Actor: "ada"})
}

func TestMigrationMovesEveryEnrollment(t *testing.T) {
	t.Parallel()
	const other = `{"id": "act", "action": "noop", "title": "another"}, {"id": "more", "action": "noop"}, {"id": "reply", "wait_for": {"event": "replied", "at_most": "9d"}}`
	mapping := map[string]string{"rest": "more"}
	for name, c := range map[string]struct {
		place   automation.Place
		landing automation.Landing
		visits  []string
	}{
		"pending": {automation.Place{Step: "rest"}, automation.Landing{Step: "more"}, []string{}},
		"delay":   {automation.Place{Step: "rest", Inside: true}, automation.Landing{Step: "more"}, []string{"rest 1 skipped: skipped"}},
		"wait":    {automation.Place{Step: "reply", Inside: true}, automation.Landing{Step: "reply", Stays: true}, []string{"reply 1 waiting"}},
		"paused":  {automation.Place{Step: "act", Inside: true}, automation.Landing{Step: "act", Stays: true}, []string{"act 1 held"}},
		"failing": {automation.Place{Step: "act", Inside: true}, automation.Landing{Step: "act", Stays: true}, []string{"act 1 running"}},
		"between": {automation.Place{Step: "reply", After: "act"}, automation.Landing{Step: "more"}, []string{"act 1 done"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.flow("w", byRequest, errand)
			b.put("u_1", nil)
			ref := standings[name](b, b.enroll("w", "u_1"))
			b.pass(day)
			b.moved(other, mapping)
			require.Equal(t, 1, b.wakes(ref.EnrollmentID))
			require.Equal(t, 1, b.enrollment(ref.EnrollmentID).Version, "until it has seen it")

			w := b.follow(ref, 0, c.place)

			require.Equal(t, c.landing, w.Landing)
			require.Equal(t, 2, w.Program.Version)
			require.Equal(t, 2, b.enrollment(ref.EnrollmentID).Version)
			require.Equal(t, c.visits, b.visits(ref.EnrollmentID))
			list, err := b.db.Interventions(b.ctx, ref.EnrollmentID)
			require.NoError(t, err)
			require.Equal(t, []any{"migrate", 2, "ada", "done"}, []any{list[0].Kind, *list[0].Version, list[0].Actor, list[0].Outcome})
			if name == "wait" {
				a, err := b.db.BeginWait(b.ctx, ref, ptr(9*day))
				require.NoError(t, err)
				require.Equal(t, monday.Add(9*day), a.Until, "its end is found anew, from when it began")
				require.Equal(t, monday.Add(9*day), b.enrollment(ref.EnrollmentID).WaitingUntil.UTC())
			}
		})
	}
}

func TestWhatIsWaitedForFollowsAMigration(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest, reply)
	b.put("u_1", map[string]any{"job_title": "x"})
	b.put("u_2", nil)
	one, two := at(b.enroll("w", "u_1"), "reply"), at(b.enroll("w", "u_2"), "reply")
	b.begin(one)
	b.begin(two)
	b.moved(`{"id": "reply", "wait_for": {"any": [{"event": "answered"}, {"filter": `+titled+`}]}}`, nil)
	require.True(t, b.follow(one, 0).Landing.Stays)
	require.True(t, b.follow(two, 0).Landing.Stays)
	require.False(t, b.begin(two).Over)

	b.event("", "replied", "u_2")
	b.settle()
	require.Equal(t, happened, b.look(one, false), "what holds already has happened")
	require.False(t, b.look(two, false).Over)
	b.event("", "answered", "u_2")
	b.drain()
	require.Equal(t, happened, b.look(two, false))
}

func TestMigrationToAVersionThatWasReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, reply)
	b.put("u_1", nil)
	b.put("u_2", nil)
	one, two := at(b.enroll("w", "u_1"), "reply"), at(b.enroll("w", "u_2"), "reply")
	b.begin(one)
	b.begin(two)
	b.flow("w", byRequest+`, "unenroll": {"when": `+titled+`}`, `{"id": "reply", "wait_for": {"event": "answered"}}`, postgres.Migration{Migrate: true})
	b.flow("w", byRequest, `{"id": "other", "action": "noop"}`) // before they followed
	b.put("u_1", map[string]any{"phone": "1"})
	b.drain()

	require.Equal(t, 2, b.follow(one, 0).Program.Version)
	require.Equal(t, 2, b.follow(two, 0).Program.Version)

	b.event("", "answered", "u_1")
	b.put("u_2", map[string]any{"job_title": "x"})
	b.drain()
	require.Equal(t, happened, b.look(one, false))
	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_2"))
}

func TestConditionsToLeaveOfTheOtherVersionAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest+`, "guard": {"max_per_hour": 1}`, errand)
	b.put("u_1", map[string]any{"job_title": "x"})
	b.put("u_2", map[string]any{"job_title": "x"})
	ref := standings["delay"](b, b.enroll("w", "u_1"))
	b.enroll("w", "u_2")
	require.Equal(t, []string{"held"}, b.passages("w", "u_2"))

	b.flow("w", byRequest+`, "unenroll": {"when": `+titled+`}`, errand, postgres.Migration{Migrate: true})
	b.settle()

	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_2"), "who has not begun is moved at once")
	require.Equal(t, []string{"active"}, b.passages("w", "u_1"))
	b.follow(ref, 0)
	b.settle()
	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_1"))
	_, err := b.db.NextWanted(b.ctx, ref, 0, automation.Place{Step: "rest", Inside: true})
	require.ErrorIs(t, err, automation.ErrFinished)
}

func TestSeveralMigrationsAreFollowedInTheirOrder(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, `{"id": "a", "delay": "1d"}`)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "a")
	_, err := b.db.BeginDelay(b.ctx, ref, time.Now().Add(day))
	require.NoError(t, err)
	b.moved(`{"id": "b", "delay": "1d"}`, map[string]string{"a": "b"})
	b.moved(`{"id": "c", "delay": "1d"}`, map[string]string{"b": "c"})

	first := b.follow(ref, 0)
	require.Equal(t, automation.Landing{Step: "b"}, first.Landing)
	second := b.follow(at(ref, "b"), first.ID, automation.Place{Step: "b"})
	require.Equal(t, automation.Landing{Step: "c"}, second.Landing)
	require.Equal(t, 3, b.enrollment(ref.EnrollmentID).Version)
	require.Zero(t, b.follow(at(ref, "c"), second.ID))
}

func TestDryRunSaysWhatAMigrationDoesAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest+`, "guard": {"max_per_hour": 10}`, errand)
	for _, name := range []string{"pending", "delay", "wait", "failing", "failed", "completed"} {
		b.put("u_"+name, nil)
		standings[name](b, b.enroll("w", "u_"+name))
	}
	b.draft("w", byRequest, `{"id": "act", "action": "noop"}, {"id": "more", "action": "noop"}`)
	everything := func() []string {
		var all []string
		for _, table := range []string{"enrollments", "visits", "interventions", "commands", "versions", "definitions", "publication", "memberships", "work_items"} {
			all = append(all, b.texts(`select xmin || ' ' || t::text from `+table+` t order by 1`)...)
		}
		return all
	}
	before := everything()

	p, err := b.db.Foresee(b.ctx, "w", postgres.Migration{Migrate: true, Mapping: map[string]string{"rest": "more"}})
	require.NoError(t, err)
	want := []postgres.InFlight{
		{Version: 1, Count: 1, Then: "moves", To: "more"},
		{Version: 1, Step: "act", Count: 1, Then: "stays"},
		{Version: 1, Step: "reply", Waits: true, Count: 1, Then: "completes"},
		{Version: 1, Step: "rest", Waits: true, Count: 1, Then: "moves", To: "more"},
	}
	require.Equal(t, want, p.InFlight)
	require.Equal(t, []any{2, true}, []any{p.Version, p.Changed})
	finishes, err := b.db.Foresee(b.ctx, "w", postgres.Migration{})
	require.NoError(t, err)
	for _, g := range finishes.InFlight {
		require.Equal(t, "finishes", g.Then)
	}
	_, err = b.db.Foresee(b.ctx, "w", postgres.Migration{Migrate: true, Mapping: map[string]string{"rest": "nowhere"}})
	require.ErrorIs(t, err, automation.ErrInvalid)
	require.Equal(t, before, everything())

	done, err := b.db.Publish(b.ctx, "w", postgres.Existing{}, postgres.Migration{Migrate: true, Mapping: map[string]string{"rest": "more"}})
	require.NoError(t, err)
	require.Equal(t, want, done.InFlight, "and so it comes")
	require.Equal(t, 4, b.count(`select count(*) from interventions`), "who has ended stays where he was")
}

func TestArchivingTakesEverybodyOut(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest+`, "guard": {"max_per_hour": 5}`, errand)
	b.flow("watch", `"triggers": [{"filter": {"workflow": "w", "op": "enrolled"}}, {"filter": {"not": {"workflow": "w", "op": "active"}}}]`+again, `{"id": "s", "action": "noop"}`)
	ids := map[string]string{}
	for _, name := range []string{"delay", "failed", "failing", "pending", "wait"} {
		b.put("u_"+name, nil)
		ids[name] = standings[name](b, b.enroll("w", "u_"+name)).EnrollmentID
	}
	b.put("u_held", nil)
	ids["held"] = b.enroll("w", "u_held").EnrollmentID
	b.drain()

	_, err := b.db.Archive(b.ctx, "w", true)

	require.NoError(t, err)
	b.drain()
	for name, id := range ids {
		e := b.enrollment(id)
		if name == "failed" {
			require.Equal(t, automation.Failed, e.Status)
			continue
		}
		require.Equal(t, []any{automation.Unenrolled, "the workflow was archived"}, []any{e.Status, e.Reason}, name)
		for _, v := range b.visits(id) {
			require.Contains(t, v, "stopped")
		}
		require.Equal(t, []string{"unenroll"}, b.texts(`select kind from commands where enrollment_id = $1`, id), name)
		_, err := b.wants(id, postgres.JumpToStep, "end")
		require.ErrorIs(t, err, automation.ErrFinished)
	}
	require.Zero(t, b.count(`select count(*) from visits where status in ('waiting', 'held', 'running')`))
}

func TestResumptionSpreadsWhatWasHeld(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest, errand)
	_, err := b.db.Pause(b.ctx, "w")
	require.NoError(t, err)
	each(25, func(user string) {
		b.put(user, nil)
		in := b.enroll("w", user)
		b.pass(time.Second)
		_, err := b.db.BeginVisit(b.ctx, at(in, "act"), "noop")
		require.ErrorIs(t, err, postgres.ErrPaused)
	})

	_, err = b.db.Resume(b.ctx, "w", 10)

	require.NoError(t, err)
	var sizes []int
	var order []string
	for range 4 {
		list, err := b.db.Commands(b.ctx, 100)
		require.NoError(t, err)
		sizes = append(sizes, len(list))
		for _, c := range list {
			require.Equal(t, "resume", c.Kind)
			order = append(order, b.enrollment(c.EnrollmentID).UserID)
			require.NoError(t, b.db.CommandDone(b.ctx, c.ID))
		}
		b.pass(time.Second)
	}
	require.Equal(t, []int{10, 10, 5, 0}, sizes)
	require.True(t, slices.IsSorted(order), "who began first goes on first")
	_, err = b.db.Resume(b.ctx, "w", 10)
	require.NoError(t, err)
	require.Zero(t, b.count(`select count(*) from commands`), "once")
}
