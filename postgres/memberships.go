package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/filter"
)

// baseline records how the filter triggers of a version stand for all users at its publication, one
// statement for each trigger, and returns for how many users one holds. Memberships of older versions
// go once no item can be asked of them any more.
func (db *DB) baseline(ctx context.Context, tx pgx.Tx, version *Published, now time.Time) (matching int, err error) {
	_, err = tx.Exec(ctx, `
		delete from memberships m using versions v
		where m.definition = $1 and v.definition = m.definition and v.number = m.version
		and v.live_until <= (select coalesce(min(epoch), 9223372036854775807) from work_items)`, version.Name)
	if err != nil {
		return 0, err
	}
	filters := 0
	for i, t := range version.Triggers {
		if t.Holds == nil {
			continue
		}
		filters++
		if err := db.baselineOf(ctx, tx, TriggerRef{version, i}, now); err != nil {
			return 0, err
		}
	}
	if filters == 0 {
		return 0, nil
	}
	err = tx.QueryRow(ctx, `
		select count(distinct user_id) from memberships where definition = $1 and version = $2 and holds`, version.Name, version.Number).Scan(&matching)
	return matching, err
}

func (db *DB) baselineOf(ctx context.Context, tx pgx.Tx, ref TriggerRef, now time.Time) error {
	f := ref.Triggers[ref.Trigger].Holds
	zones, err := db.zonesFor(ctx, tx, f)
	if err != nil {
		return err
	}
	a := &sqlArgs{}
	due := `null::timestamptz`
	if f.Timed() {
		due = flipSQL(f, now, zones, a)
	}
	_, err = tx.Exec(ctx, `
		insert into memberships (definition, version, trigger, user_id, holds, due, since)
		select `+a.add(ref.Name)+`, `+a.add(ref.Number)+`, `+a.add(ref.Trigger)+`, id, holds, due, `+a.add(now)+`
		from (select u.id, `+compileSQL(f, now, zones, a)+` as holds, `+due+` as due from users u) u
		where holds or due is not null`, a.planned()...)
	return err
}

// zonesFor lists the time zones of users where a filter reads dates in them.
func (db *DB) zonesFor(ctx context.Context, q querier, filters ...*filter.Filter) ([]string, error) {
	for _, f := range filters {
		if f != nil && usesOwnZones(f) {
			return db.zonesOfUsers(ctx, q)
		}
	}
	return nil, nil
}

// Rung is what one call of Ring did.
type Rung struct {
	Users int           // for how many users it wrote an item
	Late  time.Duration // how long ago the first of them was due
}

// Ring writes work items for what time alone may have changed, of at most limit users. Users who are
// being changed at this moment come next time.
func (db *DB) Ring(ctx context.Context, limit int) (Rung, error) {
	var rung Rung
	err := db.ingest(ctx, "", func(in *ingest) error {
		due, err := collectScalars[string](ctx, in, `
			select distinct user_id from (
				(select user_id from memberships where due <= $1 order by due limit $2)
				union all (select user_id from enrollments where due <= $1 and ended_at is null order by due limit $2)
			) d limit $2`, in.now, limit)
		if err != nil || len(due) == 0 {
			return err
		}
		// Locked in the order of their ids, as batches of events do it.
		locked, err := collectScalars[string](ctx, in, `
			select id from users where id = any($1) order by id for no key update skip locked`, due)
		if err != nil || len(locked) == 0 {
			return err
		}
		rung, err = in.ring(ctx, locked)
		return err
	})
	return rung, err
}

// ring writes the items of users whose rows are locked.
func (in *ingest) ring(ctx context.Context, users []string) (Rung, error) {
	var rung Rung
	var first *time.Time
	err := in.QueryRow(ctx, `
			with members as (
				update memberships m set due = null from (select user_id, definition, version, trigger, due from memberships where user_id = any($1) and due <= $2) o
				where m.user_id = o.user_id and m.definition = o.definition and m.version = o.version and m.trigger = o.trigger
				returning o.*
			), inside as (
				update enrollments e set due = null from (select id, due from enrollments where user_id = any($1) and due <= $2 and ended_at is null) o
				where e.id = o.id and e.ended_at is null
				returning e.user_id, e.definition, e.version, $4::int as trigger, o.due
			), asks as (
				select user_id, jsonb_agg(jsonb_build_object(
					'definition', definition, 'version', version, 'trigger', trigger, 'due', due)) as asks
				from (select * from members union all select * from inside) a group by user_id
			), items as (
				insert into work_items (user_id, epoch, at, properties, changed, events, asks)
				select u.id, $3, $2, u.properties, '{}', '[]', a.asks from asks a join users u on u.id = a.user_id returning id
			)
			select (select count(*) from items), (select min(due) from (select due from members union all select due from inside) d)`,
		users, in.now, in.epoch, AskLeaving).Scan(&rung.Users, &first)
	if first != nil {
		rung.Late = in.now.Sub(*first)
	}
	return rung, err
}

// ringBefore rings what is due of a definition before another epoch begins, in which its version is
// live no more. Publications keep everybody else out, so no rows need to be locked.
func (in *ingest) ringBefore(ctx context.Context, definition string) error {
	users, err := collectScalars[string](ctx, in, `
		select user_id from memberships where definition = $1 and due <= $2
		union select user_id from enrollments where definition = $1 and due <= $2 and ended_at is null`, definition, in.now)
	if err == nil && len(users) > 0 {
		_, err = in.ring(ctx, users)
	}
	return err
}

// NextRing is when time alone may next change something; ok is false where it never does.
func (db *DB) NextRing(ctx context.Context) (at time.Time, ok bool, err error) {
	var due *time.Time
	err = db.pool.QueryRow(ctx, `
		select least((select min(due) from memberships where due is not null), (select min(due) from enrollments where due is not null and ended_at is null))`).Scan(&due)
	if err != nil || due == nil {
		return time.Time{}, false, translate(err)
	}
	return *due, true, nil
}
