package automation

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rollcall/filter"
	"rollcall/strictjson"
)

// MaxBusinessDays is the longest delay in business days.
const MaxBusinessDays = 1000

// Delay is how long a step waits: for an amount of time, or until an instant. The zero value does not
// wait.
type Delay struct {
	For          Duration `json:"for,omitempty"`           // this long
	BusinessDays bool     `json:"business_days,omitempty"` // For counts Mondays to Fridays that are not days off
	Until        *Until   `json:"until,omitempty"`         // a time of day, a date, or a date on the user's record
}

// Until is the instant at which a delay ends. It is a time of day, a Date or a Property; times and
// dates are local.
type Until struct {
	At       string   `json:"at,omitempty"`       // a time such as 09:00: the next one, or that of the date; 00:00 where left out
	On       []string `json:"on,omitempty"`       // the next of these weekdays, monday to sunday
	Date     string   `json:"date,omitempty"`     // one date, such as 2027-01-04
	Property string   `json:"property,omitempty"` // a date or datetime on the user's record
	Offset   Offset   `json:"offset,omitzero"`    // before that date (-2d) or after it (2d)

	IfMissing Instead `json:"if_missing,omitempty"` // where the property is empty: exit, the default, continue, fail or wait
	IfPast    Instead `json:"if_past,omitempty"`    // where the date has passed: continue, the default, exit or fail
}

// Instead is what becomes of an enrollment that cannot wait until a date.
type Instead string

// What may become of it.
const (
	InsteadExit     Instead = "exit"     // it ends
	InsteadContinue Instead = "continue" // it goes on at once
	InsteadFail     Instead = "fail"     // the step fails
	InsteadWait     Instead = "wait"     // it waits until there is a date
)

// Missing is what happens where the property is empty.
func (u *Until) Missing() Instead {
	if u.IfMissing == "" {
		return InsteadExit
	}
	return u.IfMissing
}

// Past is what happens where the date has passed.
func (u *Until) Past() Instead {
	if u.IfPast == "" {
		return InsteadContinue
	}
	return u.IfPast
}

var (
	wholeDays       = regexp.MustCompile(`^\d+d$`)
	errBusinessDays = fmt.Errorf("business days are a whole number of days such as 2d, at most %dd", MaxBusinessDays)
)

// DecodeJSON reads an amount of time such as "3d", {"for": "2d", "business_days": true} or
// {"until": {...}}.
func (d *Delay) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	members, ok := v.(map[string]any)
	if !ok {
		d.For.DecodeJSON(v, pointer, p)
		return
	}
	var form struct {
		For          *Duration `json:"for"`
		BusinessDays bool      `json:"business_days"`
		Until        *Until    `json:"until"`
	}
	before := len(*p)
	strictjson.Decode(members, pointer, &form, p)
	if len(*p) > before {
		return
	}
	if (form.For != nil) == (form.Until != nil) {
		p.Add(pointer, "delay-invalid", `a delay has exactly one of "for" and "until"`)
		return
	}
	d.BusinessDays, d.Until = form.BusinessDays, form.Until
	if form.For == nil {
		return
	}
	d.For = *form.For
	if text, _ := members["for"].(string); d.BusinessDays && !wholeDays.MatchString(text) {
		p.Add(pointer+"/for", "delay-invalid", "%s", errBusinessDays)
	}
}

// MarshalJSON writes the form that DecodeJSON reads.
func (d Delay) MarshalJSON() ([]byte, error) {
	if d.Plain() {
		return json.Marshal(d.For)
	}
	form := struct {
		For          string `json:"for,omitempty"`
		BusinessDays bool   `json:"business_days,omitempty"`
		Until        *Until `json:"until,omitempty"`
	}{"", d.BusinessDays, d.Until}
	if d.BusinessDays && d.Until == nil {
		form.For = strconv.Itoa(d.days()) + "d"
	}
	return json.Marshal(form)
}

// UnmarshalJSON reads a delay that was stored by MarshalJSON.
func (d *Delay) UnmarshalJSON(data []byte) error {
	*d = Delay{}
	if len(data) == 0 || data[0] != '{' {
		return json.Unmarshal(data, &d.For)
	}
	type plain Delay
	return json.Unmarshal(data, (*plain)(d))
}

// Plain says whether the delay is no more than an amount of time.
func (d Delay) Plain() bool { return d.Until == nil && !d.BusinessDays }

// Waits says whether time passes each time the step is entered. A date can have passed, so that one
// does not count.
func (d Delay) Waits() bool {
	if d.Until != nil {
		return d.Until.ofDay()
	}
	return d.For > 0
}

// Reads names the property that the delay follows; "" where it follows none.
func (d Delay) Reads() (property string) {
	if d.Until == nil {
		return ""
	}
	return d.Until.Property
}

// days are the business days to wait for.
func (d Delay) days() int { return int(time.Duration(d.For) / wholeDay) }

// ofDay says whether it is the next of some time of day.
func (u *Until) ofDay() bool { return u.Date == "" && u.Property == "" }

// String says in words how long the delay is, such as "2 business days" or "until 09:00 on Monday".
func (d Delay) String() string {
	switch {
	case d.Until != nil:
		return "until " + d.Until.words()
	case d.BusinessDays && d.days() == 1:
		return "1 business day"
	case d.BusinessDays:
		return fmt.Sprintf("%d business days", d.days())
	default:
		return d.For.String()
	}
}

func (u *Until) words() string {
	var what string
	switch {
	case u.Property != "":
		what = u.Offset.words() + u.Property
	case u.Date != "":
		what = u.Date
		if day, err := time.Parse(time.DateOnly, u.Date); err == nil {
			what = day.Format("2 January 2006")
		}
	case len(u.On) == 0:
		return u.At
	default:
		days := make([]string, len(u.On))
		for i, name := range u.On {
			days[i] = name
			if weekday, err := parseWeekday(name); err == nil {
				days[i] = weekday.String()
			}
		}
		what = strings.Replace(inWords(days), " and ", " or ", 1)
		if u.At != "" {
			return u.At + " on " + what
		}
	}
	if u.At != "" {
		what += " at " + u.At
	}
	return what
}

// Validate adds all that is wrong with a delay that stands at a pointer, against the properties that
// users have. The other methods take a delay with which nothing is wrong.
func (d *Delay) Validate(at string, p *strictjson.Problems, properties Properties) {
	if d.Until != nil {
		if d.BusinessDays {
			p.Add(at+"/business_days", "delay-invalid", `only a "for" counts business days`)
		}
		d.Until.validate(at+"/until", p, properties)
		return
	}
	if d.For < 0 || time.Duration(d.For) > MaxDuration {
		p.Add(at, "delay-out-of-range", "a delay is at most ten years")
		return
	}
	if n := d.days(); d.BusinessDays && (n < 1 || n > MaxBusinessDays || time.Duration(d.For)%wholeDay != 0) {
		p.Add(at+"/for", "delay-invalid", "%s", errBusinessDays)
	}
}

func (u *Until) validate(at string, p *strictjson.Problems, properties Properties) {
	if u.At != "" && !clockTime.MatchString(u.At) {
		p.Add(at+"/at", "invalid-time", "must be a time from 00:00 to 23:59 such as 09:00")
	}
	validateWeekdays(u.On, at+"/on", p)
	if u.Date != "" {
		if _, err := time.Parse(time.DateOnly, u.Date); err != nil {
			p.Add(at+"/date", "invalid-date", "must be a date such as 2027-01-04")
		}
	}
	if u.Property != "" {
		u.validateProperty(at, p, properties)
	}
	u.validateInstead(at, p)
	switch {
	case u.Date != "" && u.Property != "":
		p.Add(at, "delay-invalid", `an "until" has at most one of "date" and "property"`)
	case u.ofDay() && u.At == "" && u.On == nil:
		p.Add(at, "delay-invalid", `an "until" has an "at", an "on", a "date" or a "property"`)
	case !u.ofDay() && u.On != nil:
		p.Add(at+"/on", "delay-invalid", `an "on" goes with an "at" or alone, not with a "date" or a "property"`)
	}
}

func (u *Until) validateProperty(at string, p *strictjson.Problems, properties Properties) {
	property, known := properties[u.Property]
	switch {
	case !known:
		p.Add(at+"/property", "unknown-property", "there is no property %q", u.Property)
	case property.Type != filter.Date && property.Type != filter.Datetime:
		p.Add(at+"/property", "wrong-type", "the property %q must be a date or a datetime, is of type %s", u.Property, property.Type)
	case property.Type == filter.Date && u.At != "" && u.Offset.Time != 0:
		p.Add(at+"/offset", "delay-invalid", `where there is an "at", the offset from a date is a number of whole days`)
	}
	if !u.Offset.inRange() {
		p.Add(at+"/offset", "offset-out-of-range", "%s", errOffset)
	}
}

// validateInstead judges what only some kinds of date have.
func (u *Until) validateInstead(at string, p *strictjson.Problems) {
	if u.Property == "" && u.Offset != (Offset{}) {
		p.Add(at+"/offset", "delay-invalid", `only a property has an "offset"`)
	}
	switch u.IfMissing {
	case "", InsteadExit, InsteadContinue, InsteadFail, InsteadWait:
	default:
		p.Add(at+"/if_missing", "delay-invalid", "must be exit, continue, fail or wait, is %q", u.IfMissing)
	}
	switch u.IfPast {
	case "", InsteadContinue, InsteadExit, InsteadFail:
	default:
		p.Add(at+"/if_past", "delay-invalid", "must be continue, exit or fail, is %q", u.IfPast)
	}
	if u.IfMissing != "" && u.Property == "" {
		p.Add(at+"/if_missing", "delay-invalid", `only a property has an "if_missing"`)
	}
	if u.IfPast != "" && u.ofDay() {
		p.Add(at+"/if_past", "delay-invalid", `only a date or a property has an "if_past"`)
	}
}

// validateWeekdays judges a list of weekdays, which may be left out.
func validateWeekdays(names []string, at string, p *strictjson.Problems) {
	if names != nil && len(names) == 0 {
		p.Add(at, "invalid-day", "a list of days names at least one, such as monday")
	}
	first := map[string]int{}
	for i, name := range names {
		here := strictjson.Index(at, i)
		if _, err := parseWeekday(name); err != nil {
			p.Add(here, "unknown-weekday", "%s", err)
		} else if j, double := first[name]; double {
			p.Add(here, "duplicate-day", "%s is also that at %s", name, strictjson.Index(at, j))
		} else {
			first[name] = i
		}
	}
}
