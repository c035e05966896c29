package filter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDateMathIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, message string }{
		{"a beginning of another word", "nowhere", mathSyntax},
		{"another case", "NOW", mathSyntax},
		{"another word", "today", mathSyntax},
		{"an amount without a unit", "now-30", mathSyntax},
		{"an amount without a sign", "now30d", mathSyntax},
		{"an amount without a number", "now-d", mathSyntax},
		{"two signs", "now--1d", mathSyntax},
		{"a fraction", "now-1.5d", mathSyntax},
		{"a space", "now - 30d", mathSyntax},
		{"a unit in another case", "now-30D", mathSyntax},
		{"a quarter", "now/Q", mathSyntax},
		{"the beginning of an hour", "now/h", mathSyntax},
		{"a slash with nothing after it", "now-30d/", mathSyntax},
		{"two slashes", "now/d/d", mathSyntax},
		{"a line after it", "now\n", mathSyntax},
		{"digits of another script", "now-३d", mathSyntax},
		{"more than a hundred years", "now+101y", "goes further than a hundred years"},
		{"more than a hundred years back", "now-36601d", "goes further than a hundred years"},
		{"more seconds than a number holds", "now+99999999999999999999s", "goes further than a hundred years"},
		{"amounts that add up to too much", "now+51y+50y", "goes further than a hundred years"},
		{"too many amounts", "now" + strings.Repeat("+0M", 10) + "/d" + strings.Repeat("+0M", 7), "adds up more than 16 amounts"},
		{"amounts that cancel out", "now+60y-60y", "goes further than a hundred years"},
		{"amounts on both sides of the slash", "now+51y/y+50y", "goes further than a hundred years"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseMath(tt.text)
			require.ErrorContains(t, err, fmt.Sprintf("%q", tt.text))
			require.ErrorContains(t, err, tt.message)
		})
	}
}

func TestDateMathWithoutASlashIsAnInstant(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ math, now, want string }{
		{"now", "2027-01-06T10:20:30.5Z", "2027-01-06T10:20:30.5Z"},
		{"now+0d", "2027-01-06T10:20:30.5Z", "2027-01-06T10:20:30.5Z"},
		{"now-30s", "2027-01-06T10:20:30.5Z", "2027-01-06T10:20:00.5Z"},
		{"now-20m", "2027-01-06T10:20:30.5Z", "2027-01-06T10:00:30.5Z"},
		{"now+14h", "2027-01-06T10:20:30.5Z", "2027-01-07T00:20:30.5Z"},
		{"now-30d", "2027-01-06T10:20:30.5Z", "2026-12-07T10:20:30.5Z"},
		{"now+2w", "2027-01-06T10:20:30.5Z", "2027-01-20T10:20:30.5Z"},
		{"now-1M", "2027-01-06T10:20:30.5Z", "2026-12-06T10:20:30.5Z"},
		{"now+1y", "2027-01-06T10:20:30.5Z", "2028-01-06T10:20:30.5Z"},
		{"now-100y", "2027-01-06T10:20:30.5Z", "1927-01-06T10:20:30.5Z"},
		{"now-1d+12h", "2027-01-06T10:20:30.5Z", "2027-01-05T22:20:30.5Z"},
		// A day is 24 hours, though the clocks change.
		{"now+1d", "2027-03-27T12:00:00Z", "2027-03-28T12:00:00Z"},
		// Where a month is too short, it is its end.
		{"now+1M", "2027-01-28T12:00:00Z", "2027-02-28T12:00:00Z"},
		{"now+1M", "2027-01-29T12:00:00Z", "2027-03-01T00:00:00Z"},
		{"now+1M", "2027-01-31T12:00:00Z", "2027-03-01T00:00:00Z"},
		{"now+1M", "2028-01-29T12:00:00Z", "2028-02-29T12:00:00Z"},
		{"now-1M", "2027-03-31T12:00:00Z", "2027-03-01T00:00:00Z"},
		{"now-4M", "2027-03-31T12:00:00Z", "2026-12-01T00:00:00Z"},
		{"now+1y", "2028-02-29T12:00:00Z", "2029-03-01T00:00:00Z"},
		{"now-4y", "2028-02-29T12:00:00Z", "2024-02-29T12:00:00Z"},
		// Amounts are counted one after the other.
		{"now+1M-1M", "2027-01-31T12:00:00Z", "2027-02-01T00:00:00Z"},
		{"now-1d+1M", "2027-03-01T12:00:00Z", "2027-03-28T12:00:00Z"},
		{"now+1M-1d", "2027-03-01T12:00:00Z", "2027-03-31T12:00:00Z"},
	} {
		t.Run(tt.math+" at "+tt.now, func(t *testing.T) {
			t.Parallel()
			want := moment(t, tt.want)
			require.Equal(t, Span{want, want.Add(Resolution)}, spanOf(t, tt.math, tt.now, "Europe/Warsaw"))
		})
	}
}

func TestDateMathWithASlashIsAStretchOfTheCalendarInTheZone(t *testing.T) {
	t.Parallel()
	const warsaw = "Europe/Warsaw" // where it is an hour later in winter, two in summer
	for _, tt := range []struct{ math, now, zone, from, to string }{
		{"now/d", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-05T23:00:00Z", "2027-01-06T23:00:00Z"},
		{"now/d", "2027-01-05T23:00:00Z", warsaw, "2027-01-05T23:00:00Z", "2027-01-06T23:00:00Z"},
		{"now/d", "2027-01-05T22:59:59.999999Z", warsaw, "2027-01-04T23:00:00Z", "2027-01-05T23:00:00Z"},
		{"now/d", "2027-01-06T10:20:30.5Z", "Asia/Kathmandu", "2027-01-05T18:15:00Z", "2027-01-06T18:15:00Z"},
		{"now/w", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-03T23:00:00Z", "2027-01-10T23:00:00Z"},
		{"now/w", "2027-01-03T23:00:00Z", warsaw, "2027-01-03T23:00:00Z", "2027-01-10T23:00:00Z"}, // Monday
		{"now/w", "2027-01-10T22:59:00Z", warsaw, "2027-01-03T23:00:00Z", "2027-01-10T23:00:00Z"}, // Sunday
		{"now/M", "2027-01-06T10:20:30.5Z", warsaw, "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"},
		{"now/M", "2028-02-29T22:59:00Z", warsaw, "2028-01-31T23:00:00Z", "2028-02-29T23:00:00Z"},
		{"now/y", "2027-07-06T10:20:30.5Z", warsaw, "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z"},
		{"now/d+1d", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-06T23:00:00Z", "2027-01-07T23:00:00Z"},
		{"now/d-7d", "2027-01-06T10:20:30.5Z", warsaw, "2026-12-29T23:00:00Z", "2026-12-30T23:00:00Z"},
		{"now/w-1w", "2027-01-06T10:20:30.5Z", warsaw, "2026-12-27T23:00:00Z", "2027-01-03T23:00:00Z"},
		{"now-1w/w", "2027-01-06T10:20:30.5Z", warsaw, "2026-12-27T23:00:00Z", "2027-01-03T23:00:00Z"},
		{"now/M-1M", "2027-01-06T10:20:30.5Z", warsaw, "2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z"},
		{"now/y+1y", "2027-01-06T10:20:30.5Z", warsaw, "2027-12-31T23:00:00Z", "2028-12-31T23:00:00Z"},
		// The smallest unit named from the slash on is how long it is.
		{"now/M+1d", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-01T23:00:00Z", "2027-01-02T23:00:00Z"},
		{"now/M+1w", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-07T23:00:00Z", "2027-01-14T23:00:00Z"},
		{"now/y+6M", "2027-01-06T10:20:30.5Z", warsaw, "2027-06-30T22:00:00Z", "2027-07-31T22:00:00Z"},
		{"now/d+1w", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-12T23:00:00Z", "2027-01-13T23:00:00Z"},
		{"now-1d/M", "2027-01-06T10:20:30.5Z", warsaw, "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"},
		// With a time of the day it is an instant.
		{"now/d+9h", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-06T08:00:00Z", "2027-01-06T08:00:00.000001Z"},
		{"now/d+9h+1d+30m", "2027-01-06T10:20:30.5Z", warsaw, "2027-01-07T08:30:00Z", "2027-01-07T08:30:00.000001Z"},
		{"now/M-1s", "2027-01-06T10:20:30.5Z", warsaw, "2026-12-31T22:59:59Z", "2026-12-31T22:59:59.000001Z"},
		// A month that is too short gives its last day.
		{"now/d+1M", "2027-01-31T12:00:00Z", warsaw, "2027-02-27T23:00:00Z", "2027-02-28T23:00:00Z"},
		{"now/d+1y", "2028-02-29T12:00:00Z", warsaw, "2029-02-27T23:00:00Z", "2029-02-28T23:00:00Z"},
		{"now/d-1M", "2028-03-31T12:00:00Z", warsaw, "2028-02-28T23:00:00Z", "2028-02-29T23:00:00Z"},
		// Before the slash a day is 24 hours, after it a day of the calendar: of 23 hours on 28 March …
		{"now/d", "2027-03-28T12:00:00Z", warsaw, "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"},
		{"now-1d/d", "2027-03-28T22:30:00Z", warsaw, "2027-03-26T23:00:00Z", "2027-03-27T23:00:00Z"},
		{"now/d-1d", "2027-03-28T22:30:00Z", warsaw, "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"},
		{"now/d+24h", "2027-03-28T12:00:00Z", warsaw, "2027-03-28T23:00:00Z", "2027-03-28T23:00:00.000001Z"},
		// … and of 25 hours on 31 October.
		{"now-1d/d", "2027-10-31T22:30:00Z", warsaw, "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"},
		{"now/d-1d", "2027-10-31T22:30:00Z", warsaw, "2027-10-29T22:00:00Z", "2027-10-30T22:00:00Z"},
		// Whole months before a month are those of the calendar: that of a day which it does not have too.
		{"now-1M/M", "2027-05-31T12:00:00Z", warsaw, "2027-03-31T22:00:00Z", "2027-04-30T22:00:00Z"},
		{"now+1M/M", "2027-01-30T23:30:00Z", warsaw, "2027-01-31T23:00:00Z", "2027-02-28T23:00:00Z"},
		{"now-1y/M", "2028-02-29T12:00:00Z", warsaw, "2027-01-31T23:00:00Z", "2027-02-28T23:00:00Z"},
		{"now-1M/y", "2027-01-15T12:00:00Z", warsaw, "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"},
		{"now/M+1M", "2027-01-30T23:30:00Z", warsaw, "2027-01-31T23:00:00Z", "2027-02-28T23:00:00Z"},
		// Where the clocks skip midnight or a whole day, and where midnight comes twice.
		{"now/d", "2023-10-01T12:00:00Z", "America/Asuncion", "2023-10-01T04:00:00Z", "2023-10-02T03:00:00Z"},
		{"now/d+1d", "2011-12-30T09:00:00Z", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"},
		{"now/d", "2023-11-05T05:30:00Z", "America/Havana", "2023-11-05T04:00:00Z", "2023-11-06T05:00:00Z"},
		{"now/d", "2010-11-07T02:35:00Z", "America/St_Johns", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"}, // 23:05 again
	} {
		t.Run(tt.math+" at "+tt.now+" in "+strings.ReplaceAll(tt.zone, "/", " "), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, Span{moment(t, tt.from), moment(t, tt.to)}, spanOf(t, tt.math, tt.now, tt.zone))
		})
	}
}

func spanOf(t *testing.T, math, now, zone string) Span {
	t.Helper()
	m, err := parseMath(math)
	require.NoError(t, err)
	location, err := LoadZone(zone)
	require.NoError(t, err)
	s := m.span(moment(t, now), location)
	return Span{s.From.UTC(), s.To.UTC()}
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

func TestAnAmountOfTimeIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "15m": 15 * time.Minute, "8h": 8 * time.Hour, "7d": 168 * time.Hour, "2w": 336 * time.Hour,
		"1d12h": 36 * time.Hour, "12h1d": 36 * time.Hour, "36600d": century,
	} {
		got, err := parseWithin(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestAnAmountOfTimeIsRefused(t *testing.T) {
	t.Parallel()
	for text, message := range map[string]string{
		"7": "is not an amount", "d": "is not an amount", "7 d": "is not an amount", "-7d": "is not an amount", "1.5d": "is not an amount",
		"1M": "is not an amount", "1y": "is not an amount", "now-7d": "is not an amount", "7d\n": "is not an amount",
		"0d": "is no time at all", "0w0s": "is no time at all",
		"36601d": "is longer than a hundred years", "36600d1s": "is longer than a hundred years",
		"99999999999999999999s": "is longer than a hundred years",
	} {
		_, err := parseWithin(text)
		require.ErrorContains(t, err, fmt.Sprintf("%q %s", text, message))
	}
}

// maths draws date math that goes a few years away.
func maths() *rapid.Generator[string] {
	amounts := rapid.Map(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		unit := rapid.SampledFrom([]byte("smhdwMy")).Draw(t, "unit")
		most := map[byte]int{'s': 100_000, 'm': 5_000, 'h': 100, 'd': 500, 'w': 60, 'M': 30, 'y': 5}[unit]
		return fmt.Sprintf("%+d%c", rapid.IntRange(-most, most).Draw(t, "amount"), unit)
	}), 0, 3), func(parts []string) string { return strings.Join(parts, "") })
	return rapid.Custom(func(t *rapid.T) string {
		text := "now" + amounts.Draw(t, "before")
		if rapid.IntRange(0, 3).Draw(t, "has a slash") > 0 {
			text += "/" + rapid.SampledFrom([]string{"d", "w", "M", "y"}).Draw(t, "slash") + amounts.Draw(t, "after")
		}
		return text
	})
}

// moments draws instants, many of them where the clocks or the calendar do something.
func moments() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		at := rapid.SampledFrom(oddities).Draw(t, "around").at
		by := rapid.OneOf(rapid.IntRange(-5, 5), rapid.IntRange(-1e7, 1e7), rapid.IntRange(-1e12, 1e12), rapid.IntRange(-1e14, 1e14)).Draw(t, "off by")
		return at.Add(time.Duration(by) * Resolution)
	})
}

func TestDateMathNeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, err := parseMath(maths().Draw(t, "math"))
		require.NoError(t, err)
		zone, now := oddZone(rapid.SampledFrom(oddZones).Draw(t, "zone")), moments().Draw(t, "now")
		if rapid.Bool().Draw(t, "where something odd happens") {
			odd := rapid.SampledFrom(oddities).Draw(t, "around")
			zone, now = oddZone(odd.zone), odd.at.Add(-time.Duration(rapid.IntRange(0, 1e10).Draw(t, "before"))*Resolution)
		}
		before := m.span(now, zone)
		for range 20 {
			now = now.Add(time.Duration(rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 1e10), rapid.IntRange(0, 1e12)).Draw(t, "later")) * Resolution)
			after := m.span(now, zone)
			require.False(t, after.From.Before(before.From), "from goes back at %v", now)
			require.False(t, after.To.Before(before.To), "to goes back at %v", now)
			require.False(t, after.To.Before(after.From), "it ends before it begins at %v", now)
			require.False(t, after.To.After(now.Add(m.lead())), "it reaches further ahead of %v than it says", now)
			before = after
		}
	})
}

func TestDateMathNeverGoesBackWhereTheClocksDo(t *testing.T) {
	t.Parallel()
	for _, odd := range oddities {
		zone := oddZone(odd.zone)
		for _, math := range []string{"now/d", "now-1h/d+1d", "now/w", "now+1M", "now-1y/M"} {
			m, err := parseMath(math)
			require.NoError(t, err)
			var before Span
			for minutes := -36 * 60; minutes < 36*60; minutes += 7 {
				now := odd.at.Add(time.Duration(minutes) * time.Minute)
				after := m.span(now, zone)
				require.False(t, after.From.Before(before.From) || after.To.Before(before.To), "%s goes back at %v in %s", math, now, zone)
				before = after
			}
		}
	}
}

func TestDateMathIsTheSameInWhateverZoneNowIsGiven(t *testing.T) {
	t.Parallel()
	m, err := parseMath("now-1M")
	require.NoError(t, err)
	now := moment(t, "2027-03-28T22:30:00Z") // 29 March in Warsaw
	for _, zone := range []string{"UTC", "Europe/Warsaw", "America/Havana"} {
		require.Equal(t, instant(moment(t, "2027-02-28T22:30:00Z")), m.span(now.In(oddZone(zone)), time.UTC), zone)
	}
}

func TestTheLeadHoldsWhereTheCalendarIsLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ math, now, zone string }{
		{"now/d", "2027-10-30T22:00:00Z", "Europe/Warsaw"}, // a day of 25 hours
		{"now/w", "2027-10-24T22:00:00Z", "Europe/Warsaw"},
		{"now/M", "2027-09-30T22:00:00Z", "Europe/Warsaw"},
		{"now/y", "2027-12-31T23:00:00Z", "Europe/Warsaw"},
		{"now/d", "2010-11-07T02:30:00Z", "America/St_Johns"},
		{"now-1M/M", "2027-04-01T00:00:00Z", "UTC"},
		{"now-1M/d", "2027-03-29T00:00:00Z", "UTC"},
		{"now-1y", "2028-02-29T00:00:00Z", "UTC"},
		{"now/d-1M", "2027-02-28T00:00:00Z", "UTC"},
	} {
		t.Run(tt.math+" at "+tt.now, func(t *testing.T) {
			t.Parallel()
			m, err := parseMath(tt.math)
			require.NoError(t, err)
			now := moment(t, tt.now)
			require.False(t, m.span(now, oddZone(tt.zone)).To.After(now.Add(m.lead())))
		})
	}
}

func TestTheLeadOfWhatLiesBehindIsNegative(t *testing.T) {
	t.Parallel()
	for math, behind := range map[string]bool{"now": false, "now-1s": true, "now-30d": true, "now/d": false, "now-7d/d": true, "now/y-2y": true, "now-6M": true} {
		m, err := parseMath(math)
		require.NoError(t, err)
		require.Equal(t, behind, m.lead() < 0, math)
	}
}
