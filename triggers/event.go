package triggers

import (
	"rollcall/postgres"
)

// judgeEvents matches the events of an item. The where of a trigger is asked of the user as of the
// item's moment.
func judgeEvents(q *postgres.Question, v *postgres.Verdict) {
	for _, h := range q.Heard {
		subject := q.Subject
		subject.Event = h.Event.Properties
		if where := h.Triggers[h.Trigger].Where; where == nil || where.Match(subject) {
			v.Matches = append(v.Matches, postgres.Match{Version: h.Published, Trigger: h.Trigger, Event: h.Event})
		}
	}
}
