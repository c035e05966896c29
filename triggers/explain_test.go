package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// explain explains a user in the definition w at an instant after monday.
func (b *bundle) explain(user string, after time.Duration) *postgres.Explanation {
	b.t.Helper()
	x, err := b.db.Explain(b.ctx, "w", user, monday.Add(after))
	require.NoError(b.t, err)
	require.Equal(b.t, monday.Add(after), x.At)
	require.NotNil(b.t, x.Triggers)
	return x
}

func TestExplanationIsThatOfTheVersionOfTheTime(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_before", map[string]any{"job_title": "Lead"})
	b.pass(time.Hour)
	b.publish("w", whenever(titled)) // at 10:00
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"phone": "1"}) // at 11:00
	b.settle()
	b.pass(time.Hour)
	b.publish("w", whenever(`{"property": "phone", "op": "known"}`)) // at 12:00
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"job_title": "Lead"}) // at 13:00
	b.settle()
	b.pass(time.Hour)
	_, err := b.db.Archive(b.ctx, "w", false) // at 14:00
	require.NoError(t, err)
	for name, c := range map[string]struct {
		user    string
		after   time.Duration
		version int
		reason  string
	}{
		"before anything":                   {"u_1", -time.Hour, 0, "the user did not exist"},
		"before the publication":            {"u_before", time.Minute, 0, "no version was live"},
		"before the user":                   {"u_1", time.Hour, 1, "the user did not exist"},
		"a moment before the user":          {"u_1", 2*time.Hour - time.Microsecond, 1, "the user did not exist"},
		"when the user was created":         {"u_1", 2 * time.Hour, 1, "no trigger matched: trigger 0 (filter) did not hold: not job_title known (seen: null)"},
		"a moment before the next version":  {"u_1", 3*time.Hour - time.Microsecond, 1, "no trigger matched: trigger 0 (filter) did not hold: not job_title known (seen: null)"},
		"with the next version":             {"u_1", 3 * time.Hour, 2, "trigger 0 (filter) held already when version 2 was published at 2024-01-01 12:00:00 UTC, and those for whom it held were not enrolled then"},
		"for whom the first one held":       {"u_before", time.Hour, 1, "trigger 0 (filter) held already when version 1 was published at 2024-01-01 10:00:00 UTC, and those for whom it held were not enrolled then"},
		"for whom the second one holds not": {"u_before", 3 * time.Hour, 2, "no trigger matched: trigger 0 (filter) did not hold: not phone known (seen: null)"},
		"after the archive":                 {"u_1", 5 * time.Hour, 0, "no version was live"},
	} {
		x := b.explain(c.user, c.after)
		require.Equal(t, c.reason, x.Reason, name)
		require.Equal(t, c.version, x.Version, name)
		require.Equal(t, "not_enrolled", x.Verdict, name)
		require.Nil(t, x.Decision, name)
	}
}

func TestExplanationOfWhatIsUnknown(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", nil)
	_, err := b.db.Explain(b.ctx, "w", "u_1", monday)
	require.ErrorIs(t, err, automation.ErrNotFound)
	b.publish("w", signedUp)
	_, err = b.db.Explain(b.ctx, "w", "u_2", monday)
	require.ErrorIs(t, err, automation.ErrUnknownUser)
	require.NoError(t, b.db.DeleteUser(b.ctx, "u_1", "test"))
	_, err = b.db.Explain(b.ctx, "w", "u_1", monday)
	require.ErrorIs(t, err, automation.ErrUnknownUser, "what was known is gone")
}

func TestExplanationNamesTheInstantAtWhichTimeAloneTurnedAFilter(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(pastMonth))
	b.pass(time.Hour)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)}) // at 10:00
	b.drain()
	b.pass(30*day + 2*time.Hour)
	b.settle() // two hours after the edge
	b.finish("w", "u_1")
	b.later(9 * day)

	x := b.explain("u_1", 30*day)
	require.Equal(t, "not_enrolled", x.Verdict)
	require.False(t, x.Triggers[0].Matched)
	require.Equal(t, monday.Add(time.Hour), *x.Triggers[0].Since, "since the creation")
	require.Equal(t, "no trigger matched: trigger 0 (filter) did not hold: not last_active_at between (seen: \"2024-01-01T10:00:00Z\")", x.Reason)

	x = b.explain("u_1", 30*day+2*time.Hour)
	require.True(t, x.Triggers[0].Matched)
	require.Equal(t, monday.Add(time.Hour+30*day), *x.Triggers[0].Since)
	require.Equal(t, "trigger 0 (filter) matched, and was not evaluated yet", x.Reason, "an hour before the clock rang")

	x = b.explain("u_1", 30*day+4*time.Hour)
	require.Equal(t, "enrolled", x.Verdict)
	require.Equal(t, "enrolled at 2024-01-31 12:00:00 UTC by filter, in version 1, completed at 2024-01-31 12:00:00 UTC", x.Reason)
	require.Equal(t, monday.Add(time.Hour+30*day), *x.Triggers[0].Since)

	x = b.explain("u_1", 35*day)
	require.False(t, x.Triggers[0].Matched)
	require.Equal(t, monday.Add(time.Hour+31*day+time.Microsecond), *x.Triggers[0].Since, "when it stopped")
}

func TestExplanationNamesTheInstantAtWhichAnEventTurnedAFilter(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"event": "login", "op": "at_least", "count": 2, "within": "7d"}`))
	b.put("u_1", nil)
	for range 3 {
		b.pass(day)
		b.event("", "login", "u_1")
	}
	b.drain()
	b.later(20 * day)
	since := func(after time.Duration, matched bool, seen float64) time.Duration {
		x := b.explain("u_1", after)
		require.Equal(t, matched, x.Triggers[0].Matched)
		require.Equal(t, []filter.Answer{{Event: "login", Op: filter.AtLeast, Result: matched, Seen: seen}}, x.Triggers[0].Trace)
		return x.Triggers[0].Since.Sub(monday)
	}
	require.Equal(t, 0*day, since(day, false, 1))
	require.Equal(t, 2*day, since(2*day, true, 2))
	require.Equal(t, 2*day, since(8*day, true, 2), "the first does not count any more")
	require.Equal(t, 9*day, since(9*day, false, 1))
	require.Equal(t, 9*day, since(23*day, false, 0))
}

func TestExplanationUsesTheValuesOfItsTime(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("other", `"triggers": [{"manual": true}]`)
	b.publish("w", `"triggers": [
		{"filter": {"any": [`+titled+`, `+inactive+`, {"property": "phone", "op": "known", "ever": true}, {"workflow": "other", "op": "active"}]}},
		{"filter": {"all": [`+titled+`, {"event": "login", "op": "at_least", "count": 1, "within": "7d"}, {"property": "job_title", "of": "changed_at", "op": "after", "value": "now-3d"}]}},
		{"event": "login"}], "enroll": {"again": {"after": "2d"}, "unless": `+deactivated+`}, "unenroll": {"when": {"workflow": "other", "op": "completed"}}`)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	type moment struct {
		after time.Duration
		then  *postgres.Explanation
	}
	var moments []moment
	for i, happens := range []func(){
		func() { b.put("u_1", map[string]any{"job_title": "Lead"}) },
		func() { b.event("", "login", "u_1") },
		func() { b.finish("w", "u_1") },
		func() { b.enroll("other", "u_1") },
		func() { b.put("u_1", map[string]any{"status": "deactivated", "phone": "1"}) },
		func() { b.event("", "login", "u_1") },
		func() { b.finish("other", "u_1") },
		func() { b.put("u_1", map[string]any{"status": "active", "phone": nil, "job_title": nil}) },
		func() { b.event("", "login", "u_1") },
		func() { b.publish("w", signedUp) },
	} {
		b.later(36 * time.Hour)
		happens()
		b.settle()
		b.pass(time.Minute)
		after := b.now().Sub(monday)
		moments = append(moments, moment{after, b.explain("u_1", after)})
		for _, m := range moments[:i] {
			require.Equal(t, m.then, b.explain("u_1", m.after), "what came later changes nothing")
		}
	}
	var unless, when []bool
	for _, m := range moments[:9] {
		unless, when = append(unless, m.then.Unless.Matched), append(when, m.then.When.Matched)
	}
	require.Equal(t, []bool{false, false, false, false, true, true, true, false, false}, unless)
	require.Equal(t, []bool{false, false, false, false, false, false, true, true, true}, when)
	require.Equal(t, 2, moments[9].then.Version)
	require.Nil(t, moments[9].then.Unless)
}
