package automation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/automation"
)

func TestCalendars(t *testing.T) {
	t.Parallel()
	long, short, february := []int{1, 3, 5, 7, 8, 10, 12}, []int{4, 6, 9, 11}, []int{2}
	for _, tt := range []struct {
		name, schedule string
		want           []automation.Calendar
	}{
		{"every day", `{"every": "day", "at": "09:30"}`, []automation.Calendar{{Hour: 9, Minute: 30}}},
		{"a property", `{"property": "hire_date", "at": "09:30"}`, []automation.Calendar{{Hour: 9, Minute: 30}}},
		{"once", `{"once": "2027-01-04", "at": "09:30"}`, []automation.Calendar{{Year: 2027, Months: []int{1}, DaysOfMonth: []int{4}, Hour: 9, Minute: 30}}},
		{"every week", `{"every": "week", "on": ["thursday", "sunday"], "at": "09:30"}`, []automation.Calendar{{DaysOfWeek: []int{0, 4}, Hour: 9, Minute: 30}}},
		{"every month on days", `{"every": "month", "on": [15, 1], "at": "09:30"}`, []automation.Calendar{{DaysOfMonth: []int{1, 15}, Hour: 9, Minute: 30}}},
		{"every month on its last day", `{"every": "month", "on": ["last"], "at": "09:30"}`, []automation.Calendar{
			{Months: long, DaysOfMonth: []int{31}, Hour: 9, Minute: 30},
			{Months: short, DaysOfMonth: []int{30}, Hour: 9, Minute: 30},
			{Months: february, DaysOfMonth: []int{28, 29}, Hour: 9, Minute: 30},
		}},
		{"every month on weekdays", `{"every": "month", "on": ["first monday", "second tuesday", "first friday"], "at": "09:30"}`, []automation.Calendar{
			{DaysOfMonth: []int{1, 2, 3, 4, 5, 6, 7}, DaysOfWeek: []int{1, 5}, Hour: 9, Minute: 30},
			{DaysOfMonth: []int{8, 9, 10, 11, 12, 13, 14}, DaysOfWeek: []int{2}, Hour: 9, Minute: 30},
		}},
		{"days are not narrowed by weekdays", `{"every": "month", "on": [1, 2, 3, 4, 5, 6, 7, "first monday"], "at": "09:30"}`, []automation.Calendar{
			{DaysOfMonth: []int{1, 2, 3, 4, 5, 6, 7}, Hour: 9, Minute: 30},
			{DaysOfMonth: []int{1, 2, 3, 4, 5, 6, 7}, DaysOfWeek: []int{1}, Hour: 9, Minute: 30},
		}},
		{"every month on the last Friday", `{"every": "month", "on": ["last friday"], "at": "09:30"}`, []automation.Calendar{
			{Months: long, DaysOfMonth: []int{25, 26, 27, 28, 29, 30, 31}, DaysOfWeek: []int{5}, Hour: 9, Minute: 30},
			{Months: short, DaysOfMonth: []int{24, 25, 26, 27, 28, 29, 30}, DaysOfWeek: []int{5}, Hour: 9, Minute: 30},
			{Months: february, DaysOfMonth: []int{22, 23, 24, 25, 26, 27, 28, 29}, DaysOfWeek: []int{5}, Hour: 9, Minute: 30},
		}},
		{"every year", `{"every": "year", "on": ["02-29", "07-01", "02-28", "07-14"], "at": "09:30"}`, []automation.Calendar{
			{Months: february, DaysOfMonth: []int{28, 29}, Hour: 9, Minute: 30},
			{Months: []int{7}, DaysOfMonth: []int{1, 14}, Hour: 9, Minute: 30},
		}},
		{"every leap year", `{"every": "year", "on": ["02-29"], "skip_missing": true, "at": "09:30"}`, []automation.Calendar{
			{Months: february, DaysOfMonth: []int{29}, Hour: 9, Minute: 30},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, schedule(t, tt.schedule).Calendars())
		})
	}
}

// wake is when Temporal wakes first after an instant: it divides like this, so an offset must lie behind.
func wake(interval automation.Interval, after time.Time) time.Time {
	every, offset := int64(interval.Every/time.Second), int64(interval.Offset/time.Second)
	return time.Unix(((after.Unix()-offset)/every+1)*every+offset, 0).UTC()
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, schedule, zone, from string
		want                       []string
	}{
		{"a time of day that is always shown", `{"every": "day", "at": "09:00"}`, "Europe/Warsaw", "2027-01-01T00:00:00Z", nil},
		{"no changes at all", `{"every": "day", "at": "02:30"}`, "Asia/Kolkata", "2027-01-01T00:00:00Z", nil},
		{"days that are left out in some years", `{"every": "year", "on": ["03-26", "03-28"], "at": "02:30"}`, "Europe/Warsaw", "2027-01-01T00:00:00Z", []string{
			"2027-03-28T01:00:00Z", "2028-03-26T01:00:00Z", "2032-03-28T01:00:00Z", "2034-03-26T01:00:00Z",
		}},
		{"left out and shown twice", `{"every": "week", "on": ["sunday"], "at": "02:00"}`, "Europe/Warsaw", "2035-01-01T00:00:00Z", []string{
			"2035-03-25T01:00:00Z", "2035-10-28T00:00:00Z", "2036-03-30T01:00:00Z", "2036-10-26T00:00:00Z", "2037-03-29T01:00:00Z",
			"2037-10-25T00:00:00Z", "2038-03-28T01:00:00Z", "2038-10-31T00:00:00Z", "2039-03-27T01:00:00Z", "2039-10-30T00:00:00Z",
			"2040-03-25T01:00:00Z", "2040-10-28T00:00:00Z", "2041-03-31T01:00:00Z", "2041-10-27T00:00:00Z", "2042-03-30T01:00:00Z",
			"2042-10-26T00:00:00Z", "2043-03-29T01:00:00Z", "2043-10-25T00:00:00Z", "2044-03-27T01:00:00Z", "2044-10-30T00:00:00Z",
		}},
		{"the minute after what is shown twice", `{"once": "2026-10-25", "at": "03:00"}`, "Europe/Warsaw", "2026-01-01T00:00:00Z", nil},
		{"the day before", `{"once": "2026-10-24", "at": "02:30"}`, "Europe/Warsaw", "2026-01-01T00:00:00Z", nil},
		{"a midnight that is left out", `{"once": "2026-03-08", "at": "09:00"}`, "America/Havana", "2026-01-01T00:00:00Z", []string{"2026-03-08T13:00:00Z"}},
		{"a zone of its own", `{"once": "2027-03-28", "at": "02:30", "time_zone": "Europe/Warsaw"}`, "UTC", "2027-01-01T00:00:00Z", []string{"2027-03-28T01:00:00Z"}},
		{"a date that was skipped", `{"once": "2011-12-30", "at": "09:00"}`, "Pacific/Apia", "2011-01-01T00:00:00Z", []string{"2011-12-30T10:00:00Z"}},
		{"two at one instant", `{"every": "month", "on": [30, 31], "at": "00:00"}`, "Pacific/Apia", "2011-12-01T00:00:00Z", []string{"2011-12-30T10:00:00Z"}},
		{"what is past", `{"once": "2026-03-29", "at": "02:30"}`, "Europe/Warsaw", "2027-01-01T00:00:00Z", nil},
		{"what is far away", `{"once": "2040-03-25", "at": "02:30"}`, "Europe/Warsaw", "2027-01-01T00:00:00Z", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from := instant(t, tt.from)
			var got []string
			for _, interval := range schedule(t, tt.schedule).Intervals(from, zone(t, tt.zone)) {
				got = append(got, wake(interval, from).Format(time.RFC3339))
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// wakes says whether Temporal wakes at a local time: DayOfMonth and DayOfWeek are both asked.
func wakes(calendars []automation.Calendar, local time.Time) bool {
	in := func(list []int, n int) bool { return len(list) == 0 || slices.Contains(list, n) }
	return slices.ContainsFunc(calendars, func(c automation.Calendar) bool {
		return (c.Year == 0 || c.Year == local.Year()) && in(c.Months, int(local.Month())) && in(c.DaysOfMonth, local.Day()) &&
			in(c.DaysOfWeek, int(local.Weekday())) && c.Hour == local.Hour() && c.Minute == local.Minute()
	})
}

// shownTwice looks for what a clock shows within a day of it.
func shownTwice(at time.Time, zone *time.Location) bool {
	for minutes := -24 * 60; minutes <= 24*60; minutes += 30 {
		if minutes != 0 && clockAt(at.Add(time.Duration(minutes)*time.Minute), zone) == clockAt(at, zone) {
			return true
		}
	}
	return false
}

func TestTemporalWakesForEveryFiringAndSeldomForNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := windows(t)
		s := schedules(t, w)
		calendars := s.Calendars()
		odd := map[time.Time]bool{}
		for _, interval := range s.Intervals(w.from, w.zone) {
			odd[wake(interval, w.from)] = true
		}
		due := map[int64]bool{}
		for _, f := range s.Between(w.from, w.until, w.zone) {
			due[f.At.Unix()] = true
			local := f.At.In(w.zone)
			require.True(t, odd[f.At] ||
				wakes(calendars, local) && local.Format("2006-01-02T15:04") == f.Nominal && !shownTwice(f.At, w.zone), "never wakes for %v", f)
		}
		at, _ := time.Parse("15:04", s.At)
		for t1 := w.from.Truncate(time.Minute).Add(time.Minute); t1.Before(w.until); t1 = t1.Add(time.Minute) {
			if clockAt(t1, w.zone)%(24*60) != int64(at.Hour()*60+at.Minute()) || due[t1.Unix()] {
				continue
			}
			if local := t1.In(w.zone); local.Month() != time.February && !shownTwice(t1, w.zone) {
				require.False(t, wakes(calendars, local), "wakes in vain at %s", local)
			}
		}
	})
}
