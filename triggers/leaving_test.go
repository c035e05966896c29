package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

const (
	stops   = `, "unenroll": {"when_trigger_stops": true}`
	stopped = "no filter trigger holds any more"
)

func TestWhoWasEnrolledByAFilterLeavesWhenItStops(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"filter": `+titled+`}, {"event": "signed_up"}]`+again+stops)
	b.put("u_filter", map[string]any{"job_title": "Lead"})
	b.put("u_event", nil)
	b.event("", "signed_up", "u_event")
	b.put("u_request", nil)
	b.drain()
	b.enroll("w", "u_request")
	for _, user := range []string{"u_event", "u_request"} {
		b.put(user, map[string]any{"job_title": "Lead"})
	}
	b.drain()
	require.Equal(t, []string{"enrolled", "refused: already enrolled"}, b.outcomes("w", "u_event"), "a filter that comes later makes no difference")

	for _, user := range []string{"u_filter", "u_event", "u_request"} {
		b.put(user, map[string]any{"job_title": nil})
	}
	b.drain()

	require.Equal(t, []string{"unenrolled: " + stopped}, b.passages("w", "u_filter"))
	require.Equal(t, []string{"pending"}, b.passages("w", "u_event"))
	require.Equal(t, []string{"pending"}, b.passages("w", "u_request"))
	b.put("u_filter", map[string]any{"job_title": "Lead"})
	b.drain()
	require.Equal(t, []string{"unenrolled: " + stopped, "pending"}, b.passages("w", "u_filter"))
}

func TestWithoutWhenTriggerStopsWhoIsInStays(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(titled))
	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.drain()
	b.put("u_1", map[string]any{"job_title": nil})
	b.drain()
	require.Equal(t, []string{"pending"}, b.passages("w", "u_1"))
}

func TestOfTwoFiltersEitherKeepsIn(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"filter": `+titled+`}, {"filter": {"property": "phone", "op": "known"}}]`+again+stops)
	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.drain()

	b.put("u_1", map[string]any{"job_title": nil, "phone": "1"}) // from the one to the other
	b.drain()
	require.Equal(t, []string{"pending"}, b.passages("w", "u_1"))
	require.Equal(t, []string{"enrolled", "refused: already enrolled"}, b.outcomes("w", "u_1"))

	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.put("u_1", map[string]any{"phone": nil})
	b.drain()
	require.Equal(t, []string{"pending"}, b.passages("w", "u_1"))

	b.put("u_1", map[string]any{"job_title": nil})
	b.drain()
	require.Equal(t, []string{"unenrolled: " + stopped}, b.passages("w", "u_1"))
}

func TestFilterThatStopsByTimeAloneTakesOut(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"event": "login", "op": "at_least", "count": 1, "within": "7d"}`)+stops)
	b.put("u_1", nil)
	b.event("", "login", "u_1")
	b.settle()
	b.later(6 * day)
	b.event("", "login", "u_1")
	b.later(7*day - time.Microsecond)
	require.Equal(t, []string{"pending"}, b.passages("w", "u_1"))
	b.later(time.Microsecond)
	require.Equal(t, []string{"unenrolled: " + stopped}, b.passages("w", "u_1"))
}

func TestFilterThatStoppedBeforeTheClockRangKeepsNobodyIn(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(pastMonth)+stops)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.drain()

	b.later(40 * day)

	require.Zero(t, b.count(`select count(*) from enrollments where ended_at is null`), "the trigger held for a day, a week ago")
}

func TestWhoIsInIsJudgedByTheVersionThatEnrolled(t *testing.T) {
	t.Parallel()
	const free = `"triggers": [{"event": "signed_up"}, {"filter": ` + titled + `}]` + again
	deactivate := map[string]any{"status": "deactivated"}
	for name, c := range map[string]struct {
		old    string
		change map[string]any
		reason string
	}{
		"enroll.unless":      {`"triggers": [{"event": "signed_up"}], "enroll": {"unless": ` + deactivated + `}`, deactivate, suppressed},
		"unenroll.when":      {`"triggers": [{"event": "signed_up"}], "unenroll": {"when": ` + deactivated + `}`, deactivate, barred},
		"when_trigger_stops": {`"triggers": [{"filter": ` + titled + `}]` + stops, map[string]any{"job_title": nil}, stopped},
	} {
		enter := func(b *bundle, user string) {
			b.put(user, map[string]any{"job_title": "Lead"})
			b.event("", "signed_up", user)
			b.drain()
			require.NotEmpty(b.t, b.passages("w", user))
		}
		t.Run(name+" of the old version goes on after one without it", func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", c.old)
			enter(b, "u_old")
			b.publish("w", free)
			enter(b, "u_new")

			b.put("u_old", c.change)
			b.put("u_new", c.change)
			b.drain()

			require.Equal(t, []string{"unenrolled: " + c.reason}, b.passages("w", "u_old"))
			require.Equal(t, []string{"pending"}, b.passages("w", "u_new"))
		})
		t.Run(name+" of a new version concerns nobody of the old one", func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", free)
			enter(b, "u_old")
			b.publish("w", c.old)
			enter(b, "u_new")

			b.put("u_old", c.change)
			b.put("u_new", c.change)
			b.drain()

			require.Equal(t, []string{"pending"}, b.passages("w", "u_old"))
			require.Equal(t, []string{"unenrolled: " + c.reason}, b.passages("w", "u_new"))
		})
		t.Run(name+" goes on after the workflow is archived", func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", c.old)
			enter(b, "u_old")
			_, err := b.db.Archive(b.ctx, "w", false)
			require.NoError(t, err)

			b.put("u_old", c.change)
			b.drain()

			require.Equal(t, []string{"unenrolled: " + c.reason}, b.passages("w", "u_old"))
		})
	}
}

func TestTimeAloneTakesOutOfAnOldVersionAndOfAnArchivedWorkflow(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	for _, name := range []string{"changed", "archived"} {
		b.publish(name, `"triggers": [{"manual": true}], "enroll": {"unless": `+inactive+`}`)
	}
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.enroll("changed", "u_1")
	b.enroll("archived", "u_1")
	b.publish("changed", `"triggers": [{"manual": true}]`)
	_, err := b.db.Archive(b.ctx, "archived", false)
	require.NoError(t, err)

	b.later(31 * day)

	require.Equal(t, []string{"unenrolled: " + suppressed}, b.passages("changed", "u_1"))
	require.Equal(t, []string{"unenrolled: " + suppressed}, b.passages("archived", "u_1"))
}

func TestOneChangeLeavesTheOldVersionAndEntersTheNewOne(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"manual": true}], "unenroll": {"when": `+titled+`}`)
	b.put("u_1", nil)
	b.enroll("w", "u_1")
	b.publish("w", whenever(titled))

	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.drain()

	require.Equal(t, []string{"unenrolled: " + barred, "pending"}, b.passages("w", "u_1"))
	require.Equal(t, 2, b.count(`select version from enrollments where ended_at is null`))
}

func TestWhoLeavesIsLeftByOthersInTurn(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("a", `"triggers": [{"manual": true}], "unenroll": {"when": `+deactivated+`}`)
	b.publish("b", whenever(`{"workflow": "a", "op": "active"}`)+stops)
	b.publish("c", whenever(`{"workflow": "b", "op": "active"}`)+stops)
	b.put("u_1", nil)
	b.enroll("a", "u_1")
	b.drain()
	require.Equal(t, []string{"pending"}, b.passages("c", "u_1"))

	b.put("u_1", map[string]any{"status": "deactivated"})
	b.drain()

	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("a", "u_1"))
	require.Equal(t, []string{"unenrolled: " + stopped}, b.passages("b", "u_1"))
	require.Equal(t, []string{"unenrolled: " + stopped}, b.passages("c", "u_1"))
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Unenrolled: 1}, b.counts("c"))
}
