package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/filter"
)

// The filter compiler writes a filter as SQL that answers, for each row u of users, exactly what
// filter.Match answers for that user: never null, and whatever stands in the properties, never an
// error. A value that is not what its property holds does not match; in SQL that means that each cast
// stands behind a case that asks for the type. Whatever an author wrote is a parameter.

// sqlArgs are the parameters of one statement.
type sqlArgs struct {
	values []any
	texts  map[string]string // the parameters of texts that are there
	joins  int               // conditions so far that the planner may turn into joins
}

// add makes a value a parameter and returns how the statement speaks of it, with its type.
func (a *sqlArgs) add(v any) string {
	var kind string
	switch v := v.(type) {
	case string:
		if known, ok := a.texts[v]; ok {
			return known
		}
		if a.texts == nil {
			a.texts = map[string]string{}
		}
		a.texts[v] = "$" + strconv.Itoa(len(a.values)+1) + "::text"
		kind = "text"
	case []string:
		kind = "text[]"
	case int, int64:
		kind = "bigint"
	case float64:
		kind = "float8"
	case []float64:
		kind = "float8[]"
	case time.Time:
		kind = "timestamptz"
	case time.Duration:
		kind = "interval"
	case jsonValue:
		kind = "jsonb"
	default:
		panic(fmt.Sprintf("a parameter of the type %T", v))
	}
	a.values = append(a.values, v)
	return "$" + strconv.Itoa(len(a.values)) + "::" + kind
}

// planned are the arguments of a statement that is planned for its parameters, and not kept.
func (a *sqlArgs) planned() []any { return append([]any{pgx.QueryExecModeDescribeExec}, a.values...) }

// sqlFilter writes one filter.
type sqlFilter struct {
	args    *sqlArgs
	now     time.Time
	zones   []string // of users whose own zone is known
	counted bool     // what is asked is an event e that may count, rather than the user u

	skipped map[string]string // dates by a zone and a date that the zone skipped, once it was asked for
}

// compileSQL writes a filter as a condition on the row u of users, as of now. Zones are those of the
// users, where usesOwnZones says that they are needed.
func compileSQL(f *filter.Filter, now time.Time, zones []string, a *sqlArgs) string {
	return newFilter(now, zones, a).tree(f)
}

func newFilter(now time.Time, zones []string, a *sqlArgs) *sqlFilter {
	return &sqlFilter{args: a, now: now.Truncate(filter.Resolution), zones: zones}
}

func (w *sqlFilter) tree(f *filter.Filter) string {
	return filter.Walk(f, w.leaf,
		func(parts []string) string { return "(" + strings.Join(parts, " and ") + ")" },
		func(parts []string) string { return "(" + strings.Join(parts, " or ") + ")" },
		func(part string) string { return "(not " + part + ")" })
}

// usesOwnZones reports whether a filter reads dates in each user's own time zone.
func usesOwnZones(f *filter.Filter) bool {
	or := func(parts []bool) bool { return slices.Contains(parts, true) }
	return filter.Walk(f, ownZone, or, or, func(part bool) bool { return part })
}

func ownZone(l *filter.Leaf) bool { return l.Zone == nil && len(l.OtherTimes()) > 0 }

// zonesOfUsers lists the values of the users' time zones, each once.
func (db *DB) zonesOfUsers(ctx context.Context, q querier) ([]string, error) {
	return collectScalars[string](ctx, q, `
		select distinct properties ->> 'time_zone' from users
		where jsonb_typeof(properties -> 'time_zone') = 'string' order by 1`)
}

// sqlValue is an expression of type jsonb, null where there is no value, and one of its text.
type sqlValue struct{ json, text string }

var noValue = sqlValue{"null::jsonb", "null::text"}

func (w *sqlFilter) member(object, name string) sqlValue {
	if !storable(name) {
		return noValue
	}
	p := w.args.add(name)
	return sqlValue{"(" + object + " -> " + p + ")", "(" + object + " ->> " + p + ")"}
}

func (w *sqlFilter) property(name string) sqlValue { return w.member("u.properties", name) }

// storable reports whether PostgreSQL can hold a text. One that it cannot hold is equal to none.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func (w *sqlFilter) leaf(l *filter.Leaf) string {
	switch {
	case l.Event != "":
		return w.happened(l)
	case l.Workflow != "":
		return w.passed(l)
	case l.EventProperty != "" && w.counted:
		return w.one(l, w.member("e.properties", l.EventProperty))
	case l.EventProperty != "", l.Step != "": // there is none
		return w.one(l, noValue)
	case l.Ever:
		return w.ever(l)
	case l.Of == filter.ChangedAt:
		return w.lastChanged(l)
	default:
		return w.one(l, w.property(l.Property))
	}
}

// one asks a condition about one value.
func (w *sqlFilter) one(l *filter.Leaf, v sqlValue) string {
	switch {
	case l.Op == filter.Known:
		return "(not " + v.empty() + ")"
	case l.Op == filter.Unknown:
		return v.empty()
	case l.IfEmpty:
		return "(" + v.empty() + w.orOtherEmpty(l) + " or " + w.holds(l, v) + ")"
	default:
		return w.holds(l, v)
	}
}

// empty holds for what is not there, null, an empty text and an empty list.
func (v sqlValue) empty() string {
	return "(coalesce(" + v.text + ", '') = '' or " + v.json + " = '[]')"
}

// orOtherEmpty holds where a property that the condition compares with has no value.
func (w *sqlFilter) orOtherEmpty(l *filter.Leaf) string {
	var or strings.Builder
	for _, name := range append(l.OtherTimes(), l.Other) {
		if name != "" {
			or.WriteString(" or " + w.property(name).empty())
		}
	}
	return or.String()
}

// holds compares a value. It holds for none that is empty, or that is compared with an empty one.
func (w *sqlFilter) holds(l *filter.Leaf, v sqlValue) string {
	switch {
	case l.Other != "":
		return w.compareOther(l, v, w.property(l.Other))
	case l.EventProperty != "", l.Step != "":
		return w.loose(l, v)
	case l.Type == filter.Bool:
		return "coalesce(" + v.json + " = '" + strconv.FormatBool(l.Truth == (l.Op == filter.Equals)) + "', false)"
	case l.Type == filter.Number:
		return "coalesce(" + w.number(l)(v.number()) + ", false)"
	case l.Type == filter.String:
		return guarded(v, "string", v.text+" <> '' and "+w.text(l)(v.text))
	case l.Type == filter.Enum, l.Type == filter.User:
		return w.choice(l, v)
	case l.Type == filter.MultiEnum, l.Type == filter.Users:
		return w.members(l, v)
	case l.Of == filter.Anniversary:
		return w.recurs(l, v)
	default:
		return w.compareTime(l, w.timeOf(l, v))
	}
}

// guarded asks what only a value of a JSON type may be asked.
func guarded(v sqlValue, kind, holds string) string {
	return "case when jsonb_typeof(" + v.json + ") = '" + kind + "' then " + holds + " else false end"
}
