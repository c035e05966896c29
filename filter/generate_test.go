package filter_test

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/filter"
)

var (
	eventOps = []filter.Op{
		filter.Known, filter.Unknown, filter.Equals, filter.NotEquals, filter.Contains, filter.NotContains, filter.StartsWith,
		filter.EndsWith, filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost, filter.AnyOf, filter.NoneOf,
	}
	timeOps     = []filter.Op{filter.Before, filter.After, filter.On, filter.Between, filter.NotBetween}
	negativeOps = []filter.Op{
		filter.Unknown, filter.NotEquals, filter.NotContains, filter.NoneOf, filter.NotAllOf, filter.NotExactly, filter.NotBetween,
	}
	// others are the properties that can be compared with each other.
	others = map[string]string{"desks": "rooms", "admin": "owner", "city": "town", "boss": "mate", "hired": "left", "seen_at": "due_at"}

	texts    = []string{"", "a", "A", "ab", "Żółw", "żółw", "7", "support", "sales", "u_1"}
	days     = []string{"2027-01-03", "2027-01-04", "2028-02-29", "2023-10-01"}
	instants = []string{"2027-01-03T23:00:00Z", "2027-01-04T00:00:00+01:00", "2023-10-01T04:00:00Z", "2028-02-29T12:00:00.5Z"}
	zones    = []string{
		"UTC", "Europe/Warsaw", "America/Asuncion", "Pacific/Apia", "America/St_Johns", "America/Havana", "America/Sao_Paulo", "Asia/Kathmandu",
	}
	// amounts are all that the date math of these tests adds up; the first four are not of whole days.
	amounts = []string{"+1h", "-1h", "+36h", "-36h", "+1d", "-1d", "+7d", "-7d", "-30d", "+1w", "-1w", "+1M", "-1M", "+1y", "-1y"}
	// around is where clocks or calendars do something.
	around = []time.Time{
		time.Date(2010, time.November, 7, 2, 31, 0, 0, time.UTC),  // St. John's goes back over midnight
		time.Date(2011, time.December, 30, 10, 0, 0, 0, time.UTC), // Apia leaves out a day
		time.Date(2018, time.November, 4, 3, 0, 0, 0, time.UTC),   // São Paulo has no midnight
		time.Date(2023, time.October, 1, 4, 0, 0, 0, time.UTC),    // Asunción has none
		time.Date(2023, time.November, 5, 5, 0, 0, 0, time.UTC),   // Havana has two
		time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2027, time.March, 28, 1, 0, 0, 0, time.UTC),
		time.Date(2028, time.February, 29, 12, 0, 0, 0, time.UTC),
	}
)

// operand draws one value that a property of the type is compared with; of times, one that stays.
func operand(kind filter.Type) *rapid.Generator[any] {
	text := rapid.Map(rapid.SampledFrom(texts), func(s string) any { return s })
	number := rapid.Map(rapid.IntRange(-3, 3), func(n int) any { return float64(n) / 2 })
	truth := rapid.Map(rapid.Bool(), func(b bool) any { return b })
	switch kind {
	case filter.Number:
		return number
	case filter.Bool:
		return truth
	case filter.Date, filter.Datetime:
		return rapid.Map(rapid.SampledFrom(append(slices.Clone(days), instants...)), func(s string) any { return s })
	case "event property":
		return rapid.OneOf(text, number, truth)
	default:
		return text
	}
}

func operands(kind filter.Type, op filter.Op) *rapid.Generator[any] {
	one := operand(kind)
	list := func(from, to int) *rapid.Generator[any] {
		return rapid.Map(rapid.SliceOfN(one, from, to), func(items []any) any { return items })
	}
	switch op {
	case filter.Known, filter.Unknown:
		return rapid.Just[any](nil)
	case filter.Between, filter.NotBetween:
		return rapid.Map(list(2, 2), ordered)
	case filter.Before, filter.After, filter.On:
		return one
	case filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost:
		return operand(filter.Number)
	case filter.Contains, filter.NotContains, filter.StartsWith, filter.EndsWith:
		one = one.Filter(func(v any) bool { return v != "" })
	}
	if kind == filter.Bool {
		return one
	}
	return rapid.OneOf(one, list(1, 3))
}

// ordered brings two values into an order that they have in every zone.
func ordered(v any) any {
	a, b := v.([]any)[0], v.([]any)[1]
	if x, isNumber := a.(float64); isNumber {
		y, _ := b.(float64)
		return []any{min(x, y), max(x, y)}
	}
	before := func(a, b any) bool { return readTime(a).Before(readTime(b)) }
	switch gap := readTime(a).Sub(readTime(b)).Abs(); {
	case len(a.(string)) != len(b.(string)) && gap < 48*time.Hour:
		return []any{a, a}
	case before(b, a):
		return []any{b, a}
	default:
		return []any{a, b}
	}
}

func readTime(v any) time.Time {
	s, _ := v.(string)
	if at, err := time.Parse(time.DateOnly, s); err == nil {
		return at
	}
	at, _ := time.Parse(time.RFC3339, s)
	return at
}

// moving draws times that move with now.
func moving(op filter.Op) *rapid.Generator[any] {
	sumOf := func(amounts []string) *rapid.Generator[string] {
		return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(amounts), 0, 2), func(parts []string) string { return strings.Join(parts, "") })
	}
	before, after := sumOf(amounts), sumOf(amounts)
	if op == filter.On {
		after = sumOf(amounts[4:])
	}
	return rapid.Custom(func(t *rapid.T) any {
		text := "now" + before.Draw(t, "before")
		if op == filter.On || rapid.Bool().Draw(t, "has a slash") {
			text += rapid.SampledFrom([]string{"/d", "/d", "/w", "/M", "/y"}).Draw(t, "slash") + after.Draw(t, "after")
		}
		return text
	})
}

// movingOperands draws operands at least one of which moves with now.
func movingOperands(property string, op filter.Op) *rapid.Generator[any] {
	if op != filter.Between && op != filter.NotBetween {
		return moving(op)
	}
	return rapid.Custom(func(t *rapid.T) any {
		second := rapid.OneOf(moving(op), operand(filter.Datetime))
		if other := others[property]; other != "" {
			second = rapid.OneOf(second, rapid.Just[any](map[string]any{"property": other}))
		}
		pair := []any{moving(op).Draw(t, "one end"), second.Draw(t, "other end")}
		if rapid.Bool().Draw(t, "turned round") {
			slices.Reverse(pair)
		}
		return pair
	})
}

func names() []string {
	var names []string
	for name := range types() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// plain draws conditions on the values that a user and an event have.
func plain() *rapid.Generator[filter.Tree] {
	return rapid.Custom(func(t *rapid.T) filter.Tree {
		c := &filter.Condition{IfEmpty: rapid.Bool().Draw(t, "if_empty")}
		kind, ops := filter.Type("event property"), eventOps
		if rapid.IntRange(0, 4).Draw(t, "about the event") == 0 {
			c.EventProperty = "page"
		} else {
			c.Property = rapid.SampledFrom(names()).Draw(t, "property")
			kind = types()[c.Property]
			ops = filter.Operators(kind)
		}
		c.Op = rapid.SampledFrom(ops).Draw(t, "op")
		c.Value = operands(kind, c.Op).Draw(t, "value")
		return filter.Tree{Condition: c}
	})
}

// past draws conditions on what happened, and on another property, none of which moves with now.
func past() *rapid.Generator[filter.Tree] {
	return rapid.Custom(func(t *rapid.T) filter.Tree {
		c := &filter.Condition{}
		switch rapid.SampledFrom([]string{"ever", "changed_at", "anniversary", "other", "event", "workflow"}).Draw(t, "kind") {
		case "ever":
			c.Property, c.Ever = rapid.SampledFrom(names()).Draw(t, "property"), true
			kind := types()[c.Property]
			c.Op = rapid.SampledFrom(filter.Operators(kind)).Filter(func(op filter.Op) bool { return !slices.Contains(negativeOps, op) }).Draw(t, "op")
			c.Value = operands(kind, c.Op).Draw(t, "value")
		case "changed_at":
			c.Property, c.Of = rapid.SampledFrom(names()).Draw(t, "property"), filter.ChangedAt
			c.Op = rapid.SampledFrom(filter.Operators(filter.Datetime)).Draw(t, "op")
			c.Value = operands(filter.Datetime, c.Op).Draw(t, "value")
		case "anniversary":
			c.Property, c.Of = rapid.SampledFrom([]string{"hired", "left"}).Draw(t, "property"), filter.Anniversary
			c.Op = rapid.SampledFrom([]filter.Op{filter.Known, filter.Unknown, filter.On, filter.Between, filter.NotBetween}).Draw(t, "op")
			c.Value = operands(filter.Date, c.Op).Draw(t, "value")
		case "other":
			c.Property = rapid.SampledFrom([]string{"desks", "admin", "city", "boss", "hired", "seen_at"}).Draw(t, "property")
			c.Value = map[string]any{"property": others[c.Property]}
			ops := []filter.Op{filter.Equals, filter.NotEquals}
			if kind := types()[c.Property]; kind == filter.Date || kind == filter.Datetime {
				ops = timeOps[:3]
			}
			c.Op = rapid.SampledFrom(ops).Draw(t, "op")
		case "event":
			c.Event = rapid.SampledFrom([]string{"login", "logout"}).Draw(t, "event")
			c.Op = rapid.SampledFrom([]filter.Op{filter.AtLeast, filter.AtMost}).Draw(t, "op")
			c.Count = new(rapid.IntRange(1, 4).Draw(t, "count"))
			if rapid.Bool().Draw(t, "has a where") {
				where := trees(2, plain().Filter(func(tree filter.Tree) bool { return tree.Condition.EventProperty != "" })).Draw(t, "where")
				c.Where = &where
			}
			return filter.Tree{Condition: c}
		case "workflow":
			c.Workflow = "welcome"
			c.Op = rapid.SampledFrom([]filter.Op{filter.Enrolled, filter.NeverEnrolled, filter.Active, filter.Completed}).Draw(t, "op")
			return filter.Tree{Condition: c}
		}
		c.IfEmpty = rapid.Bool().Draw(t, "if_empty")
		return filter.Tree{Condition: c}
	})
}

// timed draws conditions whose answers change by time alone; anniversaries, which come back for ever,
// only where they are wanted.
func timed(anniversaries bool) *rapid.Generator[filter.Tree] {
	kinds := []string{"value", "value", "ever", "changed_at", "event"}
	if anniversaries {
		kinds = append(kinds, "anniversary")
	}
	return rapid.Custom(func(t *rapid.T) filter.Tree {
		c := &filter.Condition{TimeZone: rapid.SampledFrom(append([]string{"", "", filter.OwnZone}, zones...)).Draw(t, "zone")}
		ops := timeOps
		property := rapid.SampledFrom([]string{"hired", "seen_at"})
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case "event":
			c.Event = rapid.SampledFrom([]string{"login", "logout"}).Draw(t, "event")
			c.Op = rapid.SampledFrom([]filter.Op{filter.AtLeast, filter.AtMost}).Draw(t, "op")
			c.Count = new(rapid.IntRange(1, 3).Draw(t, "count"))
			c.Within = rapid.SampledFrom([]string{"1h", "1d", "7d", "1d12h", "52w"}).Draw(t, "within")
			return filter.Tree{Condition: c}
		case "ever":
			c.Ever, ops = true, timeOps[:4]
		case "changed_at":
			c.Of, property = filter.ChangedAt, rapid.SampledFrom([]string{"title", "seen_at"})
		case "anniversary":
			c.Of, ops, property = filter.Anniversary, timeOps[2:], rapid.SampledFrom([]string{"left"}) // compared with no other
		}
		c.Property = property.Draw(t, "property")
		c.Op = rapid.SampledFrom(ops).Draw(t, "op")
		c.Value = movingOperands(c.Property, c.Op).Draw(t, "value")
		c.IfEmpty = rapid.Bool().Draw(t, "if_empty")
		return filter.Tree{Condition: c}
	})
}

// conditions draws those of every kind.
func conditions() *rapid.Generator[filter.Tree] {
	return rapid.OneOf(plain(), plain(), past(), timed(true))
}

func trees(levels int, leaf *rapid.Generator[filter.Tree]) *rapid.Generator[filter.Tree] {
	if levels == 1 {
		return leaf
	}
	return rapid.Custom(func(t *rapid.T) filter.Tree {
		shape := rapid.SampledFrom([]string{"leaf", "all", "any", "not"}).Draw(t, "shape")
		if shape == "leaf" {
			return leaf.Draw(t, "leaf")
		}
		tree := filter.Tree{}
		if rapid.IntRange(0, 3).Draw(t, "has a zone") == 0 {
			tree.TimeZone = rapid.SampledFrom(append([]string{filter.OwnZone}, zones...)).Draw(t, "zone")
		}
		group := rapid.SliceOfN(trees(levels-1, leaf), 1, 3).Draw(t, "group")
		switch shape {
		case "all":
			tree.All = group
		case "any":
			tree.Any = group
		default:
			tree.Not = &group[0]
		}
		return tree
	})
}

func scopes() *rapid.Generator[filter.Scope] {
	return rapid.Map(rapid.SampledFrom(append([]string{filter.OwnZone}, zones...)), func(name string) filter.Scope {
		return filter.Scope{Types: types(), Event: true, Zone: name}
	})
}
