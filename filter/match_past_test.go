package filter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
)

// pastOf is a past for the tests: a title that changed twice and was cleared, and more.
func pastOf(t *testing.T) *filter.Past {
	t.Helper()
	list := func(items ...any) []any { return items }
	return &filter.Past{
		Changes: map[string][]filter.Change{
			"title":   {{At: instant(t, "2026-01-01T09:00:00Z"), New: "Agent"}, {At: instant(t, "2026-06-01T09:00:00Z"), New: "Head of Support"}, {At: instant(t, "2026-12-31T23:30:00Z"), New: nil}},
			"desks":   {{New: 2.0}, {New: 5.0}, {New: 1.0}},
			"admin":   {{New: true}, {New: false}},
			"team":    {{New: "sales"}, {New: "support"}},
			"skills":  {{New: list("go", "sql")}, {New: list()}, {New: list("c")}},
			"boss":    {{New: "u_1"}, {New: "u_2"}},
			"hired":   {{New: "2020-02-29"}, {New: "2026-12-01"}},
			"seen_at": {{New: "2026-12-01T09:00:00Z"}, {New: "soon"}, {New: "2027-01-02T09:00:00Z"}},
			"city":    {{New: ""}, {New: nil}},
		},
		Events: map[string][]filter.Event{"login": {
			{At: instant(t, "2027-01-03T12:00:00Z"), Properties: map[string]any{"page": "Home", "ms": 12.0}},
			{At: instant(t, "2027-01-01T12:00:00Z"), Properties: map[string]any{"page": "Report"}},
			{At: instant(t, "2026-12-28T12:00:00Z"), Properties: nil},
		}},
		Workflows: map[string]filter.Passage{
			"welcome": {Enrolled: true, Active: true}, "training": {Enrolled: true, Completed: true}, "survey": {Enrolled: true},
		},
	}
}

// askPast asks about the past, on 4 January 2027 at noon.
func askPast(t *testing.T, questions []question) {
	t.Helper()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			s := asked(t, `{`+q.user+`}`, "2027-01-04T12:00:00Z")
			s.Past = pastOf(t)
			require.Equal(t, q.want, compile(t, `{`+q.condition+`}`, in(t, "Europe/Warsaw")).Match(s))
		})
	}
}

func TestMatchWhenAPropertyLastChanged(t *testing.T) {
	t.Parallel()
	const title, reports = `"property": "title", "of": "changed_at", "op": `, `"property": "reports", "of": "changed_at", "op": `
	askPast(t, []question{
		{"on the day in the zone, that it was cleared", title + `"on", "value": "2027-01-01"`, ``, true},
		{"not on the day of an earlier change", title + `"on", "value": "2026-06-01"`, ``, false},
		{"after a while ago", title + `"after", "value": "now-5d"`, ``, true},
		{"before a shorter while ago", title + `"before", "value": "now-3d"`, ``, true},
		{"between", title + `"between", "value": ["now/d-3d", "now/d"]`, ``, true},
		{"not_between", title + `"not_between", "value": ["now/d-2d", "now/d"]`, ``, true},
		{"before another property", title + `"before", "value": {"property": "due_at"}`, `"due_at": "2027-01-01T00:30:00Z"`, true},
		{"known", title + `"known"`, ``, true},
		{"never is unknown", reports + `"unknown"`, `"reports": ["u_1"]`, true},
		{"never is not known", reports + `"known"`, `"reports": ["u_1"]`, false},
		{"never answers no", reports + `"before", "value": "now"`, ``, false},
		{"never answers what if_empty says", reports + `"before", "value": "now", "if_empty": true`, ``, true},
	})
}

func TestMatchWhatAPropertyEverWas(t *testing.T) {
	t.Parallel()
	askPast(t, []question{
		{"a text equals", `"property": "title", "ever": true, "op": "equals", "value": "agent"`, ``, true},
		{"a text contains", `"property": "title", "ever": true, "op": "contains", "value": "support"`, ``, true},
		{"a text it never was", `"property": "title", "ever": true, "op": "any_of", "value": ["Clerk", "Chief"]`, ``, false},
		{"a number equals", `"property": "desks", "ever": true, "op": "equals", "value": 5`, `"desks": 1`, true},
		{"a number at_least", `"property": "desks", "ever": true, "op": "at_least", "value": 6`, `"desks": 1`, false},
		{"a number between", `"property": "desks", "ever": true, "op": "between", "value": [4, 6]`, ``, true},
		{"a number more than another property", `"property": "desks", "ever": true, "op": "greater_than", "value": {"property": "rooms"}`, `"rooms": 4`, true},
		{"a bool", `"property": "admin", "ever": true, "op": "equals", "value": true`, `"admin": false`, true},
		{"an enum", `"property": "team", "ever": true, "op": "any_of", "value": ["sales"]`, `"team": "support"`, true},
		{"a list all_of, which it had at once", `"property": "skills", "ever": true, "op": "all_of", "value": ["go", "sql"]`, ``, true},
		{"a list all_of, which it had one after the other", `"property": "skills", "ever": true, "op": "all_of", "value": ["go", "c"]`, ``, false},
		{"a user", `"property": "boss", "ever": true, "op": "equals", "value": "u_1"`, ``, true},
		{"a date", `"property": "hired", "ever": true, "op": "before", "value": "now-1y"`, ``, true},
		{"an instant", `"property": "seen_at", "ever": true, "op": "between", "value": ["now-2d-4h", "now"]`, ``, true},
		{"an instant it never was", `"property": "seen_at", "ever": true, "op": "after", "value": "now"`, ``, false},
		{"known", `"property": "title", "ever": true, "op": "known"`, ``, true},
		{"what was only ever cleared is not known", `"property": "city", "ever": true, "op": "known"`, ``, false},
		{"what was only ever cleared is empty", `"property": "city", "ever": true, "op": "equals", "value": "x", "if_empty": true`, ``, true},
		{"what never was is empty", `"property": "reports", "ever": true, "op": "any_of", "value": ["x"], "if_empty": true`, ``, true},
		{"another property that is empty", `"property": "desks", "ever": true, "op": "less_than", "value": {"property": "rooms"}, "if_empty": true`, ``, true},
	})
}

func TestMatchHowOftenAnEventHappened(t *testing.T) {
	t.Parallel()
	askPast(t, []question{
		{"at_least", `"event": "login", "op": "at_least", "count": 3`, ``, true},
		{"at_least more", `"event": "login", "op": "at_least", "count": 4`, ``, false},
		{"at_most", `"event": "login", "op": "at_most", "count": 3`, ``, true},
		{"at_most less", `"event": "login", "op": "at_most", "count": 2`, ``, false},
		{"at_most none of what never happened", `"event": "logout", "op": "at_most", "count": 0`, ``, true},
		{"at_least once of what never happened", `"event": "logout", "op": "at_least", "count": 1`, ``, false},
		{"within", `"event": "login", "op": "at_least", "count": 2, "within": "4d"`, ``, true},
		{"exactly so long ago does not count", `"event": "login", "op": "at_least", "count": 3, "within": "7d"`, ``, false},
		{"a second less long ago counts", `"event": "login", "op": "at_least", "count": 3, "within": "7d1s"`, ``, true},
		{"at_most within", `"event": "login", "op": "at_most", "count": 2, "within": "7d"`, ``, true},
		{"where a text is, in another case", `"event": "login", "op": "at_least", "count": 1, "where": {"event_property": "page", "op": "equals", "value": "HOME"}`, ``, true},
		{"where a group holds", `"event": "login", "op": "at_least", "count": 2, "where": {"any": [{"event_property": "ms", "op": "at_least", "value": 10}, {"not": {"event_property": "page", "op": "known"}}]}`, ``, true},
		{"where nothing is, too long ago", `"event": "login", "op": "at_least", "count": 1, "within": "2d", "where": {"event_property": "page", "op": "unknown"}`, ``, false},
		{"the user's properties are not the event's", `"event": "login", "op": "at_least", "count": 1, "where": {"event_property": "title", "op": "known"}`, `"title": "Head"`, false},
	})
}

func TestMatchWorkflowsThatAUserWentThrough(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[filter.Op]bool{
		"welcome":  {filter.Enrolled: true, filter.NeverEnrolled: false, filter.Active: true, filter.Completed: false},
		"training": {filter.Enrolled: true, filter.NeverEnrolled: false, filter.Active: false, filter.Completed: true},
		"survey":   {filter.Enrolled: true, filter.NeverEnrolled: false, filter.Active: false, filter.Completed: false},
		"other":    {filter.Enrolled: false, filter.NeverEnrolled: true, filter.Active: false, filter.Completed: false},
	} {
		for op, want := range want {
			t.Run(name+" "+string(op), func(t *testing.T) {
				t.Parallel()
				f := compile(t, `{"workflow": "`+name+`", "op": "`+string(op)+`"}`, scope())
				require.Equal(t, want, f.Match(filter.Subject{Past: pastOf(t)}))
			})
		}
	}
}

func TestAUserWithoutAPastHasDoneNothing(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]bool{
		`"property": "title", "of": "changed_at", "op": "known"`:                  false,
		`"property": "title", "of": "changed_at", "op": "before", "value": "now"`: false,
		`"property": "title", "ever": true, "op": "known"`:                        false,
		`"property": "title", "ever": true, "op": "equals", "value": "Head"`:      false,
		`"event": "login", "op": "at_least", "count": 1`:                          false,
		`"event": "login", "op": "at_most", "count": 0, "within": "7d"`:           true,
		`"workflow": "welcome", "op": "enrolled"`:                                 false,
		`"workflow": "welcome", "op": "never_enrolled"`:                           true,
	} {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			f := compile(t, `{`+condition+`}`, scope())
			require.Equal(t, want, f.Match(asked(t, `{"title": "Head"}`, "2027-01-04T12:00:00Z")))
			_, flips := f.NextFlip(asked(t, `{"title": "Head"}`, "2027-01-04T12:00:00Z"))
			require.False(t, flips)
		})
	}
}

func TestTraceTellsWhatItSawOfThePast(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"all": [
		{"property": "title", "of": "changed_at", "op": "after", "value": "now-5d"},
		{"property": "reports", "of": "changed_at", "op": "unknown"},
		{"property": "boss", "ever": true, "op": "equals", "value": "u_1"},
		{"event": "login", "op": "at_least", "count": 2, "within": "7d"},
		{"workflow": "training", "op": "completed"},
		{"property": "hired", "of": "anniversary", "op": "on", "value": "now/d"}
	]}`, scope())
	s := asked(t, `{"hired": "2020-01-04"}`, "2027-01-04T12:00:00Z")
	s.Past = pastOf(t)
	holds, answers := f.Trace(s)
	require.True(t, holds)
	require.Equal(t, []filter.Answer{
		{Pointer: "/all/0", Property: "title", Op: filter.After, Result: true, Seen: "2026-12-31T23:30:00Z"},
		{Pointer: "/all/1", Property: "reports", Op: filter.Unknown, Result: true},
		{Pointer: "/all/2", Property: "boss", Op: filter.Equals, Result: true, Seen: []any{"u_1", "u_2"}},
		{Pointer: "/all/3", Event: "login", Op: filter.AtLeast, Result: true, Seen: 2.0},
		{Pointer: "/all/4", Workflow: "training", Op: filter.Completed, Result: true, Seen: map[string]any{"enrolled": true, "active": false, "completed": true}},
		{Pointer: "/all/5", Property: "hired", Op: filter.On, Result: true, Seen: "2020-01-04"},
	}, answers)
}

func TestNeedsAreWhatOfThePastIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, tree string
		want       filter.Needs
	}{
		{"nothing", `{"property": "title", "op": "known"}`, filter.Needs{}},
		{"changes, each property once", `{"all": [
			{"property": "title", "ever": true, "op": "known"}, {"property": "desks", "of": "changed_at", "op": "known"},
			{"property": "title", "of": "changed_at", "op": "known"}, {"property": "hired", "of": "anniversary", "op": "known"}
		]}`, filter.Needs{Changes: []string{"desks", "title"}}},
		{"one event more than is counted", `{"event": "login", "op": "at_least", "count": 3}`, filter.Needs{Events: map[string]filter.EventNeed{"login": {Newest: 4}}}},
		{"none but one of what must not happen", `{"event": "login", "op": "at_most", "count": 0, "within": "7d"}`, filter.Needs{Events: map[string]filter.EventNeed{"login": {Newest: 1, Within: 7 * 24 * time.Hour}}}},
		{"all events where some do not count", `{"event": "login", "op": "at_least", "count": 3, "within": "1h", "where": {"event_property": "page", "op": "known"}}`, filter.Needs{Events: map[string]filter.EventNeed{"login": {Within: time.Hour}}}},
		{"the most that conditions on one event ask", `{"any": [
			{"event": "login", "op": "at_least", "count": 3, "within": "1h"}, {"event": "login", "op": "at_most", "count": 7, "within": "2h"}
		]}`, filter.Needs{Events: map[string]filter.EventNeed{"login": {Newest: 8, Within: 2 * time.Hour}}}},
		{"no limit where one condition has none", `{"any": [
			{"event": "login", "op": "at_least", "count": 3}, {"event": "login", "op": "at_most", "count": 7, "within": "2h"}, {"event": "logout", "op": "at_least", "count": 1}
		]}`, filter.Needs{Events: map[string]filter.EventNeed{"login": {Newest: 8}, "logout": {Newest: 2}}}},
		{"workflows", `{"any": [{"workflow": "b", "op": "active"}, {"workflow": "a", "op": "active"}, {"workflow": "b", "op": "completed"}]}`, filter.Needs{Workflows: []string{"a", "b"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			needs := compile(t, tt.tree, scope()).Needs()
			require.Equal(t, tt.want, needs)
			require.Equal(t, tt.name == "nothing", needs.None())
		})
	}
}

func TestNeedsOfFiltersJoinWithoutSpoilingThem(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	a := compile(t, `{"all": [{"event": "login", "op": "at_least", "count": 3, "within": "1d"}, {"property": "title", "ever": true, "op": "known"}]}`, scope())
	b := compile(t, `{"all": [{"event": "login", "op": "at_least", "count": 1, "within": "7d"}, {"event": "logout", "op": "at_least", "count": 1}, {"workflow": "welcome", "op": "active"}]}`, scope())
	needs := a.Needs()
	needs.Join(b.Needs())
	require.Equal(t, filter.Needs{
		Changes: []string{"title"}, Workflows: []string{"welcome"},
		Events: map[string]filter.EventNeed{"login": {Newest: 4, Within: 7 * day}, "logout": {Newest: 2}},
	}, needs)
	require.Equal(t, map[string]filter.EventNeed{"login": {Newest: 4, Within: day}}, a.Needs().Events)
	require.Equal(t, map[string]filter.EventNeed{"login": {Newest: 2, Within: 7 * day}, "logout": {Newest: 2}}, b.Needs().Events)
}

func TestReadsOfFiltersJoin(t *testing.T) {
	t.Parallel()
	reads := compile(t, `{"all": [{"event": "login", "op": "at_least", "count": 3}, {"property": "title", "op": "known"}]}`, scope()).Reads()
	reads.Join(compile(t, `{"all": [{"workflow": "welcome", "op": "active"}, {"property": "desks", "op": "greater_than", "value": {"property": "rooms"}}]}`, scope()).Reads())
	require.Equal(t, filter.Reads{Properties: []string{"desks", "rooms", "title"}, Events: []string{"login"}, Workflows: []string{"welcome"}}, reads)
}
