package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// Wait is a delay as recorded.
type Wait struct {
	Until time.Time // zero: nobody knows yet
	Shown string    // the instant in the zone of the definition or of the user, with the zone's name
	Leave string    // why the enrollment ends here instead; "" where it does not
}

// BeginDelay records that an enrollment waits until an instant; a later call for the same visit returns
// the instant recorded first, unless what it depends on has changed. A delay that is more than an amount
// is asked for without an instant; an amount counts from when the delay is entered. Errors are those of BeginVisit, but neither a pause nor hours hold
// it, and ErrInvalid where the rule of the delay lets the step fail.
func (db *DB) BeginDelay(ctx context.Context, ref VisitRef, until time.Time) (Wait, error) {
	if until.IsZero() {
		return db.beginRule(ctx, ref)
	}
	var definition, zone string
	var version int
	now, amount := db.clockOf(ref), until.Sub(ref.At)
	if ref.At.IsZero() {
		amount = until.Sub(now)
	}
	until = now.Add(amount) // the clock of a workflow task may be behind: it stands still while the task waits and runs
	err := db.steps.QueryRow(ctx, `
		with moved as (
			update enrollments e set status = 'active', step = $2, started_at = coalesce(started_at, $5),
				waiting_until = coalesce((
					select coalesce(until, started_at + $6) from visits where enrollment_id = $1 and step = $2 and visit = $3), $4)
			where e.id = $1 and `+carried(`$7`)+` returning id, definition, version, user_id
		), waited as (
			update visits v set status = 'done', finished_at = $5
			from moved where v.enrollment_id = $1 and `+passed+` and (v.step, v.visit) <> ($2, $3)
		), entered as (
			insert into visits as v (enrollment_id, step, visit, kind, status, until, started_at)
			select id, $2, $3, 'delay', 'waiting', $4, $5 from moved
			on conflict (enrollment_id, step, visit) do update set until = coalesce(v.until, v.started_at + $6),
				status = case v.status when 'skipped' then 'skipped' else 'waiting' end, finished_at = null, error = ''
			returning until
		)
		select e.until, m.definition, m.version, coalesce(u.properties ->> 'time_zone', ''), `+relaxed+`
		from moved m cross join entered e left join users u on u.id = m.user_id`,
		ref.EnrollmentID, ref.Step, ref.Visit, until, now, amount, ref.Attended).Scan(&until, &definition, &version, &zone, nil)
	if errors.Is(err, pgx.ErrNoRows) {
		return Wait{}, automation.ErrFinished
	}
	if err != nil {
		return Wait{}, translate(err)
	}
	p, err := db.Published(ctx, definition, version)
	if err != nil {
		return Wait{}, err
	}
	return Wait{Until: until.UTC(), Shown: shownIn(until, p.local(zone))}, nil
}

// waiting is an enrollment that enters a wait, or is in it.
type waiting struct {
	*Published
	UserID     string
	Properties map[string]any
	Began      time.Time // when it entered the wait
	Status     automation.StepStatus
	Until      *time.Time
	Output     map[string]any
}

// enterWait locks the user, so that nothing happens to him until the transaction ends, and an enrollment
// of his that enters a wait or is in it. It returns ErrFinished where the enrollment is not live.
func (db *DB) enterWait(ctx context.Context, tx pgx.Tx, ref VisitRef) (*waiting, error) {
	if err := lockUserOf(ctx, tx, ref.EnrollmentID); err != nil {
		return nil, err
	}
	row, err := one[struct {
		Definition, UserID string
		Version            int
		Properties         map[string]any
		StartedAt          *time.Time
		Status             *string
		Until              *time.Time
		Output             map[string]any
	}](ctx, tx, `
		select e.definition, e.version, e.user_id, u.properties, v.started_at, v.status, v.until, v.output
		from enrollments e left join users u on u.id = e.user_id
		left join visits v on v.enrollment_id = e.id and v.step = $2 and v.visit = $3
		where e.id = $1 and `+carried(`$4`)+` for update of e`, ref.EnrollmentID, ref.Step, ref.Visit, ref.Attended)
	if errors.Is(err, automation.ErrNotFound) || errors.Is(err, pgx.ErrNoRows) {
		return nil, automation.ErrFinished
	}
	if err != nil {
		return nil, err
	}
	p, err := db.published(ctx, tx, row.Definition, row.Version)
	if err != nil {
		return nil, err
	}
	w := &waiting{
		Published: p, UserID: row.UserID, Properties: row.Properties,
		Began: db.clockOf(ref), Until: row.Until, Output: row.Output,
	}
	if row.StartedAt != nil {
		w.Began, w.Status = row.StartedAt.UTC(), automation.StepStatus(*row.Status)
	}
	return w, nil
}

// zone is where the version reads times for the user.
func (w *waiting) zone() *time.Location {
	return w.ZoneOf(w.Properties)
}

// beginRule resolves a delay that is more than an amount to an instant.
func (db *DB) beginRule(ctx context.Context, ref VisitRef) (Wait, error) {
	var wait Wait
	err := db.tx(ctx, func(tx pgx.Tx) error {
		wait = Wait{}
		w, err := db.enterWait(ctx, tx, ref)
		if err != nil {
			return err
		}
		now := db.clockOf(ref)
		if (w.Status == automation.StepWaiting || w.Status == automation.StepDone) && !w.moves(ref.Step) {
			wait.Until, wait.Shown = w.Until.UTC(), shownIn(*w.Until, w.zone())
			return db.recordWait(ctx, tx, ref, automation.DelayStep, w.Until, now, false)
		}
		wait, err = w.Resolve(ref.Step, w.Began, now, w.Properties)
		if err != nil || wait.Leave != "" {
			return err
		}
		var until *time.Time
		if !wait.Until.IsZero() {
			until = &wait.Until
		}
		return db.recordWait(ctx, tx, ref, automation.DelayStep, until, now, false)
	})
	return wait, err
}

// moves reports whether it is not known any more when a delay ends: what it follows has changed. An end
// that has come, and is still the end, is none that was past.
func (w *waiting) moves(delay string) bool {
	step, ok := w.Document.Step(delay)
	if w.Until == nil || !ok || step.Delay == nil {
		return w.Until == nil
	}
	if len(w.followed(step)) == 0 {
		return false
	}
	due, err := step.Delay.Due(w.Began, w.Properties, w.calendar(w.Properties))
	return err != nil || !due.At.Round(time.Microsecond).Equal(*w.Until)
}

// calendar is where and how the version counts days for a user.
func (p *Published) calendar(properties map[string]any) automation.LocalCalendar {
	calendar := p.business
	calendar.Zone = p.ZoneOf(properties)
	return calendar
}

// Resolve finds when a delay ends for a user who entered it at an instant. Returns ErrInvalid where the
// rule of the delay lets the step fail.
func (p *Published) Resolve(delay string, entered, now time.Time, properties map[string]any) (Wait, error) {
	var wait Wait
	step, ok := p.Document.Step(delay)
	if !ok || step.Delay == nil {
		return wait, fmt.Errorf("delay %s: %w", delay, automation.ErrNotFound)
	}
	calendar := p.calendar(properties)
	due, err := step.Delay.Due(entered, properties, calendar)
	if err != nil {
		return wait, fmt.Errorf("delay %s: %w: %w", delay, err, automation.ErrInvalid)
	}
	if u := step.Delay.Until; u != nil && (u.Date != "" || u.Property != "") {
		due.Past = !due.Missing && !due.At.After(now) // it may have been entered long ago, and the date have changed
	}
	missing, err := decideDue(&wait, step.Delay, due, now)
	switch {
	case err != nil || wait.Leave != "":
	case missing:
		wait.Shown = "there is a " + step.Delay.Until.Property
	default:
		wait.Shown = shownIn(wait.Until, calendar.Zone)
	}
	return wait, err
}

// decideDue applies what the rule of a delay says about a date that is missing or past. It reports
// whether the enrollment waits for the date to be there.
func decideDue(wait *Wait, d *automation.Delay, due automation.Due, now time.Time) (missing bool, err error) {
	var instead automation.Instead
	what := "the date of the delay is past"
	switch {
	case due.Missing:
		instead, what = d.Until.Missing(), d.Until.Property+" is empty"
	case due.Past:
		instead = d.Until.Past()
	}
	wait.Until = due.At
	switch instead {
	case automation.InsteadWait:
		wait.Until = time.Time{}
		return true, nil
	case automation.InsteadExit:
		wait.Leave = what
	case automation.InsteadFail:
		return false, fmt.Errorf("%s: %w", what, automation.ErrInvalid)
	case automation.InsteadContinue:
		if due.Missing {
			wait.Until = now
		}
	}
	return false, nil
}

// recordWait writes down that an enrollment waits, in the transaction of enterWait. A wait for something
// to happen has a number in the order of what happens.
func (db *DB) recordWait(ctx context.Context, tx pgx.Tx, ref VisitRef, kind automation.StepKind, until *time.Time, now time.Time, numbered bool) error {
	if err := stand(ctx, tx, ref, until, now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		insert into visits as v (enrollment_id, step, visit, kind, status, until, started_at, seq)
		values ($1, $2, $3, $4, 'waiting', $5, $6, case when $7 then nextval('moments') end)
		on conflict (enrollment_id, step, visit) do update
		set status = 'waiting', until = excluded.until, seq = excluded.seq, output = null, error = '', finished_at = null`,
		ref.EnrollmentID, ref.Step, ref.Visit, string(kind), until, now, numbered)
	return err
}

// stand writes down where an enrollment is that waits. A worker that dies lets another one do again what
// came before the wait, so a wait that was recorded says so again.
func stand(ctx context.Context, tx pgx.Tx, ref VisitRef, until *time.Time, now time.Time) error {
	batch := &pgx.Batch{}
	batch.Queue(`
		update enrollments set status = 'active', step = $2, started_at = coalesce(started_at, $3), waiting_until = $4 where id = $1`,
		ref.EnrollmentID, ref.Step, now, until)
	batch.Queue(`
		update visits v set status = 'done', finished_at = $4
		where v.enrollment_id = $1 and `+passed+` and (v.step, v.visit) <> ($2, $3)`, ref.EnrollmentID, ref.Step, ref.Visit, now)
	return tx.SendBatch(ctx, batch).Close()
}
