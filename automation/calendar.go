package automation

import (
	"slices"
	"time"
)

const (
	oddYears = 10                    // how far ahead Intervals looks
	oddEvery = 20 * 8766 * time.Hour // twenty years; one longer than the time since 1970 never wakes
)

// Calendar is one calendar of a Temporal Schedule: it wakes at Hour:Minute, local time, on the days
// that are in all of its lists. An empty list takes every day, and a Year of 0 every year.
type Calendar struct {
	Year         int
	Months       []int // 1 is January
	DaysOfMonth  []int
	DaysOfWeek   []int // 0 is Sunday
	Hour, Minute int
}

// Calendars are those of a Temporal Schedule in the schedule's zone. Together with Intervals they
// wake whenever the schedule fires, and now and then more often: whoever is woken asks Between which
// firings are due, if any.
//
// They are as narrow as Temporal allows. It cannot say "last", so that is the 28th to the 31st by the
// length of the months; it takes days of the month and of the week together, so the first Monday is
// the Monday among the days 1 to 7. It does not know leap years: where a month's end or 29 February
// is meant, it wakes on 28 and 29 February.
func (s Schedule) Calendars() []Calendar {
	clock, err := time.Parse("15:04", s.At)
	if err != nil {
		return nil
	}
	c := Calendar{Hour: clock.Hour(), Minute: clock.Minute()}
	if once, err := time.Parse(time.DateOnly, s.Once); err == nil {
		c.Year, c.Months, c.DaysOfMonth = once.Year(), []int{int(once.Month())}, []int{once.Day()}
	}
	if len(s.On) == 0 {
		return []Calendar{c}
	}
	var calendars []Calendar
	for _, d := range s.On {
		if r, err := s.rule(d); err == nil {
			for _, on := range c.on(r, s.SkipMissing) {
				calendars = join(calendars, on)
			}
		}
	}
	return calendars
}

// Interval is one interval of a Temporal Schedule: it wakes Offset after the beginning of 1970, UTC, and
// then again and again.
type Interval struct{ Every, Offset time.Duration }

// Intervals are those of a Temporal Schedule for the firings, within ten years after from, at which its
// calendars may not wake: one for each, which comes again after twenty years. Ask again when the
// zone's rules have changed, and before the ten years are over.
//
// Temporal never wakes at a time that the clocks leave out. At one that they show twice it wakes the
// first time, the second time or both, by the zone. And where they leave out a midnight, it takes that
// day for the weekday before. For most times of day there are no intervals.
func (s Schedule) Intervals(from time.Time, zone *time.Location) []Interval {
	var intervals []Interval
	zone = s.Zone(zone)
	until := from.AddDate(oddYears, 0, 0)
	for f := range s.firings(from, zone) {
		if f.At.After(until) {
			break
		}
		local, _ := time.Parse(nominalTime, f.Nominal)
		if !shownOnce(local, zone) || !shownOnce(local.Truncate(24*time.Hour), zone) {
			sinceThen := time.Duration(f.At.Unix()) * time.Second
			intervals = append(intervals, Interval{Every: oddEvery, Offset: sinceThen % oddEvery})
		}
	}
	return slices.Compact(intervals)
}

// shownOnce says whether the clocks of a zone show a local time, given as if it were UTC, just once.
func shownOnce(local time.Time, zone *time.Location) bool {
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	first := firstInstant(local, zone)
	second := local.Add(-offset(first.Add(26 * time.Hour))) // clocks never go back as far
	shown := func(at time.Time) bool { return at.Add(offset(at)).Equal(local) }
	return shown(first) && (second.Equal(first) || !shown(second))
}

// on narrows a calendar to the days of a rule.
func (c Calendar) on(r dayRule, skipMissing bool) []Calendar {
	switch {
	case r.month == time.February && r.day == 29 && !skipMissing:
		c.Months, c.DaysOfMonth = []int{2}, []int{28, 29}
	case r.month != 0:
		c.Months, c.DaysOfMonth = []int{int(r.month)}, []int{r.day}
	case r.day == lastOne:
		return c.atEnds(1)
	case r.day != 0:
		c.DaysOfMonth = []int{r.day}
	case r.week == lastOne:
		c.DaysOfWeek = []int{int(r.weekday)}
		return c.atEnds(7)
	case r.week != 0:
		c.DaysOfMonth, c.DaysOfWeek = fromTo(7*r.week-6, 7*r.week), []int{int(r.weekday)}
	default:
		c.DaysOfWeek = []int{int(r.weekday)}
	}
	return []Calendar{c}
}

// atEnds narrows a calendar to the last days of the months, as many as are given.
func (c Calendar) atEnds(days int) []Calendar {
	var ends []Calendar
	for _, months := range []struct {
		list              []int
		shortest, longest int
	}{{[]int{1, 3, 5, 7, 8, 10, 12}, 31, 31}, {[]int{4, 6, 9, 11}, 30, 30}, {[]int{2}, 28, 29}} {
		c.Months, c.DaysOfMonth = months.list, fromTo(months.shortest-days+1, months.longest)
		ends = append(ends, c)
	}
	return ends
}

// join adds a calendar of one schedule to others, into one of them where only one list differs.
func join(calendars []Calendar, c Calendar) []Calendar {
	for i := range calendars {
		k := &calendars[i]
		both := len(k.DaysOfWeek) > 0 && len(c.DaysOfWeek) > 0
		neither := len(k.DaysOfWeek) == 0 && len(c.DaysOfWeek) == 0
		switch {
		case !slices.Equal(k.Months, c.Months):
		case both && slices.Equal(k.DaysOfMonth, c.DaysOfMonth):
			k.DaysOfWeek = merge(k.DaysOfWeek, c.DaysOfWeek)
			return calendars
		case neither:
			k.DaysOfMonth = merge(k.DaysOfMonth, c.DaysOfMonth)
			return calendars
		}
	}
	return append(calendars, c)
}

func merge(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func fromTo(from, to int) []int {
	var list []int
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}
