package automation

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rollcall/strictjson"
)

// MaxDuration is the longest amount of time a definition may name.
const MaxDuration = 10 * 366 * 24 * time.Hour

// Duration is an amount of time that an author writes as a whole number with a unit, or several
// of them: "90s", "15m", "8h", "3d", "2w", "1y", "1d12h". A day is 24 hours, a year 365 days.
type Duration time.Duration

var (
	durationText = regexp.MustCompile(`^(\d+[ywdhms])+$`)
	durationPart = regexp.MustCompile(`(\d+)([ywdhms])`)

	units = map[string]time.Duration{
		"y": 365 * wholeDay, "w": 7 * wholeDay, "d": wholeDay, "h": time.Hour, "m": time.Minute, "s": time.Second,
	}
)

// ParseDuration reads an amount of time.
func ParseDuration(s string) (Duration, error) {
	if s == "0" {
		return 0, nil
	}
	named := strictjson.Short(s)
	if !durationText.MatchString(s) {
		return 0, fmt.Errorf("%q is not an amount of time such as 90s, 15m, 8h, 3d or 2w", named)
	}
	var sum time.Duration
	for _, part := range durationPart.FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil || n > int64(MaxDuration/units[part[2]]) {
			return 0, fmt.Errorf("%q is longer than ten years", named)
		}
		if sum += time.Duration(n) * units[part[2]]; sum > MaxDuration {
			return 0, fmt.Errorf("%q is longer than ten years", named)
		}
	}
	return Duration(sum), nil
}

// DecodeJSON reads the text form.
func (d *Duration) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	if f, ok := v.(float64); ok && f == 0 {
		*d = 0
		return
	}
	s, ok := v.(string)
	if !ok {
		p.Add(pointer, "delay-out-of-range", "an amount of time is a text such as 90s, 15m, 8h, 3d or 2w")
		return
	}
	parsed, err := ParseDuration(s)
	if err != nil {
		p.Add(pointer, "delay-out-of-range", "%s", err)
		return
	}
	*d = parsed
}

// String writes the text that ParseDuration reads as the same amount, in the largest units: "1d12h"
// for 36 hours. Weeks stand alone: "2w", but "15d".
func (d Duration) String() string {
	if d == 0 {
		return "0"
	}
	var s strings.Builder
	rest := time.Duration(d)
	for _, unit := range []string{"w", "d", "h", "m", "s"} {
		size := units[unit]
		if unit == "w" && rest%size != 0 {
			continue
		}
		if n := rest / size; n > 0 {
			s.WriteString(strconv.FormatInt(int64(n), 10) + unit)
			rest -= n * size
		}
	}
	return s.String()
}

// MarshalText writes the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	*d = parsed
	return err
}
