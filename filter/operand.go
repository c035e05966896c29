package filter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/strictjson"
)

// Limits of the operand of one condition.
const (
	maxOperands = 1000
	maxTexts    = 16 << 10 // bytes of all texts together that are compared without regard to case
)

// operand reads the value of a condition for its op. The error is for the author.
func (c *compiler) operand(l *Leaf) error {
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
	case len(values) > maxOperands:
		return fmt.Errorf("a condition takes at most %d values", maxOperands)
	case l.Op == Between || l.Op == NotBetween:
		if len(values) != 2 {
			return fmt.Errorf("%q needs a list of two values, from and to", l.Op)
		}
	case isList && !l.takesList():
		return fmt.Errorf("%q takes one value, not a list", l.Op)
	}
	for _, v := range values {
		if err := c.addOperand(l, v, isList && l.Op != Between && l.Op != NotBetween); err != nil {
			return err
		}
	}
	slices.Sort(l.Texts)
	l.Texts = slices.Compact(l.Texts)
	if l.Type == untyped && (len(l.Numbers) != len(values) || l.comparesTexts()) {
		l.Numbers = nil
	}
	return l.checkOperands()
}

// checkOperands judges the operands together.
func (l *Leaf) checkOperands() error {
	if l.Type == String || l.Type == untyped {
		size := 0
		for _, s := range l.Texts {
			if s == "" && l.comparesTexts() {
				return fmt.Errorf("%q needs a text that is not empty", l.Op)
			}
			size += len(s)
		}
		if size > maxTexts {
			return fmt.Errorf("the texts of a condition have at most %d KiB together", maxTexts>>10)
		}
	}
	reversed := errors.New("the first of the two values lies after the second")
	if (l.Op == Between || l.Op == NotBetween) && len(l.Numbers) == 2 && l.Numbers[0] > l.Numbers[1] {
		return reversed
	}
	if len(l.times) == 0 || slices.ContainsFunc(l.times, timeOperand.moves) {
		return nil
	}
	spans := l.Spans(&Subject{}, cmp.Or(l.Zone, time.UTC))
	// Which of a date and an instant comes first depends on a zone that is the user's own.
	if len(spans) == 2 && (l.Zone != nil || l.times[0].kind == l.times[1].kind) &&
		spans[0].From.After(spans[1].From) && !spans[0].From.Before(spans[1].To) {
		return reversed
	}
	if l.Zone != nil {
		l.spans = spans
	}
	return nil
}

func (l *Leaf) comparesTexts() bool {
	switch l.Op {
	case Contains, NotContains, StartsWith, EndsWith:
		return true
	default:
		return false
	}
}

func (l *Leaf) takesList() bool {
	switch l.Op {
	case GreaterThan, AtLeast, LessThan, AtMost, Before, After, On:
		return false
	default:
		return l.Type != Bool
	}
}

func (c *compiler) addOperand(l *Leaf, v any, listed bool) error {
	if object, ok := v.(map[string]any); ok {
		return c.addOther(l, object, listed)
	}
	switch l.Type {
	case Bool:
		b, ok := v.(bool)
		if !ok {
			return errors.New("the value must be true or false")
		}
		l.Truth = b
	case Number:
		f, ok := v.(float64)
		if !ok {
			return errors.New("the value must be a number")
		}
		l.Numbers = append(l.Numbers, f)
	case Date, Datetime:
		return l.addTime(v)
	case untyped:
		return l.addLoose(v)
	default:
		s, ok := v.(string)
		if !ok {
			return errors.New("the value must be a text")
		}
		if options := c.Options[l.Property]; len(options) > 0 && !slices.Contains(options, s) {
			return fmt.Errorf("%q is not among the options %s", strictjson.Short(s), strings.Join(options, ", "))
		}
		if l.Type == String {
			s = Fold(s)
		}
		l.Texts = append(l.Texts, s)
	}
	return nil
}

// addOther reads {"property": …}: the value of another property of the same type.
func (c *compiler) addOther(l *Leaf, object map[string]any, listed bool) error {
	name, ok := object["property"].(string)
	if !ok || len(object) != 1 {
		return errors.New(`an object here names another property: {"property": …}`)
	}
	kind, known := c.Types[name]
	if !known || c.inside {
		return fmt.Errorf("there is no property %q%s", strictjson.Short(name), nearest(name, c.Types))
	}
	switch {
	case kind != l.Type:
		return fmt.Errorf("%s is %s, and %s cannot be compared with it", name, kind.article(), l.kind())
	case l.Of == Anniversary || listed || !slices.Contains(comparable(l.Type), l.Op):
		return fmt.Errorf("%q of %s takes no other property", l.Op, l.kind())
	}
	c.reads(name)
	if l.Type == Date || l.Type == Datetime {
		l.times = append(l.times, timeOperand{kind: otherTime, other: name})
	} else {
		l.Other = name
	}
	return nil
}

// comparable lists the ops that compare two properties of a type.
func comparable(t Type) []Op {
	switch t {
	case Date, Datetime:
		return dateOps
	case Number:
		return []Op{Equals, NotEquals, GreaterThan, AtLeast, LessThan, AtMost}
	case Bool, Enum, User:
		return []Op{Equals, NotEquals}
	default:
		return nil
	}
}

// addTime reads a date, an instant or date math.
func (l *Leaf) addTime(v any) error {
	s, ok := v.(string)
	if !ok || !strings.HasPrefix(s, "now") {
		fixed, ok := readTime(v)
		if !ok {
			return fmt.Errorf("the value must be a date such as 2027-01-04, an instant such as 2027-01-04T09:00:00Z or date math such as now-30d, is %s", shown(v))
		}
		l.times = append(l.times, fixed)
		return nil
	}
	m, err := parseMath(s)
	if err != nil {
		return err
	}
	if l.Op == On && m.ofDay() {
		whole, _, _ := strings.Cut(s, "/")
		return fmt.Errorf("%q is an instant; write %s/d for its day", strictjson.Short(s), strictjson.Short(whole))
	}
	l.times = append(l.times, timeOperand{kind: movingTime, math: m})
	return nil
}

// shown is a text as messages have it, and the type of any other value.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return strictjson.Short(s)
	}
	return strictjson.TypeName(v)
}

func (l *Leaf) addLoose(v any) error {
	text, ok := LooseText(v)
	if !ok {
		return errors.New("the value must be a text, a number, true or false")
	}
	l.Texts = append(l.Texts, text)
	f, isNumber := v.(float64)
	if isNumber {
		l.Numbers = append(l.Numbers, f)
	}
	switch l.Op {
	case GreaterThan, AtLeast, LessThan, AtMost:
		if !isNumber {
			return fmt.Errorf("%q needs a number", l.Op)
		}
	}
	return nil
}

// timeOperand is what a time is compared with: a date, an instant, date math or another property.
type timeOperand struct {
	kind  timeKind
	date  day       // of a wholeDay
	at    time.Time // of an exactTime
	math  *dateMath // of a moving
	other string    // of an otherTime
}

type timeKind int

const (
	wholeDay timeKind = iota
	exactTime
	movingTime
	otherTime
)

// moves reports whether the operand depends on the subject.
func (o timeOperand) moves() bool { return o.kind == movingTime || o.kind == otherTime }

func (o *timeOperand) span(s *Subject, zone *time.Location) Span {
	switch o.kind {
	case otherTime:
		other, ok := readTime(s.User[o.other])
		if !ok {
			return Span{}
		}
		return other.span(s, zone)
	case movingTime:
		return o.math.span(s.Now, zone)
	case wholeDay:
		return Span{o.date.begins(zone), o.date.plus(1).begins(zone)}
	default:
		return instant(o.at)
	}
}

// readTime reads a date or an instant as it stands in JSON.
func readTime(v any) (timeOperand, bool) {
	s, ok := v.(string)
	if !ok {
		return timeOperand{}, false
	}
	if date, err := time.Parse(time.DateOnly, s); err == nil {
		return timeOperand{kind: wholeDay, date: civil(date.Date())}, true
	}
	at, err := time.Parse(time.RFC3339, s)
	return timeOperand{kind: exactTime, at: at.Truncate(Resolution).UTC()}, err == nil
}
