package filter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/strictjson"
)

// Limits of one filter.
const (
	MaxConditions = 250
	MaxDepth      = 8
)

// Type is the type of a property.
type Type string

// The property types.
const (
	String    Type = "string"
	Number    Type = "number"
	Bool      Type = "bool"
	Date      Type = "date"     // "2027-01-04"
	Datetime  Type = "datetime" // RFC 3339
	Enum      Type = "enum"
	MultiEnum Type = "multi_enum"
	User      Type = "user"  // the id of another user
	Users     Type = "users" // a list of user ids
	untyped   Type = "event property"
)

// Scope is what a filter may speak of.
type Scope struct {
	Types   map[string]Type     // the type of every property of a user
	Options map[string][]string // the declared values of enums; a property without an entry takes any
	Event   bool                // whether there is an event to ask about
	Zone    *time.Location      // where dates without a zone are read; nil is UTC
}

// Filter is a tree that was validated and made ready to match. It is safe for concurrent use.
type Filter struct{ root node }

type node struct {
	tree     *Tree
	pointer  string
	children []node
	leaf     leaf
}

// Compile validates a tree. The problems have pointers relative to the tree; where there are any,
// the filter must not be used.
func Compile(t *Tree, s Scope) (*Filter, strictjson.Problems) {
	if s.Zone == nil {
		s.Zone = time.UTC
	}
	c := compiler{Scope: s}
	root := c.node(t, "", 1)
	if c.conditions > MaxConditions {
		c.problems.Add("", "filter-too-complex", "a filter has at most %d conditions, this one has %d", MaxConditions, c.conditions)
	}
	return &Filter{root}, c.problems
}

type compiler struct {
	Scope
	problems   strictjson.Problems
	conditions int
}

func (c *compiler) node(t *Tree, at string, depth int) node {
	n := node{tree: t, pointer: at}
	if depth > MaxDepth {
		c.problems.Add(at, "filter-too-complex", "a filter nests at most %d levels", MaxDepth)
		return n
	}
	children := func(name string, trees []Tree) {
		for i := range trees {
			n.children = append(n.children, c.node(&trees[i], strictjson.Index(at+"/"+name, i), depth+1))
		}
	}
	switch {
	case t.Condition != nil:
		c.conditions++
		n.leaf = c.condition(t.Condition, at)
	case t.Not != nil:
		n.children = []node{c.node(t.Not, at+"/not", depth+1)}
	case len(t.All) > 0:
		children("all", t.All)
	case len(t.Any) > 0:
		children("any", t.Any)
	default:
		c.problems.Add(at, "empty-group", "the filter has no conditions")
	}
	return n
}

func (c *compiler) condition(cond *Condition, at string) leaf {
	l := leaf{Condition: cond, kind: untyped, zone: c.Zone}
	switch {
	case (cond.Property == "") == (cond.EventProperty == ""):
		c.problems.Add(at, "condition-invalid", `a condition needs exactly one of "property" and "event_property"`)
		return l
	case cond.EventProperty != "" && !c.Event:
		c.problems.Add(at+"/event_property", "no-event", "there is no event to ask about here")
		return l
	case cond.Property != "":
		kind, known := c.Types[cond.Property]
		if !known {
			c.problems.Add(at+"/property", "unknown-property", "there is no property %q%s", cond.Property, nearest(cond.Property, c.Types))
			return l
		}
		l.kind = kind
	}
	ops := operators[l.kind]
	if !slices.Contains(ops, cond.Op) {
		c.problems.Add(at+"/op", "operator-type-mismatch", "%s cannot be asked %q; it takes %s", l.kind.article(), cond.Op, list(ops))
		return l
	}
	if err := l.setOperand(c.Options[cond.Property]); err != nil {
		c.problems.Add(at+"/value", "operand-invalid", "%s", err)
	}
	return l
}

var (
	stringOps = []Op{Known, Unknown, Equals, NotEquals, Contains, NotContains, StartsWith, EndsWith, AnyOf, NoneOf}
	numberOps = []Op{Known, Unknown, Equals, NotEquals, GreaterThan, AtLeast, LessThan, AtMost, Between, NotBetween, AnyOf, NoneOf}
	choiceOps = []Op{Known, Unknown, Equals, NotEquals, AnyOf, NoneOf}
	listOps   = []Op{Known, Unknown, AnyOf, NoneOf, AllOf, NotAllOf, Exactly, NotExactly, Contains, NotContains}
	dateOps   = []Op{Known, Unknown, Before, After, On, Between, NotBetween}
)

var operators = map[Type][]Op{
	String: stringOps, Number: numberOps, Bool: {Known, Unknown, Equals, NotEquals},
	Enum: choiceOps, User: choiceOps, MultiEnum: listOps, Users: listOps, Date: dateOps, Datetime: dateOps,
	untyped: {
		Known, Unknown, Equals, NotEquals, Contains, NotContains, StartsWith, EndsWith,
		GreaterThan, AtLeast, LessThan, AtMost, AnyOf, NoneOf,
	},
}

// Operators lists the ops that a property of a type takes; nil for an unknown type.
func Operators(t Type) []Op {
	if t == untyped {
		return nil // of no user
	}
	return slices.Clone(operators[t])
}

func (t Type) article() string {
	switch t {
	case Enum, untyped:
		return "an " + string(t)
	default:
		return "a " + string(t)
	}
}

func list(ops []Op) string {
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = string(op)
	}
	return strings.Join(names, ", ")
}

// nearest suggests the known name that the author may have meant.
func nearest(name string, known map[string]Type) string {
	best, distance := "", 4
	for candidate := range known {
		if d := editDistance(name, candidate); d < distance || d == distance && candidate < best {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func editDistance(a, b string) int {
	if len(a) > 128 || len(b) > 128 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
