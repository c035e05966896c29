package activities_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

// carrier is the Temporal workflow that all activities of a test environment belong to.
const carrier = "default-test-workflow-id"

// fires publishes a workflow whose schedule is due each day at the minute of an instant, and has not been
// accounted for in the last two hours.
func (b *bench) fires(name string, due time.Time) {
	b.Helper()
	b.firesOn(name, `"every": "day"`, due)
}

// firesOn does so for a schedule of other days.
func (b *bench) firesOn(name, days string, due time.Time) {
	b.Helper()
	b.publish(name, `[{"id": "rest", "delay": "1d"}]`,
		`"triggers": [{"event": "never"}, {"schedule": {`+days+`, "at": "`+due.UTC().Format("15:04")+`"}}]`)
	b.rewind(name)
}

// rewind makes the versions of a workflow that are there now live, and not accounted for, since two hours.
func (b *bench) rewind(name string) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), b.url)
	require.NoError(b, err)
	defer conn.Close(b.Context())
	_, err = conn.Exec(b.Context(), `
		update schedules set accounted = now() - interval '2 hours', live_from = now() - interval '2 hours' where definition = $1`, name)
	require.NoError(b, err)
}

// wake does what a workflow does first that Temporal started at a time for a trigger.
func (b *bench) wake(name string, trigger int, at time.Time) ([]string, error) {
	b.Helper()
	encoded, err := b.activity.ExecuteActivity(workflows.OpenRunsActivity, workflows.ScheduledInput{Definition: name, Trigger: trigger, Woken: at})
	if err != nil {
		return nil, err
	}
	var ids []string
	require.NoError(b, encoded.Get(&ids))
	return ids, nil
}

// runs lists the runs of a workflow, newest first.
func (b *bench) runs(name string) []postgres.Run {
	b.Helper()
	runs, err := b.db.Runs(b.Context(), name, nil, 100)
	require.NoError(b, err)
	return runs
}

func TestWhatIsDueWhenTemporalWakesIsOpenedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u_1", nil)
	due := time.Now().Add(-30 * time.Minute).Truncate(time.Minute)
	b.fires("w", due)

	ids, err := b.wake("w", 1, due)

	require.NoError(t, err)
	require.Len(t, ids, 1)
	run := b.runs("w")[0]
	require.Equal(t, []any{ids[0], false, carrier, 1, due.UTC()}, []any{run.ID, run.ByHand, run.TemporalWorkflowID, run.Matched, run.DueAt.UTC()})
	again, err := b.wake("w", 1, due)
	require.NoError(t, err)
	require.Equal(t, ids, again, "asked again, it has the same to carry out")
	_, err = b.db.SetRun(t.Context(), "w", ids[0], postgres.RunAborted)
	require.NoError(t, err)
	rest, err := b.wake("w", 1, due)
	require.NoError(t, err)
	require.Empty(t, rest, "what has ended needs nobody")
	require.Len(t, b.runs("w"), 1)
}

func TestWakingAtNoFiringOpensNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	now := time.Now().UTC()
	b.firesOn("w", `"every": "year", "on": ["`+now.AddDate(0, 0, 40).Format("01-02")+`"]`, now)

	ids, err := b.wake("w", 1, now.Truncate(time.Minute)) // at the time of day, on another day

	require.NoError(t, err)
	require.Empty(t, ids)
	require.Empty(t, b.runs("w"))
}

func TestTemporalsClockMayBeALittleAhead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	soon := time.Now().Truncate(time.Minute).Add(time.Minute)
	later := soon.Add(5 * time.Minute)
	b.fires("soon", soon)
	b.fires("later", later)

	ids, err := b.wake("soon", 1, soon)
	require.NoError(t, err)
	require.Len(t, ids, 1)
	ids, err = b.wake("later", 1, later)
	require.NoError(t, err)
	require.Len(t, ids, 1, "those of the same Temporal workflow")
	require.Empty(t, b.runs("later"), "so far ahead is no clock")
	require.Equal(t, soon.UTC(), b.runs("soon")[0].DueAt.UTC())
	_, err = b.db.OpenDue(t.Context(), "soon", 1, soon.Add(time.Second), "")
	require.NoError(t, err)
	require.Len(t, b.runs("soon"), 1, "by our clock it is due later, and has its run")
}

func TestWakingBetweenMinutesIsByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u_1", nil)
	due := time.Now().Add(-30 * time.Minute).Truncate(time.Minute)
	b.fires("w", due)

	ids, err := b.wake("w", 1, time.Now().Truncate(time.Minute).Add(17*time.Second))

	require.NoError(t, err)
	require.Len(t, ids, 1)
	again, err := b.wake("w", 1, time.Now().Truncate(time.Minute).Add(17*time.Second))
	require.NoError(t, err)
	require.Equal(t, ids, again)
	run := b.runs("w")[0]
	require.Equal(t, []any{true, carrier, 1, 1}, []any{run.ByHand, run.TemporalWorkflowID, *run.Trigger, run.Matched})
	require.Len(t, b.runs("w"), 1, "what is due is left to the one that wakes for it")
}

// An operator's trigger carries the second in which it came.
func TestOperatorsTriggerInTheFirstSecondOfAMinuteIsByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fires("w", time.Now().Add(3*time.Hour))

	ids, err := b.wake("w", 1, time.Now().Truncate(time.Minute))

	require.NoError(t, err)
	require.Len(t, ids, 1, "the schedule fires at another time of day")
	require.True(t, b.runs("w")[0].ByHand)
}

func TestWhatCannotRunByHandFailsForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	due := time.Now().Add(-30 * time.Minute)
	b.fires("w", due)
	b.fires("archived", due)
	_, err := b.db.Archive(t.Context(), "archived", false)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		definition string
		trigger    int
	}{"archived": {"archived", 1}, "no schedule": {"w", 0}, "unknown": {"unknown", 1}} {
		_, err := b.wake(c.definition, c.trigger, due.Truncate(time.Minute).Add(17*time.Second))

		var failure *temporal.ApplicationError
		require.ErrorAs(t, err, &failure, name)
		require.True(t, failure.NonRetryable(), "%s: %s: Temporal would try for ever", name, err)
	}
}

func TestStepsOfARunSayHowFarItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, id := range []string{"u_1", "u_2", "u_3"} {
		b.user(id, nil)
	}
	due := time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)
	b.fires("w", due)
	run, err := b.db.RunNow(t.Context(), "w", nil, "")
	require.NoError(t, err)
	step := func() (s workflows.RunStep) {
		encoded, err := b.activity.ExecuteActivity(workflows.StepRunActivity, workflows.RunInput{RunID: run.ID})
		require.NoError(t, err)
		require.NoError(t, encoded.Get(&s))
		return s
	}
	firing := "Firing of " + *run.Nominal + ", due at " + run.DueAt.Format(time.RFC3339) + "\n\n"
	_, err = b.db.SetRun(t.Context(), "w", run.ID, postgres.RunPaused)
	require.NoError(t, err)

	s := step()
	require.True(t, s.Paused)
	require.Equal(t, "### schedule of `w` version 1: paused\n\n"+firing+"3 users, 0 % decided: 0 enrolled, 0 held\n", s.Shown)
	_, err = b.db.SetRun(t.Context(), "w", run.ID, postgres.RunRunning)
	require.NoError(t, err)
	s = step()
	require.Equal(t, []any{false, false}, []any{s.Paused, s.Ended})
	require.Less(t, s.Wait, 100*time.Millisecond, "a firing keeps to no rate")
	s = step()
	require.True(t, s.Ended)
	require.Equal(t, "### schedule of `w` version 1: completed\n\n"+firing+"3 users, 100 % decided: 3 enrolled, 0 held\n", s.Shown)
	counts, err := b.db.Counts(t.Context(), "w")
	require.NoError(t, err)
	require.Equal(t, 3, counts[automation.Pending])
}

// Temporal may wake for a version that was replaced since, or is being replaced: it learns of the new
// times a little later, and a worker may come to it later still.
func TestWakingForAVersionThatWasReplacedIsNotByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u_1", nil)
	due := time.Now().Add(-30 * time.Minute).Truncate(time.Minute)
	elsewhen := due.Add(5 * time.Hour)

	b.fires("after", due)
	b.fires("after", elsewhen) // an edit after the firing, which the first version had
	ids, err := b.wake("after", 1, due)
	require.NoError(t, err)
	require.Empty(t, ids)
	runs := b.runs("after")
	require.Len(t, runs, 1)
	require.Equal(t, []any{false, 1}, []any{runs[0].ByHand, runs[0].Version})

	// An edit before the firing: the version whose time of day it is was live until ten minutes before.
	b.firesOn("before", `"once": "2020-01-04"`, due)
	b.fires("before", elsewhen)
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), `
		update schedules set live_until = $1, accounted = $1 where definition = 'before' and version = 1`, due.Add(-10*time.Minute))
	require.NoError(t, err)
	ids, err = b.wake("before", 1, due)
	require.NoError(t, err)
	require.Empty(t, ids)
	require.Empty(t, b.runs("before"))
}
