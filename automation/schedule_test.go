package automation_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/strictjson"
)

// judged reads a schedule that stands at /schedule of a document, and returns all that is wrong with
// its shape or, where that is right, with its meaning.
func judged(t *testing.T, text string) (automation.Schedule, strictjson.Problems) {
	t.Helper()
	v, err := strictjson.Parse([]byte(text))
	require.NoError(t, err)
	var s automation.Schedule
	var problems strictjson.Problems
	if strictjson.Decode(v, "/schedule", &s, &problems); len(problems) > 0 {
		return s, problems
	}
	s.Validate("/schedule", &problems, automation.Properties{
		"hire_date":  {Name: "hire_date", Type: filter.Date},
		"created_at": {Name: "created_at", Type: filter.Datetime},
	})
	return s, problems
}

func schedule(t *testing.T, text string) automation.Schedule {
	t.Helper()
	s, problems := judged(t, text)
	require.Empty(t, problems)
	return s
}

func TestSchedulesInWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ schedule, want string }{
		{`{"every": "day", "at": "09:00"}`, "every day at 09:00"},
		{`{"every": "week", "on": ["monday"], "at": "09:00"}`, "every week on Monday at 09:00"},
		{`{"every": "week", "on": ["monday", "thursday"], "at": "09:00"}`, "every week on Monday and Thursday at 09:00"},
		{`{"every": "month", "on": [1, "last", "first monday", "last friday"], "at": "00:00"}`, "every month on day 1, the last day, the first Monday and the last Friday at 00:00"},
		{`{"every": "year", "on": ["01-16", "02-29"], "at": "09:00"}`, "every year on 16 January and 29 February (28 February in other years) at 09:00"},
		{`{"every": "year", "on": ["02-29"], "at": "09:00", "skip_missing": true}`, "every year on 29 February (leap years only) at 09:00"},
		{`{"once": "2027-01-04", "at": "09:00", "time_zone": "Europe/Warsaw"}`, "once on 4 January 2027 at 09:00 (Europe/Warsaw)"},
		{`{"property": "hire_date", "at": "09:00"}`, "on hire_date at 09:00"},
		{`{"property": "hire_date", "yearly": true, "offset": "-7d", "at": "09:00"}`, "every year 7 days before hire_date at 09:00"},
		{`{"property": "hire_date", "offset": "1d", "at": "09:00"}`, "1 day after hire_date at 09:00"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, schedule(t, tt.schedule).String())
		})
	}
	require.Equal(t, "every month on 32 at 9", automation.Schedule{Every: automation.EveryMonth, On: []automation.ScheduleDay{"32"}, At: "9"}.String())
	require.Equal(t, "once on soon at ", automation.Schedule{Once: "soon"}.String())
}

func TestScheduleNormalForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, schedule, want string }{
		{"members in one order", `{"at": "09:00", "on": ["monday"], "every": "week"}`, `{"every":"week","on":["monday"],"at":"09:00"}`},
		{"days of the month are numbers", `{"every": "month", "on": [1, "15", "last", "first monday"], "at": "09:00"}`, `{"every":"month","on":[1,15,"last","first monday"],"at":"09:00"}`},
		{"no offset", `{"property": "hire_date", "offset": "0d", "yearly": false, "at": "09:00"}`, `{"property":"hire_date","at":"09:00"}`},
		{"an offset of the number 0", `{"property": "hire_date", "offset": 0, "at": "09:00"}`, `{"property":"hire_date","at":"09:00"}`},
		{"an offset with a plus", `{"property": "hire_date", "offset": "+07d", "at": "09:00"}`, `{"property":"hire_date","offset":"7d","at":"09:00"}`},
		{
			"everything a property takes", `{"property": "hire_date", "yearly": true, "offset": "-7d", "at": "09:00", "time_zone": "Europe/Warsaw", "skip_missing": true}`,
			`{"property":"hire_date","yearly":true,"offset":"-7d","at":"09:00","time_zone":"Europe/Warsaw","skip_missing":true}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(schedule(t, tt.schedule))
			require.NoError(t, err)
			require.Equal(t, tt.want, string(text))
		})
	}
}

func TestStoredSchedulesOfOddTypes(t *testing.T) {
	t.Parallel()
	var s automation.Schedule
	require.Error(t, json.Unmarshal([]byte(`{"on": [true]}`), &s))
	require.Error(t, json.Unmarshal([]byte(`{"offset": "soon"}`), &s))
	require.NoError(t, json.Unmarshal([]byte(`{"offset": "0"}`), &s))
}

func TestScheduleProblems(t *testing.T) {
	t.Parallel()
	const (
		oneOf     = `a schedule has exactly one of "every", "once" and "property"`
		clock     = `a schedule has an "at", a time from 00:00 to 23:59 such as 09:00`
		dayType   = "a day must be a text or a whole number"
		offset    = "an offset is a number of whole days such as -7d, at most 366"
		monthDays = `a day of a month is a number from 1 to 31, last, or such as "first monday", "fourth friday" and "last sunday"`
		yearDays  = `a day of a year is its month and day, such as "01-16"`
	)
	for _, tt := range []struct{ name, schedule, pointer, code, message string }{
		{"nothing to fire on", `{"at": "09:00"}`, "", "schedule-invalid", oneOf},
		{"two kinds", `{"every": "day", "once": "2027-01-04", "at": "09:00"}`, "", "schedule-invalid", oneOf},
		{"two other kinds", `{"once": "2027-01-04", "property": "hire_date", "at": "09:00"}`, "", "schedule-invalid", oneOf},
		{"a period below a day", `{"every": "hour", "at": "09:00"}`, "/every", "schedule-invalid", `must be day, week, month or year, is "hour"`},
		{"a period in capitals", `{"every": "Day", "at": "09:00"}`, "/every", "schedule-invalid", `must be day, week, month or year, is "Day"`},
		{"a period that is a number", `{"every": 1, "at": "09:00"}`, "/every", "wrong-type", "must be a text, is a number"},
		{"a member that is none", `{"every": "day", "cron": "* * * * *", "at": "09:00"}`, "/cron", "unknown-field", `unknown field "cron"; known are at, every, offset, on, once, property, skip_missing, time_zone, yearly`},

		{"no time", `{"every": "day"}`, "/at", "invalid-time", clock},
		{"seconds", `{"every": "day", "at": "09:00:00"}`, "/at", "invalid-time", clock},
		{"an hour of one digit", `{"every": "day", "at": "9:00"}`, "/at", "invalid-time", clock},
		{"an hour after noon", `{"every": "day", "at": "09:00 PM"}`, "/at", "invalid-time", clock},
		{"the end of the day", `{"every": "day", "at": "24:00"}`, "/at", "invalid-time", clock},
		{"minute 60", `{"every": "day", "at": "09:60"}`, "/at", "invalid-time", clock},
		{"a line break", `{"every": "day", "at": "09:00\n"}`, "/at", "invalid-time", clock},

		{"a zone that is none", `{"every": "day", "at": "09:00", "time_zone": "Mars/Olympus"}`, "/time_zone", "unknown-time-zone", `there is no time zone "Mars/Olympus"; use a name such as Europe/Warsaw`},
		{"the zone of each user", `{"every": "day", "at": "09:00", "time_zone": "user"}`, "/time_zone", "unknown-time-zone", `there is no time zone "user"; use a name such as Europe/Warsaw`},

		{"a week without days", `{"every": "week", "at": "09:00"}`, "/on", "schedule-invalid", `every week has an "on", a list of days`},
		{"a month without days", `{"every": "month", "on": [], "at": "09:00"}`, "/on", "schedule-invalid", `every month has an "on", a list of days`},
		{"a year without days", `{"every": "year", "on": null, "at": "09:00"}`, "/on", "schedule-invalid", `every year has an "on", a list of days`},
		{"days of a day", `{"every": "day", "on": ["monday"], "at": "09:00"}`, "/on", "schedule-invalid", `only every week, month and year has an "on"`},
		{"days of a date", `{"once": "2027-01-04", "on": [], "at": "09:00"}`, "/on", "schedule-invalid", `only every week, month and year has an "on"`},
		{"days of a property", `{"property": "hire_date", "on": [1], "at": "09:00"}`, "/on", "schedule-invalid", `only every week, month and year has an "on"`},

		{"a weekday cut short", `{"every": "week", "on": ["monday", "thu"], "at": "09:00"}`, "/on/1", "unknown-weekday", `there is no weekday "thu"; they are monday to sunday`},
		{"a weekday in capitals", `{"every": "week", "on": ["Monday"], "at": "09:00"}`, "/on/0", "unknown-weekday", `there is no weekday "Monday"; they are monday to sunday`},
		{"a number for a weekday", `{"every": "week", "on": [1], "at": "09:00"}`, "/on/0", "unknown-weekday", `there is no weekday "1"; they are monday to sunday`},
		{"a weekday twice", `{"every": "week", "on": ["monday", "friday", "monday"], "at": "09:00"}`, "/on/2", "duplicate-day", "Monday is also that at /schedule/on/0"},
		{"a day without a value", `{"every": "week", "on": [null], "at": "09:00"}`, "/on/0", "unknown-weekday", `there is no weekday ""; they are monday to sunday`},

		{"day 0", `{"every": "month", "on": [0], "at": "09:00"}`, "/on/0", "day-out-of-range", "a month has no day 0"},
		{"day 32", `{"every": "month", "on": [31, 32], "at": "09:00"}`, "/on/1", "day-out-of-range", "a month has no day 32"},
		{"a day from the end", `{"every": "month", "on": [-1], "at": "09:00"}`, "/on/0", "day-out-of-range", "a month has no day -1"},
		{"a day with a nought", `{"every": "month", "on": ["01"], "at": "09:00"}`, "/on/0", "invalid-day", monthDays},
		{"an ordinal of none", `{"every": "month", "on": ["fifth monday"], "at": "09:00"}`, "/on/0", "invalid-day", monthDays},
		{"an ordinal alone", `{"every": "month", "on": ["first"], "at": "09:00"}`, "/on/0", "unknown-weekday", `there is no weekday ""; they are monday to sunday`},
		{"two spaces", `{"every": "month", "on": ["first  monday"], "at": "09:00"}`, "/on/0", "unknown-weekday", `there is no weekday " monday"; they are monday to sunday`},
		{"a weekday of each week", `{"every": "month", "on": ["monday"], "at": "09:00"}`, "/on/0", "invalid-day", monthDays},
		{"a number and its text", `{"every": "month", "on": [1, "1"], "at": "09:00"}`, "/on/1", "duplicate-day", "day 1 is also that at /schedule/on/0"},
		{"an ordinal twice", `{"every": "month", "on": ["last friday", "last friday"], "at": "09:00"}`, "/on/1", "duplicate-day", "the last Friday is also that at /schedule/on/0"},

		{"a month without a day", `{"every": "year", "on": ["01"], "at": "09:00"}`, "/on/0", "invalid-day", yearDays},
		{"a day of one digit", `{"every": "year", "on": ["1-16"], "at": "09:00"}`, "/on/0", "invalid-day", yearDays},
		{"a date", `{"every": "year", "on": ["2027-01-16"], "at": "09:00"}`, "/on/0", "invalid-day", yearDays},
		{"month 13", `{"every": "year", "on": ["13-01"], "at": "09:00"}`, "/on/0", "day-out-of-range", "no year has the day 13-01"},
		{"30 February", `{"every": "year", "on": ["02-29", "02-30"], "at": "09:00"}`, "/on/1", "day-out-of-range", "no year has the day 02-30"},
		{"a day of the year twice", `{"every": "year", "on": ["01-16", "01-16"], "at": "09:00"}`, "/on/1", "duplicate-day", "16 January is also that at /schedule/on/0"},

		{"half a day", `{"every": "month", "on": ["last", 1.5], "at": "09:00"}`, "/on/1", "wrong-type", dayType},
		{"a day beyond all numbers", `{"every": "month", "on": ["last", 1e300], "at": "09:00"}`, "/on/1", "wrong-type", dayType},
		{"a list for a day", `{"every": "month", "on": ["last", ["last"]], "at": "09:00"}`, "/on/1", "wrong-type", dayType + ", is a list"},

		{"no date", `{"once": "tomorrow", "at": "09:00"}`, "/once", "invalid-date", "must be a date such as 2027-01-04"},
		{"a date that does not exist", `{"once": "2027-02-29", "at": "09:00"}`, "/once", "invalid-date", "must be a date such as 2027-01-04"},
		{"a date with a time", `{"once": "2027-01-04T09:00", "at": "09:00"}`, "/once", "invalid-date", "must be a date such as 2027-01-04"},

		{"a property that is none", `{"property": "hired", "at": "09:00"}`, "/property", "unknown-property", `there is no property "hired"`},
		{"an instant", `{"property": "created_at", "at": "09:00"}`, "/property", "wrong-type", `the property "created_at" must be a date, is of type datetime`},
		{"an offset of hours", `{"property": "hire_date", "offset": "-12h", "at": "09:00"}`, "/offset", "offset-out-of-range", offset},
		{"an offset of days and hours", `{"property": "hire_date", "offset": "1d12h", "at": "09:00"}`, "/offset", "offset-out-of-range", offset},
		{"an offset without a unit", `{"property": "hire_date", "offset": -7, "at": "09:00"}`, "/offset", "offset-out-of-range", offset},
		{"an offset of 367 days", `{"property": "hire_date", "offset": "367d", "at": "09:00"}`, "/offset", "offset-out-of-range", offset},
		{"an offset of 367 days before", `{"property": "hire_date", "offset": "-367d", "at": "09:00"}`, "/offset", "offset-out-of-range", offset},
		{"an offset beyond all numbers", `{"property": "hire_date", "offset": "99999999999999999999d", "at": "09:00"}`, "/offset", "offset-out-of-range", offset},

		{"an offset of no property", `{"every": "day", "offset": "1d", "at": "09:00"}`, "/offset", "schedule-invalid", `only a property has an "offset"`},
		{"yearly without a property", `{"once": "2027-01-04", "yearly": true, "at": "09:00"}`, "/yearly", "schedule-invalid", `only a property is "yearly"; use every: year for a date of your own`},
		{"nothing that could be missing", `{"every": "month", "on": [31], "skip_missing": true, "at": "09:00"}`, "/skip_missing", "schedule-invalid", `only what comes every year has a "skip_missing"`},
		{"nothing that could be missing on a date", `{"property": "hire_date", "skip_missing": true, "at": "09:00"}`, "/skip_missing", "schedule-invalid", `only what comes every year has a "skip_missing"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := judged(t, tt.schedule)
			require.Equal(t, strictjson.Problems{{Pointer: "/schedule" + tt.pointer, Code: tt.code, Message: tt.message}}, problems)
		})
	}
}

func TestAllProblemsOfAScheduleAreReported(t *testing.T) {
	t.Parallel()
	_, problems := judged(t, `{"every": "month", "on": [0, "last", "first funday", "last"], "offset": "1d", "yearly": true, "skip_missing": true, "at": "9", "time_zone": "x"}`)
	var places []string
	for _, p := range problems {
		places = append(places, p.Pointer+" "+p.Code)
	}
	require.Equal(t, []string{
		"/schedule/at invalid-time", "/schedule/time_zone unknown-time-zone", "/schedule/on/0 day-out-of-range",
		"/schedule/on/2 unknown-weekday", "/schedule/on/3 duplicate-day", "/schedule/yearly schedule-invalid",
		"/schedule/offset schedule-invalid", "/schedule/skip_missing schedule-invalid",
	}, places)
}

func TestAScheduleOfTooManyDays(t *testing.T) {
	t.Parallel()
	s := automation.Schedule{Every: automation.EveryYear, At: "09:00", On: make([]automation.ScheduleDay, 367)}
	var problems strictjson.Problems
	s.Validate("", &problems, nil)
	require.Equal(t, strictjson.Problems{{Pointer: "/on", Code: "schedule-invalid", Message: `an "on" has at most 366 days`}}, problems)
}
