package triggers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// titled holds for those with a job title.
const titled = `{"property": "job_title", "op": "known"}`

// titleAnew lets a filter on the job title start to hold once more.
func (b *bundle) titleAnew(user string) {
	b.t.Helper()
	b.put(user, map[string]any{"job_title": nil})
	b.put(user, map[string]any{"job_title": "Lead"})
	b.settle()
}

func TestFilterEnrollsAgainAsOftenAsItsWorkflowSays(t *testing.T) {
	t.Parallel()
	const once, soon, inside = "refused: enrolled before, and the workflow enrolls once", "refused: enrolled too recently", "refused: already enrolled"
	for name, c := range map[string]struct {
		again string
		want  []string
	}{
		"never":         {`"never"`, []string{"enrolled", inside, once, once, once}},
		"every trigger": {`"every_trigger"`, []string{"enrolled", inside, "enrolled", "enrolled", "enrolled"}},
		"after 30 days": {`{"after": "30d"}`, []string{"enrolled", inside, soon, "enrolled", soon}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", fmt.Sprintf(`"triggers": [{"filter": %s}], "enroll": {"again": %s}`, titled, c.again))
			b.titleAnew("u_1")
			b.titleAnew("u_1") // inside
			for _, days := range []time.Duration{30*day - time.Second, time.Second, 20 * day} {
				b.finish("w", "u_1")
				b.pass(days)
				b.titleAnew("u_1")
			}
			require.Equal(t, c.want, b.outcomes("w", "u_1"))
		})
	}
}

func TestWhateverTheEndWasTheUserWasEnrolled(t *testing.T) {
	t.Parallel()
	for _, status := range []automation.EnrollmentStatus{automation.Completed, automation.Failed, automation.Unenrolled} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", `"triggers": [{"filter": `+titled+`}]`)
			b.titleAnew("u_1")
			for _, id := range b.texts(`select id::text from enrollments`) {
				_, _, err := b.db.EndEnrollment(b.ctx, postgres.End{ID: id, Status: status, Reason: "so"})
				require.NoError(t, err)
			}

			b.titleAnew("u_1")

			require.Equal(t, []string{"enrolled", "refused: enrolled before, and the workflow enrolls once"}, b.outcomes("w", "u_1"))
		})
	}
}

func TestRejectedEnrollmentCountsAsNone(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"filter": `+titled+`}], "guard": {"max_per_hour": 1}`)
	b.publish("entered", whenever(`{"workflow": "w", "op": "enrolled"}`))
	b.titleAnew("u_first")
	b.titleAnew("u_1")
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 1, automation.Held: 1}, b.counts("w"))
	require.Equal(t, []string{"enrolled"}, b.outcomes("entered", "u_1"), "held, the user is in")

	n, err := b.db.Reject(b.ctx, "w", nil)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	b.later(time.Hour)
	require.Len(t, b.outcomes("w", "u_1"), 1, "a rejection is no edge")
	b.finish("entered", "u_1")

	b.titleAnew("u_1")

	require.Equal(t, []string{"held: held: the guard lets no more through this hour", "enrolled"}, b.outcomes("w", "u_1"))
	require.Equal(t, []string{"unenrolled: not approved", "pending"}, b.passages("w", "u_1"))
	require.Equal(t, []string{"enrolled", "enrolled"}, b.outcomes("entered", "u_1"), "after the rejection the user had never been in")
}

func TestRequestHasOnlyTheRuleOfOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		again string
		want  error
	}{
		"never":         {`"never"`, automation.ErrEnrollsOnce},
		"every trigger": {`"every_trigger"`, nil},
		"after 30 days": {`{"after": "30d"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", `"triggers": [{"manual": true}], "enroll": {"again": `+c.again+`}`)
			b.put("u_1", nil)
			b.enroll("w", "u_1")
			_, _, err := b.db.Enroll(b.ctx, "w", "u_1")
			require.ErrorIs(t, err, automation.ErrAlreadyEnrolled)
			b.finish("w", "u_1")

			_, _, err = b.db.Enroll(b.ctx, "w", "u_1")

			require.ErrorIs(t, err, c.want)
			require.Len(t, b.outcomes("w", "u_1"), 3, "refusals are recorded too")
		})
	}
}
