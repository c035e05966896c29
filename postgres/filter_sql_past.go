package postgres

import (
	"strconv"

	"rollcall/filter"
)

// happened asks whether there is the event without which the answer would be another one.
func (w *sqlFilter) happened(l *filter.Leaf) string {
	var exists string
	if newer := deciding(l); newer > 0 {
		exists = "exists (select 1 " + w.events(l) + " offset " + w.args.add(newer) + ")"
	} else {
		exists = w.exists(w.events(l))
	}
	if l.Op == filter.AtLeast {
		return exists
	}
	return "(not " + exists + ")"
}

// maxJoins is how many conditions of a statement the planner may turn into joins. It looks for the
// best order of all joins, which takes it minutes where there are hundreds.
const maxJoins = 5

// exists asks whether there is a row.
func (w *sqlFilter) exists(rows string) string {
	if w.args.joins++; w.args.joins > maxJoins {
		rows += " offset 0" // keeps it from becoming a join
	}
	return "exists (select 1 " + rows + ")"
}

// deciding is how many events that count are passed over to find the one that decides.
func deciding(l *filter.Leaf) int {
	if l.Op == filter.AtLeast {
		return *l.Count - 1
	}
	return *l.Count
}

// events are those of the user that count, as what follows a select.
func (w *sqlFilter) events(l *filter.Leaf) string {
	if !storable(l.Event) {
		return "from events e where false"
	}
	from := "from events e where e.user_id = u.id and e.name = " + w.args.add(l.Event)
	if l.Back > 0 {
		from += " and e.occurred_at > " + w.args.add(w.now.Add(-l.Back))
	}
	if l.WhereFilter != nil {
		inner := *w
		inner.counted = true
		from += " and " + inner.tree(l.WhereFilter)
	}
	return from
}

// passed asks how the user went through a workflow.
func (w *sqlFilter) passed(l *filter.Leaf) string {
	if !storable(l.Workflow) {
		return strconv.FormatBool(l.Op == filter.NeverEnrolled)
	}
	enrollments := "from enrollments p where p.user_id = u.id and p.definition = " + w.args.add(l.Workflow) + " and not p.rejected"
	switch l.Op {
	case filter.Enrolled:
		return w.exists(enrollments)
	case filter.NeverEnrolled:
		return "(not " + w.exists(enrollments) + ")"
	case filter.Active:
		return w.exists(enrollments + " and p.ended_at is null")
	default:
		return w.exists(enrollments + " and p.status = 'completed'")
	}
}

// ever asks about every value that a property had.
func (w *sqlFilter) ever(l *filter.Leaf) string {
	values, known := w.changes(l), " and not "+changed.empty()
	if l.Op == filter.Known {
		return w.exists(values + known)
	}
	holds := w.exists(values + " and " + w.holds(l, changed))
	if !l.IfEmpty {
		return holds
	}
	return "((not " + w.exists(values+known) + ")" + w.orOtherEmpty(l) + " or " + holds + ")"
}

// lastChanged asks about when a property last changed.
func (w *sqlFilter) lastChanged(l *filter.Leaf) string {
	switch l.Op {
	case filter.Known:
		return w.exists(w.changes(l))
	case filter.Unknown:
		return "(not " + w.exists(w.changes(l)) + ")"
	}
	holds := w.exists("from (" + w.lastChange(l) + ") c where " + w.compareTime(l, changeTime))
	if !l.IfEmpty {
		return holds
	}
	return "((not " + w.exists(w.changes(l)) + ")" + w.orOtherEmpty(l) + " or " + holds + ")"
}

// changed is the value that a change came to.
var changed = sqlValue{"c.new", "(c.new #>> '{}')"}

// changes are those of the property, as what follows a select.
func (w *sqlFilter) changes(l *filter.Leaf) string {
	return "from changes c where c.user_id = u.id and c.property = " + w.args.add(l.Property)
}

func (w *sqlFilter) lastChange(l *filter.Leaf) string {
	return "select c.at " + w.changes(l) + " order by c.id desc limit 1"
}
