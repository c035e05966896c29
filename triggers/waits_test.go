package triggers_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// byRequest is the head of a workflow that enrolls on request, as often as it is asked to.
const byRequest = `"triggers": [{"manual": true}]` + again

// flow publishes a definition of these steps, and lets those who are in it finish or migrate.
func (b *bundle) flow(name, head, steps string, inFlight ...postgres.Migration) *postgres.Publication {
	b.t.Helper()
	b.draft(name, head, steps)
	p, err := b.db.Publish(b.ctx, name, postgres.Existing{}, append(inFlight, postgres.Migration{})[0])
	require.NoError(b.t, err)
	return p
}

func (b *bundle) draft(name, head, steps string) {
	b.t.Helper()
	d, err := automation.ParseDocument(fmt.Appendf(nil, `{"name": %q, %s, "steps": [%s]}`, name, head, steps))
	require.NoError(b.t, err)
	_, _, err = b.db.SaveDraft(b.ctx, d, "")
	require.NoError(b.t, err)
}

// at is a visit of a step.
func at(in postgres.VisitRef, step string, visit ...int) postgres.VisitRef {
	in.Step, in.Visit = step, append(visit, 1)[0]
	return in
}

// begin enters a wait without end.
func (b *bundle) begin(ref postgres.VisitRef) postgres.Awaiting {
	b.t.Helper()
	a, err := b.db.BeginWait(b.ctx, ref, nil)
	require.NoError(b.t, err)
	return a
}

// look asks how a wait stands, and times it out where its time is up.
func (b *bundle) look(ref postgres.VisitRef, timeUp bool) postgres.Awaiting {
	b.t.Helper()
	a, err := b.db.EndWait(b.ctx, ref, timeUp)
	require.NoError(b.t, err)
	return a
}

// done does an action.
func (b *bundle) done(ref postgres.VisitRef) {
	b.t.Helper()
	gate, err := b.db.BeginVisit(b.ctx, ref, "noop")
	require.NoError(b.t, err)
	if !gate.Done {
		_, err = b.db.FinishVisit(b.ctx, ref, postgres.Done{})
		require.NoError(b.t, err)
	}
}

// visits lists the timeline of an enrollment: step, visit, status and, where there is one, the outcome.
func (b *bundle) visits(id string) []string {
	b.t.Helper()
	timeline, err := b.db.Timeline(b.ctx, id)
	require.NoError(b.t, err)
	list := make([]string, len(timeline))
	for i, v := range timeline {
		list[i] = fmt.Sprintf("%s %d %s", v.Step, v.Visit, v.Status)
		if outcome, ok := v.Output["outcome"]; ok {
			list[i] += fmt.Sprint(": ", outcome)
		}
	}
	return list
}

// output is what a step gave, in its last visit.
func (b *bundle) output(id, step string) map[string]any {
	b.t.Helper()
	timeline, err := b.db.Timeline(b.ctx, id)
	require.NoError(b.t, err)
	var output map[string]any
	for _, v := range timeline {
		if v.Step == step {
			output = v.Output
		}
	}
	return output
}

// wakes counts the commands to look into the database that wait for an enrollment.
func (b *bundle) wakes(id string) int {
	b.t.Helper()
	return b.count(`select count(*) from commands where kind = 'wake' and enrollment_id = $1`, id)
}

func ptr[T any](v T) *T { return &v }

var happened = postgres.Awaiting{Over: true, Came: automation.OutcomeHappened}

const reply = `{"id": "reply", "wait_for": {"event": "replied"}}, {"id": "end", "action": "noop"}`

func TestOnlyWhatIsReceivedAfterTheWaitBeganCounts(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, reply)
	b.put("u_1", nil)
	b.event("", "replied", "u_1")
	ref := at(b.enroll("w", "u_1"), "reply")
	b.event("", "replied", "u_1") // committed right before

	require.False(t, b.begin(ref).Over)

	b.drain()
	require.False(t, b.look(ref, false).Over, "both came before")
	require.Zero(t, b.wakes(ref.EnrollmentID))
	b.send(automation.Event{Name: "replied", UserID: "u_1", OccurredAt: time.Now().Add(-time.Hour), Properties: map[string]any{"score": 7.0}})
	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, happened, b.look(ref, false), "when it was received counts")
	require.Equal(t, happened, b.look(ref, true), "and nothing after that")
	require.Equal(t, happened, b.begin(ref), "nor does asking again begin anew")
	require.Equal(t, []string{"reply 1 done: happened"}, b.visits(ref.EnrollmentID))
	require.InDelta(t, 7.0, b.output(ref.EnrollmentID, "reply")["event"].(map[string]any)["score"], 0, "the first one ended it")
	require.Equal(t, 1, b.wakes(ref.EnrollmentID))
}

func TestEventThatIsCommittedWhileTheWaitBeginsIsBeforeIt(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, reply)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "reply")
	late, err := b.raw.Begin(b.ctx)
	require.NoError(t, err)
	_, err = late.Exec(b.ctx, `select from users where id = 'u_1' for update`)
	require.NoError(t, err)
	_, err = late.Exec(b.ctx, `
		insert into work_items (user_id, epoch, properties, changed, events)
		select 'u_1', epoch, '{}', '{}', '[{"id": "late", "name": "replied", "user_id": "u_1"}]' from publication`)
	require.NoError(t, err)
	begun := make(chan postgres.Awaiting, 1)
	go func() {
		a, err := b.db.BeginWait(b.ctx, ref, nil)
		if err != nil {
			t.Errorf("begin: %s", err)
		}
		begun <- a
	}()
	waitForLock(t, b, 1)

	require.NoError(t, late.Commit(b.ctx))

	require.False(t, (<-begun).Over)
	b.drain()
	require.False(t, b.look(ref, false).Over)
	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, happened, b.look(ref, false))
}

func TestWaitAsksAboutTheUserAndTheEventAtThatMoment(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, `{"id": "reply", "wait_for": {"event": "replied", "where": {"all": [
		{"property": "job_title", "op": "equals", "value": "lead"},
		{"event_property": "score", "op": "at_least", "value": 5}]}}}`)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "reply")
	b.begin(ref)
	scored := func(score float64) {
		b.send(automation.Event{Name: "replied", UserID: "u_1", Properties: map[string]any{"score": score}})
	}
	scored(9)
	b.put("u_1", map[string]any{"job_title": "Lead"})
	scored(4)
	b.put("u_1", map[string]any{"job_title": nil})
	scored(8)
	b.drain()
	require.False(t, b.look(ref, false).Over)

	b.put("u_1", map[string]any{"job_title": "lead"})
	scored(6)
	b.put("u_1", map[string]any{"job_title": nil}) // too late
	b.drain()

	require.Equal(t, happened, b.look(ref, false))
	event := b.output(ref.EnrollmentID, "reply")["event"].(map[string]any)
	require.InDelta(t, 6.0, event["score"], 0)
	require.Equal(t, "replied", event["name"])
}

func TestFirstOfSeveralThingsEndsTheWait(t *testing.T) {
	t.Parallel()
	const several = `{"id": "any", "wait_for": {"any": [{"event": "replied"}, {"filter": ` + titled + `}, {"event": "left"},
		{"event": "replied", "where": {"event_property": "score", "op": "known"}}]}}`
	for name, c := range map[string]struct {
		happens func(b *bundle)
		which   float64
		event   bool
	}{
		"the first event": {func(b *bundle) { b.event("", "replied", "u_1") }, 0, true},
		"the condition":   {func(b *bundle) { b.put("u_1", map[string]any{"job_title": "x"}) }, 1, false},
		"another event":   {func(b *bundle) { b.event("", "left", "u_1"); b.event("", "replied", "u_1") }, 2, true},
		"the first of two that the event is": {func(b *bundle) {
			b.send(automation.Event{Name: "replied", UserID: "u_1", Properties: map[string]any{"score": 1.0}})
		}, 0, true},
		"an event where a condition is later": {func(b *bundle) { b.event("", "left", "u_1"); b.put("u_1", map[string]any{"job_title": "x"}) }, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.flow("w", byRequest, several)
			b.put("u_1", nil)
			ref := at(b.enroll("w", "u_1"), "any")
			require.False(t, b.begin(ref).Over)
			b.event("", "unheard", "u_1")

			c.happens(b)
			b.drain()

			require.Equal(t, happened, b.look(ref, false))
			output := b.output(ref.EnrollmentID, "any")
			require.InDelta(t, c.which, output["which"], 0)
			require.Equal(t, c.event, output["event"] != nil)
			require.Equal(t, 1, b.wakes(ref.EnrollmentID))
		})
	}
}

func TestConditionThatHoldsEndsTheWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		filter  string
		happens func(b *bundle)
	}{
		"by a change":             {titled, func(b *bundle) { b.put("u_1", map[string]any{"job_title": "x"}) }},
		"by an event":             {`{"event": "login", "op": "at_least", "count": 2, "within": "7d"}`, func(b *bundle) { b.event("", "login", "u_1") }},
		"by entering":             {`{"workflow": "other", "op": "active"}`, func(b *bundle) { b.enroll("other", "u_1") }},
		"by finishing":            {`{"workflow": "mine", "op": "completed"}`, func(b *bundle) { b.finish("mine", "u_1") }},
		"by time":                 {`{"property": "last_active_at", "op": "before", "value": "now-30d"}`, func(b *bundle) { b.pass(30*day + time.Hour) }},
		"for a while that passed": {pastMonth, func(b *bundle) { b.pass(45 * day) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.flow("mine", byRequest, `{"id": "s", "action": "noop"}`)
			b.flow("other", byRequest, `{"id": "s", "action": "noop"}`)
			b.flow("w", byRequest, `{"id": "hold", "wait_for": {"filter": `+c.filter+`}}`)
			b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
			b.event("", "login", "u_1")
			b.enroll("mine", "u_1")
			b.settle()
			ref := at(b.enroll("w", "u_1"), "hold")
			require.False(t, b.begin(ref).Over)
			b.put("u_1", map[string]any{"phone": "1"})
			b.settle()
			require.False(t, b.look(ref, false).Over)

			c.happens(b)
			b.settle()

			require.Equal(t, happened, b.look(ref, false))
			require.Equal(t, []string{"hold 1 done: happened"}, b.visits(ref.EnrollmentID))
			again := at(ref, "hold", 2)
			require.Equal(t, name != "for a while that passed", b.begin(again).Over, "what holds already has happened")
		})
	}
}

func TestTimeAloneEndsAWaitWhateverIsEvaluatedLate(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest, `{"id": "quiet", "wait_for": {"filter": `+inactive+`}}`)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "quiet")
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.begin(ref)
	b.drain() // what happened before the wait is evaluated only now

	b.later(30*day + time.Second)

	require.Equal(t, happened, b.look(ref, false))
}

func TestWaitThatBeginsDoesNotHideWhatTimeHasMadeDue(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest+`, "unenroll": {"when": `+inactive+`}`, `{"id": "hold", "wait_for": {"filter": `+titled+`}}`)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.put("u_2", map[string]any{"last_active_at": b.instant(0)})
	first, second := at(b.enroll("w", "u_1"), "hold"), at(b.enroll("w", "u_2"), "hold")
	b.drain()
	b.pass(31 * day) // and the clock has not rung yet
	b.begin(first)
	b.begin(second)

	b.settle()

	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_1"))
	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_2"))
}

func TestLeavingWinsOverTheEndOfAWait(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest+`, "unenroll": {"when": `+titled+`}`, `{"id": "hold", "wait_for": {"any": [{"filter": `+titled+`}, {"event": "user.updated"}]}}`)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "hold")
	b.begin(ref)

	b.put("u_1", map[string]any{"job_title": "x"})
	b.drain()

	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_1"))
	require.Equal(t, []string{"hold 1 stopped"}, b.visits(ref.EnrollmentID))
	_, err := b.db.EndWait(b.ctx, ref, true)
	require.ErrorIs(t, err, automation.ErrFinished)
	_, err = b.db.BeginWait(b.ctx, ref, nil)
	require.ErrorIs(t, err, automation.ErrFinished)
	require.Zero(t, b.wakes(ref.EnrollmentID))
}

func TestOneEventEndsOnlyTheFirstOfTwoWaits(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, `{"id": "one", "wait_for": {"event": "replied"}}, {"id": "two", "wait_for": {"event": "replied"}}, {"id": "back", "goto": "one"}`)
	b.put("u_1", nil)
	in := b.enroll("w", "u_1")
	b.begin(at(in, "one"))
	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, happened, b.look(at(in, "one"), false))
	require.False(t, b.begin(at(in, "two")).Over)
	b.drain()
	require.False(t, b.look(at(in, "two"), false).Over)
	b.event("", "replied", "u_1")
	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, happened, b.look(at(in, "two"), false))

	require.False(t, b.begin(at(in, "one", 2)).Over, "entered once more, it waits anew")

	b.drain()
	require.False(t, b.look(at(in, "one", 2), false).Over)
	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, happened, b.look(at(in, "one", 2), false))
	require.Equal(t, []string{"one 1 done: happened", "two 1 done: happened", "one 2 done: happened"}, b.visits(in.EnrollmentID))
}

func TestTwoWorkflowsWaitForTheSameEvent(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("a", byRequest, reply)
	b.flow("b", byRequest, reply)
	b.put("u_1", nil)
	one, two := at(b.enroll("a", "u_1"), "reply"), at(b.enroll("b", "u_1"), "reply")
	b.begin(one)
	b.begin(two)
	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, happened, b.look(one, false))
	require.Equal(t, happened, b.look(two, false))
}

// What precedes a wait may be carried out twice: when the worker dies before Temporal has heard that it
// was done, another one does all of the task again.
func TestWaitOutlivesARepetitionOfWhatCameBeforeIt(t *testing.T) {
	t.Parallel()
	const rule = `{"id": "before", "delay": {"until": {"property": "last_active_at"}}}`
	for name, c := range map[string]struct {
		step   string
		repeat func(b *bundle, ref postgres.VisitRef)
	}{
		"an action": {`{"id": "before", "action": "noop"}`, (*bundle).done},
		"an action that failed": {`{"id": "before", "action": "noop", "on_error": "continue"}`, func(b *bundle, ref postgres.VisitRef) {
			_, err := b.db.BeginVisit(b.ctx, ref, "noop")
			require.NoError(b.t, err)
			require.NoError(b.t, b.db.FailVisit(b.ctx, ref, postgres.Failure{Kind: "noop", Text: "no"}))
			require.NoError(b.t, b.db.NoteFailure(b.ctx, ref, "no"))
		}},
		"a branch": {`{"id": "before", "branch": [{"if": ` + titled + `}, {"else": true}]}`, func(b *bundle, ref postgres.VisitRef) {
			_, _, err := b.db.TakeBranch(b.ctx, ref, "branch", func(postgres.Choice) (int, error) { return 0, nil })
			require.NoError(b.t, err)
		}},
		"a delay of nothing": {`{"id": "before", "delay": 0}`, func(b *bundle, ref postgres.VisitRef) {
			_, err := b.db.BeginDelay(b.ctx, ref, b.now())
			require.NoError(b.t, err)
		}},
		"a delay until a date that is past": {rule, func(b *bundle, ref postgres.VisitRef) {
			_, err := b.db.BeginDelay(b.ctx, ref, time.Time{})
			require.NoError(b.t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.flow("w", byRequest, c.step+`, {"id": "hold", "wait_for": {"any": [{"event": "replied"}, {"filter": `+inactive+`}], "at_most": "60d"}}`)
			b.put("u_1", map[string]any{"last_active_at": b.instant(-day)})
			in := b.enroll("w", "u_1")
			c.repeat(b, at(in, "before"))
			first, err := b.db.BeginWait(b.ctx, at(in, "hold"), ptr(60*day))
			require.NoError(t, err)
			b.settle()
			b.pass(time.Second)

			c.repeat(b, at(in, "before"))
			second, err := b.db.BeginWait(b.ctx, at(in, "hold"), ptr(60*day))

			require.NoError(t, err)
			require.Equal(t, first, second)
			b.put("u_1", map[string]any{"phone": "1"})
			b.settle()
			e, err := b.db.Enrollment(b.ctx, in.EnrollmentID)
			require.NoError(t, err)
			require.Equal(t, "hold", e.Step)
			require.Equal(t, first.Until, e.WaitingUntil.UTC())
			require.Equal(t, []string{"hold"}, b.texts(`select step from visits where status = 'waiting'`))
			b.later(29 * day)
			require.Equal(t, happened, b.look(at(in, "hold"), false))
		})
	}
}

func TestWaitThatFailedWithItsTemporalWorkflowWaitsAgainAfterARetry(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, reply)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "reply")
	b.begin(ref)
	_, _, err := b.db.EndEnrollment(b.ctx, postgres.End{ID: ref.EnrollmentID, Status: automation.Failed, Reason: "lost"})
	require.NoError(t, err)
	b.event("", "replied", "u_1")
	b.drain()
	_, err = b.db.Intervene(b.ctx, ref.EnrollmentID, postgres.Asked{Kind: postgres.RetryStep})
	require.NoError(t, err)

	ref = b.anew(ref)
	require.False(t, b.begin(ref).Over)

	b.event("", "replied", "u_1")
	b.drain()
	require.Equal(t, happened, b.look(ref, false))
}

// race is many enrollments, each in a wait, to whose users several things happen at the same time while
// pumps run.
type race struct {
	*bundle
	name string
}

// jitter passes a little time that is never the same.
func (r *race) jitter(upTo int) {
	for range rand.IntN(upTo) {
		if err := r.db.Ping(r.ctx); err != nil {
			r.t.Errorf("ping: %s", err)
		}
	}
}

// times runs one contest for each of so many users, several at a time, while pumps run.
func (r *race) times(n int, contest func(user string)) {
	r.t.Helper()
	const parallel = 8
	var pumps, contests sync.WaitGroup
	stop := make(chan struct{})
	r.keepPumping(&pumps, stop)
	for k := range parallel {
		contests.Go(func() {
			for i := k; i < n; i += parallel {
				user := fmt.Sprintf("%s_%d", r.name, i)
				if _, _, err := r.db.UpsertUser(r.ctx, user, nil, "test"); err != nil {
					r.t.Errorf("user: %s", err)
				}
				contest(user)
			}
		})
	}
	contests.Wait()
	close(stop)
	pumps.Wait()
}

// in enrolls a user who enters the wait.
func (r *race) in(user string) postgres.VisitRef {
	e, _, err := r.db.Enroll(r.ctx, "w", user)
	if err != nil {
		r.t.Errorf("enroll: %s", err)
		return postgres.VisitRef{}
	}
	ref := postgres.VisitRef{EnrollmentID: e.ID, Step: "reply", Visit: 1}
	r.must(r.db.BeginWait(r.ctx, ref, ptr(time.Hour)))
	return ref
}

func (r *race) must(a postgres.Awaiting, err error) postgres.Awaiting {
	if err != nil {
		r.t.Errorf("wait: %s", err)
	}
	return a
}

func (r *race) replied(user string) {
	receipts, err := r.db.AppendEvents(r.ctx, []automation.Event{{Name: "replied", UserID: user}})
	if err != nil || receipts[0].Err != nil {
		r.t.Errorf("event: %v, %v", err, receipts)
	}
}

// together runs things at the same time.
func together(all ...func()) {
	var group sync.WaitGroup
	for _, f := range all {
		group.Go(f)
	}
	group.Wait()
}

// answers are what was answered, by enrollment.
type answers struct{ sync.Map }

// agree is sure that what was answered is what is written, once.
func (r *race) agree(given *answers) {
	r.t.Helper()
	tally := map[string]int{}
	given.Range(func(id, answer any) bool {
		require.Equal(r.t, []string{"reply 1 " + answer.(string)}, r.visits(id.(string))[:1])
		tally[answer.(string)]++
		return true
	})
	r.t.Logf("%s: %v", r.name, tally)
	require.Len(r.t, tally, 2, "both come to pass: %v", tally)
}

func newRace(t *testing.T, name string) *race {
	t.Helper()
	r := &race{bundle: newBundle(t), name: name}
	r.flow("w", byRequest, reply)
	return r
}

func TestTimeOutAndEventAtTheSameInstantHaveOneOutcome(t *testing.T) {
	t.Parallel()
	r := newRace(t, "timeout")
	given := &answers{}
	r.times(300, func(user string) {
		ref := r.in(user)
		var a postgres.Awaiting
		together(func() { r.replied(user) }, func() {
			r.jitter(80)
			for a = r.must(r.db.EndWait(r.ctx, ref, true)); !a.Over; a = r.must(r.db.EndWait(r.ctx, ref, true)) {
				r.jitter(2) // what came in time is looked at first
			}
		})
		again := r.must(r.db.EndWait(r.ctx, ref, false))
		if !a.Over || a != again {
			t.Errorf("answered %v, then %v", a, again)
		}
		given.Store(ref.EnrollmentID, "done: "+a.Came)
	})
	r.agree(given)
	require.Equal(t, r.count(`select count(*) from visits where output ->> 'outcome' = 'happened'`),
		r.count(`select count(*) from commands where kind = 'wake'`), "who timed out is not woken")
}

func TestSkipAndTimeOutAtTheSameInstantHaveOneOutcome(t *testing.T) {
	t.Parallel()
	r := newRace(t, "skip")
	given := &answers{}
	r.times(200, func(user string) {
		ref := r.in(user)
		skipped := make(chan struct{})
		together(func() {
			defer close(skipped)
			_, err := r.db.Intervene(r.ctx, ref.EnrollmentID, postgres.Asked{Kind: postgres.SkipStep})
			if err != nil {
				require.ErrorIs(t, err, automation.ErrConflict, "there is nothing to skip any more")
			}
		}, func() { // as the interpreter does it: it follows, or its timer fires
			r.jitter(30)
			here := automation.Place{Step: "reply", Inside: true}
			select {
			case <-skipped:
				w, err := r.db.NextWanted(r.ctx, ref, 0, here)
				require.NoError(t, err)
				require.Equal(t, postgres.SkipStep, w.Kind)
				given.Store(ref.EnrollmentID, "skipped: skipped")
			default:
				a := r.must(r.db.EndWait(r.ctx, ref, true))
				given.Store(ref.EnrollmentID, "done: "+a.Came)
				r.done(at(ref, "end"))
				<-skipped
				w, err := r.db.NextWanted(r.ctx, at(ref, "end"), 0, automation.Place{Step: "end", Inside: true})
				require.NoError(t, err)
				require.Zero(t, w)
			}
		})
	})
	r.agree(given)
	require.Equal(t, r.count(`select count(*) from visits where status = 'skipped'`),
		r.count(`select count(*) from interventions where outcome = 'done'`), "what came too late says so")
	require.Zero(t, r.count(`select count(*) from interventions where outcome = ''`))
}

func TestEventAndMigrationAtTheSameInstantHaveOneOutcome(t *testing.T) {
	t.Parallel()
	r := newRace(t, "migration")
	given := &answers{}
	enter := map[string]postgres.VisitRef{}
	for i := range 200 {
		user := fmt.Sprintf("%s_%d", r.name, i)
		r.put(user, nil)
		enter[user] = r.in(user)
	}
	r.flow("w", byRequest, `{"id": "end", "action": "noop"}`, postgres.Migration{Migrate: true})
	r.times(200, func(user string) {
		ref := enter[user]
		together(func() { r.replied(user) }, func() {
			r.jitter(80)
			w, err := r.db.NextWanted(r.ctx, ref, 0, automation.Place{Step: "reply", Inside: true})
			require.NoError(t, err)
			require.Equal(t, automation.Landing{Step: "end"}, w.Landing)
		})
		given.Store(ref.EnrollmentID, r.first(ref))
	})
	r.agree(given)
	require.Equal(t, 200, r.count(`select count(*) from enrollments where version = 2`))
}

// first is how the first visit stands, read on a connection of the pool.
func (r *race) first(ref postgres.VisitRef) string {
	timeline, err := r.db.Timeline(r.ctx, ref.EnrollmentID)
	require.NoError(r.t, err)
	return fmt.Sprintf("%s: %v", timeline[0].Status, timeline[0].Output["outcome"])
}

func TestEventIsBeforeAWaitOrEndsIt(t *testing.T) {
	t.Parallel()
	r := newRace(t, "begin")
	r.times(200, func(user string) {
		e, _, err := r.db.Enroll(r.ctx, "w", user)
		require.NoError(t, err)
		ref := postgres.VisitRef{EnrollmentID: e.ID, Step: "reply", Visit: 1}
		together(
			func() { r.jitter(4); r.replied(user) },
			func() { r.jitter(4); r.must(r.db.BeginWait(r.ctx, ref, nil)) },
		)
	})
	const after = `select count(*) from visits v join enrollments e on e.id = v.enrollment_id
		where exists (select from events where user_id = e.user_id and name = 'replied' and seq > v.seq)`
	all := r.count(after)
	require.Positive(t, all)
	require.Less(t, all, 200)
	require.Equal(t, all, r.count(after+` and v.status = 'done'`), "every event after the beginning ends the wait")
	require.Equal(t, 200-all, r.count(`select count(*) from visits where status = 'waiting'`), "and none from before")
}

func TestAnEventThatCameInTimeIsHeardThoughItIsLookedAtLate(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.flow("w", byRequest, reply)
	b.put("u_1", nil)
	b.drain()
	in := b.enroll("w", "u_1")
	ref := at(in, "reply", 1)
	began, err := b.db.BeginWait(b.ctx, ref, ptr(time.Hour))
	require.NoError(t, err)
	b.pass(59 * time.Minute)
	b.event("e_1", "replied", "u_1")
	b.pass(10 * time.Minute) // and nobody has looked at it

	a, err := b.db.EndWait(b.ctx, ref, true)

	require.NoError(t, err)
	require.False(t, a.Over)
	require.True(t, a.Until.After(began.Until))
	b.drain()
	a, err = b.db.EndWait(b.ctx, ref, true)
	require.NoError(t, err)
	require.Equal(t, []any{true, "happened"}, []any{a.Over, a.Came})
}
