package filter

import (
	"maps"
	"slices"
	"time"
)

// Subject is what a filter is asked about. Values are those of decoded JSON.
type Subject struct {
	User  map[string]any // the properties of the user
	Event map[string]any // the properties of the event, where there is one
	Now   time.Time      // the instant of the question, which relative dates move with
	Past  *Past          // what happened to the user by then, as far as the filter's Needs go; nil where it has none

	Steps map[string]map[string]any // what the steps of an enrollment gave, by step; nil where there are none
}

// Past is what happened to a user.
type Past struct {
	Changes   map[string][]Change // by property, oldest first
	Events    map[string][]Event  // by name, newest first
	Workflows map[string]Passage  // by name
}

// Change is a value that a property was set to.
type Change struct {
	At  time.Time
	New any // nil when it was cleared
}

// Event is one event of a name.
type Event struct {
	At         time.Time
	Properties map[string]any
}

// Passage is how a user went through a workflow.
type Passage struct{ Enrolled, Active, Completed bool }

// Needs is what of a user's past a filter asks for.
type Needs struct {
	Changes   []string             // properties whose changes count
	Events    map[string]EventNeed // by name
	Workflows []string
}

// EventNeed is which events of a name count.
type EventNeed struct {
	Within time.Duration // at most this long before the question; 0: all
	Newest int           // that many of them at most; 0: all
}

// None reports whether the filter asks for nothing of the past.
func (n Needs) None() bool { return len(n.Changes)+len(n.Events)+len(n.Workflows) == 0 }

// Join adds what another filter asks for. What either of them was taken from stays as it is.
func (n *Needs) Join(o Needs) {
	n.Events = maps.Clone(n.Events)
	n.Changes = union(n.Changes, o.Changes)
	n.Workflows = union(n.Workflows, o.Workflows)
	for name, need := range o.Events {
		n.addEvent(name, need)
	}
}

// Unlimited asks for all events, not for the newest only.
func (n Needs) Unlimited() Needs {
	events := make(map[string]EventNeed, len(n.Events))
	for name, need := range n.Events {
		events[name] = EventNeed{Within: need.Within}
	}
	n.Events = events
	return n
}

func (n *Needs) addEvent(name string, need EventNeed) {
	if n.Events == nil {
		n.Events = map[string]EventNeed{}
	}
	if old, known := n.Events[name]; known {
		need.Within = most(old.Within, need.Within)
		need.Newest = most(old.Newest, need.Newest)
	}
	n.Events[name] = need
}

// most is the larger of two limits, of which zero is none.
func most[N int | time.Duration](a, b N) N {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

func union(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Reads is what can change a filter's answer, besides time.
type Reads struct {
	Properties []string // of the user
	Events     []string // events that it counts
	Workflows  []string
}

// Join adds what can change another filter's answer.
func (r *Reads) Join(o Reads) {
	r.Properties = union(r.Properties, o.Properties)
	r.Events = union(r.Events, o.Events)
	r.Workflows = union(r.Workflows, o.Workflows)
}

// changedAt is when a property last changed.
func (p *Past) changedAt(property string) (time.Time, bool) {
	if p == nil || len(p.Changes[property]) == 0 {
		return time.Time{}, false
	}
	list := p.Changes[property]
	return list[len(list)-1].At, true
}

// values are those that a property ever had, without the empty ones.
func (p *Past) values(property string) []any {
	if p == nil {
		return nil
	}
	var all []any
	for _, c := range p.Changes[property] {
		if !isEmpty(c.New) {
			all = append(all, c.New)
		}
	}
	return all
}
