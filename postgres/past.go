package postgres

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"rollcall/filter"
)

// moment is up to when the past of a user counts: what was recorded with a number of at most upTo, as
// somebody sees it who asks at an instant.
type moment struct {
	userID string
	upTo   int64
	at     time.Time
}

// present is the moment that has seen everything.
func present(userID string, at time.Time) moment { return moment{userID, math.MaxInt64, at} }

// record is what is recorded about one user, as far as it was asked for.
type record struct {
	changes  []changeFact  // in the order in which they happened
	events   []eventFact   // newest first
	passages []passageFact //
}

type changeFact struct {
	UserID   string
	Property string
	New      any
	At       time.Time
}

type eventFact struct {
	UserID     string
	Name       string
	OccurredAt time.Time
	ReceivedAt time.Time
	Properties map[string]any
}

type passageFact struct {
	UserID     string
	Definition string
	CreatedAt  time.Time
	EndedAt    *time.Time
	Completed  bool
}

// records reads what filters need of the pasts of users, each of whom is named once.
func (db *DB) records(ctx context.Context, q querier, needs filter.Needs, moments []moment) (map[string]*record, error) {
	records := make(map[string]*record, len(moments))
	users, upTo, at := make([]string, len(moments)), make([]int64, len(moments)), make([]time.Time, len(moments))
	for i, m := range moments {
		users[i], upTo[i], at[i] = m.userID, m.upTo, m.at
		records[m.userID] = &record{}
	}
	if len(needs.Changes) > 0 {
		rows, err := collect[changeFact](ctx, q, `
			select c.user_id, c.property, c.new, c.at
			from unnest($1::text[], $2::bigint[]) m (user_id, upto)
			join changes c on c.user_id = m.user_id and c.property = any($3) and c.id <= m.upto
			order by c.id`, users, upTo, needs.Changes)
		if err != nil {
			return nil, err
		}
		for _, c := range rows {
			records[c.UserID].changes = append(records[c.UserID].changes, c)
		}
	}
	if len(needs.Events) > 0 {
		if err := db.readEvents(ctx, q, needs, records, users, upTo, at); err != nil {
			return nil, err
		}
	}
	if len(needs.Workflows) > 0 {
		rows, err := collect[passageFact](ctx, q, `
			select e.user_id, e.definition, e.created_at, case when e.ended_seq <= m.upto then e.ended_at end as ended_at,
				e.status = 'completed' as completed
			from unnest($1::text[], $2::bigint[]) m (user_id, upto)
			join enrollments e on e.user_id = m.user_id and e.definition = any($3) and e.seq <= m.upto and not e.rejected`,
			users, upTo, needs.Workflows)
		if err != nil {
			return nil, err
		}
		for _, p := range rows {
			records[p.UserID].passages = append(records[p.UserID].passages, p)
		}
	}
	return records, nil
}

func (db *DB) readEvents(ctx context.Context, q querier, needs filter.Needs, records map[string]*record, users []string, upTo []int64, at []time.Time) error {
	var names []string
	var within []*int64 // microseconds
	var newest []*int
	for name, need := range needs.Events {
		names = append(names, name)
		within, newest = append(within, nil), append(newest, nil)
		if need.Within > 0 {
			us := need.Within.Microseconds()
			within[len(within)-1] = &us
		}
		if need.Newest > 0 {
			newest[len(newest)-1] = &need.Newest
		}
	}
	rows, err := collect[eventFact](ctx, q, `
		select e.* from unnest($1::text[], $2::bigint[], $3::timestamptz[]) m (user_id, upto, at),
			unnest($4::text[], $5::bigint[], $6::int[]) n (name, within, newest),
		lateral (
			select user_id, name, occurred_at, received_at, properties from events
			where user_id = m.user_id and name = n.name and seq <= m.upto
			and (n.within is null or occurred_at > m.at - n.within * interval '1 microsecond')
			order by occurred_at desc limit coalesce(n.newest, 2 * `+strconv.Itoa(filter.MaxCount)+`)
		) e order by e.occurred_at desc`, users, upTo, at, names, within, newest)
	if err != nil {
		return err
	}
	for _, e := range rows {
		records[e.UserID].events = append(records[e.UserID].events, e)
	}
	return nil
}

// past is all that is recorded.
func (r *record) past() *filter.Past {
	return r.asOf(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
}

// asOf is what was recorded by an instant.
func (r *record) asOf(at time.Time) *filter.Past {
	p := &filter.Past{Changes: map[string][]filter.Change{}, Events: map[string][]filter.Event{}, Workflows: map[string]filter.Passage{}}
	for _, c := range r.changes {
		if !c.At.After(at) {
			p.Changes[c.Property] = append(p.Changes[c.Property], filter.Change{At: c.At, New: c.New})
		}
	}
	for _, e := range r.events {
		if !e.ReceivedAt.After(at) {
			p.Events[e.Name] = append(p.Events[e.Name], filter.Event{At: e.OccurredAt, Properties: e.Properties})
		}
	}
	for _, f := range r.passages {
		if f.CreatedAt.After(at) {
			continue
		}
		over := f.EndedAt != nil && !f.EndedAt.After(at)
		w := p.Workflows[f.Definition]
		w.Enrolled = true
		w.Active = w.Active || !over
		w.Completed = w.Completed || over && f.Completed
		p.Workflows[f.Definition] = w
	}
	return p
}

// subject is a user as a filter is asked about at this moment, with the past that it needs.
func (db *DB) subject(ctx context.Context, q querier, needs filter.Needs, userID string, properties map[string]any) (filter.Subject, error) {
	s := filter.Subject{User: properties, Now: db.clock()}
	if needs.None() {
		return s, nil
	}
	records, err := db.records(ctx, q, needs, []moment{present(userID, s.Now)})
	if err != nil {
		return s, err
	}
	s.Past = records[userID].past()
	return s, nil
}

// needsOf is what several filters, some of which may be nil, need together.
func needsOf(filters ...*filter.Filter) filter.Needs {
	var needs filter.Needs
	for _, f := range slices.DeleteFunc(filters, func(f *filter.Filter) bool { return f == nil }) {
		needs.Join(f.Needs())
	}
	return needs
}
