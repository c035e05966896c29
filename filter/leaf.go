package filter

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Leaf is a condition with its operand read. Its members are for reading only.
type Leaf struct {
	*Condition
	Pointer string // where the condition stands in the filter
	Type    Type   // of what is compared

	Texts       []string // operands of text and choice comparisons, sorted; folded for texts
	Numbers     []float64
	Truth       bool
	Other       string         // the property whose value is the operand, of comparisons that are not of time
	Back        time.Duration  // of an event: how long ago it may lie; 0: any time
	WhereFilter *Filter        // of an event
	Zone        *time.Location // where dates are read; nil: the user's own

	times []timeOperand
	spans []Span // of operands that neither move nor depend on the user
}

// Outcome is the output that every step has: how it went.
const Outcome = "outcome"

// answer asks the condition. What it saw is the value it compared, in the form of decoded JSON; a
// list of values where it asked for any that ever was.
func (l *Leaf) answer(s *Subject) (result bool, seen any) {
	switch {
	case l.Event != "":
		n := len(l.counted(s))
		if l.Op == AtLeast {
			return n >= *l.Count, float64(n)
		}
		return n <= *l.Count, float64(n)
	case l.Workflow != "":
		return l.passed(s)
	case l.EventProperty != "":
		seen = s.Event[l.EventProperty]
	case l.Step != "":
		seen = s.Steps[l.Step][cmp.Or(l.Output, Outcome)]
	case l.Ever:
		return l.ever(s)
	case l.Of == ChangedAt:
		if at, ok := s.Past.changedAt(l.Property); ok {
			seen = at.UTC().Format(time.RFC3339Nano)
		}
	default:
		seen = s.User[l.Property]
	}
	return l.one(seen, s), seen
}

// one asks the condition about one value.
func (l *Leaf) one(seen any, s *Subject) bool {
	empty := isEmpty(seen)
	switch {
	case l.Op == Known:
		return !empty
	case l.Op == Unknown:
		return empty
	case empty || l.otherEmpty(s):
		return l.IfEmpty
	}
	return l.compare(seen, s)
}

// ever asks the condition about each value that the property ever had.
func (l *Leaf) ever(s *Subject) (bool, any) {
	values := s.Past.values(l.Property)
	switch {
	case l.Op == Known:
		return len(values) > 0, values
	case len(values) == 0 || l.otherEmpty(s):
		return l.IfEmpty, values
	}
	return slices.ContainsFunc(values, func(v any) bool { return l.compare(v, s) }), values
}

// counted lists the events that count, newest first.
func (l *Leaf) counted(s *Subject) []Event {
	if s.Past == nil {
		return nil
	}
	var counted []Event
	for _, e := range s.Past.Events[l.Event] {
		if l.Back > 0 && !e.At.After(s.Now.Add(-l.Back)) {
			continue
		}
		if l.WhereFilter == nil || l.WhereFilter.Match(Subject{Event: e.Properties}) {
			counted = append(counted, e)
		}
	}
	return counted
}

func (l *Leaf) passed(s *Subject) (bool, any) {
	var p Passage
	if s.Past != nil {
		p = s.Past.Workflows[l.Workflow]
	}
	seen := map[string]any{"enrolled": p.Enrolled, "active": p.Active, "completed": p.Completed}
	switch l.Op {
	case Enrolled:
		return p.Enrolled, seen
	case NeverEnrolled:
		return !p.Enrolled, seen
	case Active:
		return p.Active, seen
	default:
		return p.Completed, seen
	}
}

// otherEmpty reports whether a property that the condition compares with has no value.
func (l *Leaf) otherEmpty(s *Subject) bool {
	if l.Other != "" && isEmpty(s.User[l.Other]) {
		return true
	}
	for i := range l.times {
		if other := l.times[i].other; other != "" && isEmpty(s.User[other]) {
			return true
		}
	}
	return false
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	default:
		return false
	}
}

// compare answers for a value that is not empty. A value of another type than the property's
// does not match.
func (l *Leaf) compare(seen any, s *Subject) bool {
	if l.Other != "" {
		return l.compareOther(seen, s.User[l.Other])
	}
	switch l.Type {
	case Bool:
		b, ok := seen.(bool)
		return ok && (b == l.Truth) == (l.Op == Equals)
	case Number:
		f, ok := seen.(float64)
		return ok && l.number(f, l.Numbers)
	case String:
		s, ok := seen.(string)
		return ok && l.text(Fold(s))
	case untyped:
		return l.loose(seen)
	case Enum, User:
		s, ok := seen.(string)
		return ok && slices.Contains(l.Texts, s) == (l.Op == Equals || l.Op == AnyOf)
	case MultiEnum, Users:
		items, ok := seen.([]any)
		return ok && l.members(items)
	default:
		return l.compareTime(seen, s)
	}
}

// compareOther compares two values of one type that has no time.
func (l *Leaf) compareOther(a, b any) bool {
	switch l.Type {
	case Number:
		x, okX := a.(float64)
		y, okY := b.(float64)
		return okX && okY && l.number(x, []float64{y})
	case Bool:
		x, okX := a.(bool)
		y, okY := b.(bool)
		return okX && okY && (x == y) == (l.Op == Equals)
	default:
		x, okX := a.(string)
		y, okY := b.(string)
		return okX && okY && (x == y) == (l.Op == Equals)
	}
}

// loose compares a value of an event or of a step, which has no declared type: a number with numbers as a
// number, a list by its members, anything else as its text, without regard to case.
func (l *Leaf) loose(seen any) bool {
	if items, ok := seen.([]any); ok {
		return l.members(items)
	}
	if f, ok := seen.(float64); ok && l.Numbers != nil {
		return l.number(f, l.Numbers)
	}
	s, ok := LooseText(seen)
	return ok && l.text(s)
}

// LooseText is the folded text of a single value. A number is written without an exponent, as
// people write it.
func LooseText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return Fold(v), true
	case float64:
		return strconv.FormatFloat(v+0, 'f', -1, 64), true // -0 is 0
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

func (l *Leaf) text(s string) bool {
	any := func(holds func(s, operand string) bool) bool {
		return slices.ContainsFunc(l.Texts, func(operand string) bool { return holds(s, operand) })
	}
	switch l.Op {
	case Equals, AnyOf:
		return slices.Contains(l.Texts, s)
	case NotEquals, NoneOf:
		return !slices.Contains(l.Texts, s)
	case Contains:
		return any(strings.Contains)
	case NotContains:
		return !any(strings.Contains)
	case StartsWith:
		return any(strings.HasPrefix)
	case EndsWith:
		return any(strings.HasSuffix)
	default:
		return false
	}
}

func (l *Leaf) number(f float64, operands []float64) bool {
	first := operands[0]
	switch l.Op {
	case Equals, AnyOf:
		return slices.Contains(operands, f)
	case NotEquals, NoneOf:
		return !slices.Contains(operands, f)
	case GreaterThan:
		return f > first
	case AtLeast:
		return f >= first
	case LessThan:
		return f < first
	case AtMost:
		return f <= first
	case Between:
		return f >= first && f <= operands[1]
	case NotBetween:
		return f < first || f > operands[1]
	default:
		return false
	}
}

func (l *Leaf) members(items []any) bool {
	found := 0
	distinct := map[string]bool{}
	for _, item := range items {
		s, ok := item.(string)
		if l.Type == untyped {
			s, ok = LooseText(item)
		}
		switch {
		case !ok && l.Type == untyped:
			continue
		case !ok:
			return false
		}
		if !distinct[s] && slices.Contains(l.Texts, s) {
			found++
		}
		distinct[s] = true
	}
	switch l.Op {
	case AnyOf, Contains, Equals:
		return found > 0
	case NoneOf, NotContains, NotEquals:
		return found == 0
	case AllOf:
		return found == len(l.Texts)
	case NotAllOf:
		return found < len(l.Texts)
	case Exactly:
		return found == len(l.Texts) && len(distinct) == found
	case NotExactly:
		return found < len(l.Texts) || len(distinct) != found
	default:
		return false
	}
}

// Fold brings a text to the form in which texts are compared: without regard to case, letter by
// letter.
func Fold(s string) string { return strings.ToLower(s) }
