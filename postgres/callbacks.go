package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// PendingError says that an action has begun and that its answer is given later.
type PendingError struct {
	Until time.Time // when that is too late; now or before where it is there
	Shown string
}

func (e *PendingError) Error() string { return "the answer is given later, until " + e.Shown }

// NewCallback makes a token under which the answer to a visit may come in.
func (db *DB) NewCallback(ctx context.Context, ref VisitRef) (token string, err error) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	token, digest := automation.CallbackTokens.New(random)
	_, err = db.pool.Exec(ctx, `
		insert into callbacks (digest, enrollment_id, step, visit, created_at) values ($1, $2, $3, $4, $5)`,
		digest[:], ref.EnrollmentID, ref.Step, ref.Visit, db.clockOf(ref))
	return token, translate(err)
}

// answered is the condition on a callback c of a visit that its answer came and ended nothing yet.
const answered = `c.enrollment_id = $1 and c.step = $2 and c.visit = $3 and c.answer is not null and c.used_at is null`

// StillPending returns a *PendingError where a visit has begun already and only its answer is missing, or
// that is there.
func (db *DB) StillPending(ctx context.Context, ref VisitRef) error {
	row, err := one[struct {
		Status   automation.StepStatus
		Until    *time.Time
		Answered bool
	}](ctx, db.pool, `
		select status, until, exists (select from callbacks c where `+answered+`) as answered
		from visits where enrollment_id = $1 and step = $2 and visit = $3`, ref.EnrollmentID, ref.Step, ref.Visit)
	switch {
	case errors.Is(err, automation.ErrNotFound):
		return nil
	case err != nil:
		return err
	case row.Status != automation.StepRunning && row.Status != automation.StepWaiting && row.Status != automation.StepHeld:
		return nil
	case row.Answered:
		return db.pendingUntil(ctx, ref, db.clockOf(ref))
	case row.Status == automation.StepWaiting && row.Until != nil:
		return db.pendingUntil(ctx, ref, *row.Until)
	}
	return nil
}

func (db *DB) pendingUntil(ctx context.Context, ref VisitRef, until time.Time) error {
	_, zone, err := db.versionOf(ctx, db.pool, ref.EnrollmentID)
	if err != nil {
		return err
	}
	return &PendingError{until.UTC(), shownIn(until, zone)}
}

// Suspend records that a visit has begun and that its answer is given later. It returns a *PendingError,
// or another one where nothing was recorded.
func (db *DB) Suspend(ctx context.Context, ref VisitRef, until time.Time, what string) error {
	err := db.tx(ctx, func(tx pgx.Tx) error {
		if _, err := db.enterWait(ctx, tx, ref); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`update enrollments set waiting_until = $2 where id = $1`, ref.EnrollmentID, until)
		batch.Queue(`
			update visits set status = 'waiting', until = $4, what = $5, error = '', finished_at = null
			where enrollment_id = $1 and step = $2 and visit = $3 and status = 'running'`,
			ref.EnrollmentID, ref.Step, ref.Visit, until, what)
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return err
	}
	return db.StillPending(ctx, ref)
}

// EndCall says how a visit stands whose answer is given later, and ends it where that is there, or where
// its time is up: whichever came first stands. Where the answer is that it failed, or none came, the
// visit has failed and the error is ErrInvalid. Other errors are those of BeginDelay.
func (db *DB) EndCall(ctx context.Context, ref VisitRef, timeUp bool) (Awaiting, error) {
	var a Awaiting
	var failed error
	err := db.tx(ctx, func(tx pgx.Tx) error {
		failed = nil
		w, err := db.enterWait(ctx, tx, ref)
		if err != nil {
			return err
		}
		switch w.Status {
		case automation.StepWaiting, automation.StepRunning, automation.StepHeld:
		case automation.StepFailed: // and the answer to that got lost
			failed, err = failureOf(ctx, tx, ref)
			return err
		default:
			a = Awaiting{Over: true, Came: string(w.Status)}
			return nil
		}
		answer, err := useAnswer(ctx, tx, ref, timeUp, db.clockOf(ref))
		if err != nil {
			return err
		}
		switch {
		case answer == nil && !timeUp:
			a = w.stands()
			return nil
		case answer == nil:
			failed = errors.New("no answer came in time")
		case answer.Status == automation.CallFailed:
			failed = errors.New(cmp.Or(answer.Error, "the answer is that it failed"))
		default:
			a = Awaiting{Over: true, Came: answer.Status}
			if err := w.endWith(ctx, tx, ref, CallOutput(answer), db.clockOf(ref)); err != nil {
				return err
			}
			return passBy(ctx, tx, ref)
		}
		_, err = tx.Exec(ctx, `
			update visits set status = 'failed', error = $4, finished_at = $5 where enrollment_id = $1 and step = $2 and visit = $3`,
			ref.EnrollmentID, ref.Step, ref.Visit, failed.Error(), db.clockOf(ref))
		return errors.Join(err, passBy(ctx, tx, ref))
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("%w: %w", failed, automation.ErrInvalid)
	}
	return a, err
}

// failureOf is the error that a visit is recorded to have failed with.
func failureOf(ctx context.Context, tx pgx.Tx, ref VisitRef) (failed, err error) {
	row, err := one[struct{ Error string }](ctx, tx, `
		select error from visits where enrollment_id = $1 and step = $2 and visit = $3`, ref.EnrollmentID, ref.Step, ref.Visit)
	return errors.New(cmp.Or(row.Error, "the call failed")), err
}

// CallOutput is what later steps see of a call that was answered.
func CallOutput(a *automation.CallAnswer) map[string]any {
	output := map[string]any{}
	maps.Copy(output, a.Outputs)
	delete(output, filter.Outcome) // this and the error say how the step went
	delete(output, "error")
	output["status"] = a.Status
	if a.Status == automation.CallFailedOn {
		output[filter.Outcome], output["error"] = automation.OutcomeFailed, a.Error
	}
	return output
}

// useAnswer takes the first answer to a visit; nil where there is none. Where there is one, or its time is
// up, the visit ends, and whatever else came or comes to any of its attempts is of no use.
func useAnswer(ctx context.Context, tx pgx.Tx, ref VisitRef, timeUp bool, now time.Time) (*automation.CallAnswer, error) {
	row, err := one[struct{ Answer *automation.CallAnswer }](ctx, tx, `
		select c.answer from callbacks c where `+answered+` order by c.answered_at limit 1`, ref.EnrollmentID, ref.Step, ref.Visit)
	switch none := errors.Is(err, automation.ErrNotFound); {
	case none && !timeUp:
		return nil, nil
	case err != nil && !none:
		return nil, err
	}
	_, err = tx.Exec(ctx, `
		update callbacks set used_at = $4 where enrollment_id = $1 and step = $2 and visit = $3 and used_at is null`,
		ref.EnrollmentID, ref.Step, ref.Visit, now)
	return row.Answer, err
}

// AnswerCall takes the answer that came in under a token, and wakes who waits for it. The same answer
// given again is a duplicate. Errors are ErrNotFound for a token that is none, ErrFinished where nobody
// waits any more, and ErrConflict where there is another answer.
func (db *DB) AnswerCall(ctx context.Context, token string, answer automation.CallAnswer) (duplicate bool, err error) {
	digest, ok := automation.CallbackTokens.Digest(token)
	if !ok {
		return false, automation.ErrNotFound
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return false, err
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		duplicate = false
		c, err := one[struct {
			EnrollmentID, Step string
			Visit              int
		}](ctx, tx, `select enrollment_id, step, visit from callbacks where digest = $1`, digest[:])
		if err != nil {
			return err
		}
		if err := lockUserOf(ctx, tx, c.EnrollmentID); err != nil {
			return err
		}
		row, err := one[struct {
			Answer *json.RawMessage
			Same   bool
			Live   bool
			Status string
		}](ctx, tx, `
			select c.answer, coalesce(c.answer = $2, false) as same, e.ended_at is null as live, coalesce(v.status, '') as status
			from callbacks c join enrollments e on e.id = c.enrollment_id
			left join visits v on v.enrollment_id = c.enrollment_id and v.step = c.step and v.visit = c.visit
			where c.digest = $1 for update of e, c`, digest[:], json.RawMessage(text))
		switch {
		case err != nil:
			return err
		case row.Same:
			duplicate = true
			return nil
		case row.Answer != nil:
			return fmt.Errorf("another answer was given before: %w", automation.ErrConflict)
		case !row.Live:
			return automation.ErrFinished
		}
		switch automation.StepStatus(row.Status) {
		case automation.StepRunning, automation.StepWaiting, automation.StepHeld:
		default:
			return fmt.Errorf("the step does not wait any more: %w", automation.ErrFinished)
		}
		batch := &pgx.Batch{}
		batch.Queue(`update callbacks set answer = $2, answered_at = $3 where digest = $1`, digest[:], json.RawMessage(text), db.clock())
		batch.Queue(`insert into commands (enrollment_id, kind) values ($1, 'wake')`, c.EnrollmentID)
		return tx.SendBatch(ctx, batch).Close()
	})
	return duplicate, err
}

// CallbackKnown reports whether a token is one under which an answer may come in, or has.
func (db *DB) CallbackKnown(ctx context.Context, token string) (known bool, err error) {
	digest, ok := automation.CallbackTokens.Digest(token)
	if !ok {
		return false, nil
	}
	err = db.pool.QueryRow(ctx, `select exists (select from callbacks where digest = $1)`, digest[:]).Scan(&known)
	return known, translate(err)
}
