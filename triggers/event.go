package triggers

import (
	"rollcall/filter"
	"rollcall/postgres"
)

// judgeEvents matches the events of an item. The where of a trigger is asked of the user as of the
// item's moment.
func judgeEvents(item *postgres.Item, live *postgres.LiveSet, _ map[postgres.Membership]bool) postgres.Verdict {
	var v postgres.Verdict
	for i := range item.Events {
		e := &item.Events[i]
		for _, ref := range live.ByEvent[e.Name] {
			where := ref.Triggers[ref.Trigger].Where
			if where != nil && !where.Match(filter.Subject{User: item.Properties, Event: e.Properties}) {
				continue
			}
			v.Matches = append(v.Matches, postgres.Match{
				Version: ref.Published, Trigger: ref.Trigger, UserID: item.UserID, Event: e, Depth: item.Depth,
			})
		}
	}
	return v
}
