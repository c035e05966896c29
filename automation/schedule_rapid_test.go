package automation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/strictjson"
)

// clocks are zones whose clocks change in every way that is in use.
var clocks = []string{
	"UTC", "Europe/Warsaw", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Havana", "America/Santiago",
	"America/Asuncion", "America/Nuuk", "America/Scoresbysund", "Atlantic/Azores", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut",
	"Asia/Gaza", "Asia/Kolkata", "Asia/Almaty", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "Antarctica/Troll",
}

// window is a stretch of time in a zone, inside five years of which the changes are known to the day, or
// of which there are only rules.
type window struct {
	zone        *time.Location
	from, until time.Time
	at          string // a time of day, near the change of the clocks where there is one
}

// windows draws three weeks at random, or the days around a change of the clocks.
func windows(t *rapid.T) window {
	zone, err := time.LoadLocation(rapid.SampledFrom(clocks).Draw(t, "zone"))
	require.NoError(t, err)
	first := time.Date(rapid.SampledFrom([]int{2024, 2037}).Draw(t, "first year"), 1, 1, 0, 0, 0, 0, time.UTC)
	from := first.Add(time.Duration(rapid.IntRange(0, 1806*24*60).Draw(t, "from")) * time.Minute)
	minute := rapid.IntRange(0, 24*60-1).Draw(t, "minute")
	w := window{zone: zone, from: from, until: from.AddDate(0, 0, 21)}
	if _, change := from.In(zone).ZoneBounds(); change.After(from) && change.Before(first.AddDate(5, 0, 0)) && rapid.IntRange(0, 3).Draw(t, "at a change") > 0 {
		w.from = change.Add(time.Duration(-rapid.IntRange(1, 5*24*60).Draw(t, "before")) * time.Minute).UTC()
		w.until = change.Add(time.Duration(rapid.IntRange(1, 5*24*60).Draw(t, "after")) * time.Minute).UTC()
		near := change.Add(time.Duration(rapid.IntRange(-150, 150).Draw(t, "near")) * time.Minute)
		minute = near.In(zone).Hour()*60 + near.In(zone).Minute()
		if rapid.Bool().Draw(t, "half hour") {
			minute -= minute % 30
		}
	}
	w.at = fmt.Sprintf("%02d:%02d", minute/60, minute%60)
	return w
}

// schedules draws valid schedules, some of whose days lie in the window.
func schedules(t *rapid.T, w window) automation.Schedule {
	s := automation.Schedule{At: w.at}
	if rapid.IntRange(0, 9).Draw(t, "own zone") == 0 {
		s.TimeZone = w.zone.String()
	}
	inWindow := rapid.Map(rapid.IntRange(-1, 22), func(days int) time.Time { return w.from.In(w.zone).AddDate(0, 0, days) })
	on := func(days *rapid.Generator[string]) {
		for _, d := range rapid.SliceOfNDistinct(days, 1, 5, rapid.ID).Draw(t, "on") {
			s.On = append(s.On, automation.ScheduleDay(d))
		}
	}
	weekday := rapid.Map(inWindow, func(day time.Time) string { return strings.ToLower(day.Format("Monday")) })
	switch rapid.IntRange(0, 6).Draw(t, "form") {
	case 0, 1:
		s.Every = automation.EveryDay
	case 2:
		s.Every = automation.EveryWeek
		on(weekday)
	case 3:
		s.Every = automation.EveryMonth
		which := rapid.SampledFrom([]string{"first", "second", "third", "fourth", "last"})
		on(rapid.OneOf(
			rapid.Just("last"),
			rapid.Map(inWindow, func(day time.Time) string { return day.Format("2") }),
			rapid.Custom(func(t *rapid.T) string { return which.Draw(t, "which") + " " + weekday.Draw(t, "weekday") }),
		))
	case 4:
		s.Every = automation.EveryYear
		s.SkipMissing = rapid.Bool().Draw(t, "skip missing")
		on(rapid.OneOf(rapid.Just("02-29"), rapid.Map(inWindow, func(day time.Time) string { return day.Format("01-02") })))
	case 5:
		s.Once = inWindow.Draw(t, "once").Format(time.DateOnly)
	default:
		s.Property = "hire_date"
		s.Offset = automation.DayOffset(rapid.IntRange(-366, 366).Draw(t, "offset"))
		if s.Yearly = rapid.Bool().Draw(t, "yearly"); s.Yearly {
			s.SkipMissing = rapid.Bool().Draw(t, "skip missing")
		}
	}
	return s
}

// walk finds the firings after the beginning of a window until its end without any of the code under
// test: it walks through the minutes and looks at the clock, as a person would. A time is due in the
// minute in which the clock shows it for the first time, or goes past it without showing it.
func walk(s automation.Schedule, w window) []automation.Firing {
	var due []automation.Firing
	shownBefore := map[int64]bool{}
	at, _ := time.Parse("15:04", s.At)
	ofDay := int64(at.Hour()*60 + at.Minute())
	start := w.from.Truncate(time.Minute).AddDate(0, 0, -2)
	before := clockAt(start.Add(-time.Minute), w.zone)
	for t := start; !t.After(w.until); t = t.Add(time.Minute) {
		clock := clockAt(t, w.zone)
		first := clock // where the clock goes back, it shows one time
		if clock > before {
			first = before + 1 // else the one that comes next, and all that it leaves out
		}
		for local := first; local <= clock; local++ {
			if local%(24*60) != ofDay || shownBefore[local] {
				continue
			}
			shownBefore[local] = true
			if day := time.Unix(local*60, 0).UTC(); t.After(w.from) && isDay(s, day) {
				due = append(due, automation.Firing{Nominal: day.Format("2006-01-02T15:04"), At: t})
			}
		}
		before = clock
	}
	return due
}

// clockAt is what a clock shows, in minutes since 1970.
func clockAt(t time.Time, zone *time.Location) int64 {
	_, offset := t.In(zone).Zone()
	return (t.Unix() + int64(offset)) / 60
}

// isDay decides with a calendar on the wall.
func isDay(s automation.Schedule, day time.Time) bool {
	tomorrow, nextWeek := day.AddDate(0, 0, 1), day.AddDate(0, 0, 7)
	weekday := strings.ToLower(day.Format("Monday"))
	names := []string{}
	switch {
	case s.Once != "":
		return s.Once == day.Format("2006-01-02")
	case s.Every == automation.EveryWeek:
		names = append(names, weekday)
	case s.Every == automation.EveryMonth:
		names = append(names, day.Format("2"))
		if tomorrow.Day() == 1 {
			names = append(names, "last")
		}
		if nextWeek.Month() != day.Month() {
			names = append(names, "last "+weekday)
		}
		ordinal := -1
		for same := day; same.Month() == day.Month(); same = same.AddDate(0, 0, -7) {
			ordinal++
		}
		if ordinal < 4 {
			names = append(names, []string{"first", "second", "third", "fourth"}[ordinal]+" "+weekday)
		}
	case s.Every == automation.EveryYear:
		names = append(names, day.Format("01-02"))
		if day.Format("01-02") == "02-28" && tomorrow.Day() == 1 && !s.SkipMissing {
			names = append(names, "02-29")
		}
	default:
		return true
	}
	return slices.ContainsFunc(s.On, func(d automation.ScheduleDay) bool { return slices.Contains(names, string(d)) })
}

func TestEveryKindOfDayOfAMonth(t *testing.T) {
	t.Parallel()
	days := []automation.ScheduleDay{"last"}
	for n := range 31 {
		days = append(days, automation.ScheduleDay(strconv.Itoa(n+1)))
	}
	for _, which := range []string{"first", "second", "third", "fourth", "last"} {
		for weekday := range 7 {
			days = append(days, automation.ScheduleDay(which+" "+strings.ToLower(time.Weekday(weekday).String())))
		}
	}
	from, until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, d := range days {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			s := automation.Schedule{Every: automation.EveryMonth, On: []automation.ScheduleDay{d}, At: "09:00"}
			var want, got []string
			for day := from; day.Before(until); day = day.AddDate(0, 0, 1) {
				if isDay(s, day) {
					want = append(want, day.Format(time.DateOnly))
				}
			}
			for _, f := range s.Between(from, until, time.UTC) {
				got = append(got, f.Day())
			}
			require.Equal(t, want, got)
		})
	}
}

func TestFiringsAreThoseOfAWalkThroughTheMinutes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := windows(t)
		s := schedules(t, w)
		want := walk(s, w)
		require.Equal(t, want, s.Between(w.from, w.until, w.zone))

		next, ok := s.Next(w.from, w.zone)
		if len(want) == 0 {
			require.True(t, !ok || next.At.After(w.until), "%v", next)
			return
		}
		require.True(t, ok)
		require.Equal(t, want[0], next)
	})
}

func TestEveryChangeOfTheClocksIsWalkedThrough(t *testing.T) {
	t.Parallel()
	for _, name := range clocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			require.NoError(t, err)
			day := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
			for range 4 { // two years
				_, change := day.In(zone).ZoneBounds()
				if change.IsZero() {
					return
				}
				day = change.AddDate(0, 0, 1).UTC()
				w := window{zone: zone, from: change.Add(-26 * time.Hour).UTC(), until: change.Add(26 * time.Hour).UTC()}
				for minutes := -150; minutes <= 150; minutes += 15 {
					s := automation.Schedule{Every: automation.EveryDay, At: change.Add(time.Duration(minutes) * time.Minute).Format("15:04")}
					require.Equal(t, walk(s, w), s.Between(w.from, w.until, zone), "at %s around %s", s.At, change)
				}
			}
		})
	}
}

func TestNextIsLaterAndNeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := windows(t)
		s := schedules(t, w)
		distance := time.Duration(rapid.Int64Range(0, int64(400*24*time.Hour)).Draw(t, "distance"))
		first, ok := s.Next(w.from, w.zone)
		second, later := s.Next(w.from.Add(distance), w.zone)
		if !ok {
			require.False(t, later)
			return
		}
		require.True(t, first.At.After(w.from))
		require.Equal(t, time.UTC, first.At.Location())
		again, ok := s.Next(first.At.Add(-1), w.zone)
		require.True(t, ok)
		require.Equal(t, first, again)
		if later {
			require.True(t, second.At.After(w.from.Add(distance)))
			require.False(t, second.At.Before(first.At))
			require.GreaterOrEqual(t, second.Nominal, first.Nominal)
		}
	})
}

func TestUpcomingIsNextAgainAndAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := windows(t)
		s := schedules(t, w)
		n := rapid.IntRange(0, 20).Draw(t, "n")
		var want []automation.Firing
		for at := w.from; len(want) < n; {
			next, ok := s.Next(at, w.zone)
			if !ok {
				break
			}
			want = append(want, next)
			at = next.At
		}
		require.Equal(t, want, s.Upcoming(w.from, w.zone, n))
	})
}

func TestAScheduleThatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := schedules(t, windows(t))
		text, err := json.Marshal(s)
		require.NoError(t, err)

		v, err := strictjson.Parse(text)
		require.NoError(t, err)
		var read automation.Schedule
		var problems strictjson.Problems
		strictjson.Decode(v, "", &read, &problems)
		read.Validate("", &problems, automation.Properties{"hire_date": {Name: "hire_date", Type: filter.Date}})
		require.Empty(t, problems)
		require.Equal(t, s, read)

		var stored automation.Schedule
		require.NoError(t, json.Unmarshal(text, &stored))
		require.Equal(t, s, stored)
	})
}

func TestAnyDayThatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`-?[0-9]{0,20}`), rapid.StringMatching(`[ -~]*`)).Draw(t, "day")
		day := automation.ScheduleDay(text)
		written, err := json.Marshal(day)
		require.NoError(t, err)
		v, err := strictjson.Parse(written)
		require.NoError(t, err)
		var read, stored automation.ScheduleDay
		var problems strictjson.Problems
		strictjson.Decode(v, "", &read, &problems)
		require.Empty(t, problems)
		require.Equal(t, day, read)
		require.NoError(t, json.Unmarshal(written, &stored))
		require.Equal(t, day, stored)
	})
}

func TestConcernsAndMatchesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := automation.Schedule{Property: "hire_date", At: "09:00", Yearly: rapid.Bool().Draw(t, "yearly")}
		s.SkipMissing = s.Yearly && rapid.Bool().Draw(t, "skip missing")
		s.Offset = automation.DayOffset(rapid.IntRange(-366, 366).Draw(t, "offset"))
		value := time.Date(rapid.IntRange(1896, 2104).Draw(t, "year"), 2, rapid.IntRange(-50, 330).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		if rapid.Bool().Draw(t, "end of February") {
			value = time.Date(value.Year(), 2, rapid.IntRange(27, 30).Draw(t, "of February"), 0, 0, 0, 0, time.UTC)
		}
		years := 0
		if s.Yearly {
			years = rapid.IntRange(0, 20).Draw(t, "years")
		}

		// The day that is meant, and the days around it.
		anniversary := time.Date(value.Year()+years, value.Month(), value.Day(), 0, 0, 0, 0, time.UTC)
		missing := anniversary.Day() != value.Day()
		if missing {
			anniversary = anniversary.AddDate(0, 0, -1)
		}
		meant := anniversary.AddDate(0, 0, int(s.Offset))
		for days := -30; days <= 30; days++ {
			day := meant.AddDate(0, 0, days).Format(time.DateOnly)
			text := value.Format(time.DateOnly)
			want := days == 0 && (!missing || !s.SkipMissing)
			require.Equal(t, want, s.Matches(text, day), "%s on %s", text, day)
			dates, monthDays := s.Concerns(day)
			require.Equal(t, want, slices.Contains(dates, text) || slices.Contains(monthDays, text[5:]), "%s on %s", text, day)
		}
	})
}
