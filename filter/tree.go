// Package filter asks yes/no questions about one user at one instant: the tree an author writes,
// its validation, and its evaluator.
//
// Floor 0: the standard library and strictjson only. It takes no clock of its own and reads
// nothing but its arguments, so that replayed code and tests may use it freely.
package filter

import (
	"encoding/json"
	"slices"

	"rollcall/strictjson"
)

// Tree is a filter: exactly one of All, Any, Not or Condition is set.
// In JSON a condition stands for itself, without a wrapping member.
type Tree struct {
	All       []Tree     // holds when every child holds
	Any       []Tree     // holds when at least one child holds
	Not       *Tree      // holds when the child does not
	Condition *Condition // a leaf
}

// Condition is one leaf: one value, compared by Op with an operand.
type Condition struct {
	Property      string `json:"property,omitempty"`       // a property of the user
	EventProperty string `json:"event_property,omitempty"` // a property of the event that is asked about
	Op            Op     `json:"op"`                       // how to compare
	Value         any    `json:"value,omitempty"`          // what to compare with; a list where the op takes several
	IfEmpty       bool   `json:"if_empty,omitempty"`       // what an empty value answers
}

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
	if groups > 1 || len(members) > 1 {
		p.Add(pointer, "mixed-group", `"all", "any" and "not" each stand alone in their object`)
		return
	}
	var group struct {
		All []Tree `json:"all"`
		Any []Tree `json:"any"`
		Not *Tree  `json:"not"`
	}
	strictjson.Decode(members, pointer, &group, p)
	t.All, t.Any, t.Not = group.All, group.Any, group.Not
}

// MarshalJSON writes the form that DecodeJSON reads.
func (t Tree) MarshalJSON() ([]byte, error) {
	switch {
	case t.Condition != nil:
		return json.Marshal(t.Condition)
	case t.Not != nil:
		return json.Marshal(map[string]any{"not": t.Not})
	case t.Any != nil:
		return json.Marshal(map[string]any{"any": t.Any})
	default:
		return json.Marshal(map[string]any{"all": t.All})
	}
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

// Properties lists the user properties that the answer can depend on, sorted, each once.
func (t *Tree) Properties() []string {
	var names []string
	t.walk(func(c *Condition) {
		if c.Property != "" {
			names = append(names, c.Property)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

func (t *Tree) walk(visit func(*Condition)) {
	switch {
	case t == nil:
	case t.Condition != nil:
		visit(t.Condition)
	default:
		for i := range t.All {
			t.All[i].walk(visit)
		}
		for i := range t.Any {
			t.Any[i].walk(visit)
		}
		t.Not.walk(visit)
	}
}

// Describe says in words what a value of the type looks like.
func (t Type) Describe() string {
	switch t {
	case Number:
		return "a number"
	case Bool:
		return "true or false"
	case Date:
		return "a date such as 2027-01-04"
	case Datetime:
		return "an instant such as 2027-01-04T09:00:00Z"
	case MultiEnum, Users:
		return "a list of texts"
	default:
		return "a text"
	}
}
