package triggers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

const again = `, "enroll": {"again": "every_trigger"}`

// whenever is the head of a definition that a filter enrolls at each edge.
func whenever(filter string) string {
	return `"triggers": [{"filter": ` + filter + `}]` + again
}

// inactive holds for those who were last active more than 30 days ago.
const inactive = `{"property": "last_active_at", "op": "before", "value": "now-30d"}`

func TestThirdLoginWithinAWeekEnrolls(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"event": "login", "op": "at_least", "count": 3, "within": "7d"}`))
	b.put("u_1", nil)
	login := func() {
		b.event("", "login", "u_1")
		b.settle()
	}
	login()
	b.later(6 * day)
	login()
	require.Empty(t, b.outcomes("w", "u_1"), "two logins")

	b.later(day) // the first one is too old by now
	login()
	require.Empty(t, b.outcomes("w", "u_1"), "two of three are within the week")

	login()
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	b.finish("w", "u_1")
	login()
	require.Len(t, b.outcomes("w", "u_1"), 1, "it went on holding")

	b.later(7 * day) // it ceased to hold, though nothing happened
	require.Zero(t, b.count(`select count(*) from memberships`))
	login()
	login()
	login()
	require.Len(t, b.outcomes("w", "u_1"), 2)
}

func TestEventThatComesLateCountsByWhenItOccurred(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"event": "login", "op": "at_least", "count": 1, "within": "7d"}`))
	b.put("u_1", nil)

	b.send(automation.Event{Name: "login", UserID: "u_1", OccurredAt: b.now().Add(-7 * day)})
	b.settle()
	require.Empty(t, b.outcomes("w", "u_1"), "it was too old already")

	b.send(automation.Event{Name: "login", UserID: "u_1", OccurredAt: b.now().Add(-6 * day)})
	b.settle()
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	b.later(day)
	require.Zero(t, b.count(`select count(*) from memberships`), "a week after it occurred it counts no more")
}

func TestOnlyEventsWithTheRightPropertiesCount(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"event": "bought", "op": "at_least", "count": 2, "where": {"event_property": "plan", "op": "equals", "value": "pro"}}`))
	b.put("u_1", nil)
	for i, plan := range []string{"pro", "free", "free", "pro"} {
		require.Empty(t, b.outcomes("w", "u_1"), "after %d events", i)
		b.send(automation.Event{Name: "bought", UserID: "u_1", Properties: map[string]any{"plan": plan}})
		b.drain()
	}
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
}

func TestTimeAloneEnrollsAtTheInstantAndNotBefore(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(inactive))
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})

	b.later(30 * day)
	require.Empty(t, b.outcomes("w", "u_1"), "it lies exactly 30 days back, which is not before that")

	b.later(time.Microsecond)
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	require.Equal(t, 1, b.count(`select count(*) from memberships where holds and due is null and since = $1`, b.now()))
}

func TestTimeAloneEnrollsWithinSecondsOfTheInstant(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", whenever(inactive))
	edge := time.Now().Add(1500 * time.Millisecond)
	b.put("u_1", map[string]any{"last_active_at": edge.Add(-30 * day).Format(time.RFC3339Nano)})

	require.Eventually(t, func() bool {
		b.settle()
		return len(b.outcomes("w", "u_1")) > 0
	}, 20*time.Second, 20*time.Millisecond)

	decisions, err := b.db.Decisions(b.ctx, "w", "u_1", 2)
	require.NoError(t, err)
	require.Len(t, decisions, 1)
	require.False(t, decisions[0].At.Before(edge), "never early")
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
}

func TestOtherWorkflowsEnroll(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("other", `"triggers": [{"manual": true}]`+again)
	ops := []string{"enrolled", "never_enrolled", "active", "completed"}
	for _, op := range ops {
		b.publish(op, whenever(`{"workflow": "other", "op": "`+op+`"}`))
	}
	b.put("u_1", nil)
	now := func() map[string]int {
		b.settle()
		n := map[string]int{}
		for _, op := range ops {
			n[op] = len(b.outcomes(op, "u_1"))
			b.finish(op, "u_1")
		}
		return n
	}
	require.Equal(t, map[string]int{"enrolled": 0, "never_enrolled": 1, "active": 0, "completed": 0}, now())

	b.enroll("other", "u_1")
	require.Equal(t, map[string]int{"enrolled": 1, "never_enrolled": 1, "active": 1, "completed": 0}, now(), "it was entered")

	b.finish("other", "u_1")
	require.Equal(t, map[string]int{"enrolled": 1, "never_enrolled": 1, "active": 1, "completed": 1}, now(), "it was left")

	b.enroll("other", "u_1")
	require.Equal(t, map[string]int{"enrolled": 1, "never_enrolled": 1, "active": 2, "completed": 1}, now(), "it was entered again")
}

func TestWorkflowThatTookAUserOutIsNotCompleted(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("other", `"triggers": [{"manual": true}]`)
	b.publish("completed", whenever(`{"workflow": "other", "op": "completed"}`))
	b.publish("inside", whenever(`{"not": {"workflow": "other", "op": "active"}}`))
	b.put("u_1", nil)
	ref := b.enroll("other", "u_1")
	b.settle()
	b.finish("inside", "u_1")

	_, _, err := b.db.Unenroll(b.ctx, ref.EnrollmentID, "by hand", "")
	require.NoError(t, err)
	b.settle()

	require.Empty(t, b.outcomes("completed", "u_1"))
	require.Equal(t, []string{"enrolled", "enrolled"}, b.outcomes("inside", "u_1"), "at the creation, and when the other was left")
}

func TestChangeThatIsLongAgoEnrolls(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"property": "job_title", "of": "changed_at", "op": "before", "value": "now-14d"}`))
	b.put("u_1", map[string]any{"job_title": "Agent"})
	b.later(14 * day)
	require.Empty(t, b.outcomes("w", "u_1"))
	b.later(time.Second)
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	b.finish("w", "u_1")

	b.put("u_1", map[string]any{"job_title": "Agent"})
	b.later(14 * day)
	require.Len(t, b.outcomes("w", "u_1"), 1, "the same value is no change")

	b.put("u_1", map[string]any{"job_title": nil})
	b.later(14 * day)
	require.Len(t, b.outcomes("w", "u_1"), 1)
	b.later(time.Second)
	require.Len(t, b.outcomes("w", "u_1"), 2, "to be cleared is a change")
}

func TestWhateverAPropertyEverWasEnrollsOnce(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_before", map[string]any{"job_title": "Lead"})
	b.put("u_before", map[string]any{"job_title": "Agent"})
	b.publish("w", whenever(`{"property": "job_title", "op": "equals", "value": "lead", "ever": true}`))
	for _, title := range []any{"Agent", nil, "LEAD", "Agent", "lead", nil} {
		b.put("u_1", map[string]any{"job_title": title})
		b.put("u_before", map[string]any{"job_title": title})
		b.settle()
		b.finish("w", "u_1")
	}
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"), "what was stays what was")
	require.Empty(t, b.outcomes("w", "u_before"), "it held when the version was published")
}

func TestAnniversaryEnrollsAtMidnightOfTheZoneEachYear(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"time_zone": "Europe/Warsaw", `+whenever(`{"property": "hire_date", "of": "anniversary", "op": "on", "value": "now/d"}`))
	b.put("u_1", map[string]any{"hire_date": "2019-01-03"})

	b.later(38*time.Hour - time.Microsecond) // 2024-01-02T23:00Z is midnight in Warsaw
	require.Empty(t, b.outcomes("w", "u_1"))
	b.later(time.Microsecond)
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	b.finish("w", "u_1")

	b.later(365 * day) // 2024 has 366
	require.Len(t, b.outcomes("w", "u_1"), 1)
	b.later(day)
	require.Len(t, b.outcomes("w", "u_1"), 2)
}

func TestDatesAreReadInTheZoneThatTheUserHasNow(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"time_zone": "user", `+whenever(`{"property": "start_date", "op": "on", "value": "now/d"}`))
	for user, zone := range map[string]string{"u_tokyo": "Asia/Tokyo", "u_lima": "America/Lima", "u_mover": "America/Lima"} {
		b.put(user, map[string]any{"start_date": "2024-01-03", "time_zone": zone})
	}
	b.put("u_utc", map[string]any{"start_date": "2024-01-03"})
	enrolled := func() []string {
		return b.texts(`select user_id from enrollments where definition = 'w' order by 1`)
	}
	b.later(30*time.Hour - time.Microsecond)
	require.Empty(t, enrolled())
	b.later(time.Microsecond) // 15:00 UTC is midnight in Tokyo
	require.Equal(t, []string{"u_tokyo"}, enrolled())

	b.put("u_mover", map[string]any{"time_zone": "Asia/Tokyo"})
	b.settle()
	require.Equal(t, []string{"u_mover", "u_tokyo"}, enrolled(), "who moves is asked again")
	b.later(9 * time.Hour)
	require.Equal(t, []string{"u_mover", "u_tokyo", "u_utc"}, enrolled())
	b.later(5 * time.Hour)
	require.Equal(t, []string{"u_lima", "u_mover", "u_tokyo", "u_utc"}, enrolled())
}

func TestEachTriggerHasAnEdgeOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"filter": {"property": "job_title", "op": "known"}}, {"filter": {"property": "phone", "op": "known"}}]`+again)

	b.put("u_1", map[string]any{"job_title": "Lead", "phone": "1"})
	b.drain()
	require.Equal(t, []string{"enrolled", "refused: already enrolled"}, b.outcomes("w", "u_1"), "nobody is in twice")

	b.finish("w", "u_1")
	b.put("u_1", map[string]any{"phone": nil})
	b.put("u_1", map[string]any{"phone": "2"})
	b.drain()
	require.Len(t, b.outcomes("w", "u_1"), 3, "the other one went on holding")
}

func TestWhatHappensAfterAMomentDoesNotCountInIt(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("login", whenever(`{"all": [`+titled+`, {"event": "login", "op": "at_least", "count": 1}]}`))
	b.publish("no_login", whenever(`{"all": [`+titled+`, {"event": "login", "op": "at_most", "count": 0}]}`))
	b.publish("phone", whenever(`{"all": [`+titled+`, {"property": "phone", "op": "known", "ever": true}]}`))
	b.publish("no_phone", whenever(`{"all": [`+titled+`, {"property": "phone", "of": "changed_at", "op": "unknown"}]}`))
	b.put("u_1", nil)
	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.put("u_1", map[string]any{"job_title": nil})
	b.event("", "login", "u_1")
	b.put("u_1", map[string]any{"phone": "1"})

	b.drain() // all at once

	require.Empty(t, b.outcomes("login", "u_1"))
	require.Empty(t, b.outcomes("phone", "u_1"))
	require.Equal(t, []string{"enrolled"}, b.outcomes("no_login", "u_1"))
	require.Equal(t, []string{"enrolled"}, b.outcomes("no_phone", "u_1"))
}

func TestUserWhoIsCreatedAgainStartsAnew(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"all": [{"property": "job_title", "op": "known"}, {"event": "login", "op": "at_most", "count": 0}]}`))
	for i := range 2 {
		b.put("u_1", map[string]any{"job_title": fmt.Sprint("Lead ", i)})
		b.settle()
		require.Len(t, b.outcomes("w", "u_1"), i+1, "what the last one did is forgotten")
		b.event("", "login", "u_1")
		require.NoError(t, b.db.DeleteUser(b.ctx, "u_1", "test"))
		b.settle()
	}
}
