package app_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/triggers"
)

func TestEnrollmentThatTemporalDoesNotCarryAnyMoreIsFailedAndBlocksNobody(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("lost-in-temporal", everyEvent, "1h"))
	for _, id := range []string{"u_1", "u_2"} {
		s.put(id, properties{})
		s.event("signed_up", id)
		s.wantStep("lost-in-temporal", id, "wait")
	}
	gone := s.enrollments("lost-in-temporal", "u_1")[0]
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, gone.TemporalWorkflowID, "", "by hand"))
	// As if both delays should have ended long ago.
	s.exec(`update enrollments set waiting_until = now() - interval '1 hour', created_at = now() - interval '2 hours'`)
	starter := triggers.NewStarter(triggers.StarterConfig{DB: s.db, Temporal: s.temporal, Log: slog.New(slog.DiscardHandler)})

	require.NoError(t, starter.Check(s.ctx, 10*time.Minute))

	e := s.wantStatus("lost-in-temporal", "u_1", automation.Failed)
	require.Equal(t, "lost: its Temporal workflow was closed as Terminated", e.Reason)
	require.Equal(t, "wait", e.Step)
	require.Equal(t, automation.Active, s.enrollments("lost-in-temporal", "u_2")[0].Status, "Temporal carries it")
	s.event("signed_up", "u_1")
	s.until("the user is enrolled again", func() bool { return len(s.enrollments("lost-in-temporal", "u_1")) == 2 })
}
