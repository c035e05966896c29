package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/postgres"
	"rollcall/triggers"
)

// evaluate evaluates what waits, and lets something happen between the question and the answer.
func (b *bundle) evaluate(meanwhile func()) {
	b.t.Helper()
	_, err := b.db.Evaluate(b.ctx, 10, func(q *postgres.Question) postgres.Verdict {
		meanwhile()
		return triggers.Judge(q)
	})
	require.NoError(b.t, err)
}

// end completes every enrollment, without regard to who works on its user.
func (b *bundle) end() {
	b.t.Helper()
	b.exec(`update enrollments set status = 'completed', ended_at = $1, ended_seq = nextval('moments'), due = null where ended_at is null`, monday)
}

func TestEnrollmentThatEndsWhileItIsJudgedIsNeverDueAgain(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"manual": true}], "unenroll": {"when": `+inactive+`}`)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.enroll("w", "u_1")
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})

	b.evaluate(b.end)

	b.later(31 * day)
	_, due, err := b.db.NextRing(b.ctx)
	require.NoError(t, err)
	require.False(t, due)
	require.Equal(t, []string{"completed"}, b.passages("w", "u_1"))
}

func TestEnrollmentThatEndsWhileItIsJudgedKeepsItsEnd(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp+`, "unenroll": {"when": `+deactivated+`}`)
	b.signUp("u_1")
	b.drain()
	b.put("u_1", map[string]any{"status": "deactivated"})

	b.evaluate(b.end)

	require.Equal(t, []string{"completed"}, b.passages("w", "u_1"))
	commands, err := b.db.Commands(b.ctx, 10)
	require.NoError(t, err)
	require.Empty(t, b.texts(`select reason from enrollments where reason <> ''`))
	require.LessOrEqual(t, len(commands), 1, "a workflow that has ended may be told so")
}

func TestRequestWhileAMatchIsJudgedIsOneEnrollment(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp)
	b.signUp("u_1")

	b.evaluate(func() {
		_, _, err := b.db.Enroll(b.ctx, "w", "u_1")
		require.NoError(t, err)
	})

	require.Equal(t, []string{"enrolled", "refused: already enrolled"}, b.outcomes("w", "u_1"))
	require.Equal(t, []string{"pending"}, b.passages("w", "u_1"))
}

func TestBackfillIsJudgedByWhatTheUserIsNotByWhatWaitsToBeEvaluated(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(2)
	run := b.backfill("w", `"triggers": [{"filter": `+titled+`}], "unenroll": {"when": `+deactivated+`}`)
	b.put("u_000", map[string]any{"status": "deactivated"})
	b.put("u_000", map[string]any{"status": "active"})

	b.run(run)
	b.drain() // what the user was before

	require.Equal(t, []string{"u_000", "u_001"}, b.inside("w"))
}

func TestExplanationOfAUserWhoChangesOftenNamesTheBaseline(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.publish("w", whenever(titled))
	b.exec(`
		insert into changes (user_id, property, new, at, source)
		select 'u_1', 'phone', to_jsonb(n::text), $1::timestamptz + n * interval '1 minute', 'test' from generate_series(1, 600) n`, monday)
	b.pass(day)

	x := b.explain("u_1", day)

	require.Equal(t, monday, *x.Triggers[0].Since)
	require.Contains(t, x.Reason, "held already when version 1 was published")
}
