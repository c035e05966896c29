package filter_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
	"rollcall/strictjson"
)

func problem(pointer, code, message string) strictjson.Problems {
	return strictjson.Problems{{Pointer: pointer, Code: code, Message: message}}
}

func TestCompileRefusesConditionsOnEvents(t *testing.T) {
	t.Parallel()
	const needsOne = `a condition needs exactly one of "property", "event_property", "event", "workflow" and "step"`
	const countOfAtLeast, countOfAtMost = `the count of "at_least" is from 1 to 10000`, `the count of "at_most" is from 0 to 10000`
	const ownOnly = `the "where" of an event asks about its properties only: {"event_property": …}`
	const login = `"event": "login", "op": "at_least", "count": 1, `
	for _, tt := range []struct{ name, condition, pointer, code, message string }{
		{"beside a property", login + `"property": "title"`, "", "condition-invalid", needsOne},
		{"beside a workflow", login + `"workflow": "welcome"`, "", "condition-invalid", needsOne},
		{"no op", `"event": "login", "count": 1`, "/op", "operator-type-mismatch", `an event cannot be asked ""; it takes at_least, at_most`},
		{"an op of numbers", `"event": "login", "op": "equals", "count": 1`, "/op", "operator-type-mismatch", `an event cannot be asked "equals"; it takes at_least, at_most`},
		{"no count", `"event": "login", "op": "at_least"`, "", "operand-invalid", `a condition on an event needs "count": how many times`},
		{"at_least never", `"event": "login", "op": "at_least", "count": 0`, "/count", "operand-invalid", countOfAtLeast},
		{"at_least too often", `"event": "login", "op": "at_least", "count": 10001`, "/count", "operand-invalid", countOfAtLeast},
		{"at_most less than never", `"event": "login", "op": "at_most", "count": -1`, "/count", "operand-invalid", countOfAtMost},
		{"at_most too often", `"event": "login", "op": "at_most", "count": 10001`, "/count", "operand-invalid", countOfAtMost},
		{"a value", login + `"value": 3`, "/value", "condition-invalid", `a condition on an event takes no "value"`},
		{"an aspect", login + `"of": "changed_at"`, "/of", "condition-invalid", `a condition on an event takes no "of"`},
		{"ever", login + `"ever": true`, "/ever", "condition-invalid", `a condition on an event takes no "ever"`},
		{"if_empty", login + `"if_empty": true`, "/if_empty", "condition-invalid", `a condition on an event takes no "if_empty"`},
		{"an amount that is none", login + `"within": "a week"`, "/within", "operand-invalid", `"a week" is not an amount of time such as 15m, 8h, 7d or 2w`},
		{"months, which differ", login + `"within": "1M"`, "/within", "operand-invalid", `"1M" is not an amount of time such as 15m, 8h, 7d or 2w`},
		{"no time at all", login + `"within": "0d"`, "/within", "operand-invalid", `"0d" is no time at all`},
		{"more than a hundred years", login + `"within": "36601d"`, "/within", "operand-invalid", `"36601d" is longer than a hundred years`},
		{"a zone that does not exist", login + `"time_zone": "Mars/Olympus"`, "/time_zone", "unknown-time-zone", `there is no time zone "Mars/Olympus"; use a name such as Europe/Warsaw, or "user"`},
		{"a where of a property of the user", login + `"where": {"property": "title", "op": "known"}`, "/where", "condition-invalid", ownOnly},
		{"a where of an event", login + `"where": {"all": [{` + login + `"within": "7d"}]}`, "/where/all/0", "condition-invalid", ownOnly},
		{"a where of a workflow", login + `"where": {"not": {"workflow": "welcome", "op": "active"}}`, "/where/not", "condition-invalid", ownOnly},
		{"a where of nothing", login + `"where": {}`, "/where", "condition-invalid", needsOne},
		{"a where without conditions", login + `"where": {"any": []}`, "/where", "empty-group", "the filter has no conditions"},
		{"a where with an op it does not take", login + `"where": {"any": [{"event_property": "page", "op": "known"}, {"event_property": "page", "op": "at_least", "value": "x"}]}`, "/where/any/1/value", "operand-invalid", `"at_least" needs a number`},
		{"a where with a count", login + `"where": {"event_property": "page", "op": "known", "count": 1}`, "/where/count", "condition-invalid", `a condition on a property takes no "count"`},
		{"a where with a zone that does not exist", login + `"where": {"time_zone": "Local", "all": [{"event_property": "page", "op": "known"}]}`, "/where/time_zone", "unknown-time-zone", `there is no time zone "Local"; use a name such as Europe/Warsaw, or "user"`},
		{"a where that compares with the user", login + `"where": {"event_property": "page", "op": "equals", "value": {"property": "title"}}`, "/where/value", "operand-invalid", `there is no property "title"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, problem(tt.pointer, tt.code, tt.message), wrong(t, `{`+tt.condition+`}`))
		})
	}
}

func TestCompileTellsAllThatIsWrongWithAnEvent(t *testing.T) {
	t.Parallel()
	s := scope()
	s.CheckEvent = func(name string) (string, bool) { return "there is no event " + name, name == "login" }
	_, problems := filter.Compile(tree(t, `{"any": [
		{"event": "login", "op": "at_most", "count": 0},
		{"event": "logni", "op": "often", "within": "soon", "value": 1, "ever": true, "where": {"event_property": "page", "op": "on"}}
	]}`), s)
	pointers := map[string]string{}
	for _, p := range problems {
		pointers[p.Pointer] = p.Code
	}
	require.Equal(t, map[string]string{
		"/any/1/event": "unknown-event", "/any/1/op": "operator-type-mismatch", "/any/1/within": "operand-invalid",
		"/any/1/value": "condition-invalid", "/any/1/ever": "condition-invalid", "/any/1/where/op": "operator-type-mismatch",
	}, pointers)
	require.Len(t, problems, 6)
}

func TestCompileRefusesConditionsOnWorkflows(t *testing.T) {
	t.Parallel()
	const welcome = `"workflow": "welcome", "op": "active", `
	for _, tt := range []struct{ name, condition, pointer, code, message string }{
		{"no op", `"workflow": "welcome"`, "/op", "operator-type-mismatch", `a workflow cannot be asked ""; it takes enrolled, never_enrolled, active, completed`},
		{"an op of events", `"workflow": "welcome", "op": "at_least"`, "/op", "operator-type-mismatch", `a workflow cannot be asked "at_least"; it takes enrolled, never_enrolled, active, completed`},
		{"a value", welcome + `"value": false`, "/value", "condition-invalid", `a condition on a workflow takes no "value"`},
		{"an aspect", welcome + `"of": "anniversary"`, "/of", "condition-invalid", `a condition on a workflow takes no "of"`},
		{"ever", welcome + `"ever": true`, "/ever", "condition-invalid", `a condition on a workflow takes no "ever"`},
		{"if_empty", welcome + `"if_empty": true`, "/if_empty", "condition-invalid", `a condition on a workflow takes no "if_empty"`},
		{"a count", welcome + `"count": 0`, "/count", "condition-invalid", `a condition on a workflow takes no "count"`},
		{"within", welcome + `"within": "7d"`, "/within", "condition-invalid", `a condition on a workflow takes no "within"`},
		{"a where", welcome + `"where": {"event_property": "page", "op": "known"}`, "/where", "condition-invalid", `a condition on a workflow takes no "where"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, problem(tt.pointer, tt.code, tt.message), wrong(t, `{`+tt.condition+`}`))
		})
	}
}

func TestCompileRefusesWhatOtherConditionsTake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, condition, pointer, message string }{
		{"a count of a property", `"property": "desks", "op": "known", "count": 1`, "/count", `a condition on a property takes no "count"`},
		{"a property within", `"property": "seen_at", "op": "known", "within": "7d"`, "/within", `a condition on a property takes no "within"`},
		{"a property where", `"property": "title", "op": "known", "where": {"property": "title", "op": "known"}`, "/where", `a condition on a property takes no "where"`},
		{"an aspect of an event's property", `"event_property": "page", "op": "known", "of": "changed_at"`, "/of", `a condition on an event's property takes no "of"`},
		{"an event's property ever", `"event_property": "page", "op": "known", "ever": true`, "/ever", `a condition on an event's property takes no "ever"`},
		{"an aspect that is none", `"property": "title", "op": "known", "of": "length"`, "/of", `"of" is changed_at or anniversary`},
		{"an aspect and ever", `"property": "hired", "op": "known", "of": "anniversary", "ever": true`, "/ever", `a condition has "of" or "ever", not both`},
		{"the anniversary of an instant", `"property": "seen_at", "op": "known", "of": "anniversary"`, "/of", `a datetime has no anniversary; dates have`},
		{"the anniversary of an enum", `"property": "team", "op": "known", "of": "anniversary"`, "/of", `an enum has no anniversary; dates have`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, problem(tt.pointer, "condition-invalid", tt.message), wrong(t, `{`+tt.condition+`}`))
		})
	}
}

func TestCompileRefusesOpsThatHistoryDoesNotTake(t *testing.T) {
	t.Parallel()
	const hint = ` ever was (put a "not" around it for the opposite) cannot be asked `
	for _, tt := range []struct{ name, condition, message string }{
		{"not_equals", `"property": "title", "ever": true, "op": "not_equals", "value": "x"`, `whether a string` + hint + `"not_equals"; it takes known, equals, contains, starts_with, ends_with, any_of`},
		{"not_contains", `"property": "title", "ever": true, "op": "not_contains", "value": "x"`, `whether a string` + hint + `"not_contains"; it takes known, equals, contains, starts_with, ends_with, any_of`},
		{"unknown", `"property": "admin", "ever": true, "op": "unknown"`, `whether a bool` + hint + `"unknown"; it takes known, equals`},
		{"none_of", `"property": "team", "ever": true, "op": "none_of", "value": ["sales"]`, `whether an enum` + hint + `"none_of"; it takes known, equals, any_of`},
		{"not_all_of", `"property": "skills", "ever": true, "op": "not_all_of", "value": ["go"]`, `whether a multi_enum` + hint + `"not_all_of"; it takes known, any_of, all_of, exactly, contains`},
		{"not_exactly", `"property": "skills", "ever": true, "op": "not_exactly", "value": ["go"]`, `whether a multi_enum` + hint + `"not_exactly"; it takes known, any_of, all_of, exactly, contains`},
		{"not_between", `"property": "hired", "ever": true, "op": "not_between", "value": ["now", "now"]`, `whether a date` + hint + `"not_between"; it takes known, before, after, on, between`},
		{"before of an anniversary", `"property": "hired", "of": "anniversary", "op": "before", "value": "now"`, `an anniversary cannot be asked "before"; it takes known, unknown, on, between, not_between`},
		{"equals of a change", `"property": "title", "of": "changed_at", "op": "equals", "value": "x"`, `the time of a change cannot be asked "equals"; it takes known, unknown, before, after, on, between, not_between`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, problem("/op", "operator-type-mismatch", tt.message), wrong(t, `{`+tt.condition+`}`))
		})
	}
}

func TestCompileTakesConditionsOnThePast(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]string{
		"at_least once":                  `"event": "login", "op": "at_least", "count": 1`,
		"at_least as often as can be":    `"event": "login", "op": "at_least", "count": 10000`,
		"never":                          `"event": "login", "op": "at_most", "count": 0, "within": "1d12h"`,
		"a hundred years":                `"event": "login", "op": "at_most", "count": 0, "within": "36600d"`,
		"a where":                        `"event": "login", "op": "at_most", "count": 0, "where": {"not": {"event_property": "page", "op": "any_of", "value": ["a", 1]}}`,
		"a where that is null":           `"event": "login", "op": "at_most", "count": 0, "where": null`,
		"a workflow":                     `"workflow": "welcome", "op": "never_enrolled"`,
		"a change of a property":         `"property": "skills", "of": "changed_at", "op": "between", "value": ["now-7d/d", "now"]`,
		"an aspect that is an empty one": `"property": "skills", "of": "", "op": "known"`,
		"ever known":                     `"property": "skills", "ever": true, "op": "known"`,
		"not ever":                       `"property": "skills", "ever": false, "op": "none_of", "value": "go"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, wrong(t, `{`+condition+`}`))
		})
	}
}

func TestAWhereCountsAmongTheConditionsAndLevels(t *testing.T) {
	t.Parallel()
	const known = `{"event_property": "page", "op": "known"}`
	event := func(where string) string {
		return `{"event": "login", "op": "at_least", "count": 1, "where": ` + where + `}`
	}
	nots := func(n int, inner string) string {
		return strings.Repeat(`{"not": `, n) + inner + strings.Repeat(`}`, n)
	}
	// Each event is one condition with n more in its where; the filter has two of them, and the rest.
	many := func(n, rest int) string {
		where := `{"any": [` + strings.Repeat(known+`,`, n-1) + known + `]}`
		return `{"all": [` + event(where) + `,` + event(where) + strings.Repeat(`,`+known, rest) + `]}`
	}
	tooMany := func(n int) strictjson.Problems {
		return problem("", "filter-too-complex", "a filter has at most 250 conditions, this one has "+strconv.Itoa(n))
	}
	for _, tt := range []struct {
		name, tree string
		want       strictjson.Problems
	}{
		{"250 with those in a where", many(100, 48), nil},
		{"251 with those in a where", many(100, 49), tooMany(251)},
		{"more in one where alone", event(`{"any": [` + strings.Repeat(known+`,`, 250) + known + `]}`), tooMany(252)},
		{"eight levels with those in a where", nots(3, event(nots(3, known))), nil},
		{"nine levels with those in a where", nots(3, event(nots(4, known))), problem("/not/not/not/where/not/not/not/not", "filter-too-complex", "a filter nests at most 8 levels")},
		{"a where on the ninth level", nots(7, event(known)), problem(strings.Repeat("/not", 7)+"/where", "filter-too-complex", "a filter nests at most 8 levels")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, wrong(t, tt.tree))
		})
	}
}
