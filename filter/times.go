package filter

import (
	"slices"
	"time"
)

// Spans are what the operands of a comparison of times stand for, for a user of a zone.
func (l *Leaf) Spans(s *Subject, zone *time.Location) []Span {
	if l.spans != nil {
		return l.spans
	}
	spans := make([]Span, len(l.times))
	for i := range l.times {
		spans[i] = l.times[i].span(s, zone)
	}
	return spans
}

// zoneFor is where the condition reads dates of a user.
func (l *Leaf) zoneFor(s *Subject) *time.Location {
	if l.Zone != nil {
		return l.Zone
	}
	return OwnZoneOf(s.User)
}

func (l *Leaf) compareTime(seen any, s *Subject) bool {
	value, ok := readTime(seen)
	if !ok || value.kind != l.timeKind() {
		return false
	}
	for i := range l.times {
		if l.times[i].kind != otherTime {
			continue
		}
		if other, ok := readTime(s.User[l.times[i].other]); !ok || other.kind != l.timeKind() {
			return false
		}
	}
	zone := l.zoneFor(s)
	spans := l.Spans(s, zone)
	if l.Of == Anniversary {
		return l.recurs(value.date, spans, zone)
	}
	at := value.span(s, zone).From
	first := spans[0]
	switch l.Op {
	case Before:
		return at.Before(first.From)
	case After:
		return !at.Before(first.To)
	case On:
		return !at.Before(first.From) && at.Before(first.To)
	case Between:
		return !at.Before(first.From) && at.Before(spans[1].To)
	case NotBetween:
		return at.Before(first.From) || !at.Before(spans[1].To)
	default:
		return false
	}
}

// timeKind is how a value of the property is written.
func (l *Leaf) timeKind() timeKind {
	if l.Type == Date {
		return wholeDay
	}
	return exactTime
}

// recurs asks whether an anniversary of a date begins within the operands.
func (l *Leaf) recurs(date day, spans []Span, zone *time.Location) bool {
	next := nextAnniversary(date, spans[0].From, zone)
	return next.Before(spans[len(spans)-1].To) == (l.Op != NotBetween)
}

// nextAnniversary is when the first anniversary of a date begins that does not begin before an
// instant. That of 29 February is 28 February in years without it.
func nextAnniversary(date day, from time.Time, zone *time.Location) time.Time {
	year := from.In(zone).Year() - 1
	for {
		next := date.plusMonths(12 * (year - date.Year())).begins(zone)
		if !next.Before(from) {
			return next
		}
		year++
	}
}

// OtherTimes are the properties whose values the comparison of times is made with, by the position of
// the operand; "" where it is none.
func (l *Leaf) OtherTimes() []string {
	names := make([]string, len(l.times))
	for i := range l.times {
		names[i] = l.times[i].other
	}
	return names
}

// Boundary is an instant that moves with now, never back. When it passes a time that is compared,
// the answer of the comparison can turn.
type Boundary struct {
	At   func(now time.Time) time.Time
	Lead time.Duration // at most how far it lies ahead of now; negative where it always lies behind
}

// Boundaries are those of the comparison, for a user of a zone; none where it stands still.
func (l *Leaf) Boundaries(zone *time.Location) []Boundary {
	var list []Boundary
	for i := range l.times {
		math := l.times[i].math
		if math == nil {
			continue // stands still
		}
		if l.Op != After && (l.Op == Before || l.Op == On || i == 0) {
			list = append(list, Boundary{func(now time.Time) time.Time { return math.span(now, zone).From }, math.lead()})
		}
		if l.Op != Before && (l.Op == After || l.Op == On || i == 1) {
			list = append(list, Boundary{func(now time.Time) time.Time { return math.span(now, zone).To }, math.lead()})
		}
	}
	return list
}

// moves reports whether the condition's answer can change by time alone.
func (l *Leaf) moves() bool {
	return l.Back > 0 || slices.ContainsFunc(l.times, func(o timeOperand) bool { return o.kind == movingTime })
}
