package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

const (
	deactivated = `{"property": "status", "op": "equals", "value": "deactivated"}`
	suppressed  = "suppressed: enroll.unless holds"
	barred      = "unenroll.when holds"
)

// bars are the two conditions that keep users out and take them out, with the reasons they give.
var bars = map[string]struct {
	head   func(filter string) string
	reason string
}{
	"enroll.unless": {func(filter string) string { return `"enroll": {"again": "every_trigger", "unless": ` + filter + `}` }, suppressed},
	"unenroll.when": {func(filter string) string {
		return `"enroll": {"again": "every_trigger"}, "unenroll": {"when": ` + filter + `}`
	}, barred},
}

// bothBars runs a test with each of the two conditions.
func bothBars(t *testing.T, test func(t *testing.T, b *bundle, head func(filter string) string, reason string)) {
	t.Helper()
	for name, bar := range bars {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBundleOnMonday(t), bar.head, bar.reason)
		})
	}
}

func TestNobodyIsEnrolledWhomAConditionKeepsOut(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("w", `"triggers": [{"event": "signed_up"}, {"filter": `+titled+`}], `+head(deactivated))
		b.put("u_1", map[string]any{"status": "deactivated"})

		b.event("", "signed_up", "u_1")
		b.drain()
		b.put("u_1", map[string]any{"job_title": "Lead"})
		b.drain()
		_, _, err := b.db.Enroll(b.ctx, "w", "u_1")

		require.ErrorIs(t, err, automation.ErrSuppressed)
		require.ErrorIs(t, err, automation.ErrConflict)
		require.ErrorContains(t, err, reason)
		refused := "refused: " + reason
		require.Equal(t, []string{refused, refused, refused}, b.outcomes("w", "u_1"))
		require.Empty(t, b.passages("w", "u_1"))
		b.put("u_1", map[string]any{"status": "active"})
		b.drain()
		require.Len(t, b.outcomes("w", "u_1"), 3, "to cease to be kept out is no trigger")
		b.enroll("w", "u_1")
	})
}

func TestWhoIsInLeavesWhenAConditionComesToHoldByAChange(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("w", `"triggers": [{"event": "signed_up"}], `+head(deactivated))
		b.put("u_1", nil)
		b.event("", "signed_up", "u_1")
		b.drain()

		b.put("u_1", map[string]any{"status": "deactivated"})
		b.drain()

		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_1"))
		commands, err := b.db.Commands(b.ctx, 10)
		require.NoError(t, err)
		require.Len(t, commands, 1, "Temporal is told")
		require.Equal(t, "w/u_1/1", commands[0].TemporalWorkflowID)
		require.Equal(t, reason, commands[0].Reason)
	})
}

func TestWhoIsInLeavesWhenAConditionComesToHoldByAnEvent(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("w", `"triggers": [{"event": "signed_up"}], `+head(`{"event": "complained", "op": "at_least", "count": 2, "within": "7d"}`))
		b.put("u_1", nil)
		b.event("", "complained", "u_1")
		b.event("", "signed_up", "u_1")
		b.settle()
		require.Equal(t, []string{"pending"}, b.passages("w", "u_1"), "one complaint")

		b.later(6 * day)
		b.event("", "complained", "u_1")
		b.settle()
		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_1"))
		b.event("", "signed_up", "u_1")
		b.settle()
		b.later(day) // the first complaint is too old by now
		b.event("", "signed_up", "u_1")
		b.settle()

		require.Equal(t, []string{"enrolled", "refused: " + reason, "enrolled"}, b.outcomes("w", "u_1"))
	})
}

func TestWhoIsInLeavesWhenAConditionComesToHoldByTimeAlone(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("w", `"triggers": [{"event": "signed_up"}, {"manual": true}], `+head(inactive))
		b.put("u_event", map[string]any{"last_active_at": b.instant(0)})
		b.put("u_request", map[string]any{"last_active_at": b.instant(0)})
		b.event("", "signed_up", "u_event")
		b.drain()
		b.enroll("w", "u_request")

		b.later(20 * day)
		b.put("u_event", map[string]any{"last_active_at": b.instant(0)})
		b.later(10 * day)
		require.Equal(t, []string{"pending"}, b.passages("w", "u_request"))
		b.later(time.Microsecond)
		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_request"))
		require.Equal(t, []string{"pending"}, b.passages("w", "u_event"), "who was active meanwhile stays longer")
		b.later(20 * day)
		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_event"))
		require.Zero(t, b.count(`select count(*) from enrollments where due is not null`))
	})
}

func TestWhoIsInLeavesWhenAConditionComesToHoldByAnotherWorkflow(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("other", `"triggers": [{"manual": true}]`)
		b.publish("entered", `"triggers": [{"event": "signed_up"}], `+head(`{"workflow": "other", "op": "active"}`))
		b.publish("left", `"triggers": [{"event": "signed_up"}], `+head(`{"workflow": "other", "op": "completed"}`))
		b.put("u_1", nil)
		b.event("", "signed_up", "u_1")
		b.drain()

		b.enroll("other", "u_1")
		b.drain()
		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("entered", "u_1"))
		require.Equal(t, []string{"pending"}, b.passages("left", "u_1"))
		b.finish("other", "u_1")
		b.drain()
		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("left", "u_1"))
	})
}

func TestConditionThatHeldWhileTheClockStoodStillTakesOut(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("w", `"triggers": [{"event": "signed_up"}], `+head(pastMonth))
		b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
		b.event("", "signed_up", "u_1")
		b.drain()

		b.later(40 * day)

		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_1"))
	})
}

func TestChangeThatTakesOutDoesNotBringBackIn(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("w", `"triggers": [{"event": "user.updated"}, {"filter": {"property": "phone", "op": "known"}}], `+
			head(`{"property": "job_title", "op": "equals", "value": "contractor"}`))
		b.put("u_1", nil)
		b.put("u_1", map[string]any{"job_title": "Agent"})
		b.drain()
		require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))

		b.put("u_1", map[string]any{"job_title": "Contractor", "phone": "1"})
		b.drain()

		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_1"))
		require.Equal(t, []string{"enrolled", "refused: " + reason, "refused: " + reason}, b.outcomes("w", "u_1"))
	})
}

func TestWhoIsHeldLeavesToo(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, reason string) {
		t.Helper()
		b.publish("w", `"triggers": [{"event": "signed_up"}], "guard": {"max_per_hour": 1}, `+
			head(`{"any": [`+deactivated+`, `+inactive+`]}`))
		each(4, func(id string) {
			b.put(id, map[string]any{"last_active_at": b.instant(0)})
			b.event("", "signed_up", id)
		})
		b.settle()
		require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 1, automation.Held: 3}, b.counts("w"))

		b.put("u_001", map[string]any{"status": "deactivated"})
		b.put("u_002", map[string]any{"last_active_at": b.instant(20 * day)})
		b.later(31 * day)

		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_001"), "by a change")
		require.Equal(t, []string{"held"}, b.passages("w", "u_002"))
		require.Equal(t, []string{"unenrolled: " + reason}, b.passages("w", "u_003"), "by time")
		n, err := b.db.Approve(b.ctx, "w", nil)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

func TestRequestIsJudgedByWhatTheUserIsNotByWhatWaitsToBeEvaluated(t *testing.T) {
	t.Parallel()
	bothBars(t, func(t *testing.T, b *bundle, head func(string) string, _ string) {
		t.Helper()
		b.publish("w", `"triggers": [{"manual": true}], `+head(deactivated))
		b.put("u_1", map[string]any{"status": "deactivated"})
		b.put("u_1", map[string]any{"status": "active"})

		_, _, err := b.db.Enroll(b.ctx, "w", "u_1")
		require.NoError(t, err)
		b.drain() // what the user was before

		require.Equal(t, []string{"pending"}, b.passages("w", "u_1"))
	})
}

func TestTwoConditionsGiveTheReasonOfTheFirst(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"manual": true}], "enroll": {"unless": `+deactivated+`}, "unenroll": {"when": `+deactivated+`}`)
	b.put("u_1", nil)
	ref := b.enroll("w", "u_1")

	b.put("u_1", map[string]any{"status": "deactivated"})
	b.drain()

	require.Equal(t, []string{"unenrolled: " + suppressed}, b.passages("w", "u_1"))
	_, err := b.db.BeginVisit(b.ctx, ref, "noop")
	require.ErrorIs(t, err, automation.ErrFinished, "no action starts any more")
	_, _, err = b.db.EndEnrollment(b.ctx, postgres.End{ID: ref.EnrollmentID, Status: automation.Completed})
	require.NoError(t, err)
	require.Equal(t, []string{"unenrolled: " + suppressed}, b.passages("w", "u_1"), "the first end stands")
}
