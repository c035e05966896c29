package postgres

import (
	"slices"
	"strings"

	"rollcall/filter"
)

// number is the value as a float8, null where it is no number that one can hold. A text that is not
// very long is within its range; a longer one is looked at before it is cast, which would fail.
func (v sqlValue) number() string {
	t := v.text
	return "case when jsonb_typeof(" + v.json + ") = 'number' then case" +
		" when octet_length(" + t + ") <= 300 then " + t + "::float8" +
		" when abs(" + t + "::numeric) between 5e-324 and 1.7976931348623157e308 then " + t + "::float8" +
		" when abs(" + t + "::numeric) < 1 then 0 end end"
}

// number returns the comparison of a number, which is null for null.
func (w *sqlFilter) number(l *filter.Leaf) func(n string) string {
	switch l.Op {
	case filter.Equals, filter.AnyOf:
		return suffix(" = any(", w.args.add(l.Numbers))
	case filter.NotEquals, filter.NoneOf:
		return suffix(" <> all(", w.args.add(l.Numbers))
	case filter.Between:
		return between("", w.args.add(l.Numbers[0]), w.args.add(l.Numbers[1]))
	case filter.NotBetween:
		return between("not ", w.args.add(l.Numbers[0]), w.args.add(l.Numbers[1]))
	default:
		return suffix(orders[l.Op]+"(", w.args.add(l.Numbers[0]))
	}
}

// orders are the ops that PostgreSQL has for two values of a type.
var orders = map[filter.Op]string{
	filter.Equals: " = ", filter.NotEquals: " <> ",
	filter.GreaterThan: " > ", filter.AtLeast: " >= ", filter.LessThan: " < ", filter.AtMost: " <= ",
}

func suffix(op, operand string) func(string) string {
	return func(v string) string { return "(" + v + op + operand + "))" }
}

func between(not, from, to string) func(string) string {
	return func(v string) string { return "(" + v + " " + not + "between " + from + " and " + to + ")" }
}

// text returns the comparison of a text that is there, without regard to case.
func (w *sqlFilter) text(l *filter.Leaf) func(t string) string {
	texts := slices.DeleteFunc(slices.Clone(l.Texts), func(s string) bool { return !storable(s) })
	op := " like any("
	patterns := make([]string, len(texts))
	for i, s := range texts {
		s = escapeLike.Replace(s)
		switch l.Op {
		case filter.Contains, filter.NotContains:
			patterns[i] = "%" + s + "%"
		case filter.StartsWith:
			patterns[i] = s + "%"
		case filter.EndsWith:
			patterns[i] = "%" + s
		default:
			op, patterns = " = any(", texts
		}
	}
	fold := w.fold(texts)
	compare := suffix(op, w.args.add(patterns))
	not := negative(l.Op)
	return func(t string) string { return not + compare(fold(t)) }
}

var escapeLike = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// negative is "not " for the ops that hold where another one does not.
func negative(op filter.Op) string {
	switch op {
	case filter.NotEquals, filter.NotContains, filter.NoneOf, filter.NotAllOf, filter.NotExactly, filter.NotBetween:
		return "not "
	default:
		return ""
	}
}

func (w *sqlFilter) choice(l *filter.Leaf, v sqlValue) string {
	texts := slices.DeleteFunc(slices.Clone(l.Texts), func(s string) bool { return s == "" || !storable(s) })
	if negative(l.Op) != "" {
		return guarded(v, "string", v.text+" <> '' and "+suffix(" <> all(", w.args.add(texts))(v.text))
	}
	return "(coalesce(" + suffix(" = any(", w.args.add(texts))(v.text) + ", false) and " + guarded(v, "string", "true") + ")"
}

// members asks about a list of texts. A list with anything else in it does not match.
func (w *sqlFilter) members(l *filter.Leaf, v sqlValue) string {
	texts := slices.DeleteFunc(slices.Clone(l.Texts), func(s string) bool { return !storable(s) })
	var holds string
	switch l.Op {
	case filter.AllOf, filter.NotAllOf, filter.Exactly, filter.NotExactly:
		if len(texts) < len(l.Texts) {
			holds = "false"
			break
		}
		holds = v.json + " ?& " + w.args.add(texts)
		if l.Op == filter.Exactly || l.Op == filter.NotExactly {
			holds += " and " + v.json + " <@ " + w.args.add(jsonValue{texts})
		}
	default:
		holds = v.json + " ?| " + w.args.add(texts)
	}
	if not := negative(l.Op); not != "" {
		holds = v.json + " <> '[]' and not (" + holds + ")"
	}
	return guarded(v, "array", holds+" and not "+v.json+` @? 'strict $[*] ? (@.type() <> "string")'`)
}

// compareOther compares with a property of the same type that is no time.
func (w *sqlFilter) compareOther(l *filter.Leaf, a, b sqlValue) string {
	op := orders[l.Op]
	switch l.Type {
	case filter.Number:
		return "coalesce((" + a.number() + ")" + op + "(" + b.number() + "), false)"
	case filter.Bool:
		return guarded(a, "boolean", guarded(b, "boolean", a.json+op+b.json))
	default:
		return guarded(a, "string", guarded(b, "string", a.text+" <> '' and "+b.text+" <> '' and "+a.text+op+b.text))
	}
}

// loose compares a value of an event, which has no declared type: a number with numbers as a number,
// a list by its members, anything else as its text.
func (w *sqlFilter) loose(l *filter.Leaf, v sqlValue) string {
	var number string
	if l.Numbers != nil {
		number = "coalesce(" + w.number(l)(v.number()) + ", false)"
	}
	switch l.Op {
	case filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost:
		return number
	}
	text := w.text(l)
	if l.Numbers == nil {
		number = "coalesce(" + text(v.looseNumber()) + ", false)"
	}
	return "case when jsonb_typeof(" + v.json + ") in ('string', 'boolean') then " + v.text + " <> '' and " + text(v.text) +
		" when jsonb_typeof(" + v.json + ") = 'number' then " + number +
		" when jsonb_typeof(" + v.json + ") = 'array' then " + v.json + " <> '[]' and " + w.looseMembers(l, v) + " else false end"
}

// looseNumber is the text of a number without an exponent, as few digits as tell it from others.
func (v sqlValue) looseNumber() string { return "(" + v.number() + ")::text::numeric::text" }

// looseMembers asks about the members of a list that are no lists or objects themselves.
func (w *sqlFilter) looseMembers(l *filter.Leaf, v sqlValue) string {
	if l.Op == filter.StartsWith || l.Op == filter.EndsWith {
		return "false"
	}
	item := sqlValue{"i.value", "(i.value #>> '{}')"}
	text := w.text(&filter.Leaf{Condition: &filter.Condition{Op: filter.AnyOf}, Texts: l.Texts})
	return negative(l.Op) + "exists (select 1 from jsonb_array_elements(" + v.json + ") i where case jsonb_typeof(i.value)" +
		" when 'number' then coalesce(" + text(item.looseNumber()) + ", false)" +
		" when 'string' then " + text(item.text) + " when 'boolean' then " + text(item.text) + " else false end)"
}
