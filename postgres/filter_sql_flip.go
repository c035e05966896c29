package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/filter"
)

// flipSQL writes an expression for an instant until which the filter's answer for the row u of users
// stays, by time alone: null where it stays for ever, else between now, in microseconds, and
// filter.NextFlip.
func flipSQL(f *filter.Filter, now time.Time, zones []string, a *sqlArgs) string {
	w := newFilter(now, zones, a)
	join := func(parts [][]string) []string { return slices.Concat(parts...) }
	flips := filter.Walk(f, w.flips, join, join, func(part []string) []string { return part })
	if len(flips) == 0 {
		return "null::timestamptz"
	}
	return "least(" + strings.Join(flips, ", ") + ")"
}

// flips are when a condition may turn; null for what never will.
func (w *sqlFilter) flips(l *filter.Leaf) []string {
	if l.Event != "" {
		return w.expires(l)
	}
	zone := l.Zone
	if zone == nil {
		zone = time.UTC
	}
	var flips []string
	for i, b := range l.Boundaries(zone) {
		at := func(zone *time.Location) time.Time { return l.Boundaries(zone)[i].At(w.now) }
		switch {
		case l.Of == filter.ChangedAt:
			flips = append(flips, "(select "+w.passes(l, changeTime, at, b.Lead)+" from ("+w.lastChange(l)+") c)")
		case l.Of == filter.Anniversary:
			flips = append(flips, w.returns(l, w.property(l.Property), at, b.Lead))
		case l.Ever:
			flips = append(flips, "(select min("+w.passes(l, plainTime(l.Type, changed), at, b.Lead)+") "+w.changes(l)+")")
		default:
			flips = append(flips, w.passes(l, plainTime(l.Type, w.property(l.Property)), at, b.Lead))
		}
	}
	return flips
}

// expires is when the event without which the answer is another one is too old to count.
func (w *sqlFilter) expires(l *filter.Leaf) []string {
	if l.Back == 0 {
		return nil
	}
	return []string{"(select least(e.occurred_at + " + w.args.add(l.Back) + ", " + w.horizon() + ") " + w.events(l) +
		" order by e.occurred_at desc offset " + w.args.add(deciding(l)) + " limit 1)"}
}

// passes is when a boundary that moves with now may pass a time that it did not pass.
func (w *sqlFilter) passes(l *filter.Leaf, t sqlTime, at func(zone *time.Location) time.Time, lead time.Duration) string {
	return "case when " + t.valid + " and " + t.key + " >= " + w.bound(l, at) + " then " + w.soonest(t.from, lead) + " end"
}

// returns is when a boundary may pass the next anniversary of a date.
func (w *sqlFilter) returns(l *filter.Leaf, v sqlValue, at func(zone *time.Location) time.Time, lead time.Duration) string {
	first := func(zone *time.Location) time.Time { return filter.FirstDay(at(zone), zone) }
	year := func(later int) string {
		return w.perZone(l, func(zone *time.Location) string { return fmt.Sprintf("%04d", max(1, first(zone).Year()+later)) })
	}
	day := "right(" + v.text + `, 5) collate "C"`
	next := "case when " + day + " >= " + w.perZone(l, func(zone *time.Location) string { return first(zone).Format("01-02") }) +
		" then " + year(0) + " else " + year(1) + " end || '-' || case when " + day + " = '02-29' then '02-28' else " + day + " end"
	from := "(" + next + " || 'T00:00:00Z')::timestamptz - interval '26 hours'"
	return "case when " + plainTime(l.Type, v).valid + " then " + w.soonest(from, lead) + " end"
}

// soonest is when a boundary may pass an instant that lies at from or later, and is not before now.
func (w *sqlFilter) soonest(from string, lead time.Duration) string {
	return "least(greatest(" + w.args.add(w.now) + ", " + from + " - " + w.args.add(lead) + "), " + w.horizon() + ")"
}

func (w *sqlFilter) horizon() string { return w.args.add(w.now.Add(filter.Horizon)) }
