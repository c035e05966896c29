package filter

import (
	"slices"
	"time"
)

// Flips that do not change the answer are passed over, so many of them at most.
const maxFlips = 64

// NextFlip is the first instant after s.Now at which the answer could change by time alone, for a
// user who does not change; ok is false where it never does. Until that instant the answer stays. It
// lies at most a century ahead, and it is early only where very many conditions turn before the
// answer does.
func (f *Filter) NextFlip(s Subject) (at time.Time, ok bool) {
	if !f.Timed() {
		return time.Time{}, false
	}
	s.Now = s.Now.Truncate(Resolution)
	answer, limit := f.root.match(&s), s.Now.Add(century)
	type turn struct {
		leaf *Leaf
		at   time.Time
	}
	var due []turn // the next of each leaf that still has one
	for _, l := range f.moving {
		if at, ok := l.nextFlip(&s); ok {
			due = append(due, turn{l, at})
		}
	}
	for range maxFlips {
		if len(due) == 0 {
			return time.Time{}, false
		}
		s.Now = slices.MinFunc(due, func(a, b turn) int { return a.at.Compare(b.at) }).at
		if !s.Now.Before(limit) {
			return limit, true
		}
		if f.root.match(&s) != answer {
			break
		}
		rest := due[:0]
		for _, t := range due {
			ok := true
			if t.at.Equal(s.Now) {
				t.at, ok = t.leaf.nextFlip(&s)
			}
			if ok {
				rest = append(rest, t)
			}
		}
		due = rest
	}
	return s.Now, true
}

// moving adds the leaves whose answers change by time alone.
func (n *node) moving(list []*Leaf) []*Leaf {
	if n.leaf.moves() {
		list = append(list, &n.leaf)
	}
	for i := range n.children {
		list = n.children[i].moving(list)
	}
	return list
}

// sooner keeps the earlier of two instants that may not be.
func sooner(a time.Time, okA bool) func(b time.Time, okB bool) (time.Time, bool) {
	return func(b time.Time, okB bool) (time.Time, bool) {
		if okB && (!okA || b.Before(a)) {
			return b, true
		}
		return a, okA
	}
}

func (l *Leaf) nextFlip(s *Subject) (at time.Time, ok bool) {
	switch {
	case l.Event != "":
		return l.expires(s)
	case l.Ever:
		for _, v := range s.Past.values(l.Property) {
			at, ok = sooner(at, ok)(l.turns(v, s))
		}
		return at, ok
	case l.Of == ChangedAt:
		if changed, ok := s.Past.changedAt(l.Property); ok {
			return l.turnsAt(changed, s)
		}
		return time.Time{}, false
	default:
		return l.turns(s.User[l.Property], s)
	}
}

// expires is when so many of the events that count are too old that the answer changes.
func (l *Leaf) expires(s *Subject) (time.Time, bool) {
	counted := l.counted(s)
	deciding := *l.Count - 1 // the one without which there are not enough
	if l.Op == AtMost {
		deciding = *l.Count // the one too many
	}
	if deciding >= len(counted) {
		return time.Time{}, false
	}
	return counted[deciding].At.Add(l.Back), true
}

func (l *Leaf) turns(v any, s *Subject) (time.Time, bool) {
	value, ok := readTime(v)
	if !ok || value.kind != l.timeKind() {
		return time.Time{}, false
	}
	zone := l.zoneFor(s)
	if l.Of != Anniversary {
		return l.turnsAt(value.span(s, zone).From, s)
	}
	var at time.Time
	ok = false
	for _, b := range l.Boundaries(zone) {
		next := nextAnniversary(value.date, b.At(s.Now), zone)
		at, ok = sooner(at, ok)(passes(b.At, next, s.Now), true)
	}
	return at, ok
}

// turnsAt is when the first of the moving operands passes a fixed instant.
func (l *Leaf) turnsAt(fixed time.Time, s *Subject) (at time.Time, ok bool) {
	for _, b := range l.Boundaries(l.zoneFor(s)) {
		if !b.At(s.Now).After(fixed) {
			at, ok = sooner(at, ok)(passes(b.At, fixed, s.Now), true)
		}
	}
	return at, ok
}
