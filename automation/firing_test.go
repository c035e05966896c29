package automation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

// shown writes firings as "nominal time = instant".
func shown(firings []automation.Firing) []string {
	texts := []string{}
	for _, f := range firings {
		texts = append(texts, f.Nominal+" = "+f.At.Format(time.RFC3339))
	}
	return texts
}

func TestEachFormFires(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, schedule, after string
		want                  []string // the first firings in Warsaw; fewer than five where there are no more
	}{
		{"every day", `{"every": "day", "at": "09:00"}`, "2027-01-04T08:00:00Z", []string{
			"2027-01-05T09:00 = 2027-01-05T08:00:00Z", "2027-01-06T09:00 = 2027-01-06T08:00:00Z", "2027-01-07T09:00 = 2027-01-07T08:00:00Z",
			"2027-01-08T09:00 = 2027-01-08T08:00:00Z", "2027-01-09T09:00 = 2027-01-09T08:00:00Z",
		}},
		{"every day, a moment before", `{"every": "day", "at": "23:59"}`, "2027-12-31T22:58:59Z", []string{
			"2027-12-31T23:59 = 2027-12-31T22:59:00Z", "2028-01-01T23:59 = 2028-01-01T22:59:00Z", "2028-01-02T23:59 = 2028-01-02T22:59:00Z",
			"2028-01-03T23:59 = 2028-01-03T22:59:00Z", "2028-01-04T23:59 = 2028-01-04T22:59:00Z",
		}},
		{"every week", `{"every": "week", "on": ["thursday", "monday"], "at": "09:00"}`, "2027-01-01T00:00:00Z", []string{
			"2027-01-04T09:00 = 2027-01-04T08:00:00Z", "2027-01-07T09:00 = 2027-01-07T08:00:00Z", "2027-01-11T09:00 = 2027-01-11T08:00:00Z",
			"2027-01-14T09:00 = 2027-01-14T08:00:00Z", "2027-01-18T09:00 = 2027-01-18T08:00:00Z",
		}},
		{"every month on days", `{"every": "month", "on": [1, 15], "at": "09:00"}`, "2027-03-14T00:00:00Z", []string{
			"2027-03-15T09:00 = 2027-03-15T08:00:00Z", "2027-04-01T09:00 = 2027-04-01T07:00:00Z", "2027-04-15T09:00 = 2027-04-15T07:00:00Z",
			"2027-05-01T09:00 = 2027-05-01T07:00:00Z", "2027-05-15T09:00 = 2027-05-15T07:00:00Z",
		}},
		{"every month on day 31, which the shorter ones leave out", `{"every": "month", "on": [31], "at": "09:00"}`, "2027-01-01T00:00:00Z", []string{
			"2027-01-31T09:00 = 2027-01-31T08:00:00Z", "2027-03-31T09:00 = 2027-03-31T07:00:00Z", "2027-05-31T09:00 = 2027-05-31T07:00:00Z",
			"2027-07-31T09:00 = 2027-07-31T07:00:00Z", "2027-08-31T09:00 = 2027-08-31T07:00:00Z",
		}},
		{"every month on the last day", `{"every": "month", "on": ["last"], "at": "00:00"}`, "2028-01-31T00:00:00Z", []string{
			"2028-02-29T00:00 = 2028-02-28T23:00:00Z", "2028-03-31T00:00 = 2028-03-30T22:00:00Z", "2028-04-30T00:00 = 2028-04-29T22:00:00Z",
			"2028-05-31T00:00 = 2028-05-30T22:00:00Z", "2028-06-30T00:00 = 2028-06-29T22:00:00Z",
		}},
		{"every month on the last day and day 28, which are one day in February", `{"every": "month", "on": ["last", 28], "at": "09:00"}`, "2027-01-29T00:00:00Z", []string{
			"2027-01-31T09:00 = 2027-01-31T08:00:00Z", "2027-02-28T09:00 = 2027-02-28T08:00:00Z", "2027-03-28T09:00 = 2027-03-28T07:00:00Z",
			"2027-03-31T09:00 = 2027-03-31T07:00:00Z", "2027-04-28T09:00 = 2027-04-28T07:00:00Z",
		}},
		{"every month on the first Monday and the last Friday", `{"every": "month", "on": ["first monday", "last friday"], "at": "09:00"}`, "2027-01-01T00:00:00Z", []string{
			"2027-01-04T09:00 = 2027-01-04T08:00:00Z", "2027-01-29T09:00 = 2027-01-29T08:00:00Z", "2027-02-01T09:00 = 2027-02-01T08:00:00Z",
			"2027-02-26T09:00 = 2027-02-26T08:00:00Z", "2027-03-01T09:00 = 2027-03-01T08:00:00Z",
		}},
		{"every month on the last of five Sundays", `{"every": "month", "on": ["last sunday"], "at": "09:00"}`, "2027-01-20T00:00:00Z", []string{
			"2027-01-31T09:00 = 2027-01-31T08:00:00Z", "2027-02-28T09:00 = 2027-02-28T08:00:00Z", "2027-03-28T09:00 = 2027-03-28T07:00:00Z",
			"2027-04-25T09:00 = 2027-04-25T07:00:00Z", "2027-05-30T09:00 = 2027-05-30T07:00:00Z",
		}},
		{"every month on the second, third and fourth of weekdays", `{"every": "month", "on": ["second tuesday", "third thursday", "fourth sunday"], "at": "09:00"}`, "2027-01-01T00:00:00Z", []string{
			"2027-01-12T09:00 = 2027-01-12T08:00:00Z", "2027-01-21T09:00 = 2027-01-21T08:00:00Z", "2027-01-24T09:00 = 2027-01-24T08:00:00Z",
			"2027-02-09T09:00 = 2027-02-09T08:00:00Z", "2027-02-18T09:00 = 2027-02-18T08:00:00Z",
		}},
		{"every year", `{"every": "year", "on": ["01-16", "07-01"], "at": "09:00"}`, "2027-01-16T08:00:00Z", []string{
			"2027-07-01T09:00 = 2027-07-01T07:00:00Z", "2028-01-16T09:00 = 2028-01-16T08:00:00Z", "2028-07-01T09:00 = 2028-07-01T07:00:00Z",
			"2029-01-16T09:00 = 2029-01-16T08:00:00Z", "2029-07-01T09:00 = 2029-07-01T07:00:00Z",
		}},
		{"every year on 29 February, on the 28th in other years", `{"every": "year", "on": ["02-29"], "at": "09:00"}`, "2027-01-01T00:00:00Z", []string{
			"2027-02-28T09:00 = 2027-02-28T08:00:00Z", "2028-02-29T09:00 = 2028-02-29T08:00:00Z", "2029-02-28T09:00 = 2029-02-28T08:00:00Z",
			"2030-02-28T09:00 = 2030-02-28T08:00:00Z", "2031-02-28T09:00 = 2031-02-28T08:00:00Z",
		}},
		{"every year on 28 and 29 February", `{"every": "year", "on": ["02-28", "02-29"], "at": "09:00"}`, "2027-01-01T00:00:00Z", []string{
			"2027-02-28T09:00 = 2027-02-28T08:00:00Z", "2028-02-28T09:00 = 2028-02-28T08:00:00Z", "2028-02-29T09:00 = 2028-02-29T08:00:00Z",
			"2029-02-28T09:00 = 2029-02-28T08:00:00Z", "2030-02-28T09:00 = 2030-02-28T08:00:00Z",
		}},
		{"every year on 29 February, in leap years only", `{"every": "year", "on": ["02-29"], "at": "09:00", "skip_missing": true}`, "2095-01-01T00:00:00Z", []string{
			"2096-02-29T09:00 = 2096-02-29T08:00:00Z", "2104-02-29T09:00 = 2104-02-29T08:00:00Z", "2108-02-29T09:00 = 2108-02-29T08:00:00Z",
			"2112-02-29T09:00 = 2112-02-29T08:00:00Z", "2116-02-29T09:00 = 2116-02-29T08:00:00Z",
		}},
		{"once", `{"once": "2087-07-04", "at": "09:00"}`, "2027-01-01T00:00:00Z", []string{"2087-07-04T09:00 = 2087-07-04T07:00:00Z"}},
		{"once, on that day", `{"once": "2027-01-04", "at": "09:00"}`, "2027-01-04T07:59:59.999999999Z", []string{"2027-01-04T09:00 = 2027-01-04T08:00:00Z"}},
		{"once, and it is over", `{"once": "2027-01-04", "at": "09:00"}`, "2027-01-04T08:00:00Z", []string{}},
		{"the days of a property", `{"property": "hire_date", "at": "09:00"}`, "2027-01-04T00:00:00Z", []string{
			"2027-01-04T09:00 = 2027-01-04T08:00:00Z", "2027-01-05T09:00 = 2027-01-05T08:00:00Z", "2027-01-06T09:00 = 2027-01-06T08:00:00Z",
			"2027-01-07T09:00 = 2027-01-07T08:00:00Z", "2027-01-08T09:00 = 2027-01-08T08:00:00Z",
		}},
		{"in a zone of its own", `{"every": "week", "on": ["monday"], "at": "09:00", "time_zone": "Asia/Tokyo"}`, "2027-01-04T00:00:00Z", []string{
			"2027-01-11T09:00 = 2027-01-11T00:00:00Z", "2027-01-18T09:00 = 2027-01-18T00:00:00Z", "2027-01-25T09:00 = 2027-01-25T00:00:00Z",
			"2027-02-01T09:00 = 2027-02-01T00:00:00Z", "2027-02-08T09:00 = 2027-02-08T00:00:00Z",
		}},
		{"up to the year 9999", `{"every": "day", "at": "09:00"}`, "9999-12-30T00:00:00Z", []string{
			"9999-12-30T09:00 = 9999-12-30T08:00:00Z", "9999-12-31T09:00 = 9999-12-31T08:00:00Z",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, after, warsaw := schedule(t, tt.schedule), instant(t, tt.after), zone(t, "Europe/Warsaw")
			require.Equal(t, tt.want, shown(s.Upcoming(after, warsaw, 5)))
			next, ok := s.Next(after, warsaw)
			require.Equal(t, len(tt.want) > 0, ok)
			if ok {
				require.Equal(t, tt.want[:1], shown([]automation.Firing{next}))
			}
		})
	}
}

func TestChangesOfTheClocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, zone, at, from, until string
		want                        []string // the firings of every day at that time, after from and until until
	}{
		{"a time left out fires after the gap", "Europe/Warsaw", "02:30", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", []string{
			"2026-03-29T02:30 = 2026-03-29T01:00:00Z", "2026-03-30T02:30 = 2026-03-30T00:30:00Z",
		}},
		{"the first minute of a gap", "Europe/Warsaw", "02:00", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", []string{"2026-03-29T02:00 = 2026-03-29T01:00:00Z"}},
		{"the minute before a gap", "Europe/Warsaw", "01:59", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", []string{"2026-03-29T01:59 = 2026-03-29T00:59:00Z"}},
		{"the first minute after a gap", "Europe/Warsaw", "03:00", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", []string{"2026-03-29T03:00 = 2026-03-29T01:00:00Z"}},
		{"a time shown twice fires the first time", "Europe/Warsaw", "02:30", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", []string{
			"2026-10-25T02:30 = 2026-10-25T00:30:00Z", "2026-10-26T02:30 = 2026-10-26T01:30:00Z",
		}},
		{"between its two times nothing is to come on that day", "Europe/Warsaw", "02:30", "2026-10-25T00:30:00Z", "2026-10-26T00:00:00Z", []string{}},
		{"a gap in New York", "America/New_York", "02:30", "2026-03-07T12:00:00Z", "2026-03-08T12:00:00Z", []string{"2026-03-08T02:30 = 2026-03-08T07:00:00Z"}},
		{"a fold in New York", "America/New_York", "01:30", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z", []string{
			"2026-11-01T01:30 = 2026-11-01T05:30:00Z", "2026-11-02T01:30 = 2026-11-02T06:30:00Z",
		}},
		{"a gap of half an hour", "Australia/Lord_Howe", "02:15", "2025-10-04T00:00:00Z", "2025-10-05T12:00:00Z", []string{
			"2025-10-05T02:15 = 2025-10-04T15:30:00Z",
		}},
		{"the time after a gap of half an hour", "Australia/Lord_Howe", "02:45", "2025-10-04T00:00:00Z", "2025-10-05T12:00:00Z", []string{
			"2025-10-05T02:45 = 2025-10-04T15:45:00Z",
		}},
		{"a fold of half an hour", "Australia/Lord_Howe", "01:45", "2025-04-05T00:00:00Z", "2025-04-06T12:00:00Z", []string{
			"2025-04-06T01:45 = 2025-04-05T14:45:00Z",
		}},
		{"a gap of a minute past midnight", "America/St_Johns", "00:30", "2006-04-01T12:00:00Z", "2006-04-02T12:00:00Z", []string{
			"2006-04-02T00:30 = 2006-04-02T03:31:00Z",
		}},
		{"midnight that is shown twice, a minute before the fold", "America/St_Johns", "00:00", "2006-10-28T12:00:00Z", "2006-10-30T12:00:00Z", []string{
			"2006-10-29T00:00 = 2006-10-29T02:30:00Z", "2006-10-30T00:00 = 2006-10-30T03:30:00Z",
		}},
		{"a fold back into the day before", "America/St_Johns", "23:30", "2006-10-28T12:00:00Z", "2006-10-30T12:00:00Z", []string{
			"2006-10-28T23:30 = 2006-10-29T02:00:00Z", "2006-10-29T23:30 = 2006-10-30T03:00:00Z",
		}},
		{"a midnight that Beirut leaves out", "Asia/Beirut", "00:00", "2024-03-30T12:00:00Z", "2024-03-31T22:00:00Z", []string{
			"2024-03-31T00:00 = 2024-03-30T22:00:00Z", "2024-04-01T00:00 = 2024-03-31T21:00:00Z",
		}},
		{"a midnight that Cairo leaves out", "Africa/Cairo", "00:15", "2024-04-25T12:00:00Z", "2024-04-26T22:00:00Z", []string{
			"2024-04-26T00:15 = 2024-04-25T22:00:00Z", "2024-04-27T00:15 = 2024-04-26T21:15:00Z",
		}},
		{"a midnight that Cairo shows twice", "Africa/Cairo", "23:30", "2024-10-31T12:00:00Z", "2024-11-01T22:00:00Z", []string{
			"2024-10-31T23:30 = 2024-10-31T20:30:00Z", "2024-11-01T23:30 = 2024-11-01T21:30:00Z",
		}},
		{"a midnight that Havana shows twice", "America/Havana", "00:00", "2025-11-01T12:00:00Z", "2025-11-03T12:00:00Z", []string{
			"2025-11-02T00:00 = 2025-11-02T04:00:00Z", "2025-11-03T00:00 = 2025-11-03T05:00:00Z",
		}},
		{"a midnight that Havana leaves out", "America/Havana", "00:00", "2025-03-08T12:00:00Z", "2025-03-09T12:00:00Z", []string{
			"2025-03-09T00:00 = 2025-03-09T05:00:00Z",
		}},
		{"a date that Apia skipped", "Pacific/Apia", "09:00", "2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z", []string{
			"2011-12-29T09:00 = 2011-12-29T19:00:00Z", "2011-12-30T09:00 = 2011-12-30T10:00:00Z", "2011-12-31T09:00 = 2011-12-30T19:00:00Z",
		}},
		{"a midnight that Apia skipped, at one instant with the next", "Pacific/Apia", "00:00", "2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z", []string{
			"2011-12-30T00:00 = 2011-12-30T10:00:00Z", "2011-12-31T00:00 = 2011-12-30T10:00:00Z", "2012-01-01T00:00 = 2011-12-31T10:00:00Z",
		}},
		{"a day that Kwajalein lived twice", "Pacific/Kwajalein", "09:00", "1969-09-29T00:00:00Z", "1969-10-02T00:00:00Z", []string{
			"1969-09-30T09:00 = 1969-09-29T22:00:00Z", "1969-10-01T09:00 = 1969-10-01T21:00:00Z",
		}},
		{"half an hour from UTC, all year", "Asia/Kolkata", "09:00", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", []string{
			"2026-03-29T09:00 = 2026-03-29T03:30:00Z", "2026-03-30T09:00 = 2026-03-30T03:30:00Z",
		}},
		{"a gap in Chatham", "Pacific/Chatham", "03:00", "2025-09-26T00:00:00Z", "2025-09-28T00:00:00Z", []string{
			"2025-09-27T03:00 = 2025-09-26T14:15:00Z", "2025-09-28T03:00 = 2025-09-27T14:00:00Z",
		}},
		{"a fold in Chatham", "Pacific/Chatham", "03:00", "2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z", []string{
			"2026-04-05T03:00 = 2026-04-04T13:15:00Z", "2026-04-06T03:00 = 2026-04-05T14:15:00Z",
		}},
		{"two hours in Troll", "Antarctica/Troll", "02:30", "2025-03-29T12:00:00Z", "2025-03-30T12:00:00Z", []string{
			"2025-03-30T02:30 = 2025-03-30T01:00:00Z",
		}},
		{"winter time as the exception, in Dublin", "Europe/Dublin", "01:30", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", []string{
			"2026-03-29T01:30 = 2026-03-29T01:00:00Z", "2026-03-30T01:30 = 2026-03-30T00:30:00Z",
		}},
		{"the end of a leap year of which there are only rules", "Europe/Warsaw", "09:00", "2040-12-29T12:00:00Z", "2041-01-01T12:00:00Z", []string{
			"2040-12-30T09:00 = 2040-12-30T08:00:00Z", "2040-12-31T09:00 = 2040-12-31T08:00:00Z", "2041-01-01T09:00 = 2041-01-01T08:00:00Z",
		}},
		{"UTC", "UTC", "02:30", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", []string{
			"2026-03-29T02:30 = 2026-03-29T02:30:00Z", "2026-03-30T02:30 = 2026-03-30T02:30:00Z",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := automation.Schedule{Every: automation.EveryDay, At: tt.at}
			require.Equal(t, tt.want, shown(s.Between(instant(t, tt.from), instant(t, tt.until), zone(t, tt.zone))))
		})
	}
}

func TestFiringsAtOneInstantAreNotLost(t *testing.T) {
	t.Parallel()
	s, apia := automation.Schedule{Every: automation.EveryDay, At: "00:00"}, zone(t, "Pacific/Apia")
	before := instant(t, "2011-12-30T09:59:59Z")
	want := []string{"2011-12-30T00:00 = 2011-12-30T10:00:00Z", "2011-12-31T00:00 = 2011-12-30T10:00:00Z"}
	require.Equal(t, want, shown(s.Upcoming(before, apia, 2)))

	next, ok := s.Next(before, apia)
	require.True(t, ok)
	require.Equal(t, "2011-12-30T00:00", next.Nominal)
	next, ok = s.Next(next.At, apia)
	require.True(t, ok)
	require.Equal(t, "2012-01-01T00:00", next.Nominal)
}

func TestOnceInAGap(t *testing.T) {
	t.Parallel()
	s := schedule(t, `{"once": "2026-03-29", "at": "02:30"}`)
	next, ok := s.Next(instant(t, "2026-03-29T00:59:59Z"), zone(t, "Europe/Warsaw"))
	require.True(t, ok)
	require.Equal(t, automation.Firing{Nominal: "2026-03-29T02:30", At: instant(t, "2026-03-29T01:00:00Z")}, next)
	require.Equal(t, "2026-03-29", next.Day())
	_, ok = s.Next(next.At, zone(t, "Europe/Warsaw"))
	require.False(t, ok)
}

func TestOddAmountsOfFirings(t *testing.T) {
	t.Parallel()
	s, at := schedule(t, `{"every": "day", "at": "09:00"}`), instant(t, "2027-01-04T09:00:00Z")
	require.Empty(t, s.Upcoming(at, time.UTC, 0))
	require.Empty(t, s.Upcoming(at, time.UTC, -1))
	require.Empty(t, s.Between(at, at, time.UTC))
	require.Empty(t, s.Between(at, at.AddDate(0, 0, -7), time.UTC))
	require.Len(t, s.Between(at.Add(-1), at, time.UTC), 1)
}

func TestWhatIsNoScheduleEnds(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]automation.Schedule{
		"nothing":             {},
		"no time":             {Every: automation.EveryDay},
		"no days":             {Every: automation.EveryMonth, At: "09:00"},
		"a day that is never": {Every: automation.EveryYear, On: []automation.ScheduleDay{"02-30"}, At: "09:00"},
		"no weekday":          {Every: automation.EveryWeek, On: []automation.ScheduleDay{"mon"}, At: "09:00"},
		"no period":           {Every: "hour", At: "09:00"},
		"no date":             {Once: "soon", At: "09:00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ok := s.Next(instant(t, "2027-01-04T09:00:00Z"), time.UTC)
			require.False(t, ok)
		})
	}
}

func TestConcerns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, schedule, day string
		dates, monthDays    []string
	}{
		{"the date itself", `{"property": "hire_date", "at": "09:00"}`, "2027-01-04", []string{"2027-01-04"}, nil},
		{"days before the date", `{"property": "hire_date", "offset": "-7d", "at": "09:00"}`, "2027-12-28", []string{"2028-01-04"}, nil},
		{"days after the date", `{"property": "hire_date", "offset": "30d", "at": "09:00"}`, "2027-03-01", []string{"2027-01-30"}, nil},
		{"a year before the date", `{"property": "hire_date", "offset": "-366d", "at": "09:00"}`, "2027-03-01", []string{"2028-03-01"}, nil},
		{"28 February once", `{"property": "hire_date", "at": "09:00"}`, "2027-02-28", []string{"2027-02-28"}, nil},
		{"an anniversary", `{"property": "hire_date", "yearly": true, "at": "09:00"}`, "2027-01-04", nil, []string{"01-04"}},
		{"an anniversary in the next year", `{"property": "hire_date", "yearly": true, "offset": "-7d", "at": "09:00"}`, "2027-12-28", nil, []string{"01-04"}},
		{"28 February", `{"property": "hire_date", "yearly": true, "at": "09:00"}`, "2027-02-28", nil, []string{"02-28", "02-29"}},
		{"28 February of a leap year", `{"property": "hire_date", "yearly": true, "at": "09:00"}`, "2028-02-28", nil, []string{"02-28"}},
		{"29 February", `{"property": "hire_date", "yearly": true, "at": "09:00"}`, "2028-02-29", nil, []string{"02-29"}},
		{"28 February of a century", `{"property": "hire_date", "yearly": true, "at": "09:00"}`, "2100-02-28", nil, []string{"02-28", "02-29"}},
		{"28 February where what is missing is skipped", `{"property": "hire_date", "yearly": true, "skip_missing": true, "at": "09:00"}`, "2027-02-28", nil, []string{"02-28"}},
		{"a day that lies in a leap year, before 28 February of the next", `{"property": "hire_date", "yearly": true, "offset": "-60d", "at": "09:00"}`, "2028-12-30", nil, []string{"02-28", "02-29"}},
		{"a day that lies before 28 February of a leap year", `{"property": "hire_date", "yearly": true, "offset": "-60d", "at": "09:00"}`, "2027-12-30", nil, []string{"02-28"}},
		{"a week after 28 February", `{"property": "hire_date", "yearly": true, "offset": "7d", "at": "09:00"}`, "2027-03-07", nil, []string{"02-28", "02-29"}},
		{"a week after 29 February", `{"property": "hire_date", "yearly": true, "offset": "7d", "at": "09:00"}`, "2028-03-07", nil, []string{"02-29"}},
		{"28 of another month", `{"property": "hire_date", "yearly": true, "at": "09:00"}`, "2027-03-28", nil, []string{"03-28"}},
		{"a schedule of no property", `{"every": "day", "at": "09:00"}`, "2027-01-04", nil, nil},
		{"a day that is none", `{"property": "hire_date", "at": "09:00"}`, "2027-02-29", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dates, monthDays := schedule(t, tt.schedule).Concerns(tt.day)
			require.Equal(t, tt.dates, dates)
			require.Equal(t, tt.monthDays, monthDays)
		})
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	const once, yearly, skipping = `{"property": "hire_date", "at": "09:00"}`, `{"property": "hire_date", "yearly": true, "at": "09:00"}`,
		`{"property": "hire_date", "yearly": true, "skip_missing": true, "at": "09:00"}`
	for _, tt := range []struct {
		name, schedule, value, day string
		want                       bool
	}{
		{"the date", once, "2027-01-04", "2027-01-04", true},
		{"an anniversary, asked once", once, "2026-01-04", "2027-01-04", false},
		{"an anniversary", yearly, "2019-01-04", "2027-01-04", true},
		{"the date, asked yearly", yearly, "2027-01-04", "2027-01-04", true},
		{"the day after an anniversary", yearly, "2019-01-04", "2027-01-05", false},
		{"the same day of another month", yearly, "2019-01-04", "2027-02-04", false},
		{"29 February on the 28th", yearly, "2020-02-29", "2027-02-28", true},
		{"29 February on 1 March", yearly, "2020-02-29", "2027-03-01", false},
		{"29 February on the 28th of a leap year", yearly, "2020-02-29", "2028-02-28", false},
		{"29 February on the 29th", yearly, "2020-02-29", "2028-02-29", true},
		{"28 February on the 29th", yearly, "2020-02-28", "2028-02-29", false},
		{"29 February on the 28th, skipped", skipping, "2020-02-29", "2027-02-28", false},
		{"29 February on the 29th, not skipped", skipping, "2020-02-29", "2028-02-29", true},
		{"no value", yearly, "", "2027-01-04", false},
		{"a value that is no date", yearly, "2027-02-29", "2027-02-28", false},
		{"an instant", yearly, "2027-01-04T09:00:00Z", "2027-01-04", false},
		{"a schedule of no property", `{"every": "day", "at": "09:00"}`, "2027-01-04", "2027-01-04", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, schedule(t, tt.schedule).Matches(tt.value, tt.day))
		})
	}
}
