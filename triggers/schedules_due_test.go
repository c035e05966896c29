package triggers_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

const wasPaused = "the workflow or its schedule was paused"

func TestFiringBecomesOneRunHoweverManyAsk(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(20)
	const schedules, callers = 4, 8
	triggers := make([]string, schedules)
	for i := range triggers {
		triggers[i] = fmt.Sprintf(`{"schedule": %s}`, daily(fmt.Sprintf("1%d:30", i)))
	}
	o.publish("w", `"triggers": [`+strings.Join(triggers, ",")+`]`)
	o.pass(3*day + 6*time.Hour) // until Thursday at 15:00
	var opened atomic.Int64
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := range schedules {
				n, err := o.db.OpenDue(o.ctx, "w", (caller+i)%schedules, o.now(), fmt.Sprint("carrier-", caller))
				if err != nil {
					t.Errorf("open: %s", err)
				}
				opened.Add(int64(n))
			}
		})
	}
	group.Wait()

	require.EqualValues(t, schedules, opened.Load(), "each schedule has one firing of the last 24 hours")
	runs := o.runs("w")
	require.Len(t, runs, schedules*4)
	firings := map[string]bool{}
	for _, r := range runs {
		firings[fmt.Sprint(*r.Trigger, *r.Nominal)] = true
		late := o.now().Sub(*r.DueAt)
		require.Equal(t, late > 24*time.Hour, r.Status == postgres.RunMissed, r)
		require.Equal(t, r.Status == postgres.RunMissed, r.EndedAt != nil)
		if r.Status == postgres.RunRunning {
			require.Equal(t, 20, r.Matched)
			require.Len(t, o.summoned(r.ID), 20)
		} else {
			require.Zero(t, r.Matched)
		}
	}
	require.Len(t, firings, len(runs))
	var carried []string
	for caller := range callers {
		ids, err := o.db.OpenRuns(o.ctx, fmt.Sprint("carrier-", caller))
		require.NoError(t, err)
		carried = append(carried, ids...)
	}
	require.Len(t, carried, schedules, "who opened a run carries it, and nobody else")
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(carried))), schedules)
	told, err := o.db.RunsToTell(o.ctx)
	require.NoError(t, err)
	require.Empty(t, told, "Temporal has them")
}

func TestNothingIsOpenedBeforeItIsDue(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("09:30"), ""))
	o.pass(30*time.Minute - time.Microsecond)
	require.Zero(t, o.open("w"))
	require.Empty(t, o.runs("w"))
	due, err := o.db.DueSchedules(o.ctx, o.now())
	require.NoError(t, err)
	require.Empty(t, due)

	o.pass(time.Microsecond)

	require.Equal(t, 1, o.open("w"))
	require.Equal(t, []string{"2024-01-01T09:30 v1 running"}, o.firings("w"))
	require.Zero(t, o.open("w"))
	require.Len(t, o.runs("w"), 1)
}

func TestRunThatTemporalDidNotWakeForIsGivenToIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("09:30"), ""))
	o.pass(time.Hour)
	require.NoError(t, o.account(o.ctx))

	orders, err := o.db.RunsToTell(o.ctx)

	require.NoError(t, err)
	require.Equal(t, []postgres.RunOrder{{
		ID: o.only("w").ID, TemporalWorkflowID: "rollcall/schedule/w/0/2024-01-01T09:30", Definition: "w", Title: "w", Kind: "schedule", Start: true,
	}}, orders)
	require.Zero(t, o.open("w"), "when Temporal wakes after all, nothing is due")
	require.Len(t, o.runs("w"), 1)
}

func TestFiringThatIsTooLateIsMissed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		late   time.Duration
		status postgres.RunStatus
		reason string
		whom   []string
	}{
		"a day":     {24 * time.Hour, postgres.RunRunning, "", []string{"u_000"}},
		"even more": {24*time.Hour + time.Second, postgres.RunMissed, "24h0m0s too late: nobody noticed it in time", []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.leads(1)
			o.publish("w", on(`{"once": "2024-01-01", "at": "09:30"}`, ""))
			o.pass(30*time.Minute + c.late)

			o.open("w")

			r := o.only("w")
			require.Equal(t, []any{c.status, c.reason, len(c.whom)}, []any{r.Status, r.Reason, r.Matched})
			require.Equal(t, inUTC(t, "2024-01-01 09:30"), r.DueAt.UTC())
			require.Equal(t, c.whom, o.summoned(r.ID))
		})
	}
}

func TestAfterAnOutageOfTenDaysTheLastFiringRuns(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(5)
	o.publish("w", on(daily("08:00"), ""))
	o.pass(10 * day) // nobody was there; it is 09:00 again

	require.Equal(t, 1, o.open("w"))

	var want []string
	for d := 2; d <= 10; d++ {
		want = append(want, fmt.Sprintf("2024-01-%02dT08:00 v1 missed", d))
	}
	require.Equal(t, append(want, "2024-01-11T08:00 v1 running"), o.firings("w"))
	runs := o.runs("w")
	require.Equal(t, "217h0m0s too late: nobody noticed it in time", runs[0].Reason)
	require.Equal(t, "25h0m0s too late: nobody noticed it in time", runs[8].Reason)
	require.Equal(t, 5, runs[9].Matched)
	require.Equal(t, 5, o.count(`select count(*) from run_users`), "a missed firing concerns nobody")
	o.pass(day)
	o.open("w")
	require.Len(t, o.runs("w"), 11)
}

func TestYearsOfSilenceAreNotAccountedForWithoutEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("08:00"), ""))
	o.pass(2000 * day)

	require.Equal(t, 1, o.open("w"))

	require.Len(t, o.runs("w"), 400)
}

func TestFiringOfAPausedWorkflowIsMissed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(1)
	o.publish("w", on(daily("09:30"), ""))
	_, err := o.db.Pause(o.ctx, "w")
	require.NoError(t, err)
	o.pass(time.Hour)
	require.Zero(t, o.open("w"))
	r := o.only("w")
	require.Equal(t, []any{postgres.RunMissed, wasPaused, 0}, []any{r.Status, r.Reason, r.Matched})

	_, err = o.db.Resume(o.ctx, "w", 0)
	require.NoError(t, err)
	require.Zero(t, o.open("w"), "it is not made up for")

	o.pass(day)
	require.Equal(t, 1, o.open("w"))
	require.Equal(t, []string{"2024-01-01T09:30 v1 missed", "2024-01-02T09:30 v1 running"}, o.firings("w"))
}

func TestFiringOfAPausedScheduleIsMissed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(1)
	o.publish("w", `"triggers": [{"schedule": `+daily("09:30")+`}, {"schedule": `+daily("09:30")+`}]`)
	require.NoError(t, o.db.ScheduleSeen(o.ctx, postgres.ScheduleRef{Definition: "w", Version: 1, Trigger: 0}, true, "by hand"))
	o.pass(time.Hour)

	require.NoError(t, o.account(o.ctx))

	for _, r := range o.runs("w") {
		want := map[int]postgres.RunStatus{0: postgres.RunMissed, 1: postgres.RunRunning}
		require.Equal(t, want[*r.Trigger], r.Status, "of two schedules one was paused")
	}
	require.Len(t, o.runs("w"), 2)
}

// A pause that ends between a firing and its accounting was none of that firing's end.
func TestFiringThatWasDueInAPauseIsMissedThoughThePauseHasEnded(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(o office) error{
		"resumed": func(o office) error {
			_, err := o.db.Resume(o.ctx, "w", 0)
			return err
		},
		"published again": func(o office) error {
			o.publish("w", `"title": "New", `+on(daily("09:30"), ""))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.publish("w", on(daily("09:30"), ""))
			_, err := o.db.Pause(o.ctx, "w")
			require.NoError(t, err)
			o.pass(30*time.Minute + 5*time.Second)

			require.NoError(t, then(o))
			require.NoError(t, o.account(o.ctx))

			require.Equal(t, []string{"2024-01-01T09:30 v1 missed"}, o.firings("w"))
		})
	}
}

func TestFiringThatWasDueBeforeAPauseRuns(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("09:30"), ""))
	o.pass(30*time.Minute + 2*time.Second)

	_, err := o.db.Pause(o.ctx, "w")
	require.NoError(t, err)
	require.NoError(t, o.account(o.ctx))

	require.Equal(t, []string{"2024-01-01T09:30 v1 running"}, o.firings("w"))
}

func TestArchivedWorkflowFiresNoMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("09:30"), ""))
	_, err := o.db.Archive(o.ctx, "w", false)
	require.NoError(t, err)

	o.pass(10 * day)

	require.NoError(t, o.account(o.ctx))
	require.Zero(t, o.open("w"))
	require.Empty(t, o.runs("w"))
	_, err = o.db.RunNow(o.ctx, "w", nil, "")
	require.ErrorIs(t, err, automation.ErrNotActive)
	o.publish("w", on(daily("09:30"), ""))
	require.Zero(t, o.open("w"), "what was due while it was archived is nobody's")
	require.Empty(t, o.runs("w"))
	o.pass(day)
	require.Equal(t, 1, o.open("w"))
	require.Equal(t, []string{"2024-01-11T09:30 v2 running"}, o.firings("w"))
}

func TestArchivedWorkflowEnrollsNobodyByARunThatWasOpen(t *testing.T) {
	t.Parallel()
	for name, opened := range map[string]bool{"opened before": true, "due before": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.leads(4)
			o.publish("w", on(daily("09:30"), ""))
			o.pass(30*time.Minute + 2*time.Second)
			if opened {
				require.Equal(t, 1, o.open("w"))
				o.step(o.only("w"), 1)
			}
			in := len(o.inside("w"))

			_, err := o.db.Archive(o.ctx, "w", false)
			require.NoError(t, err)
			require.NoError(t, o.account(o.ctx))
			r := o.run(o.only("w"))

			require.Len(t, o.inside("w"), in)
			require.Contains(t, []postgres.RunStatus{postgres.RunAborted, postgres.RunMissed}, r.Status)
		})
	}
}

func TestRunOfAFiringGoesOnUnderANewVersion(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(4)
	o.publish("w", on(daily("09:30"), ""))
	o.pass(time.Hour)
	require.Equal(t, 1, o.open("w"))
	o.step(o.only("w"), 1)

	o.publish("w", `"title": "New", `+on(daily("09:30"), ""))
	r := o.run(o.only("w"))

	require.Equal(t, []any{postgres.RunCompleted, 4}, []any{r.Status, r.Enrolled})
	require.Equal(t, []string{"1", "1", "1", "1"}, o.texts(`select version::text from enrollments`))
}

// TestEditsAroundAFiringNeitherDropNorDoubleIt publishes within 300 ms of a firing, on a hundred days.
func TestEditsAroundAFiringNeitherDropNorDoubleIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	times := []string{"09:00", "09:00", "09:30"} // of the schedule, in its next version
	type version struct {
		at   string
		from time.Time
	}
	versions := []version{{"09:00", o.now()}}
	o.publish("w", on(daily("09:00"), ""))
	const days = 100
	for d := 1; d <= days; d++ {
		last := versions[len(versions)-1]
		firing := inUTC(t, "2024-01-01 "+last.at).Add(time.Duration(d) * day)
		early, late := firing.Add(-200*time.Millisecond), firing.Add(200*time.Millisecond)
		edit := firing.Add(time.Duration(random.IntN(601)-300) * time.Millisecond)
		switch random.IntN(4) {
		case 0:
			edit = early
		case 1:
			edit = late
		case 2:
			edit = firing // due at the instant at which the next version begins: the last one's
		}
		if random.IntN(2) == 0 { // somebody asks just before
			o.turn(edit.Add(-time.Millisecond))
			o.open("w")
		}
		o.turn(edit)
		next := version{times[random.IntN(len(times))], edit}
		versions = append(versions, next)
		p := o.publish("w", fmt.Sprintf(`"title": "Edit %d", %s`, d, on(daily(next.at), "")))
		require.Equal(t, d+1, p.Version)
		if random.IntN(2) == 0 { // or just after
			o.pass(time.Duration(random.IntN(400)) * time.Millisecond)
			require.NoError(t, o.account(o.ctx))
		}
	}
	o.pass(30 * day)
	require.NoError(t, o.account(o.ctx))

	want := map[string]int{} // the version of each nominal time
	for i, v := range versions {
		until := o.now()
		if i+1 < len(versions) {
			until = versions[i+1].from
		}
		for d := range days + 35 {
			due := inUTC(t, "2024-01-01 "+v.at).Add(time.Duration(d) * day)
			if due.After(v.from) && !due.After(until) {
				require.Zero(t, want[due.Format("2006-01-02T15:04")])
				want[due.Format("2006-01-02T15:04")] = i + 1
			}
		}
	}
	got := map[string]int{}
	for _, r := range o.runs("w") {
		require.Zero(t, got[*r.Nominal], "twice: %s", *r.Nominal)
		got[*r.Nominal] = r.Version
	}
	require.Equal(t, want, got)
}

// TestFiringsAmongConcurrentEditsHappenOnce lets four ask and one publish while the time goes over
// firings.
func TestFiringsAmongConcurrentEditsHappenOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(3)
	o.publish("w", on(daily("09:00"), ""))
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				if err := o.account(o.ctx); err != nil {
					t.Errorf("account: %s", err)
					return
				}
				if _, err := o.db.OpenDue(o.ctx, "w", 0, o.now(), "carrier"); err != nil {
					t.Errorf("open: %s", err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	const edits = 100
	for i := range edits {
		// From a little before a firing to a little after it, in steps of 100 ms, day after day.
		firing := inUTC(t, "2024-01-02 09:00").Add(time.Duration(i/5) * day)
		o.turn(firing.Add(time.Duration(i%5-2) * 100 * time.Millisecond))
		o.publish("w", fmt.Sprintf(`"title": "Edit %d", %s`, i, on(daily("09:00"), "")))
	}
	close(stop)
	group.Wait()
	require.NoError(t, o.account(o.ctx))

	require.Len(t, o.runs("w"), edits/5)
	require.Empty(t, o.texts(`
		select r.nominal || ' of version ' || r.version from runs r
		where not exists (select from schedules s where s.definition = 'w' and s.version = r.version
			and s.live_from < r.due_at and (s.live_until is null or r.due_at <= s.live_until))`),
		"a firing belongs to the version that was live when it was due")
	require.Empty(t, o.texts(`
		select nominal || ': ' || status from runs
		where (status = 'missed') <> (created_at > due_at + interval '24 hours') or matched <> case status when 'missed' then 0 else 3 end`))
}

func TestScheduleThatMovesToAnotherPositionFiresOnce(t *testing.T) {
	t.Parallel()
	for name, offset := range map[string]time.Duration{"before": -200 * time.Millisecond, "after": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.publish("w", `"triggers": [{"event": "signed_up"}, {"schedule": `+daily("09:30")+`}]`)
			o.pass(30*time.Minute + offset)
			o.publish("w", on(daily("09:30"), ""))
			o.pass(time.Hour)

			require.NoError(t, o.account(o.ctx))

			version := map[string]string{"before": "v2", "after": "v1"}[name]
			require.Equal(t, []string{"2024-01-01T09:30 " + version + " running"}, o.firings("w"))
		})
	}
}

func TestRepublishedScheduleIsNotTakenForGone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v1 := postgres.ScheduleRef{Definition: "w", Version: 1, Trigger: 0}
	o.publish("w", on(daily("09:30"), ""))
	require.NoError(t, o.db.ScheduleTold(o.ctx, v1, "told", o.now()))

	o.publish("w", `"title": "New", `+on(daily("09:30"), "")) // of which Temporal was not told yet

	gone, err := o.db.GoneSchedules(o.ctx)
	require.NoError(t, err)
	require.Empty(t, gone, "its id is the same: to delete it would end the pause of an operator")
	o.publish("w", `"triggers": [{"event": "signed_up"}]`)
	gone, err = o.db.GoneSchedules(o.ctx)
	require.NoError(t, err)
	require.Len(t, gone, 1)
	require.NoError(t, o.db.ForgetSchedule(o.ctx, gone[0]))
	gone, err = o.db.GoneSchedules(o.ctx)
	require.NoError(t, err)
	require.Empty(t, gone)
}

// What the database knows of a pause in Temporal is as old as the last look.
func TestFiringThatTemporalWokeForWasNotPausedThere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("09:30"), ""))
	require.NoError(t, o.db.ScheduleSeen(o.ctx, postgres.ScheduleRef{Definition: "w", Version: 1, Trigger: 0}, true, "by hand"))
	o.pass(30*time.Minute + time.Second) // the operator has resumed it meanwhile

	_, err := o.db.OpenDue(o.ctx, "w", 0, o.now(), "rollcall/w/0-2024-01-01T09:30:00Z")
	require.NoError(t, err)

	require.Equal(t, []string{"2024-01-01T09:30 v1 running"}, o.firings("w"))
}

// The pause of a schedule ends with that of its workflow, also while Temporal cannot be asked.
func TestResumedWorkflowFiresThoughTemporalWasNotLookedAtSince(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("09:30"), ""))
	_, err := o.db.Pause(o.ctx, "w")
	require.NoError(t, err)
	ref := postgres.ScheduleRef{Definition: "w", Version: 1, Trigger: 0}
	require.NoError(t, o.db.ScheduleSeen(o.ctx, ref, true, "paused with its workflow"))

	_, err = o.db.Resume(o.ctx, "w", 0)
	require.NoError(t, err)
	o.pass(time.Hour)
	require.NoError(t, o.account(o.ctx))

	require.Equal(t, []string{"2024-01-01T09:30 v1 running"}, o.firings("w"))
}

func TestPauseOfAnOperatorOutlivesVersions(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.publish("w", on(daily("09:30"), ""))
	require.NoError(t, o.db.ScheduleSeen(o.ctx, postgres.ScheduleRef{Definition: "w", Version: 1, Trigger: 0}, true, "holiday"))

	o.publish("w", `"title": "New", `+on(daily("09:30"), "")) // and nobody looks
	o.pass(time.Hour)
	require.NoError(t, o.account(o.ctx))

	require.Equal(t, []string{"2024-01-01T09:30 v2 missed"}, o.firings("w"))
}
