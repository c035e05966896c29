package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// Awaiting is how a wait for something stands.
type Awaiting struct {
	Over  bool
	Came  string    // the outcome, once it is over
	Until time.Time // when the time is up; zero: never
	Shown string
}

// BeginWait records that an enrollment waits for something to happen: from here on nothing is missed. A
// condition that holds already has happened. A later call for the same visit says how it stands. Errors
// are those of BeginDelay.
func (db *DB) BeginWait(ctx context.Context, ref VisitRef, atMost *time.Duration) (Awaiting, error) {
	var a Awaiting
	err := db.tx(ctx, func(tx pgx.Tx) error {
		w, err := db.enterWait(ctx, tx, ref)
		if err != nil {
			return err
		}
		now := db.clockOf(ref)
		switch {
		case w.Output != nil:
			err = passBy(ctx, tx, ref)
		case w.Status == automation.StepWaiting:
			err = stand(ctx, tx, ref, w.Until, now)
		default:
			err = db.enterNew(ctx, tx, ref, w, atMost, now)
		}
		a = w.stands()
		return err
	})
	return a, err
}

// enterNew records a wait, which is over at once where what it waits for holds already.
func (db *DB) enterNew(ctx context.Context, tx pgx.Tx, ref VisitRef, w *waiting, atMost *time.Duration, now time.Time) error {
	if atMost != nil {
		at := now.Add(*atMost)
		w.Until = &at
	}
	if err := db.recordWait(ctx, tx, ref, automation.WaitStep, w.Until, now, true); err != nil {
		return err
	}
	if err := db.alreadyHolds(ctx, tx, ref, w, now); err != nil || w.Output == nil {
		return err
	}
	return passBy(ctx, tx, ref)
}

// passBy writes down that the enrollment waits no more.
func passBy(ctx context.Context, tx pgx.Tx, ref VisitRef) error {
	_, err := tx.Exec(ctx, `update enrollments set waiting_until = null where id = $1 and step = $2`, ref.EnrollmentID, ref.Step)
	return err
}

// endWith ends a wait.
func (w *waiting) endWith(ctx context.Context, tx pgx.Tx, ref VisitRef, output map[string]any, now time.Time) error {
	w.Output = output
	_, err := tx.Exec(ctx, `
		update visits set status = 'done', output = $4, finished_at = $5 where enrollment_id = $1 and step = $2 and visit = $3`,
		ref.EnrollmentID, ref.Step, ref.Visit, output, now)
	return err
}

// stands is how a wait stands that was recorded.
func (w *waiting) stands() Awaiting {
	if w.Output != nil {
		came, _ := w.Output[filter.Outcome].(string)
		return Awaiting{Over: true, Came: came}
	}
	a := Awaiting{}
	if w.Until != nil {
		a.Until, a.Shown = w.Until.UTC(), shownIn(*w.Until, w.zone())
	}
	return a
}

// alreadyHolds ends a wait that was just recorded where one of its conditions holds, and notes when time
// alone may make one hold.
func (db *DB) alreadyHolds(ctx context.Context, tx pgx.Tx, ref VisitRef, w *waiting, now time.Time) error {
	awaits := w.awaits[ref.Step]
	if !slices.ContainsFunc(awaits, func(a Awaited) bool { return a.Holds != nil }) {
		return nil
	}
	subject, err := db.subject(ctx, tx, w.needs, w.UserID, w.Properties)
	if err != nil {
		return err
	}
	if now.After(subject.Now) {
		subject.Now = now
	}
	if i := Holding(awaits, subject); i >= 0 {
		return w.endWith(ctx, tx, ref, Met(i, nil), now)
	}
	// What is due already has still to be rung.
	_, err = tx.Exec(ctx, `update enrollments set due = least(due, $2) where id = $1`, ref.EnrollmentID, w.NextTurn(subject, awaits))
	return err
}

// NextTurn is when time alone may next bar a user from the version, or end a wait for one of several
// things; nil: never.
func (p *Published) NextTurn(s filter.Subject, awaits []Awaited) *time.Time {
	next := p.NextBar(s)
	for _, a := range awaits {
		if a.Holds == nil {
			continue
		}
		if at, ok := a.Holds.NextFlip(s); ok && (next == nil || at.Before(*next)) {
			next = &at
		}
	}
	return next
}

// EndWait says how a wait stands, and ends it where its time is up and nothing happened: whichever came
// first stands. While something that came in time is still to be looked at, it says when to ask again. Errors are those of BeginDelay.
func (db *DB) EndWait(ctx context.Context, ref VisitRef, timeUp bool) (Awaiting, error) {
	var a Awaiting
	err := db.tx(ctx, func(tx pgx.Tx) error {
		w, err := db.enterWait(ctx, tx, ref)
		if err != nil {
			return err
		}
		if timeUp && w.Output == nil {
			if again, err := db.unheard(ctx, tx, w, db.clockOf(ref)); err != nil || again != nil {
				a = w.stands()
				if again != nil {
					a.Until = *again
				}
				return err
			}
			err := w.endWith(ctx, tx, ref, map[string]any{filter.Outcome: automation.OutcomeTimedOut}, db.clockOf(ref))
			if err != nil {
				return err
			}
		}
		a = w.stands()
		if !a.Over {
			return nil
		}
		return passBy(ctx, tx, ref)
	})
	return a, err
}

// unheard is when to ask again whether the time of a wait is up, because something that came in time was
// not looked at yet; nil where all was. It is asked more rarely the longer that takes.
func (db *DB) unheard(ctx context.Context, tx pgx.Tx, w *waiting, now time.Time) (*time.Time, error) {
	if w.Until == nil {
		return nil, nil
	}
	var waits bool
	err := tx.QueryRow(ctx, `
		select exists (select from work_items where user_id = $1 and at <= $2 and attempts = 0)`, w.UserID, *w.Until).Scan(&waits)
	if err != nil || !waits {
		return nil, err
	}
	again := now.Add(min(max(now.Sub(*w.Until)/2, 250*time.Millisecond), time.Minute))
	return &again, nil
}

// queueMet ends a wait because something happened, where it is not over, and tells its enrollment.
func queueMet(batch *pgx.Batch, m Meeting, now time.Time) {
	batch.Queue(`
		with met as (
			update visits set status = 'done', output = $4, finished_at = $5
			where enrollment_id = $1 and step = $2 and visit = $3 and status = 'waiting' returning enrollment_id
		)
		insert into commands (enrollment_id, kind) select enrollment_id, 'wake' from met`,
		m.EnrollmentID, m.Step, m.Visit, Met(m.Which, m.Event), now)
}

// Holding is the position of the first of several things that is a condition and holds already; -1 where
// none does.
func Holding(awaits []Awaited, s filter.Subject) int {
	return slices.IndexFunc(awaits, func(a Awaited) bool { return a.Holds != nil && a.Holds.Match(s) })
}

// Met is what later steps see of a wait that something ended, by its position; the event is nil where it
// was a condition.
func Met(which int, e *automation.Event) map[string]any {
	output := map[string]any{filter.Outcome: automation.OutcomeHappened, "which": which}
	if e != nil {
		event := maps.Clone(e.Properties)
		if event == nil {
			event = map[string]any{}
		}
		event["name"], event["id"], event["occurred_at"] = e.Name, e.ID, e.OccurredAt.UTC().Format(time.RFC3339)
		output["event"] = event
	}
	return output
}

// queueMove lets a delay be resolved anew, because what it follows has changed.
func queueMove(batch *pgx.Batch, ref VisitRef) {
	batch.Queue(`
		with moved as (
			update visits set until = null where enrollment_id = $1 and step = $2 and visit = $3 and status = 'waiting' returning enrollment_id
		)
		insert into commands (enrollment_id, kind) select enrollment_id, 'wake' from moved`, ref.EnrollmentID, ref.Step, ref.Visit)
}

// Follows reports whether the end of the delay that somebody waits in moves with what an item changed.
func (in *Inhabitant) Follows(item *Item) bool {
	step, ok := in.Document.Step(in.Step)
	if !ok || step.Delay == nil {
		return false
	}
	return slices.ContainsFunc(in.followed(step), func(name string) bool { return slices.Contains(item.Changed, name) })
}
