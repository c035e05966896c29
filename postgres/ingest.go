package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// publicationLock is the advisory lock between writers of work items, who share it, and
// publications, which hold it alone.
const publicationLock = 7031_0001

// ingest is a transaction that changes users: every change and event in it becomes part of one
// work item per user, committed with it.
type ingest struct {
	pgx.Tx
	db     *DB
	now    time.Time
	epoch  int64
	source string // who changes: "api", or an enrollment's Temporal workflow id
	depth  int    // how many enrollments caused one another up to here

	writes pgx.Batch // what flush sends at once, before the commit
}

// ingest runs f in a transaction that belongs to exactly one epoch.
func (db *DB) ingest(ctx context.Context, source string, f func(in *ingest) error) error {
	return db.ingestWith(ctx, source, "", f)
}

// ingestAbout is ingest for a transaction that ends an enrollment: it begins by locking the user.
func (db *DB) ingestAbout(ctx context.Context, enrollmentID string, f func(in *ingest) error) error {
	return db.ingestWith(ctx, "", enrollmentID, f)
}

func (db *DB) ingestWith(ctx context.Context, source, enrollmentID string, f func(in *ingest) error) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		in, err := db.joinEpoch(ctx, tx, source, enrollmentID)
		if err != nil {
			return err
		}
		if err := f(in); err != nil {
			return err
		}
		return in.flush(ctx)
	})
}

const userOf = `select from users where id = (select user_id from enrollments where id = $1) for no key update`

// lockUserOf locks the user whom an enrollment is about. Users are locked before enrollments, and those
// before visits, by everybody.
func lockUserOf(ctx context.Context, q querier, enrollmentID string) error {
	_, err := q.Exec(ctx, userOf, enrollmentID)
	return err
}

// flush sends the writes that were queued.
func (in *ingest) flush(ctx context.Context) error {
	if in.writes.Len() == 0 {
		return nil
	}
	batch := in.writes
	in.writes = pgx.Batch{}
	return in.SendBatch(ctx, &batch).Close()
}

// joinEpoch makes an open transaction an ingest. The lock comes in a statement of its own, so that
// the epoch is read in a snapshot that is taken when the lock is held. The user of an enrollment is
// locked too, where one is named.
func (db *DB) joinEpoch(ctx context.Context, tx pgx.Tx, source, enrollmentID string) (*ingest, error) {
	in := &ingest{Tx: tx, db: db, source: source}
	batch := &pgx.Batch{}
	queueLock(batch)
	if enrollmentID != "" {
		batch.Queue(userOf, enrollmentID)
	}
	batch.Queue(`select epoch from publication`).QueryRow(func(row pgx.Row) error { return row.Scan(&in.epoch) })
	err := tx.SendBatch(ctx, batch).Close()
	in.now = db.clock() // not before the lock was had
	return in, err
}

// queueLock keeps publications out until the transaction ends.
func queueLock(batch *pgx.Batch) {
	batch.Queue(`select pg_advisory_xact_lock_shared($1)`, publicationLock)
}

// lockUser reads a user and keeps others from changing it until the transaction ends. Work items
// of the user are written under this lock, so their ids follow the commit order.
func (in *ingest) lockUser(ctx context.Context, id string) (*automation.User, error) {
	return scanUser(in.QueryRow(ctx, `select id, properties, created_at, updated_at from users where id = $1 for update`, id))
}

// create inserts a user. It returns ErrConflict when it exists.
func (in *ingest) create(ctx context.Context, id string, properties map[string]any) (*automation.User, error) {
	all := Complete(properties)
	all["created_at"] = in.now.Format(time.RFC3339Nano)
	user := &automation.User{ID: id, Properties: all, CreatedAt: in.now, UpdatedAt: in.now}
	tag, err := in.Exec(ctx, `
		insert into users (id, properties, created_at, updated_at) values ($1, $2, $3, $3)
		on conflict (id) do nothing`, id, all, in.now)
	if err != nil {
		return nil, err
	}
	if tag.RowsAffected() == 0 {
		return nil, automation.ErrConflict
	}
	changes := automation.Diff(nil, all, in.now, in.source)
	in.record(id, changes)
	return user, in.enqueue(ctx, user, changes, in.keep(automation.CreationEvents(user)))
}

// change brings a locked user to new properties and emits what that means. Nothing is written
// when nothing differs.
func (in *ingest) change(ctx context.Context, user *automation.User, properties map[string]any) ([]automation.Change, error) {
	after := Complete(properties)
	changes := automation.Diff(user.Properties, after, in.now, in.source)
	if len(changes) == 0 {
		return nil, nil
	}
	if err := in.ringFirst(ctx, user.ID); err != nil {
		return nil, err
	}
	user.Properties, user.UpdatedAt = after, in.now
	in.writes.Queue(`update users set properties = $2, updated_at = $3 where id = $1`, user.ID, after, in.now)
	in.record(user.ID, changes)
	return changes, in.enqueue(ctx, user, changes, in.keep(automation.ChangeEvents(user.ID, changes, in.now)))
}

// ringFirst rings what time alone has changed about a locked user, while the user is still as then.
func (in *ingest) ringFirst(ctx context.Context, userID string) error {
	live, err := in.db.live(ctx, in, in.epoch)
	if err != nil || !live.timed {
		return err
	}
	if err := in.flush(ctx); err != nil { // changes before this one come first
		return err
	}
	_, err = in.ring(ctx, []string{userID})
	return err
}

func (in *ingest) record(userID string, changes []automation.Change) {
	for _, c := range changes {
		in.writes.Queue(`
			insert into changes (user_id, property, old, new, at, source, depth)
			values ($1, $2, $3, $4, $5, $6, $7)`,
			userID, c.Property, jsonOrNull(c.Old), jsonOrNull(c.New), c.At, c.Source, in.depth)
	}
}

// keep gives the events that changes emit their ids, and stores those that filters can count.
func (in *ingest) keep(events []automation.Event) []automation.Event {
	for i := range events {
		e := &events[i]
		e.ID = newID()
		if automation.Counted(e.Name) {
			in.writes.Queue(`
				insert into events (id, user_id, name, occurred_at, received_at, properties) values ($1, $2, $3, $4, $4, $5)`,
				e.ID, e.UserID, e.Name, e.OccurredAt, e.Properties)
		}
	}
	return events
}

// enqueue writes the work item that carries the user as of this moment. Where no definition that
// is live in this epoch can be concerned, there is nothing to ask and nothing to write.
func (in *ingest) enqueue(ctx context.Context, user *automation.User, changes []automation.Change, events []automation.Event) error {
	changed := make([]string, len(changes))
	for i, c := range changes {
		changed[i] = c.Property
	}
	live, err := in.db.live(ctx, in, in.epoch)
	if err != nil || !live.concerned(changed, events) {
		return err
	}
	in.writes.Queue(`
		insert into work_items (user_id, epoch, depth, at, properties, changed, events)
		values ($1, $2, $3, $4, $5, $6, $7)`,
		user.ID, in.epoch, in.depth, in.now, user.Properties, changed, events)
	return nil
}

// Complete copies properties without those that have no value. A user always has a status.
func Complete(properties map[string]any) map[string]any {
	kept := map[string]any{"status": "active"}
	for name, v := range properties {
		if v != nil {
			kept[name] = v
		}
	}
	return kept
}

// jsonOrNull makes a nil value SQL's null rather than JSON's.
func jsonOrNull(v any) any {
	if v == nil {
		return nil
	}
	return jsonValue{v}
}

// newID returns a new unique id; later ones sort after earlier ones.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
