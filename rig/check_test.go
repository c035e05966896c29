package rig

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

var begin = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }

func key(id, step string) string { return automation.EffectKey(id, step, 1) }

// sound is evidence of a run in which everything held: an order, a ticket that heard nothing in time, an
// edge of the filter, a member who left, one who stays, and an order that was taken out.
func sound() *Evidence {
	e := &Evidence{
		Spaced: map[string]bool{"ada": true}, Counters: map[string]map[string]int{"ada": {"orders_begun": 1, "orders_done": 1, "golds": 1}, "bob": {"orders_begun": 1}},
		Running: map[string]bool{"orders/ada/1": false, "gold/ada/1": false, "tickets/ada/1": false, "members/ada/1": false, "members/ada/2": true, "orders/bob/1": false},
		Open:    []string{"members/ada/2"},
	}
	for _, p := range Programs() {
		e.Versions = append(e.Versions, Version{Definition: p.Name, Number: 1, From: at(-1000)})
	}
	event := func(ms int, moment int64, id, user, name string) {
		e.Events = append(e.Events, Event{moment, id, user, name, at(ms)})
		e.Acks = append(e.Acks, Ack{Kind: SentEvent, User: user, Name: name, Subject: id, Began: at(ms - 1), At: at(ms + 1), Attempts: 1, Status: 202})
	}
	change := func(ms int, moment int64, user, property string, old, value any) {
		e.Changes = append(e.Changes, Change{Moment: moment, User: user, Property: property, Old: old, New: value, At: at(ms), Source: "api"})
		e.Acks = append(e.Acks, Ack{Kind: Changed, User: user, Name: property, Value: value, Began: at(ms - 1), At: at(ms + 1), Attempts: 1, Status: 200})
	}
	counted := func(ms int, moment int64, user, property string) {
		e.Changes = append(e.Changes, Change{Moment: moment, User: user, Property: property, New: 1.0, At: at(ms), Source: "x"})
	}
	enroll := func(ms int, id, definition, user string, ordinal int, status, event string) *Enrollment {
		e.Decisions = append(e.Decisions, Decision{Definition: definition, User: user, Version: 1, At: at(ms), Outcome: "enrolled", Enrollment: id})
		e.Enrollments = append(e.Enrollments, Enrollment{ID: id, Definition: definition, User: user, Version: 1, Ordinal: ordinal, Status: status, Event: event, Created: at(ms), Started: at(ms + 1)})
		return &e.Enrollments[len(e.Enrollments)-1]
	}
	visit := func(ms, end int, id, step, kind string) *Visit {
		v := Visit{Enrollment: id, Step: step, Visit: 1, Kind: kind, Status: "done", Started: at(ms), Finished: at(end)}
		e.Visits = append(e.Visits, v)
		return &e.Visits[len(e.Visits)-1]
	}
	hook := func(ms int, id, path, step string) { e.Hooks = append(e.Hooks, Hook{key(id, step), path, at(ms)}) }

	event(0, 1, "o1", "ada", "order_placed")
	enroll(5, "e1", Orders, "ada", 1, "completed", "o1").Ended = at(1100)
	visit(10, 11, "e1", "count", increment)
	counted(10, 2, "ada", "orders_begun")
	visit(12, 14, "e1", "first", webhook)
	hook(13, "e1", "/orders/v1/first", "first")
	visit(14, 1015, "e1", "pause", delay).Until = at(1014)
	visit(1015, 1020, "e1", "second", webhook)
	hook(1016, "e1", "/orders/v1/second", "second")
	visit(1025, 1100, "e1", "count_again", increment)
	counted(1025, 3, "ada", "orders_done")

	change(2000, 4, "ada", "tier", "silver", "gold")
	enroll(2005, "e2", Gold, "ada", 1, "completed", "").Ended = at(2020)
	visit(2010, 2011, "e2", "count", increment)
	counted(2010, 5, "ada", "golds")
	visit(2012, 2020, "e2", "greet", webhook)
	hook(2013, "e2", "/gold/v1/greet", "greet")

	event(3000, 6, "t1", "ada", "ticket_opened")
	enroll(3005, "e3", Tickets, "ada", 1, "completed", "t1").Ended = at(5100)
	visit(3010, 3012, "e3", "open", webhook)
	hook(3011, "e3", "/tickets/v1/open", "open")
	w := visit(3013, 5020, "e3", "reply", waitFor)
	w.Moment, w.Until, w.Outcome = 7, at(5013), automation.OutcomeTimedOut
	event(5015, 8, "t2", "ada", "ticket_closed")
	visit(5025, 5100, "e3", "after", webhook)
	hook(5026, "e3", "/tickets/v1/after/timed_out", "after")

	event(6000, 9, "m1", "ada", "joined")
	change(6500, 10, "ada", "away", nil, true)
	change(6600, 11, "ada", "away", true, false)
	event(6700, 12, "m2", "ada", "joined")
	enroll(6005, "e4", Members, "ada", 1, "unenrolled", "m1").Ended = at(6510)
	visit(6010, 6012, "e4", "hello", webhook)
	hook(6011, "e4", "/members/v1/hello", "hello")
	left := visit(6013, 6510, "e4", "stay", delay)
	left.Status, left.Until = "stopped", at(6013+3600_000)
	enroll(6705, "e5", Members, "ada", 2, "active", "m2")
	visit(6710, 6712, "e5", "hello", webhook)
	hook(6711, "e5", "/members/v1/hello", "hello")
	stays := visit(6713, 0, "e5", "stay", delay)
	stays.Status, stays.Finished, stays.Until = "waiting", time.Time{}, at(6713+3600_000)

	event(7000, 13, "o2", "bob", "order_placed")
	enroll(7005, "e6", Orders, "bob", 1, "unenrolled", "o2").Ended = at(7050)
	visit(7010, 7011, "e6", "count", increment)
	counted(7010, 14, "bob", "orders_begun")
	visit(7012, 7050, "e6", "first", webhook).Status = "stopped"
	hook(7060, "e6", "/orders/v1/first", "first")
	e.Acks = append(e.Acks, Ack{Kind: Unenrolled, User: "bob", Name: Orders, Subject: "e6", Began: at(7040), At: at(7055), Attempts: 1, Status: 200, InFlight: []string{"first"}, Shown: "unenrolled"},
		Ack{Kind: Paused, Name: Orders, Began: at(7051), At: at(7056), Attempts: 1, Status: 200},
		Ack{Kind: Resumed, Name: Orders, Began: at(7100), At: at(7101), Attempts: 1, Status: 200})
	return e
}

func TestSoundEvidencePasses(t *testing.T) {
	t.Parallel()
	breaches := Judge(sound())
	require.Empty(t, breaches)
}

// TestEachCheckSeesItsBreach spoils sound evidence in one way, and wants the check of that invariant to
// say so in these words.
func TestEachCheckSeesItsBreach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		invariant string
		name      string
		spoil     func(e *Evidence)
		says      string
	}{
		{"I1", "an acknowledged event is lost", func(e *Evidence) { e.Events = e.Events[:len(e.Events)-1] }, "is not stored"},
		{"I1", "an event comes from nowhere", func(e *Evidence) { e.Events = append(e.Events, Event{99, "zz", "ada", "ticket_closed", at(9000)}) }, "nobody sent it"},
		{"I1", "an acknowledged change is lost", func(e *Evidence) {
			e.Acks = append(e.Acks, Ack{Kind: Changed, User: "ada", Name: "tier", Value: "silver", At: at(9000), Attempts: 1, Status: 200})
		}, "is not recorded"},
		{"I1", "a change happens twice", func(e *Evidence) {
			e.Changes = append(e.Changes, Change{Moment: 99, User: "ada", Property: "away", Old: false, New: true, At: at(9000)})
		}, "changed 3 times for 2"},
		{"I2", "an event is evaluated twice", func(e *Evidence) {
			e.Decisions = append(e.Decisions, Decision{Definition: Orders, User: "ada", Version: 1, At: at(9000), Outcome: "refused"})
		}, "decided 2 times"},
		{"I2", "an edge is missed", func(e *Evidence) {
			e.Changes = append(e.Changes, Change{Moment: 99, User: "ada", Property: "tier", Old: "silver", New: "gold", At: at(9000)})
		}, "gold matched 2 times for ada and was decided 1 times"},
		{"I2", "a version that was not live decides", func(e *Evidence) { e.Versions[0].From = at(100) }, "version 0 was live"},
		{"I2", "an order is refused after the one before ended", func(e *Evidence) {
			e.Decisions[0].Outcome, e.Decisions[0].Enrollment = "refused", ""
		}, "whose order before had come to its end"},
		{"I2", "an enrollment that nobody decided", func(e *Evidence) { e.Decisions[0].Enrollment = "" }, "has 0 decisions"},
		{"I3", "an id is taken twice", func(e *Evidence) {
			e.Acks = append(e.Acks, Ack{Kind: SentEvent, User: "ada", Name: "order_placed", Subject: "o1", Repeated: true, Attempts: 1, Status: 202})
		}, "taken as new"},
		{"I3", "an event enrolls twice", func(e *Evidence) { e.Enrollments[5].Event = "o1" }, "enrolled twice"},
		{"I4", "the last moment is judged before another", func(e *Evidence) { e.Enrollments[4].Event = "m1" }, "should have as"},
		{"I4", "a condition to leave is missed", func(e *Evidence) { e.Enrollments[3].Status = "active" }, "should have as"},
		{"I5", "two are live", func(e *Evidence) { e.Enrollments[3].Ended = time.Time{} }, "was live"},
		{"I5", "an ordinal is left out", func(e *Evidence) { e.Enrollments[4].Ordinal = 3 }, "does not follow"},
		{"I6", "a live one has no execution", func(e *Evidence) { delete(e.Running, "members/ada/2") }, "does not run in Temporal"},
		{"I6", "an ended one runs", func(e *Evidence) { e.Running["orders/bob/1"] = true }, "runs in Temporal"},
		{"I6", "an execution has no row", func(e *Evidence) { e.Open = append(e.Open, "orders/eve/1") }, "is not in the ledger"},
		{"I7", "work is left", func(e *Evidence) { e.Items = 1 }, "1 work items"},
		{"I7", "an order is stuck", func(e *Evidence) { e.Enrollments[0].Status, e.Enrollments[0].Ended = "active", time.Time{} }, "orders/ada/1 is active"},
		{"I7", "an order failed", func(e *Evidence) { e.Enrollments[0].Status = "failed" }, "failed"},
		{"I7", "someone is taken out unasked", func(e *Evidence) { e.Enrollments[0].Status = "unenrolled" }, "nobody asked"},
		{"I8", "a repetition has another key", func(e *Evidence) { e.Hooks = append(e.Hooks, Hook{"other", "/orders/v1/first", at(13)}) }, "no effect's"},
		{"I8", "two effects share a key", func(e *Evidence) { e.Hooks[1].ID = e.Hooks[0].ID }, "with the key of first"},
		{"I8", "an effect never left", func(e *Evidence) { e.Hooks = e.Hooks[1:] }, "never arrived"},
		{"I9", "a counter went up twice", func(e *Evidence) { e.Counters["ada"]["orders_begun"] = 2 }, "is 2 after 1"},
		{"I9", "an increment was lost and made up for", func(e *Evidence) {
			e.Changes = append(e.Changes, Change{Moment: 99, User: "ada", Property: "golds", New: 1.0, At: at(9000), Source: "x"})
		}, "changed 2 times in 1 steps"},
		{"I10", "a step begins within the delay before it", func(e *Evidence) { e.Visits[3].Started = at(1000) }, "before pause ended"},
		{"I10", "a webhook arrives within the delay before it", func(e *Evidence) { e.Hooks[1].At = at(1000) }, "second of orders/ada/1 arrived"},
		{"I10", "a delay is too short", func(e *Evidence) { e.Visits[2].Until = at(900) }, "too soon"},
		{"I12", "an enrollment goes on in another version", func(e *Evidence) { e.Hooks[1].Path = "/orders/v2/second" }, "is in version 1 and called"},
		{"I14", "a step begins after the end", func(e *Evidence) { e.Visits[len(e.Visits)-1].Started = at(7056) }, "began at 09:00:07.056, after it was taken out"},
		{"I14", "a step begins long after the end", func(e *Evidence) { e.Visits[len(e.Visits)-1].Started = at(20000) }, "had ended"},
		{"I14", "a webhook leaves that was not in flight", func(e *Evidence) { unenrolled(e).InFlight = []string{} }, "after it was taken out"},
		{"I14", "an unenrollment is undone", func(e *Evidence) { e.Enrollments[5].Ended = time.Time{} }, "is live"},
		{"I16", "a wait misses what came in time", func(e *Evidence) { e.Events[2].At = at(5000) }, "missed t2"},
		{"I15", "a wait gives up too soon", func(e *Evidence) { reply(e).Finished = at(4000) }, "gave up"},
		{"I15", "a wait hears what it did not wait for", func(e *Evidence) { reply(e).Outcome, reply(e).EventID = automation.OutcomeHappened, "zz" }, "not the first"},
		{"I15", "the step behind knows another outcome", func(e *Evidence) { e.Hooks[4].Path = "/tickets/v1/after/happened" }, "waited with the outcome timed_out and called"},
		{"I25", "a read shows it live", func(e *Evidence) { unenrolled(e).Shown = "active" }, "a read showed it active"},
		{"timelines", "a step is missing", func(e *Evidence) { e.Visits = e.Visits[1:] }, "after 4 visits of 5"},
		{"timelines", "steps are in another order", func(e *Evidence) { e.Visits[0], e.Visits[1] = e.Visits[1], e.Visits[0] }, "as its step 1"},
		{"timelines", "a step is not done", func(e *Evidence) { e.Visits[1].Status = "running" }, "its step first is running"},
		{"the timeline of what has ended is closed", "a step stays open", func(e *Evidence) { e.Visits[len(e.Visits)-1].Status = "running" }, "its step first is running"},
		{"nothing starts in a pause", "a step begins in the pause", func(e *Evidence) { e.Visits[len(e.Visits)-1].Started = at(7058) }, "in the pause"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := sound()

			c.spoil(e)

			require.Contains(t, told(c.invariant, e), c.says)
		})
	}
}

// told is what the checks of an invariant say.
func told(invariant string, e *Evidence) string {
	var all []string
	for _, c := range Checks() {
		if strings.HasPrefix(c.Invariant+" ", invariant+" ") {
			all = append(all, c.Breaches(e)...)
		}
	}
	return strings.Join(all, "\n")
}

func unenrolled(e *Evidence) *Ack {
	for i := range e.Acks {
		if e.Acks[i].Kind == Unenrolled {
			return &e.Acks[i]
		}
	}
	return nil
}

func reply(e *Evidence) *Visit {
	for i := range e.Visits {
		if e.Visits[i].Step == "reply" {
			return &e.Visits[i]
		}
	}
	return nil
}

func TestASeedIsAPlan(t *testing.T) {
	t.Parallel()
	serves, workers := []string{"a", "b"}, []string{"c", "d"}
	one, again, other := NewPlan(7, time.Minute, serves, workers), NewPlan(7, time.Minute, serves, workers), NewPlan(8, time.Minute, serves, workers)
	require.Equal(t, one, again)
	require.NotEqual(t, one, other)
	require.NotEmpty(t, one)
	kinds := map[string]bool{}
	for seed := range uint64(5) {
		for _, f := range NewPlan(seed, 5*time.Minute, serves, workers) {
			require.Less(t, f.At, 5*time.Minute)
			kinds[f.Kind] = true
		}
	}
	require.Len(t, kinds, 8, "each fault is drawn")
}
