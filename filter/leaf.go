package filter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/strictjson"
)

// leaf is a condition with its operand read.
type leaf struct {
	*Condition
	kind Type
	zone *time.Location

	texts   []string // operands of text and choice comparisons; folded for texts
	numbers []float64
	truth   bool
	spans   []span
}

// span is the time that a date or an instant stands for: [from, to). It is empty for a date that
// a zone skipped.
type span struct{ from, to time.Time }

func (l *leaf) match(s Subject) (result bool, seen any) {
	if l.EventProperty != "" {
		seen = s.Event[l.EventProperty]
	} else {
		seen = s.User[l.Property]
	}
	empty := isEmpty(seen)
	switch {
	case l.Op == Known:
		return !empty, seen
	case l.Op == Unknown:
		return empty, seen
	case empty:
		return l.IfEmpty, seen
	}
	return l.compare(seen), seen
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
func (l *leaf) compare(seen any) bool {
	switch l.kind {
	case Bool:
		b, ok := seen.(bool)
		return ok && (b == l.truth) == (l.Op == Equals)
	case Number:
		f, ok := seen.(float64)
		return ok && l.number(f)
	case String:
		s, ok := seen.(string)
		return ok && l.text(fold(s))
	case untyped:
		return l.loose(seen)
	case Enum, User:
		s, ok := seen.(string)
		return ok && slices.Contains(l.texts, s) == (l.Op == Equals || l.Op == AnyOf)
	case MultiEnum, Users:
		items, ok := seen.([]any)
		return ok && l.members(items)
	default:
		at, ok := l.readSpan(seen)
		return ok && l.inTime(at)
	}
}

// loose compares a value of an event, which has no declared type: a number with numbers as a
// number, a list by its members, anything else as its text, without regard to case.
func (l *leaf) loose(seen any) bool {
	if items, ok := seen.([]any); ok {
		return l.members(items)
	}
	if f, ok := seen.(float64); ok && l.numbers != nil {
		return l.number(f)
	}
	s, ok := looseText(seen)
	return ok && l.text(s)
}

// looseText is the folded text of a single value. A number is written without an exponent, as
// people write it.
func looseText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return fold(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

func (l *leaf) text(s string) bool {
	any := func(holds func(s, operand string) bool) bool {
		return slices.ContainsFunc(l.texts, func(operand string) bool { return holds(s, operand) })
	}
	switch l.Op {
	case Equals, AnyOf:
		return slices.Contains(l.texts, s)
	case NotEquals, NoneOf:
		return !slices.Contains(l.texts, s)
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

func (l *leaf) number(f float64) bool {
	first := l.numbers[0]
	switch l.Op {
	case Equals, AnyOf:
		return slices.Contains(l.numbers, f)
	case NotEquals, NoneOf:
		return !slices.Contains(l.numbers, f)
	case GreaterThan:
		return f > first
	case AtLeast:
		return f >= first
	case LessThan:
		return f < first
	case AtMost:
		return f <= first
	case Between:
		return f >= first && f <= l.numbers[1]
	case NotBetween:
		return f < first || f > l.numbers[1]
	default:
		return false
	}
}

func (l *leaf) members(items []any) bool {
	found := 0
	distinct := map[string]bool{}
	for _, item := range items {
		s, ok := item.(string)
		if l.kind == untyped {
			s, ok = looseText(item)
		}
		switch {
		case !ok && l.kind == untyped:
			continue
		case !ok:
			return false
		}
		if !distinct[s] && slices.Contains(l.texts, s) {
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
		return found == len(l.texts)
	case NotAllOf:
		return found < len(l.texts)
	case Exactly:
		return found == len(l.texts) && len(distinct) == found
	case NotExactly:
		return found < len(l.texts) || len(distinct) != found
	default:
		return false
	}
}

func (l *leaf) inTime(at span) bool {
	first := l.spans[0]
	switch l.Op {
	case Before:
		return at.from.Before(first.from)
	case After:
		return !at.from.Before(first.to)
	case On:
		return !at.from.Before(first.from) && at.from.Before(first.to)
	case Between:
		return !at.from.Before(first.from) && at.from.Before(l.spans[1].to)
	case NotBetween:
		return at.from.Before(first.from) || !at.from.Before(l.spans[1].to)
	default:
		return false
	}
}

// setOperand reads the value of the condition for its op. The error is for the author.
func (l *leaf) setOperand(options []string) error {
	if l.Op == Known || l.Op == Unknown {
		if l.Value != nil {
			return fmt.Errorf("%q takes no value", l.Op)
		}
		return nil
	}
	values, isList := l.Value.([]any)
	if !isList {
		values = []any{l.Value}
	}
	switch {
	case l.Value == nil || len(values) == 0:
		return fmt.Errorf("%q needs a value", l.Op)
	case l.Op == Between || l.Op == NotBetween:
		if len(values) != 2 {
			return fmt.Errorf("%q needs a list of two values, from and to", l.Op)
		}
	case isList && !l.takesList():
		return fmt.Errorf("%q takes one value, not a list", l.Op)
	}
	for _, v := range values {
		if err := l.addOperand(v, options); err != nil {
			return err
		}
	}
	slices.Sort(l.texts)
	l.texts = slices.Compact(l.texts)
	if l.kind == untyped && (len(l.numbers) != len(values) || l.comparesTexts()) {
		l.numbers = nil
	}
	return nil
}

func (l *leaf) comparesTexts() bool {
	switch l.Op {
	case Contains, NotContains, StartsWith, EndsWith:
		return true
	default:
		return false
	}
}

func (l *leaf) takesList() bool {
	switch l.Op {
	case GreaterThan, AtLeast, LessThan, AtMost, Before, After, On:
		return false
	default:
		return l.kind != Bool
	}
}

func (l *leaf) addOperand(v any, options []string) error {
	switch l.kind {
	case Bool:
		b, ok := v.(bool)
		if !ok {
			return errors.New("the value must be true or false")
		}
		l.truth = b
	case Number:
		f, ok := v.(float64)
		if !ok {
			return errors.New("the value must be a number")
		}
		l.numbers = append(l.numbers, f)
	case Date, Datetime:
		at, ok := l.readSpan(v)
		if !ok {
			return fmt.Errorf("the value must be a date such as 2027-01-04 or an instant such as 2027-01-04T09:00:00Z, is %s", shown(v))
		}
		l.spans = append(l.spans, at)
	case untyped:
		return l.addLoose(v)
	default:
		s, ok := v.(string)
		if !ok {
			return errors.New("the value must be a text")
		}
		if len(options) > 0 && !slices.Contains(options, s) {
			return fmt.Errorf("%q is not among the options %s", s, strings.Join(options, ", "))
		}
		if l.kind == String {
			s = fold(s)
		}
		l.texts = append(l.texts, s)
	}
	return nil
}

// shown is a text as it is, and the type of any other value.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return strictjson.TypeName(v)
}

func (l *leaf) addLoose(v any) error {
	text, ok := looseText(v)
	if !ok {
		return errors.New("the value must be a text, a number, true or false")
	}
	l.texts = append(l.texts, text)
	f, isNumber := v.(float64)
	if isNumber {
		l.numbers = append(l.numbers, f)
	}
	switch l.Op {
	case GreaterThan, AtLeast, LessThan, AtMost:
		if !isNumber {
			return fmt.Errorf("%q needs a number", l.Op)
		}
	}
	return nil
}

// readSpan reads a date as its whole day in the zone of the filter, an instant as its nanosecond.
func (l *leaf) readSpan(v any) (span, bool) {
	s, ok := v.(string)
	if !ok {
		return span{}, false
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		y, m, d := day.Date()
		return span{startOfDay(y, m, d, l.zone), startOfDay(y, m, d+1, l.zone)}, true
	}
	at, err := time.Parse(time.RFC3339, s)
	return span{at, at.Add(1)}, err == nil
}

// startOfDay is the first instant of a date. Where midnight does not exist because the clocks
// are put forward, it is the first instant after the gap.
func startOfDay(y int, m time.Month, d int, zone *time.Location) time.Time {
	midnight := time.Date(y, m, d, 0, 0, 0, 0, zone) // in a gap, on either side of it
	wanted, found := civil(y, m, d), civil(midnight.Date())
	start, end := midnight.ZoneBounds()
	switch {
	case found.Before(wanted):
		return end
	case found.Equal(wanted) && midnight.Hour() == 0:
		return midnight
	default:
		return start
	}
}

func civil(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func fold(s string) string { return strings.ToLower(s) }
