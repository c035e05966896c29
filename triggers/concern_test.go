package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func TestSystemEventsAreCounted(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"event": "user.deactivated", "op": "at_least", "count": 1, "within": "30d"}`))
	b.publish("created", whenever(`{"event": "user.created", "op": "at_least", "count": 1, "within": "1d"}`))
	b.publish("teams", whenever(`{"event": "user.teams_changed", "op": "at_least", "count": 2, "where": {"event_property": "new", "op": "contains", "value": "sales"}}`))
	b.put("u_1", nil)
	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("created", "u_1"))
	for range 2 {
		b.put("u_1", map[string]any{"status": "deactivated"})
		b.put("u_1", map[string]any{"status": "active"})
		b.settle()
		require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
		b.finish("w", "u_1")
	}
	b.later(30 * day)
	b.put("u_1", map[string]any{"status": "deactivated"})
	b.settle()
	require.Len(t, b.outcomes("w", "u_1"), 2, "a month later it had ceased to hold")

	b.put("u_1", map[string]any{"teams": []any{"sales"}})
	b.put("u_1", map[string]any{"teams": []any{"support"}})
	b.drain()
	require.Empty(t, b.outcomes("teams", "u_1"))
	b.put("u_1", map[string]any{"teams": []any{"sales", "support"}})
	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("teams", "u_1"))
}

// items runs f and returns how many work items it wrote.
func (b *bundle) items(f func()) int {
	b.t.Helper()
	b.drain()
	f()
	n := b.count(`select count(*) from work_items`)
	b.drain()
	return n
}

func TestWorkIsWrittenOnlyWhereAFilterAsks(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"filter": {"all": [`+titled+`, {"event": "login", "op": "at_least", "count": 1}]}}, {"event": "signed_up", "where": {"property": "phone", "op": "known"}}]`)
	require.Equal(t, 1, b.items(func() { b.put("u_1", nil) }), "a new user concerns each filter")
	put := func(name string, value any) int {
		return b.items(func() { b.put("u_1", map[string]any{name: value}) })
	}
	event := func(name string) int { return b.items(func() { b.event("", name, "u_1") }) }

	require.Equal(t, 1, put("job_title", "Lead"))
	require.Equal(t, 0, put("job_title", "Lead"), "no change")
	require.Equal(t, 0, put("email", "a@example.com"))
	require.Equal(t, 0, put("phone", "1"), "it is asked about at an event only")
	require.Equal(t, 0, put("status", "deactivated"))
	require.Equal(t, 1, event("login"))
	require.Equal(t, 1, event("signed_up"))
	require.Equal(t, 0, event("logout"))
	require.Equal(t, 0, b.items(func() { b.finish("w", "u_1") }), "no filter asks about workflows")
	require.Equal(t, 0, b.items(func() { require.NoError(t, b.db.DeleteUser(b.ctx, "u_1", "test")) }))
}

func TestWorkIsWrittenWhereAConditionToLeaveAsks(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"enroll.unless": `"triggers": [{"manual": true}], "enroll": {"again": "every_trigger", "unless": {"any": [{"property": "job_title", "op": "equals", "value": "x"}, {"event": "login", "op": "at_least", "count": 9}]}}`,
		"unenroll.when": `"triggers": [{"manual": true}], "enroll": {"again": "every_trigger"}, "unenroll": {"when": {"any": [{"property": "job_title", "op": "equals", "value": "x"}, {"event": "login", "op": "at_least", "count": 9}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", head)
			b.put("u_1", nil)
			work := func() []int {
				return []int{
					b.items(func() { b.put("u_1", map[string]any{"job_title": b.instant(0)}) }),
					b.items(func() { b.event("", "login", "u_1") }),
					b.items(func() { b.put("u_1", map[string]any{"phone": b.instant(0)}) }),
					b.items(func() { b.event("", "logout", "u_1") }),
				}
			}
			later := func() { b.pass(time.Second) }
			require.Equal(t, []int{1, 1, 0, 0}, work())

			b.enroll("w", "u_1")
			b.publish("w", `"triggers": [{"manual": true}]`)
			b.put("u_1", map[string]any{"first_name": "Ada"}) // the epoch is known
			later()
			require.Equal(t, []int{1, 1, 0, 0}, work(), "somebody is in the old version still")

			b.finish("w", "u_1")
			b.publish("v", `"triggers": [{"manual": true}]`)
			b.put("u_1", map[string]any{"first_name": "Eve"})
			later()
			require.Equal(t, []int{0, 0, 0, 0}, work(), "nobody is")
		})
	}
}

func TestWorkIsWrittenWhereAnArchivedWorkflowCanBeLeft(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"manual": true}], "unenroll": {"when": `+deactivated+`}`)
	b.publish("other", `"triggers": [{"manual": true}], "unenroll": {"when": {"workflow": "w", "op": "completed"}}`)
	b.put("u_1", nil)
	b.enroll("w", "u_1")
	b.enroll("other", "u_1")
	for _, name := range []string{"w", "other"} {
		_, err := b.db.Archive(b.ctx, name, false)
		require.NoError(t, err)
	}

	require.Equal(t, 1, b.items(func() { b.finish("w", "u_1") }), "a filter asks about the workflow")

	require.Equal(t, []string{"completed"}, b.passages("w", "u_1"))
	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("other", "u_1"))
}

func TestEventsAreAskedAboutFromThePublicationOn(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", nil)
	require.Equal(t, 0, b.items(func() { b.event("", "login", "u_1") }))

	b.publish("w", whenever(`{"event": "login", "op": "at_least", "count": 2}`)) // what happened before counts
	b.event("", "login", "u_1")
	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
}

func TestWhoIsDeletedWhileAnEnrollmentIsDueLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"event": "signed_up"}, {"filter": `+inactive+`}], "unenroll": {"when": `+inactive+`}`)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.event("", "signed_up", "u_1")
	b.drain()
	b.pass(31 * day)
	require.Equal(t, 1, b.once())

	require.NoError(t, b.db.DeleteUser(b.ctx, "u_1", "test"))
	b.settle()

	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Unenrolled: 1}, b.counts("w"))
	require.Equal(t, []string{"unenrolled: the user was deleted"}, b.passages("w", "u_1"))
	_, due, err := b.db.NextRing(b.ctx)
	require.NoError(t, err)
	require.False(t, due)
}
