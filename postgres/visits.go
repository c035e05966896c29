package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// VisitRef names one visit of one step of one enrollment. It is the identity of an effect.
type VisitRef struct {
	EnrollmentID string
	Step         string
	Visit        int
}

// Done is what a step did.
type Done struct {
	What   string         // in words
	Output map[string]any // what later steps can use
	Needed bool           // a later step uses outputs, so they must survive a crash
	Last   bool           // the enrollment completes with the step
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
		queueFinish(batch, ref, d, commit, db.clock())
		return false, translate(db.pool.SendBatch(ctx, batch).Close())
	}
	live, err := db.newestLive(ctx)
	if err != nil {
		return false, err
	}
	queueLock(batch)
	queueFinish(batch, ref, d, commit, db.clock())
	queueEnd(batch, live, End{ID: ref.EnrollmentID, Status: automation.Completed}, db.clock(), &completed)
	// Outside a transaction, a batch is one of its own.
	return completed, translate(db.pool.SendBatch(ctx, batch).Close())
}

// queueFinish writes nothing about a user who was deleted meanwhile into the timeline.
func queueFinish(batch *pgx.Batch, ref VisitRef, d Done, commit string, now time.Time) {
	batch.Queue(`
		update visits v set status = 'done', error = '', finished_at = $6,
			what = case when u.id is null then '' else $4 end, output = case when u.id is null then null else $5::jsonb end
		from enrollments e left join users u on u.id = e.user_id
		where e.id = $1 and v.enrollment_id = $1 and v.step = $2 and v.visit = $3 and v.status <> 'done'
		returning `+commit,
		ref.EnrollmentID, ref.Step, ref.Visit, d.What, objectOrNull(d.Output), now)
}

// Failure is an attempt of a step that failed.
type Failure struct {
	Kind       string
	Text       string
	Retry      bool // it will be tried again
	RolledBack bool // the record of the attempt was rolled back with its effect
}

// FailVisit records a failed attempt of a step.
func (db *DB) FailVisit(ctx context.Context, ref VisitRef, f Failure) error {
	status, now := automation.StepFailed, db.clock()
	finished := &now
	if f.Retry {
		status, finished = automation.StepRunning, nil
	}
	_, err := db.pool.Exec(ctx, `
		insert into visits as v (enrollment_id, step, visit, kind, status, error, started_at, finished_at)
		select e.id, $2, $3, $8, $4, case when u.id is null then '' else $5 end, $7, $6
		from enrollments e left join users u on u.id = e.user_id where e.id = $1
		on conflict (enrollment_id, step, visit) do update
		set status = excluded.status, error = excluded.error, finished_at = excluded.finished_at,
			attempts = v.attempts + case when $9 then 1 else 0 end
		where v.status <> 'done'`,
		ref.EnrollmentID, ref.Step, ref.Visit, string(status), f.Text, finished, now, f.Kind, f.RolledBack)
	return translate(err)
}

func objectOrNull(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

// TakeBranch decides a branch once: the arm is recorded with the visit, and a later call returns
// the recorded one. The gate is nil in a later call. Errors are those of BeginVisit.
func (db *DB) TakeBranch(ctx context.Context, ref VisitRef) (arm int, gate *Gate, err error) {
	err = db.VisitInside(ctx, ref, string(automation.BranchStep), false, func(i *Inside) (string, map[string]any, error) {
		version, err := db.published(ctx, i.in, i.Enrollment.Workflow, i.Enrollment.Version)
		if err != nil {
			return "", nil, err
		}
		subject, err := db.subject(ctx, i.in, needsOf(version.arms[ref.Step]...), i.Enrollment.UserID, i.User.Properties)
		if err != nil {
			return "", nil, err
		}
		if i.Enrollment.Event != nil {
			subject.Event = i.Enrollment.Event.Properties
		}
		gate = i.Gate
		arm, err = version.Arm(ref.Step, subject)
		return "took arm " + strconv.Itoa(arm+1), map[string]any{"arm": arm}, err
	})
	if err != nil || gate != nil {
		return arm, gate, err
	}
	err = db.pool.QueryRow(ctx, `
		select (output ->> 'arm')::int from visits where enrollment_id = $1 and step = $2 and visit = $3`,
		ref.EnrollmentID, ref.Step, ref.Visit).Scan(&arm)
	return arm, nil, translate(err)
}

// Wait is a delay as recorded.
type Wait struct {
	Until time.Time
	Shown string // the instant in the zone of the definition or of the user, with the zone's name
}

// BeginDelay records that an enrollment waits until an instant; a later call for the same visit
// returns the instant recorded first. Errors are those of BeginVisit, but a pause does not hold it.
func (db *DB) BeginDelay(ctx context.Context, ref VisitRef, until time.Time) (Wait, error) {
	var definition, zone string
	var version int
	err := db.pool.QueryRow(ctx, `
		with moved as (
			update enrollments set status = 'active', step = $2, started_at = coalesce(started_at, $5),
				waiting_until = coalesce((select until from visits where enrollment_id = $1 and step = $2 and visit = $3), $4)
			where id = $1 and status in ('pending', 'active') returning id, definition, version, user_id
		), waited as (
			update visits v set status = 'done', finished_at = $5
			from moved where v.enrollment_id = $1 and v.status = 'waiting' and (v.step, v.visit) <> ($2, $3)
		), entered as (
			insert into visits as v (enrollment_id, step, visit, kind, status, until, started_at)
			select id, $2, $3, 'delay', 'waiting', $4, $5 from moved
			on conflict (enrollment_id, step, visit) do update set status = v.status
			returning until
		)
		select e.until, m.definition, m.version, coalesce(u.properties ->> 'time_zone', ''), `+relaxed+`
		from moved m cross join entered e left join users u on u.id = m.user_id`,
		ref.EnrollmentID, ref.Step, ref.Visit, until, db.clock()).Scan(&until, &definition, &version, &zone, nil)
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
	local := p.Document.Zone()
	if own, err := filter.LoadZone(zone); err == nil && p.Document.TimeZone == filter.OwnZone {
		local = own
	}
	return Wait{until.UTC(), until.In(local).Format("Mon 2 Jan 2006 15:04:05 MST")}, nil
}
