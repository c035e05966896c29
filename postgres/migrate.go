package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"

	"rollcall/automation"
)

//go:embed migrations/*.sql
var migrations embed.FS

const schemaTable = "public.schema_version"

// Migrate brings the database at url to the schema of this binary and declares the built-in
// properties. Running it twice, or in two processes at once, is harmless.
func Migrate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return translate(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	m, err := migrator(ctx, conn)
	if err != nil {
		return err
	}
	if err := m.Migrate(ctx); err != nil {
		if bad, ok := errors.AsType[migrate.BadVersionError](err); ok {
			return fmt.Errorf("the database is newer than this binary: %w", bad)
		}
		return fmt.Errorf("migrate: %w", err)
	}
	return declareBuiltIns(ctx, conn)
}

func migrator(ctx context.Context, conn *pgx.Conn) (*migrate.Migrator, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	m, err := migrate.NewMigrator(ctx, conn, schemaTable)
	if err != nil {
		return nil, fmt.Errorf("prepare migration: %w", translate(err))
	}
	if err := m.LoadMigrations(files); err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	return m, nil
}

func declareBuiltIns(ctx context.Context, conn *pgx.Conn) error {
	batch := &pgx.Batch{}
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

// checkSchema refuses a database that is older than this binary; a newer one is accepted, since
// migrations keep the binary before them working.
func (db *DB) checkSchema(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	var have int
	var exists bool
	if err := db.pool.QueryRow(ctx, `select to_regclass($1) is not null`, schemaTable).Scan(&exists); err != nil {
		return translate(err)
	}
	if exists {
		if err := db.pool.QueryRow(ctx, `select version from public.schema_version`).Scan(&have); err != nil {
			return translate(err)
		}
	}
	if have < len(names) {
		return fmt.Errorf("the database has schema %d and this binary needs %d: run `rollcall migrate`: %w", have, len(names), automation.ErrConflict)
	}
	return nil
}
