package automation_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/automation"
	"rollcall/strictjson"
)

var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

// changes are days on which the clocks do what they seldom do.
var changes = []struct{ zone, day string }{
	{"America/Sao_Paulo", "2017-10-15"},
	{"America/Sao_Paulo", "2018-02-18"},
	{"Pacific/Apia", "2011-12-30"},
	{"America/St_Johns", "2010-11-07"},
	{"Asia/Beirut", "2026-03-29"},
	{"Asia/Beirut", "2026-10-25"},
	{"Africa/Cairo", "2026-04-24"},
	{"Africa/Cairo", "2026-10-30"},
	{"Australia/Lord_Howe", "2026-04-05"},
	{"Australia/Lord_Howe", "2026-10-04"},
	{"Europe/Warsaw", "2026-03-29"},
	{"Europe/Warsaw", "2026-10-25"},
	{"America/New_York", "2026-03-08"},
	{"America/New_York", "2026-11-01"},
}

// moments draws a place and a window in it, often around a change of its clocks.
func moments(t *rapid.T) window {
	if rapid.Bool().Draw(t, "any zone") {
		return windows(t)
	}
	change := rapid.SampledFrom(changes).Draw(t, "change")
	w := window{at: rapid.SampledFrom([]string{"00:00", "00:01", "00:30", "01:00", "01:45", "02:00", "02:30", "03:00", "12:00", "23:01", "23:30"}).Draw(t, "at")}
	var err error
	w.zone, err = time.LoadLocation(change.zone)
	require.NoError(t, err)
	day, err := time.Parse(time.DateOnly, change.day)
	require.NoError(t, err)
	w.from = day.Add(time.Duration(rapid.IntRange(-50*60, 50*60).Draw(t, "minutes")) * time.Minute)
	w.until = w.from.AddDate(0, 0, 3)
	return w
}

func TestTimesOfDayAreThoseOfAWalkThroughTheMinutes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := moments(t)
		w.until = w.from.AddDate(0, 0, 9)
		u := automation.Until{On: rapid.SliceOfNDistinct(rapid.SampledFrom(weekdays), 0, 3, rapid.ID).Draw(t, "on")}
		s := automation.Schedule{Every: automation.EveryDay, At: "00:00"}
		if len(u.On) == 0 || rapid.Bool().Draw(t, "with a time") {
			u.At, s.At = w.at, w.at
		}
		for _, name := range u.On {
			s.Every = automation.EveryWeek
			s.On = append(s.On, automation.ScheduleDay(name))
		}
		due, err := automation.Delay{Until: &u}.Due(w.from, nil, automation.LocalCalendar{Zone: w.zone})
		require.NoError(t, err)
		require.Equal(t, automation.Due{At: walk(s, w)[0].At}, due)
		require.True(t, due.At.After(w.from))
	})
}

func TestBusinessDaysAreCountedDayByDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := moments(t)
		entered := w.from.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)-1).Draw(t, "beyond")))
		n := rapid.IntRange(1, 30).Draw(t, "n")
		off := rapid.SliceOfN(rapid.IntRange(0, 60), 0, 20).Draw(t, "off")
		daysOff := func(day time.Time) bool { return slices.Contains(off, int(day.Sub(entered.UTC()).Hours()/24)) }

		// The noons of the days that follow, as far as there are any.
		y, m, d := entered.In(w.zone).Date()
		left, day := n, time.Time{}
		for i := 1; left > 0; i++ {
			day = time.Date(y, m, d+i, 0, 0, 0, 0, time.UTC)
			noon := time.Date(y, m, d+i, 12, 0, 0, 0, w.zone)
			if noon.Day() == day.Day() && !slices.Contains([]string{"Saturday", "Sunday"}, day.Format("Monday")) && !daysOff(day) {
				left--
			}
		}

		due, err := automation.Delay{For: automation.Duration(n) * automation.Duration(24*time.Hour), BusinessDays: true}.
			Due(entered, nil, automation.LocalCalendar{Zone: w.zone, DaysOff: daysOff})
		require.NoError(t, err)
		require.True(t, due.At.After(entered))
		shown := due.At.In(w.zone)
		require.Equal(t, day.Format(time.DateOnly), shown.Format(time.DateOnly))
		const clock = "15:04:05.000000000"
		wanted := entered.In(w.zone).Format(clock)
		if shown.Format(clock) != wanted {
			// Only a time that the clocks left out is another one, right after the gap.
			require.Greater(t, shown.Format(clock), wanted)
			require.Less(t, due.At.Add(-1).In(w.zone).Format("2006-01-02 "+clock), day.Format("2006-01-02 ")+wanted)
		}
	})
}

// delaysOf draws valid delays by the date p.
func delaysOf(t *rapid.T) automation.Delay {
	day := automation.Duration(24 * time.Hour)
	clock := rapid.SampledFrom([]string{"00:00", "02:30", "09:00", "23:59"}).Draw(t, "at")
	switch rapid.IntRange(0, 4).Draw(t, "form") {
	case 0:
		return automation.Delay{For: automation.Duration(rapid.Int64Range(0, int64(automation.MaxDuration/time.Second)).Draw(t, "seconds") * int64(time.Second))}
	case 1:
		return automation.Delay{For: automation.Duration(rapid.IntRange(1, automation.MaxBusinessDays).Draw(t, "days")) * day, BusinessDays: true}
	case 2:
		return automation.Delay{Until: &automation.Until{At: clock, On: rapid.SampledFrom([][]string{nil, {"monday"}, weekdays}).Draw(t, "on")}}
	case 3:
		return automation.Delay{Until: &automation.Until{At: clock, Date: "2027-01-04", IfPast: rapid.SampledFrom([]automation.Instead{"", "exit"}).Draw(t, "past")}}
	default:
		sign := rapid.SampledFrom([]int{1, -1}).Draw(t, "sign")
		u := automation.Until{Property: "p", Offset: automation.Offset{Days: sign * rapid.IntRange(0, 1000).Draw(t, "days")}}
		u.Offset.Time = time.Duration(sign) * time.Duration(rapid.IntRange(0, 400_000).Draw(t, "seconds")) * time.Second
		u.IfMissing = rapid.SampledFrom([]automation.Instead{"", "exit", "continue", "fail", "wait"}).Draw(t, "missing")
		return automation.Delay{Until: &u}
	}
}

func TestADelayThatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := delaysOf(t)
		text, err := json.Marshal(d)
		require.NoError(t, err)
		v, err := strictjson.Parse(text)
		require.NoError(t, err)
		var read, stored automation.Delay
		var problems strictjson.Problems
		strictjson.Decode(v, "", &read, &problems)
		read.Validate("", &problems, automation.Properties{"p": {Name: "p", Type: "datetime"}})
		require.Empty(t, problems)
		require.Equal(t, d, read)
		require.NoError(t, json.Unmarshal(text, &stored))
		require.Equal(t, d, stored)
		require.NotEmpty(t, d.String())
	})
}

func TestADelayIsNeverDueEarly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := delaysOf(t)
		w := moments(t)
		value := rapid.SampledFrom([]any{nil, "", "2027-03-28", "2010-01-01", "2026-10-25T00:30:00Z", "9999-12-31", "0001-01-01", true}).Draw(t, "value")
		due, err := d.Due(w.from, map[string]any{"p": value}, automation.LocalCalendar{Zone: w.zone})
		switch {
		case err != nil:
			require.ErrorIs(t, err, automation.ErrTooFar)
		case due.Missing:
			require.True(t, due.At.IsZero() && !due.Past)
			require.Equal(t, "p", d.Reads())
		case due.Past:
			require.False(t, due.At.After(w.from))
			require.False(t, d.Waits())
			require.True(t, strings.HasPrefix(d.String(), "until "))
		default:
			require.False(t, due.At.Before(w.from))
			require.Equal(t, time.UTC, due.At.Location())
			require.True(t, due.At.After(w.from) || !d.Waits())
		}
	})
}

func TestDaysAfterADatetimeKeepItsLocalTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := moments(t)
		days := rapid.IntRange(-5, 5).Draw(t, "days")
		d := automation.Delay{Until: &automation.Until{Property: "p", Offset: automation.Offset{Days: days}}}
		value := w.from.Truncate(time.Second)
		due, err := d.Due(w.from.AddDate(-1, 0, 0), map[string]any{"p": value.Format(time.RFC3339)}, automation.LocalCalendar{Zone: w.zone})
		require.NoError(t, err)
		if days == 0 {
			require.True(t, value.Equal(due.At))
			return
		}
		// The first minute whose clock shows what it showed then, or has gone past it.
		want := clockAt(value, w.zone) + int64(days)*24*60
		minute := value.AddDate(0, 0, days).Add(-26 * time.Hour).Truncate(time.Minute)
		for clockAt(minute, w.zone) < want {
			minute = minute.Add(time.Minute)
		}
		require.Equal(t, minute.UTC(), due.At.Truncate(time.Minute))
	})
}
