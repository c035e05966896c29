package automation

import (
	"fmt"
	"time"
)

// ErrTooFar is returned when a delay would end more than ten years after it began.
var ErrTooFar error = specific{"the delay would end more than ten years after it began", ErrInvalid}

// LocalCalendar is where and how local days are counted: by the clocks of a zone, UTC where there is
// none, and with the days on which nobody works.
type LocalCalendar struct {
	Zone    *time.Location
	DaysOff func(day time.Time) bool // asked of a date, given as its midnight in UTC; nil: there are none
}

func (c LocalCalendar) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

func (c LocalCalendar) off(day time.Time) bool { return c.DaysOff != nil && c.DaysOff(day) }

// business says whether a date is a business day. One that the clocks of the zone leave out is none.
func (c LocalCalendar) business(day time.Time) bool {
	if w := day.Weekday(); w == time.Saturday || w == time.Sunday || c.off(day) {
		return false
	}
	return date(firstInstant(day, c.zone()).In(c.zone()).Date()).Equal(day)
}

// Due is when a delay ends.
type Due struct {
	At      time.Time `json:"at,omitzero"`       // in UTC; zero where Missing
	Missing bool      `json:"missing,omitempty"` // the property that the delay follows is empty
	Past    bool      `json:"past,omitempty"`    // the date had come when the step was entered; At is when it did
}

// Due is when the delay of a step ends that was entered at an instant, by a user with these properties.
// It is never before the step was entered, except where Past. A local time that the clocks leave out is
// the first instant after the gap, and one that they show twice is its first. Returns ErrTooFar where
// it is more than MaxDuration away.
func (d Delay) Due(entered time.Time, user map[string]any, c LocalCalendar) (Due, error) {
	due := Due{}
	switch u := d.Until; {
	case u == nil && d.BusinessDays:
		due.At = c.businessDay(entered, d.days())
	case u == nil:
		due.At = entered.Add(time.Duration(d.For)).UTC()
	case u.ofDay():
		due.At = u.next(entered, c.zone())
	case u.Date != "":
		day, _ := time.Parse(time.DateOnly, u.Date)
		due.At = inYears(u.on(day, c.zone()))
	default:
		at, ok := u.follow(user[u.Property], c.zone())
		if !ok {
			return Due{Missing: true}, nil
		}
		due.At = at
	}
	if due.At.IsZero() || due.At.After(entered.Add(MaxDuration)) {
		return Due{}, fmt.Errorf("%s: %w", d, ErrTooFar)
	}
	due.Past = d.Until != nil && !due.At.After(entered)
	return due, nil
}

// businessDay is the same time of day, so many business days after that of an instant; zero where it
// is too far.
func (c LocalCalendar) businessDay(entered time.Time, n int) time.Time {
	nominal := onWall(entered, c.zone())
	for limit := nominal.Add(MaxDuration); n > 0; {
		nominal = nominal.AddDate(0, 0, 1)
		if nominal.After(limit) {
			return time.Time{}
		}
		if c.business(date(nominal.Date())) {
			n--
		}
	}
	return firstInstant(nominal, c.zone())
}

// next is the next such time of day after an instant; zero where there is none.
func (u *Until) next(after time.Time, zone *time.Location) time.Time {
	s := Schedule{Every: EveryDay, At: u.clock()}
	for _, name := range u.On {
		s.Every = EveryWeek
		s.On = append(s.On, ScheduleDay(name))
	}
	f, _ := s.Next(after, zone)
	return f.At
}

// clock is the time of day.
func (u *Until) clock() string {
	if u.At == "" {
		return "00:00"
	}
	return u.At
}

// on is the time of day on a date.
func (u *Until) on(day time.Time, zone *time.Location) time.Time {
	return firstInstant(date(day.Date()).Add(timeOfDay(u.clock())), zone)
}

// follow is the instant that a value of the property stands for; false where it stands for none.
func (u *Until) follow(value any, zone *time.Location) (time.Time, bool) {
	text, _ := value.(string)
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return inYears(u.on(day.AddDate(0, 0, u.Offset.Days), zone).Add(u.Offset.Time)), true
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, false
	}
	if u.Offset.Days != 0 {
		at = firstInstant(onWall(at, zone).AddDate(0, 0, u.Offset.Days), zone)
	}
	at = at.Add(u.Offset.Time)
	if u.At != "" {
		at = u.on(onWall(at, zone), zone)
	}
	return inYears(at.UTC()), true
}

// inYears keeps an instant in the years that can be written.
func inYears(at time.Time) time.Time {
	if first := date(1, time.January, 2); at.Before(first) {
		return first
	}
	return at
}

// onWall is what the clocks of a zone show at an instant, as if it were UTC.
func onWall(at time.Time, zone *time.Location) time.Time {
	_, offset := at.In(zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}
