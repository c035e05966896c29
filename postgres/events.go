package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/strictjson"
)

// Receipt says what became of one event that was sent.
type Receipt struct {
	ID        string // the event's id, the one given or a new one
	Duplicate bool   // an event with this id was received before; nothing happened
	Err       error  // why it was refused; nil when it is stored
}

// AppendEvents stores events and what has to be evaluated about them, in one transaction and one
// round trip. Each event has a receipt at its position: one that is refused does not keep the
// others out. An event whose user does not exist is refused with ErrUnknownUser.
func (db *DB) AppendEvents(ctx context.Context, events []automation.Event) ([]Receipt, error) {
	receipts := make([]Receipt, len(events))
	order := make([]int, len(events))
	now := db.clock()
	var made string // what would be made twice if it were sent again
	for i := range events {
		order[i] = i
		if events[i].ID == "" {
			events[i].ID = newID()
			made = "event " + events[i].ID
		}
		if events[i].OccurredAt.IsZero() {
			events[i].OccurredAt = now
		}
		if events[i].Properties == nil {
			events[i].Properties = map[string]any{}
		}
		receipts[i].ID = events[i].ID
	}
	if len(events) == 0 {
		return receipts, nil
	}
	live, err := db.newestLive(ctx)
	if err != nil {
		return nil, err
	}
	// Users are locked in the order of their ids, so that two batches cannot wait for each other.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(events[a].UserID, events[b].UserID) })
	if live.timed {
		return receipts, db.appendAfterRinging(ctx, events, order, made, receipts)
	}
	for attempt := 1; ; attempt++ {
		batch := &pgx.Batch{}
		queueLock(batch)
		for _, i := range order {
			queueEvent(batch, &events[i], live, now, &receipts[i])
		}
		if made != "" {
			queueMade(ctx, batch, made)
		}
		err := db.pool.SendBatch(ctx, batch).Close() // outside a transaction, a batch is one of its own
		if attempt == 3 || !isRetryable(err) {
			return receipts, translate(err)
		}
	}
}

// appendAfterRinging stores events in the order given once time has had its say: what it has changed
// about their users comes first.
func (db *DB) appendAfterRinging(ctx context.Context, events []automation.Event, order []int, made string, receipts []Receipt) error {
	users := make([]string, len(events))
	for i := range events {
		users[i] = events[i].UserID
	}
	return db.ingest(ctx, "", func(in *ingest) error {
		live, err := db.live(ctx, in, in.epoch)
		if err != nil {
			return err
		}
		if _, err := in.Exec(ctx, `select from users where id = any($1) order by id for update`, users); err != nil {
			return err
		}
		if _, err := in.ring(ctx, users); err != nil {
			return err
		}
		for _, i := range order {
			queueEvent(&in.writes, &events[i], live, in.now, &receipts[i])
		}
		if made != "" {
			queueMade(ctx, &in.writes, made)
		}
		return nil
	})
}

// queueEvent stores an event with its work item, in one statement that holds the user's row lock.
// The item is left out where no definition listens, which is known for one epoch only: in any
// other one it is written. An event that waited for a publication is dated after it, since the new
// versions are asked about it.
func queueEvent(batch *pgx.Batch, e *automation.Event, live *LiveSet, now time.Time, r *Receipt) {
	batch.Queue(`
		with u as (
			select u.id, u.properties, p.epoch, greatest($5, p.ended_at) as now from users u, publication p where u.id = $2 for update of u
		), e as (
			insert into events (id, user_id, name, occurred_at, received_at, properties)
			select $1, u.id, $3, $4, u.now, $6 from u on conflict (id) do nothing returning id
		), w as (
			insert into work_items (user_id, epoch, at, properties, changed, events)
			select u.id, u.epoch, u.now, u.properties, '{}', $7 from u, e
			where $8 or u.epoch <> $9
		)
		select exists (select from u), exists (select from e),
			coalesce((select user_id = $2 and name = $3 from events where id = $1), true)`,
		e.ID, e.UserID, e.Name, e.OccurredAt, now, e.Properties, []automation.Event{*e},
		live.concerned(nil, []automation.Event{*e}), live.Epoch,
	).QueryRow(func(row pgx.Row) error {
		var known, stored, same bool
		err := row.Scan(&known, &stored, &same)
		r.Duplicate, r.Err = known && !stored, nil
		if !known {
			r.Err = fmt.Errorf("%q: %w", strictjson.Short(e.UserID), automation.ErrUnknownUser)
		}
		if r.Duplicate && !same {
			r.Duplicate, r.Err = false, automation.ErrEventIDTaken
		}
		return err
	})
}

// Item is what the pump asks the definitions about: a user as of one moment, and what happened.
type Item struct {
	ID         int64
	UserID     string
	Epoch      int64
	Depth      int
	At         time.Time // the moment it tells of
	Properties map[string]any
	Changed    []string           // names of the properties that changed
	Events     []automation.Event // that happened
	Workflows  []string           // that the user entered or left
	Asks       []Ask              // what time alone may have changed
	CreatedAt  time.Time
}

// Ask is a membership that time alone may have changed; or, with AskLeaving as the trigger, the live
// enrollment in a version.
type Ask struct {
	Membership
	Due time.Time `json:"due"` // when
}

// AskLeaving is the position of the trigger when conditions to leave are asked.
const AskLeaving = -1

// claimedItem is an item whose documents are not read yet, so that one that cannot be read spoils
// no others.
type claimedItem struct {
	ID         int64
	UserID     string
	Epoch      int64
	Depth      int
	At         time.Time
	Properties json.RawMessage
	Changed    []string
	Events     json.RawMessage
	Workflows  []string
	Asks       json.RawMessage
	CreatedAt  time.Time
}

const itemColumns = `id, user_id, epoch, depth, at, properties, changed, events, workflows, asks, created_at`

func (c *claimedItem) read() (*Item, error) {
	i := &Item{
		ID: c.ID, UserID: c.UserID, Epoch: c.Epoch, Depth: c.Depth, At: c.At.UTC(),
		Changed: c.Changed, Workflows: c.Workflows, CreatedAt: c.CreatedAt,
	}
	if err := json.Unmarshal(c.Properties, &i.Properties); err != nil {
		return nil, fmt.Errorf("properties: %w", err)
	}
	if err := json.Unmarshal(c.Events, &i.Events); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	if err := json.Unmarshal(c.Asks, &i.Asks); err != nil {
		return nil, fmt.Errorf("asks: %w", err)
	}
	return i, nil
}

// Has reports whether one of the item's events has that name.
func (i *Item) Has(event string) bool {
	return slices.ContainsFunc(i.Events, func(e automation.Event) bool { return e.Name == event })
}

// Asked reports whether time alone may have changed a membership.
func (i *Item) Asked(m Membership) bool { return !i.DueFor(m).IsZero() }

// DueFor is when time alone may have changed a membership; zero where it was not asked about.
func (i *Item) DueFor(m Membership) time.Time {
	for _, a := range i.Asks {
		if a.Membership == m {
			return a.Due.UTC()
		}
	}
	return time.Time{}
}

// claim takes items that nobody else works on, in order: an item is left where an earlier one of
// its user was put aside, or is still there and was not taken too.
func claim(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]claimedItem, error) {
	return collect[claimedItem](ctx, tx, `
		with claimed as materialized (
			select `+itemColumns+`
			from work_items w
			where not_before <= $2 and not exists (
				select 1 from work_items o where o.user_id = w.user_id and o.id < w.id and o.not_before > $2
			)
			order by id limit $1 for update skip locked
		)
		select `+itemColumns+`
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
