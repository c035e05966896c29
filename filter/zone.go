package filter

import (
	"fmt"
	"regexp"
	"sync"
	"time"
)

// OwnZone stands, as the name of a time zone, for each user's own: the property time_zone, UTC
// where that is empty.
const OwnZone = "user"

const zoneProperty = "time_zone"

// zones keeps the time zones that were loaded: reading one takes a tenth of a millisecond.
var zones sync.Map

// notZones are names that can be loaded and are none of a zone: they mean the machine's, or count leap
// seconds.
var notZones = regexp.MustCompile(`^$|^(Local|localtime|posixrules|Factory)$|^(posix|right)/`)

// LoadZone finds a time zone by its IANA name.
func LoadZone(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if notZones.MatchString(name) {
		return nil, fmt.Errorf("there is no time zone %q", name)
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		zones.Store(name, zone)
	}
	return zone, err
}

// OwnZoneOf is the zone of a user with these properties.
func OwnZoneOf(user map[string]any) *time.Location {
	name, _ := user[zoneProperty].(string)
	if zone, err := LoadZone(name); err == nil {
		return zone
	}
	return time.UTC
}

// day is a date of the calendar, as its midnight in UTC.
type day struct{ time.Time }

func civil(y int, m time.Month, d int) day { return day{time.Date(y, m, d, 0, 0, 0, 0, time.UTC)} }

// dayOf is the date that an instant belongs to: the last one that began by then. Where the clocks
// are put back across midnight, a date that has begun stays.
func dayOf(at time.Time, zone *time.Location) day {
	d := civil(at.In(zone).Date())
	if next := d.plus(1); !at.Before(next.begins(zone)) {
		return next
	}
	return d
}

func (d day) plus(days int) day { return day{d.AddDate(0, 0, days)} }

// plusMonths goes to the same day of another month, or to that month's last.
func (d day) plusMonths(months int) day {
	y, m, n := d.Date()
	last := time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC)
	return civil(last.Year(), last.Month(), min(n, last.Day()))
}

// begins is the first instant whose local time is the date's midnight or later: where the clocks are
// put forward over midnight, the end of that gap; where they are put back to it, its first occurrence.
func (d day) begins(zone *time.Location) time.Time {
	for at := d.Add(-26 * time.Hour); ; {
		_, offset := at.In(zone).Zone()
		end := nextChange(at, zone)
		if midnight := d.Add(-time.Duration(offset) * time.Second); midnight.After(at) {
			at = midnight
		}
		if end.IsZero() || at.Before(end) {
			return at
		}
		at = end
	}
}

// nextChange is when the offset of a zone may change next after an instant; zero where it never does.
func nextChange(at time.Time, zone *time.Location) time.Time {
	_, end := at.In(zone).ZoneBounds()
	if !end.IsZero() && !end.After(at) { // the last day of a leap year: go.dev/issue/81583
		return civil(at.UTC().Year()+1, time.January, 1).Time
	}
	return end.UTC()
}
