package automation

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"rollcall/strictjson"
)

// Limits of hours.
const (
	MaxWindows = 100
	maxJitter  = 5 * time.Minute
)

const wholeDay = 24 * time.Hour

// Hours are the local times at which something may start. Without windows it may at any time of the
// days that are left.
type Hours struct {
	Windows  []Window `json:"windows,omitempty"`  // any of them is open
	Except   DaysOff  `json:"except,omitempty"`   // closed all day
	Holidays string   `json:"holidays,omitempty"` // a country, whose public holidays are closed all day
}

// Window is a stretch of the day.
type Window struct {
	Days []string `json:"days,omitempty"` // monday to sunday; every day where left out
	From string   `json:"from"`           // a time such as 09:00
	To   string   `json:"to"`             // a later time, which is not in the window; 24:00 is the end of the day
}

// Validate adds all that is wrong with hours that stand at a pointer, but for the country; other
// days are off, too. The other
// methods take hours with which nothing is wrong.
func (h *Hours) Validate(at string, p *strictjson.Problems, off DaysOff) {
	before := len(*p)
	if len(h.Windows) > MaxWindows {
		p.Add(at+"/windows", "too-many-windows", "hours have at most %d windows", MaxWindows)
		return
	}
	for i, w := range h.Windows {
		w.validate(strictjson.Index(at+"/windows", i), p)
	}
	h.Except.Validate(at+"/except", p)
	if len(*p) == before && !h.everOpen(off) {
		p.Add(at, "hours-never-open", "the exceptions leave ten years without a day that is open")
	}
}

func (w Window) validate(at string, p *strictjson.Problems) {
	validateWeekdays(w.Days, at+"/days", p)
	from := clockTime.MatchString(w.From)
	if !from {
		p.Add(at+"/from", "invalid-time", "must be a time from 00:00 to 23:59 such as 09:00")
	}
	switch {
	case w.To != "24:00" && !clockTime.MatchString(w.To):
		p.Add(at+"/to", "invalid-time", "must be a time from 00:01 to 24:00 such as 17:00")
	case from && w.To <= w.From:
		p.Add(at+"/to", "window-invalid", `a window ends after it begins; for hours over midnight write two windows, one to 24:00 and one from 00:00`)
	}
}

// everOpen says whether there are no ten years in which all days are closed, at least none that begin
// with an exception.
func (h *Hours) everOpen(off DaysOff) bool {
	week := h.week()
	exceptions := slices.Concat(h.Except, off)
	closed := make(map[DayOff]bool, len(exceptions))
	for _, day := range exceptions {
		closed[day] = true
	}
	opens := func(from time.Time) bool {
		for day, end := from, from.AddDate(10, 0, 0); day.Before(end); day = day.AddDate(0, 0, 1) {
			text := DayOff(day.Format(time.DateOnly))
			if len(week[day.Weekday()]) > 0 && !closed[text] && !closed[text[len(text)-len(monthDay):]] {
				return true
			}
		}
		return false
	}
	if !opens(date(2001, time.January, 1)) {
		return false
	}
	for _, text := range exceptions {
		if day, err := time.Parse(time.DateOnly, string(text)); err == nil && !opens(day) {
			return false
		}
	}
	return true
}

// stretch is a part of a day, by the time that a clock shows.
type stretch struct{ from, to time.Duration }

// week lists, by weekday, when it is open: in order, and apart from each other.
func (h *Hours) week() [7][]stretch {
	var week [7][]stretch
	for weekday := range week {
		if len(h.Windows) == 0 {
			week[weekday] = []stretch{{0, wholeDay}}
			continue
		}
		var all []stretch
		for _, w := range h.Windows {
			if w.on(time.Weekday(weekday)) {
				all = append(all, stretch{timeOfDay(w.From), timeOfDay(w.To)})
			}
		}
		slices.SortFunc(all, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
		for _, s := range all {
			if last := len(week[weekday]) - 1; last >= 0 && s.from <= week[weekday][last].to {
				week[weekday][last].to = max(week[weekday][last].to, s.to)
			} else {
				week[weekday] = append(week[weekday], s)
			}
		}
	}
	return week
}

func (w Window) on(weekday time.Weekday) bool {
	return len(w.Days) == 0 || slices.ContainsFunc(w.Days, func(name string) bool {
		on, err := parseWeekday(name)
		return err == nil && on == weekday
	})
}

func timeOfDay(clock string) time.Duration {
	if clock == "24:00" {
		return wholeDay
	}
	at, _ := time.Parse("15:04", clock)
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

// NextOpen is the earliest instant, at or after another, at which it is open, and when it closes again:
// at the end of the window, of those that overlap or touch it, or of the local day. It is false where
// nothing opens within ten years. Days off of the calendar are closed, too.
//
// It is open at an instant when the clocks of the zone show a time and a date that are in a window. So
// what they leave out is no part of a window, and what they show twice is open twice.
func (h *Hours) NextOpen(t time.Time, c LocalCalendar) (open, closes time.Time, ok bool) {
	week, zone := h.week(), c.zone()
	limit := t.UTC().Add(MaxDuration)
	for at := t.UTC(); at.Before(limit); {
		shift, change := clocks(at, zone)
		if change.IsZero() || change.After(limit) {
			change = limit
		}
		wall, last := at.Add(shift), change.Add(shift)
		for day := date(wall.Date()); day.Before(last); day = day.AddDate(0, 0, 1) {
			stretches := week[day.Weekday()]
			if len(stretches) == 0 || h.Except.Has(day) || c.off(day) {
				continue
			}
			for _, s := range stretches {
				from := day.Add(s.from)
				if from.Before(wall) {
					from = wall
				}
				if from.Before(day.Add(s.to)) && from.Before(last) {
					open = from.Add(-shift)
					return open, closing(open, day, stretches, zone), true
				}
			}
		}
		at = change
	}
	return time.Time{}, time.Time{}, false
}

// closing is when the clocks leave the stretches of a day, after an instant at which they show one.
func closing(at, day time.Time, stretches []stretch, zone *time.Location) time.Time {
	for {
		shift, change := clocks(at, zone)
		shown := at.Add(shift).Sub(day)
		i := slices.IndexFunc(stretches, func(s stretch) bool { return s.from <= shown && shown < s.to })
		if i < 0 {
			return at
		}
		end := day.Add(stretches[i].to - shift)
		if change.IsZero() || end.Before(change) {
			return end
		}
		at = change
	}
}

// clocks is how far the clocks of a zone are ahead of UTC, and until when at least; zero is for ever.
func clocks(at time.Time, zone *time.Location) (shift time.Duration, until time.Time) {
	_, offset := at.In(zone).Zone()
	_, until = at.In(zone).ZoneBounds()
	if !until.IsZero() && !until.After(at) {
		until = at.Add(time.Hour) // the last day of a leap year: go.dev/issue/81583
	}
	return time.Duration(offset) * time.Second, until.UTC()
}

// Release is when something starts that was held until it opened: up to five minutes later, and up to
// a tenth of the time until it closes, so that not all of it starts at once. The same key is always
// released at the same time.
func (h *Hours) Release(open, closes time.Time, key string) time.Time {
	longest := min(maxJitter, closes.Sub(open)/10)
	if longest <= 0 {
		return open
	}
	sum := sha256.Sum256([]byte(key))
	jitter := time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(longest))
	return open.Add(jitter.Truncate(time.Millisecond))
}
