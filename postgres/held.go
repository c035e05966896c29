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
		live, err := db.live(ctx, in, in.epoch)
		if err != nil {
			return err
		}
		// Users before enrollments, as everybody locks them.
		if _, err := in.Exec(ctx, `
			select from users where id in (
				select user_id from enrollments where definition = $1 and status = 'held' and ($2::text[] is null or id::text = any($2))
			) order by id for no key update`, definition, ids); err != nil {
			return err
		}
		return in.QueryRow(ctx, `
			with ended as (
				update enrollments
				set status = 'unenrolled', rejected = true, held_until = $3, reason = 'not approved', ended_at = $3, ended_seq = nextval('moments'), due = null
				where definition = $1 and status = 'held' and ($2::text[] is null or id::text = any($2))
				returning definition, user_id, depth
			), item as (
				insert into work_items (user_id, epoch, depth, at, properties, changed, events, workflows)
				select u.id, $4, e.depth + 1, $3, u.properties, '{}', '[]', array[e.definition]
				from ended e join users u on u.id = e.user_id where e.definition = any($5) order by u.id for no key update of u
			)
			select count(*) from ended`, definition, ids, in.now, in.epoch, live.passages()).Scan(&n)
	})
	return n, err
}
