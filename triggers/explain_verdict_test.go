package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
)

func TestExplanationOfAnEnrollment(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp)
	b.put("u_1", nil)
	b.later(time.Hour)
	b.event("e_1", "signed_up", "u_1")
	b.settle() // at 10:00
	b.pass(time.Hour)
	b.finish("w", "u_1") // at 11:00

	x := b.explain("u_1", time.Hour-time.Microsecond)
	require.Equal(t, []string{"not_enrolled", "no trigger matched: trigger 0 heard no event"}, []string{x.Verdict, x.Reason})
	require.Nil(t, x.Triggers[0].Event)
	require.Nil(t, x.Again.LastEnrolled)
	require.True(t, x.Again.Allowed)

	x = b.explain("u_1", time.Hour)
	require.Equal(t, []string{"enrolled", "enrolled since 2024-01-01 10:00:00 UTC by event, in version 1"}, []string{x.Verdict, x.Reason})
	require.Equal(t, b.texts(`select id::text from enrollments`)[0], *x.Enrollment)
	require.Equal(t, "enrolled", x.Decision.Outcome)
	require.Equal(t, "e_1", x.Triggers[0].Event.ID)
	require.True(t, x.Triggers[0].Matched)
	require.Empty(t, x.Triggers[0].Trace)

	x = b.explain("u_1", 2*time.Hour)
	require.Equal(t, "enrolled at 2024-01-01 10:00:00 UTC by event, in version 1, completed at 2024-01-01 11:00:00 UTC", x.Reason)
	require.Equal(t, "enrolled", x.Verdict)
	require.Equal(t, monday.Add(time.Hour), x.Again.LastEnrolled.UTC())
}

func TestExplanationOfARefusal(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"filter": `+titled+`}], "enroll": {"again": {"after": "2d"}, "unless": `+deactivated+`}`)
	b.put("u_out", map[string]any{"status": "deactivated"})
	b.titleAnew("u_1")
	b.finish("w", "u_1")
	b.pass(day)
	b.titleAnew("u_1")
	b.titleAnew("u_out")
	b.put("u_out", map[string]any{"status": "active"})
	b.pass(2 * day)

	x := b.explain("u_1", day)
	require.Equal(t, "not_enrolled", x.Verdict)
	require.Equal(t, "refused at 2024-01-02 09:00:00 UTC: enrolled too recently", x.Reason)
	require.Equal(t, automation.Again{After: automation.Duration(2 * day)}, x.Again.Rule)
	require.False(t, x.Again.Allowed)
	require.Equal(t, monday, x.Again.LastEnrolled.UTC())
	require.True(t, b.explain("u_1", 2*day).Again.Allowed)

	x = b.explain("u_out", day-time.Microsecond)
	require.True(t, x.Unless.Matched)
	require.Equal(t, []filter.Answer{{Property: "status", Op: filter.Equals, Result: true, Seen: "deactivated"}}, x.Unless.Trace)
	require.Equal(t, "no trigger matched: trigger 0 (filter) did not hold: not job_title known (seen: null)", x.Reason)
	x = b.explain("u_out", day)
	require.Equal(t, "refused at 2024-01-02 09:00:00 UTC: "+suppressed, x.Reason)
	require.False(t, x.Unless.Matched, "the user was active again in that moment")
}

func TestExplanationTellsOfThePassageWhateverWasRefusedDuringIt(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp)
	b.put("u_1", nil)
	b.event("", "signed_up", "u_1")
	b.settle()
	b.pass(time.Hour)
	b.event("", "signed_up", "u_1")
	b.settle()
	b.pass(time.Hour)
	b.finish("w", "u_1")

	x := b.explain("u_1", 3*time.Hour)

	require.Equal(t, "enrolled", x.Verdict)
	require.Equal(t, "enrolled at 2024-01-01 09:00:00 UTC by event, in version 1, completed at 2024-01-01 11:00:00 UTC", x.Reason)
}

func TestExplanationOfOneWhoIsHeld(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp+`, "guard": {"max_per_hour": 1}`)
	b.signUp("u_0", "u_1", "u_2")
	b.settle()
	b.pass(time.Hour)

	x := b.explain("u_1", time.Minute)

	require.Equal(t, "not_enrolled", x.Verdict)
	require.Equal(t, "held for approval since 2024-01-01 09:00:00 UTC: the guard let no more through", x.Reason)
	require.Equal(t, "held", x.Decision.Outcome)
	require.Equal(t, "held: the guard lets no more through this hour", x.Decision.Reason)
	require.Equal(t, b.texts(`select id::text from enrollments where user_id = 'u_1'`)[0], *x.Enrollment)
}

func TestExplanationOfOneWhoWasHeldStaysWhatItWas(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp+`, "guard": {"max_per_hour": 1}`)
	b.signUp("u_0", "u_1", "u_2")
	b.settle()
	b.pass(time.Hour)
	first, second := b.explain("u_1", time.Minute), b.explain("u_2", time.Minute)
	_, err := b.db.Reject(b.ctx, "w", []string{*first.Enrollment})
	require.NoError(t, err)
	_, err = b.db.Approve(b.ctx, "w", nil)
	require.NoError(t, err)
	b.pass(time.Hour)

	require.Equal(t, first, b.explain("u_1", time.Minute))
	require.Equal(t, second, b.explain("u_2", time.Minute))
	require.Contains(t, b.explain("u_1", 2*time.Hour).Reason, "not approved")
	require.Equal(t, "enrolled", b.explain("u_2", 2*time.Hour).Verdict)
}

func TestExplanationOfTheLastEvent(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.signUpFor("signed_up", "u_1", "pro") // before anything listened
	b.pass(time.Hour)
	b.publish("w", `"triggers": [{"event": "signed_up", "where": {"all": [{"event_property": "plan", "op": "equals", "value": "pro"}, {"property": "phone", "op": "known"}]}}]`)
	require.Equal(t, "no trigger matched: trigger 0 heard no event", b.explain("u_1", time.Hour).Reason)
	b.pass(time.Hour)
	b.signUpFor("signed_up", "u_1", "pro")
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"phone": "1"})
	b.settle()

	x := b.explain("u_1", 4*time.Hour)

	require.Equal(t, "not_enrolled", x.Verdict)
	require.Equal(t, map[string]any{"plan": "pro"}, x.Triggers[0].Event.Properties)
	require.Equal(t, monday.Add(2*time.Hour), x.Triggers[0].Event.OccurredAt)
	require.False(t, x.Triggers[0].Matched)
	require.Equal(t, []filter.Answer{
		{Pointer: "/all/0", Property: "plan", Op: filter.Equals, Result: true, Seen: "pro"},
		{Pointer: "/all/1", Property: "phone", Op: filter.Known, Result: false, Seen: nil},
	}, x.Triggers[0].Trace, "what the user was at the event")
	require.Equal(t, "no trigger matched: trigger 0 (event) did not hold: not phone known (seen: null)", x.Reason)
}

// signUpFor sends an event with a plan of a user who is created if need be.
func (b *bundle) signUpFor(name, user, plan string) {
	b.t.Helper()
	b.put(user, nil)
	b.send(automation.Event{Name: name, UserID: user, Properties: map[string]any{"plan": plan}})
}

func TestExplanationOfAChangeThatIsListenedTo(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [
		{"event": "property.changed", "where": {"all": [{"event_property": "property", "op": "equals", "value": "job_title"}, {"event_property": "new", "op": "equals", "value": "lead"}]}},
		{"event": "user.updated", "where": {"event_property": "changed", "op": "contains", "value": "phone"}},
		{"event": "user.deactivated"}]`+again)
	b.put("u_1", map[string]any{"job_title": "Lead"})
	require.Equal(t, "no trigger matched: trigger 0 heard no event; trigger 1 heard no event; trigger 2 heard no event",
		b.explain("u_1", 0).Reason, "the creation is no change")
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"job_title": "Agent", "phone": "1"}) // at 10:00
	b.settle()
	b.finish("w", "u_1")
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"email": "a@example.com", "job_title": "Lead", "language": "en"}) // at 11:00
	b.settle()
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"status": "deactivated"})

	x := b.explain("u_1", time.Hour)
	require.False(t, x.Triggers[0].Matched)
	require.True(t, x.Triggers[1].Matched)
	require.Equal(t, []any{"job_title", "phone"}, x.Triggers[1].Event.Properties["changed"])
	require.Equal(t, "enrolled", x.Verdict)

	x = b.explain("u_1", 2*time.Hour+time.Minute)
	require.True(t, x.Triggers[0].Matched)
	require.Equal(t, map[string]any{"property": "job_title", "old": "Agent", "new": "Lead"}, x.Triggers[0].Event.Properties, "of several the one that matched")
	require.Equal(t, []filter.Answer{
		{Pointer: "/all/0", Property: "property", Op: filter.Equals, Result: true, Seen: "job_title"},
		{Pointer: "/all/1", Property: "new", Op: filter.Equals, Result: true, Seen: "Lead"},
	}, x.Triggers[0].Trace)
	require.False(t, x.Triggers[1].Matched)
	require.Equal(t, "enrolled since 2024-01-01 11:00:00 UTC by event, in version 1", x.Reason)

	x = b.explain("u_1", 3*time.Hour)
	require.True(t, x.Triggers[2].Matched)
	require.Equal(t, "user.deactivated", x.Triggers[2].Event.Name)
	require.False(t, x.Triggers[0].Matched, "the last change was another one")
}

func TestExplanationOfARequest(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"manual": true}]`)
	b.put("u_1", nil)
	require.Equal(t, "no trigger matched: the workflow enrolls on request only", b.explain("u_1", 0).Reason)
	b.pass(time.Hour)
	b.enroll("w", "u_1")
	require.Equal(t, "enrolled since 2024-01-01 10:00:00 UTC by manual, in version 1", b.explain("u_1", time.Hour).Reason)
}

func TestTimesThatAreShownAreInUTCWhereverTheProcessRuns(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", signedUp)
	b.signUp("u_1")
	b.drain()
	x, err := b.db.Explain(b.ctx, "w", "u_1", time.Now())
	require.NoError(t, err)
	versions, err := b.db.Versions(b.ctx, "w")
	require.NoError(t, err)
	e, err := b.db.Enrollment(b.ctx, *x.Enrollment)
	require.NoError(t, err)
	for what, at := range map[string]time.Time{
		"decision": x.Decision.At, "last enrolled": *x.Again.LastEnrolled, "version": versions[0].PublishedAt, "enrollment": e.CreatedAt,
	} {
		require.Same(t, time.UTC, at.Location(), what)
	}
}
