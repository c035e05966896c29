package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// Gate is what a step may know once it is allowed to begin.
type Gate struct {
	Enrollment automation.Enrollment
	Depth      int
	User       automation.User           // as it is now; only the id is set when it was deleted
	Outputs    map[string]map[string]any // of earlier steps, by step
	Done       bool                      // the visit was completed before
	Attempts   int                       // this attempt included
	WaitedFor  *time.Time                // the instant of the delay that this step follows, where it follows one
	Now        time.Time                 // by the clock of the workflow
	Late       time.Duration             // how long ago the step was to begin; 0 where it does not say how late it may
}

// ErrPaused is returned by the gate while the definition is paused.
var ErrPaused = errors.New("the workflow is paused")

// relaxed, evaluated in a statement, lets its transaction commit without waiting for the disk. What
// a crash of PostgreSQL may take away then is the newest entries of a timeline; the effects outside
// have their keys all the same, and every later commit makes the entries durable too.
const relaxed = `set_config('synchronous_commit', 'off', true)`

// BeginVisit is the gate before every effect outside: where the enrollment is live, it moves it to
// the step and records the visit. It returns ErrFinished when the enrollment is not live and
// ErrPaused when its definition is paused; then nothing may be done.
//
// Outside of the hours of the definition it returns a *ShutError.
func (db *DB) BeginVisit(ctx context.Context, ref VisitRef, kind string) (*Gate, error) {
	if err := db.checkHours(ctx, db.steps, ref, kind); err != nil {
		return nil, translate(err)
	}
	g, err := db.gate(ctx, db.steps, ref, kind, relaxed)
	return g, translate(err)
}

// gate asks to be let in, and asks again where a pause ended between its refusal and the question why.
func (db *DB) gate(ctx context.Context, q querier, ref VisitRef, kind, commit string) (*Gate, error) {
	for {
		g, err := db.enter(ctx, q, ref, kind, commit)
		if !errors.Is(err, pgx.ErrNoRows) {
			return g, err
		}
		if skipped, err := db.whyClosed(ctx, q, ref, kind); err != nil {
			return nil, err
		} else if skipped {
			return &Gate{Done: true}, nil
		}
	}
}

// enter is one statement, so that it costs one round trip; commit is evaluated in it. It returns
// pgx.ErrNoRows when the enrollment may not go on. A pause holds no visit that was completed before it:
// what is held is told of the resumption, and such a visit is not held.
func (db *DB) enter(ctx context.Context, q querier, ref VisitRef, kind, commit string) (*Gate, error) {
	var g Gate
	var status automation.StepStatus
	var properties map[string]any
	var outputs map[string]map[string]any
	var due *time.Time
	now := db.clockOf(ref)
	e := &g.Enrollment
	err := q.QueryRow(ctx, `
		with before as materialized (
			select e.id, e.waiting_until, exists (
				select from visits where enrollment_id = $1 and step = $2 and visit = $3 and status = 'done') as over
			from enrollments e join definitions d on d.name = e.definition
			where e.id = $1 and `+carried(`$7`)+`
				and (d.status <> 'paused' or exists (
					select from visits where enrollment_id = $1 and step = $2 and visit = $3 and status = 'done'))
				and not exists (select from visits where enrollment_id = $1 and step = $2 and visit = $3 and status = 'skipped')
			for update of e
		), moved as (
			update enrollments e set status = 'active', step = case when b.over then e.step else $2 end,
				waiting_until = case when b.over or $4 in ('branch', 'branch_on', 'split') then e.waiting_until end, started_at = coalesce(e.started_at, $5)
			from before b where e.id = b.id
			returning e.*, b.waiting_until as waited_for, b.over
		), waited as (
			update visits v set status = 'done', finished_at = $5
			from moved where v.enrollment_id = $1 and not moved.over and `+passed+`
		), entered as (
			insert into visits as v (enrollment_id, step, visit, kind, status, started_at, due_at)
			select id, $2, $3, $4, 'running', $5,
				case when $6 then coalesce(waited_for, (select max(finished_at) from visits where enrollment_id = $1), created_at) end
			from moved
			on conflict (enrollment_id, step, visit) do update
			set status = case v.status when 'done' then 'done' else 'running' end,
				attempts = v.attempts + case v.status when 'done' then 0 else 1 end,
				due_at = greatest(v.due_at, v.until, case when v.due_at is null then excluded.due_at end)
			returning v.status, v.attempts, v.due_at
		)
		select m.definition, m.version, m.user_id, m.ordinal, m.trigger, m.event, m.depth, m.created_at, m.waited_for,
			n.status, n.attempts, n.due_at, u.properties, u.created_at, u.updated_at,
			(select jsonb_object_agg(step, output) from (
				select distinct on (step) step, output from visits
				where enrollment_id = $1 and status in ('done', 'failed', 'skipped') and output is not null order by step, visit desc) o),
			`+commit+`
		from moved m cross join entered n left join users u on u.id = m.user_id`,
		ref.EnrollmentID, ref.Step, ref.Visit, kind, now, ref.Timed, ref.Attended).Scan(
		&e.Workflow, &e.Version, &e.UserID, &e.Ordinal, &e.Trigger, &e.Event, &g.Depth, &e.CreatedAt, &g.WaitedFor,
		&status, &g.Attempts, &due, &properties, &nullTime{&g.User.CreatedAt}, &nullTime{&g.User.UpdatedAt}, &outputs, nil)
	if err != nil {
		return nil, err
	}
	e.ID, e.Status, e.Step = ref.EnrollmentID, automation.Active, ref.Step
	e.TemporalWorkflowID = automation.TemporalWorkflowID(e.Workflow, e.UserID, e.Ordinal)
	g.User.ID, g.User.Properties, g.Outputs = e.UserID, properties, outputs
	g.Done, g.Now = status == automation.StepDone, now
	if due != nil {
		g.Late = now.Sub(*due)
	}
	return &g, nil
}

// whyClosed tells an ended enrollment from a paused definition, and says whether the visit was skipped
// and is not to be made any more; it returns no error when none of them is so any more. A pause is
// recorded in the visit under the definition's lock, so that the resumption is sure to find it.
func (db *DB) whyClosed(ctx context.Context, q querier, ref VisitRef, kind string) (skipped bool, err error) {
	var paused, live bool
	err = q.QueryRow(ctx, `
		with held as (
			select e.id from enrollments e join definitions d on d.name = e.definition
			where e.id = $1 and `+carried(`$6`)+` and d.status = 'paused' for share of d
		), made as (
			select from visits where enrollment_id = $1 and step = $2 and visit = $3 and status in ('done', 'skipped')
		), stood as (
			update enrollments e set step = $2 from held where e.id = held.id and e.ended_at is null and not exists (select from made) returning e.id
		), waited as (
			update visits v set status = 'done', finished_at = $5 from stood where v.enrollment_id = $1 and `+passed+`
		), noted as (
			insert into visits as v (enrollment_id, step, visit, kind, status, attempts, started_at)
			select id, $2, $3, $4, 'held', 0, $5 from held
			on conflict (enrollment_id, step, visit) do update set status = 'held', until = null where v.status not in ('done', 'skipped')
		)
		select exists (select from held), exists (select from enrollments e where e.id = $1 and `+carried(`$6`)+`),
			exists (select from visits where enrollment_id = $1 and step = $2 and visit = $3 and status = 'skipped')`,
		ref.EnrollmentID, ref.Step, ref.Visit, kind, db.clockOf(ref), ref.Attended).Scan(&paused, &live, &skipped)
	switch {
	case err != nil:
		return false, err
	case !live:
		return false, automation.ErrFinished
	case skipped:
		return true, nil
	case paused:
		return false, ErrPaused
	default:
		return false, nil
	}
}

// nullTime scans a null as the zero time.
type nullTime struct{ t *time.Time }

// Scan implements sql.Scanner.
func (n *nullTime) Scan(v any) error {
	if t, ok := v.(time.Time); ok {
		*n.t = t.UTC()
	}
	return nil
}
