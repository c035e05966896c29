package filter_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/filter"
)

func compiled(t *rapid.T, tree filter.Tree, s filter.Scope) *filter.Filter {
	f, problems := filter.Compile(&tree, s)
	require.Empty(t, problems)
	return f
}

func not(tree filter.Tree) filter.Tree { return filter.Tree{Not: &tree} }

func TestTraceAnswersLikeMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := compiled(t, trees(4, conditions()).Draw(t, "tree"), scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		holds, _ := f.Trace(s)
		require.Equal(t, f.Match(s), holds)
	})
}

func TestTraceOfAConditionIsItsAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := plain().Draw(t, "condition")
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

func TestTraceOfAConditionOnThePastIsItsAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := rapid.OneOf(past(), timed(true)).Draw(t, "condition")
		f := compiled(t, tree, scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		c := tree.Condition
		_, answers := f.Trace(s)
		require.Len(t, answers, 1)
		answers[0].Seen = nil // whatever it was
		require.Equal(t, filter.Answer{Property: c.Property, Event: c.Event, Workflow: c.Workflow, Op: c.Op, Result: f.Match(s)}, answers[0])
	})
}

func TestWhatAFilterDoesNotNeedMakesNoDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := compiled(t, trees(3, conditions()).Draw(t, "tree"), scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		needed := s
		needed.User, needed.Past = map[string]any{}, only(s.Past, f.Needs(), s.Now)
		for _, name := range f.Reads().Properties {
			needed.User[name] = s.User[name]
		}
		require.Equal(t, f.Match(s), f.Match(needed))
		at, ok := f.NextFlip(s)
		again, still := f.NextFlip(needed)
		require.Equal(t, ok, still)
		require.True(t, at.Equal(again), "%v, not %v", again, at)
	})
}

// only is what a filter needs of a past.
func only(p *filter.Past, needs filter.Needs, now time.Time) *filter.Past {
	if p == nil || needs.None() {
		return nil
	}
	some := &filter.Past{Changes: map[string][]filter.Change{}, Events: map[string][]filter.Event{}, Workflows: map[string]filter.Passage{}}
	for _, name := range needs.Changes {
		some.Changes[name] = p.Changes[name]
	}
	for name, need := range needs.Events {
		for _, e := range p.Events[name] {
			full := need.Newest > 0 && len(some.Events[name]) == need.Newest
			if !full && (need.Within == 0 || e.At.After(now.Add(-need.Within))) {
				some.Events[name] = append(some.Events[name], e)
			}
		}
	}
	for _, name := range needs.Workflows {
		some.Workflows[name] = p.Workflows[name]
	}
	return some
}

func TestATreeSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := trees(4, conditions()).Draw(t, "tree")
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
		tree, scope, s := trees(3, conditions()).Draw(t, "tree"), scopes().Draw(t, "scope"), subjects().Draw(t, "subject")
		require.Equal(t, compiled(t, tree, scope).Match(s), compiled(t, not(not(tree)), scope).Match(s))
	})
}

func TestNotIsTheOpposite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree, scope, s := trees(3, conditions()).Draw(t, "tree"), scopes().Draw(t, "scope"), subjects().Draw(t, "subject")
		require.NotEqual(t, compiled(t, tree, scope).Match(s), compiled(t, not(tree), scope).Match(s))
	})
}

func TestDeMorgan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := trees(3, conditions()).Draw(t, "a"), trees(3, conditions()).Draw(t, "b")
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
		negative := plain().Filter(func(tree filter.Tree) bool {
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
