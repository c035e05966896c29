package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// keepToken is how long the token before a rotation is still taken.
const keepToken = 24 * time.Hour

const hookColumns = `name, mapping, created_by, created_at, updated_at, last_used_at, previous_until`

type hookRow struct {
	Name          string
	Mapping       automation.Mapping
	CreatedBy     string
	CreatedAt     time.Time
	UpdatedAt     time.Time
	LastUsedAt    *time.Time
	PreviousUntil *time.Time
}

// hook is the row as of an instant: a token that has ended is of no interest.
func (r hookRow) hook(now time.Time) automation.Hook {
	if r.PreviousUntil != nil && !now.Before(*r.PreviousUntil) {
		r.PreviousUntil = nil
	}
	return automation.Hook{
		Name: r.Name, Mapping: r.Mapping, CreatedBy: r.CreatedBy,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, LastUsedAt: r.LastUsedAt, PreviousUntil: r.PreviousUntil,
	}
}

func (db *DB) oneHook(ctx context.Context, q querier, sql string, args ...any) (*automation.Hook, error) {
	r, err := one[hookRow](ctx, q, sql, args...)
	if err != nil {
		return nil, err
	}
	h := r.hook(db.clock())
	return &h, nil
}

// Hook returns a hook. Returns ErrNotFound if there is none.
func (db *DB) Hook(ctx context.Context, name string) (*automation.Hook, error) {
	return db.oneHook(ctx, db.pool, `select `+hookColumns+` from hooks where name = $1`, name)
}

// Hooks lists the hooks by name.
func (db *DB) Hooks(ctx context.Context) ([]automation.Hook, error) {
	rows, err := collect[hookRow](ctx, db.pool, `select `+hookColumns+` from hooks order by name`)
	hooks := make([]automation.Hook, len(rows))
	for i, r := range rows {
		hooks[i] = r.hook(db.clock())
	}
	return hooks, err
}

// PutHook makes a hook, or changes what its deliveries mean. It returns the token of a hook that is
// made, which is known at this moment only; of one that is changed it stays as it is, and the text is
// empty. It returns an *InvalidError for a hook that cannot be.
func (db *DB) PutHook(ctx context.Context, name string, m automation.Mapping, by string) (h *automation.Hook, token string, err error) {
	wanted := automation.Hook{Name: name, Mapping: m}
	text, digest := newHookToken()
	err = db.tx(ctx, func(tx pgx.Tx) error {
		token = ""
		// The properties that the hook speaks of stay until it is there.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock_shared($1)`, publicationLock); err != nil {
			return err
		}
		schema, err := propertiesOf(ctx, tx)
		if err != nil {
			return err
		}
		if err := automation.Invalid("the hook", wanted.Check(schema)); err != nil {
			return err
		}
		now := db.clock()
		tag, err := tx.Exec(ctx, `
			insert into hooks (name, mapping, digest, created_by, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)
			on conflict (name) do nothing`, name, m, digest[:], by, now)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 1 {
			token = text
		} else if _, err := tx.Exec(ctx, `update hooks set mapping = $2, updated_at = $3 where name = $1`, name, m, now); err != nil {
			return err
		}
		h, err = db.oneHook(ctx, tx, `select `+hookColumns+` from hooks where name = $1`, name)
		return err
	})
	return h, token, err
}

func newHookToken() (text string, digest [32]byte) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return automation.HookTokens.New(random)
}

// RotateHook gives a hook a new token. The one it had is taken for another day, or not any more where it
// is to end at once; one from before that ends in any case. Returns ErrNotFound if there is no such hook.
func (db *DB) RotateHook(ctx context.Context, name string, atOnce bool) (h *automation.Hook, token string, err error) {
	text, digest := newHookToken()
	now := db.clock()
	h, err = db.oneHook(ctx, db.pool, `
		update hooks set digest = $2, updated_at = $3,
			previous_digest = case when not $4 then digest end, previous_until = case when not $4 then $5::timestamptz end
		where name = $1 returning `+hookColumns, name, digest[:], now, atOnce, now.Add(keepToken))
	return h, text, err
}

// DeleteHook removes a hook, and with it its tokens. It returns ErrNotFound, or ErrInUse, naming the
// workflows that need the hook: those with a version in use or a draft that does.
func (db *DB) DeleteHook(ctx context.Context, name string) error {
	return db.publication(ctx, func(tx pgx.Tx, _ int64) error {
		if err := needless(ctx, tx, name, (*automation.Document).Needs); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `delete from hooks where name = $1`, name)
		if err == nil && tag.RowsAffected() == 0 {
			err = automation.ErrNotFound
		}
		return err
	})
}

// hooksThatNeed lists the hooks that would not be valid with a schema of users.
func hooksThatNeed(ctx context.Context, tx pgx.Tx, schema automation.Properties) ([]string, error) {
	rows, err := collect[hookRow](ctx, tx, `select `+hookColumns+` from hooks where mapping #> '{user,property}' is not null order by name`)
	var broken []string
	for _, r := range rows {
		h := automation.Hook{Name: r.Name, Mapping: r.Mapping}
		if problems := h.Check(schema); len(problems) > 0 {
			broken = append(broken, fmt.Sprintf("hook %s at %s", r.Name, problems[0].Pointer))
		}
	}
	return broken, err
}

// HookByToken finds the hook that a token is of, and notes that it was used. Returns ErrNotFound for a
// text that is no token, or one that is not taken any more.
func (db *DB) HookByToken(ctx context.Context, token string) (*automation.Hook, error) {
	digest, ok := automation.HookTokens.Digest(token)
	if !ok {
		return nil, automation.ErrNotFound
	}
	// The token has 256 random bits: how long a digest is looked for tells nothing.
	now := db.clock()
	h, err := db.oneHook(ctx, db.pool, `
		select `+hookColumns+` from hooks where digest = $1 or previous_digest = $1 and previous_until > $2`, digest[:], now)
	if err != nil {
		return nil, err
	}
	if h.LastUsedAt == nil || now.Sub(*h.LastUsedAt) > time.Minute {
		_, err = db.pool.Exec(ctx, `
			update hooks set last_used_at = $2 where name = $1 and (last_used_at is null or last_used_at < $2::timestamptz - interval '1 minute')`, h.Name, now)
	}
	return h, translate(err)
}

// Deliver stores the event that a delivery to a hook becomes, as AppendEvents does. It finds the user
// whom the delivery names by a property, and creates one that does not exist where the hook says so: a
// user and the event, or neither. Errors are ErrUnknownUser, ErrEventIDTaken, and an *InvalidError where
// several users have the value of the property.
func (db *DB) Deliver(ctx context.Context, h *automation.Hook, d *automation.Delivery, e automation.Event) (Receipt, error) {
	if e.UserID = d.User; h.User.Property != "" {
		var err error
		if e.UserID, err = db.userBy(ctx, h.User, d.Is); err != nil {
			return Receipt{}, err
		}
	}
	for attempt := 1; ; attempt++ {
		receipts, err := db.AppendEvents(ctx, []automation.Event{e})
		if err != nil {
			return Receipt{}, err
		}
		if r := receipts[0]; !h.Create || attempt == 3 || !errors.Is(r.Err, automation.ErrUnknownUser) {
			return r, r.Err
		}
		r, err := db.appendWithUser(ctx, h, e)
		if !errors.Is(err, automation.ErrConflict) { // else another delivery created the user meanwhile
			return r, err
		}
	}
}

// appendWithUser creates the user of an event and stores the event. It returns ErrConflict where the user
// exists.
func (db *DB) appendWithUser(ctx context.Context, h *automation.Hook, e automation.Event) (r Receipt, err error) {
	err = db.ingest(ctx, h.Event(), func(in *ingest) error {
		if e.ID == "" {
			e.ID = newID()
		}
		r = Receipt{ID: e.ID}
		if e.OccurredAt.IsZero() {
			e.OccurredAt = in.now
		}
		if _, err := in.create(ctx, e.UserID, nil); err != nil {
			return err
		}
		live, err := in.db.live(ctx, in, in.epoch)
		if err != nil {
			return err
		}
		queueEvent(&in.writes, &e, live, in.now, &r)
		if err := in.flush(ctx); err != nil {
			return err
		}
		return r.Err
	})
	return r, err
}

// userBy finds the one user who has a value of a property.
func (db *DB) userBy(ctx context.Context, u automation.HookUser, value any) (string, error) {
	schema, err := db.Properties(ctx)
	if err != nil {
		return "", err
	}
	leaf := filter.Condition{Property: u.Property, Op: filter.Equals, Value: value}
	if schema[u.Property].Type == filter.Enum {
		leaf.Op, leaf.Value = filter.AnyOf, []any{value}
	}
	users, err := db.UsersMatching(ctx, &filter.Tree{Condition: &leaf}, "", 2)
	switch {
	case errors.Is(err, automation.ErrInvalid): // nobody can have it
		return "", fmt.Errorf("nobody has that value of %s: %w", u.Property, automation.ErrUnknownUser)
	case err != nil:
		return "", err
	case len(users) == 0:
		return "", fmt.Errorf("nobody has that value of %s: %w", u.Property, automation.ErrUnknownUser)
	case len(users) > 1:
		var p automation.Problems
		p.Add(u.Is, "ambiguous-user", "several users have that value of %s", u.Property)
		return "", automation.Invalid("the delivery", p)
	}
	return users[0].ID, nil
}
