package filter

import (
	"fmt"
	"slices"
	"strings"
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
	User      Type = "user"           // the id of another user
	Users     Type = "users"          // a list of user ids
	untyped   Type = "event property" // or an output of a step
)

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

// negative are the ops that "ever" does not take: what they would mean is seldom what is meant.
var negative = []Op{Unknown, NotEquals, NotContains, NoneOf, NotAllOf, NotExactly, NotBetween}

// Operators lists the ops that a property of a type takes; nil for an unknown type.
func Operators(t Type) []Op {
	if t == untyped {
		return nil // of no user
	}
	return slices.Clone(operators[t])
}

// ops lists the ops that a condition takes on what it asks about.
func (l *Leaf) ops() []Op {
	switch {
	case l.Of == Anniversary:
		return []Op{Known, Unknown, On, Between, NotBetween}
	case l.Ever:
		return slices.DeleteFunc(slices.Clone(operators[l.Type]), func(op Op) bool { return slices.Contains(negative, op) })
	default:
		return operators[l.Type]
	}
}

// kind says in words what a condition asks about.
func (l *Leaf) kind() string {
	switch {
	case l.Of == Anniversary:
		return "an anniversary"
	case l.Of == ChangedAt:
		return "the time of a change"
	case l.Step != "":
		return "an output of a step"
	case l.Ever:
		return "whether " + l.Type.article() + ` ever was (put a "not" around it for the opposite)`
	default:
		return l.Type.article()
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
