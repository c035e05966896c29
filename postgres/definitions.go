package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

const definitionColumns = `name, title, status, live_version, draft, draft_hash, created_at, updated_at`

// Definition returns a definition. Returns ErrNotFound if there is none.
func (db *DB) Definition(ctx context.Context, name string) (*automation.Definition, error) {
	d, err := one[automation.Definition](ctx, db.pool, `select `+definitionColumns+` from definitions where name = $1`, name)
	return &d, err
}

// lockDefinition reads a definition and keeps others from changing it until the transaction ends.
func lockDefinition(ctx context.Context, tx pgx.Tx, name string) (automation.Definition, error) {
	return one[automation.Definition](ctx, tx, `select `+definitionColumns+` from definitions where name = $1 for update`, name)
}

// Definitions lists definitions by name, at most limit of them, beginning after the name given.
func (db *DB) Definitions(ctx context.Context, after string, limit int) ([]automation.Definition, error) {
	return collect[automation.Definition](ctx, db.pool, `
		select `+definitionColumns+` from definitions where name > $1 order by name limit $2`, after, limit)
}

// ValidateDocument judges a document against the actions, properties and hooks there are.
func (db *DB) ValidateDocument(ctx context.Context, d *automation.Document) error {
	schema, err := db.Properties(ctx)
	if err != nil {
		return err
	}
	known, err := db.knowing(ctx, db.pool)
	if err != nil {
		return err
	}
	return known.judge(d, schema)
}

// SaveDraft creates a definition or replaces its draft; what is published stays as it is. Where
// ifHash is not empty, the draft must still have that hash, else ErrStale is returned. It returns
// an *InvalidError for a document that could not be published.
func (db *DB) SaveDraft(ctx context.Context, d *automation.Document, ifHash string) (saved *automation.Definition, created bool, err error) {
	if err := db.ValidateDocument(ctx, d); err != nil {
		return nil, false, err
	}
	text, hash, err := d.Normal()
	if err != nil {
		return nil, false, err
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		old, err := lockDefinition(ctx, tx, d.Name)
		created = errors.Is(err, automation.ErrNotFound)
		switch {
		case err != nil && !created:
			return err
		case ifHash != "" && old.DraftHash != ifHash:
			return automation.ErrStale
		}
		s, err := one[automation.Definition](ctx, tx, `
			insert into definitions (name, title, draft, draft_hash, created_at, updated_at)
			values ($1, $2, $3, $4, $5, $5)
			on conflict (name) do update
			set title = excluded.title, draft = excluded.draft, draft_hash = excluded.draft_hash, updated_at = excluded.updated_at
			returning `+definitionColumns, d.Name, d.DisplayTitle(), text, hash, db.clock())
		saved = &s
		return err
	})
	return saved, created, err
}

// Publication says what a publication did.
type Publication struct {
	Workflow string `json:"workflow"`
	Version  int    `json:"version"`
	Hash     string `json:"hash"`
	Changed  bool   `json:"changed"`  // false when the draft is what was live already
	Matching int    `json:"matching"` // users for whom a filter trigger holds now
	Run      *Run   `json:"run,omitempty"`

	InFlight []InFlight `json:"in_flight,omitempty"` // the enrollments that run on older versions, and what becomes of them
}

// DefaultRate is how many users a second a run enrolls where nothing else is said.
const DefaultRate = 100

// Existing is what becomes of the users for whom a filter trigger holds when a version is published.
type Existing struct {
	Enroll bool // they are enrolled by a run; else they are when it starts to hold again
	Rate   int  // users per second; 0: DefaultRate
}

// Migration is what becomes of the enrollments that run when a version is published: they finish on
// their version or, where Migrate is set, go on in the new one.
type Migration struct {
	Migrate bool
	Mapping map[string]string // steps that are gone → steps of the new version
	Actor   string            // who wants it
}

// Publish makes the draft of a definition the version that enrolls from now on. Users for whom a filter trigger holds already count as
// members, and a run enrolls them if that is asked for.
// Publishing a draft that is live already changes nothing; a pause stays.
func (db *DB) Publish(ctx context.Context, name string, existing Existing, inFlight Migration) (*Publication, error) {
	var p Publication
	err := db.publication(ctx, func(tx pgx.Tx, epoch int64) error {
		d, err := lockDefinition(ctx, tx, name)
		if err != nil {
			return err
		}
		p = Publication{Workflow: name, Version: d.LiveVersion, Hash: d.DraftHash}
		live, err := one[struct{ Hash string }](ctx, tx, `select hash from versions where definition = $1 and live_until is null`, name)
		switch {
		case err != nil && !errors.Is(err, automation.ErrNotFound):
			return err
		case err == nil && live.Hash == d.DraftHash && !existing.Enroll:
			version, err := db.published(ctx, tx, name, d.LiveVersion)
			if err != nil {
				return err
			}
			p.InFlight, err = db.settleInFlight(ctx, tx, version, inFlight, true)
			return err
		}
		document, err := automation.ParseDocument(d.Draft)
		if err != nil {
			return err
		}
		schema, err := propertiesOf(ctx, tx)
		if err != nil {
			return err
		}
		known, err := db.knowing(ctx, tx)
		if err != nil {
			return err
		}
		if err := known.judge(document, schema); err != nil {
			return err
		}
		now := db.clock()
		before := &ingest{Tx: tx, db: db, now: now, epoch: epoch - 1}
		if err := before.settle(ctx, name); err != nil {
			return err
		}
		if err := replaceLive(ctx, tx, &d, epoch, now, &p); err != nil {
			return err
		}
		version, err := known.prepare(d.Draft, p.Version, schema) // not cached: it may be rolled back
		if err != nil {
			return err
		}
		if err := beginSchedules(ctx, tx, version, now); err != nil {
			return err
		}
		if p.Matching, err = db.baseline(ctx, tx, version, now); err != nil {
			return err
		}
		if existing.Enroll && p.Matching > 0 {
			if p.Run, err = newBackfill(ctx, tx, version, p.Matching, cmp.Or(existing.Rate, DefaultRate), now); err != nil {
				return err
			}
		}
		if p.InFlight, err = db.settleInFlight(ctx, tx, version, inFlight, true); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		queueMade(ctx, batch, fmt.Sprintf("version %d of workflow %s", p.Version, name))
		return tx.SendBatch(ctx, batch).Close()
	})
	return &p, err
}

// publication runs f alone: no work item is written while it runs, and those written afterwards
// belong to the new epoch.
func (db *DB) publication(ctx context.Context, f func(tx pgx.Tx, epoch int64) error) error {
	var begun int64
	err := db.tx(ctx, func(tx pgx.Tx) error {
		db.forgetLive(begun) // of an attempt that was rolled back
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, publicationLock); err != nil {
			return err
		}
		var epoch int64
		if err := tx.QueryRow(ctx, `update publication set epoch = epoch + 1 returning epoch`).Scan(&epoch); err != nil {
			return err
		}
		begun = epoch
		if err := f(tx, epoch); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update publication set ended_at = $1`, db.clock())
		return err
	})
	if err != nil {
		db.forgetLive(begun) // another publication will begin that epoch
	}
	return err
}

func replaceLive(ctx context.Context, tx pgx.Tx, d *automation.Definition, epoch int64, now time.Time, p *Publication) error {
	if err := retire(ctx, tx, d.Name, epoch, now); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `
		insert into versions (definition, number, document, hash, published_at, live_from)
		select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 from versions where definition = $1
		returning number`, d.Name, d.Draft, d.DraftHash, now, epoch).Scan(&p.Version)
	if err != nil {
		return err
	}
	p.Changed = true
	_, err = tx.Exec(ctx, `
		update definitions set status = case status when 'paused' then 'paused' else 'live' end, live_version = $2, updated_at = $3
		where name = $1`, d.Name, p.Version, now)
	return err
}

// retire ends the life of the version that is live, if one is. What it was to enroll at once is not
// enrolled any more.
func retire(ctx context.Context, tx pgx.Tx, name string, epoch int64, now time.Time) error {
	if _, err := tx.Exec(ctx, `
		update runs set status = 'aborted', reason = 'another version was published, or the workflow archived', ended_at = $2, updated_at = $2
		where definition = $1 and ended_at is null and kind = 'backfill'`, name, now); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update schedules set live_until = $2 where definition = $1 and live_until is null`, name, now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		update versions set live_until = $2, retired_at = $3 where definition = $1 and live_until is null`, name, epoch, now)
	return err
}

// Pause keeps actions from starting; delays and triggers go on. It returns ErrNotActive when the
// definition was not published.
func (db *DB) Pause(ctx context.Context, name string) (*automation.Definition, error) {
	return db.setStatus(ctx, name, func(tx pgx.Tx, d *automation.Definition) error {
		if d.LiveVersion == 0 {
			return automation.ErrNotActive
		}
		_, err := tx.Exec(ctx, `update definitions set status = 'paused', updated_at = $2 where name = $1`, name, db.clock())
		return err
	})
}

// Resume ends a pause. What was held goes on at a rate, so many a second; 0: DefaultRate. It returns
// ErrNotActive when the definition was not published.
func (db *DB) Resume(ctx context.Context, name string, rate int) (*automation.Definition, error) {
	return db.setStatus(ctx, name, func(tx pgx.Tx, d *automation.Definition) error {
		if d.LiveVersion == 0 {
			return automation.ErrNotActive
		}
		return db.resume(ctx, tx, name, cmp.Or(rate, DefaultRate))
	})
}

// resume makes a published definition run and wakes the enrollments that were held at an action.
func (db *DB) resume(ctx context.Context, tx pgx.Tx, name string, rate int) error {
	now := db.clock()
	tag, err := tx.Exec(ctx, `update definitions set status = 'live', updated_at = $2 where name = $1 and status = 'paused'`, name, now)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into commands (enrollment_id, kind, not_before)
		select e.id, 'resume', $2::timestamptz + (row_number() over (order by e.created_at) - 1) / $3::int * interval '1 second' from enrollments e
		where e.definition = $1 and e.status in ('pending', 'active')
		and exists (select 1 from visits v where v.enrollment_id = e.id and v.status = 'held' and v.until is null)`, name, now, rate)
	return err
}

// Archive ends a definition's life: it enrolls nobody any more. Running enrollments finish or, where
// that is asked for, are taken out.
func (db *DB) Archive(ctx context.Context, name string, takeOut bool) (*automation.Definition, error) {
	err := db.publication(ctx, func(tx pgx.Tx, epoch int64) error {
		d, err := lockDefinition(ctx, tx, name)
		if err == nil && d.Status == automation.Draft {
			err = automation.ErrNotActive
		}
		if err != nil {
			return err
		}
		if err := db.resume(ctx, tx, name, DefaultRate); err != nil { // what was held may finish too
			return err
		}
		now := db.clock()
		before := &ingest{Tx: tx, db: db, now: now, epoch: epoch - 1}
		if err := before.settle(ctx, name); err != nil {
			return err
		}
		if err := retire(ctx, tx, name, epoch, now); err != nil {
			return err
		}
		if err := stopSchedules(ctx, tx, name, now); err != nil {
			return err
		}
		if takeOut {
			after := &ingest{Tx: tx, db: db, now: now, epoch: epoch}
			if _, err := after.endAll(ctx, name, chosen{}, "the workflow was archived"); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `update definitions set status = 'archived', live_version = 0, updated_at = $2 where name = $1`, name, db.clock())
		return err
	})
	if err != nil {
		return nil, err
	}
	return db.Definition(ctx, name)
}

// DeleteDefinition removes a definition that was never published. Others are archived, since
// their ledger is kept; ErrInUse says so. Where ifHash is not empty, the draft must still have it.
func (db *DB) DeleteDefinition(ctx context.Context, name, ifHash string) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		d, err := lockDefinition(ctx, tx, name)
		switch {
		case err != nil:
			return err
		case ifHash != "" && d.DraftHash != ifHash:
			return automation.ErrStale
		case d.Status != automation.Draft:
			return fmt.Errorf("workflow %s was published, archive it instead: %w", name, automation.ErrInUse)
		}
		_, err = tx.Exec(ctx, `delete from definitions where name = $1`, name)
		return err
	})
}

// settle does what time has made due of a definition, before it changes.
func (in *ingest) settle(ctx context.Context, name string) error {
	if err := in.ringBefore(ctx, name); err != nil {
		return err
	}
	return in.settleSchedules(ctx, name)
}

// setStatus runs f with a definition locked and returns it as f left it. Firings that were due before
// are accounted for by the status that the definition had.
func (db *DB) setStatus(ctx context.Context, name string, f func(tx pgx.Tx, d *automation.Definition) error) (*automation.Definition, error) {
	err := db.ingest(ctx, "", func(in *ingest) error {
		d, err := lockDefinition(ctx, in, name)
		if err != nil {
			return err
		}
		if err := in.settleSchedules(ctx, name); err != nil {
			return err
		}
		return f(in, &d)
	})
	if err != nil {
		return nil, err
	}
	return db.Definition(ctx, name)
}

// Counts are the enrollments of a definition by status.
func (db *DB) Counts(ctx context.Context, definition string) (map[automation.EnrollmentStatus]int, error) {
	rows, err := collect[struct {
		Status automation.EnrollmentStatus
		N      int
	}](ctx, db.pool, `select status, count(*) as n from enrollments where definition = $1 group by status`, definition)
	counts := map[automation.EnrollmentStatus]int{}
	for _, r := range rows {
		counts[r.Status] = r.N
	}
	return counts, err
}

// liveVersion returns the version of a definition that enrolls now.
// It returns ErrNotActive where none does, ErrNotFound where there is no such definition.
func (db *DB) liveVersion(ctx context.Context, tx pgx.Tx, name string) (*Published, error) {
	d, err := one[automation.Definition](ctx, tx, `select `+definitionColumns+` from definitions where name = $1 for share`, name)
	if err != nil {
		return nil, err
	}
	if d.LiveVersion == 0 {
		return nil, automation.ErrNotActive
	}
	return db.published(ctx, tx, name, d.LiveVersion)
}
