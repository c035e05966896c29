package postgres

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// Inside is a transaction in which a step has its effect: it commits with the record of the
// visit, so the effect happens exactly once.
type Inside struct {
	*Gate
	in  *ingest
	ref VisitRef
}

// VisitInside runs the effect of a step that is all in this database, behind the gate and in one
// transaction with the record of the visit. Where the visit was completed before, do is not called.
// Where it is the last step, the enrollment completes with it, and it says so. Errors are those of BeginVisit and
// of do.
func (db *DB) VisitInside(ctx context.Context, ref VisitRef, kind string, last bool,
	do func(*Inside) (Done, error),
) (completed bool, err error) {
	var held error
	err = inTx(ctx, db.steps, func(tx pgx.Tx) error {
		held, completed = nil, false
		in, err := db.joinEpoch(ctx, tx, "", ref.EnrollmentID)
		if err != nil {
			return err
		}
		g, err := db.enterInside(ctx, tx, ref, kind)
		if err != nil {
			if held = heldBack(err); held != nil {
				return nil // commits the note that the visit is held
			}
			return err
		}
		if g.Done {
			return nil
		}
		in.now = db.clock() // it may have waited to be let in
		in.source, in.depth = g.Enrollment.TemporalWorkflowID, g.Depth+1
		done, err := do(&Inside{Gate: g, in: in, ref: ref})
		if err != nil {
			return err
		}
		queueFinish(&in.writes, ref, done, `null`, g.Now)
		if last { // it is live: the gate holds the enrollment's lock
			if err := in.queueEnd(ctx, End{ID: ref.EnrollmentID, Status: automation.Completed}, &completed); err != nil {
				return err
			}
		}
		return in.flush(ctx)
	})
	return completed, cmp.Or(err, held)
}

func (db *DB) enterInside(ctx context.Context, tx pgx.Tx, ref VisitRef, kind string) (*Gate, error) {
	if err := db.checkHours(ctx, tx, ref, kind); err != nil {
		return nil, err
	}
	return db.gate(ctx, tx, ref, kind, `null`)
}

// heldBack returns what holds a step back that may be let in later; nil where nothing does.
func heldBack(err error) error {
	if _, shut := errors.AsType[*ShutError](err); shut || errors.Is(err, ErrPaused) {
		return err
	}
	return nil
}

// ChangeUser sets properties of the enrolled user; null clears one. It returns an *InvalidError
// for values that the properties do not take, and the changes it made.
func (i *Inside) ChangeUser(ctx context.Context, compute func(u *automation.User, schema automation.Properties) (map[string]any, error)) ([]automation.Change, error) {
	schema, err := i.in.schema(ctx)
	if err != nil {
		return nil, err
	}
	user, err := i.in.lockUser(ctx, i.Enrollment.UserID)
	if errors.Is(err, automation.ErrNotFound) {
		return nil, automation.ErrUnknownUser
	}
	if err != nil {
		return nil, err
	}
	values, err := compute(user, schema)
	if err != nil {
		return nil, err
	}
	normal, problems := schema.CheckProperties(values)
	if err := automation.Invalid("the value", problems); err != nil {
		return nil, err
	}
	return i.in.change(ctx, user, merge(user, normal))
}

// TeamMembers is DB.TeamMembers in the transaction: a second connection could be the pool's last.
func (i *Inside) TeamMembers(ctx context.Context, team string) ([]automation.User, error) {
	return teamMembers(ctx, i.in, team)
}

// UsersByID is DB.UsersByID in the transaction.
func (i *Inside) UsersByID(ctx context.Context, ids []string) ([]automation.User, error) {
	return usersByID(ctx, i.in, ids)
}

// Published is DB.Published in the transaction.
func (i *Inside) Published(ctx context.Context, definition string, number int) (*Published, error) {
	return i.in.db.published(ctx, i.in, definition, number)
}

// Notify writes a notification. It returns ErrUnknownUser when the recipient does not exist.
func (i *Inside) Notify(ctx context.Context, key, userID, text string) error {
	tag, err := i.in.Exec(ctx, `
		insert into notifications (key, user_id, text, enrollment_id, created_at)
		select $1, id, $3, $4, $5 from users where id = $2
		on conflict (key) do update set text = excluded.text`, key, userID, text, i.ref.EnrollmentID, i.in.now)
	if err == nil && tag.RowsAffected() == 0 {
		return automation.ErrUnknownUser
	}
	return err
}
