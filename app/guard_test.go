package app_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

// held lists the ids of the enrollments that the API shows as waiting for approval.
func (s *service) held(definition string) []string {
	s.t.Helper()
	answer := s.must("GET", "/v1/workflows/"+definition+"/held", nil)
	var ids []string
	for _, item := range answer["items"].([]any) {
		require.Equal(s.t, "held", item.(map[string]any)["status"])
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	require.EqualValues(s.t, len(ids), answer["count"])
	return ids
}

// wantCounts waits until the enrollments of a definition are so many in each status.
func (s *service) wantCounts(definition string, want map[automation.EnrollmentStatus]int) {
	s.t.Helper()
	var counts map[automation.EnrollmentStatus]int
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s has %v", definition, counts)
		}
	}()
	s.until(fmt.Sprintf("%s has %v", definition, want), func() bool {
		var err error
		counts, err = s.db.Counts(s.ctx, definition)
		require.NoError(s.t, err)
		return fmt.Sprint(counts) == fmt.Sprint(want)
	})
}

const heldBack = "held: the guard lets no more through this hour"

func TestGuardHoldsWhatIsMoreThanUsualUntilSomebodyDecides(t *testing.T) {
	t.Parallel()
	s := start(t)
	const trigger = "triggers: [{ event: signed_up }]\n"
	s.publish(s.once("guarded", trigger+"guard: { max_per_hour: 10 }"))
	events := make([]map[string]any, 30)
	for i := range events {
		id := fmt.Sprintf("u_%d", i)
		s.put(id, properties{})
		events[i] = map[string]any{"name": "signed_up", "user_id": id}
	}

	s.must("POST", "/v1/events/batch", map[string]any{"items": events})

	s.wantCounts("guarded", map[automation.EnrollmentStatus]int{automation.Completed: 10, automation.Held: 20})
	require.Len(t, s.items("webhook"), 10)
	ids := s.held("guarded")
	require.Len(t, ids, 20)
	user := func(id string) string {
		return s.must("GET", "/v1/enrollments/"+id, nil)["user_id"].(string)
	}
	approved, rejected, left := user(ids[0]), user(ids[19]), user(ids[10])
	decided := s.must("GET", "/v1/workflows/guarded/decisions?user="+approved, nil)["items"].([]any)[0].(map[string]any)
	require.Equal(t, "held", decided["outcome"])
	require.Equal(t, heldBack, decided["reason"])
	require.Equal(t, ids[0], decided["enrollment_id"])
	s.event("signed_up", approved)
	s.settled()
	require.Len(t, s.enrollments("guarded", approved), 1, "who is held is in")

	// An operator may take out one of them, and decide about some and then about all others.
	s.must("POST", "/v1/enrollments/"+ids[10]+"/unenroll", nil)
	answer := s.must("POST", "/v1/workflows/guarded/held/approve", map[string]any{"enrollments": ids[:7]})
	require.Equal(t, 7.0, answer["count"])
	s.wantCounts("guarded", map[automation.EnrollmentStatus]int{automation.Completed: 17, automation.Held: 12, automation.Unenrolled: 1})
	require.Len(t, s.webhooksOf("/webhook/guarded", approved), 1)
	answer = s.must("POST", "/v1/workflows/guarded/held/reject", nil)
	require.Equal(t, 12.0, answer["count"])
	require.Empty(t, s.held("guarded"))
	require.Equal(t, "not approved", s.wantStatus("guarded", rejected, automation.Unenrolled).Reason)
	require.Equal(t, 0.0, s.must("POST", "/v1/workflows/guarded/held/approve", nil)["count"], "what is decided stays so")

	// The guard is full: whoever was rejected is held when a trigger comes again. Without it they begin.
	s.event("signed_up", rejected)
	s.settled()
	require.Equal(t, automation.Held, s.enrollments("guarded", rejected)[0].Status)
	s.must("POST", "/v1/workflows/guarded/held/reject", nil)
	s.publish(s.once("guarded", trigger))
	s.event("signed_up", rejected)
	e := s.wantStatus("guarded", rejected, automation.Completed)
	require.Equal(t, "guarded/"+rejected+"/3", e.TemporalWorkflowID)
	require.Len(t, s.webhooksOf("/webhook/guarded", rejected), 1)
	s.event("signed_up", left)
	s.wantStatus("guarded", left, automation.Completed)
	require.Len(t, s.webhooksOf("/webhook/guarded", left), 1, "who was taken out while held had never been in")
}

func TestRequestThatTheGuardHoldsIsAnsweredAsHeld(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.once("asked", "triggers: [{ manual: true }]\nguard: { max_per_hour: 1 }"))
	s.put("u_1", properties{})
	s.put("u_2", properties{})

	first := s.must("POST", "/v1/workflows/asked/enrollments", map[string]any{"user_id": "u_1"})
	second := s.must("POST", "/v1/workflows/asked/enrollments", map[string]any{"user_id": "u_2"})

	require.Equal(t, "pending", first["status"])
	require.Equal(t, "held", second["status"])
	s.wantStatus("asked", "u_1", automation.Completed)
	require.Equal(t, []string{second["id"].(string)}, s.held("asked"))
	s.must("POST", "/v1/workflows/asked/held/approve", nil)
	s.wantStatus("asked", "u_2", automation.Completed)
	require.Len(t, s.items("webhook"), 2)
}

func TestWhoMustLeaveLeavesWhileHeld(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.once("wait", "triggers: [{ event: hired }]\nguard: { max_per_hour: 1 }\nenroll: { unless: { property: status, op: any_of, value: [deactivated] } }"))
	for _, id := range []string{"u_1", "u_2", "u_3"} {
		s.put(id, properties{})
		s.event("hired", id)
		s.settled()
	}
	require.Len(t, s.held("wait"), 2)

	s.patch("u_2", properties{"status": "deactivated"})
	s.must("DELETE", "/v1/users/u_3", nil)

	require.Equal(t, becauseUnless, s.wantStatus("wait", "u_2", automation.Unenrolled).Reason)
	s.wantStatus("wait", "u_3", automation.Unenrolled)
	require.Equal(t, 0.0, s.must("POST", "/v1/workflows/wait/held/approve", nil)["count"])
	s.wantCounts("wait", map[automation.EnrollmentStatus]int{automation.Completed: 1, automation.Unenrolled: 2})
	require.Len(t, s.items("webhook"), 1)
}

func TestPublicationThatWouldEnrollHalfTheCompanyIsHeld(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := s.crowd(20, "half", "driver")
	s.crowd(20, "other", "pilot")

	s.backfill("half", s.titled("half", "driver")+"guard: { max_share: 20% }\n", 1000)

	run := s.wantRun("half", "has ended", ended)
	require.Equal(t, []any{"completed", 20.0, 8.0, 12.0, 1.0}, []any{run["status"], run["matched"], run["enrolled"], run["held"], run["progress"]})
	s.wantCounts("half", map[automation.EnrollmentStatus]int{automation.Completed: 8, automation.Held: 12})
	require.Len(t, s.held("half"), 12)
	s.must("POST", "/v1/workflows/half/held/approve", nil)
	s.wantEachOnce("half", users)
}
