package filter

import (
	"maps"
	"slices"
	"time"

	"rollcall/strictjson"
)

// Limits of one filter.
const (
	MaxConditions = 250
	MaxDepth      = 8
	MaxCount      = 10_000 // how many times an event can be asked to have happened
)

// Scope is what a filter may speak of.
type Scope struct {
	Types   map[string]Type      // the type of every property of a user
	Options map[string][]string  // the declared values of enums; a property without an entry takes any
	Event   bool                 // whether there is an event to ask about
	Steps   func(id string) bool // says which steps can be asked about; nil: none
	Zone    string               // where dates are read that say no zone; an IANA name or OwnZone; "" is UTC

	// CheckEvent says what is wrong with the name of an event that is counted; nil takes any.
	CheckEvent func(name string) (problem string, ok bool)
}

// Filter is a tree that was validated and made ready to match. It is safe for concurrent use.
type Filter struct {
	root   node
	moving []*Leaf // those whose answers change by time alone
	needs  Needs
	reads  Reads
}

type node struct {
	tree     *Tree
	children []node
	leaf     Leaf
}

// Needs is what of a user's past the filter must be given.
func (f *Filter) Needs() Needs { return f.needs }

// Reads is what can change the filter's answer, besides time; each list sorted, each name once.
func (f *Filter) Reads() Reads { return f.reads }

// Timed reports whether the answer can change by time alone.
func (f *Filter) Timed() bool { return len(f.moving) > 0 }

// Compile validates a tree. The problems have pointers relative to the tree; where there are any,
// the filter must not be used.
func Compile(t *Tree, s Scope) (*Filter, strictjson.Problems) {
	c := compiler{Scope: s, filter: &Filter{}}
	c.filter.root = c.node(t, "", 1, c.zone(s.Zone, "", time.UTC))
	c.filter.moving = c.filter.root.moving(nil)
	if c.conditions > MaxConditions {
		c.problems.Add("", "filter-too-complex", "a filter has at most %d conditions, this one has %d", MaxConditions, c.conditions)
	}
	r := &c.filter.reads
	for _, list := range []*[]string{&r.Properties, &r.Events, &r.Workflows} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return c.filter, c.problems
}

type compiler struct {
	Scope
	filter     *Filter
	inside     bool // the tree is the where of an event
	problems   strictjson.Problems
	conditions int
}

// zone reads the name of a time zone; nil is each user's own.
func (c *compiler) zone(name, at string, around *time.Location) *time.Location {
	switch name {
	case "":
		return around
	case OwnZone:
		return nil
	}
	zone, err := LoadZone(name)
	if err != nil {
		c.problems.Add(at+"/time_zone", "unknown-time-zone", `there is no time zone %q; use a name such as Europe/Warsaw, or "user"`, name)
		return around
	}
	return zone
}

func (c *compiler) node(t *Tree, at string, depth int, zone *time.Location) node {
	n := node{tree: t}
	if depth > MaxDepth {
		c.problems.Add(at, "filter-too-complex", "a filter nests at most %d levels", MaxDepth)
		return n
	}
	zone = c.zone(t.TimeZone, at, zone)
	children := func(name string, trees []Tree) {
		for i := range trees {
			n.children = append(n.children, c.node(&trees[i], strictjson.Index(at+"/"+name, i), depth+1, zone))
		}
	}
	switch {
	case t.Condition != nil:
		c.conditions++
		n.leaf = Leaf{Condition: t.Condition, Pointer: at, Zone: c.zone(t.Condition.TimeZone, at, zone)}
		c.leaf(&n.leaf, depth)
	case t.Not != nil:
		n.children = []node{c.node(t.Not, at+"/not", depth+1, zone)}
	case len(t.All) > 0:
		children("all", t.All)
	case len(t.Any) > 0:
		children("any", t.Any)
	default:
		c.problems.Add(at, "empty-group", "the filter has no conditions")
	}
	return n
}

func (c *compiler) leaf(l *Leaf, depth int) {
	subjects := 0
	for _, name := range []string{l.Property, l.EventProperty, l.Event, l.Workflow, l.Step} {
		if name != "" {
			subjects++
		}
	}
	switch {
	case subjects != 1:
		c.problems.Add(l.Pointer, "condition-invalid", `a condition needs exactly one of "property", "event_property", "event", "workflow" and "step"`)
	case c.inside && l.EventProperty == "":
		c.problems.Add(l.Pointer, "condition-invalid", `the "where" of an event asks about its properties only: {"event_property": …}`)
	case l.Event != "":
		c.eventLeaf(l, depth)
	case l.Workflow != "":
		c.workflowLeaf(l)
	default:
		c.propertyLeaf(l)
	}
}

// takes reports the members of a condition that do not belong to its kind.
func (c *compiler) takes(l *Leaf, kind string, members map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name] {
			c.problems.Add(l.Pointer+"/"+name, "condition-invalid", "a condition on %s takes no %q", kind, name)
		}
	}
}

func (c *compiler) eventLeaf(l *Leaf, depth int) {
	c.takes(l, "an event", map[string]bool{"output": l.Output != "", "of": l.Of != "", "ever": l.Ever, "value": l.Value != nil, "if_empty": l.IfEmpty})
	if c.CheckEvent != nil {
		if problem, ok := c.CheckEvent(l.Event); !ok {
			c.problems.Add(l.Pointer+"/event", "unknown-event", "%s", problem)
		}
	}
	var need EventNeed
	lowest, known := map[Op]int{AtLeast: 1, AtMost: 0}[l.Op]
	switch {
	case !known:
		c.problems.Add(l.Pointer+"/op", "operator-type-mismatch", "an event cannot be asked %q; it takes at_least, at_most", l.Op)
	case l.Count == nil:
		c.problems.Add(l.Pointer, "operand-invalid", `a condition on an event needs "count": how many times`)
	case *l.Count < lowest || *l.Count > MaxCount:
		c.problems.Add(l.Pointer+"/count", "operand-invalid", "the count of %q is from %d to %d", l.Op, lowest, MaxCount)
	default:
		need.Newest = *l.Count + 1
	}
	if l.Within != "" {
		within, err := parseWithin(l.Within)
		if err != nil {
			c.problems.Add(l.Pointer+"/within", "operand-invalid", "%s", err)
		}
		l.Back, need.Within = within, within
	}
	if l.Where != nil {
		need.Newest = 0
		inner := compiler{Scope: Scope{Event: true}, filter: &Filter{}, inside: true, conditions: c.conditions}
		inner.filter.root = inner.node(l.Where, "", depth+1, time.UTC)
		c.conditions = inner.conditions
		c.problems.Join(l.Pointer+"/where", inner.problems)
		l.WhereFilter = inner.filter
	}
	c.filter.reads.Events = append(c.filter.reads.Events, l.Event)
	c.filter.needs.addEvent(l.Event, need)
}

func (c *compiler) workflowLeaf(l *Leaf) {
	c.takes(l, "a workflow", map[string]bool{
		"output": l.Output != "", "of": l.Of != "", "ever": l.Ever, "value": l.Value != nil, "if_empty": l.IfEmpty,
		"count": l.Count != nil, "within": l.Within != "", "where": l.Where != nil,
	})
	ops := []Op{Enrolled, NeverEnrolled, Active, Completed}
	if !slices.Contains(ops, l.Op) {
		c.problems.Add(l.Pointer+"/op", "operator-type-mismatch", "a workflow cannot be asked %q; it takes %s", l.Op, list(ops))
	}
	c.filter.reads.Workflows = append(c.filter.reads.Workflows, l.Workflow)
	c.filter.needs.Workflows = union(c.filter.needs.Workflows, []string{l.Workflow})
}

func (c *compiler) propertyLeaf(l *Leaf) {
	c.takes(l, "a property", map[string]bool{"count": l.Count != nil, "within": l.Within != "", "where": l.Where != nil})
	if l.Step == "" {
		c.takes(l, "a property", map[string]bool{"output": l.Output != ""})
	}
	switch {
	case l.EventProperty != "":
		c.takes(l, "an event's property", map[string]bool{"of": l.Of != "", "ever": l.Ever})
		if !c.Event {
			c.problems.Add(l.Pointer+"/event_property", "no-event", "there is no event to ask about here")
			return
		}
		l.Type = untyped
	case l.Step != "":
		c.takes(l, "a step", map[string]bool{"of": l.Of != "", "ever": l.Ever})
		if c.Steps == nil || !c.Steps(l.Step) {
			c.problems.Add(l.Pointer+"/step", "unknown-step", "there is no step %q to ask about here", l.Step)
			return
		}
		l.Type = untyped
	case !c.userProperty(l):
		return
	}
	ops := l.ops()
	if !slices.Contains(ops, l.Op) {
		c.problems.Add(l.Pointer+"/op", "operator-type-mismatch", "%s cannot be asked %q; it takes %s", l.kind(), l.Op, list(ops))
		return
	}
	if err := c.operand(l); err != nil {
		c.problems.Add(l.Pointer+"/value", "operand-invalid", "%s", err)
		return
	}
	if l.Zone == nil && (l.Type == Date || len(l.times) > 0) {
		c.reads(zoneProperty)
	}
}

// userProperty finds the type of what a condition compares, and says whether it has one.
func (c *compiler) userProperty(l *Leaf) bool {
	kind, known := c.Types[l.Property]
	if !known {
		c.problems.Add(l.Pointer+"/property", "unknown-property", "there is no property %q%s", l.Property, nearest(l.Property, c.Types))
		return false
	}
	l.Type = kind
	c.reads(l.Property)
	switch {
	case l.Of != "" && l.Ever:
		c.problems.Add(l.Pointer+"/ever", "condition-invalid", `a condition has "of" or "ever", not both`)
		return false
	case l.Of == ChangedAt:
		l.Type = Datetime
	case l.Of == Anniversary && kind != Date:
		c.problems.Add(l.Pointer+"/of", "condition-invalid", "%s has no anniversary; dates have", kind.article())
		return false
	case l.Of != "" && l.Of != Anniversary:
		c.problems.Add(l.Pointer+"/of", "condition-invalid", `"of" is changed_at or anniversary`)
		return false
	}
	if l.Of == ChangedAt || l.Ever {
		c.filter.needs.Changes = union(c.filter.needs.Changes, []string{l.Property})
	}
	return true
}

func (c *compiler) reads(property string) {
	c.filter.reads.Properties = append(c.filter.reads.Properties, property)
}
