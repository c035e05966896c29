package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/tern/v2/migrate"

	"rollcall/automation"
)

//go:embed migrations/*.sql
var migrations embed.FS

const schemaTable = "public.schema_version"

// migration brings a database to the schema of its files.
type migration struct {
	files    fs.FS
	patience time.Duration // for how long it asks again for what another transaction holds
	pause    time.Duration // between two attempts, so that those go on who waited behind it
}

// Migrate brings the database at url to the schema of this binary and declares the built-in
// properties. Running it twice, or in two processes at once, is harmless. Where a transaction holds
// what it needs, it lets others pass and tries again, and returns ErrUnavailable after two minutes. It
// returns ErrConflict, and changes nothing, when the database is newer than this binary.
func Migrate(ctx context.Context, url string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	return migration{files, 2 * time.Minute, time.Second}.run(ctx, url)
}

func (g migration) run(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return translate(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for until := time.Now().Add(g.patience); ; {
		err := g.attempt(ctx, conn)
		if !isHeld(err) {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%w: a transaction holds what it needs for longer than %s: end it and migrate again: %w", err, g.patience, automation.ErrUnavailable)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(g.pause):
		}
	}
}

// isHeld reports whether a migration gave way to other transactions. It has changed nothing then, and
// those before it stand.
func isHeld(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "55P03" || isRetryable(pgErr))
}

func (g migration) attempt(ctx context.Context, conn *pgx.Conn) error {
	m, err := migrate.NewMigrator(ctx, conn, schemaTable)
	if err != nil {
		return fmt.Errorf("prepare migration: %w", translate(err))
	}
	if err := m.LoadMigrations(g.files); err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	have, err := m.GetCurrentVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", translate(err))
	}
	if needs := len(m.Migrations); int(have) > needs {
		return fmt.Errorf("the database has schema %d, from a newer version, and this binary brings databases to %d: nothing was changed: %w", have, needs, automation.ErrConflict)
	}
	if err := m.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return declareBuiltIns(ctx, conn)
}

func declareBuiltIns(ctx context.Context, conn *pgx.Conn) error {
	batch := &pgx.Batch{}
	batch.Queue(`set lock_timeout = '2s'`)
	for _, p := range automation.BuiltInProperties() {
		options := p.Options
		if options == nil {
			options = []string{}
		}
		batch.Queue(`
			insert into properties (name, label, type, options, "group", built_in)
			values ($1, $2, $3, $4, $5, true)
			on conflict (name) do update set type = excluded.type, built_in = true`,
			p.Name, p.Label, p.Type, options, p.Group)
	}
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("declare built-in properties: %w", translate(err))
	}
	return nil
}

// checkSchema refuses a database that is older than this binary. A newer one is accepted, since
// migrations add, until one takes away what this binary needs: that one says so in the column oldest
// of the version table, which is there from the first such migration on.
func (db *DB) checkSchema(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	var have, oldest int
	var exists bool
	if err := db.pool.QueryRow(ctx, `select to_regclass($1) is not null`, schemaTable).Scan(&exists); err != nil {
		return translate(err)
	}
	if exists {
		const ask = `select version, coalesce((to_jsonb(v) ->> 'oldest')::int, 0) from public.schema_version v`
		if err := db.pool.QueryRow(ctx, ask).Scan(&have, &oldest); err != nil {
			return translate(err)
		}
	}
	if have < len(names) {
		return fmt.Errorf("the database has schema %d and this binary needs %d: run `rollcall migrate`: %w", have, len(names), automation.ErrConflict)
	}
	if oldest > len(names) {
		return fmt.Errorf("the database has schema %d, on which binaries of schema %d or later work, and this one is of %d: start a newer version: %w", have, oldest, len(names), automation.ErrConflict)
	}
	return nil
}
