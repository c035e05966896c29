package filter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
)

// askAt asks at an instant.
func askAt(t *testing.T, s filter.Scope, now string, questions []question) {
	t.Helper()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, q.want, compile(t, `{`+q.condition+`}`, s).Match(asked(t, `{`+q.user+`}`, now)))
		})
	}
}

func TestMatchInstantsThatMoveWithNow(t *testing.T) {
	t.Parallel()
	askAt(t, in(t, "Europe/Warsaw"), "2027-01-31T12:00:00Z", []question{
		{"before thirty days ago", `"property": "seen_at", "op": "before", "value": "now-30d"`, `"seen_at": "2027-01-01T11:59:59.999999Z"`, true},
		{"thirty days ago is not before that", `"property": "seen_at", "op": "before", "value": "now-30d"`, `"seen_at": "2027-01-01T12:00:00Z"`, false},
		{"after thirty days ago", `"property": "seen_at", "op": "after", "value": "now-30d"`, `"seen_at": "2027-01-01T12:00:00.000001Z"`, true},
		{"thirty days ago is not after that", `"property": "seen_at", "op": "after", "value": "now-30d"`, `"seen_at": "2027-01-01T12:00:00Z"`, false},
		{"after now in another offset", `"property": "seen_at", "op": "after", "value": "now"`, `"seen_at": "2027-01-31T13:00:00.5+01:00"`, true},
		{"between has both its ends", `"property": "seen_at", "op": "between", "value": ["now", "now+1h"]`, `"seen_at": "2027-01-31T12:00:00Z"`, true},
		{"between has its end", `"property": "seen_at", "op": "between", "value": ["now", "now+1h"]`, `"seen_at": "2027-01-31T13:00:00Z"`, true},
		{"between ends", `"property": "seen_at", "op": "between", "value": ["now", "now+1h"]`, `"seen_at": "2027-01-31T13:00:00.000001Z"`, false},
		{"not_between", `"property": "seen_at", "op": "not_between", "value": ["now", "now+1h"]`, `"seen_at": "2027-01-31T13:00:00.000001Z"`, true},
		{"a fixed end beside one that moves", `"property": "seen_at", "op": "between", "value": ["2027-01-01", "now"]`, `"seen_at": "2026-12-31T23:00:00Z"`, true},
		{"a date begins at midnight in the zone", `"property": "hired", "op": "before", "value": "now-12h"`, `"hired": "2027-01-31"`, true},
		{"a date that has not begun", `"property": "hired", "op": "before", "value": "now-13h"`, `"hired": "2027-01-31"`, false},
		{"between whose ends moved past each other", `"property": "seen_at", "op": "between", "value": ["now+1d", "now"]`, `"seen_at": "2027-01-31T13:00:00Z"`, false},
		{"an empty value", `"property": "seen_at", "op": "before", "value": "now", "if_empty": true`, ``, true},
	})
}

func TestMatchStretchesOfTheCalendarThatMoveWithNow(t *testing.T) {
	t.Parallel()
	// A Wednesday, already Thursday in Warsaw.
	askAt(t, in(t, "Europe/Warsaw"), "2027-01-06T23:30:00Z", []question{
		{"on this day", `"property": "hired", "op": "on", "value": "now/d"`, `"hired": "2027-01-07"`, true},
		{"on yesterday", `"property": "hired", "op": "on", "value": "now/d-1d"`, `"hired": "2027-01-06"`, true},
		{"on this week, its Monday", `"property": "hired", "op": "on", "value": "now/w"`, `"hired": "2027-01-04"`, true},
		{"on this week, its Sunday", `"property": "hired", "op": "on", "value": "now/w"`, `"hired": "2027-01-10"`, true},
		{"on this week, the Sunday before", `"property": "hired", "op": "on", "value": "now/w"`, `"hired": "2027-01-03"`, false},
		{"on this week, the Monday after", `"property": "hired", "op": "on", "value": "now/w"`, `"hired": "2027-01-11"`, false},
		{"on this month, its last moment", `"property": "seen_at", "op": "on", "value": "now/M"`, `"seen_at": "2027-01-31T22:59:59.999999Z"`, true},
		{"on this month, the next", `"property": "seen_at", "op": "on", "value": "now/M"`, `"seen_at": "2027-01-31T23:00:00Z"`, false},
		{"on the second day of the month", `"property": "hired", "op": "on", "value": "now/M+1d"`, `"hired": "2027-01-02"`, true},
		{"on this year", `"property": "hired", "op": "on", "value": "now/y"`, `"hired": "2027-12-31"`, true},
		{"after this day is from tomorrow", `"property": "hired", "op": "after", "value": "now/d"`, `"hired": "2027-01-08"`, true},
		{"after this day is not this day", `"property": "seen_at", "op": "after", "value": "now/d"`, `"seen_at": "2027-01-07T22:59:59.999999Z"`, false},
		{"before this day", `"property": "seen_at", "op": "before", "value": "now/d"`, `"seen_at": "2027-01-06T22:59:59.999999Z"`, true},
		{"before this day is not this day", `"property": "hired", "op": "before", "value": "now/d"`, `"hired": "2027-01-07"`, false},
		{"between has its first day", `"property": "hired", "op": "between", "value": ["now/d", "now/d+7d"]`, `"hired": "2027-01-07"`, true},
		{"between has its last day whole", `"property": "seen_at", "op": "between", "value": ["now/d", "now/d+7d"]`, `"seen_at": "2027-01-14T22:59:59.999999Z"`, true},
		{"between ends", `"property": "hired", "op": "between", "value": ["now/d", "now/d+7d"]`, `"hired": "2027-01-15"`, false},
		{"a time of this day", `"property": "seen_at", "op": "before", "value": "now/d+9h"`, `"seen_at": "2027-01-07T07:59:59Z"`, true},
		{"a time of this day is not before itself", `"property": "seen_at", "op": "before", "value": "now/d+9h"`, `"seen_at": "2027-01-07T08:00:00Z"`, false},
	})
}

func TestMatchPropertiesWithEachOther(t *testing.T) {
	t.Parallel()
	const desks, hired = `"property": "desks", "value": {"property": "rooms"}, "op": `, `"property": "hired", "value": {"property": "left"}, "op": `
	ask(t, in(t, "Europe/Warsaw"), []question{
		{"a number equals", desks + `"equals"`, `"desks": 2, "rooms": 2`, true},
		{"a number not_equals", desks + `"not_equals"`, `"desks": 2, "rooms": 2`, false},
		{"a number greater_than", desks + `"greater_than"`, `"desks": 3, "rooms": 2`, true},
		{"a number at_least", desks + `"at_least"`, `"desks": 2, "rooms": 2`, true},
		{"a number less_than", desks + `"less_than"`, `"desks": 2, "rooms": 2`, false},
		{"a number at_most", desks + `"at_most"`, `"desks": 2, "rooms": 2`, true},
		{"a number with what is none", desks + `"not_equals"`, `"desks": 2, "rooms": "2"`, false},
		{"a bool equals", `"property": "admin", "op": "equals", "value": {"property": "owner"}`, `"admin": false, "owner": false`, true},
		{"a bool not_equals", `"property": "admin", "op": "not_equals", "value": {"property": "owner"}`, `"admin": true, "owner": false`, true},
		{"a bool with what is none", `"property": "admin", "op": "not_equals", "value": {"property": "owner"}`, `"admin": true, "owner": "no"`, false},
		{"an enum equals", `"property": "city", "op": "equals", "value": {"property": "town"}`, `"city": "Paris", "town": "Paris"`, true},
		{"an enum in another case", `"property": "city", "op": "equals", "value": {"property": "town"}`, `"city": "Paris", "town": "paris"`, false},
		{"a user not_equals", `"property": "boss", "op": "not_equals", "value": {"property": "mate"}`, `"boss": "u_1", "mate": "u_2"`, true},
		{"a user with what is none", `"property": "boss", "op": "not_equals", "value": {"property": "mate"}`, `"boss": "u_1", "mate": 7`, false},
		{"a date before", hired + `"before"`, `"hired": "2027-01-04", "left": "2027-01-05"`, true},
		{"a date is not before itself", hired + `"before"`, `"hired": "2027-01-04", "left": "2027-01-04"`, false},
		{"a date on", hired + `"on"`, `"hired": "2027-01-04", "left": "2027-01-04"`, true},
		{"a date after", hired + `"after"`, `"hired": "2027-01-05", "left": "2027-01-04"`, true},
		{"a date with what is none", hired + `"before"`, `"hired": "2027-01-04", "left": "soon"`, false},
		{"a date with an instant", hired + `"before"`, `"hired": "2027-01-04", "left": "2027-02-04T00:00:00Z"`, false},
		{"an instant before", `"property": "seen_at", "op": "before", "value": {"property": "due_at"}`, `"seen_at": "2027-01-04T09:00:00Z", "due_at": "2027-01-04T10:00:00.000001+01:00"`, true},
		{"an instant on itself", `"property": "seen_at", "op": "on", "value": {"property": "due_at"}`, `"seen_at": "2027-01-04T09:00:00Z", "due_at": "2027-01-04T10:00:00+01:00"`, true},
		{"between a property and a date", `"property": "hired", "op": "between", "value": [{"property": "left"}, "2027-02-01"]`, `"hired": "2027-01-04", "left": "2027-01-04"`, true},
		{"between properties the wrong way round", `"property": "hired", "op": "between", "value": [{"property": "left"}, {"property": "hired"}]`, `"hired": "2027-01-04", "left": "2027-01-05"`, false},
		{"not_between properties the wrong way round", `"property": "hired", "op": "not_between", "value": [{"property": "left"}, {"property": "hired"}]`, `"hired": "2027-01-04", "left": "2027-01-05"`, true},
	})
}

func TestAnOtherPropertyThatIsEmptyAnswersWhatIfEmptySays(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{
		`"property": "desks", "op": "at_least", "value": {"property": "rooms"}`,
		`"property": "desks", "op": "not_equals", "value": {"property": "rooms"}`,
		`"property": "admin", "op": "equals", "value": {"property": "owner"}`,
		`"property": "city", "op": "equals", "value": {"property": "town"}`,
		`"property": "hired", "op": "before", "value": {"property": "left"}`,
		`"property": "hired", "op": "not_between", "value": ["2027-01-01", {"property": "left"}]`,
		`"property": "seen_at", "op": "after", "value": {"property": "due_at"}`,
	} {
		for _, other := range []string{``, `, "rooms": null, "owner": null, "town": null, "left": null, "due_at": null`, `, "rooms": "", "owner": "", "town": "", "left": "", "due_at": ""`} {
			t.Run(condition+other, func(t *testing.T) {
				t.Parallel()
				u := subject(t, `{"desks": 1, "admin": true, "city": "Paris", "hired": "2027-01-04", "seen_at": "2027-01-04T09:00:00Z"`+other+`}`)
				require.False(t, compile(t, `{`+condition+`}`, scope()).Match(u))
				require.True(t, compile(t, `{`+condition+`, "if_empty": true}`, scope()).Match(u))
			})
		}
	}
}

func TestMatchAnniversaries(t *testing.T) {
	t.Parallel()
	const hired = `"property": "hired", "of": "anniversary", `
	askAt(t, in(t, "Europe/Warsaw"), "2027-12-28T12:00:00Z", []question{
		{"on the day", hired + `"op": "on", "value": "2027-03-01"`, `"hired": "2019-03-01"`, true},
		{"on another day", hired + `"op": "on", "value": "2027-03-01"`, `"hired": "2019-03-02"`, false},
		{"on the day itself", hired + `"op": "on", "value": "2027-03-01"`, `"hired": "2027-03-01"`, true},
		{"on the day before the first one", hired + `"op": "on", "value": "2027-03-01"`, `"hired": "2031-03-01"`, true},
		{"on this day", hired + `"op": "on", "value": "now/d"`, `"hired": "1999-12-28"`, true},
		{"on this week", hired + `"op": "on", "value": "now/w"`, `"hired": "1999-01-02"`, true},
		{"on this month", hired + `"op": "on", "value": "now/M"`, `"hired": "1999-01-01"`, false},
		{"on 28 February of a year without 29", hired + `"op": "on", "value": "2027-02-28"`, `"hired": "2024-02-29"`, true},
		{"not on 1 March of a year without 29", hired + `"op": "on", "value": "2027-03-01"`, `"hired": "2024-02-29"`, false},
		{"on 29 February of a leap year", hired + `"op": "on", "value": "2028-02-29"`, `"hired": "2024-02-29"`, true},
		{"not on 28 February of a leap year", hired + `"op": "on", "value": "2028-02-28"`, `"hired": "2024-02-29"`, false},
		{"a 28 February stays one", hired + `"op": "on", "value": "2028-02-29"`, `"hired": "2023-02-28"`, false},
		{"between has its first day", hired + `"op": "between", "value": ["now/d", "now/d+7d"]`, `"hired": "2019-12-28"`, true},
		{"between over new year", hired + `"op": "between", "value": ["now/d", "now/d+7d"]`, `"hired": "2019-01-04"`, true},
		{"between over new year ends", hired + `"op": "between", "value": ["now/d", "now/d+7d"]`, `"hired": "2019-01-05"`, false},
		{"between over new year begins", hired + `"op": "between", "value": ["now/d", "now/d+7d"]`, `"hired": "2019-12-27"`, false},
		{"not_between over new year", hired + `"op": "not_between", "value": ["now/d", "now/d+7d"]`, `"hired": "2019-12-27"`, true},
		{"not_between inside", hired + `"op": "not_between", "value": ["now/d", "now/d+7d"]`, `"hired": "2019-01-01"`, false},
		{"between more than a year has every day", hired + `"op": "between", "value": ["2025-05-01", "2027-04-30"]`, `"hired": "2019-07-07"`, true},
		{"between fixed days over new year", hired + `"op": "between", "value": ["2026-12-20", "2027-01-05"]`, `"hired": "1990-01-05"`, true},
		{"an instant for a date", hired + `"op": "on", "value": "2027-03-01"`, `"hired": "2019-03-01T00:00:00Z"`, false},
		{"none is unknown", hired + `"op": "unknown"`, ``, true},
		{"one is known", hired + `"op": "known"`, `"hired": "2019-03-01"`, true},
		{"none answers what if_empty says", hired + `"op": "on", "value": "now/d", "if_empty": true`, ``, true},
	})
}

func TestDatesAreReadInTheNearestZone(t *testing.T) {
	t.Parallel()
	// 22:30 of the fourth in UTC, 23:30 in Warsaw; the fifth in Kathmandu, 14:30 in Los Angeles.
	const user = `{"seen_at": "2027-01-04T22:30:00Z", "time_zone": "America/Los_Angeles"}`
	const fourth, fifth = `"property": "seen_at", "op": "on", "value": "2027-01-04"`, `"property": "seen_at", "op": "on", "value": "2027-01-05"`
	for _, tt := range []struct{ name, zone, tree string }{
		{"UTC where nobody says", "", `{` + fourth + `}`},
		{"the scope's", "Asia/Kathmandu", `{` + fifth + `}`},
		{"the scope's, which is the user's", "user", `{` + fourth + `}`},
		{"the group's", "", `{"time_zone": "Asia/Kathmandu", "all": [{` + fifth + `}]}`},
		{"the outer group's", "", `{"time_zone": "Asia/Kathmandu", "all": [{"any": [{"not": {"not": {` + fifth + `}}}]}]}`},
		{"the inner group's", "Asia/Kathmandu", `{"time_zone": "Asia/Kathmandu", "all": [{"time_zone": "UTC", "any": [{` + fourth + `}]}]}`},
		{"that of a not", "", `{"time_zone": "Asia/Kathmandu", "not": {` + fourth + `}}`},
		{"the condition's", "Europe/Warsaw", `{"time_zone": "Europe/Warsaw", "all": [{` + fifth + `, "time_zone": "Asia/Kathmandu"}, {` + fourth + `}]}`},
		{"the user's by the group", "Asia/Kathmandu", `{"time_zone": "user", "all": [{` + fourth + `}]}`},
		{"the user's by the condition", "Asia/Kathmandu", `{` + fourth + `, "time_zone": "user"}`},
		{"one inside the user's", "user", `{"time_zone": "Asia/Kathmandu", "all": [{` + fifth + `}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.True(t, compile(t, tt.tree, in(t, tt.zone)).Match(subject(t, user)))
		})
	}
}

func TestEachUserHasADayOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"property": "hired", "op": "on", "value": "now/d"}`, in(t, "user"))
	for zone, date := range map[string]string{
		`"Pacific/Kiritimati"`: "2027-01-05", `"Europe/Warsaw"`: "2027-01-04", `"Pacific/Pago_Pago"`: "2027-01-03", `null`: "2027-01-04",
		`"Mars/Olympus"`: "2027-01-04",
	} {
		u := asked(t, `{"hired": "`+date+`", "time_zone": `+zone+`}`, "2027-01-04T10:30:00Z")
		require.True(t, f.Match(u), zone)
	}
}

func TestNowIsReadToTheMicrosecond(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"property": "seen_at", "op": "before", "value": "now"}`, scope())
	u := asked(t, `{"seen_at": "2027-01-04T09:00:00Z"}`, "2027-01-04T09:00:00.000000999Z")
	require.False(t, f.Match(u))
	holds, _ := f.Trace(u)
	require.False(t, holds)
	u.Now = instant(t, "2027-01-04T09:00:00.000001Z")
	require.True(t, f.Match(u))
}
