package automation

import (
	"iter"
	"slices"
	"time"
)

const nominalTime = "2006-01-02T15:04"

// longestPause is more days than any schedule is silent for: eight years around 1900 and 2100, which
// have no 29 February.
const longestPause = 9 * 366

// Firing is one time at which a schedule fires.
type Firing struct {
	Nominal string    `json:"nominal"` // the local time as the author means it, "2027-01-04T09:00": its identity
	At      time.Time `json:"at"`      // when it is due, in UTC
}

// Day is the local date of the firing, such as "2027-01-04".
func (f Firing) Day() string { return f.Nominal[:len(time.DateOnly)] }

// Next is the first firing after an instant; false when there is none. The zone is the workflow's.
//
// A firing is due at the first instant at which the clocks of the zone show its nominal time or a
// later one. So a time that they leave out, or a whole date, fires when they go on after the gap,
// and a time that they show twice fires once, the first time. A later nominal time is never due
// earlier. Two can be due at one instant: midnight of a date that the zone skipped, and midnight
// of the date after it. Next returns the earlier nominal time of these, Upcoming and Between both.
//
// A schedule by a property fires on every day; Concerns says for which users.
func (s Schedule) Next(after time.Time, zone *time.Location) (Firing, bool) {
	for f := range s.firings(after, zone) {
		return f, true
	}
	return Firing{}, false
}

// Upcoming lists the first n firings after an instant, fewer where the schedule ends, in the order of
// At and Nominal.
func (s Schedule) Upcoming(after time.Time, zone *time.Location, n int) []Firing {
	var upcoming []Firing
	for f := range s.firings(after, zone) {
		if len(upcoming) >= n {
			break
		}
		upcoming = append(upcoming, f)
	}
	return upcoming
}

// Between lists the firings after an instant until another, which is included, in the order of At
// and Nominal.
func (s Schedule) Between(after, until time.Time, zone *time.Location) []Firing {
	var between []Firing
	for f := range s.firings(after, zone) {
		if f.At.After(until) {
			break
		}
		between = append(between, f)
	}
	return between
}

// firings are all firings after an instant, in the order of At and Nominal.
func (s Schedule) firings(after time.Time, zone *time.Location) iter.Seq[Firing] {
	return func(yield func(Firing) bool) {
		clock, err := time.Parse("15:04", s.At)
		if err != nil {
			return
		}
		zone := s.Zone(zone)
		fires := s.days()
		// No firing of an earlier date is still to come: the clocks showed this date already.
		y, m, d := after.In(zone).Date()
		day := date(y, m, d)
		longest := longestPause
		if once, err := time.Parse(time.DateOnly, s.Once); err == nil {
			longest = 1
			if once.After(day) {
				day = once
			}
		}
		for pause := 0; pause < longest && day.Year() <= 9999; pause++ {
			if fires(day) {
				pause = 0
				nominal := time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), 0, 0, time.UTC)
				at := firstInstant(nominal, zone)
				if at.After(after) && !yield(Firing{Nominal: nominal.Format(nominalTime), At: at}) {
					return
				}
			}
			day = day.AddDate(0, 0, 1)
		}
	}
}

// firstInstant is the first instant at which the clocks of a zone show a local time, given as if it
// were UTC, or a later one.
func firstInstant(local time.Time, zone *time.Location) time.Time {
	at := local.Add(-36 * time.Hour).In(zone) // no zone is as far from UTC
	for {
		_, offset := at.Zone()
		_, change := at.ZoneBounds()
		if !change.IsZero() && !change.After(at) {
			change = at.Add(time.Hour) // the last day of a leap year: go.dev/issue/81583
		}
		if shown := local.Add(-time.Duration(offset) * time.Second); shown.After(at) {
			at = shown
		}
		if change.IsZero() || at.Before(change) {
			return at.UTC()
		}
		at = change
	}
}

// days says of a date, given as if it were UTC, whether the schedule fires on it.
func (s Schedule) days() func(day time.Time) bool {
	switch {
	case s.Once != "":
		once, _ := time.Parse(time.DateOnly, s.Once)
		return once.Equal
	case s.Property != "" || s.Every == EveryDay:
		return func(time.Time) bool { return true }
	}
	var rules []dayRule
	for _, d := range s.On {
		if rule, err := s.rule(d); err == nil {
			rules = append(rules, rule)
		}
	}
	return func(day time.Time) bool {
		return slices.ContainsFunc(rules, func(r dayRule) bool { return r.holds(day, s.SkipMissing) })
	}
}

// Concerns says whom a firing of a schedule by a property concerns: the users whose date is one of
// dates or, where the schedule is yearly, those whose date ends in one of monthDays ("01-11"). The
// day is the firing's. A yearly schedule asks for the day and the month alone, so the year of the
// user's date may also be that of the firing, or a later one; a "where" can tell these apart.
//
// The offset counts days of the calendar: 7 days before 2027-01-11 is 2027-01-04. A 29 February falls
// on the 28th where the year of the anniversary, which need not be that of the firing, has no 29th;
// with SkipMissing it does not fall in that year.
func (s Schedule) Concerns(day string) (dates, monthDays []string) {
	anniversary, ok := s.anniversary(day)
	if !ok {
		return nil, nil
	}
	if !s.Yearly {
		return []string{anniversary.Format(time.DateOnly)}, nil
	}
	monthDays = []string{anniversary.Format(monthDay)}
	if anniversary.Day() == 28 && falls(time.February, 29, anniversary, s.SkipMissing) {
		monthDays = append(monthDays, "02-29")
	}
	return nil, monthDays
}

// Matches says whether a firing of a schedule by a property concerns a user with this date, such as
// "2020-02-29". The day is the firing's. It agrees with Concerns.
func (s Schedule) Matches(value, day string) bool {
	anniversary, ok := s.anniversary(day)
	of, err := time.Parse(time.DateOnly, value)
	if !ok || err != nil {
		return false
	}
	if !s.Yearly {
		return of.Equal(anniversary)
	}
	return falls(of.Month(), of.Day(), anniversary, s.SkipMissing)
}

// anniversary is the date that lies the offset away from the day of a firing.
func (s Schedule) anniversary(day string) (anniversary time.Time, ok bool) {
	at, err := time.Parse(time.DateOnly, day)
	return at.AddDate(0, 0, -int(s.Offset)), err == nil && s.Property != ""
}

// falls says whether a day of the year falls on a date.
func falls(month time.Month, d int, on time.Time, skipMissing bool) bool {
	if month == time.February && !skipMissing {
		d = min(d, daysIn(on.Year(), month))
	}
	return on.Month() == month && on.Day() == d
}

func daysIn(y int, m time.Month) int { return date(y, m+1, 0).Day() }

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
