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

// Gate is what a step may know once it is allowed to begin.
type Gate struct {
	Enrollment automation.Enrollment
	Depth      int
	User       automation.User           // as it is now; only the id is set when it was deleted
	Outputs    map[string]map[string]any // of earlier steps, by step
	Done       bool                      // the visit was completed before; Output is what it gave
	Output     map[string]any
	Attempts   int        // this attempt included
	WaitedFor  *time.Time // the instant of the delay that this step follows, where it follows one
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
func (db *DB) BeginVisit(ctx context.Context, ref VisitRef, kind string) (*Gate, error) {
	g, err := db.gate(ctx, db.pool, ref, kind, relaxed)
	return g, translate(err)
}

// gate asks to be let in, and asks again where a pause ended between its refusal and the question why.
func (db *DB) gate(ctx context.Context, q querier, ref VisitRef, kind, commit string) (*Gate, error) {
	for {
		g, err := db.enter(ctx, q, ref, kind, commit)
		if !errors.Is(err, pgx.ErrNoRows) {
			return g, err
		}
		if err := db.whyClosed(ctx, q, ref, kind); err != nil {
			return nil, err
		}
	}
}

// enter is one statement, so that it costs one round trip; commit is evaluated in it. It returns
// pgx.ErrNoRows when the enrollment may not go on.
func (db *DB) enter(ctx context.Context, q querier, ref VisitRef, kind, commit string) (*Gate, error) {
	var g Gate
	var status automation.StepStatus
	var properties map[string]any
	var outputs map[string]map[string]any
	e := &g.Enrollment
	err := q.QueryRow(ctx, `
		with before as materialized (
			select e.id, e.waiting_until from enrollments e join definitions d on d.name = e.definition
			where e.id = $1 and e.status in ('pending', 'active') and d.status <> 'paused'
			for update of e
		), moved as (
			update enrollments e set status = 'active', step = $2, waiting_until = null, started_at = coalesce(e.started_at, $5)
			from before b where e.id = b.id
			returning e.*, b.waiting_until as waited_for
		), waited as (
			update visits v set status = 'done', finished_at = $5
			from moved where v.enrollment_id = $1 and v.status = 'waiting'
		), entered as (
			insert into visits as v (enrollment_id, step, visit, kind, status, started_at)
			select id, $2, $3, $4, 'running', $5 from moved
			on conflict (enrollment_id, step, visit) do update
			set status = case v.status when 'done' then 'done' else 'running' end,
				attempts = v.attempts + case v.status when 'done' then 0 else 1 end
			returning v.status, v.output, v.attempts
		)
		select m.definition, m.version, m.user_id, m.ordinal, m.trigger, m.event, m.depth, m.created_at, m.waited_for,
			n.status, n.output, n.attempts, u.properties, u.created_at, u.updated_at,
			(select jsonb_object_agg(step, output) from visits where enrollment_id = $1 and status = 'done' and output is not null),
			`+commit+`
		from moved m cross join entered n left join users u on u.id = m.user_id`,
		ref.EnrollmentID, ref.Step, ref.Visit, kind, db.clock()).Scan(
		&e.Workflow, &e.Version, &e.UserID, &e.Ordinal, &e.Trigger, &e.Event, &g.Depth, &e.CreatedAt, &g.WaitedFor,
		&status, &g.Output, &g.Attempts, &properties, &nullTime{&g.User.CreatedAt}, &nullTime{&g.User.UpdatedAt}, &outputs, nil)
	if err != nil {
		return nil, err
	}
	e.ID, e.Status, e.Step = ref.EnrollmentID, automation.Active, ref.Step
	e.TemporalWorkflowID = automation.TemporalWorkflowID(e.Workflow, e.UserID, e.Ordinal)
	g.User.ID, g.User.Properties, g.Outputs = e.UserID, properties, outputs
	g.Done = status == automation.StepDone
	return &g, nil
}

// whyClosed tells an ended enrollment from a paused definition; it returns nil when neither is so
// any more. A pause is recorded in the visit under the definition's lock, so that the resumption is
// sure to find it.
func (db *DB) whyClosed(ctx context.Context, q querier, ref VisitRef, kind string) error {
	var paused, live bool
	err := q.QueryRow(ctx, `
		with held as (
			select e.id from enrollments e join definitions d on d.name = e.definition
			where e.id = $1 and e.status in ('pending', 'active') and d.status = 'paused' for share of d
		), noted as (
			insert into visits as v (enrollment_id, step, visit, kind, status, attempts, started_at)
			select id, $2, $3, $4, 'held', 0, $5 from held
			on conflict (enrollment_id, step, visit) do update set status = 'held' where v.status <> 'done'
		)
		select exists (select from held), exists (select from enrollments where id = $1 and status in ('pending', 'active'))`,
		ref.EnrollmentID, ref.Step, ref.Visit, kind, db.clock()).Scan(&paused, &live)
	switch {
	case err != nil:
		return err
	case paused:
		return ErrPaused
	case live:
		return nil
	default:
		return automation.ErrFinished
	}
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
	db.queueFinish(batch, ref, d, commit, &completed)
	// Outside a transaction, a batch is one of its own.
	return completed, translate(db.pool.SendBatch(ctx, batch).Close())
}

// queueFinish writes nothing about a user who was deleted meanwhile into the timeline.
func (db *DB) queueFinish(batch *pgx.Batch, ref VisitRef, d Done, commit string, completed *bool) {
	batch.Queue(`
		update visits v set status = 'done', error = '', finished_at = $6,
			what = case when u.id is null then '' else $4 end, output = case when u.id is null then null else $5::jsonb end
		from enrollments e left join users u on u.id = e.user_id
		where e.id = $1 and v.enrollment_id = $1 and v.step = $2 and v.visit = $3 and v.status <> 'done'
		returning `+commit,
		ref.EnrollmentID, ref.Step, ref.Visit, d.What, objectOrNull(d.Output), db.clock())
	if d.Last {
		db.queueEnd(batch, End{ID: ref.EnrollmentID, Status: automation.Completed}, completed)
	}
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

// Inside is a transaction in which a step has its effect: it commits with the record of the
// visit, so the effect happens exactly once.
type Inside struct {
	*Gate
	in  *ingest
	ref VisitRef
}

// VisitInside runs the effect of a step that is all in this database, behind the gate and in one
// transaction with the record of the visit. Where the visit was completed before, do is not called.
// Where it is the last step, the enrollment completes with it. Errors are those of BeginVisit and
// of do.
func (db *DB) VisitInside(ctx context.Context, ref VisitRef, kind string, last bool,
	do func(*Inside) (what string, output map[string]any, err error),
) error {
	var paused bool
	err := db.tx(ctx, func(tx pgx.Tx) error {
		in, err := db.joinEpoch(ctx, tx, "", 0)
		if err != nil {
			return err
		}
		g, err := db.gate(ctx, tx, ref, kind, `null`)
		if err != nil {
			if paused = errors.Is(err, ErrPaused); paused {
				return nil // commits the note that the visit is held
			}
			return err
		}
		if g.Done {
			return nil
		}
		in.source, in.depth = g.Enrollment.TemporalWorkflowID, g.Depth+1
		what, output, err := do(&Inside{Gate: g, in: in, ref: ref})
		if err != nil {
			return err
		}
		var completed bool // it is: the gate holds the enrollment's lock
		db.queueFinish(&in.writes, ref, Done{What: what, Output: output, Last: last}, `null`, &completed)
		return in.flush(ctx)
	})
	if paused && err == nil {
		err = ErrPaused
	}
	return err
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

// TakeBranch decides a branch once: the arm is recorded with the visit, and a later call returns
// the recorded one. The gate is nil in a later call. Errors are those of BeginVisit.
func (db *DB) TakeBranch(ctx context.Context, ref VisitRef) (arm int, gate *Gate, err error) {
	err = db.VisitInside(ctx, ref, string(automation.BranchStep), false, func(i *Inside) (string, map[string]any, error) {
		version, err := db.published(ctx, i.in, i.Enrollment.Workflow, i.Enrollment.Version)
		if err != nil {
			return "", nil, err
		}
		subject := filter.Subject{User: i.User.Properties}
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
	if own, err := automation.LoadZone(zone); err == nil && p.Document.TimeZone == automation.ZoneOfUser {
		local = own
	}
	return Wait{until.UTC(), until.In(local).Format("Mon 2 Jan 2006 15:04:05 MST")}, nil
}

// nullTime scans a null as the zero time.
type nullTime struct{ t *time.Time }

// Scan implements sql.Scanner.
func (n *nullTime) Scan(v any) error {
	if t, ok := v.(time.Time); ok {
		*n.t = t
	}
	return nil
}
