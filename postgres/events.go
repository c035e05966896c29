package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// Receipt says what became of one event that was sent.
type Receipt struct {
	ID        string // the event's id, the one given or a new one
	Duplicate bool   // an event with this id was received before; nothing happened
	Err       error  // why it was refused; nil when it is stored
}

// AppendEvents stores events and what has to be evaluated about them, in one transaction. Each
// event has a receipt at its position: one that is refused does not keep the others out.
// An event whose user does not exist is refused with ErrUnknownUser.
func (db *DB) AppendEvents(ctx context.Context, events []automation.Event) ([]Receipt, error) {
	receipts := make([]Receipt, len(events))
	order := make([]int, len(events))
	for i := range events {
		order[i] = i
		if events[i].ID == "" {
			events[i].ID = newID()
		}
		receipts[i].ID = events[i].ID
	}
	// Users are locked in the order of their ids, so that two batches cannot wait for each other.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(events[a].UserID, events[b].UserID) })
	err := db.ingest(ctx, "api", func(in *ingest) error {
		var user *automation.User
		for _, i := range order {
			e := &events[i]
			receipts[i].Err, receipts[i].Duplicate = nil, false
			if user == nil || user.ID != e.UserID {
				var err error
				user, err = in.lockUser(ctx, e.UserID)
				if errors.Is(err, automation.ErrNotFound) {
					receipts[i].Err = fmt.Errorf("%q: %w", e.UserID, automation.ErrUnknownUser)
					user = nil
					continue
				}
				if err != nil {
					return err
				}
			}
			var err error
			if receipts[i].Duplicate, err = in.appendEvent(ctx, user, e); err != nil {
				return err
			}
		}
		return nil
	})
	return receipts, err
}

func (in *ingest) appendEvent(ctx context.Context, user *automation.User, e *automation.Event) (duplicate bool, err error) {
	if e.OccurredAt.IsZero() {
		e.OccurredAt = in.now
	}
	if e.Properties == nil {
		e.Properties = map[string]any{}
	}
	tag, err := in.Exec(ctx, `
		insert into events (id, user_id, name, occurred_at, received_at, properties)
		values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing`,
		e.ID, e.UserID, e.Name, e.OccurredAt, in.now, e.Properties)
	if err != nil || tag.RowsAffected() == 0 {
		return err == nil, err
	}
	return false, in.enqueue(ctx, user, nil, []automation.Event{*e})
}

// Item is what the pump asks the definitions about: a user as of one moment, and what happened.
type Item struct {
	ID         int64
	UserID     string
	Epoch      int64
	Depth      int
	Properties map[string]any
	Changed    []string
	Events     []automation.Event
	CreatedAt  time.Time
}

// claimedItem is an item whose documents are not read yet, so that one that cannot be read spoils
// no others.
type claimedItem struct {
	ID         int64
	UserID     string
	Epoch      int64
	Depth      int
	Properties json.RawMessage
	Changed    []string
	Events     json.RawMessage
	CreatedAt  time.Time
}

func (c *claimedItem) read() (*Item, error) {
	i := &Item{ID: c.ID, UserID: c.UserID, Epoch: c.Epoch, Depth: c.Depth, Changed: c.Changed, CreatedAt: c.CreatedAt}
	if err := json.Unmarshal(c.Properties, &i.Properties); err != nil {
		return nil, fmt.Errorf("properties: %w", err)
	}
	if err := json.Unmarshal(c.Events, &i.Events); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return i, nil
}

// Has reports whether one of the item's events has that name.
func (i *Item) Has(event string) bool {
	return slices.ContainsFunc(i.Events, func(e automation.Event) bool { return e.Name == event })
}

// claim takes items that nobody else works on, in order: an item is left where an earlier one of
// its user was put aside, or is still there and was not taken too.
func claim(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]claimedItem, error) {
	return collect[claimedItem](ctx, tx, `
		with claimed as materialized (
			select id, user_id, epoch, depth, properties, changed, events, created_at
			from work_items w
			where not_before <= $2 and not exists (
				select 1 from work_items o where o.user_id = w.user_id and o.id < w.id and o.not_before > $2
			)
			order by id limit $1 for update skip locked
		)
		select id, user_id, epoch, depth, properties, changed, events, created_at
		from claimed c
		where not exists (
			select 1 from work_items w
			where w.user_id = c.user_id and w.id < c.id and w.id not in (select id from claimed)
		)
		order by id`, limit, now)
}

// FailItem puts an item that cannot be evaluated aside for a while; the later items of its user
// wait for it.
func (db *DB) FailItem(ctx context.Context, id int64, cause error) error {
	_, err := db.pool.Exec(ctx, `
		update work_items set attempts = attempts + 1, error = $2,
			not_before = $3::timestamptz + least(interval '1 hour', interval '1 second' * power(2, least(attempts, 12)))
		where id = $1`, id, cause.Error(), db.clock())
	return translate(err)
}

// Backlog says how many items wait for evaluation and how old the oldest is.
func (db *DB) Backlog(ctx context.Context) (items int, oldest time.Duration, err error) {
	var since *time.Time
	err = db.pool.QueryRow(ctx, `select count(*), min(created_at) from work_items`).Scan(&items, &since)
	if since != nil {
		oldest = time.Since(*since)
	}
	return items, oldest, translate(err)
}
