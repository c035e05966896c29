package triggers_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

func TestRunByHandConcernsThoseOfThisMoment(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.dates("hired")
	o.put("u_today", map[string]any{"hired": "2020-01-01"})
	o.put("u_tomorrow", map[string]any{"hired": "2020-01-02"})
	o.publish("w", `"time_zone": "Asia/Tokyo", `+on(`{"property": "hired", "yearly": true, "at": "09:30"}`, ""))

	now, err := o.db.RunNow(o.ctx, "w", nil, "")
	require.NoError(t, err)
	o.pass(7 * time.Hour) // in Tokyo it is the next day
	later, err := o.db.RunNow(o.ctx, "w", nil, "")
	require.NoError(t, err)

	require.True(t, now.ByHand)
	require.Equal(t, []any{"schedule", postgres.RunRunning, 1, "2024-01-01T18:00", 1},
		[]any{now.Kind, now.Status, now.Version, *now.Nominal, now.Matched})
	require.Equal(t, monday, now.DueAt.UTC())
	require.Equal(t, 0, *now.Trigger)
	require.Equal(t, []string{"u_today"}, o.summoned(now.ID))
	require.Equal(t, "2024-01-02T01:00", *later.Nominal)
	require.Equal(t, []string{"u_tomorrow"}, o.summoned(later.ID))
	require.NotEqual(t, now.TemporalWorkflowID, later.TemporalWorkflowID)
	orders, err := o.db.RunsToTell(o.ctx)
	require.NoError(t, err)
	require.Len(t, orders, 2)
	require.Regexp(t, `^rollcall/schedule/w/0/2024-01-01T18:00/by-hand/[0-9a-f-]{36}$`, now.TemporalWorkflowID)
	require.Equal(t, 1, o.run(now).Enrolled)
}

func TestRunsByHandTakeNoFiringAway(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(1)
	o.publish("w", on(daily("09:30"), "")+again)
	o.turn(inUTC(t, "2024-01-01 09:30"))
	for range 3 { // at the very minute of the firing
		r, err := o.db.RunNow(o.ctx, "w", nil, "")
		require.NoError(t, err)
		require.Equal(t, "2024-01-01T09:30", *r.Nominal)
	}

	require.Equal(t, 1, o.open("w"))

	require.Len(t, o.runs("w"), 4)
	require.Equal(t, 1, o.count(`select count(*) from runs where not by_hand`))
	r, err := o.db.RunNow(o.ctx, "w", nil, "")
	require.NoError(t, err, "nor does a firing take away what is asked for")
	require.True(t, r.ByHand)
}

func TestRunByHandThatNamesNoScheduleIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	zero, one, three := 0, 1, 3
	schedule := `{"schedule": ` + daily("09:30") + `}`
	o.publish("none", `"triggers": [{"event": "signed_up"}]`)
	o.publish("two", `"triggers": [`+schedule+`, {"event": "signed_up"}, `+schedule+`]`)
	o.publish("archived", on(daily("09:30"), ""))
	_, err := o.db.Archive(o.ctx, "archived", false)
	require.NoError(t, err)
	_, _, err = o.db.SaveDraft(o.ctx, o.document("draft", on(daily("09:30"), "")), "")
	require.NoError(t, err)
	negative := -1
	for _, c := range []struct {
		definition    string
		trigger       *int
		code, message string
		is            error
	}{
		{"none", nil, "no-schedule", "the workflow has no schedule", automation.ErrInvalid},
		{"none", &zero, "no-schedule", "trigger 0 is no schedule", automation.ErrInvalid},
		{"two", nil, "required", "the workflow has several schedules: say the position of the trigger", automation.ErrInvalid},
		{"two", &one, "no-schedule", "trigger 1 is no schedule", automation.ErrInvalid},
		{"two", &three, "no-schedule", "trigger 3 is no schedule", automation.ErrInvalid},
		{"two", &negative, "no-schedule", "trigger -1 is no schedule", automation.ErrInvalid},
		{"draft", nil, "", "", automation.ErrNotActive},
		{"archived", nil, "", "", automation.ErrNotActive},
		{"unknown", nil, "", "", automation.ErrNotFound},
	} {
		_, err := o.db.RunNow(o.ctx, c.definition, c.trigger, "")

		require.ErrorIs(t, err, c.is, c.definition)
		if c.code != "" {
			var invalid *automation.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, automation.Problems{{Pointer: "/trigger", Code: c.code, Message: c.message}}, invalid.Problems)
		}
	}
	require.Zero(t, o.count(`select count(*) from runs`))
	two := 2
	for _, at := range []*int{&zero, &two} {
		r, err := o.db.RunNow(o.ctx, "two", at, "")
		require.NoError(t, err)
		require.Equal(t, *at, *r.Trigger)
	}
}

func TestRunByHandIsMadeOnceForATemporalWorkflow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(2)
	o.publish("w", on(daily("09:30"), ""))
	first, err := o.db.RunNow(o.ctx, "w", nil, "carrier-1")
	require.NoError(t, err)
	require.Equal(t, "carrier-1", first.TemporalWorkflowID)
	o.pass(time.Hour)

	second, err := o.db.RunNow(o.ctx, "w", nil, "carrier-1")
	require.NoError(t, err)
	require.Equal(t, first, second)
	open, err := o.db.OpenRuns(o.ctx, "carrier-1")
	require.NoError(t, err)
	require.Equal(t, []string{first.ID}, open)
	other, err := o.db.RunNow(o.ctx, "w", nil, "carrier-2")
	require.NoError(t, err)
	require.NotEqual(t, first.ID, other.ID)
	require.Equal(t, postgres.RunCompleted, o.run(first).Status)
	third, err := o.db.RunNow(o.ctx, "w", nil, "carrier-1")
	require.NoError(t, err)
	require.Equal(t, first.ID, third.ID, "also when it has ended")
	require.Len(t, o.runs("w"), 2)
}

func TestRunByHandIsMadeOnceThoughItIsAskedForManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(2)
	o.publish("w", on(daily("09:30"), ""))
	for round := range 20 {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if _, err := o.db.RunNow(o.ctx, "w", nil, fmt.Sprint("carrier-", round)); err != nil {
					t.Errorf("run: %s", err)
				}
			})
		}
		group.Wait()

		require.Len(t, o.runs("w"), round+1)
	}
}

func TestPausedWorkflowRunsByHand(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(2)
	o.publish("w", on(daily("09:30"), ""))
	_, err := o.db.Pause(o.ctx, "w")
	require.NoError(t, err)

	r, err := o.db.RunNow(o.ctx, "w", nil, "")

	require.NoError(t, err)
	require.Equal(t, []any{postgres.RunCompleted, 2}, []any{o.run(r).Status, len(o.inside("w"))})
}
