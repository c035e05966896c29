package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

const connectionColumns = `name, kind, settings, configured, disabled_at, disabled_reason, created_at, updated_at, updated_by`

// Sealed is a connection with its secrets, which only who has the keys can open.
type Sealed struct {
	automation.Connection
	Sealed   []byte // nil: it has none
	Revision int64  // another one after each change
}

// Connections lists the connections by name.
func (db *DB) Connections(ctx context.Context) ([]automation.Connection, error) {
	return collect[automation.Connection](ctx, db.pool, `select `+connectionColumns+` from connections order by name`)
}

// Connection reads a connection. Returns ErrNotFound if there is none.
func (db *DB) Connection(ctx context.Context, name string) (*Sealed, error) {
	c, err := one[Sealed](ctx, db.pool, `select `+connectionColumns+`, sealed, revision from connections where name = $1`, name)
	return &c, err
}

// ConnectionsOf lists the names of the connections of a kind, the oldest first.
func (db *DB) ConnectionsOf(ctx context.Context, kind string) ([]string, error) {
	return collectScalars[string](ctx, db.pool, `select name from connections where kind = $1 order by created_at, name`, kind)
}

// HasSecrets reports whether a connection has secrets.
func (db *DB) HasSecrets(ctx context.Context) (has bool, err error) {
	err = db.pool.QueryRow(ctx, `select exists (select from connections where sealed is not null)`).Scan(&has)
	return has, translate(err)
}

// ChangeConnection writes what change makes of a connection; it is given nil where there is none yet.
// Nobody else changes it meanwhile. Errors are those of change.
func (db *DB) ChangeConnection(ctx context.Context, name string, change func(old *Sealed) (*Sealed, error)) (after *automation.Connection, created bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		// One that is not there yet cannot be locked by its row.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('connection ' || $1, 0))`, name); err != nil {
			return err
		}
		old, err := one[Sealed](ctx, tx, `select `+connectionColumns+`, sealed, revision from connections where name = $1 for update`, name)
		created = errors.Is(err, automation.ErrNotFound)
		if err != nil && !created {
			return err
		}
		before := &old
		if created {
			before = nil
		}
		c, err := change(before)
		if err != nil {
			return err
		}
		saved, err := one[automation.Connection](ctx, tx, `
			insert into connections as c (name, kind, settings, configured, sealed, created_at, updated_at, updated_by)
			values ($1, $2, $3, $4, $5, $6, $6, $7)
			on conflict (name) do update
			set kind = excluded.kind, settings = excluded.settings, configured = excluded.configured, sealed = excluded.sealed,
				revision = c.revision + 1, disabled_at = null, disabled_reason = '', updated_at = excluded.updated_at, updated_by = excluded.updated_by
			returning `+connectionColumns,
			name, c.Kind, c.Settings, c.Configured, c.Sealed, db.clock(), c.UpdatedBy)
		after = &saved
		return err
	})
	return after, created, err
}

// DisableConnection keeps anything from being sent by a connection until it is written again, where it
// is still the same revision.
func (db *DB) DisableConnection(ctx context.Context, name string, revision int64, reason string) error {
	_, err := db.pool.Exec(ctx, `
		update connections set disabled_at = $3, disabled_reason = $4, revision = revision + 1
		where name = $1 and revision = $2 and disabled_at is null`, name, revision, db.clock(), reason)
	return translate(err)
}

// DeleteConnection removes a connection. It returns ErrNotFound, or ErrInUse, naming them, where versions
// in use or drafts name it.
func (db *DB) DeleteConnection(ctx context.Context, name string) error {
	return db.publication(ctx, func(tx pgx.Tx, _ int64) error {
		tag, err := tx.Exec(ctx, `delete from connections where name = $1`, name)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return automation.ErrNotFound
		}
		return needless(ctx, tx, name, (*automation.Document).NeedsConnection)
	})
}

// ResealConnections lets the secrets of every connection be sealed anew: reseal returns nil for what
// is to stay. It returns how many there were to change. Where one fails, nothing is changed.
func (db *DB) ResealConnections(ctx context.Context, reseal func(c *Sealed) ([]byte, error)) (n int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		n = 0
		all, err := collect[Sealed](ctx, tx, `select `+connectionColumns+`, sealed, revision from connections where sealed is not null order by name for update`)
		if err != nil {
			return err
		}
		for i := range all {
			sealed, err := reseal(&all[i])
			if err != nil {
				return fmt.Errorf("connection %s: %w", all[i].Name, err)
			}
			if sealed == nil {
				continue
			}
			if _, err := tx.Exec(ctx, `update connections set sealed = $2, revision = revision + 1 where name = $1`, all[i].Name, sealed); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}
