package filter

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"time"

	"rollcall/strictjson"
)

// Resolution is the smallest difference of two instants that a filter tells apart.
const Resolution = time.Microsecond

// Span is the time that a date, a week or an instant stands for: [From, To). It is empty for a
// date that a zone skipped.
type Span struct{ From, To time.Time }

func instant(at time.Time) Span { return Span{at, at.Add(Resolution)} }

// dateMath is an instant or a stretch of the calendar that moves with now: "now-30d", "now/d",
// "now-1M/M", "now/d+1d". Amounts before the slash are of absolute time, where a day is 24 hours and
// months are counted in UTC. The slash goes back to the beginning of the day, the week (Monday), the
// month or the year in the zone; amounts after it are those of the calendar, and so are whole months
// before "/M" and whole years before "/M" or "/y".
//
// Such an instant never goes back when now goes on, which is what the flip clock rests on.
type dateMath struct {
	before []amount
	snap   byte // 0 where there is no slash
	after  []amount
}

type amount struct {
	n    int
	unit byte // s, m, h, d, w, M or y
}

var (
	mathText   = regexp.MustCompile(`^now((?:[+-]\d+[smhdwMy])*)(?:/([dwMy])((?:[+-]\d+[smhdwMy])*))?$`)
	amountText = regexp.MustCompile(`([+-]\d+)([smhdwMy])`)
	lengths    = map[byte]time.Duration{
		's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
		'M': 31 * 24 * time.Hour, 'y': 366 * 24 * time.Hour, // at most
	}
)

const (
	century    = 100 * 366 * 24 * time.Hour
	maxAmounts = 16
	mathSyntax = "date math is such as now, now-30d, now/d or now-1w/w; units are s, m, h, d, w, M and y"
)

func parseMath(s string) (*dateMath, error) {
	parts, named := mathText.FindStringSubmatch(s), strictjson.Short(s)
	if parts == nil {
		return nil, fmt.Errorf("%q is no date math: %s", named, mathSyntax)
	}
	m := &dateMath{}
	if parts[2] != "" {
		m.snap = parts[2][0]
	}
	var sum time.Duration
	for _, list := range []struct {
		text string
		into *[]amount
	}{{parts[1], &m.before}, {parts[3], &m.after}} {
		for _, a := range amountText.FindAllStringSubmatch(list.text, -1) {
			n, err := strconv.Atoi(a[1])
			unit := a[2][0]
			if limit := int(century / lengths[unit]); err != nil || n > limit || n < -limit {
				return nil, fmt.Errorf("%q goes further than a hundred years", named)
			}
			if sum += time.Duration(max(n, -n)) * lengths[unit]; sum > century {
				return nil, fmt.Errorf("%q goes further than a hundred years", named)
			}
			into := list.into
			if unit == 'y' && m.snap == 'y' || m.snap == 'M' && (unit == 'M' || unit == 'y') {
				into = &m.after // the month before is meant, also of a day that it does not have
			}
			if *into = append(*into, amount{n, unit}); len(m.before)+len(m.after) > maxAmounts {
				return nil, fmt.Errorf("%q adds up more than %d amounts", named, maxAmounts)
			}
		}
	}
	return m, nil
}

// ofDay reports whether the math names a time of a day and not the whole of it.
func (m *dateMath) ofDay() bool {
	return m.snap == 0 || slices.ContainsFunc(m.after, func(a amount) bool { return lengths[a.unit] < lengths['d'] })
}

// span is what the math stands for at an instant: with a slash the whole of the smallest unit named
// from it on, else an instant.
func (m *dateMath) span(now time.Time, zone *time.Location) Span {
	at := now
	for _, a := range m.before {
		at = a.from(at)
	}
	if m.snap == 0 {
		return instant(at)
	}
	first, unit := floor(dayOf(at, zone), m.snap), m.snap
	var exact time.Duration
	for _, a := range m.after {
		switch a.unit {
		case 's', 'm', 'h':
			exact += time.Duration(a.n) * lengths[a.unit]
		default:
			first = first.shift(a)
			if lengths[a.unit] < lengths[unit] {
				unit = a.unit
			}
		}
	}
	if exact != 0 {
		return instant(first.begins(zone).Add(exact))
	}
	return Span{first.begins(zone), first.shift(amount{1, unit}).begins(zone)}
}

// from goes an amount of absolute time away from an instant. Where the month is too short for the
// day, that is the month's end.
func (a amount) from(at time.Time) time.Time {
	months := a.n
	switch a.unit {
	case 'y':
		months *= 12
	case 'M':
	default:
		return at.Add(time.Duration(a.n) * lengths[a.unit])
	}
	at = at.UTC()
	moved := at.AddDate(0, months, 0)
	if moved.Day() != at.Day() {
		return time.Date(moved.Year(), moved.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	return moved
}

func (d day) shift(a amount) day {
	switch a.unit {
	case 'w':
		return d.plus(7 * a.n)
	case 'M':
		return d.plusMonths(a.n)
	case 'y':
		return d.plusMonths(12 * a.n)
	default:
		return d.plus(a.n)
	}
}

// floor is the first day of the week, month or year of a date.
func floor(d day, unit byte) day {
	y, m, _ := d.Date()
	switch unit {
	case 'w':
		return d.plus(-int(d.Weekday()+6) % 7)
	case 'M':
		return civil(y, m, 1)
	case 'y':
		return civil(y, time.January, 1)
	default:
		return d
	}
}

// lead is at most how far the math's span reaches ahead of now. It is negative where the span always
// lies behind.
func (m *dateMath) lead() time.Duration {
	var sum time.Duration
	calendar := m.snap != 0
	for _, a := range append(append([]amount{}, m.before...), m.after...) {
		length := lengths[a.unit]
		calendar = calendar || a.unit == 'M' || a.unit == 'y'
		if a.n < 0 {
			switch a.unit { // at least
			case 'M':
				length = 28 * 24 * time.Hour
			case 'y':
				length = 365 * 24 * time.Hour
			}
		}
		sum += time.Duration(a.n) * length
	}
	if m.snap != 0 {
		sum += lengths[m.snap]
	}
	if calendar {
		sum += 4 * 24 * time.Hour // months of different length, changes of clocks, skipped dates
	}
	return sum + Resolution
}

// passes is the first instant after now at which a boundary that moves with time, never back, lies
// after a fixed instant that it does not lie after now. It is at most a century away; what takes
// longer is said to happen then.
func passes(boundary func(now time.Time) time.Time, fixed, now time.Time) time.Time {
	distance := fixed.Sub(boundary(now))
	if distance > century {
		return now.Add(century)
	}
	low, high := now, now.Add(distance)
	for !boundary(high).After(fixed) {
		low, high = high, high.Add(32*24*time.Hour)
	}
	steps := sort.Search(int(high.Sub(low)/Resolution), func(i int) bool {
		return boundary(low.Add(time.Duration(i) * Resolution)).After(fixed)
	})
	return low.Add(time.Duration(steps) * Resolution)
}

// parseWithin reads how far back an event may lie, such as 7d or 1d12h.
func parseWithin(s string) (time.Duration, error) {
	named := strictjson.Short(s)
	if !withinText.MatchString(s) {
		return 0, fmt.Errorf("%q is not an amount of time such as 15m, 8h, 7d or 2w", named)
	}
	var sum time.Duration
	for _, part := range withinPart.FindAllStringSubmatch(s, -1) {
		n, err := strconv.Atoi(part[1])
		unit := lengths[part[2][0]]
		if err != nil || n > int(century/unit) {
			return 0, fmt.Errorf("%q is longer than a hundred years", named)
		}
		if sum += time.Duration(n) * unit; sum > century {
			return 0, fmt.Errorf("%q is longer than a hundred years", named)
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("%q is no time at all", named)
	}
	return sum, nil
}

var (
	withinText = regexp.MustCompile(`^(\d+[wdhms])+$`)
	withinPart = regexp.MustCompile(`(\d+)([wdhms])`)
)
