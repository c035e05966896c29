package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/strictjson"
)

// InFlight is the enrollments that stand at one step of one older version, and what becomes of them.
type InFlight struct {
	Version int    `json:"version"`
	Step    string `json:"step,omitempty" doc:"Where they stand; empty where they have not begun."`
	Waits   bool   `json:"waits" doc:"They wait there, or are held."`
	Count   int    `json:"count"`
	Then    string `json:"then" enum:"finishes,stays,moves,completes" doc:"They finish on their version; or stay in the step, whose end is found anew; or go on at another one; or have come to their end."`
	To      string `json:"to,omitempty" doc:"Of those that move: where to."`
}

// Foresee tells what publishing the draft of a definition would mean to the enrollments that run. It
// changes nothing.
func (db *DB) Foresee(ctx context.Context, name string, m Migration) (*Publication, error) {
	d, err := db.Definition(ctx, name)
	if err != nil {
		return nil, err
	}
	schema, err := db.Properties(ctx)
	if err != nil {
		return nil, err
	}
	document, err := automation.ParseDocument(d.Draft)
	if err != nil {
		return nil, err
	}
	p := &Publication{Workflow: name, Version: d.LiveVersion, Hash: d.DraftHash}
	live, err := db.Version(ctx, name, d.LiveVersion)
	switch {
	case errors.Is(err, automation.ErrNotFound), err == nil && live.Hash != d.DraftHash:
		p.Version, p.Changed = d.LiveVersion+1, true // or a later one, where it was archived
	case err != nil:
		return nil, err
	}
	known, err := db.knowing(ctx, db.pool)
	if err != nil {
		return nil, err
	}
	version, err := known.publishable(document, p.Version, schema)
	if err != nil {
		return nil, err
	}
	if p.Changed {
		version.Number = 0 // none is on it
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		p.InFlight, err = db.settleInFlight(ctx, tx, version, m, false)
		return err
	})
	return p, err
}

// settleInFlight finds what becomes of the enrollments that run on other versions than one and, where
// it is not only asked, lets it happen.
func (db *DB) settleInFlight(ctx context.Context, tx pgx.Tx, version *Published, m Migration, act bool) ([]InFlight, error) {
	if err := checkMapping(ctx, tx, version, m.Mapping); err != nil {
		return nil, err
	}
	if act && !m.Migrate { // nobody is to wait for a count
		return nil, nil
	}
	groups, err := collect[InFlight](ctx, tx, `
		select e.version, e.step, coalesce(v.status in ('waiting', 'held'), false) as waits, count(*) as count, '' as then, '' as to
		from enrollments e left join lateral (
			select status from visits where enrollment_id = e.id and step = e.step order by visit desc limit 1) v on true
		where e.definition = $1 and e.version <> $2 and e.ended_at is null
		group by 1, 2, 3 order by 1, 2, 3`, version.Name, version.Number)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		g := &groups[i]
		if g.Then = "finishes"; !m.Migrate {
			continue
		}
		old, err := db.published(ctx, tx, version.Name, g.Version)
		if err != nil {
			return nil, err
		}
		at := automation.Place{Step: g.Step, Inside: true}
		if g.Step == "" {
			at = automation.Place{Step: old.Program.Start}
		}
		switch landing := old.Program.Land(&version.Program, at, m.Mapping); {
		case landing.Stays:
			g.Then = "stays"
		case landing.Step == "":
			g.Then = "completes"
		default:
			g.Then, g.To = "moves", landing.Step
		}
	}
	if !m.Migrate || !act || len(groups) == 0 {
		return groups, nil
	}
	return groups, db.migrateAll(ctx, tx, version, m)
}

// checkMapping wants every step of a mapping to be one: of some other version, and of the one that is mapped to.
func checkMapping(ctx context.Context, tx pgx.Tx, version *Published, mapping map[string]string) error {
	if len(mapping) == 0 {
		return nil
	}
	from := slices.Sorted(maps.Keys(mapping))
	known, err := collectScalars[string](ctx, tx, `
		select step from unnest($2::text[]) step where exists (
			select from versions where definition = $1 and number <> $3
			and jsonb_path_exists(document::jsonb, '$.steps.**.id ? (@ == $step)', jsonb_build_object('step', step)))`, version.Name, from, version.Number)
	if err != nil {
		return err
	}
	var problems automation.Problems
	for _, step := range from {
		at := strictjson.Field("/mapping", step)
		if !slices.Contains(known, step) {
			problems.Add(at, "unknown-step", "no other version has a step %q", step)
		}
		if _, known := version.Program.Node(mapping[step]); !known {
			problems.Add(at, "unknown-step", "the new version has no step %q", mapping[step])
		}
	}
	return automation.Invalid("the mapping", problems)
}

// migrateAll wants every enrollment that runs on another version to go on in this one. Those that are
// held for approval have not begun, so they are moved at once.
func (db *DB) migrateAll(ctx context.Context, tx pgx.Tx, version *Published, m Migration) error {
	now := db.clock()
	batch := &pgx.Batch{}
	batch.Queue(`update enrollments set version = $2, due = $3 where definition = $1 and version <> $2 and status = 'held'`, version.Name, version.Number, now)
	batch.Queue(`
		with wanted as (
			insert into interventions (enrollment_id, kind, step, version, mapping, actor, at)
			select id, 'migrate', step, $2, $3, $4, $5 from enrollments
			where definition = $1 and version <> $2 and ended_at is null and status <> 'held' returning enrollment_id
		)
		insert into commands (enrollment_id, kind, not_before) select enrollment_id, 'wake', $5 from wanted`,
		version.Name, version.Number, m.Mapping, m.Actor, now)
	return tx.SendBatch(ctx, batch).Close()
}

// chosen selects among the enrollments of a definition that have not ended; the zero value takes all.
type chosen struct {
	held bool     // only those that are held for approval
	ids  []string // only these; nil: any
}

// ofChosen is the condition on an enrollment to be chosen. Its arguments are $1, $2 and $3: the definition, held
// and ids.
const ofChosen = `definition = $1 and ended_at is null and (not $2 or status = 'held') and ($3::text[] is null or id::text = any($3))`

// endAll takes users out of a definition and returns how many there were. Those that were held count as
// if they had never been.
func (in *ingest) endAll(ctx context.Context, definition string, c chosen, reason string) (n int, err error) {
	live, err := in.db.live(ctx, in, in.epoch)
	if err != nil {
		return 0, err
	}
	// Users before enrollments, as everybody locks them.
	if _, err := in.Exec(ctx, `
		select from users where id in (select user_id from enrollments where `+ofChosen+`) order by id for no key update`,
		definition, c.held, c.ids); err != nil {
		return 0, err
	}
	if _, err := in.Exec(ctx, `select from enrollments where `+ofChosen+` order by id for update`, definition, c.held, c.ids); err != nil {
		return 0, err
	}
	in.now = in.db.clock() // no step begins any more
	err = in.QueryRow(ctx, `
		with ended as (
			update enrollments set status = 'unenrolled', rejected = rejected or status = 'held',
				held_until = case when status = 'held' then $5 else held_until end,
				reason = $4, ended_at = $5, ended_seq = nextval('moments'), waiting_until = null, due = null
			where `+ofChosen+` returning id, definition, user_id, depth
		), stopped as (
			update visits v set status = 'stopped', finished_at = $5
			from ended e where v.enrollment_id = e.id and v.status in ('waiting', 'held', 'running')
		), item as (
			insert into work_items (user_id, epoch, depth, at, properties, changed, events, workflows)
			select u.id, $6, e.depth + 1, $5, u.properties, '{}', '[]', array[e.definition]
			from ended e join users u on u.id = e.user_id where e.definition = any($7) order by u.id for no key update of u
		), told as (
			insert into commands (enrollment_id, kind) select id, 'unenroll' from ended where not $2
		)
		select count(*) from ended`, definition, c.held, c.ids, reason, in.now, in.epoch, live.passages()).Scan(&n)
	return n, err
}

// FailedEnrollments lists the ids of enrollments of a definition that failed, the latest first: those of
// a list where it is not nil, and at one step where that is named.
func (db *DB) FailedEnrollments(ctx context.Context, definition string, ids []string, step string, limit int) ([]string, error) {
	return collectScalars[string](ctx, db.pool, `
		select id::text from enrollments
		where definition = $1 and status = 'failed' and ($2::text[] is null or id::text = any($2)) and ($3 = '' or step = $3)
		order by ended_at desc limit $4`, definition, ids, step, limit)
}
