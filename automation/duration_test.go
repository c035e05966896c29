package automation_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		want   time.Duration
		writes string
	}{
		{"0", 0, "0"},
		{"0s", 0, "0"},
		{"1s", time.Second, "1s"},
		{"90s", 90 * time.Second, "1m30s"},
		{"60m", time.Hour, "1h"},
		{"8h", 8 * time.Hour, "8h"},
		{"24h", 24 * time.Hour, "1d"},
		{"1d12h", 36 * time.Hour, "1d12h"},
		{"12h1d", 36 * time.Hour, "1d12h"},
		{"7d", 7 * 24 * time.Hour, "1w"},
		{"14d", 14 * 24 * time.Hour, "2w"},
		{"15d", 15 * 24 * time.Hour, "15d"},
		{"2w1s", 14*24*time.Hour + time.Second, "14d1s"},
		{"1w1w", 14 * 24 * time.Hour, "2w"},
		{"007d", 7 * 24 * time.Hour, "1w"},
		{"3660d", 10 * 366 * 24 * time.Hour, "3660d"},
		{"316224000s", 10 * 366 * 24 * time.Hour, "3660d"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			got, err := automation.ParseDuration(tt.text)
			require.NoError(t, err)
			require.Equal(t, automation.Duration(tt.want), got)
			require.Equal(t, tt.writes, got.String())
		})
	}
}

func TestParseDurationRefuses(t *testing.T) {
	t.Parallel()
	const odd, long = " is not an amount of time such as 90s, 15m, 8h, 3d or 2w", " is longer than ten years"
	for _, tt := range []struct{ name, text, problem string }{
		{"nothing", "", odd},
		{"a number without a unit", "3", odd},
		{"a unit without a number", "d", odd},
		{"a sign", "-1d", odd},
		{"a plus", "+1d", odd},
		{"a fraction", "0.5s", odd},
		{"a space", "1d 12h", odd},
		{"a line break at the end", "1d\n", odd},
		{"a capital", "1D", odd},
		{"a month", "1mo", odd},
		{"milliseconds", "5ms", odd},
		{"digits of another script", "٣d", odd},
		{"the form of ISO 8601", "P1D", odd},
		{"a second more than ten years", "3660d1s", long},
		{"more weeks than ten years", "523w", long},
		{"a number beyond 64 bits", "9223372036854775808s", long},
		{"a sum beyond 64 bits", strings.Repeat("3660d", 30), long},
		{"a sum beyond 64 bits that comes round to little", strings.Repeat("3660d", 59), long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := automation.ParseDuration(tt.text)
			require.ErrorContains(t, err, tt.problem)
			require.Zero(t, got)
		})
	}
}

func TestDurationsAreTextInJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(map[string]automation.Duration{"after": automation.Duration(36 * time.Hour)})
	require.NoError(t, err)
	require.JSONEq(t, `{"after": "1d12h"}`, string(text))
	var back map[string]automation.Duration
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, automation.Duration(36*time.Hour), back["after"])
	require.Error(t, json.Unmarshal([]byte(`{"after": "soon"}`), &back))
}
