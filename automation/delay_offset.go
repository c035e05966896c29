package automation

import (
	"encoding"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rollcall/strictjson"
)

// Offset is how long before or after a date something is, as an author writes it: "-2d", "3h", "1w",
// "-1d12h". Days and weeks are days of the calendar, which have 23 to 25 hours; hours, minutes and
// seconds come on top. Both parts have one sign.
type Offset struct {
	Days int           // of the calendar
	Time time.Duration // that passes
}

const maxOffsetDays = int(MaxDuration / wholeDay)

var (
	offsetText = regexp.MustCompile(`^[+-]?(\d{1,9}[wdhms])+$`)
	errOffset  = errors.New("an offset is an amount of time with or without a sign, such as -2d, 3h or 1w, at most ten years")
)

// DecodeJSON reads the text form, or the number 0.
func (o *Offset) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	decodeOffset(v, pointer, p, o)
}

// decodeOffset reads an offset from its text form, or the number 0.
func decodeOffset(v any, pointer string, p *strictjson.Problems, into encoding.TextUnmarshaler) {
	text, _ := v.(string)
	if f, ok := v.(float64); ok && f == 0 {
		text = "0"
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		p.Add(pointer, "offset-out-of-range", "%s", err)
	}
}

// UnmarshalText reads the text form.
func (o *Offset) UnmarshalText(text []byte) error {
	*o = Offset{}
	if string(text) == "0" {
		return nil
	}
	if !offsetText.Match(text) {
		return errOffset
	}
	var sum Offset
	for _, part := range durationPart.FindAllStringSubmatch(string(text), -1) {
		unit := units[part[2]]
		n, err := strconv.Atoi(part[1])
		if err != nil || n > int(MaxDuration/unit) {
			return errOffset
		}
		if unit >= wholeDay {
			sum.Days += n * int(unit/wholeDay)
		} else {
			sum.Time += time.Duration(n) * unit
		}
		if !sum.inRange() {
			return errOffset
		}
	}
	if text[0] == '-' {
		sum = Offset{-sum.Days, -sum.Time}
	}
	*o = sum
	return nil
}

func (o Offset) inRange() bool {
	days, rest := max(o.Days, -o.Days), max(o.Time, -o.Time)
	return days <= maxOffsetDays && rest <= MaxDuration-time.Duration(days)*wholeDay
}

// String writes the text that UnmarshalText reads as the same offset.
func (o Offset) String() string {
	if o.Days < 0 || o.Time < 0 {
		return "-" + Offset{-o.Days, -o.Time}.String()
	}
	days := time.Duration(o.Days) * wholeDay
	switch {
	case o.Time == 0:
		return Duration(days).String()
	case o.Time < wholeDay:
		return Duration(days + o.Time).String()
	}
	// The hours are not to turn into days.
	hours := o.Time / time.Hour
	text := strconv.Itoa(int(hours)) + "h"
	if o.Days > 0 {
		text = strconv.Itoa(o.Days) + "d" + text
	}
	if rest := o.Time % time.Hour; rest > 0 {
		text += Duration(rest).String()
	}
	return text
}

// MarshalText writes the text form.
func (o Offset) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// words go before what the offset is counted from: "2d before ", or nothing.
func (o Offset) words() string {
	text, before := strings.CutPrefix(o.String(), "-")
	switch {
	case o == Offset{}:
		return ""
	case before:
		return text + " before "
	default:
		return text + " after "
	}
}
