package filter

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// oddZones are those whose clocks do something that is easily got wrong.
var oddZones = []string{
	"UTC", "Europe/Warsaw", "Asia/Kathmandu", "America/New_York",
	"America/Asuncion", "Africa/Cairo", "America/Sao_Paulo", "Asia/Beirut", // put forward over midnight
	"America/Havana", "Atlantic/Azores", // put back to midnight
	"America/St_Johns",                  // put back over midnight by an hour, at one minute past it, until 2011
	"America/Nuuk",                      // forward late in the evening, back before midnight
	"Pacific/Apia", "Pacific/Kwajalein", // left out 30 December 2011, 21 August 1993
	"Australia/Lord_Howe", "Antarctica/Troll", "America/Argentina/San_Luis", // half an hour; two hours; not at all regular
}

// oddities are instants at which clocks or calendars do something, and where.
var oddities = []struct {
	at   time.Time
	zone string
}{
	{time.Date(1993, time.August, 20, 12, 0, 0, 0, time.UTC), "Pacific/Kwajalein"},
	{time.Date(2008, time.January, 21, 2, 0, 0, 0, time.UTC), "America/Argentina/San_Luis"},
	{time.Date(2010, time.November, 7, 2, 31, 0, 0, time.UTC), "America/St_Johns"}, // back over midnight
	{time.Date(2011, time.March, 13, 3, 31, 0, 0, time.UTC), "America/St_Johns"},
	{time.Date(2011, time.December, 30, 10, 0, 0, 0, time.UTC), "Pacific/Apia"},
	{time.Date(2018, time.February, 18, 2, 0, 0, 0, time.UTC), "America/Sao_Paulo"}, // back
	{time.Date(2018, time.November, 4, 3, 0, 0, 0, time.UTC), "America/Sao_Paulo"},
	{time.Date(2023, time.October, 1, 4, 0, 0, 0, time.UTC), "America/Asuncion"},
	{time.Date(2023, time.April, 27, 22, 0, 0, 0, time.UTC), "Africa/Cairo"},
	{time.Date(2023, time.November, 5, 5, 0, 0, 0, time.UTC), "America/Havana"}, // back
	{time.Date(2024, time.February, 29, 0, 0, 0, 0, time.UTC), "UTC"},
	{time.Date(2024, time.October, 27, 1, 0, 0, 0, time.UTC), "Europe/Warsaw"}, // back
	{time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC), "UTC"},
	{time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC), "UTC"}, // a month on, the end of February
	{time.Date(2028, time.February, 29, 12, 0, 0, 0, time.UTC), "Asia/Kathmandu"},
	{time.Date(2040, time.December, 31, 12, 0, 0, 0, time.UTC), "Europe/Warsaw"}, // beyond the tables of transitions
}

func oddZone(name string) *time.Location {
	zone, err := LoadZone(name)
	if err != nil {
		panic(err)
	}
	return zone
}

// oddDays are the dates of a year around which the zone changes its clocks, and the year's end.
func oddDays(year int, zone *time.Location) []day {
	first := civil(year, time.January, 1)
	days := []day{first, first.plus(58), first.plus(59), first.plus(363), first.plus(364), first.plus(365)}
	for d := first; d.Year() == year; d = d.plus(1) {
		_, before := d.In(zone).Zone()
		_, after := d.plus(1).In(zone).Zone()
		if before != after {
			days = append(days, d.plus(-1), d, d.plus(1), d.plus(2))
		}
	}
	return days
}

// walked is the first minute whose local time is the date's midnight or later.
func walked(d day, zone *time.Location) time.Time {
	for at := d.Add(-15 * time.Hour); ; at = at.Add(time.Minute) {
		_, offset := at.In(zone).Zone()
		if local := at.Add(time.Duration(offset) * time.Second); !local.Before(d.Time) {
			return at
		}
	}
}

func TestADayBeginsWhereAWalkByTheMinuteFindsIt(t *testing.T) {
	t.Parallel()
	for _, name := range oddZones {
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			t.Parallel()
			zone := oddZone(name)
			for _, year := range []int{1993, 2007, 2008, 2010, 2011, 2018, 2023, 2024, 2027, 2028, 2040} {
				for _, d := range oddDays(year, zone) {
					require.Equal(t, walked(d, zone), d.begins(zone).UTC(), d.Format(time.DateOnly))
				}
			}
		})
	}
}

func TestAnInstantBelongsToTheLastDayThatBegan(t *testing.T) {
	t.Parallel()
	for _, name := range oddZones {
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			t.Parallel()
			zone := oddZone(name)
			belongs := func(at time.Time) {
				d := dayOf(at, zone)
				require.False(t, d.begins(zone).After(at), "%s has not begun at %s", d.Format(time.DateOnly), at)
				require.True(t, d.plus(1).begins(zone).After(at), "the day after %s has begun at %s", d.Format(time.DateOnly), at)
			}
			for _, year := range []int{1993, 2008, 2010, 2011, 2018, 2023, 2024, 2040} {
				for _, d := range oddDays(year, zone) {
					begins := d.begins(zone)
					belongs(begins)
					belongs(begins.Add(-Resolution))
					for minutes := -180; minutes < 1500; minutes += 31 {
						belongs(begins.Add(time.Duration(minutes) * time.Minute))
					}
				}
			}
		})
	}
}

func TestTheLastDayOfALeapYearBeginsBeyondTheTablesOfAZone(t *testing.T) {
	t.Parallel()
	for _, year := range []int{2040, 2060, 2096} {
		for _, d := range []day{civil(year, time.December, 31), civil(year+1, time.January, 1), civil(year+1, time.January, 2)} {
			require.Equal(t, d.Add(-time.Hour), d.begins(oddZone("Europe/Warsaw")))
			require.Equal(t, d.Add(5*time.Hour), d.begins(oddZone("America/New_York")))
		}
	}
}

func TestAUsersOwnZoneIsUTCWhereThereIsNone(t *testing.T) {
	t.Parallel()
	for want, user := range map[string][]map[string]any{
		"Europe/Warsaw": {{"time_zone": "Europe/Warsaw"}},
		"UTC":           {nil, {"time_zone": nil}, {"time_zone": ""}, {"time_zone": 7.0}, {"time_zone": "Local"}, {"time_zone": "Mars/Olympus"}, {"time_zone": "user"}},
	} {
		for _, u := range user {
			require.Equal(t, want, OwnZoneOf(u).String(), u)
		}
	}
}

func TestSkippedAreTheDatesThatNeverBegan(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"Pacific/Apia":       {"2011-12-30": "2011-12-31"},
		"Pacific/Kwajalein":  {"1993-08-21": "1993-08-22"},
		"Pacific/Kiritimati": {"1994-12-31": "1995-01-01"},
		"Europe/Warsaw":      {},
		"America/Asuncion":   {},
		"UTC":                {},
	} {
		require.Equal(t, want, Skipped(oddZone(name)), name)
	}
}

func TestTheFirstDayOfAnInstantBeginsThenOrLater(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, at, zone, want string }{
		{"at midnight that day", "2027-01-03T23:00:00Z", "Europe/Warsaw", "2027-01-04"},
		{"after midnight the next", "2027-01-03T23:00:00.000001Z", "Europe/Warsaw", "2027-01-05"},
		{"where midnight is skipped", "2023-10-01T04:00:00Z", "America/Asuncion", "2023-10-01"},
		{"where midnight comes twice, the first time", "2023-11-05T04:00:00Z", "America/Havana", "2023-11-05"},
		{"where midnight comes twice, the second time", "2023-11-05T05:00:00Z", "America/Havana", "2023-11-06"},
		{"where a date is skipped it", "2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, FirstDay(moment(t, tt.at), oddZone(tt.zone)).Format(time.DateOnly))
		})
	}
}

func TestTheFirstDayIsWhereDatesBeginToBeginThenOrLater(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := oddZone(rapid.SampledFrom(oddZones).Draw(t, "zone"))
		at := moments().Draw(t, "at")
		first := day{FirstDay(at, zone)}
		for _, days := range []int{-2, -1, 0, 1, 2} {
			require.Equal(t, days >= 0, !first.plus(days).begins(zone).Before(at))
		}
	})
}
