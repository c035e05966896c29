package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// onAnErrand is an enrollment that has not begun.
func onAnErrand(t *testing.T) (*bundle, postgres.VisitRef) {
	t.Helper()
	b := newBundle(t)
	b.flow("w", byRequest, errand)
	b.put("u_1", nil)
	return b, b.enroll("w", "u_1")
}

func TestAFailureThatIsRecordedAfterTheEndLeavesNoStepRunning(t *testing.T) {
	t.Parallel()
	b, in := onAnErrand(t)
	ref := at(in, "act", 1)
	_, err := b.db.BeginVisit(b.ctx, ref, "noop")
	require.NoError(t, err)
	_, _, err = b.db.Unenroll(b.ctx, in.EnrollmentID, "enough", "")
	require.NoError(t, err)

	require.NoError(t, b.db.FailVisit(b.ctx, ref, postgres.Failure{Kind: "noop", Text: "no", Retry: true}))

	timeline, err := b.db.Timeline(b.ctx, in.EnrollmentID)
	require.NoError(t, err)
	require.Equal(t, automation.StepStopped, timeline[0].Status)
	require.NotNil(t, timeline[0].FinishedAt)
	require.Equal(t, "no", timeline[0].Error)
}

// TestAFailureThatIsRecordedAfterTheEndBeginsNoStep: an attempt that the gate never let in, because
// PostgreSQL was away, fails when the enrollment has ended meanwhile.
func TestAFailureThatIsRecordedAfterTheEndBeginsNoStep(t *testing.T) {
	t.Parallel()
	b, in := onAnErrand(t)
	_, _, err := b.db.Unenroll(b.ctx, in.EnrollmentID, "enough", "")
	require.NoError(t, err)

	require.NoError(t, b.db.FailVisit(b.ctx, at(in, "act", 1), postgres.Failure{Kind: "noop", Text: "no", Retry: true}))

	timeline, err := b.db.Timeline(b.ctx, in.EnrollmentID)
	require.NoError(t, err)
	require.Empty(t, timeline)
}

// TestADelayIsOverOnceTheStepBehindItFailed: the gate, which says that a delay is over, may not have let the
// attempt in, because PostgreSQL was away.
func TestADelayIsOverOnceTheStepBehindItFailed(t *testing.T) {
	t.Parallel()
	b, in := onAnErrand(t)
	_, err := b.db.BeginDelay(b.ctx, at(in, "rest", 1), b.now().Add(time.Second))
	require.NoError(t, err)

	require.NoError(t, b.db.FailVisit(b.ctx, at(in, "act", 1), postgres.Failure{Kind: "noop", Text: "no", Retry: true}))

	require.Equal(t, []string{"rest 1 done", "act 1 running"}, b.visits(in.EnrollmentID))
	_, _, err = b.db.Unenroll(b.ctx, in.EnrollmentID, "enough", "")
	require.NoError(t, err)
	require.Equal(t, []string{"rest 1 done", "act 1 stopped"}, b.visits(in.EnrollmentID))
}

// TestADelayThatFailsIsNotOver: its own failure says nothing about its end.
func TestADelayThatFailsIsNotOver(t *testing.T) {
	t.Parallel()
	b, in := onAnErrand(t)
	_, err := b.db.BeginDelay(b.ctx, at(in, "rest", 1), b.now().Add(time.Second))
	require.NoError(t, err)

	require.NoError(t, b.db.FailVisit(b.ctx, at(in, "rest", 1), postgres.Failure{Kind: "delay", Text: "no", Retry: true}))

	require.Equal(t, []string{"rest 1 running"}, b.visits(in.EnrollmentID))
}
