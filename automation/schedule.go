package automation

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rollcall/filter"
	"rollcall/strictjson"
)

// MaxDayOffset is how many days before or after a date a schedule may fire.
const MaxDayOffset = 366

// Every is how often a schedule comes round.
type Every string

// The periods of a schedule. There is none below a day.
const (
	EveryDay   Every = "day"
	EveryWeek  Every = "week"
	EveryMonth Every = "month"
	EveryYear  Every = "year"
)

// Schedule says when the calendar enrolls: exactly one of Every, Once and Property is set.
type Schedule struct {
	Every       Every         `json:"every,omitempty"`        // day, week, month or year
	On          []ScheduleDay `json:"on,omitempty"`           // the days of the week, the month or the year
	Once        string        `json:"once,omitempty"`         // one date, such as 2027-01-04
	Property    string        `json:"property,omitempty"`     // a date on the user's record
	Yearly      bool          `json:"yearly,omitempty"`       // on the anniversaries of that date, too
	Offset      DayOffset     `json:"offset,omitzero"`        // days before that date (-7d) or after it (7d)
	At          string        `json:"at"`                     // the local time, such as 09:00
	TimeZone    string        `json:"time_zone,omitempty"`    // IANA name; the workflow's where left out
	SkipMissing bool          `json:"skip_missing,omitempty"` // 29 February in leap years only, not on the 28th in others
}

// Zone is where the schedule reads its local times: its own time zone, else the workflow's.
func (s Schedule) Zone(workflow *time.Location) *time.Location {
	if zone, err := filter.LoadZone(s.TimeZone); err == nil {
		return zone
	}
	return workflow
}

// String says in words when the schedule fires, such as "every week on Monday and Thursday at 09:00".
func (s Schedule) String() string {
	var what string
	switch {
	case s.Once != "":
		what = "once on " + s.Once
		if day, err := time.Parse(time.DateOnly, s.Once); err == nil {
			what = "once on " + day.Format("2 January 2006")
		}
	case s.Property != "":
		what = s.Offset.words() + s.Property
		if s.Yearly {
			what = "every year " + what
		}
	default:
		what = "every " + string(s.Every)
		days := make([]string, len(s.On))
		for i, d := range s.On {
			days[i] = s.words(d)
		}
		if len(days) > 0 {
			what += " on " + inWords(days)
		}
	}
	what += " at " + s.At
	if s.TimeZone != "" {
		what += " (" + s.TimeZone + ")"
	}
	return what
}

func inWords(items []string) string {
	last := len(items) - 1
	if last == 0 {
		return items[0]
	}
	return strings.Join(items[:last], ", ") + " and " + items[last]
}

// ScheduleDay is one day on which a schedule fires, as its author writes it. In a week it is the name
// of a weekday; in a month a number, "last", or a weekday with "first" to "fourth" or "last" before
// it; in a year a month and a day, such as "01-16". In JSON the days of a month are numbers.
type ScheduleDay string

// DecodeJSON reads a text or a whole number.
func (d *ScheduleDay) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	switch v := v.(type) {
	case string:
		*d = ScheduleDay(v)
	case float64:
		if v != math.Trunc(v) || math.Abs(v) >= 1<<53 {
			p.Add(pointer, "wrong-type", "a day must be a text or a whole number")
			return
		}
		*d = ScheduleDay(strconv.Itoa(int(v)))
	default:
		p.Add(pointer, "wrong-type", "a day must be a text or a whole number, is %s", strictjson.TypeName(v))
	}
}

// MarshalJSON writes the form that DecodeJSON reads.
func (d ScheduleDay) MarshalJSON() ([]byte, error) {
	if n, ok := d.number(); ok && n >= 1 && n <= 31 {
		return json.Marshal(n)
	}
	return json.Marshal(string(d))
}

// UnmarshalJSON reads a day that was stored by MarshalJSON.
func (d *ScheduleDay) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*d = ScheduleDay(s)
		return nil
	}
	var n int
	err := json.Unmarshal(data, &n)
	*d = ScheduleDay(strconv.Itoa(n))
	return err
}

// number reads a day of the month, which has one spelling only.
func (d ScheduleDay) number() (int, bool) {
	n, err := strconv.Atoi(string(d))
	return n, err == nil && strconv.Itoa(n) == string(d)
}

// DayOffset is a number of whole days, of the calendar, that an author writes as "-7d" or "7d".
type DayOffset int

var (
	dayOffsetText = regexp.MustCompile(`^[+-]?\d{1,6}d$`)
	errDayOffset  = fmt.Errorf("an offset is a number of whole days such as -7d, at most %d", MaxDayOffset)
)

// DecodeJSON reads the text form, or the number 0.
func (o *DayOffset) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	decodeOffset(v, pointer, p, o)
}

// UnmarshalText reads the text form.
func (o *DayOffset) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*o = 0
		return nil
	}
	if !dayOffsetText.Match(text) {
		return errDayOffset
	}
	n, err := strconv.Atoi(strings.TrimSuffix(string(text), "d"))
	*o = DayOffset(n)
	return err
}

// MarshalText writes the text form.
func (o DayOffset) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(int(o)) + "d"), nil }

func (o DayOffset) words() string {
	n, unit, side := int(o), "days", "after"
	if n == 0 {
		return "on "
	}
	if n < 0 {
		n, side = -n, "before"
	}
	if n == 1 {
		unit = "day"
	}
	return fmt.Sprintf("%d %s %s ", n, unit, side)
}

var clockTime = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d$`)

// Validate adds all that is wrong with a schedule that stands at a pointer, against the properties
// that users have. The other methods take a schedule with which nothing is wrong.
func (s Schedule) Validate(at string, p *strictjson.Problems, properties Properties) {
	if !clockTime.MatchString(s.At) {
		p.Add(at+"/at", "invalid-time", `a schedule has an "at", a time from 00:00 to 23:59 such as 09:00`)
	}
	if s.TimeZone != "" {
		if _, err := filter.LoadZone(s.TimeZone); err != nil {
			p.Add(at+"/time_zone", "unknown-time-zone", "there is no time zone %q; use a name such as Europe/Warsaw", s.TimeZone)
		}
	}
	if s.Every != "" {
		s.validateEvery(at, p)
	}
	if s.Once != "" {
		if _, err := time.Parse(time.DateOnly, s.Once); err != nil {
			p.Add(at+"/once", "invalid-date", "must be a date such as 2027-01-04")
		}
	}
	if s.Property != "" {
		s.validateProperty(at, p, properties)
	}
	kinds := 0
	for _, set := range []bool{s.Every != "", s.Once != "", s.Property != ""} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		p.Add(at, "schedule-invalid", `a schedule has exactly one of "every", "once" and "property"`)
		return
	}
	s.validateExtras(at, p)
}

// validateExtras refuses members that the kind of schedule has no use for.
func (s Schedule) validateExtras(at string, p *strictjson.Problems) {
	if s.On != nil && (s.Every == "" || s.Every == EveryDay) {
		p.Add(at+"/on", "schedule-invalid", `only every week, month and year has an "on"`)
	}
	if s.Yearly && s.Property == "" {
		p.Add(at+"/yearly", "schedule-invalid", `only a property is "yearly"; use every: year for a date of your own`)
	}
	if s.Offset != 0 && s.Property == "" {
		p.Add(at+"/offset", "schedule-invalid", `only a property has an "offset"`)
	}
	if s.SkipMissing && s.Every != EveryYear && (s.Property == "" || !s.Yearly) {
		p.Add(at+"/skip_missing", "schedule-invalid", `only what comes every year has a "skip_missing"`)
	}
}

func (s Schedule) validateEvery(at string, p *strictjson.Problems) {
	switch s.Every {
	case EveryDay:
		return
	case EveryWeek, EveryMonth, EveryYear:
	default:
		p.Add(at+"/every", "schedule-invalid", "must be day, week, month or year, is %q", s.Every)
		return
	}
	switch {
	case len(s.On) == 0:
		p.Add(at+"/on", "schedule-invalid", `every %s has an "on", a list of days`, s.Every)
	case len(s.On) > 366:
		p.Add(at+"/on", "schedule-invalid", `an "on" has at most 366 days`)
		return
	}
	first := map[ScheduleDay]int{}
	for i, d := range s.On {
		here := strictjson.Index(at+"/on", i)
		if _, err := s.rule(d); err != nil {
			wrong, _ := errors.AsType[*dayError](err)
			p.Add(here, wrong.code, "%s", wrong)
		} else if j, double := first[d]; double {
			p.Add(here, "duplicate-day", "%s is also that at %s", s.words(d), strictjson.Index(at+"/on", j))
		} else {
			first[d] = i
		}
	}
}

func (s Schedule) validateProperty(at string, p *strictjson.Problems, properties Properties) {
	property, known := properties[s.Property]
	switch {
	case !known:
		p.Add(at+"/property", "unknown-property", "there is no property %q", s.Property)
	case property.Type != filter.Date:
		p.Add(at+"/property", "wrong-type", "the property %q must be a date, is of type %s", s.Property, property.Type)
	}
	if s.Offset < -MaxDayOffset || s.Offset > MaxDayOffset {
		p.Add(at+"/offset", "offset-out-of-range", "%s", errDayOffset)
	}
}
