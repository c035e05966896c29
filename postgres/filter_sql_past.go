package postgres

import "rollcall/filter"

// happened counts events.
func (w *sqlFilter) happened(l *filter.Leaf) string {
	events := w.events(l)
	switch {
	case l.Op == filter.AtLeast && *l.Count == 1:
		return "exists (select 1 " + events + ")"
	case l.Op == filter.AtMost && *l.Count == 0:
		return "(not exists (select 1 " + events + "))"
	}
	limit, op := *l.Count, " >= "
	if l.Op == filter.AtMost {
		limit, op = limit+1, " <= "
	}
	return "((select count(*) from (select 1 " + events + " limit " + w.args.add(limit) + ") n)" + op + w.args.add(*l.Count) + ")"
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
		return map[bool]string{true: "true", false: "false"}[l.Op == filter.NeverEnrolled]
	}
	exists := "exists (select 1 from enrollments p where p.user_id = u.id and p.definition = " + w.args.add(l.Workflow) + " and not p.rejected"
	switch l.Op {
	case filter.Enrolled:
		return exists + ")"
	case filter.NeverEnrolled:
		return "(not " + exists + "))"
	case filter.Active:
		return exists + " and p.ended_at is null)"
	default:
		return exists + " and p.status = 'completed')"
	}
}

// ever asks about every value that a property had.
func (w *sqlFilter) ever(l *filter.Leaf) string {
	v := sqlValue{"c.new", "(c.new #>> '{}')"}
	values := w.changes(l)
	known := "exists (select 1 " + values + " and not " + v.empty() + ")"
	if l.Op == filter.Known {
		return known
	}
	holds := "exists (select 1 " + values + " and " + w.holds(l, v) + ")"
	if !l.IfEmpty {
		return holds
	}
	return "((not " + known + ")" + w.orOtherEmpty(l) + " or " + holds + ")"
}

// changed asks about when a property last changed.
func (w *sqlFilter) changed(l *filter.Leaf) string {
	known := "exists (select 1 " + w.changes(l) + ")"
	switch l.Op {
	case filter.Known:
		return known
	case filter.Unknown:
		return "(not " + known + ")"
	}
	holds := "exists (select 1 from (" + w.lastChange(l) + ") c where " + w.compareTime(l, changeTime) + ")"
	if !l.IfEmpty {
		return holds
	}
	return "((not " + known + ")" + w.orOtherEmpty(l) + " or " + holds + ")"
}

// changes are those of the property, as what follows a select.
func (w *sqlFilter) changes(l *filter.Leaf) string {
	return "from changes c where c.user_id = u.id and c.property = " + w.args.add(l.Property)
}

func (w *sqlFilter) lastChange(l *filter.Leaf) string {
	return "select c.at " + w.changes(l) + " order by c.id desc limit 1"
}
