package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/filter"
)

// someTree draws filters of all kinds of conditions that are valid in a scope.
func someTree(levels int, s filter.Scope, now time.Time) *rapid.Generator[filter.Tree] {
	condition := conditions(s, now)
	if levels == 1 {
		return condition
	}
	return rapid.Custom(func(t *rapid.T) filter.Tree {
		shape := rapid.IntRange(0, 4).Draw(t, "shape")
		if shape == 0 {
			return condition.Draw(t, "condition")
		}
		group := rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[filter.Tree] { return someTree(levels-1, s, now) }), 1, 3).Draw(t, "group")
		tree := filter.Tree{}
		switch shape {
		case 1, 2:
			tree.All = group
		case 3:
			tree.Any = group
		default:
			tree.Not = &group[0]
		}
		tree.TimeZone = zoneOf().Draw(t, "zone")
		return tree
	})
}

// zoneOf draws what says where dates are read; most often it is not said.
func zoneOf() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.Just(""), rapid.Just(filter.OwnZone), rapid.SampledFrom(zoneNames))
}

func conditions(s filter.Scope, now time.Time) *rapid.Generator[filter.Tree] {
	return rapid.Custom(func(t *rapid.T) filter.Tree {
		c := &filter.Condition{}
		switch rapid.IntRange(0, 9).Draw(t, "about") {
		case 0:
			drawEvent(t, c, s, now)
		case 1:
			c.Workflow = rapid.SampledFrom(append(slices.Clone(workflows), oddName, "nul\x00")).Draw(t, "workflow")
			c.Op = rapid.SampledFrom([]filter.Op{filter.Enrolled, filter.NeverEnrolled, filter.Active, filter.Completed}).Draw(t, "op")
		case 2:
			drawLoose(t, c)
		default:
			drawProperty(t, c, now)
		}
		return filter.Tree{Condition: c}
	}).Filter(valid(s))
}

func valid(s filter.Scope) func(filter.Tree) bool {
	return func(tree filter.Tree) bool {
		_, problems := filter.Compile(&tree, s)
		return len(problems) == 0
	}
}

func drawEvent(t *rapid.T, c *filter.Condition, s filter.Scope, now time.Time) {
	c.Event = rapid.SampledFrom(append(slices.Clone(eventNames), "nul\x00")).Draw(t, "event")
	c.Op = rapid.SampledFrom([]filter.Op{filter.AtLeast, filter.AtMost}).Draw(t, "op")
	count := rapid.IntRange(0, 3).Draw(t, "count")
	c.Count = &count
	c.Within = rapid.SampledFrom([]string{"", "7d", "1h", "2w1d", "1s", "52w", "36500d"}).Draw(t, "within")
	if rapid.Bool().Draw(t, "where") {
		where := rapid.Custom(func(t *rapid.T) filter.Tree {
			c := &filter.Condition{}
			drawLoose(t, c)
			return filter.Tree{Condition: c}
		})
		list := rapid.SliceOfN(where, 1, 2).Draw(t, "properties")
		c.Where = &filter.Tree{Any: list}
	}
}

func drawLoose(t *rapid.T, c *filter.Condition) {
	c.EventProperty = rapid.SampledFrom([]string{"page", oddName, "nul\x00"}).Draw(t, "event property")
	c.IfEmpty = rapid.Bool().Draw(t, "if_empty")
	c.Op = rapid.SampledFrom([]filter.Op{
		filter.Known, filter.Unknown, filter.Equals, filter.NotEquals, filter.Contains, filter.NotContains, filter.StartsWith,
		filter.EndsWith, filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost, filter.AnyOf, filter.NoneOf,
	}).Draw(t, "op")
	one := rapid.OneOf(
		rapid.Map(texts(), func(s string) any { return s }), rapid.Map(numbers(), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(choices, func(s string) any { return s }),
	)
	switch c.Op {
	case filter.Known, filter.Unknown:
	case filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost:
		c.Value = numbers().Draw(t, "number")
	default:
		c.Value = oneOrMore(one).Draw(t, "value")
	}
}

func oneOrMore(one *rapid.Generator[any]) *rapid.Generator[any] {
	return rapid.OneOf(one, rapid.Map(rapid.SliceOfN(one, 1, 3), func(list []any) any { return list }))
}

func drawProperty(t *rapid.T, c *filter.Condition, now time.Time) {
	list := names
	if rapid.Bool().Draw(t, "is a time") {
		list = []string{"hired", "leaves", "seen_at", "asked_at"}
	}
	c.Property = rapid.SampledFrom(list).Draw(t, "property")
	c.IfEmpty = rapid.Bool().Draw(t, "if_empty")
	c.TimeZone = zoneOf().Draw(t, "zone")
	kind := types[c.Property]
	ops := filter.Operators(kind)
	switch rapid.IntRange(0, 5).Draw(t, "of") {
	case 0:
		c.Of, kind = filter.ChangedAt, filter.Datetime
		ops = filter.Operators(kind)
	case 1:
		c.Ever = true
		ops = slices.DeleteFunc(ops, func(op filter.Op) bool {
			return op == filter.Unknown || strings.HasPrefix(string(op), "not_") || op == filter.NoneOf
		})
	case 2:
		if kind == filter.Date {
			c.Of, ops = filter.Anniversary, []filter.Op{filter.Known, filter.Unknown, filter.On, filter.Between, filter.NotBetween}
		}
	}
	c.Op = rapid.SampledFrom(ops).Draw(t, "op")
	one := operands(kind, now)
	switch c.Op {
	case filter.Known, filter.Unknown:
	case filter.Between, filter.NotBetween:
		c.Value = rapid.Map(rapid.SliceOfN(one, 2, 2), func(list []any) any { return list }).Draw(t, "value")
	default:
		c.Value = oneOrMore(one).Draw(t, "value")
	}
}

// operands are what a property of a type is compared with.
func operands(kind filter.Type, now time.Time) *rapid.Generator[any] {
	other := rapid.Map(rapid.SampledFrom(names), func(name string) any { return map[string]any{"property": name} }).
		Filter(func(v any) bool { return types[v.(map[string]any)["property"].(string)] == kind })
	fixed := valueOf(kind, now)
	switch kind {
	case filter.Number, filter.Bool:
		return rapid.OneOf(fixed, fixed, other)
	case filter.Date, filter.Datetime:
		return rapid.OneOf(valueOf(filter.Date, now), zoned(now), math(), math(), other)
	case filter.MultiEnum, filter.Users:
		return rapid.OneOf(rapid.Map(choices, func(s string) any { return s }), rapid.Just[any]("nul\x00"))
	case filter.String:
		return rapid.OneOf(rapid.Map(texts(), func(s string) any { return s }), rapid.Just[any]("nul\x00"))
	default:
		return rapid.OneOf(fixed, fixed, other, rapid.Just[any]("nul\x00"))
	}
}

// zoned are instants as authors write them.
func zoned(now time.Time) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		zone, _ := filter.LoadZone(rapid.SampledFrom(zoneNames).Draw(t, "zone"))
		return around(now).Draw(t, "instant").In(zone).Format(time.RFC3339Nano)
	})
}

// math draws date math.
func math() *rapid.Generator[any] {
	amounts := rapid.Custom(func(t *rapid.T) string {
		var text strings.Builder
		for range rapid.IntRange(0, 2).Draw(t, "amounts") {
			unit := rapid.SampledFrom([]string{"s", "m", "h", "d", "w", "M", "y"}).Draw(t, "unit")
			fmt.Fprintf(&text, "%+d%s", rapid.SampledFrom([]int{-30, -7, -1, 1, 2, 9}).Draw(t, "n"), unit)
		}
		return text.String()
	})
	return rapid.Custom(func(t *rapid.T) any {
		text := "now" + amounts.Draw(t, "before")
		if rapid.Bool().Draw(t, "slash") {
			text += "/" + rapid.SampledFrom([]string{"d", "w", "M", "y"}).Draw(t, "unit") + amounts.Draw(t, "after")
		}
		return text
	})
}
