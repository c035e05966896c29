package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"rollcall/automation"
	"rollcall/workflows"
)

// closing is how late at most Temporal has closed what the ledger ended, on a machine that is busy with
// other tests: a worker that does not answer an update for two seconds is sent a cancellation.
const closing = 5 * time.Second

// inDelay waits until a user stands in the delay of a definition made by hook, and Temporal has it.
func (s *service) inDelay(definition, user string) automation.Enrollment {
	s.t.Helper()
	e := s.wantStep(definition, user, "wait")
	require.NotNil(s.t, e.WaitingUntil)
	require.Greater(s.t, time.Until(*e.WaitingUntil), month-time.Hour)
	return e
}

// wantOut waits until an enrollment was taken out of its delay, in Temporal too, and nothing more was
// done. It returns how long after an instant that was.
func (s *service) wantOut(e automation.Enrollment, reason string, since time.Time) time.Duration {
	s.t.Helper()
	left := s.wantStatus(e.Workflow, e.UserID, automation.Unenrolled)
	require.Equal(s.t, e.ID, left.ID)
	require.Equal(s.t, reason, left.Reason)
	require.LessOrEqual(s.t, left.EndedAt.Sub(since), prompt)
	var result workflows.EnrollmentResult
	require.NoError(s.t, s.temporal.GetWorkflow(s.ctx, e.TemporalWorkflowID, "").Get(s.ctx, &result))
	require.Equal(s.t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: reason}, result)
	d, err := s.temporal.DescribeWorkflowExecution(s.ctx, e.TemporalWorkflowID, "")
	require.NoError(s.t, err)
	require.Equal(s.t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, d.WorkflowExecutionInfo.Status)
	closed := d.WorkflowExecutionInfo.CloseTime.AsTime().Sub(since)
	require.LessOrEqual(s.t, closed, closing)
	timeline := s.must("GET", "/v1/enrollments/"+e.ID, nil)["timeline"].([]any)
	require.Len(s.t, timeline, 2, "the second webhook never begins")
	require.Equal(s.t, "stopped", timeline[1].(map[string]any)["status"])
	require.Len(s.t, s.webhooksOf("/webhook/first", e.UserID), 1)
	require.Empty(s.t, s.webhooksOf("/webhook/second", e.UserID))
	return closed
}

// leaving is a way out of a workflow.
type leaving struct {
	name, trigger, head string
	user                properties
	stays               func(s *service, user string) // things after which the user is still in
	leaves              func(s *service, user string)
	reason              string
}

// The reasons for which users leave.
const (
	becauseUnless  = "suppressed: enroll.unless holds"
	becauseWhen    = "unenroll.when holds"
	becauseStopped = "no filter trigger holds any more"
)

func waysOut() []leaving {
	patch := func(p properties) func(*service, string) {
		return func(s *service, user string) { s.patch(user, p) }
	}
	send := func(name string) func(*service, string) {
		return func(s *service, user string) { s.event(name, user) }
	}
	const hired = "{ event: hired }"
	return []leaving{
		{
			name: "unless", trigger: hired, head: "enroll: { unless: { property: status, op: any_of, value: [deactivated] } }",
			stays: patch(properties{"last_name": "x"}), leaves: patch(properties{"status": "deactivated"}), reason: becauseUnless,
		},
		{
			name: "change", trigger: hired, head: "unenroll: { when: { property: main_team, op: none_of, value: [support] } }",
			user: properties{"main_team": "support"}, stays: patch(properties{"main_team": nil}), leaves: patch(properties{"main_team": "sales"}), reason: becauseWhen,
		},
		{
			name: "events", trigger: hired, head: "unenroll: { when: { event: complaint, op: at_least, count: 3, within: 7d } }",
			stays: func(s *service, user string) {
				s.event("complaint", user)
				s.event("complaint", user)
				s.event("praise", user)
			},
			leaves: send("complaint"), reason: becauseWhen,
		},
		{
			name: "passage", trigger: hired, head: "unenroll: { when: { workflow: other, op: completed } }",
			leaves: send("begin_other"), reason: becauseWhen,
		},
		{
			name: "stops", trigger: "{ filter: { property: job_title, op: equals, value: driver } }", head: "unenroll: { when_trigger_stops: true }",
			user: properties{"job_title": "driver"}, stays: patch(properties{"first_name": "x"}), leaves: patch(properties{"job_title": "boss"}), reason: becauseStopped,
		},
	}
}

func TestWhoMustLeaveLeavesInTheMiddleOfADelay(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.once("other", "triggers: [{ event: begin_other }]"))
	for _, way := range waysOut() {
		name, user := "leave-"+way.name, "u_"+way.name
		s.publish(s.hook(name, "triggers: ["+way.trigger+"]\n"+way.head, "30d"))
		s.put(user, way.user)
		s.event("hired", user)
		e := s.inDelay(name, user)
		if way.stays != nil {
			way.stays(s, user)
			s.settled()
			require.Equal(t, automation.Active, s.enrollments(name, user)[0].Status, name)
		}

		began := time.Now()
		way.leaves(s, user)

		t.Logf("%s: closed in Temporal %s after the request", name, s.wantOut(e, way.reason, began))
		require.Len(t, s.enrollments(name, user), 1, name)
		s.must("POST", "/v1/workflows/"+name+"/archive", nil)
	}
}

func TestTimeAloneEndsAnEnrollment(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("gone-quiet", "triggers: [{ event: hired }]\nunenroll: { when: { property: last_active_at, op: before, value: now-30d } }", "30d"))
	s.publish(s.hook("still-there", "triggers: [{ filter: { property: last_active_at, op: after, value: now-30d } }]\nunenroll: { when_trigger_stops: true }", "30d"))
	s.publish(s.hook("barred", "triggers: [{ event: hired }]\nenroll: { unless: { property: last_active_at, op: before, value: now-30d } }", "30d"))
	value, instant := monthAgoIn(6 * time.Second)
	s.put("u_1", properties{"last_active_at": value})
	s.event("hired", "u_1")
	reasons := map[string]string{"gone-quiet": becauseWhen, "still-there": becauseStopped, "barred": becauseUnless}
	inside := map[string]automation.Enrollment{}
	for name := range reasons {
		inside[name] = s.inDelay(name, "u_1")
	}

	for name, reason := range reasons {
		left := s.wantStatus(name, "u_1", automation.Unenrolled)
		require.False(t, left.EndedAt.Before(instant), "%s: before the instant", name)
		require.Equal(t, reason, left.Reason)
		require.LessOrEqual(t, left.EndedAt.Sub(instant), prompt)
		var result workflows.EnrollmentResult
		require.NoError(t, s.temporal.GetWorkflow(s.ctx, inside[name].TemporalWorkflowID, "").Get(s.ctx, &result))
		require.Equal(t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: reason}, result)
		d, err := s.temporal.DescribeWorkflowExecution(s.ctx, inside[name].TemporalWorkflowID, "")
		require.NoError(t, err)
		closed := d.WorkflowExecutionInfo.CloseTime.AsTime().Sub(instant)
		require.LessOrEqual(t, closed, closing)
		t.Logf("%s: ended %s, closed in Temporal %s after the instant", name, left.EndedAt.Sub(instant), closed)
	}
	require.Empty(t, s.webhooksOf("/webhook/second", "u_1"))
}

func TestOldEnrollmentsKeepTheConditionsOfTheirVersion(t *testing.T) {
	t.Parallel()
	s := start(t)
	const trigger = "triggers: [{ event: hired }]\n"
	conditioned := s.hook("rules", trigger+"unenroll: { when: { property: main_team, op: any_of, value: [sales] } }", "30d")
	free := s.hook("rules", trigger, "30d")
	enter := func(user string, text string) automation.Enrollment {
		if text != "" {
			s.publish(text)
		}
		s.put(user, properties{"main_team": "support"})
		s.event("hired", user)
		return s.inDelay("rules", user)
	}
	first := enter("u_first", conditioned)
	second := enter("u_second", free)
	require.Equal(t, []int{1, 2}, []int{first.Version, second.Version})

	began := time.Now()
	s.patch("u_second", properties{"main_team": "sales"})
	s.patch("u_first", properties{"main_team": "sales"})

	s.wantOut(first, becauseWhen, began)
	s.settled()
	require.Equal(t, automation.Active, s.enrollments("rules", "u_second")[0].Status)

	// The other way round: a condition that comes with a version does not concern those before.
	third := enter("u_third", conditioned)
	began = time.Now()
	s.patch("u_second", properties{"main_team": "support"})
	s.patch("u_second", properties{"main_team": "sales"})
	s.patch("u_third", properties{"main_team": "sales"})
	s.wantOut(third, becauseWhen, began)
	s.settled()
	require.Equal(t, automation.Active, s.enrollments("rules", "u_second")[0].Status)

	// Archived, its conditions still hold for who is in.
	fourth := enter("u_fourth", "")
	s.must("POST", "/v1/workflows/rules/archive", nil)
	began = time.Now()
	s.patch("u_fourth", properties{"main_team": "sales"})
	s.wantOut(fourth, becauseWhen, began)
}
