package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// VisitRef names one visit of one step of one enrollment, which is the identity of an effect, and says
// what the step is asked under.
type VisitRef struct {
	EnrollmentID string
	Step         string
	Visit        int

	At    time.Time // by the clock of the workflow, where that runs ahead of ours
	Hours bool      // it begins at certain hours only
	Timed bool      // it says how late it may begin

	Attended int64 // the last intervention that the run of Temporal followed that asks
}

// carried is the condition on an enrollment e to be live, and to be carried by the run of Temporal that
// asks, whose VisitRef.Attended is in the parameter named: one that failed and was begun anew is no business
// of the run that failed, which may not have heard that its end was recorded.
func carried(attended string) string {
	return `e.status in ('pending', 'active') and coalesce((e.position ->> 'attended')::bigint, 0) <= ` + attended
}

// clockOf is the time of a visit: ours, or that of a workflow whose time is skipped.
func (db *DB) clockOf(ref VisitRef) time.Time {
	now := db.clock()
	if at := ref.At.UTC().Truncate(time.Microsecond); at.After(now) {
		return at
	}
	return now
}

// Done is what a step did.
type Done struct {
	What   string         // in words
	Output map[string]any // what later steps can use
	Needed bool           // a later step uses outputs, so they must survive a crash
	Last   bool           // the enrollment completes with the step
	In     int            // the version that the step was done in

	Skipped bool // it did nothing, because it came too late
}

// FinishVisit records that a step is done. It reports whether the enrollment completed with it:
// one that was taken out meanwhile stays so.
func (db *DB) FinishVisit(ctx context.Context, ref VisitRef, d Done) (completed bool, err error) {
	batch := &pgx.Batch{}
	commit := relaxed
	if d.Last || d.Needed {
		commit = `null`
	}
	if !d.Last {
		queueFinish(batch, ref, d, commit, db.clockOf(ref))
		return false, translate(db.steps.SendBatch(ctx, batch).Close())
	}
	live, err := db.newestLive(ctx)
	if err != nil {
		return false, err
	}
	queueLock(batch)
	batch.Queue(userOf, ref.EnrollmentID)
	queueFinish(batch, ref, d, commit, db.clockOf(ref))
	queueEnd(batch, live, End{ID: ref.EnrollmentID, Status: automation.Completed, Finish: &ref, In: d.In}, db.clockOf(ref), &completed)
	// Outside a transaction, a batch is one of its own.
	return completed, translate(db.steps.SendBatch(ctx, batch).Close())
}

// queueFinish writes nothing about a user who was deleted meanwhile into the timeline.
func queueFinish(batch *pgx.Batch, ref VisitRef, d Done, commit string, now time.Time) {
	status := automation.StepDone
	if d.Skipped {
		status = automation.StepSkipped
	}
	batch.Queue(`
		with `+stillThere+`
		update visits v set status = case v.status when 'skipped' then 'skipped' else $7 end, error = '', finished_at = $6,
			what = case when exists (select from u) then $4 else '' end, output = case when exists (select from u) then $5::jsonb end
		where v.enrollment_id = $1 and v.step = $2 and v.visit = $3 and v.status <> 'done'
		returning `+commit,
		ref.EnrollmentID, ref.Step, ref.Visit, d.What, objectOrNull(d.Output), now, string(status))
}

// passed is the condition on a visit v that the enrollment was in it, and that another step says so: a
// delay. A wait for something ends with an outcome of its own.
const passed = `v.status = 'waiting' and v.kind = 'delay'`

// Failure is an attempt of a step that failed.
type Failure struct {
	Kind       string
	Text       string
	Retry      bool // it will be tried again
	RolledBack bool // the record of the attempt was rolled back with its effect
}

// FailVisit records a failed attempt of a step, and that a delay before it is over: the gate, which says so
// as a rule, may not have let it in. Of an attempt that came after the end of the enrollment there is
// nothing to record, unless it was let in before.
func (db *DB) FailVisit(ctx context.Context, ref VisitRef, f Failure) error {
	status, now := automation.StepFailed, db.clockOf(ref)
	finished := &now
	if f.Retry {
		status, finished = automation.StepRunning, nil
	}
	_, err := db.pool.Exec(ctx, `
		with `+stillThere+`, e as materialized (
			select id, ended_at from enrollments
			where id = $1 and (ended_at is null or exists (select from visits where enrollment_id = $1 and step = $2 and visit = $3))
			for share
		), waited as (
			update visits v set status = 'done', finished_at = $7
			from e where v.enrollment_id = $1 and e.ended_at is null and `+passed+` and (v.step, v.visit) <> ($2, $3)
		)
		insert into visits as v (enrollment_id, step, visit, kind, status, error, started_at, finished_at)
		select e.id, $2, $3, $8, case when $4 = 'running' and e.ended_at is not null then 'stopped' else $4 end,
			case when exists (select from u) then $5 else '' end, $7, case when e.ended_at is null then $6::timestamptz else $7 end
		from e
		on conflict (enrollment_id, step, visit) do update
		set status = excluded.status, error = excluded.error, finished_at = excluded.finished_at,
			attempts = v.attempts + case when $9 then 1 else 0 end
		where v.status not in ('done', 'skipped')`,
		ref.EnrollmentID, ref.Step, ref.Visit, string(status), f.Text, finished, now, f.Kind, f.RolledBack)
	return translate(err)
}

func objectOrNull(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

// NoteFailure records that a step failed for good and that the enrollment goes on: what later steps see
// of it is the error that was recorded; where none was, the text.
func (db *DB) NoteFailure(ctx context.Context, ref VisitRef, text string) error {
	output := map[string]any{"outcome": automation.OutcomeFailed, "error": text}
	_, err := db.pool.Exec(ctx, `
		with `+stillThere+`
		insert into visits as v (enrollment_id, step, visit, kind, status, error, output, started_at, finished_at)
		select e.id, $2, $3, '', 'failed', $4, $5, $6, $6 from enrollments e where e.id = $1 and exists (select from u)
		on conflict (enrollment_id, step, visit) do update
		set status = 'failed', finished_at = excluded.finished_at,
			error = case when v.error = '' then excluded.error else v.error end,
			output = case when v.error = '' then excluded.output else excluded.output || jsonb_build_object('error', v.error) end
		where v.status <> 'done'`, ref.EnrollmentID, ref.Step, ref.Visit, text, output, db.clockOf(ref))
	return translate(err)
}

// Choice is what a branch is decided by.
type Choice struct {
	*Gate
	Version *Published
	Subject filter.Subject // the user now, with what the filters of the step need, and the outputs of the steps before
}

// TakeBranch decides once where the flow goes on: the way is recorded with the visit, and a later call
// returns the recorded one. The gate is nil in a later call. Errors are those of BeginVisit and of
// choose.
func (db *DB) TakeBranch(ctx context.Context, ref VisitRef, kind string, choose func(c Choice) (arm int, err error)) (arm int, gate *Gate, err error) {
	_, err = db.VisitInside(ctx, ref, kind, false, func(i *Inside) (Done, error) {
		version, err := db.published(ctx, i.in, i.Enrollment.Workflow, i.Enrollment.Version)
		if err != nil {
			return Done{}, err
		}
		subject, err := db.subject(ctx, i.in, needsOf(version.arms[ref.Step]...), i.Enrollment.UserID, i.User.Properties)
		if err != nil {
			return Done{}, err
		}
		subject.Now = i.Now
		if i.Enrollment.Event != nil {
			subject.Event = i.Enrollment.Event.Properties
		}
		if subject.Steps, err = outcomes(ctx, i.in, ref.EnrollmentID); err != nil {
			return Done{}, err
		}
		gate = i.Gate
		arm, err = choose(Choice{i.Gate, version, subject})
		return Done{What: "took arm " + strconv.Itoa(arm+1), Output: version.Taken(arm)}, err
	})
	if err != nil || gate != nil {
		return arm, gate, err
	}
	tag, err := db.pool.Exec(ctx, `
		update visits v set status = 'running' from enrollments e
		where e.id = $1 and v.enrollment_id = $1 and v.step = $2 and v.visit = $3 and (v.output ->> 'version')::int <> e.version`,
		ref.EnrollmentID, ref.Step, ref.Visit)
	if err != nil {
		return 0, nil, translate(err)
	}
	if tag.RowsAffected() > 0 { // the enrollment migrated meanwhile: that was a way out of the other version's branch
		return db.TakeBranch(ctx, ref, kind, choose)
	}
	err = db.pool.QueryRow(ctx, `
		select (output ->> 'arm')::int from visits where enrollment_id = $1 and step = $2 and visit = $3`,
		ref.EnrollmentID, ref.Step, ref.Visit).Scan(&arm)
	return arm, nil, translate(err)
}

// Taken is what later steps see of a branch.
func (p *Published) Taken(arm int) map[string]any {
	return map[string]any{"arm": arm, "version": p.Number}
}

// outcomes are the outputs of the steps of an enrollment, of each of its last visit, with how it went.
func outcomes(ctx context.Context, q querier, enrollmentID string) (map[string]map[string]any, error) {
	rows, err := collect[struct {
		Step   string
		Status automation.StepStatus
		Output map[string]any
	}](ctx, q, `
		select distinct on (step) step, status, output from visits
		where enrollment_id = $1 and status in ('done', 'failed', 'skipped') order by step, visit desc`, enrollmentID)
	steps := make(map[string]map[string]any, len(rows))
	for _, r := range rows {
		if r.Output == nil {
			r.Output = map[string]any{}
		}
		if r.Output[filter.Outcome] == nil {
			r.Output[filter.Outcome] = string(r.Status)
		}
		steps[r.Step] = r.Output
	}
	return steps, err
}
