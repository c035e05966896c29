package automation

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"rollcall/strictjson"
)

const (
	monthDay   = "01-02"
	anyWeekday = time.Weekday(-1)
	lastOne    = -1 // of the days, or of such weekdays, of a month
)

var (
	monthDayText = regexp.MustCompile(`^\d\d-\d\d$`)
	ordinals     = map[string]int{"first": 1, "second": 2, "third": 3, "fourth": 4, "last": lastOne}
)

// dayRule is a ScheduleDay that was read. What is zero does not matter.
type dayRule struct {
	month   time.Month
	day     int          // of the month; or lastOne
	week    int          // which such weekday of its month, from 1; or lastOne
	weekday time.Weekday // or anyWeekday
}

// dayError says why a ScheduleDay cannot be read.
type dayError struct{ code, message string }

func (e *dayError) Error() string { return e.message }

// rule reads a day of the schedule. The error is a *dayError.
func (s Schedule) rule(d ScheduleDay) (dayRule, error) {
	switch s.Every {
	case EveryWeek:
		weekday, err := parseWeekday(string(d))
		return dayRule{weekday: weekday}, err
	case EveryMonth:
		return d.ofMonth()
	default:
		return d.ofYear()
	}
}

func (d ScheduleDay) ofMonth() (dayRule, error) {
	if d == "last" {
		return dayRule{day: lastOne, weekday: anyWeekday}, nil
	}
	if n, ok := d.number(); ok {
		if n < 1 || n > 31 {
			return dayRule{}, &dayError{"day-out-of-range", fmt.Sprintf("a month has no day %d", n)}
		}
		return dayRule{day: n, weekday: anyWeekday}, nil
	}
	which, name, _ := strings.Cut(string(d), " ")
	week, ok := ordinals[which]
	if !ok {
		return dayRule{}, &dayError{"invalid-day", `a day of a month is a number from 1 to 31, last, or such as "first monday", "fourth friday" and "last sunday"`}
	}
	weekday, err := parseWeekday(name)
	return dayRule{week: week, weekday: weekday}, err
}

func (d ScheduleDay) ofYear() (dayRule, error) {
	if !monthDayText.MatchString(string(d)) {
		return dayRule{}, &dayError{"invalid-day", `a day of a year is its month and day, such as "01-16"`}
	}
	day, err := time.Parse(monthDay, string(d)) // in the year 0, which has a 29 February
	if err != nil {
		return dayRule{}, &dayError{"day-out-of-range", fmt.Sprintf("no year has the day %s", d)}
	}
	return dayRule{month: day.Month(), day: day.Day(), weekday: anyWeekday}, nil
}

func parseWeekday(name string) (time.Weekday, error) {
	for w := time.Sunday; w <= time.Saturday; w++ {
		if name == strings.ToLower(w.String()) {
			return w, nil
		}
	}
	return 0, &dayError{"unknown-weekday", fmt.Sprintf("there is no weekday %q; they are monday to sunday", strictjson.Short(name))}
}

// holds says whether a date, given as if it were UTC, is such a day.
func (r dayRule) holds(on time.Time, skipMissing bool) bool {
	y, m, d := on.Date()
	switch {
	case r.month != 0:
		return falls(r.month, r.day, on, skipMissing)
	case r.day == lastOne:
		return d == daysIn(y, m)
	case r.day != 0:
		return d == r.day
	case r.weekday != on.Weekday():
		return false
	case r.week == lastOne:
		return d+7 > daysIn(y, m)
	default:
		return r.week == 0 || r.week == (d-1)/7+1
	}
}

// words names a day of the schedule: "Monday", "the first Monday", "day 15" or "16 January".
func (s Schedule) words(d ScheduleDay) string {
	r, err := s.rule(d)
	switch {
	case err != nil:
		return string(d)
	case r.month == time.February && r.day == 29 && s.SkipMissing:
		return "29 February (leap years only)"
	case r.month == time.February && r.day == 29:
		return "29 February (28 February in other years)"
	case r.month != 0:
		return fmt.Sprintf("%d %s", r.day, r.month)
	case r.day == lastOne:
		return "the last day"
	case r.day != 0:
		return fmt.Sprintf("day %d", r.day)
	case r.week != 0:
		which, _, _ := strings.Cut(string(d), " ")
		return fmt.Sprintf("the %s %s", which, r.weekday)
	default:
		return r.weekday.String()
	}
}
