package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// MaxDepth is how many enrollments may cause one another: an enrollment sets a property, which
// enrolls, which sets a property, and so on.
const MaxDepth = 10

// Requested is the position of the trigger when an operator or the API asked for an enrollment.
const Requested = -1

// Match says that a trigger of a version wants to enroll a user.
type Match struct {
	Version *Published
	Trigger int               // its position, or Requested
	UserID  string            //
	Event   *automation.Event // what happened, where an event enrolls
	Depth   int               // of the change that matched
}

func (m *Match) kind() string {
	if m.Trigger == Requested {
		return "manual"
	}
	return m.Version.Triggers[m.Trigger].Kind()
}

// Order is an enrollment that Temporal has to start.
type Order struct {
	ID         string
	Definition string
	Version    int
	UserID     string
	Ordinal    int
}

// past is what the ledger knows of one user in one definition.
type past struct {
	Definition string
	UserID     string
	Ordinal    int
	Live       bool
	CreatedAt  time.Time
}

type pastKey struct{ definition, userID string }

// enroll decides matches in order and writes an enrollment or a refusal for each. It returns the
// orders for those that may start now.
func (db *DB) enroll(ctx context.Context, tx pgx.Tx, matches []Match, now time.Time) ([]Order, error) {
	if len(matches) == 0 {
		return nil, nil
	}
	ledger, err := readLedger(ctx, tx, matches)
	if err != nil {
		return nil, err
	}
	var orders []Order
	batch := &pgx.Batch{}
	for _, m := range matches {
		key := pastKey{m.Version.Name, m.UserID}
		last, before := ledger[key]
		if reason := refusal(&m, last, before, now); reason != "" {
			batch.Queue(`
				insert into decisions (definition, version, user_id, at, trigger, outcome, reason)
				values ($1, $2, $3, $4, $5, 'refused', $6)`,
				m.Version.Name, m.Version.Number, m.UserID, now, m.Trigger, reason)
			continue
		}
		order := Order{newID(), m.Version.Name, m.Version.Number, m.UserID, last.Ordinal + 1}
		ledger[key] = past{key.definition, key.userID, order.Ordinal, true, now}
		queueEnrollment(batch, &m, order, now).QueryRow(func(row pgx.Row) error {
			var enrolled bool
			err := row.Scan(&enrolled)
			if enrolled {
				orders = append(orders, order)
			}
			return err
		})
	}
	return orders, tx.SendBatch(ctx, batch).Close()
}

// refusal says why a match does not enroll; "" when it does.
func refusal(m *Match, last past, before bool, now time.Time) string {
	switch {
	case before && last.Live:
		return "already enrolled"
	case before && m.Version.Document.Enroll.Again == automation.Again{}:
		return "enrolled before, and the workflow enrolls once"
	case before && m.Trigger != Requested && !m.Version.Document.Enroll.Again.Allows(last.CreatedAt, now):
		return "enrolled too recently"
	case m.Depth >= MaxDepth:
		return "loop: too many enrollments caused one another"
	}
	return ""
}

func readLedger(ctx context.Context, tx pgx.Tx, matches []Match) (map[pastKey]past, error) {
	definitions, users := make([]string, len(matches)), make([]string, len(matches))
	for i, m := range matches {
		definitions[i], users[i] = m.Version.Name, m.UserID
	}
	rows, err := collect[past](ctx, tx, `
		select k.definition, k.user_id, e.ordinal, e.status in ('held', 'pending', 'active') as live, e.created_at
		from (select distinct * from unnest($1::text[], $2::text[]) k (definition, user_id)) k,
		lateral (
			select ordinal, status, created_at from enrollments
			where definition = k.definition and user_id = k.user_id order by ordinal desc limit 1
		) e`, definitions, users)
	ledger := make(map[pastKey]past, len(rows))
	for _, r := range rows {
		ledger[pastKey{r.Definition, r.UserID}] = r
	}
	return ledger, err
}

// queueEnrollment inserts an enrollment and its decision. The unique indexes are the last word:
// where a request enrolled the user meanwhile, the decision becomes a refusal. So it does where the
// user was deleted meanwhile, unless it is that which enrolls.
func queueEnrollment(batch *pgx.Batch, m *Match, o Order, now time.Time) *pgx.QueuedQuery {
	return batch.Queue(`
		with known as (
			select id from users where id = $4 for key share
		), enrolled as (
			insert into enrollments (id, definition, version, user_id, ordinal, status, trigger, event, depth, created_at)
			select $1, $2, $3, $4, $5, 'pending', $6, $7::jsonb, $8, $9 where $11 or exists (select from known)
			on conflict do nothing returning id
		)
		insert into decisions (definition, version, user_id, at, trigger, outcome, reason, enrollment_id)
		select $2, $3, $4, $9, $10,
			case when exists (select from enrolled) then 'enrolled' else 'refused' end,
			case when exists (select from enrolled) then ''
				when $11 or exists (select from known) then 'already enrolled' else 'the user was deleted' end,
			(select id from enrolled)
		returning outcome = 'enrolled'`,
		o.ID, o.Definition, o.Version, o.UserID, o.Ordinal, m.kind(), m.Event, m.Depth, now, m.Trigger,
		m.Event != nil && m.Event.Name == automation.EventUserDeleted)
}

// Enroll enrolls a user on request. It returns ErrNotFound for an unknown definition,
// ErrUnknownUser, ErrNotActive, ErrAlreadyEnrolled or ErrEnrollsOnce.
func (db *DB) Enroll(ctx context.Context, definition, userID string) (*automation.Enrollment, *Order, error) {
	var order *Order
	err := db.tx(ctx, func(tx pgx.Tx) error {
		version, err := db.liveVersion(ctx, tx, definition)
		if err != nil {
			return err
		}
		if _, err := scanUser(tx.QueryRow(ctx, `select id, properties, created_at, updated_at from users where id = $1 for key share`, userID)); err != nil {
			if errors.Is(err, automation.ErrNotFound) {
				return automation.ErrUnknownUser
			}
			return err
		}
		match := Match{Version: version, Trigger: Requested, UserID: userID}
		ledger, err := readLedger(ctx, tx, []Match{match})
		if err != nil {
			return err
		}
		last, before := ledger[pastKey{definition, userID}]
		switch {
		case before && last.Live:
			return automation.ErrAlreadyEnrolled
		case refusal(&match, last, before, db.clock()) != "":
			return automation.ErrEnrollsOnce
		}
		orders, err := db.enroll(ctx, tx, []Match{match}, db.clock())
		if err == nil && len(orders) == 0 {
			return automation.ErrAlreadyEnrolled
		}
		if err == nil {
			order = &orders[0]
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	e, err := db.Enrollment(ctx, order.ID)
	return e, order, err
}
