package filter

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzMath reads texts as date math. What they stand for is a span that never goes back when time goes
// on, and never lies further ahead than it says.
func FuzzMath(f *testing.F) {
	for _, text := range []string{
		"now", "now-30d", "now+0s", "now/d", "now-1w/w", "now-1M/M+1d", "now/y-1d", "now+1y-2M+3w-4d+5h-6m+7s", "now/d+8h", "now-1M", "now/M+1M-1d",
		"now/d-100y", "nowhere", "NOW", "now--1d", "now/h", "now-30d/", "now\n", "now+99999999999999999999s", "now+51y/y+50y", "now+60y-60y", "now/w-0s",
		"now" + strings.Repeat("+0M", 16), "now-३d",
	} {
		f.Add(text, int64(1_799_000_000_000_000), int64(3_600_000_000), "Europe/Warsaw")
	}
	f.Add("now-1M/M+1d", int64(1_325_200_000_000_000), int64(1), "Pacific/Apia")
	f.Add("now/d", int64(1_604_203_199_999_999), int64(1), "America/Havana")
	f.Fuzz(func(t *testing.T, text string, at, later int64, zone string) {
		m, err := parseMath(text)
		if err != nil {
			require.Less(t, len(err.Error()), 2000)
			return
		}
		require.LessOrEqual(t, len(m.before)+len(m.after), maxAmounts)
		in, err := LoadZone(zone)
		if err != nil {
			in = time.UTC
		}
		const centuries = 200 * 365 * 24 * 3600 * 1_000_000
		now := time.UnixMicro(at % centuries)
		then := now.Add(time.Duration(max(later, -later)%(100*24*3600*1_000_000)) * time.Microsecond)
		if then.Before(now) {
			return
		}
		a, b := m.span(now, in), m.span(then, in)
		require.False(t, a.To.Before(a.From), "%v ends before it begins", a)
		require.False(t, b.From.Before(a.From), "at %v it begins at %v, at %v before that, at %v", now, a.From, then, b.From)
		require.False(t, b.To.Before(a.To), "at %v it ends at %v, at %v before that, at %v", now, a.To, then, b.To)
		require.False(t, a.To.After(now.Add(m.lead())), "at %v it ends at %v, later than it says", now, a.To)
	})
}

// FuzzWithin reads texts as how far back an event may lie. Twice the text is twice the time.
func FuzzWithin(f *testing.F) {
	for _, text := range []string{"15m", "8h", "7d", "2w", "1d12h", "0s", "", "7", "-7d", "1y", "7D", "99999999999999999999s", "5218w", "5229w", "1d\n", "१d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseWithin(text)
		if err != nil {
			require.Less(t, len(err.Error()), 2000)
			return
		}
		require.Positive(t, d)
		require.LessOrEqual(t, d, century)
		twice, err := parseWithin(text + text)
		if 2*d > century {
			require.ErrorContains(t, err, "longer than a hundred years")
			return
		}
		require.NoError(t, err)
		require.Equal(t, 2*d, twice)
	})
}
