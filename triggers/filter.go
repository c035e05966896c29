package triggers

import (
	"slices"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// judgeFilters finds the edges of the filters that an item can concern. A filter that starts to
// hold enrolls.
func judgeFilters(item *postgres.Item, live *postgres.LiveSet, held map[postgres.Membership]bool) postgres.Verdict {
	var v postgres.Verdict
	if item.Has(automation.EventUserDeleted) {
		return v
	}
	for _, ref := range concerned(item, live) {
		m := postgres.Membership{Definition: ref.Name, Version: ref.Number, Trigger: ref.Trigger}
		holds := ref.Triggers[ref.Trigger].Holds.Match(filter.Subject{User: item.Properties})
		switch {
		case holds && !held[m]:
			v.Joined = append(v.Joined, m)
			v.Matches = append(v.Matches, postgres.Match{
				Version: ref.Published, Trigger: ref.Trigger, UserID: item.UserID, Depth: item.Depth,
			})
		case !holds && held[m]:
			v.Left = append(v.Left, m)
		}
	}
	return v
}

// concerned lists each filter trigger once that reads a property which changed; all of them where
// the user is new.
func concerned(item *postgres.Item, live *postgres.LiveSet) []postgres.TriggerRef {
	if item.Has(automation.EventUserCreated) {
		return live.Filters
	}
	var refs []postgres.TriggerRef
	for _, name := range item.Changed {
		for _, ref := range live.ByProperty[name] {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}
