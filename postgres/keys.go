package postgres

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

const keyColumns = `id, name, scopes, created_by, created_at, expires_at, revoked_at, last_used_at`

// CreateKey makes an API key and returns it with its text, which is known at this moment only. It
// returns an *InvalidError for a name or a scope that cannot be.
func (db *DB) CreateKey(ctx context.Context, name string, scopes []automation.Scope, expires *time.Time, by string) (*automation.Key, string, error) {
	if err := automation.Invalid("the key", automation.CheckKey(name, scopes)); err != nil {
		return nil, "", err
	}
	var random [42]byte
	_, _ = rand.Read(random[:]) // never fails
	id, text := automation.NewKeyText(random)
	_, digest, _ := automation.ParseKeyText(text)
	k, err := one[automation.Key](ctx, db.pool, `
		insert into api_keys (id, name, digest, scopes, created_by, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7)
		returning `+keyColumns, id, name, digest[:], scopes, by, db.clock(), expires)
	return &k, text, err
}

// Keys lists the API keys, newest first.
func (db *DB) Keys(ctx context.Context) ([]automation.Key, error) {
	return collect[automation.Key](ctx, db.pool, `select `+keyColumns+` from api_keys order by created_at desc, id`)
}

// RevokeKey ends the life of an API key; within seconds no process takes it any more. Returns
// ErrNotFound if there is none.
func (db *DB) RevokeKey(ctx context.Context, id string) (*automation.Key, error) {
	k, err := one[automation.Key](ctx, db.pool, `
		update api_keys set revoked_at = coalesce(revoked_at, $2) where id = $1 returning `+keyColumns, id, db.clock())
	return &k, err
}

// KeyByText finds the API key that a text is, and notes that it was used. Returns ErrNotFound for a text
// that is no key, or one that cannot be used any more.
func (db *DB) KeyByText(ctx context.Context, text string) (*automation.Key, error) {
	id, digest, ok := automation.ParseKeyText(text)
	if !ok {
		return nil, automation.ErrNotFound
	}
	row, err := one[struct {
		automation.Key
		Digest []byte
	}](ctx, db.pool, `select `+keyColumns+`, digest from api_keys where id = $1`, id)
	if err != nil && !errors.Is(err, automation.ErrNotFound) {
		return nil, err
	}
	now := db.clock()
	if same := subtle.ConstantTimeCompare(row.Digest, digest[:]) == 1; err != nil || !same || !row.Valid(now) {
		return nil, automation.ErrNotFound
	}
	if row.LastUsedAt == nil || now.Sub(*row.LastUsedAt) > time.Minute {
		_, err = db.pool.Exec(ctx, `
			update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $2::timestamptz - interval '1 minute')`, id, now)
	}
	return &row.Key, translate(err)
}

// Answer is what a request was answered.
type Answer struct {
	Status int
	Kind   string // media type
	Body   []byte
}

// The states in which a request with an idempotency key finds that key.
var (
	// ErrKeyBusy is returned when a request with the key is being answered.
	ErrKeyBusy = errors.New("a request with this key is being answered")
	// ErrKeyReused is returned when the key was used for another request.
	ErrKeyReused = errors.New("the key was used for another request")
)

// AnswerLostError says that a request was carried out, and that nobody knows its answer any more: the
// process that carried it out was killed, or did not hear that it had committed.
type AnswerLostError struct{ Made string }

func (e *AnswerLostError) Error() string {
	return "the request was carried out, it made " + e.Made + ", and its answer was lost"
}

// request is an idempotency key as a caller used it.
type request struct{ caller, key, route string }

type requestKey struct{}

// ForRequest makes a context of a request that took an idempotency key with BeginRequest: what must not be
// done twice notes in its own transaction that it is done.
func ForRequest(ctx context.Context, caller, key, route string) context.Context {
	return context.WithValue(ctx, requestKey{}, request{caller, key, route})
}

// queueMade notes, where the context is of a request with an idempotency key, what the transaction of a
// batch made for it.
func queueMade(ctx context.Context, batch *pgx.Batch, made string) {
	if r, ok := ctx.Value(requestKey{}).(request); ok {
		batch.Queue(`update idempotency set made = $4 where caller = $1 and key = $2 and route = $3`, r.caller, r.key, r.route, made)
	}
}

const (
	keepAnswers = 48 * time.Hour
	// abandonedAfter is when a request that was not answered counts as lost: its process is gone.
	abandonedAfter = time.Minute
)

// BeginRequest takes an idempotency key of a caller for a request. It returns the answer of the request
// that had it before, or nil where this one is the first. Errors are ErrKeyBusy, ErrKeyReused and an
// *AnswerLostError.
func (db *DB) BeginRequest(ctx context.Context, caller, key, route string, fingerprint []byte) (*Answer, error) {
	now := db.clock()
	row, err := one[struct {
		Mine, Same, Abandoned bool
		Status                *int
		Kind                  string
		Answer                []byte
		Made                  *string
	}](ctx, db.pool, `
		with mine as (
			insert into idempotency as i (caller, key, route, fingerprint, created_at) values ($1, $2, $3, $4, $5)
			on conflict (caller, key, route) do update
			set fingerprint = excluded.fingerprint, created_at = excluded.created_at, status = null, answer = null, made = null
			where i.created_at < $5::timestamptz - $6::interval or i.status is null and i.made is null and i.created_at < $5::timestamptz - $7::interval
			returning true
		)
		select exists (select from mine) as mine, coalesce(i.fingerprint = $4, false) as same, i.status, coalesce(i.kind, '') as kind, i.answer,
			i.made, coalesce(i.created_at < $5::timestamptz - $7::interval, false) as abandoned
		from (select 1) o left join idempotency i on i.caller = $1 and i.key = $2 and i.route = $3`,
		caller, key, route, fingerprint, now, keepAnswers, abandonedAfter)
	switch {
	case err != nil:
		return nil, err
	case row.Mine:
		return nil, nil
	case !row.Same && (row.Status != nil || row.Made != nil):
		return nil, ErrKeyReused
	case row.Status == nil && (row.Made == nil || !row.Abandoned):
		return nil, ErrKeyBusy
	case row.Answer == nil && row.Made != nil:
		return nil, &AnswerLostError{*row.Made}
	}
	return &Answer{*row.Status, row.Kind, row.Answer}, nil
}

// EndRequest keeps the answer of a request that took an idempotency key. Without an answer the key can
// be taken anew, unless the request was carried out.
func (db *DB) EndRequest(ctx context.Context, caller, key, route string, a *Answer) error {
	const its = ` where caller = $1 and key = $2 and route = $3`
	batch := &pgx.Batch{}
	if a != nil {
		batch.Queue(`update idempotency set status = $4, kind = $5, answer = $6`+its, caller, key, route, a.Status, a.Kind, a.Body)
	} else { // what made it may be committing at this moment, and is waited for
		batch.Queue(`delete from idempotency`+its+` and made is null`, caller, key, route)
		batch.Queue(`update idempotency set status = 0`+its, caller, key, route)
	}
	return translate(db.pool.SendBatch(ctx, batch).Close())
}

// ForgetRequests deletes answers that are too old to be asked for.
func (db *DB) ForgetRequests(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `delete from idempotency where created_at < $1`, db.clock().Add(-keepAnswers))
	return translate(err)
}
