package filter

import "time"

// Horizon is how far ahead NextFlip looks.
const Horizon = century

// FirstDay is the first date that does not begin before an instant in a zone, as its midnight in UTC:
// a date begins at the instant or later exactly where it is not before that one.
func FirstDay(at time.Time, zone *time.Location) time.Time {
	d := dayOf(at, zone)
	for d.begins(zone).Before(at) {
		d = d.plus(1)
	}
	for !d.plus(-1).begins(zone).Before(at) {
		d = d.plus(-1)
	}
	return d.Time
}

// Skipped are the dates that a zone skipped, with the date that began in their place.
func Skipped(zone *time.Location) map[string]string {
	skipped := map[string]string{}
	// Far from now zones follow rules, which skip no dates.
	for at := civil(1, time.January, 1).Time; at.Year() < 2100; {
		change := nextChange(at, zone)
		if change.IsZero() {
			break
		}
		_, before := change.Add(-1).In(zone).Zone()
		_, after := change.In(zone).Zone()
		if after-before >= 24*60*60 {
			next := dayOf(change, zone)
			for d := next.plus(-1); d.begins(zone).Equal(next.begins(zone)); d = d.plus(-1) {
				skipped[d.Format(time.DateOnly)] = next.Format(time.DateOnly)
			}
		}
		at = change
	}
	return skipped
}
