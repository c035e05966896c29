package postgres

import (
	"context"
	"slices"

	"rollcall/automation"
	"rollcall/filter"
)

// LiveSet is the versions that were live in one epoch, indexed by what can concern them.
type LiveSet struct {
	Epoch   int64
	heard   map[string][]TriggerRef // event triggers, by the name of the event
	filters index                   // filter triggers
	leaving filter.Reads            // what can concern users who are enrolled in any version
	stays   bool                    // there is a version to those in which something can happen
	timed   bool                    // time alone can change something
}

// TriggerRef is one trigger of one live version.
type TriggerRef struct {
	*Published
	Trigger int
}

func (r TriggerRef) membership() Membership { return Membership{r.Name, r.Number, r.Trigger} }

// index finds the filter triggers that read something.
type index struct {
	all                            []TriggerRef
	byProperty, byEvent, byPassage map[string][]TriggerRef
}

func (x *index) add(ref TriggerRef) {
	x.all = append(x.all, ref)
	reads := ref.Triggers[ref.Trigger].Holds.Reads()
	for _, list := range []struct {
		names []string
		into  *map[string][]TriggerRef
	}{{reads.Properties, &x.byProperty}, {reads.Events, &x.byEvent}, {reads.Workflows, &x.byPassage}} {
		if *list.into == nil {
			*list.into = map[string][]TriggerRef{}
		}
		for _, name := range list.names {
			(*list.into)[name] = append((*list.into)[name], ref)
		}
	}
}

// concerned lists each filter trigger once that reads what an item tells of; all of them where the
// user is new.
func (x *index) concerned(item *Item) []TriggerRef {
	if item.Has(automation.EventUserCreated) {
		return x.all
	}
	var lists [][]TriggerRef
	for _, name := range item.Changed {
		lists = append(lists, x.byProperty[name])
	}
	for i := range item.Events {
		lists = append(lists, x.byEvent[item.Events[i].Name])
	}
	for _, name := range item.Workflows {
		lists = append(lists, x.byPassage[name])
	}
	lists = slices.DeleteFunc(lists, func(l []TriggerRef) bool { return len(l) == 0 })
	if len(lists) == 1 {
		return lists[0]
	}
	var refs []TriggerRef
	seen := map[TriggerRef]bool{}
	for _, list := range lists {
		for _, ref := range list {
			if !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// find returns the filter trigger of a membership, if it is live.
func (x *index) find(m Membership) (TriggerRef, bool) {
	i := slices.IndexFunc(x.all, func(r TriggerRef) bool { return r.membership() == m })
	if i < 0 {
		return TriggerRef{}, false
	}
	return x.all[i], true
}

// live returns the versions that were live in an epoch. Neither they nor what they mean ever changes,
// because no property changes under a version in use, so they are kept.
func (db *DB) live(ctx context.Context, q querier, epoch int64) (*LiveSet, error) {
	db.cache.Lock()
	set := db.cache.live[epoch]
	db.cache.Unlock()
	if set != nil {
		return set, nil
	}
	set = &LiveSet{Epoch: epoch, heard: map[string][]TriggerRef{}}
	// Versions that were live before, and in which users may still be: they can leave.
	keys, err := collect[struct {
		Definition string
		Number     int
		Live       bool
	}](ctx, q, `
		select definition, number, live_from <= $1 and (live_until is null or live_until > $1) as live from versions v
		where `+inUse+` or live_from <= $1 and (live_until is null or live_until > $1) order by definition, number`, epoch)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		p, err := db.published(ctx, q, k.Definition, k.Number)
		if err != nil {
			return nil, err
		}
		set.leaving.Join(p.inside)
		set.stays = set.stays || p.attends()
		set.timed = set.timed || p.timed || slices.ContainsFunc(p.Triggers, func(t Trigger) bool { return t.Holds != nil && t.Holds.Timed() })
		if k.Live {
			set.add(p)
		}
	}
	db.cache.Lock()
	defer db.cache.Unlock()
	for old := range db.cache.live {
		if old < epoch-8 {
			delete(db.cache.live, old)
		}
	}
	db.cache.live[epoch] = set
	return set, nil
}

// forgetLive forgets the versions that were live in an epoch that did not begin after all.
func (db *DB) forgetLive(epoch int64) {
	db.cache.Lock()
	defer db.cache.Unlock()
	delete(db.cache.live, epoch)
}

// newestLive returns the live versions of the newest epoch that this process has seen, which may be
// behind by now.
func (db *DB) newestLive(ctx context.Context) (*LiveSet, error) {
	db.cache.Lock()
	var newest *LiveSet
	for _, set := range db.cache.live {
		if newest == nil || set.Epoch > newest.Epoch {
			newest = set
		}
	}
	db.cache.Unlock()
	if newest != nil {
		return newest, nil
	}
	var epoch int64
	if err := db.pool.QueryRow(ctx, `select epoch from publication`).Scan(&epoch); err != nil {
		return nil, translate(err)
	}
	return db.live(ctx, db.pool, epoch)
}

func (s *LiveSet) add(p *Published) {
	for i, t := range p.Triggers {
		ref := TriggerRef{p, i}
		switch {
		case t.Event != "":
			s.heard[t.Event] = append(s.heard[t.Event], ref)
		case t.Holds != nil:
			s.filters.add(ref)
		}
	}
}

// concerned reports whether a trigger can match, or a condition to leave can come to hold, by these
// changes and events of one user.
func (s *LiveSet) concerned(changed []string, events []automation.Event) bool {
	for i := range events {
		name := events[i].Name
		if len(s.heard[name]) > 0 || len(s.filters.byEvent[name]) > 0 || has(s.leaving.Events, name) ||
			name == automation.EventUserCreated && len(s.filters.all) > 0 {
			return true
		}
	}
	return slices.ContainsFunc(changed, func(name string) bool {
		return len(s.filters.byProperty[name]) > 0 || has(s.leaving.Properties, name)
	})
}

// passages lists the workflows whose entering or leaving can concern somebody.
func (s *LiveSet) passages() []string {
	names := slices.Clone(s.leaving.Workflows)
	for name := range s.filters.byPassage {
		names = append(names, name)
	}
	return names
}

// concerns reports whether what an item tells of is something that is read.
func concerns(r filter.Reads, item *Item) bool {
	return slices.ContainsFunc(item.Changed, func(name string) bool { return has(r.Properties, name) }) ||
		slices.ContainsFunc(item.Events, func(e automation.Event) bool { return has(r.Events, e.Name) }) ||
		slices.ContainsFunc(item.Workflows, func(name string) bool { return has(r.Workflows, name) })
}

// has looks a name up in a sorted list.
func has(sorted []string, name string) bool {
	_, found := slices.BinarySearch(sorted, name)
	return found
}
