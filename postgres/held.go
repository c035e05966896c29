package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// Held counts the enrollments of a definition that wait for approval, and returns the first of them, at
// most limit, in the order in which they were made. Returns ErrNotFound if there is no such definition.
func (db *DB) Held(ctx context.Context, definition string, limit int) (count int, sample []automation.Enrollment, err error) {
	if _, err := db.Definition(ctx, definition); err != nil {
		return 0, nil, err
	}
	if err := db.pool.QueryRow(ctx, `select count(*) from enrollments where definition = $1 and status = 'held'`, definition).Scan(&count); err != nil {
		return 0, nil, translate(err)
	}
	sample, err = collect[automation.Enrollment](ctx, db.pool, `
		select `+enrollmentColumns+` from enrollments where definition = $1 and status = 'held' order by created_at, id limit $2`, definition, limit)
	return count, sample, err
}

// Approve lets enrollments of a definition that are held begin: those with the ids, all where ids is
// nil. It returns how many there were. Returns ErrNotFound if there is no such definition.
func (db *DB) Approve(ctx context.Context, definition string, ids []string) (n int, err error) {
	if _, err := db.Definition(ctx, definition); err != nil {
		return 0, err
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			update enrollments set status = 'pending', held_until = $3
			where definition = $1 and status = 'held' and ($2::text[] is null or id::text = any($2))`,
			definition, ids, db.clock())
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}

// Reject ends enrollments of a definition that are held: those with the ids, all where ids is nil. They
// count as if they had never been: their users can be enrolled anew. It returns how many there were.
// Returns ErrNotFound if there is no such definition.
func (db *DB) Reject(ctx context.Context, definition string, ids []string) (n int, err error) {
	if _, err := db.Definition(ctx, definition); err != nil {
		return 0, err
	}
	err = db.ingest(ctx, "", func(in *ingest) error {
		n, err = in.endAll(ctx, definition, chosen{held: true, ids: ids}, "not approved")
		return err
	})
	return n, err
}
