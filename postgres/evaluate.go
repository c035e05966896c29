package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Membership says that a filter trigger holds for a user.
type Membership struct {
	Definition string
	Version    int
	Trigger    int
}

// Verdict is what asking the definitions about one item came to.
type Verdict struct {
	Matches []Match      // what wants to enroll
	Joined  []Membership // filter triggers that started to hold
	Left    []Membership // filter triggers that ceased to hold
}

// Judge asks a set of live versions about an item. It is given the filter triggers that held for
// the user before, and must not keep its arguments.
type Judge func(item *Item, live *LiveSet, held map[Membership]bool) Verdict

// Evaluation is what one call of Evaluate did.
type Evaluation struct {
	Items  int
	Orders []Order
	Oldest time.Time // when the oldest of the items was written
}

// ItemError says which item could not be evaluated.
type ItemError struct {
	ID  int64
	Err error
}

func (e *ItemError) Error() string { return fmt.Sprintf("evaluate item %d: %s", e.ID, e.Err) }

// Unwrap returns the cause.
func (e *ItemError) Unwrap() error { return e.Err }

// Evaluate claims up to limit work items and does, in one transaction, all that follows from them:
// membership edges, decisions, enrollments, and the end of the items. What it claims nobody else
// does; each item is evaluated exactly once in effect, a user's items in commit order.
func (db *DB) Evaluate(ctx context.Context, limit int, judge Judge) (Evaluation, error) {
	var done Evaluation
	err := db.tx(ctx, func(tx pgx.Tx) error {
		done = Evaluation{}
		now := db.clock()
		items, err := claim(ctx, tx, now, limit)
		if err != nil || len(items) == 0 {
			return err
		}
		done.Items, done.Oldest = len(items), items[0].CreatedAt
		e := evaluation{DB: db, tx: tx, judge: judge, batch: &pgx.Batch{}, now: now}
		if err := e.readMemberships(ctx, items); err != nil {
			return err
		}
		for i := range items {
			if err := e.item(ctx, &items[i]); err != nil {
				return &ItemError{items[i].ID, err}
			}
		}
		if done.Orders, err = db.enroll(ctx, tx, e.matches, now); err != nil {
			return blame(items, err)
		}
		ids := make([]int64, len(items))
		for i := range items {
			ids[i] = items[i].ID
		}
		e.batch.Queue(`delete from work_items where id = any($1)`, ids)
		return blame(items, tx.SendBatch(ctx, e.batch).Close())
	})
	return done, err
}

// blame makes an error that of an item where there is only one.
func blame(items []claimedItem, err error) error {
	if err == nil || len(items) > 1 || isRetryable(err) {
		return err
	}
	return &ItemError{items[0].ID, err}
}

type evaluation struct {
	*DB
	tx      pgx.Tx
	judge   Judge
	batch   *pgx.Batch
	now     time.Time
	held    map[string]map[Membership]bool // by user
	matches []Match
}

func (e *evaluation) readMemberships(ctx context.Context, items []claimedItem) error {
	users := make([]string, len(items))
	for i := range items {
		users[i] = items[i].UserID
	}
	rows, err := e.tx.Query(ctx, `select user_id, definition, version, trigger from memberships where user_id = any($1)`, users)
	if err != nil {
		return err
	}
	e.held = map[string]map[Membership]bool{}
	var user string
	var m Membership
	_, err = pgx.ForEachRow(rows, []any{&user, &m.Definition, &m.Version, &m.Trigger}, func() error {
		if e.held[user] == nil {
			e.held[user] = map[Membership]bool{}
		}
		e.held[user][m] = true
		return nil
	})
	return err
}

func (e *evaluation) item(ctx context.Context, claimed *claimedItem) error {
	item, err := claimed.read()
	if err != nil {
		return err
	}
	live, err := e.live(ctx, e.tx, item.Epoch)
	if err != nil {
		return err
	}
	held := e.held[item.UserID]
	if held == nil {
		held = map[Membership]bool{}
		e.held[item.UserID] = held
	}
	verdict := e.judge(item, live, held)
	e.matches = append(e.matches, verdict.Matches...)
	for _, m := range verdict.Joined {
		held[m] = true
		// A user who was deleted meanwhile has no memberships any more.
		e.batch.Queue(`
			insert into memberships (definition, version, trigger, user_id, since)
			select $1, $2, $3, id, $5 from users where id = $4 on conflict do nothing`,
			m.Definition, m.Version, m.Trigger, item.UserID, e.now)
	}
	for _, m := range verdict.Left {
		delete(held, m)
		e.batch.Queue(`
			delete from memberships where user_id = $4 and definition = $1 and version = $2 and trigger = $3`,
			m.Definition, m.Version, m.Trigger, item.UserID)
	}
	return nil
}
