package filter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
	"rollcall/strictjson"
)

func TestCompileTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	const needsOne = `a condition needs exactly one of "property", "event_property", "event", "workflow" and "step"`
	for _, tt := range []struct {
		name, tree             string
		pointer, code, message string
	}{
		{
			"a name with a slip gets a suggestion", `{"property": "titel", "op": "known"}`,
			"/property", "unknown-property", `there is no property "titel"; did you mean "title"?`,
		},
		{
			"the nearer of two names is suggested", `{"property": "bos", "op": "known"}`,
			"/property", "unknown-property", `there is no property "bos"; did you mean "boss"?`,
		},
		{
			"of two names that are as near the first in the alphabet is suggested", `{"property": "ciam", "op": "known"}`,
			"/property", "unknown-property", `there is no property "ciam"; did you mean "city"?`,
		},
		{
			"a name that is like no other gets no suggestion", `{"property": "favourite_colour", "op": "known"}`,
			"/property", "unknown-property", `there is no property "favourite_colour"`,
		},
		{
			"a very long name is cut and gets no suggestion", `{"property": "` + strings.Repeat("x", 129) + `", "op": "known"}`,
			"/property", "unknown-property", `there is no property "` + strings.Repeat("x", 100) + `…"`,
		},
		{
			"a name in another case is another name", `{"property": "Title", "op": "known"}`,
			"/property", "unknown-property", `there is no property "Title"; did you mean "title"?`,
		},
		{
			"a name that looks like SQL is only a name", `{"property": "'; DROP TABLE users; --", "op": "known"}`,
			"/property", "unknown-property", `there is no property "'; DROP TABLE users; --"`,
		},
		{
			"a condition about nothing", `{"op": "known"}`,
			"", "condition-invalid", needsOne,
		},
		{
			"an empty object", `{}`,
			"", "condition-invalid", needsOne,
		},
		{
			"a condition about two things", `{"property": "title", "event_property": "page", "op": "known"}`,
			"", "condition-invalid", needsOne,
		},
		{"an all without conditions", `{"all": []}`, "", "empty-group", "the filter has no conditions"},
		{"an any without conditions", `{"any": []}`, "", "empty-group", "the filter has no conditions"},
		{"a not of nothing", `{"not": null}`, "", "empty-group", "the filter has no conditions"},
		{"a hole in a group", `{"all": [{"property": "title", "op": "known"}, null]}`, "/all/1", "empty-group", "the filter has no conditions"},
		{"an empty group inside others", `{"any": [{"not": {"all": []}}]}`, "/any/0/not", "empty-group", "the filter has no conditions"},
		{
			"a condition without an op", `{"property": "admin"}`,
			"/op", "operator-type-mismatch", `a bool cannot be asked ""; it takes known, unknown, equals, not_equals`,
		},
		{
			"an op that is no op", `{"property": "admin", "op": "matches"}`,
			"/op", "operator-type-mismatch", `a bool cannot be asked "matches"; it takes known, unknown, equals, not_equals`,
		},
		{
			"a problem deep inside has its place", `{"any": [{"all": [{"not": {"property": "nobody", "op": "known"}}]}]}`,
			"/any/0/all/0/not/property", "unknown-property", `there is no property "nobody"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := filter.Compile(tree(t, tt.tree), scope())
			require.Equal(t, strictjson.Problems{{Pointer: tt.pointer, Code: tt.code, Message: tt.message}}, problems)
		})
	}
}

func TestCompileRefusesOpsThatTheTypeDoesNotTake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, about, op, message string
	}{
		{
			"a string is not greater", `"property": "title"`, "greater_than",
			`a string cannot be asked "greater_than"; it takes known, unknown, equals, not_equals, contains, not_contains, starts_with, ends_with, any_of, none_of`,
		},
		{
			"a number contains nothing", `"property": "desks"`, "contains",
			`a number cannot be asked "contains"; it takes known, unknown, equals, not_equals, greater_than, at_least, less_than, at_most, between, not_between, any_of, none_of`,
		},
		{
			"a bool is not greater", `"property": "admin"`, "greater_than",
			`a bool cannot be asked "greater_than"; it takes known, unknown, equals, not_equals`,
		},
		{
			"a date does not equal", `"property": "hired"`, "equals",
			`a date cannot be asked "equals"; it takes known, unknown, before, after, on, between, not_between`,
		},
		{
			"a datetime does not equal", `"property": "seen_at"`, "equals",
			`a datetime cannot be asked "equals"; it takes known, unknown, before, after, on, between, not_between`,
		},
		{
			"an enum does not begin", `"property": "team"`, "starts_with",
			`an enum cannot be asked "starts_with"; it takes known, unknown, equals, not_equals, any_of, none_of`,
		},
		{
			"a user has not all of", `"property": "boss"`, "all_of",
			`a user cannot be asked "all_of"; it takes known, unknown, equals, not_equals, any_of, none_of`,
		},
		{
			"a multi_enum does not equal", `"property": "skills"`, "equals",
			`a multi_enum cannot be asked "equals"; it takes known, unknown, any_of, none_of, all_of, not_all_of, exactly, not_exactly, contains, not_contains`,
		},
		{
			"users do not equal", `"property": "reports"`, "equals",
			`a users cannot be asked "equals"; it takes known, unknown, any_of, none_of, all_of, not_all_of, exactly, not_exactly, contains, not_contains`,
		},
		{
			"an event property has no date", `"event_property": "page"`, "before",
			`an event property cannot be asked "before"; it takes known, unknown, equals, not_equals, contains, not_contains, starts_with, ends_with, greater_than, at_least, less_than, at_most, any_of, none_of`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := filter.Compile(tree(t, `{`+tt.about+`, "op": "`+tt.op+`", "value": "x"}`), scope())
			require.Equal(t, strictjson.Problems{{Pointer: "/op", Code: "operator-type-mismatch", Message: tt.message}}, problems)
		})
	}
}

func TestCompileRefusesOperands(t *testing.T) {
	t.Parallel()
	const text, number, truth = "the value must be a text", "the value must be a number", "the value must be true or false"
	const aTime = "the value must be a date such as 2027-01-04, an instant such as 2027-01-04T09:00:00Z or date math such as now-30d, is "
	const object = `an object here names another property: {"property": …}`
	for _, tt := range []struct {
		name, condition, message string
	}{
		{"no value", `"property": "title", "op": "equals"`, `"equals" needs a value`},
		{"a null", `"property": "title", "op": "equals", "value": null`, `"equals" needs a value`},
		{"an empty list", `"property": "title", "op": "any_of", "value": []`, `"any_of" needs a value`},
		{"a value for known", `"property": "title", "op": "known", "value": "x"`, `"known" takes no value`},
		{"a value for unknown", `"property": "title", "op": "unknown", "value": false`, `"unknown" takes no value`},
		{"a number for a string", `"property": "title", "op": "equals", "value": 7`, text},
		{"a null among the texts", `"property": "title", "op": "any_of", "value": ["x", null]`, text},
		{"a list in a list", `"property": "title", "op": "any_of", "value": [["x"]]`, text},
		{"a text for a number", `"property": "desks", "op": "equals", "value": "7"`, number},
		{"a text among the numbers", `"property": "desks", "op": "any_of", "value": [1, "2"]`, number},
		{"a list for greater_than", `"property": "desks", "op": "greater_than", "value": [1]`, `"greater_than" takes one value, not a list`},
		{"a list for at_least", `"property": "desks", "op": "at_least", "value": [1]`, `"at_least" takes one value, not a list`},
		{"a list for less_than", `"property": "desks", "op": "less_than", "value": [1]`, `"less_than" takes one value, not a list`},
		{"a list for at_most", `"property": "desks", "op": "at_most", "value": [1]`, `"at_most" takes one value, not a list`},
		{"one bound", `"property": "desks", "op": "between", "value": 1`, `"between" needs a list of two values, from and to`},
		{"three bounds", `"property": "desks", "op": "not_between", "value": [1, 2, 3]`, `"not_between" needs a list of two values, from and to`},
		{"a text for a bool", `"property": "admin", "op": "equals", "value": "true"`, truth},
		{"a list for a bool", `"property": "admin", "op": "equals", "value": [true]`, `"equals" takes one value, not a list`},
		{
			"a date that does not exist", `"property": "hired", "op": "on", "value": "2027-02-29"`,
			aTime + "2027-02-29",
		},
		{
			"an instant without a zone", `"property": "seen_at", "op": "after", "value": "2027-01-04T09:00:00"`,
			aTime + "2027-01-04T09:00:00",
		},
		{
			"a number for a date", `"property": "hired", "op": "before", "value": 2027`,
			aTime + "a number",
		},
		{
			"another property for a date", `"property": "hired", "op": "before", "value": {"property": "seen_at"}`,
			"seen_at is a datetime, and a date cannot be compared with it",
		},
		{"a list of dates", `"property": "hired", "op": "on", "value": ["2027-01-04"]`, `"on" takes one value, not a list`},
		{"a value that is no option", `"property": "team", "op": "equals", "value": "legal"`, `"legal" is not among the options support, sales`},
		{"an option in another case", `"property": "team", "op": "any_of", "value": ["support", "Sales"]`, `"Sales" is not among the options support, sales`},
		{"a truth for an enum", `"property": "city", "op": "equals", "value": true`, text},
		{"a number for a list", `"property": "skills", "op": "any_of", "value": [1]`, text},
		{"an object for a user", `"property": "boss", "op": "equals", "value": {"id": "u_1"}`, object},
		{"an object for an event property", `"event_property": "page", "op": "equals", "value": {}`, object},
		{"a text for at_least of an event property", `"event_property": "page", "op": "at_least", "value": "3"`, `"at_least" needs a number`},
		{"a truth for less_than of an event property", `"event_property": "page", "op": "less_than", "value": true`, `"less_than" needs a number`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := filter.Compile(tree(t, `{`+tt.condition+`}`), scope())
			require.Equal(t, strictjson.Problems{{Pointer: "/value", Code: "operand-invalid", Message: tt.message}}, problems)
		})
	}
}

func TestCompileTakesWhatTheTypesTake(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]string{
		"one text":                          `"property": "title", "op": "equals", "value": "x"`,
		"a list of texts":                   `"property": "title", "op": "contains", "value": ["x", "y"]`,
		"a list of numbers":                 `"property": "desks", "op": "equals", "value": [1, 2.5]`,
		"two bounds":                        `"property": "desks", "op": "between", "value": [1, 2]`,
		"a falsehood":                       `"property": "admin", "op": "equals", "value": false`,
		"a leap day":                        `"property": "hired", "op": "on", "value": "2028-02-29"`,
		"an instant for a date":             `"property": "hired", "op": "before", "value": "2027-01-04T09:00:00+01:00"`,
		"a date for a datetime":             `"property": "seen_at", "op": "on", "value": "2027-01-04"`,
		"a date and an instant":             `"property": "seen_at", "op": "between", "value": ["2027-01-04", "2027-01-05T09:00:00Z"]`,
		"an option":                         `"property": "team", "op": "any_of", "value": ["sales"]`,
		"any value where there are options": `"property": "city", "op": "equals", "value": "Kraków"`,
		"one value for a list":              `"property": "skills", "op": "contains", "value": "go"`,
		"mixed values of an event property": `"event_property": "page", "op": "any_of", "value": [1, "x", true]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := filter.Compile(tree(t, `{`+condition+`}`), scope())
			require.Empty(t, problems)
		})
	}
}

func TestCompileRefusesEventPropertiesWhereThereIsNoEvent(t *testing.T) {
	t.Parallel()
	s := scope()
	s.Event = false
	_, problems := filter.Compile(tree(t, `{"all": [{"property": "title", "op": "known"}, {"event_property": "page", "op": "known"}]}`), s)
	require.Equal(t, strictjson.Problems{
		{Pointer: "/all/1/event_property", Code: "no-event", Message: "there is no event to ask about here"},
	}, problems)
}

func TestCompileReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, problems := filter.Compile(tree(t, `{"any": [
		{"property": "desks", "op": "contains", "value": 1},
		{"all": []},
		{"not": {"property": "team", "op": "equals", "value": "legal"}}
	]}`), scope())
	require.Equal(t, strictjson.Problems{
		{
			Pointer: "/any/0/op", Code: "operator-type-mismatch",
			Message: `a number cannot be asked "contains"; it takes known, unknown, equals, not_equals, greater_than, at_least, less_than, at_most, between, not_between, any_of, none_of`,
		},
		{Pointer: "/any/1", Code: "empty-group", Message: "the filter has no conditions"},
		{Pointer: "/any/2/not/value", Code: "operand-invalid", Message: `"legal" is not among the options support, sales`},
	}, problems)
}

func TestCompileLimitsDepthAndConditions(t *testing.T) {
	t.Parallel()
	nested := func(levels int) string {
		return strings.Repeat(`{"not": `, levels-1) + `{"property": "title", "op": "known"}` + strings.Repeat(`}`, levels-1)
	}
	wide := func(conditions int) string {
		return `{"all": [` + strings.Repeat(`{"property": "title", "op": "known"},`, conditions-1) + `{"property": "title", "op": "known"}]}`
	}
	for _, tt := range []struct {
		name, tree string
		want       strictjson.Problems
	}{
		{"eight levels are taken", nested(8), nil},
		{"nine levels are too many", nested(9), strictjson.Problems{
			{Pointer: "/not/not/not/not/not/not/not/not", Code: "filter-too-complex", Message: "a filter nests at most 8 levels"},
		}},
		{"250 conditions are taken", wide(250), nil},
		{"251 conditions are too many", wide(251), strictjson.Problems{
			{Pointer: "", Code: "filter-too-complex", Message: "a filter has at most 250 conditions, this one has 251"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := filter.Compile(tree(t, tt.tree), scope())
			require.Equal(t, tt.want, problems)
		})
	}
}

func TestOperatorsOfAnUnknownTypeAreNone(t *testing.T) {
	t.Parallel()
	require.Nil(t, filter.Operators("colour"))
	require.Nil(t, filter.Operators("event property"))
	require.Equal(t, []filter.Op{filter.Known, filter.Unknown, filter.Equals, filter.NotEquals}, filter.Operators(filter.Bool))
}

func TestOperatorsAreACopy(t *testing.T) {
	t.Parallel()
	filter.Operators(filter.Enum)[0] = "spoiled"
	require.Equal(t, filter.Known, filter.Operators(filter.Enum)[0])
}
