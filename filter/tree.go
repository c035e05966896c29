// Package filter asks yes/no questions about one user at one instant: the tree an author writes,
// its validation, and its evaluator.
//
// Floor 0: the standard library and strictjson only. It takes no clock of its own and reads
// nothing but its arguments, so that replayed code and tests may use it freely.
package filter

import (
	"encoding/json"

	"rollcall/strictjson"
)

// Tree is a filter: exactly one of All, Any, Not or Condition is set.
// In JSON a condition stands for itself, without a wrapping member.
type Tree struct {
	All       []Tree     // holds when every child holds
	Any       []Tree     // holds when at least one child holds
	Not       *Tree      // holds when the child does not
	Condition *Condition // a leaf
	TimeZone  string     // of a group: where dates in it are read; an IANA name or OwnZone; "": as around it
}

// Condition is one leaf. It asks about exactly one of Property, EventProperty, Event, Workflow and Step.
type Condition struct {
	Property      string `json:"property,omitempty"`       // a property of the user
	EventProperty string `json:"event_property,omitempty"` // a property of the event that is asked about
	Event         string `json:"event,omitempty"`          // how often an event of this name happened to the user
	Workflow      string `json:"workflow,omitempty"`       // whether the user went through this workflow
	Step          string `json:"step,omitempty"`           // what an earlier step of the enrollment gave

	Output string `json:"output,omitempty"` // of a step: which of its outputs; "" is its outcome

	Of   Aspect `json:"of,omitempty"`   // what of the property; "" is its value
	Ever bool   `json:"ever,omitempty"` // whether any value the property ever had answers

	Op    Op  `json:"op"`              // how to compare
	Value any `json:"value,omitempty"` // what to compare with; a list where the op takes several

	Count  *int   `json:"count,omitempty"`  // of an event: how many times
	Within string `json:"within,omitempty"` // of an event: counts those that happened at most so long ago, such as "7d"
	Where  *Tree  `json:"where,omitempty"`  // of an event: counts those whose properties this holds for

	IfEmpty  bool   `json:"if_empty,omitempty"`  // what an empty value answers
	TimeZone string `json:"time_zone,omitempty"` // where dates are read; an IANA name or OwnZone; "": as around it
}

// Aspect is what of a property a condition asks about.
type Aspect string

// The aspects.
const (
	ChangedAt   Aspect = "changed_at"  // when the property last changed
	Anniversary Aspect = "anniversary" // the day and month of a date, in any year
)

// Op is a way to compare.
type Op string

// The comparisons. Which of them a property takes depends on its type.
const (
	Known       Op = "known"
	Unknown     Op = "unknown"
	Equals      Op = "equals"
	NotEquals   Op = "not_equals"
	Contains    Op = "contains"
	NotContains Op = "not_contains"
	StartsWith  Op = "starts_with"
	EndsWith    Op = "ends_with"
	GreaterThan Op = "greater_than"
	AtLeast     Op = "at_least"
	LessThan    Op = "less_than"
	AtMost      Op = "at_most"
	AnyOf       Op = "any_of"
	NoneOf      Op = "none_of"
	AllOf       Op = "all_of"
	NotAllOf    Op = "not_all_of"
	Exactly     Op = "exactly"
	NotExactly  Op = "not_exactly"
	Before      Op = "before"
	After       Op = "after"
	On          Op = "on"
	Between     Op = "between"
	NotBetween  Op = "not_between"

	Enrolled      Op = "enrolled"       // in a workflow, now or before
	NeverEnrolled Op = "never_enrolled" //
	Active        Op = "active"         // in a workflow now
	Completed     Op = "completed"      // went through it to its end
)

// DecodeJSON reads the JSON form of a tree.
func (t *Tree) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	members, ok := v.(map[string]any)
	if !ok {
		p.Add(pointer, "wrong-type", "a filter must be an object, is %s", strictjson.TypeName(v))
		return
	}
	groups := 0
	for _, name := range []string{"all", "any", "not"} {
		if _, has := members[name]; has {
			groups++
		}
	}
	if groups == 0 {
		t.Condition = &Condition{}
		strictjson.Decode(members, pointer, t.Condition, p)
		return
	}
	_, zoned := members["time_zone"]
	if groups > 1 || zoned && len(members) > 2 || !zoned && len(members) > 1 {
		p.Add(pointer, "mixed-group", `"all", "any" and "not" each stand alone in their object, but for "time_zone"`)
		return
	}
	var group struct {
		All      []Tree `json:"all"`
		Any      []Tree `json:"any"`
		Not      *Tree  `json:"not"`
		TimeZone string `json:"time_zone"`
	}
	strictjson.Decode(members, pointer, &group, p)
	t.All, t.Any, t.Not, t.TimeZone = group.All, group.Any, group.Not, group.TimeZone
}

// MarshalJSON writes the form that DecodeJSON reads.
func (t Tree) MarshalJSON() ([]byte, error) {
	group := map[string]any{}
	if t.TimeZone != "" {
		group["time_zone"] = t.TimeZone
	}
	switch {
	case t.Condition != nil:
		return json.Marshal(t.Condition)
	case t.Not != nil:
		group["not"] = t.Not
	case t.Any != nil:
		group["any"] = t.Any
	default:
		group["all"] = t.All
	}
	return json.Marshal(group)
}

// UnmarshalJSON reads a tree that was stored by MarshalJSON.
func (t *Tree) UnmarshalJSON(data []byte) error {
	v, err := strictjson.Parse(data)
	if err != nil {
		return err
	}
	var problems strictjson.Problems
	t.DecodeJSON(v, "", &problems)
	if len(problems) > 0 {
		return &strictjson.SyntaxError{Code: problems[0].Code, Message: problems[0].Message}
	}
	return nil
}
