package app_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"

	"rollcall/automation"
	"rollcall/triggers"
)

// crowd creates users with a title and returns their ids.
func (s *service) crowd(n int, prefix, title string) []string {
	s.t.Helper()
	ids, items := make([]string, n), make([]map[string]any, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("u_%s_%03d", prefix, i)
		items[i] = map[string]any{"id": ids[i], "properties": properties{"job_title": title}}
	}
	s.must("POST", "/v1/users/batch", map[string]any{"items": items})
	s.settled()
	return ids
}

// titled is a definition with one webhook for those with a title.
func (s *service) titled(name, title string) string {
	return s.once(name, "title: Greet all\ntriggers: [{ filter: { property: job_title, op: equals, value: "+title+" } }]")
}

// backfill publishes a definition and lets a run enroll those for whom its trigger holds.
func (s *service) backfill(name, text string, rate int) (run map[string]any) {
	s.t.Helper()
	s.must("PUT", "/v1/workflows/"+name, text)
	answer := s.must("POST", "/v1/workflows/"+name+"/publish", map[string]any{"existing": "enroll", "rate": rate})
	run, _ = answer["run"].(map[string]any)
	require.NotNil(s.t, run, answer)
	require.Equal(s.t, answer["matching"], run["matched"])
	require.EqualValues(s.t, rate, run["per_second"])
	return run
}

// theRun reads the newest run of a definition as the list shows it.
func (s *service) theRun(name string) map[string]any {
	s.t.Helper()
	return s.must("GET", "/v1/workflows/"+name+"/runs", nil)["items"].([]any)[0].(map[string]any)
}

// wantRun waits until the newest run of a definition passes the test.
func (s *service) wantRun(name, what string, holds func(run map[string]any) bool) (run map[string]any) {
	s.t.Helper()
	s.until("the run of "+name+" "+what, func() bool {
		run = s.theRun(name)
		return holds(run)
	})
	return run
}

func ended(run map[string]any) bool { return run["ended_at"] != nil }

func begun(run map[string]any) bool { return run["enrolled"].(float64) > 0 }

// details are what Temporal's Web UI shows of a running workflow; "" while it is too busy to say.
func (s *service) details(workflowID string) string {
	s.t.Helper()
	value, err := s.temporal.QueryWorkflow(s.ctx, workflowID, "", "__temporal_workflow_metadata")
	var metadata sdk.WorkflowMetadata
	if err != nil || value.Get(&metadata) != nil {
		return ""
	}
	return metadata.CurrentDetails
}

// wantEachOnce waits until each user has completed one enrollment, and one webhook left for each.
func (s *service) wantEachOnce(name string, users []string) {
	s.t.Helper()
	s.wantCounts(name, map[automation.EnrollmentStatus]int{automation.Completed: len(users)})
	for _, id := range users {
		require.Len(s.t, s.enrollments(name, id), 1, id)
		require.Len(s.t, s.webhooksOf("/webhook/"+name, id), 1, id)
	}
}

func TestRunEnrollsAllForWhomTheTriggerHeld(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := s.crowd(150, "in", "driver")
	s.crowd(20, "out", "pilot")

	run := s.backfill("greet", s.titled("greet", "driver"), 2000)

	began := time.Now()
	require.Equal(t, 150.0, run["matched"])
	require.Equal(t, "running", run["status"])
	workflowID := run["temporal_workflow_id"].(string)
	require.Contains(t, workflowID, "rollcall/backfill/greet/1")
	run = s.wantRun("greet", "has ended", ended)
	t.Logf("150 users were decided after %s", time.Since(began))
	require.Equal(t, "completed", run["status"])
	require.Equal(t, []any{150.0, 0.0, 1.0}, []any{run["enrolled"], run["held"], run["progress"]})
	require.Empty(t, run["skipped"])
	s.wantEachOnce("greet", users)
	require.Equal(t, s.theRun("greet"), s.must("GET", "/v1/workflows/greet/runs/"+run["id"].(string), nil))
	t.Logf("and had run to their end after %s", time.Since(began))

	d, err := s.temporal.DescribeWorkflow(s.ctx, workflowID, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, d.Status)
	summary, err := d.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "Backfill of Greet all", summary)
	var shown string
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, workflowID, "").Get(s.ctx, &shown))
	require.Equal(t, "### backfill of `greet` version 1: completed\n\n150 users, 100 % decided: 150 enrolled, 0 held\n", shown)
	decisions := s.decisions("greet", users[0])
	require.Equal(t, []string{"enrolled"}, decisions)
}

func TestRunWaitsGoesOnAndLeavesOutWhoChanged(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := s.crowd(40, "wait", "driver")
	run := s.backfill("slow", s.titled("slow", "driver"), 8)
	path, workflowID := "/v1/workflows/slow/runs/"+run["id"].(string), run["temporal_workflow_id"].(string)
	s.wantRun("slow", "has begun", begun)

	run = s.must("POST", path+"/pause", nil)

	require.Equal(t, "paused", run["status"])
	require.Equal(t, run["enrolled"].(float64)/40, run["progress"])
	require.Less(t, run["enrolled"], 40.0)
	enrolled := run["enrolled"]
	s.until("Temporal shows the pause", func() bool {
		return s.details(workflowID) == fmt.Sprintf(
			"### backfill of `slow` version 1: paused\n\n40 users, %.0f %% decided: %v enrolled, 0 held\n", 100*run["progress"].(float64), enrolled)
	})
	last, turned := users[39], users[38]
	s.patch(last, properties{"job_title": "boss"})     // the trigger holds no more
	s.patch(turned, properties{"job_title": "boss"})   // it did for a while not,
	s.patch(turned, properties{"job_title": "driver"}) // and enrolls when it begins anew
	s.wantStatus("slow", turned, automation.Completed)
	require.Equal(t, enrolled, s.theRun("slow")["enrolled"], "nobody is enrolled by a run that is paused")
	s.wantCounts("slow", map[automation.EnrollmentStatus]int{automation.Completed: int(enrolled.(float64)) + 1})

	require.Equal(t, "running", s.must("POST", path+"/resume", nil)["status"])

	run = s.wantRun("slow", "has ended", ended)
	require.Equal(t, "completed", run["status"])
	require.Equal(t, []any{38.0, 1.0}, []any{run["enrolled"], run["progress"]})
	require.Equal(t, map[string]any{"the filter does not hold any more": 2.0}, run["skipped"])
	s.wantEachOnce("slow", users[:39])
	require.Empty(t, s.enrollments("slow", last))
	for _, verb := range []string{"pause", "resume", "abort"} {
		status, problem := s.call("POST", path+"/"+verb, nil)
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "urn:rollcall:problem/already-finished", problem["type"])
	}
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, workflowID, "").Get(s.ctx, nil))
	s.keepHistory(workflowID, "backfill")
}

func TestRunEndsBeforeItsEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	const replaced = "another version was published, or the workflow archived"
	for _, c := range []struct {
		name, reason string
		end          func(name, path string)
	}{
		{"abort", "on request", func(_, path string) { s.must("POST", path+"/abort", nil) }},
		{"paused", "on request", func(name, path string) {
			s.must("POST", path+"/pause", nil)
			id := s.theRun(name)["temporal_workflow_id"].(string)
			s.until("Temporal waits", func() bool { return strings.Contains(s.details(id), ": paused\n") })
			s.must("POST", path+"/abort", nil)
		}},
		{"archive", replaced, func(name, _ string) { s.must("POST", "/v1/workflows/"+name+"/archive", nil) }},
		{"replace", replaced, func(name, _ string) { s.publish(s.once(name, "triggers: [{ event: never }]")) }},
	} {
		users := s.crowd(40, c.name, c.name)
		run := s.backfill(c.name, s.titled(c.name, c.name), 8)
		path, workflowID := "/v1/workflows/"+c.name+"/runs/"+run["id"].(string), run["temporal_workflow_id"].(string)
		s.wantRun(c.name, "has begun", begun)

		c.end(c.name, path)

		run = s.theRun(c.name)
		require.Equal(t, []any{"aborted", c.reason}, []any{run["status"], run["reason"]}, c.name)
		enrolled := int(run["enrolled"].(float64))
		require.Less(t, enrolled, 40, c.name)
		require.NoError(t, s.temporal.GetWorkflow(s.ctx, workflowID, "").Get(s.ctx, nil), "its Temporal workflow ends too")
		require.EqualValues(t, enrolled, s.theRun(c.name)["enrolled"], c.name)
		s.wantEachOnce(c.name, users[:enrolled])
		status, _ := s.call("POST", path+"/resume", nil)
		require.Equal(t, http.StatusConflict, status)
	}
}

func TestRunAsksWhoeverChangedAMomentAgo(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := s.crowd(24, "late", "driver")
	s.backfill("late", s.titled("late", "driver"), 8)
	s.wantRun("late", "has begun", begun)
	conn, err := pgx.Connect(s.ctx, s.config.DatabaseURL)
	require.NoError(t, err)
	defer conn.Close(s.ctx)
	busy, err := conn.Begin(s.ctx)
	require.NoError(t, err)
	_, err = busy.Exec(s.ctx, `lock table memberships in share row exclusive mode`) // the pump is behind
	require.NoError(t, err)

	s.patch(users[23], properties{"job_title": "boss"})

	run := s.wantRun("late", "has ended", ended)
	require.NoError(t, busy.Rollback(s.ctx))
	require.Equal(t, map[string]any{"the filter does not hold any more": 1.0}, run["skipped"])
	s.wantEachOnce("late", users[:23])
	require.Empty(t, s.enrollments("late", users[23]))
}

func TestRunThatIsAskedForWhileTemporalIsAwayBeginsWhenItIsBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := s.crowd(10, "far", "driver")
	s.stop()
	there := s.config.Temporal
	s.config.Temporal = client.Options{HostPort: "127.0.0.1:1", Namespace: s.namespace}
	s.run()

	run := s.backfill("far", s.titled("far", "driver"), 1000)

	path := "/v1/workflows/far/runs/" + run["id"].(string)
	require.Equal(t, "paused", s.must("POST", path+"/pause", nil)["status"])
	require.Equal(t, "running", s.must("POST", path+"/resume", nil)["status"])
	s.stop()
	s.config.Temporal = there
	s.run()
	run = s.wantRun("far", "has ended", ended)
	require.Equal(t, []any{"completed", 10.0}, []any{run["status"], run["enrolled"]})
	s.wantEachOnce("far", users)
}

func TestRunThatTemporalLostGoesOnInANewWorkflow(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := s.crowd(40, "lost", "driver")
	run := s.backfill("resumed", s.titled("resumed", "driver"), 10)
	s.wantRun("resumed", "has begun", begun)
	starter := triggers.NewStarter(triggers.StarterConfig{DB: s.db, Temporal: s.temporal, Log: slog.New(slog.DiscardHandler)})

	require.NoError(t, starter.CheckRuns(s.ctx, 0))
	require.Equal(t, run["temporal_workflow_id"], s.theRun("resumed")["temporal_workflow_id"], "what runs is left alone")
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, run["temporal_workflow_id"].(string), "", "by hand"))
	require.NoError(t, starter.CheckRuns(s.ctx, 0))

	lost := run["temporal_workflow_id"]
	run = s.wantRun("resumed", "has ended", ended)
	workflowID := run["temporal_workflow_id"].(string)
	require.Contains(t, workflowID, "rollcall/backfill/resumed/")
	require.NotEqual(t, lost, workflowID)
	require.Equal(t, []any{"completed", 40.0, 40.0}, []any{run["status"], run["matched"], run["enrolled"]})
	s.wantEachOnce("resumed", users)
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, workflowID, "").Get(s.ctx, nil))
}
