package automation_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/automation"
)

// flows draws documents of every kind of step that leads somewhere, with gotos to anywhere.
type flows struct {
	t     *rapid.T
	ids   []string
	gotos int
}

func drawFlow(t *rapid.T, prefix string) *automation.Document {
	d := &flows{t: t}
	steps := d.steps(prefix, rapid.IntRange(1, 7).Draw(t, "steps"), 2)
	for i := range d.gotos { // once all ids are known
		steps = strings.Replace(steps, fmt.Sprintf("<%d>", i), rapid.SampledFrom(d.ids).Draw(t, "to"), 1)
	}
	document, err := automation.ParseDocument([]byte(`{"name": "w", "triggers": [{"manual": true}], "steps": [` + steps + `]}`))
	require.NoError(t, err)
	return document
}

func (d *flows) steps(prefix string, n, depth int) string {
	var list []string
	for i := range n {
		list = append(list, d.step(fmt.Sprintf("%s%d", prefix, i), depth))
	}
	return strings.Join(list, ", ")
}

func (d *flows) some(prefix string, depth int) string {
	return `[` + d.steps(prefix, rapid.IntRange(0, 2).Draw(d.t, "inner"), depth-1) + `]`
}

func (d *flows) step(id string, depth int) string {
	d.ids = append(d.ids, id)
	kinds := []string{
		`"action": "noop"`, `"action": "noop", "on_error": "continue"`, `"delay": 0`, `"delay": "1h"`, `"delay": {"until": {"at": "09:00"}}`,
		`"delay": {"until": {"property": "last_active_at"}}`, `"wait_for": {"event": "replied"}`,
		`"wait_for": {"any": [{"event": "replied"}, {"filter": {"property": "phone", "op": "known"}}]}`,
		`"exit": {}`, "goto", "goto", "goto at most",
	}
	if depth > 0 {
		kinds = append(kinds, "branch", "split", "on_error")
	}
	kind := rapid.SampledFrom(kinds).Draw(d.t, "kind")
	switch kind {
	case "goto", "goto at most":
		more := ""
		if kind == "goto at most" {
			more = fmt.Sprintf(`, "at_most": %d`, rapid.IntRange(1, 2).Draw(d.t, "times"))
		}
		d.gotos++
		kind = fmt.Sprintf(`"goto": "<%d>"%s`, d.gotos-1, more)
	case "branch":
		kind = `"branch": [{"if": {"property": "phone", "op": "known"}, "steps": ` + d.some(id+"a", depth) + `}, {"else": true, "steps": ` + d.some(id+"b", depth) + `}]`
	case "split":
		kind = `"split": [{"weight": 1, "steps": ` + d.some(id+"a", depth) + `}, {"weight": 1, "steps": ` + d.some(id+"b", depth) + `}]`
	case "on_error":
		kind = `"action": "noop", "on_error": [` + d.steps(id+"e", 1, depth-1) + `]`
	}
	return fmt.Sprintf(`{"id": %q, %s}`, id, kind)
}

func noop() automation.Catalog {
	return automation.Catalog{Actions: []automation.ActionKind{{Kind: "noop", Check: func(map[string]any, automation.Properties) automation.Problems { return nil }}}}
}

// following lists where a step can lead, with how often each goto may still go back.
func following(n *automation.Node, left map[string]int) map[string]map[string]int {
	exits := map[string]map[string]int{}
	for _, arm := range n.Arms {
		exits[arm] = left
	}
	if n.Rescue != nil {
		exits[*n.Rescue] = left
	}
	switch {
	case n.Kind == automation.ExitStep, len(n.Arms) > 0:
	case n.Kind == automation.GotoStep && n.Times == 0:
		exits[n.To] = left
	case n.Kind == automation.GotoStep && left[n.ID] > 0:
		fewer := maps.Clone(left)
		fewer[n.ID]--
		exits[n.To] = fewer
	default:
		exits[n.Next] = left
	}
	delete(exits, "")
	return exits
}

// endless reports whether a walk in which no time passes comes back to where it was, from a step where
// it can be, however often the gotos on the way went back before: an operator may jump anywhere.
func endless(d *automation.Document, p *automation.Program) bool {
	takesTime := func(n *automation.Node) bool {
		step, _ := d.Step(n.ID)
		return n.Kind == automation.DelayStep && step.Delay.Waits() ||
			n.Kind == automation.WaitStep && !slices.ContainsFunc(step.WaitFor.Awaits(), func(a automation.Awaited) bool { return a.Filter != nil })
	}
	const open, done = 1, 2
	state := map[string]int{}
	var walk func(id string, left map[string]int) bool
	walk = func(id string, left map[string]int) bool {
		key := id + fmt.Sprint(left)
		if state[key] != 0 {
			return state[key] == open
		}
		state[key] = open
		n, _ := p.Node(id)
		if !takesTime(n) {
			for next, left := range following(n, left) {
				if walk(next, left) {
					return true
				}
			}
		}
		state[key] = done
		return false
	}
	full := map[string]int{}
	for _, n := range p.Nodes {
		if n.Times > 0 {
			full[n.ID] = n.Times
		}
	}
	for _, id := range reachable(p) {
		for _, left := range []map[string]int{full, {}} {
			if walk(id, left) {
				return true
			}
		}
	}
	return false
}

// reachable lists the steps that some enrollment can be in.
func reachable(p *automation.Program) []string {
	list := []string{p.Start}
	for i := 0; i < len(list); i++ {
		n, _ := p.Node(list[i])
		for _, left := range []map[string]int{{}, {n.ID: 1}} {
			for next := range following(n, left) {
				if !slices.Contains(list, next) {
					list = append(list, next)
				}
			}
		}
	}
	return list
}

func TestLoopIsRefusedWhereAWalkWithoutTimeNeverEnds(t *testing.T) {
	t.Parallel()
	properties := automation.Properties{}
	for _, p := range automation.BuiltInProperties() {
		properties[p.Name] = p
	}
	flow := rapid.Custom(func(t *rapid.T) *automation.Document { return drawFlow(t, "s") })
	check := func(t require.TestingT, d *automation.Document) (refused bool) {
		problems := d.Validate(noop(), properties)
		for _, p := range problems {
			require.Contains(t, []string{"endless-loop", "unreachable-step"}, p.Code, p.Message)
			refused = refused || p.Code == "endless-loop"
		}
		program := d.Compile(1, noop())
		require.Equal(t, endless(d, &program), refused, "%v", problems)
		return refused
	}
	rapid.Check(t, func(t *rapid.T) { check(t, flow.Draw(t, "flow")) })
	requireSeen(t, 6, []bool{true, false}, func(seed int) []bool { return []bool{check(t, flow.Example(seed))} })
}

// passage is what an enrollment is asked to follow from one version to another.
type passage struct {
	from, to *automation.Program
	at       automation.Place
	mapping  map[string]string
}

func drawPassage(t *rapid.T) passage {
	from, to := drawFlow(t, "s").Compile(1, noop()), drawFlow(t, rapid.SampledFrom([]string{"s", "x"}).Draw(t, "other")).Compile(2, noop())
	p := passage{from: &from, to: &to}
	p.mapping = rapid.MapOfN(rapid.SampledFrom(ids(p.from)), rapid.SampledFrom(ids(p.to)), 0, 3).Draw(t, "mapping")
	p.at = automation.Place{Step: rapid.SampledFrom(append(ids(p.from), "gone", "")).Draw(t, "step"), Inside: rapid.Bool().Draw(t, "inside")}
	if !p.at.Inside {
		p.at.After = rapid.SampledFrom(append(ids(p.from), "", "")).Draw(t, "after")
	}
	return p
}

func ids(p *automation.Program) []string {
	var all []string
	for _, n := range p.Nodes {
		all = append(all, n.ID)
	}
	return all
}

func TestLandingIsInTheOtherVersion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { drawPassage(t).check(t) })
	passages := rapid.Custom(drawPassage)
	requireSeen(t, 1, []string{"end", "stays", "after", "mapped", "same", "follows"}, func(seed int) []string {
		return passages.Example(seed).check(t)
	})
}

// check returns which ways of landing it met.
func (p passage) check(t require.TestingT) (ways []string) {
	from, to, at := p.from, p.to, p.at

	landing := from.Land(to, at, p.mapping)

	if landing.Step == "" {
		require.False(t, landing.Stays)
		ways = append(ways, "end")
	} else {
		require.Contains(t, ids(to), landing.Step)
	}
	if landing.Stays {
		ways = append(ways, "stays")
		require.True(t, at.Inside)
		require.Equal(t, at.Step, landing.Step)
		require.NotContains(t, p.mapping, at.Step)
		before, _ := from.Node(at.Step)
		now, _ := to.Node(at.Step)
		require.Equal(t, before.Kind, now.Kind)
		require.Equal(t, before.Action, now.Action)
	}
	if left, ok := to.Node(at.After); ok && len(left.Arms) == 0 && left.Kind != automation.GotoStep && left.Kind != automation.ExitStep {
		require.Equal(t, automation.Landing{Step: left.Next}, landing)
		return append(ways, "after")
	}
	if target, mapped := p.mapping[at.Step]; mapped {
		require.Equal(t, automation.Landing{Step: target}, landing)
		return append(ways, "mapped")
	}
	if _, same := to.Node(at.Step); same {
		require.Equal(t, at.Step, landing.Step)
		return append(ways, "same")
	}
	require.Equal(t, first(from, to, at.Step, p.mapping), landing.Step)
	return append(ways, "follows")
}

// requireSeen runs through the same examples each time, so that what they cover is not a matter of chance.
func requireSeen[K comparable](t *testing.T, often int, all []K, example func(seed int) []K) {
	t.Helper()
	seen := map[K]int{}
	for seed := range 300 {
		for _, k := range example(seed) {
			seen[k]++
		}
	}
	for _, k := range all {
		require.GreaterOrEqual(t, seen[k], often, "%v of %v", k, seen)
	}
}

// first is the step that an enrollment comes to first, of those that the other version has or that are
// mapped, when every branch is passed and every bounded goto has gone back often enough.
func first(from, to *automation.Program, step string, mapping map[string]string) string {
	for range len(from.Nodes) + 1 {
		if target, mapped := mapping[step]; mapped {
			return target
		}
		if _, known := to.Node(step); known || step == "" {
			return step
		}
		n, ok := from.Node(step)
		switch {
		case !ok:
			return ""
		case n.Kind == automation.GotoStep && n.Times == 0:
			step = n.To
		default:
			step = n.Next
		}
	}
	return ""
}
