package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

// wakesAt says whether a schedule has exactly one calendar, for the time of day of an instant.
func wakesAt(at time.Time) func(d *client.ScheduleDescription) bool {
	return func(d *client.ScheduleDescription) bool {
		spec := d.Schedule.Spec
		return len(spec.Calendars) == 1 && spec.Calendars[0].Hour[0].Start == at.Hour() && spec.Calendars[0].Minute[0].Start == at.Minute()
	}
}

func running(d *client.ScheduleDescription) bool { return !d.Schedule.State.Paused }

// memoOf reads a member of the memo of a schedule.
func memoOf(t *testing.T, d *client.ScheduleDescription, name string) (value any) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(d.Memo.Fields[name], &value))
	return value
}

func TestScheduleStandsInTemporalAsItsWorkflowSays(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, run := range []func(*testing.T, *service){
		scheduleIsReadable, scheduleFollowsItsWorkflow, pauseOfAnOperatorStays, scheduleIsRepaired, scheduleGoesWithItsWorkflow, schedulesHavePositions, schedulersAgree,
	} {
		began := time.Now()
		run(t, s)
		t.Logf("after %s", time.Since(began))
	}
}

func TestArchivedWorkflowShowsNoNextRuns(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.scheduled("archived", inSixHours(), ""))
	require.Len(t, nextRuns(t, s.must("GET", "/v1/workflows/archived", nil)), 5)

	s.must("POST", "/v1/workflows/archived/archive", nil)

	require.Empty(t, nextRuns(t, s.must("GET", "/v1/workflows/archived", nil)), "it does not fire")
}

func scheduleIsReadable(t *testing.T, s *service) {
	t.Helper()
	s.publish(s.once("readable", `
title: Weekly digest
time_zone: Europe/Warsaw
triggers: [{ schedule: { every: week, on: [monday, thursday], at: "09:15" } }]`))

	const note = "every week on Monday and Thursday at 09:15 · Weekly digest"
	d := s.wantSchedule("readable", "is there", is(note))

	require.Equal(t, "Europe/Warsaw", d.Schedule.Spec.TimeZoneName)
	require.True(t, wakesAt(time.Date(2027, 1, 4, 9, 15, 0, 0, time.UTC))(d))
	require.Equal(t, []client.ScheduleRange{{Start: 1, End: 1, Step: 1}, {Start: 4, End: 4, Step: 1}}, d.Schedule.Spec.Calendars[0].DayOfWeek)
	require.Equal(t, "every week on Monday and Thursday at 09:15", d.Schedule.Spec.Calendars[0].Comment)
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL, d.Schedule.Policy.Overlap)
	require.Equal(t, 24*time.Hour, d.Schedule.Policy.CatchupWindow)
	require.Equal(t, []any{"readable", 0.0}, []any{memoOf(t, d, "workflow"), memoOf(t, d, "trigger")})
	action := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	require.Equal(t, []any{"rollcall/readable/0", "rollcall", "ScheduledEnrollment"}, []any{action.ID, action.TaskQueue, action.Workflow})
	s.until("the API shows it", func() bool { return s.shownSchedule("readable")["note"] == note })
	require.Equal(t, map[string]any{
		"trigger": 0.0, "temporal_schedule_id": "rollcall/readable/0", "when": "every week on Monday and Thursday at 09:15", "paused": false, "note": note,
	}, s.shownSchedule("readable"))
	var next []time.Time
	for _, r := range s.must("GET", "/v1/workflows/readable", nil)["next_runs"].([]any) {
		at, err := time.Parse(time.RFC3339, r.(map[string]any)["utc"].(string))
		require.NoError(t, err)
		next = append(next, at)
	}
	require.Len(t, next, 5)
	for i := range next {
		require.True(t, next[i].Equal(d.Info.NextActionTimes[i]), "Temporal wakes when the API says")
	}
}

func scheduleFollowsItsWorkflow(t *testing.T, s *service) {
	t.Helper()
	tokyo := time.FixedZone("", 9*60*60)
	first, second, third := inHours(4), inHours(5).In(tokyo), inHours(6)
	s.publish(s.scheduled("follows", daily(first), ""))
	created := s.wantSchedule("follows", "is there", wakesAt(first))

	s.publish(s.scheduledAs("Renamed", "follows", `every: day, time_zone: Asia/Tokyo, at: "`+second.Format("15:04")+`"`, ""))

	d := s.wantSchedule("follows", "has moved", wakesAt(second))
	require.Equal(t, "Asia/Tokyo", d.Schedule.Spec.TimeZoneName)
	require.Equal(t, "every day at "+second.Format("15:04")+" (Asia/Tokyo) · Renamed", d.Schedule.State.Note)
	require.Equal(t, created.Info.CreatedAt, d.Info.CreatedAt, "it was updated, so that it keeps what Temporal counts of it")
	s.must("POST", "/v1/workflows/follows/pause", nil)
	s.wantSchedule("follows", "is paused", func(d *client.ScheduleDescription) bool { return is(pausedInTemporal)(d) && d.Schedule.State.Paused })
	require.Equal(t, true, s.shownSchedule("follows")["paused"])
	require.NotContains(t, s.must("GET", "/v1/workflows/follows", nil), "next_runs", "what is paused does not fire")
	s.publish(s.scheduledAs("Renamed", "follows", daily(third), ""))
	d = s.wantSchedule("follows", "has moved", wakesAt(third))
	require.True(t, d.Schedule.State.Paused, "a publication ends no pause")
	require.Equal(t, pausedInTemporal, d.Schedule.State.Note)
	s.must("POST", "/v1/workflows/follows/resume", nil)
	d = s.wantSchedule("follows", "runs again", running)
	require.Equal(t, "every day at "+third.Format("15:04")+" · Renamed", d.Schedule.State.Note)
	s.until("the API shows it", func() bool { return s.shownSchedule("follows")["paused"] == false })
	require.Len(t, s.must("GET", "/v1/workflows/follows", nil)["next_runs"], 5)
}

// pauseOfAnOperatorStays pauses a schedule as Temporal's Web UI does.
func pauseOfAnOperatorStays(t *testing.T, s *service) {
	t.Helper()
	s.publish(s.scheduled("operated", inSixHours(), ""))
	s.wantSchedule("operated", "is there", running)
	staysPaused := func() {
		t.Helper()
		s.look()
		shown := s.shownSchedule("operated")
		require.Equal(t, []any{true, "until the audit is over"}, []any{shown["paused"], shown["note"]})
		d := s.described("operated")
		require.Equal(t, []any{true, "until the audit is over"}, []any{d.Schedule.State.Paused, d.Schedule.State.Note})
	}
	s.look()
	require.Equal(t, false, s.shownSchedule("operated")["paused"])

	require.NoError(t, s.inTemporal("operated").Pause(s.ctx, client.SchedulePauseOptions{Note: "until the audit is over"}))

	staysPaused()
	require.NotContains(t, s.must("GET", "/v1/workflows/operated", nil), "next_runs")
	later := inHours(8)
	s.publish(s.scheduled("operated", daily(later), ""))
	s.wantSchedule("operated", "has moved", wakesAt(later))
	staysPaused()
	s.must("POST", "/v1/workflows/operated/pause", nil)
	staysPaused()
	s.must("POST", "/v1/workflows/operated/resume", nil)
	staysPaused()
	require.Equal(t, "live", s.must("GET", "/v1/workflows/operated", nil)["status"])
	s.publish(s.scheduled("operated", inSixHours(), ""))
	due := time.Now().Add(-time.Hour)
	s.publish(s.scheduled("operated", daily(due), ""))
	s.look()
	s.rewind("operated", 2*time.Hour)
	s.account()
	require.Equal(t, missedInAPause, s.wantFiring("operated", postgres.RunMissed)["reason"])

	require.NoError(t, s.inTemporal("operated").Unpause(s.ctx, client.ScheduleUnpauseOptions{Note: "the audit is over"}))

	s.until("the API says so", func() bool { // once the service's own scheduler, which may have looked before, has looked too
		s.look()
		return s.shownSchedule("operated")["paused"] == false
	})
	require.True(t, running(s.described("operated")))
	s.account()
	require.Len(t, s.runsOf("operated"), 1)
	s.rewind("operated", 30*time.Minute)
	s.account()
	require.Len(t, s.runsOf("operated"), 1)
}

func scheduleIsRepaired(t *testing.T, s *service) {
	t.Helper()
	at := inHours(6)
	s.publish(s.scheduled("repaired", daily(at), ""))
	before := s.wantSchedule("repaired", "is there", wakesAt(at))
	s.look()
	handle := s.inTemporal("repaired")

	require.NoError(t, handle.Update(s.ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		schedule := in.Description.Schedule
		schedule.Spec = &client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{Hour: []client.ScheduleRange{{Start: inHours(9).Hour()}}}}}
		schedule.Action.(*client.ScheduleWorkflowAction).Args = []any{workflows.ScheduledInput{Definition: "another"}}
		schedule.Policy.Overlap = enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
		return &client.ScheduleUpdate{Schedule: &schedule}, nil
	}}))
	s.look()

	d := s.described("repaired")
	require.Equal(t, before.Schedule.Spec, d.Schedule.Spec)
	require.Equal(t, before.Schedule.Policy, d.Schedule.Policy)
	require.Equal(t, before.Schedule.Action, d.Schedule.Action)
	s.until("what is right is left alone", func() bool { // by the scheduler of the service, too
		updated := s.described("repaired").Info.LastUpdateAt
		s.look()
		s.look()
		return s.described("repaired").Info.LastUpdateAt.Equal(updated)
	})
	require.NoError(t, handle.Delete(s.ctx))
	s.look()
	s.wantSchedule("repaired", "came back", wakesAt(at))
	require.Equal(t, before.Schedule.Spec, s.described("repaired").Schedule.Spec)
}

func scheduleGoesWithItsWorkflow(t *testing.T, s *service) {
	t.Helper()
	s.publish(s.scheduled("passing", inSixHours(), ""))
	s.wantSchedule("passing", "is there", running)

	s.must("POST", "/v1/workflows/passing/archive", nil)

	s.until("Temporal has it no more", func() bool {
		_, err := s.inTemporal("passing").Describe(s.ctx)
		if err != nil {
			var gone *serviceerror.NotFound
			require.ErrorAs(t, err, &gone)
		}
		return err != nil
	})
	shown := s.must("GET", "/v1/workflows/passing", nil)
	require.NotContains(t, shown, "schedules")
	status, problem := s.call("POST", "/v1/workflows/passing/runs", nil)
	require.Equal(t, http.StatusConflict, status, problem)
	s.look()
	require.Nil(t, s.described("passing"))
	s.publish(s.scheduled("passing", inSixHours(), ""))
	s.wantSchedule("passing", "is there again", running)
}

func schedulesHavePositions(t *testing.T, s *service) {
	t.Helper()
	s.publish(s.once("several", `
triggers:
  - { schedule: { `+inSixHours()+` } }
  - { event: signed_up }
  - { schedule: { every: month, on: [last], at: "`+inHours(7).Format("15:04")+`" } }`))
	third := s.temporal.ScheduleClient().GetHandle(s.ctx, "rollcall/several/2")
	s.until("there are two", func() bool {
		_, err := third.Describe(s.ctx)
		return s.described("several") != nil && err == nil
	})
	s.look()
	var ids []string
	for _, shown := range s.must("GET", "/v1/workflows/several", nil)["schedules"].([]any) {
		ids = append(ids, shown.(map[string]any)["temporal_schedule_id"].(string))
	}
	require.Equal(t, []string{"rollcall/several/0", "rollcall/several/2"}, ids)

	moved := inHours(8)
	s.publish(s.once("several", "triggers: [{ event: signed_up }, { event: left }, { schedule: { "+daily(moved)+" } }]"))

	s.until("the first is gone", func() bool { return s.described("several") == nil })
	s.until("and the other has moved", func() bool {
		d, err := third.Describe(s.ctx)
		return err == nil && wakesAt(moved)(d)
	})
}

func schedulersAgree(t *testing.T, s *service) {
	t.Helper()
	s.publish(s.scheduled("agreed", inSixHours(), ""))
	s.wantSchedule("agreed", "is there", running)
	require.NoError(t, s.inTemporal("agreed").Delete(s.ctx))
	looks := make(chan error)
	for range 4 {
		go func() { looks <- s.keeper().Look(s.ctx) }()
	}
	for range 4 {
		require.NoError(t, <-looks)
	}
	require.NotNil(t, s.described("agreed"))
}

// A title may change; the memo of a schedule cannot be updated.
func TestMemoOfAScheduleIsNotOutdated(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.scheduledAs("Old", "renamed", inSixHours(), ""))
	s.wantSchedule("renamed", "is there", running)

	s.publish(s.scheduledAs("New", "renamed", inSixHours(), ""))

	d := s.wantSchedule("renamed", "has the new title", func(d *client.ScheduleDescription) bool {
		return is("every day at "+time.Now().UTC().Add(6*time.Hour).Format("15:04")+" · New")(d) || d.Info.LastUpdateAt.After(d.Info.CreatedAt)
	})
	if _, there := d.Memo.Fields["title"]; there {
		require.Equal(t, "New", memoOf(t, d, "title"))
	}
}

func TestTriggerOfAnOperatorIsARunByHand(t *testing.T) {
	t.Parallel()
	s := start(t)
	drivers := s.crowd(5, "in", "driver")
	s.crowd(5, "out", "pilot")
	s.publish(s.scheduled("asked", inSixHours(), "driver"))
	s.wantSchedule("asked", "is there", running)
	require.NoError(t, s.inTemporal("asked").Pause(s.ctx, client.SchedulePauseOptions{Note: "it can be asked all the same"}))
	s.until("the first second of a minute is over", func() bool { return time.Now().Second() > 1 && time.Now().Second() < 55 })

	require.NoError(t, s.inTemporal("asked").Trigger(s.ctx, client.ScheduleTriggerOptions{}))

	s.until("there is a run", func() bool { return len(s.runsOf("asked")) > 0 })
	run := s.wantFiring("asked", postgres.RunCompleted)
	require.Equal(t, []any{true, 5.0, 5.0, 0.0}, []any{run["by_hand"], run["matched"], run["enrolled"], run["trigger"]})
	require.Regexp(t, `^rollcall/asked/0-20.*Z$`, run["temporal_workflow_id"])
	s.wantEachOnce("asked", drivers)
}

func TestBackfillOfAnOperatorDoublesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	drivers := s.crowd(5, "in", "driver")
	due := time.Now().Add(-time.Hour).Truncate(time.Minute)
	s.publish(s.scheduled("again", daily(due), "driver"))
	s.wantSchedule("again", "is there", running)
	backfill := func() {
		actions := s.described("again").Info.NumActions
		require.NoError(t, s.inTemporal("again").Backfill(s.ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{
			{Start: due.Add(-49 * time.Hour), End: due.Add(time.Minute), Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL},
		}}))
		d := s.wantSchedule("again", "has woken", func(d *client.ScheduleDescription) bool { return d.Info.NumActions == actions+3 })
		for _, a := range d.Info.RecentActions {
			woken := a.StartWorkflowResult
			require.NoError(t, s.temporal.GetWorkflow(s.ctx, woken.WorkflowID, woken.FirstExecutionRunID).Get(s.ctx, nil))
		}
	}
	backfill()
	require.Empty(t, s.runsOf("again"), "it was not live then")
	s.rewind("again", 2*time.Hour)

	backfill()

	run := s.wantFiring("again", postgres.RunCompleted)
	require.Nil(t, run["by_hand"])
	backfill()
	s.account()
	require.Len(t, s.runsOf("again"), 1)
	s.wantEachOnce("again", drivers)
}

func TestFiringsWhileTemporalIsAwayAreNeitherLostNorDoubled(t *testing.T) {
	t.Parallel()
	s := start(t)
	drivers := s.crowd(5, "in", "driver")
	due := time.Now().Add(-time.Hour).Truncate(time.Minute)
	s.publish(s.scheduled("away", daily(due), "driver"))
	s.wantSchedule("away", "is there", running)
	s.stop()
	there := s.config.Temporal
	s.config.Temporal = client.Options{HostPort: "127.0.0.1:1", Namespace: s.namespace}
	s.run()
	s.rewind("away", 10*24*time.Hour) // in which nobody was there

	s.until("all are accounted for", func() bool { return len(s.runsOf("away")) == 10 })

	s.stop()
	s.config.Temporal = there
	s.run()
	s.wantCounts("away", map[automation.EnrollmentStatus]int{automation.Completed: len(drivers)})
	runs := s.runsOf("away")
	require.Len(t, runs, 10)
	for i, run := range runs {
		want := due.AddDate(0, 0, i-9).UTC()
		require.Equal(t, want.Format("2006-01-02T15:04"), run["nominal"])
		if i < 9 {
			require.Equal(t, "missed", run["status"])
			require.Contains(t, run["reason"], "too late: nobody noticed it in time")
			continue
		}
		require.Equal(t, fmt.Sprint("rollcall/schedule/away/0/", run["nominal"]), run["temporal_workflow_id"])
		s.wantRun("away", "has ended", func(map[string]any) bool { return s.runsOf("away")[9]["status"] == "completed" })
	}
	s.wantEachOnce("away", drivers)
	s.look()
	s.account()
	require.Len(t, s.runsOf("away"), 10)
	require.True(t, slices.ContainsFunc(s.described("away").Info.NextActionTimes, due.AddDate(0, 0, 1).Equal))
}
