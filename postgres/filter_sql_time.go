package postgres

import (
	"slices"
	"strings"
	"time"

	"rollcall/filter"
)

// A date is compared by its text, and an instant by its text in UTC without the Z: both sort like what
// they stand for, byte by byte. What they are compared with is brought to such a text before the
// statement runs, so that no calendar is read for each user.

// Of texts, what is a date, and what is an instant in the form in which it is stored.
const (
	anyDate = `(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))` +
		`|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)`
	isDate    = `'^` + anyDate + `$'`
	isInstant = `'^` + anyDate + `T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{0,8}[1-9])?Z$'`
)

// sqlTime is a time of a row: the text that it is compared by; a condition that it is one, null or
// false where it is not; and an instant that the time does not begin before, null where the calendar
// of PostgreSQL does not reach, to be asked for only where it is one.
type sqlTime struct{ key, valid, from string }

// changeTime is when a change happened.
var changeTime = sqlTime{key: `to_char(c.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') collate "C"`, valid: "true", from: "c.at"}

// timeOf reads a value as a date or an instant.
func (w *sqlFilter) timeOf(l *filter.Leaf, v sqlValue) sqlTime {
	t := plainTime(l.Type, v)
	switch {
	case !comparesOther(l):
	case l.Type == filter.Date:
		t.key = w.begun(l, v.text) + ` collate "C"`
	default:
		t.key = fineKey(v.text)
	}
	return t
}

func comparesOther(l *filter.Leaf) bool {
	return slices.ContainsFunc(l.OtherTimes(), func(name string) bool { return name != "" })
}

// plainTime is a time that is compared with constants.
func plainTime(kind filter.Type, v sqlValue) sqlTime {
	text := v.text + ` collate "C"`
	if kind == filter.Date {
		return sqlTime{text, text + " ~ " + isDate, startOf(v.text, v.text+" || 'T00:00:00Z'") + " - interval '26 hours'"}
	}
	return sqlTime{"left(" + v.text + `, -1) collate "C"`, text + " ~ " + isInstant, startOf(v.text, "left("+v.text+", 19) || 'Z'")}
}

// startOf casts the text of an instant, for times from the year 1 on.
func startOf(text, instant string) string {
	return "case when " + text + ` collate "C" >= '0001' then (` + instant + ")::timestamptz end"
}

// fineKey is the key by which two stored instants are compared with each other: to the microsecond.
func fineKey(text string) string {
	return "rpad(left(" + text + ", 19) || '.' || rtrim(substr(" + text + `, 21), 'Z'), 26, '0') collate "C"`
}

// begun is the date that began when a date was to begin, which is another one where a zone skipped it.
func (w *sqlFilter) begun(l *filter.Leaf, text string) string {
	if l.Zone != nil {
		if skipped := filter.Skipped(l.Zone); len(skipped) > 0 {
			return "coalesce(" + w.args.add(jsonValue{skipped}) + " ->> " + text + ", " + text + ")"
		}
		return text
	}
	if w.skipped == nil {
		w.skipped = map[string]string{}
		w.eachZone(func(name string, zone *time.Location) {
			for date, next := range filter.Skipped(zone) {
				w.skipped[name+" "+date] = next
			}
		})
	}
	if len(w.skipped) == 0 {
		return text
	}
	return "coalesce(" + w.args.add(jsonValue{w.skipped}) + " ->> (" + ownZoneName + " || ' ' || " + text + "), " + text + ")"
}

// ownZoneName names the time zone of a user who has one.
const ownZoneName = "(u.properties ->> 'time_zone')"

func (w *sqlFilter) eachZone(do func(name string, zone *time.Location)) {
	for _, name := range w.zones {
		if zone, err := filter.LoadZone(name); err == nil {
			do(name, zone)
		}
	}
}

// perZone is a text that depends on where the condition reads dates.
func (w *sqlFilter) perZone(l *filter.Leaf, text func(zone *time.Location) string) string {
	if l.Zone != nil {
		return w.args.add(text(l.Zone))
	}
	rest, others := text(time.UTC), map[string]string{}
	w.eachZone(func(name string, zone *time.Location) {
		if s := text(zone); s != rest {
			others[name] = s
		}
	})
	if len(others) == 0 {
		return w.args.add(rest)
	}
	return "coalesce(" + w.args.add(jsonValue{others}) + " ->> " + ownZoneName + ", " + w.args.add(rest) + ")"
}

// bound is the key of an instant: a time of the condition lies at the instant or later exactly where
// its key is not less.
func (w *sqlFilter) bound(l *filter.Leaf, at func(zone *time.Location) time.Time) string {
	return w.perZone(l, func(zone *time.Location) string {
		if l.Type == filter.Date {
			return keyOf(filter.FirstDay(at(zone), zone), time.DateOnly)
		}
		return keyOf(at(zone).UTC(), "2006-01-02T15:04:05.999999")
	})
}

// keyOf is the text of a time, or one that is less or greater than that of every time with four digits
// of a year.
func keyOf(at time.Time, layout string) string {
	switch {
	case at.Year() < 0:
		return ""
	case at.Year() > 9999:
		return ":" // what follows the digit 9
	default:
		return at.Format(layout)
	}
}

// compareTime compares a time with dates, instants, date math and other properties.
func (w *sqlFilter) compareTime(l *filter.Leaf, t sqlTime) string {
	others := l.OtherTimes()
	span := func(i int, zone *time.Location) filter.Span { return l.Spans(&filter.Subject{Now: w.now}, zone)[i] }
	begins := func(i int) string { // whether the time lies at or after the beginning of an operand
		if others[i] != "" {
			return t.key + " >= " + w.otherTime(l, others[i]).key
		}
		return t.key + " >= " + w.bound(l, func(zone *time.Location) time.Time { return span(i, zone).From })
	}
	ends := func(i int) string { // whether the time lies at or after the end of an operand
		if others[i] != "" {
			return t.key + " > " + w.otherTime(l, others[i]).key
		}
		return t.key + " >= " + w.bound(l, func(zone *time.Location) time.Time { return span(i, zone).To })
	}
	var holds string
	switch l.Op {
	case filter.Before:
		holds = "not " + begins(0)
	case filter.After:
		holds = ends(0)
	case filter.NotBetween:
		holds = "(not " + begins(0) + " or " + ends(1) + ")"
	default: // on, between
		holds = begins(0) + " and not " + ends(len(others)-1)
	}
	conditions := []string{holds, t.valid}
	for _, name := range others {
		if name != "" {
			conditions = append(conditions, w.otherTime(l, name).valid)
		}
	}
	return "coalesce(" + strings.Join(conditions, " and ") + ", false)"
}

// otherTime is a property as an operand. Its key is that of the time that is written there: what lies
// after a skipped date is what began in its place.
func (w *sqlFilter) otherTime(l *filter.Leaf, name string) sqlTime {
	v := w.property(name)
	t := plainTime(l.Type, v)
	if l.Type != filter.Date {
		t.key = fineKey(v.text)
	}
	return t
}

// recurs asks whether an anniversary of a date begins within the operands.
func (w *sqlFilter) recurs(l *filter.Leaf, v sqlValue) string {
	season := func(zone *time.Location) (from, to string) {
		spans := l.Spans(&filter.Subject{Now: w.now}, zone)
		return seasonOf(filter.FirstDay(spans[0].From, zone), filter.FirstDay(spans[len(spans)-1].To, zone))
	}
	from := w.perZone(l, func(zone *time.Location) string { from, _ := season(zone); return from })
	to := w.perZone(l, func(zone *time.Location) string { _, to := season(zone); return to })
	day := "right(" + v.text + `, 5) collate "C"`
	return "coalesce(" + negative(l.Op) + "case when " + from + ` collate "C" <= ` + to +
		" then " + day + " >= " + from + " and " + day + " < " + to +
		" else " + day + " >= " + from + " or " + day + " < " + to + " end and " + plainTime(l.Type, v).valid + ", false)"
}

// seasonOf is the days of the year, written as 12-31, from one date until before another. Where the
// first lies after the last, the turn of the year is in between. The day 02-29 belongs to it exactly
// where the anniversary of that day does, which is 02-28 in other years.
func seasonOf(from, to time.Time) (first, until string) {
	first, until = from.Format("01-02"), to.Format("01-02")
	switch {
	case !from.Before(to):
		return ":", ":" // none
	case from.Year() == to.Year():
		return first, until
	case to.Year() > from.Year()+1 || until >= first:
		return "", ":" // all
	default:
		return first, until
	}
}
