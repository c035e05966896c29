package filter_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
	"rollcall/strictjson"
)

func TestCompileRefusesOperandsThatMoveWithNow(t *testing.T) {
	t.Parallel()
	const syntax = "date math is such as now, now-30d, now/d or now-1w/w; units are s, m, h, d, w, M and y"
	for _, tt := range []struct{ name, condition, message string }{
		{"a slip", `"property": "hired", "op": "before", "value": "now-30D"`, `"now-30D" is no date math: ` + syntax},
		{"a slip in a list", `"property": "hired", "op": "between", "value": ["now", "now/q"]`, `"now/q" is no date math: ` + syntax},
		{"too far", `"property": "seen_at", "op": "after", "value": "now+101y"`, `"now+101y" goes further than a hundred years`},
		{"on an instant", `"property": "seen_at", "op": "on", "value": "now-30d"`, `"now-30d" is an instant; write now-30d/d for its day`},
		{"an anniversary on an instant", `"property": "hired", "of": "anniversary", "op": "on", "value": "now"`, `"now" is an instant; write now/d for its day`},
		{"a list", `"property": "seen_at", "op": "before", "value": ["now"]`, `"before" takes one value, not a list`},
		{"one bound", `"property": "seen_at", "op": "between", "value": ["now"]`, `"between" needs a list of two values, from and to`},
		{"a word", `"property": "seen_at", "op": "before", "value": "today"`, "the value must be a date such as 2027-01-04, an instant such as 2027-01-04T09:00:00Z or date math such as now-30d, is today"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, problem("/value", "operand-invalid", tt.message), wrong(t, `{`+tt.condition+`}`))
		})
	}
}

func TestCompileRefusesOtherProperties(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, condition, message string }{
		{"one that does not exist", `"property": "hired", "op": "before", "value": {"property": "lfet"}`, `there is no property "lfet"; did you mean "left"?`},
		{"one of another type", `"property": "desks", "op": "equals", "value": {"property": "title"}`, `title is a string, and a number cannot be compared with it`},
		{"a date for an instant", `"property": "seen_at", "op": "before", "value": {"property": "hired"}`, `hired is a date, and a datetime cannot be compared with it`},
		{"a date for a change", `"property": "hired", "of": "changed_at", "op": "before", "value": {"property": "left"}`, `left is a date, and the time of a change cannot be compared with it`},
		{"of an event's property", `"event_property": "page", "op": "equals", "value": {"property": "title"}`, `title is a string, and an event property cannot be compared with it`},
		{"of an anniversary", `"property": "hired", "of": "anniversary", "op": "on", "value": {"property": "left"}`, `"on" of an anniversary takes no other property`},
		{"of a string", `"property": "title", "op": "equals", "value": {"property": "time_zone"}`, `"equals" of a string takes no other property`},
		{"of a list", `"property": "skills", "op": "any_of", "value": {"property": "skills"}`, `"any_of" of a multi_enum takes no other property`},
		{"between numbers", `"property": "desks", "op": "between", "value": [1, {"property": "rooms"}]`, `"between" of a number takes no other property`},
		{"any_of", `"property": "city", "op": "any_of", "value": {"property": "town"}`, `"any_of" of an enum takes no other property`},
		{"in a list", `"property": "city", "op": "equals", "value": [{"property": "town"}]`, `"equals" of an enum takes no other property`},
		{"with more members", `"property": "hired", "op": "before", "value": {"property": "left", "plus": "1d"}`, `an object here names another property: {"property": …}`},
		{"with another member", `"property": "hired", "op": "before", "value": {"propety": "left"}`, `an object here names another property: {"property": …}`},
		{"with a number", `"property": "hired", "op": "before", "value": {"property": 1}`, `an object here names another property: {"property": …}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, problem("/value", "operand-invalid", tt.message), wrong(t, `{`+tt.condition+`}`))
		})
	}
}

func TestCompileRefusesOperandsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	const reversed = "the first of the two values lies after the second"
	long := `"` + strings.Repeat("x", 8<<10) + `"`
	for _, tt := range []struct{ name, condition, message string }{
		{"numbers the wrong way round", `"property": "desks", "op": "between", "value": [2, 1]`, reversed},
		{"dates the wrong way round", `"property": "hired", "op": "not_between", "value": ["2027-01-05", "2027-01-04"]`, reversed},
		{"instants the wrong way round", `"property": "seen_at", "op": "between", "value": ["2027-01-04T09:00:00.000001Z", "2027-01-04T10:00:00+01:00"]`, reversed},
		{"an instant after a date", `"property": "seen_at", "op": "between", "value": ["2027-01-05T00:00:00Z", "2027-01-04"]`, reversed},
		{"an anniversary the wrong way round", `"property": "hired", "of": "anniversary", "op": "between", "value": ["2027-12-20", "2027-01-05"]`, reversed},
		{"on an instant", `"property": "seen_at", "op": "on", "value": "now-1d"`, `"now-1d" is an instant; write now-1d/d for its day`},
		{"on a time of a day", `"property": "seen_at", "op": "on", "value": "now-1w/d+9h"`, `"now-1w/d+9h" is an instant; write now-1w/d for its day`},
		{"on a day of 24 hours", `"property": "hired", "op": "on", "value": "now/d+1d+24h"`, `"now/d+1d+24h" is an instant; write now/d for its day`},
		{"an anniversary on a time of a day", `"property": "hired", "of": "anniversary", "op": "on", "value": "now/d+30m"`, `"now/d+30m" is an instant; write now/d for its day`},
		{"contains nothing", `"property": "title", "op": "contains", "value": ""`, `"contains" needs a text that is not empty`},
		{"not_contains nothing", `"property": "title", "op": "not_contains", "value": ["x", ""]`, `"not_contains" needs a text that is not empty`},
		{"starts_with nothing", `"event_property": "page", "op": "starts_with", "value": ""`, `"starts_with" needs a text that is not empty`},
		{"too many values", `"property": "city", "op": "any_of", "value": ["x"` + strings.Repeat(`, "x"`, 1000) + `]`, "a condition takes at most 1000 values"},
		{"too much text", `"property": "title", "op": "any_of", "value": [` + long + `, "y` + long[1:] + `]`, "the texts of a condition have at most 16 KiB together"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, problem("/value", "operand-invalid", tt.message), wrong(t, `{`+tt.condition+`}`))
		})
	}
}

func TestCompileTakesTimesOfEveryKind(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]string{
		"date math":                           `"property": "hired", "op": "before", "value": "now-1M/M+1d"`,
		"a time of a day":                     `"property": "seen_at", "op": "after", "value": "now/d+9h"`,
		"a week ago, its day":                 `"property": "hired", "op": "on", "value": "now-7d/d"`,
		"bounds of each kind":                 `"property": "seen_at", "op": "between", "value": ["now-7d", {"property": "due_at"}]`,
		"a fixed bound and one that moves":    `"property": "seen_at", "op": "not_between", "value": ["2027-01-04", "now"]`,
		"a property with itself":              `"property": "hired", "op": "before", "value": {"property": "hired"}`,
		"a change with an instant":            `"property": "hired", "of": "changed_at", "op": "after", "value": {"property": "due_at"}`,
		"a day that begins as the other does": `"property": "hired", "op": "between", "value": ["2027-01-04", "2027-01-04"]`,
		"an instant inside the last day":      `"property": "seen_at", "op": "between", "value": ["2027-01-04T12:00:00Z", "2027-01-04"]`,
		"an empty text among those equal":     `"property": "title", "op": "any_of", "value": ["", "x"]`,
		"a thousand values":                   `"property": "city", "op": "any_of", "value": ["x"` + strings.Repeat(`, "x"`, 999) + `]`,
		"16 KiB of text":                      `"property": "title", "op": "any_of", "value": ["` + strings.Repeat("x", 16<<10) + `"]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, wrong(t, `{`+condition+`}`))
		})
	}
}

func TestAReversedRangeIsRefusedInTheUsersZoneWhereEveryZoneAgrees(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]strictjson.Problems{
		`["2027-01-05", "2027-01-04"]`:                     problem("/value", "operand-invalid", "the first of the two values lies after the second"),
		`["2027-01-05T09:00:00Z", "2027-01-04T09:00:00Z"]`: problem("/value", "operand-invalid", "the first of the two values lies after the second"),
		`["2027-01-05T09:00:00Z", "2027-01-04"]`:           nil, // still the fourth in Honolulu
		`["2027-01-04", "2027-01-04T09:00:00Z"]`:           nil,
	} {
		_, problems := filter.Compile(tree(t, `{"property": "seen_at", "op": "between", "value": `+value+`}`), in(t, filter.OwnZone))
		require.Equal(t, want, problems, value)
	}
}

func TestADayThatAZoneSkippedIsNoReversedRange(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"property": "hired", "op": "between", "value": ["2011-12-30", "2011-12-30"]}`, in(t, "Pacific/Apia"))
	require.False(t, f.Match(subject(t, `{"hired": "2011-12-31"}`)))
}

func TestCompileRefusesZonesThatDoNotExist(t *testing.T) {
	t.Parallel()
	const known = `{"property": "title", "op": "known"}`
	for _, tt := range []struct{ name, pattern, pointer string }{
		{"of an all", `{"time_zone": ZONE, "all": [` + known + `]}`, "/time_zone"},
		{"of an any", `{"all": [` + known + `, {"time_zone": ZONE, "any": [` + known + `]}]}`, "/all/1/time_zone"},
		{"of a not", `{"not": {"time_zone": ZONE, "not": ` + known + `}}`, "/not/time_zone"},
		{"of a condition", `{"any": [{"property": "hired", "op": "on", "value": "now/d", "time_zone": ZONE}]}`, "/any/0/time_zone"},
	} {
		for _, zone := range []string{"Mars/Olympus", "Local", "+01:00", "../UTC", "User"} {
			t.Run(tt.name+" "+strconv.Quote(zone), func(t *testing.T) {
				t.Parallel()
				got := wrong(t, strings.ReplaceAll(tt.pattern, "ZONE", strconv.Quote(zone)))
				require.Equal(t, problem(tt.pointer, "unknown-time-zone", `there is no time zone `+strconv.Quote(zone)+`; use a name such as Europe/Warsaw, or "user"`), got)
			})
		}
	}
}

func TestAZoneThatDoesNotExistIsReportedBesideWhatIsInside(t *testing.T) {
	t.Parallel()
	require.Equal(t, strictjson.Problems{
		{Pointer: "/time_zone", Code: "unknown-time-zone", Message: `there is no time zone "Mars"; use a name such as Europe/Warsaw, or "user"`},
		{Pointer: "/all/0/property", Code: "unknown-property", Message: `there is no property "nobody"`},
	}, wrong(t, `{"time_zone": "Mars", "all": [{"property": "nobody", "op": "known"}]}`))
}

func TestTheUsersZoneIsReadOnlyWhereItMatters(t *testing.T) {
	t.Parallel()
	for tree, reads := range map[string]bool{
		`{"property": "hired", "op": "on", "value": "now/d"}`:                                     true,
		`{"property": "seen_at", "op": "on", "value": "2027-01-04"}`:                              true,
		`{"property": "title", "of": "changed_at", "op": "on", "value": "now/d"}`:                 true,
		`{"property": "hired", "of": "anniversary", "op": "on", "value": "now/d"}`:                true,
		`{"property": "hired", "ever": true, "op": "on", "value": "now/d"}`:                       true,
		`{"property": "title", "op": "known"}`:                                                    false,
		`{"property": "seen_at", "op": "known"}`:                                                  false,
		`{"event": "login", "op": "at_least", "count": 1, "within": "7d"}`:                        false,
		`{"time_zone": "UTC", "all": [{"property": "hired", "op": "on", "value": "2027-01-04"}]}`: false,
	} {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, reads, strings.Contains(strings.Join(compile(t, tree, in(t, filter.OwnZone)).Reads().Properties, " "), "time_zone"))
		})
	}
}

func TestTimedIsWhatMovesWithNow(t *testing.T) {
	t.Parallel()
	for tree, timed := range map[string]bool{
		`{"property": "hired", "op": "on", "value": "now/d"}`:                                                                              true,
		`{"not": {"any": [{"property": "title", "op": "known"}, {"property": "hired", "op": "between", "value": ["2027-01-04", "now"]}]}}`: true,
		`{"property": "title", "of": "changed_at", "op": "before", "value": "now-7d"}`:                                                     true,
		`{"property": "hired", "ever": true, "op": "after", "value": "now"}`:                                                               true,
		`{"event": "login", "op": "at_least", "count": 1, "within": "7d"}`:                                                                 true,
		`{"event": "login", "op": "at_least", "count": 1}`:                                                                                 false,
		`{"property": "hired", "op": "on", "value": "2027-01-04"}`:                                                                         false,
		`{"property": "hired", "op": "on", "value": {"property": "left"}}`:                                                                 false,
		`{"property": "hired", "of": "anniversary", "op": "on", "value": "2027-01-04"}`:                                                    false,
		`{"property": "title", "of": "changed_at", "op": "known"}`:                                                                         false,
		`{"workflow": "welcome", "op": "active"}`:                                                                                          false,
	} {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, timed, compile(t, tree, scope()).Timed())
		})
	}
}
