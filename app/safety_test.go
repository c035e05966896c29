package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"

	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/postgres"
	"rollcall/workflows"
)

// hook is a definition with one or two webhooks and a delay.
func (s *service) hook(name, head, delay string) string {
	return fmt.Sprintf(`
name: %s
%s
steps:
  - { id: first, action: send_webhook, with: { url: "http://%s/webhook/first", body: { user: "{{ user.id }}" } } }
  - { id: wait, delay: %s }
  - { id: second, action: send_webhook, with: { url: "http://%s/webhook/second", body: { user: "{{ user.id }}", version: "{{ workflow.version }}" } } }
`, name, head, s.world.HTTPAddr(), delay, s.world.HTTPAddr())
}

const everyEvent = "triggers: [{ event: signed_up }]\nenroll: { again: every_trigger }"

func TestHundredConcurrentTriggersEnrollAUserOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("once-at-a-time", everyEvent, "1h"))
	s.put("u_1", properties{"first_name": "Ada"})

	var group sync.WaitGroup
	statuses := make(chan int, 200)
	for i := range 100 {
		group.Go(func() {
			status, _ := s.call("POST", "/v1/events", map[string]any{"id": fmt.Sprintf("e-%d", i), "name": "signed_up", "user_id": "u_1"})
			statuses <- status
		})
		if i%10 == 0 {
			group.Go(func() {
				status, _ := s.call("POST", "/v1/workflows/once-at-a-time/enrollments", map[string]any{"user_id": "u_1"})
				statuses <- status
			})
		}
	}
	group.Wait()
	close(statuses)
	for status := range statuses {
		require.Contains(t, []int{http.StatusAccepted, http.StatusCreated, http.StatusConflict}, status)
	}
	s.settled()
	require.Len(t, s.enrollments("once-at-a-time", "u_1"), 1)
	decisions, err := s.db.Decisions(s.ctx, "once-at-a-time", "u_1", 1000)
	require.NoError(t, err)
	enrolled := 0
	for _, d := range decisions {
		if d.Outcome == "enrolled" {
			enrolled++
		}
	}
	require.Equal(t, 1, enrolled)
	require.GreaterOrEqual(t, len(decisions), 100, "each event left a decision")

	// The ledger survives the end: the next trigger is the second enrollment.
	s.wantStep("once-at-a-time", "u_1", "wait")
	s.must("POST", "/v1/enrollments/"+s.enrollments("once-at-a-time", "u_1")[0].ID+"/unenroll", nil)
	s.event("signed_up", "u_1")
	e := s.wantStep("once-at-a-time", "u_1", "wait")
	require.Equal(t, "once-at-a-time/u_1/2", e.TemporalWorkflowID)
	require.Len(t, s.items("webhook"), 2)
}

func TestPublishingAVersionDoesNotChangeWhatRuns(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("versions", everyEvent, "2s"))
	s.put("u_1", properties{})
	s.put("u_2", properties{})
	s.event("signed_up", "u_1")
	s.wantStep("versions", "u_1", "wait")

	s.publish(strings.Replace(s.hook("versions", everyEvent, "1s"), "/webhook/second", "/webhook/other", 1))
	s.event("signed_up", "u_2")

	old := s.wantItem("webhook", func(i world.Item) bool { return i.Path == "/webhook/second" })
	require.JSONEq(t, `{"user": "u_1", "version": "1"}`, string(old.Body))
	fresh := s.wantItem("webhook", func(i world.Item) bool { return i.Path == "/webhook/other" })
	require.JSONEq(t, `{"user": "u_2", "version": "2"}`, string(fresh.Body))
	require.Equal(t, 1, s.wantStatus("versions", "u_1", automation.Completed).Version)
	require.Equal(t, 2, s.wantStatus("versions", "u_2", automation.Completed).Version)
}

func TestUnenrollingStopsADelayAtOnceAndNothingStartsAfterwards(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("leave", everyEvent, "1s"))
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	e := s.wantStep("leave", "u_1", "wait")

	answer := s.must("POST", "/v1/enrollments/"+e.ID+"/unenroll", map[string]any{"reason": "left the company"})

	require.Equal(t, "unenrolled", answer["status"])
	require.Equal(t, "left the company", answer["reason"])
	s.until("the Temporal workflow is closed", func() bool {
		d, err := s.temporal.DescribeWorkflowExecution(s.ctx, e.TemporalWorkflowID, "")
		require.NoError(t, err)
		return d.WorkflowExecutionInfo.CloseTime != nil
	})
	d, err := s.temporal.DescribeWorkflowExecution(s.ctx, e.TemporalWorkflowID, "")
	require.NoError(t, err)
	require.Less(t, d.WorkflowExecutionInfo.CloseTime.AsTime().Sub(e.StartedAt.Add(0)), 900*time.Millisecond, "long before its delay")
	require.Len(t, s.items("webhook"), 1)
	status, problem := s.call("POST", "/v1/enrollments/"+e.ID+"/unenroll", nil)
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "urn:rollcall:problem/already-finished", problem["type"])
	s.keepHistory(e.TemporalWorkflowID, "unenrolled")
}

func TestUnenrollingAtRandomMomentsLetsNoActionStartAfterTheAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("race", everyEvent, "1s"))
	const users = 40
	var group sync.WaitGroup
	answered := make([]time.Time, users)
	for i := range users {
		id := fmt.Sprintf("u_%d", i)
		s.put(id, properties{})
		s.event("signed_up", id)
		e := s.wantStep("race", id, "wait")
		group.Go(func() {
			// Around the end of its delay.
			time.Sleep(time.Until(e.WaitingUntil.Add(time.Duration(i-users/2) * 3 * time.Millisecond)))
			if status, _ := s.call("POST", "/v1/enrollments/"+e.ID+"/unenroll", nil); status == http.StatusOK {
				answered[i] = time.Now()
			}
		})
	}
	group.Wait()
	s.until("all have ended", func() bool {
		counts, err := s.db.Counts(s.ctx, "race")
		require.NoError(t, err)
		return counts[automation.Completed]+counts[automation.Unenrolled] == users
	})
	for i := range users {
		if answered[i].IsZero() {
			continue
		}
		e := s.enrollments("race", fmt.Sprintf("u_%d", i))[0]
		timeline, err := s.db.Timeline(s.ctx, e.ID)
		require.NoError(t, err)
		for _, v := range timeline {
			require.True(t, v.StartedAt.Before(answered[i]), "%s of %s began after the answer", v.Step, e.ID)
		}
	}
}

func TestRetriedWebhookKeepsItsID(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("retry", everyEvent, "0s"))
	s.put("u_1", properties{})
	s.world.Fail(world.Fault{Path: "/webhook/second", Times: 1, Status: 503})

	s.event("signed_up", "u_1")

	e := s.wantStatus("retry", "u_1", automation.Completed)
	timeline, err := s.db.Timeline(s.ctx, e.ID)
	require.NoError(t, err)
	require.Equal(t, 2, timeline[2].Attempts)
	require.Equal(t, "called "+s.world.HTTPAddr()+": 200", timeline[2].What)
	require.Equal(t, automation.EffectKey(e.ID, "second", 1), s.items("webhook")[1].WebhookID)
	s.keepHistory(e.TemporalWorkflowID, "retried")
}

func TestActionThatFailsForGoodFailsTheEnrollmentAndSaysWhy(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("broken", everyEvent, "0s"))
	s.put("u_1", properties{})
	s.world.Fail(world.Fault{Path: "/webhook/second", Times: 1, Status: 404})

	s.event("signed_up", "u_1")

	e := s.wantStatus("broken", "u_1", automation.Failed)
	require.Contains(t, e.Reason, "step second: send webhook")
	require.Contains(t, e.Reason, "404")
	list := s.must("GET", "/v1/enrollments?status=failed", nil)
	require.Len(t, list["items"], 1)
	var result workflows.EnrollmentResult
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, e.TemporalWorkflowID, "").Get(s.ctx, &result), "a domain failure is a status, not a red workflow")
	require.Equal(t, workflows.EnrollmentResult{Status: automation.Failed, Reason: "step second: it failed (status 404), the timeline says more"}, result)
	s.keepHistory(e.TemporalWorkflowID, "failed")
}

func TestPausedWorkflowStartsNoActionAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("held", everyEvent, "1s"))
	s.put("u_1", properties{})
	s.put("u_2", properties{})
	s.event("signed_up", "u_1")
	s.wantStep("held", "u_1", "wait")

	s.must("POST", "/v1/workflows/held/pause", nil)
	s.event("signed_up", "u_2")
	s.until("both are held at their next action", func() bool {
		held := 0
		for _, id := range []string{"u_1", "u_2"} {
			for _, e := range s.enrollments("held", id) {
				timeline, err := s.db.Timeline(s.ctx, e.ID)
				require.NoError(t, err)
				for _, v := range timeline {
					if v.Status == automation.StepHeld {
						held++
					}
				}
			}
		}
		return held == 2
	})
	require.Len(t, s.items("webhook"), 1)

	s.must("POST", "/v1/workflows/held/resume", nil)

	e := s.wantStatus("held", "u_1", automation.Completed)
	s.wantStatus("held", "u_2", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "paused")
	require.Len(t, s.items("webhook"), 4)
}

func TestEnrollmentWhoseStartWasLostIsStartedByTheSweep(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("lost", everyEvent, "0s"))
	s.put("u_1", properties{})

	// Enrolled in the database, and the process dies before it tells Temporal.
	_, _, err := s.db.Enroll(s.ctx, "lost", "u_1")
	require.NoError(t, err)

	s.wantStatus("lost", "u_1", automation.Completed)
	require.Len(t, s.items("webhook"), 2)
}

func TestUnenrolledBeforeItStartedNeverActs(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("never", everyEvent, "0s"))
	s.put("u_1", properties{})
	e, order, err := s.db.Enroll(s.ctx, "never", "u_1")
	require.NoError(t, err)
	_, _, err = s.db.Unenroll(s.ctx, e.ID, "changed our mind", "")
	require.NoError(t, err)

	// A starter that took the order before the unenrollment hands it over all the same.
	version, err := s.db.Published(s.ctx, "never", 1)
	require.NoError(t, err)
	run, err := s.temporal.ExecuteWorkflow(s.ctx, client.StartWorkflowOptions{
		ID: e.TemporalWorkflowID, TaskQueue: "rollcall",
	}, "Enrollment", map[string]any{"enrollment_id": order.ID, "user_id": "u_1", "program": version.Program})
	require.NoError(t, err)
	var result map[string]any
	require.NoError(t, run.Get(s.ctx, &result))

	require.Equal(t, map[string]any{"status": "unenrolled"}, result, "what people say stays in the ledger")
	require.Empty(t, s.items("webhook"))
}

func TestDeletedUserIsTakenOutAndForgotten(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("gone", everyEvent, "1s"))
	s.put("u_1", properties{"first_name": "Ada"})
	s.event("signed_up", "u_1")
	e := s.wantStep("gone", "u_1", "wait")

	s.must("DELETE", "/v1/users/u_1", nil)

	require.Equal(t, automation.Unenrolled, s.enrollments("gone", "u_1")[0].Status)
	s.until("the Temporal workflow is closed", func() bool {
		d, err := s.temporal.DescribeWorkflowExecution(s.ctx, e.TemporalWorkflowID, "")
		require.NoError(t, err)
		return d.WorkflowExecutionInfo.CloseTime != nil
	})
	require.Len(t, s.items("webhook"), 1)
	status, _ := s.call("GET", "/v1/users/u_1/history", nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestServiceStopsInOrderAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("restart", everyEvent, "1s"))
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	s.wantStep("restart", "u_1", "wait")

	s.stop()
	s.run()

	s.wantStatus("restart", "u_1", automation.Completed)
	require.Len(t, s.items("webhook"), 2)
}

func TestEnrollmentIsReadableInTemporal(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("readable", "title: Say hello\n"+everyEvent, "2m"))
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	e := s.wantStep("readable", "u_1", "wait")

	d, err := s.temporal.DescribeWorkflow(s.ctx, e.TemporalWorkflowID, "")
	require.NoError(t, err)
	summary, err := d.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "Say hello · u_1", summary)
	outline, err := d.GetStaticDetails()
	require.NoError(t, err)
	require.Equal(t, "- **first** send_webhook\n- **wait** wait 2m\n- **second** send_webhook\n", outline)
	s.until("the search attributes say where it stands", func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
		defer cancel()
		list, err := s.temporal.ListWorkflow(ctx, listRequest("RollcallWorkflow = 'readable' AND RollcallUser = 'u_1' AND RollcallVersion = 1 AND RollcallStep = 'wait'"))
		return err == nil && len(list.Executions) == 1
	})
	value, err := s.temporal.QueryWorkflow(s.ctx, e.TemporalWorkflowID, "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdk.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	require.Contains(t, metadata.CurrentDetails, "waiting until **"+e.WaitingUntil.UTC().Format("Mon 2 Jan 2006 15:04:05")+" UTC**")
}

func TestLoopOfTwoWorkflowsEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.declare(number("counter"))
	s.publish(`
name: loop
triggers: [{ event: property.changed, where: { event_property: property, op: equals, value: counter } }]
enroll: { again: every_trigger }
steps: [{ id: more, action: set_property, with: { property: counter, increment: 1 } }]
`)
	s.put("u_1", properties{})
	s.patch("u_1", properties{"counter": 1})
	s.until("the loop is refused", func() bool {
		decisions, err := s.db.Decisions(s.ctx, "loop", "u_1", 100)
		require.NoError(t, err)
		return len(decisions) > 0 && strings.HasPrefix(decisions[0].Reason, "loop")
	})
	user, err := s.db.User(s.ctx, "u_1")
	require.NoError(t, err)
	require.Equal(t, 1.0+postgres.MaxDepth, user.Properties["counter"])
}
