package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/triggers"
)

const (
	pausedInTemporal = "paused with its workflow" // the note of a schedule whose workflow is paused
	missedInAPause   = "the workflow or its schedule was paused"
)

// patient lets a service run for longer than others do.
func (s *service) patient(limit time.Duration) *service {
	s.t.Helper()
	s.stop()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	s.t.Cleanup(cancel)
	s.ctx = ctx
	s.run()
	return s
}

// scheduled is a definition with one webhook that a schedule enrolls into, for those with a title; for all
// where it is empty.
func (s *service) scheduled(name, schedule, title string) string {
	return s.scheduledAs("Greet "+name, name, schedule, title)
}

func (s *service) scheduledAs(headline, name, schedule, title string) string {
	where := ""
	if title != "" {
		where = ", where: { property: job_title, op: equals, value: " + title + " }"
	}
	return s.once(name, "title: "+headline+"\ntriggers: [{ schedule: { "+schedule+" }"+where+" }]")
}

// daily is a schedule for the time of day, in UTC, of an instant.
func daily(at time.Time) string { return `every: day, at: "` + at.UTC().Format("15:04") + `"` }

// inHours is a time of day at which nothing fires while tests run.
func inHours(n int) time.Time { return time.Now().UTC().Add(time.Duration(n) * time.Hour) }

func inSixHours() string { return daily(inHours(6)) }

// inTemporal is the schedule of the first trigger of a definition.
func (s *service) inTemporal(name string) client.ScheduleHandle {
	return s.temporal.ScheduleClient().GetHandle(s.ctx, "rollcall/"+name+"/0")
}

// described is how Temporal has it; nil where it does not.
func (s *service) described(name string) *client.ScheduleDescription {
	d, err := s.inTemporal(name).Describe(s.ctx)
	if err != nil {
		return nil
	}
	return d
}

// wantSchedule waits until Temporal has the schedule of a definition in a way.
func (s *service) wantSchedule(name, what string, holds func(d *client.ScheduleDescription) bool) (d *client.ScheduleDescription) {
	s.t.Helper()
	s.until("the schedule of "+name+" "+what, func() bool {
		d = s.described(name)
		return d != nil && holds(d)
	})
	return d
}

func is(note string) func(d *client.ScheduleDescription) bool {
	return func(d *client.ScheduleDescription) bool { return d.Schedule.State.Note == note }
}

// keeper is a scheduler beside that of the service, to be turned by hand.
func (s *service) keeper() *triggers.Scheduler {
	log := slog.New(slog.DiscardHandler)
	return triggers.NewScheduler(s.db, triggers.NewStarter(triggers.StarterConfig{DB: s.db, Temporal: s.temporal, Log: log}), log)
}

// look compares the schedules with those in Temporal.
func (s *service) look() {
	s.t.Helper()
	s.until("the schedules are looked at", func() bool {
		err := s.keeper().Look(s.ctx)
		if err != nil {
			s.t.Logf("look: %s", err)
		}
		return err == nil
	})
}

// account makes runs of all firings that are due.
func (s *service) account() {
	s.t.Helper()
	require.NoError(s.t, s.keeper().Account(s.ctx, time.Now()))
}

// rewind forgets which firings of a definition are accounted for since some time ago.
func (s *service) rewind(name string, ago time.Duration) {
	s.t.Helper()
	s.exec(fmt.Sprintf(`
		update schedules set accounted = now() - interval '%[2]d seconds', live_from = now() - interval '%[2]d seconds'
		where definition = '%[1]s' and live_until is null`, name, int(ago.Seconds())))
}

// runsOf lists the runs of a definition as the API shows them, in the order in which they were due.
func (s *service) runsOf(name string) []map[string]any {
	s.t.Helper()
	items := s.must("GET", "/v1/workflows/"+name+"/runs", nil)["items"].([]any)
	runs := make([]map[string]any, len(items))
	for i, item := range items {
		runs[i] = item.(map[string]any)
	}
	slices.SortStableFunc(runs, func(a, b map[string]any) int { return strings.Compare(a["due_at"].(string), b["due_at"].(string)) })
	return runs
}

// wantFiring waits until the only run of a definition has a status.
func (s *service) wantFiring(name string, status postgres.RunStatus) (run map[string]any) {
	s.t.Helper()
	s.until(fmt.Sprintf("the only run of %s is %s", name, status), func() bool {
		runs := s.runsOf(name)
		require.LessOrEqual(s.t, len(runs), 1, runs)
		if len(runs) == 1 {
			run = runs[0]
		}
		return run["status"] == string(status)
	})
	return run
}

// shownSchedule is the first schedule of a definition as the API shows it.
func (s *service) shownSchedule(name string) map[string]any {
	s.t.Helper()
	list, _ := s.must("GET", "/v1/workflows/"+name, nil)["schedules"].([]any)
	require.NotEmpty(s.t, list)
	return list[0].(map[string]any)
}

// TestFiringsOfAMinute waits for a full minute at which much is due.
func TestFiringsOfAMinute(t *testing.T) {
	t.Parallel()
	s := start(t).patient(5 * time.Minute)
	drivers := s.crowd(30, "in", "driver")
	pilots := s.crowd(3, "few", "pilot")
	_, err := s.db.PutProperty(s.ctx, automation.Property{Name: "hired", Label: "Hired", Type: "date", Group: "custom"})
	require.NoError(t, err)
	titles := map[string]string{
		"greet": "driver", "by-operator": "pilot", "by-workflow": "pilot", "edited-before": "pilot", "edited-after": "pilot",
		"moved-before": "pilot", "moved-after": "pilot", "deleted": "pilot", "archived": "pilot",
	}
	var minute time.Time
	var suffix string
	of := func(name string) string { return name + suffix }
	for attempt := 1; time.Until(minute) < time.Second; attempt++ { // until all is ready in time
		if attempt > 1 {
			suffix = fmt.Sprint("-", attempt)
		}
		minute = time.Now().Add(12 * time.Second).Truncate(time.Minute).Add(time.Minute)
		for name, title := range titles {
			s.publish(s.scheduled(of(name), daily(minute), title))
		}
		s.publish(s.once(of("anniversary"), `triggers: [{ schedule: { property: hired, yearly: true, offset: 7d, at: "`+minute.UTC().Format("15:04")+`" } }]`))
		for name := range titles {
			s.wantSchedule(of(name), "wakes then", func(d *client.ScheduleDescription) bool {
				return slices.ContainsFunc(d.Info.NextActionTimes, minute.Equal) || time.Now().After(minute)
			})
		}
		weekAgo := minute.UTC().AddDate(0, 0, -7).AddDate(-4, 0, 0) // and four years
		s.put("u_guest", properties{"hired": weekAgo.Format(time.DateOnly)})
		s.put("u_guest_too", properties{"hired": weekAgo.AddDate(0, 0, 1).Format(time.DateOnly)})
		require.NoError(t, s.inTemporal(of("by-operator")).Pause(s.ctx, client.SchedulePauseOptions{Note: "holiday"}))
		s.must("POST", "/v1/workflows/"+of("by-workflow")+"/pause", nil)
		s.must("POST", "/v1/workflows/"+of("archived")+"/archive", nil)
		s.wantSchedule(of("by-workflow"), "is paused", is(pausedInTemporal))
		s.look()
	}
	s.until("it is almost time", func() bool { return time.Until(minute) < 400*time.Millisecond })
	require.NoError(t, s.inTemporal(of("deleted")).Delete(s.ctx))
	s.until("it is 200 ms before", func() bool { return time.Until(minute) < 200*time.Millisecond })
	s.publish(s.scheduledAs("Edited", of("edited-before"), daily(minute), "pilot"))
	edited := time.Now()
	s.publish(s.scheduledAs("Moved", of("moved-before"), inSixHours(), "pilot"))
	moved := time.Now()
	s.until("it is 200 ms after", func() bool { return time.Since(minute) > 200*time.Millisecond })
	s.publish(s.scheduledAs("Edited", of("edited-after"), daily(minute), "pilot"))
	s.publish(s.scheduledAs("Moved", of("moved-after"), inSixHours(), "pilot"))

	run := s.wantFiring(of("greet"), postgres.RunCompleted)

	s.account() // of what Temporal did not wake for
	require.Equal(t, []any{"schedule", minute.UTC().Format("2006-01-02T15:04"), minute.UTC().Format(time.RFC3339), nil},
		[]any{run["kind"], run["nominal"], run["due_at"], run["by_hand"]})
	require.Equal(t, []any{30.0, 30.0, 0.0, 1.0}, []any{run["matched"], run["enrolled"], run["held"], run["progress"]})
	require.Empty(t, run["skipped"])
	created, err := time.Parse(time.RFC3339Nano, run["created_at"].(string))
	require.NoError(t, err)
	decided, err := time.Parse(time.RFC3339Nano, run["ended_at"].(string))
	require.NoError(t, err)
	t.Logf("the firing was opened %s after the minute, and all were decided after %s", created.Sub(minute), decided.Sub(minute))
	require.GreaterOrEqual(t, created.Sub(minute), time.Duration(0), "never early")
	s.wantEachOnce(of("greet"), drivers)
	require.Equal(t, 30.0, s.runsOf(of("greet"))[0]["started"])
	id := run["temporal_workflow_id"].(string)
	if created.Sub(minute) < 9*time.Second { // later, on a machine that is this slow, nobody waits for Temporal
		require.Equal(t, "rollcall/"+of("greet")+"/0-"+minute.UTC().Format(time.RFC3339), id, "Temporal woke for it")
	}
	var shown string
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, id, "").Get(s.ctx, &shown))
	require.Contains(t, shown, "30 users, 100 % decided: 30 enrolled, 0 held\n")
	w, err := s.temporal.DescribeWorkflow(s.ctx, id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, w.Status)
	s.keepHistory(id, "../scheduled/firing")

	s.wantFiring(of("anniversary"), postgres.RunCompleted)
	s.wantEachOnce(of("anniversary"), []string{"u_guest"})
	for _, name := range []string{"by-operator", "by-workflow"} {
		run := s.wantFiring(of(name), postgres.RunMissed)
		require.Equal(t, []any{missedInAPause, 0.0}, []any{run["reason"], run["matched"]}, name)
		require.Empty(t, s.enrollments(of(name), pilots[0]))
	}
	for _, name := range []string{"edited-before", "edited-after", "moved-after", "deleted"} {
		run := s.wantFiring(of(name), postgres.RunCompleted)
		require.Equal(t, 3.0, run["enrolled"], name)
		s.wantEachOnce(of(name), pilots)
	}
	if edited.Before(minute) {
		require.Equal(t, s.must("GET", "/v1/workflows/"+of("edited-before"), nil)["live_version"], s.runsOf(of("edited-before"))[0]["version"])
	}
	for _, name := range []string{"edited-after", "moved-after"} {
		require.Less(t, s.runsOf(of(name))[0]["version"], s.must("GET", "/v1/workflows/"+of(name), nil)["live_version"],
			"a firing belongs to the version that was live when it was due")
	}
	require.Empty(t, s.runsOf(of("archived")))
	if moved.Before(minute) {
		require.Empty(t, s.runsOf(of("moved-before")), "nor by hand")
	}
	s.wantSchedule(of("deleted"), "came back", func(*client.ScheduleDescription) bool { return true })

	s.account()
	for name := range titles {
		require.LessOrEqual(t, len(s.runsOf(of(name))), 1, name)
	}
	require.True(t, s.shownSchedule(of("by-operator"))["paused"].(bool))
	s.must("POST", "/v1/workflows/"+of("by-workflow")+"/resume", nil)
	s.wantSchedule(of("by-workflow"), "is not paused any more", func(d *client.ScheduleDescription) bool { return !d.Schedule.State.Paused })
	s.account()
	require.Len(t, s.runsOf(of("by-workflow")), 1, "what was missed is not made up for")
}
