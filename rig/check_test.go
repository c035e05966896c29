package rig

import (
	"slices"
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
		Programs: append(Fixed(), NewRounds([]int{9 * 60})), At: at(100_000), Due: []time.Time{at(0)}, Crew: 1,
		Runs:   []Run{{ID: "r1", Definition: Rounds, Nominal: "2026-03-02T09:00", Status: "completed", Due: at(0), Matched: 1, Enrolled: 1}},
		Spaced: map[string]bool{"ada": true}, Counters: map[string]map[string]int{"ada": {"orders_begun": 1, "orders_done": 1, "golds": 1}, "bob": {"orders_begun": 1}},
		Running: map[string]bool{"orders/ada/1": false, "gold/ada/1": false, "tickets/ada/1": false, "members/ada/1": false, "members/ada/2": true, "orders/bob/1": false, "rounds/ada/1": false, "errands/ada/1": false},
		Open:    []string{"members/ada/2"},
	}
	for _, p := range e.Programs {
		e.Versions = append(e.Versions, Version{Definition: p.Name, Number: 1, From: at(-1000)})
	}
	event := func(ms int, moment int64, id, user, name string) {
		e.Events = append(e.Events, Event{Moment: moment, ID: id, User: user, Name: name, At: at(ms)})
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
	e.Decisions = append(e.Decisions, Decision{Definition: Rounds, User: "ada", Version: 1, At: at(8000), Outcome: "enrolled", Enrollment: "e7"})
	e.Enrollments = append(e.Enrollments, Enrollment{ID: "e7", Definition: Rounds, User: "ada", Version: 1, Ordinal: 1, Status: "completed", Run: "r1", Created: at(8000), Ended: at(8020)})
	visit(8001, 8010, "e7", "call", webhook)
	hook(8005, "e7", "/rounds/v1/call", "call")
	request := Ack{Kind: Requested, User: "ada", Name: Errands, Subject: "k1", Value: "e8", Began: at(9000), At: at(9001), Attempts: 1, Status: 201}
	again := request
	again.Repeated = true
	e.Acks = append(e.Acks, request, again)
	enroll(9000, "e8", Errands, "ada", 1, "completed", "").Ended = at(9020)
	visit(9001, 9010, "e8", "run", webhook)
	hook(9005, "e8", "/errands/v1/run", "run")
	e.Ends = []OrderlyEnd{{"worker-1", time.Second}}
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
		{"I1", "an event is stored otherwise than it was sent", func(e *Evidence) {
			e.Acks[0].Value = 7
		}, "is not stored"},
		{"I1", "an event comes from nowhere", func(e *Evidence) {
			e.Events = append(e.Events, Event{Moment: 99, ID: "zz", User: "ada", Name: "ticket_closed", At: at(9000)})
		}, "nobody sent it"},
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
		{"I3", "a request has two effects", func(e *Evidence) {
			e.Decisions = append(e.Decisions, Decision{Definition: Errands, User: "ada", Version: 1, At: at(9500), Outcome: "refused", Trigger: -1})
		}, "errands was decided 2 times for ada"},
		{"I3", "a request is answered otherwise when it is repeated", func(e *Evidence) {
			for i := range e.Acks {
				if e.Acks[i].Kind == Requested && e.Acks[i].Repeated {
					e.Acks[i].Status, e.Acks[i].Value = 409, ""
				}
			}
		}, "when it was repeated"},
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
		{"I8", "the timeline does not know an effect", func(e *Evidence) { e.Visits = slices.Delete(e.Visits, 1, 2) }, "does not know it"},
		{"I8", "two effects share a key", func(e *Evidence) { e.Hooks[1].ID = e.Hooks[0].ID }, "with the key of first"},
		{"I8", "an effect never left", func(e *Evidence) { e.Hooks = e.Hooks[1:] }, "never arrived"},
		{"I9", "a counter went up twice", func(e *Evidence) { e.Counters["ada"]["orders_begun"] = 2 }, "is 2 after 1"},
		{"I9", "an increment was lost and made up for", func(e *Evidence) {
			e.Changes = append(e.Changes, Change{Moment: 99, User: "ada", Property: "golds", New: 1.0, At: at(9000), Source: "x"})
		}, "changed 2 times in 1 steps"},
		{"I10", "a step begins within the delay before it", func(e *Evidence) { e.Visits[3].Started = at(1000) }, "before pause ended"},
		{"I10", "a webhook arrives within the delay before it", func(e *Evidence) { e.Hooks[1].At = at(1000) }, "second of orders/ada/1 arrived"},
		{"I10", "a delay is too short", func(e *Evidence) { e.Visits[2].Until = at(900) }, "too soon"},
		{"I11", "a firing is left out", func(e *Evidence) { e.Runs = nil }, "once and did so 0 times"},
		{"I11", "a firing happens twice", func(e *Evidence) {
			e.Runs = append(e.Runs, Run{ID: "r2", Definition: Rounds, Due: at(0), Status: "completed", Matched: 1})
		}, "once and did so 2 times"},
		{"I11", "a firing misses somebody", func(e *Evidence) { e.Crew = 2 }, "for 1 of 2 users"},
		{"I11", "a firing enrolls twice", func(e *Evidence) {
			e.Enrollments = append(e.Enrollments, Enrollment{ID: "e9", Definition: Rounds, User: "ada", Ordinal: 2, Version: 1, Run: "r1"})
		}, "enrolled ada 2 times"},
		{"I22", "a process does not end", func(e *Evidence) { e.Ends[0].Took = time.Minute }, "took 1m0s to end"},
		{"I12", "an enrollment goes on in another version", func(e *Evidence) { e.Hooks[1].Path = "/orders/v2/second" }, "is in version 1 and called /orders/v2/second"},
		{"I12", "an enrollment changes its version unasked", func(e *Evidence) { e.Enrollments[1].Version = 2 }, "began in version 1 and is in version 2"},
		{"I12", "a publication leaves somebody behind", func(e *Evidence) {
			e.Acks = append(e.Acks, Ack{Kind: Published, Name: Members, Value: 2, Began: at(7020), At: at(7030), Attempts: 1, Status: 200})
		}, "members/ada/2 was there when version 2"},
		{"I14", "a step begins after the end", func(e *Evidence) { stopped(e).Started = at(7056) }, "began at 09:00:07.056, after it was taken out"},
		{"I14", "a step begins long after the end", func(e *Evidence) { stopped(e).Started = at(20000) }, "had ended"},
		{"I14", "a webhook leaves that was not in flight", func(e *Evidence) { unenrolled(e).InFlight = []string{} }, "after it was taken out"},
		{"I14", "an unenrollment is undone", func(e *Evidence) { e.Enrollments[5].Ended = time.Time{} }, "is live"},
		{"I16", "a wait misses what came in time", func(e *Evidence) { e.Events[2].At, answer(e, "t2").At = at(5000), at(5001) }, "missed t2"},
		{"I15", "a wait gives up too soon", func(e *Evidence) { reply(e).Finished = at(4000) }, "gave up"},
		{"I15", "a wait hears what it did not wait for", func(e *Evidence) { reply(e).Outcome, reply(e).EventID = automation.OutcomeHappened, "zz" }, "not the first"},
		{"outputs", "the step behind knows another outcome", func(e *Evidence) { e.Hooks[4].Path = "/tickets/v1/after/happened" }, "called /tickets/v1/after/happened and not /tickets/v1/after/timed_out"},
		{"I25", "a read shows it live", func(e *Evidence) { unenrolled(e).Shown = "active" }, "a read showed it active"},
		{"timelines", "a step is missing", func(e *Evidence) { e.Visits = e.Visits[1:] }, "lacks visit 1 of count as its step 1"},
		{"timelines", "steps are in another order", func(e *Evidence) { e.Visits[0], e.Visits[1] = e.Visits[1], e.Visits[0] }, "as its step 1"},
		{"timelines", "a step is not done", func(e *Evidence) { e.Visits[1].Status = "running" }, "its step first, which began at 09:00:00.012 and was left at 09:00:00.014, is running"},
		{"the timeline of what has ended is closed", "a step stays open", func(e *Evidence) { stopped(e).Status = "running" }, "its step first is running"},
		{"nothing starts in a pause", "a step begins in the pause", func(e *Evidence) { stopped(e).Started = at(7058) }, "in the pause"},
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

// unenrolled is what was said about the order that was taken out.
func unenrolled(e *Evidence) *Ack { return answer(e, "e6") }

// answer is what was said about an event or an enrollment.
func answer(e *Evidence, id string) *Ack {
	for i := range e.Acks {
		if e.Acks[i].Subject == id {
			return &e.Acks[i]
		}
	}
	return nil
}

// stopped is the step of the order that was taken out.
func stopped(e *Evidence) *Visit {
	for i := range e.Visits {
		if e.Visits[i].Enrollment == "e6" && e.Visits[i].Step == "first" {
			return &e.Visits[i]
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

// TestACrashMayTakeTheNewestEntriesAway: what is missing in a timeline is forgiven where PostgreSQL was
// killed just then, and nowhere else.
func TestACrashMayTakeTheNewestEntriesAway(t *testing.T) {
	t.Parallel()
	e := sound()
	e.Visits = slices.Delete(e.Visits, 1, 2) // the call of the first order

	e.Crashes = []Span{{at(100), at(100)}}
	require.Empty(t, Judge(e))

	e.Crashes = []Span{{at(60_000), at(60_000)}}
	require.NotEmpty(t, Judge(e))
}

// TestACrashMayTakeTheEndOfALongStepAway: it was written when the step ended, however long before that it began.
func TestACrashMayTakeTheEndOfALongStepAway(t *testing.T) {
	t.Parallel()
	e := sound()
	first := &e.Visits[1] // the call of the first order
	first.Status, first.Started = "stopped", first.Started.Add(-10*time.Second)
	e.Visits[0].Started = first.Started

	e.Crashes = []Span{{at(15), at(15)}}
	require.NotContains(t, told("timelines", e), "step first")

	e.Crashes = []Span{{at(60_000), at(60_000)}}
	require.Contains(t, told("timelines", e), "step first")
}

// TestWhatAProcessHadInHandWhenItStoodStillIsNotMissed: it was dated in time, and nobody could know of it.
func TestWhatAProcessHadInHandWhenItStoodStillIsNotMissed(t *testing.T) {
	t.Parallel()
	e := sound()
	e.Events[2].At = at(5000)
	require.Empty(t, Judge(e))
}
