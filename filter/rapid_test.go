package filter_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/filter"
)

var (
	eventOps = []filter.Op{
		filter.Known, filter.Unknown, filter.Equals, filter.NotEquals, filter.Contains, filter.NotContains, filter.StartsWith,
		filter.EndsWith, filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost, filter.AnyOf, filter.NoneOf,
	}
	texts    = []string{"", "a", "A", "ab", "Żółw", "żółw", "7", "support", "sales", "u_1"}
	days     = []string{"2027-01-03", "2027-01-04", "2028-02-29", "2023-10-01"}
	instants = []string{"2027-01-03T23:00:00Z", "2027-01-04T00:00:00+01:00", "2023-10-01T04:00:00Z", "2028-02-29T12:00:00.5Z"}
	zones    = []string{"UTC", "Europe/Warsaw", "America/Asuncion", "Pacific/Apia"}
)

// operand draws one value that a property of the type is compared with.
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

// anything draws values that a property may have, of the right type and of others.
func anything() *rapid.Generator[any] {
	single := rapid.OneOf(operand(filter.String), operand(filter.Number), operand(filter.Bool), operand(filter.Date), rapid.Just[any](nil))
	list := rapid.Map(rapid.SliceOfN(single, 0, 4), func(items []any) any { return append([]any{}, items...) })
	object := rapid.Just[any](map[string]any{"a": 1.0})
	return rapid.OneOf(single, single, list, object)
}

func subjects() *rapid.Generator[filter.Subject] {
	return rapid.Custom(func(t *rapid.T) filter.Subject {
		s := filter.Subject{User: map[string]any{}, Event: map[string]any{}}
		for _, name := range names() {
			if rapid.Bool().Draw(t, name+" is set") {
				s.User[name] = anything().Draw(t, name)
			}
		}
		if rapid.Bool().Draw(t, "page is set") {
			s.Event["page"] = anything().Draw(t, "page")
		}
		return s
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

func conditions() *rapid.Generator[filter.Tree] {
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

func operands(kind filter.Type, op filter.Op) *rapid.Generator[any] {
	one := operand(kind)
	list := func(from, to int) *rapid.Generator[any] {
		return rapid.Map(rapid.SliceOfN(one, from, to), func(items []any) any { return items })
	}
	switch op {
	case filter.Known, filter.Unknown:
		return rapid.Just[any](nil)
	case filter.Between, filter.NotBetween:
		return list(2, 2)
	case filter.Before, filter.After, filter.On:
		return one
	case filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost:
		return operand(filter.Number)
	}
	if kind == filter.Bool {
		return one
	}
	return rapid.OneOf(one, list(1, 3))
}

func trees(levels int) *rapid.Generator[filter.Tree] {
	if levels == 1 {
		return conditions()
	}
	group := rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[filter.Tree] { return trees(levels - 1) }), 1, 3)
	return rapid.OneOf(
		conditions(),
		rapid.Map(group, func(g []filter.Tree) filter.Tree { return filter.Tree{All: g} }),
		rapid.Map(group, func(g []filter.Tree) filter.Tree { return filter.Tree{Any: g} }),
		rapid.Map(group, func(g []filter.Tree) filter.Tree { return filter.Tree{Not: &g[0]} }),
	)
}

func scopes() *rapid.Generator[filter.Scope] {
	return rapid.Map(rapid.SampledFrom(zones), func(name string) filter.Scope {
		return filter.Scope{Types: types(), Event: true, Zone: name}
	})
}

func compiled(t *rapid.T, tree filter.Tree, s filter.Scope) *filter.Filter {
	f, problems := filter.Compile(&tree, s)
	require.Empty(t, problems)
	return f
}

func not(tree filter.Tree) filter.Tree { return filter.Tree{Not: &tree} }

func TestTraceAnswersLikeMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := compiled(t, trees(4).Draw(t, "tree"), scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		holds, _ := f.Trace(s)
		require.Equal(t, f.Match(s), holds)
	})
}

func TestTraceOfAConditionIsItsAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := conditions().Draw(t, "condition")
		f := compiled(t, tree, scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		c := tree.Condition
		seen := s.User[c.Property]
		if c.EventProperty != "" {
			seen = s.Event[c.EventProperty]
		}
		_, leaves := f.Trace(s)
		require.Equal(t, []filter.Answer{{Property: c.Property + c.EventProperty, Op: c.Op, Result: f.Match(s), Seen: seen}}, leaves)
	})
}

func TestATreeSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := trees(4).Draw(t, "tree")
		text, err := json.Marshal(tree)
		require.NoError(t, err)
		var back filter.Tree
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, tree, back)
	})
}

func TestNotOfNotIsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree, scope, s := trees(3).Draw(t, "tree"), scopes().Draw(t, "scope"), subjects().Draw(t, "subject")
		require.Equal(t, compiled(t, tree, scope).Match(s), compiled(t, not(not(tree)), scope).Match(s))
	})
}

func TestNotIsTheOpposite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree, scope, s := trees(3).Draw(t, "tree"), scopes().Draw(t, "scope"), subjects().Draw(t, "subject")
		require.NotEqual(t, compiled(t, tree, scope).Match(s), compiled(t, not(tree), scope).Match(s))
	})
}

func TestDeMorgan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := trees(3).Draw(t, "a"), trees(3).Draw(t, "b")
		scope, s := scopes().Draw(t, "scope"), subjects().Draw(t, "subject")
		both, either := filter.Tree{All: []filter.Tree{a, b}}, filter.Tree{Any: []filter.Tree{a, b}}
		neither, notBoth := filter.Tree{All: []filter.Tree{not(a), not(b)}}, filter.Tree{Any: []filter.Tree{not(a), not(b)}}
		require.Equal(t, compiled(t, not(both), scope).Match(s), compiled(t, notBoth, scope).Match(s))
		require.Equal(t, compiled(t, not(either), scope).Match(s), compiled(t, neither, scope).Match(s))
	})
}

func TestANegativeOpIsTheOppositeOfItsPositiveOneWhereThereIsAValue(t *testing.T) {
	t.Parallel()
	opposites := map[filter.Op]filter.Op{
		filter.NotEquals: filter.Equals, filter.NotContains: filter.Contains, filter.NoneOf: filter.AnyOf,
		filter.NotAllOf: filter.AllOf, filter.NotExactly: filter.Exactly, filter.NotBetween: filter.Between,
	}
	rapid.Check(t, func(t *rapid.T) {
		negative := conditions().Filter(func(tree filter.Tree) bool {
			c := tree.Condition
			return opposites[c.Op] != "" && c.Property != ""
		}).Draw(t, "negative")
		positive := *negative.Condition
		positive.Op = opposites[positive.Op]
		scope := scopes().Draw(t, "scope")
		v := ofType(types()[positive.Property]).Draw(t, "value")
		s := filter.Subject{User: map[string]any{positive.Property: v}}
		require.NotEqual(t, compiled(t, negative, scope).Match(s), compiled(t, filter.Tree{Condition: &positive}, scope).Match(s))
	})
}

// ofType draws values of a type that are not empty.
func ofType(kind filter.Type) *rapid.Generator[any] {
	one := operand(kind).Filter(func(v any) bool { return v != "" })
	if kind == filter.MultiEnum || kind == filter.Users {
		return rapid.Map(rapid.SliceOfN(one, 1, 4), func(items []any) any { return items })
	}
	return one
}
