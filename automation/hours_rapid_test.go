package automation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/automation"
	"rollcall/strictjson"
)

// someHours draws valid hours, with times near the one of the window.
func someHours(t *rapid.T, w window) automation.Hours {
	var h automation.Hours
	around, err := time.Parse("15:04", w.at)
	require.NoError(t, err)
	center := around.Hour()*60 + around.Minute()
	minute := rapid.OneOf(rapid.IntRange(0, 24*60), rapid.IntRange(max(0, center-90), min(24*60, center+90)))
	for range rapid.IntRange(0, 4).Draw(t, "windows") {
		from, to := minute.Draw(t, "from"), minute.Draw(t, "to")
		if from == to {
			continue
		}
		h.Windows = append(h.Windows, automation.Window{
			Days: rapid.SampledFrom([][]string{nil, nil, {"monday"}, {"saturday", "sunday"}, weekdays[:5]}).Draw(t, "days"),
			From: clockText(min(from, to)), To: clockText(max(from, to)),
		})
	}
	for range rapid.IntRange(0, 3).Draw(t, "exceptions") {
		day := w.from.In(w.zone).AddDate(0, 0, rapid.IntRange(-1, 6).Draw(t, "except"))
		h.Except = append(h.Except, automation.DayOff(day.Format(rapid.SampledFrom([]string{"2006-01-02", "01-02"}).Draw(t, "layout"))))
	}
	return h
}

func clockText(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// isOpen looks at the clock and the calendar on the wall, and says which day it is.
func isOpen(h automation.Hours, c automation.LocalCalendar, t time.Time) (day string, open bool) {
	local := t.In(c.Zone)
	day = local.Format(time.DateOnly)
	if slices.Contains(h.Except, automation.DayOff(day)) || slices.Contains(h.Except, automation.DayOff(day[5:])) {
		return day, false
	}
	if off, _ := time.Parse(time.DateOnly, day); c.DaysOff(off) {
		return day, false
	}
	return day, len(h.Windows) == 0 || slices.ContainsFunc(h.Windows, func(w automation.Window) bool {
		clock := local.Format("15:04")
		return (w.Days == nil || slices.Contains(w.Days, strings.ToLower(local.Format("Monday")))) && w.From <= clock && clock < w.To
	})
}

func TestNextOpenIsThatOfAWalkThroughTheMinutes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := moments(t)
		h := someHours(t, w)
		off := rapid.IntRange(1, 31).Draw(t, "day off")
		c := automation.LocalCalendar{Zone: w.zone, DaysOff: func(day time.Time) bool { return day.Day() == off }}
		from := w.from.Truncate(time.Minute)
		var problems strictjson.Problems
		h.Validate("", &problems, nil)
		require.Empty(t, problems)

		open, closes, ok := h.NextOpen(from, c)
		at, end := from, from.AddDate(0, 0, 3)
		for ; at.Before(end); at = at.Add(time.Minute) {
			if _, now := isOpen(h, c, at); now {
				break
			}
		}
		if !at.Before(end) {
			require.True(t, !ok || !open.Before(end))
			return
		}
		require.True(t, ok)
		require.Equal(t, at.UTC(), open)
		today, _ := isOpen(h, c, at)
		for day, now := today, true; now && day == today; day, now = isOpen(h, c, at) {
			at = at.Add(time.Minute)
		}
		require.Equal(t, at.UTC(), closes)

		inside := open.Add(time.Duration(rapid.Int64Range(0, int64(closes.Sub(open))-1).Draw(t, "inside")))
		same, closesToo, ok := h.NextOpen(inside, c)
		require.True(t, ok)
		require.Equal(t, inside, same)
		require.Equal(t, closes, closesToo)
	})
}

func TestReleaseIsInsideTheWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var h automation.Hours
		open := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
		length := time.Duration(rapid.Int64Range(1, int64(25*time.Hour)).Draw(t, "length"))
		key := rapid.String().Draw(t, "key")
		at := h.Release(open, open.Add(length), key)
		require.False(t, at.Before(open))
		require.True(t, at.Before(open.Add(length)))
		require.LessOrEqual(t, at.Sub(open), min(5*time.Minute, length/10))
		require.Equal(t, at, h.Release(open, open.Add(length), key))
	})
}
