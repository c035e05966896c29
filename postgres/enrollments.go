package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

const enrollmentColumns = `id::text, definition as workflow, version, user_id, status, step, waiting_until, reason, trigger, event,
	created_at, started_at, ended_at, held_until, definition || '/' || user_id || '/' || ordinal as temporal_workflow_id, ordinal`

// Enrollment returns an enrollment. Returns ErrNotFound if there is none.
func (db *DB) Enrollment(ctx context.Context, id string) (*automation.Enrollment, error) {
	if !isUUID(id) {
		return nil, automation.ErrNotFound
	}
	e, err := one[automation.Enrollment](ctx, db.pool, `select `+enrollmentColumns+` from enrollments where id = $1`, id)
	return &e, err
}

// EnrollmentQuery selects enrollments; an empty member selects all.
type EnrollmentQuery struct {
	Workflow string
	UserID   string
	Status   automation.EnrollmentStatus
	Before   *EnrollmentCursor // begins after this one, in the order listed
	Limit    int
}

// EnrollmentCursor is a place in the list of enrollments.
type EnrollmentCursor struct {
	CreatedAt time.Time
	ID        string
}

// Enrollments lists enrollments, newest first.
func (db *DB) Enrollments(ctx context.Context, q EnrollmentQuery) ([]automation.Enrollment, error) {
	args := pgx.NamedArgs{"workflow": q.Workflow, "user": q.UserID, "status": string(q.Status), "limit": q.Limit}
	sql := `select ` + enrollmentColumns + ` from enrollments where true`
	for _, condition := range []struct {
		set bool
		sql string
	}{
		{q.Workflow != "", ` and definition = @workflow`},
		{q.UserID != "", ` and user_id = @user`},
		{q.Status != "", ` and status = @status`},
		{q.Before != nil, ` and (created_at, id) < (@at, @id::uuid)`},
	} {
		if condition.set {
			sql += condition.sql
		}
	}
	if q.Before != nil {
		args["at"], args["id"] = q.Before.CreatedAt, q.Before.ID
	}
	return collect[automation.Enrollment](ctx, db.pool, sql+` order by created_at desc, id desc limit @limit`, args)
}

// Timeline lists the last 1,000 visits of an enrollment in the order in which they began.
func (db *DB) Timeline(ctx context.Context, id string) ([]automation.Visit, error) {
	visits, err := collect[automation.Visit](ctx, db.pool, `
		select step, visit, kind, status, what, attempts, until, '' as shown, output, error, started_at, finished_at
		from (select * from visits where enrollment_id = $1 order by started_at desc limit 1000) v
		order by started_at, coalesce(finished_at, 'infinity'), visit`, id)
	if err != nil || !slices.ContainsFunc(visits, func(v automation.Visit) bool { return v.Until != nil }) {
		return visits, err
	}
	_, zone, err := db.versionOf(ctx, db.pool, id)
	if err != nil {
		return nil, err
	}
	for i := range visits {
		if v := &visits[i]; v.Until != nil {
			v.Shown = shownIn(*v.Until, zone)
		}
	}
	return visits, nil
}

// Unenroll takes a user out of a definition, for somebody who asks: once it returns, no action of the
// enrollment starts. Steps that run at that moment are returned; they may still finish. It returns
// ErrNotFound, or ErrFinished when the enrollment has ended.
func (db *DB) Unenroll(ctx context.Context, id, reason, actor string) (e *automation.Enrollment, running []string, err error) {
	if !isUUID(id) {
		return nil, nil, automation.ErrNotFound
	}
	err = db.ingestAbout(ctx, id, func(in *ingest) error {
		status, err := one[struct{ Status automation.EnrollmentStatus }](ctx, in, `select status from enrollments where id = $1 for update`, id)
		if err != nil {
			return err
		}
		if !status.Status.Live() {
			return automation.ErrFinished
		}
		in.now = db.clock() // no step begins any more, and every one that did began before
		if running, err = collectScalars[string](ctx, in, `
			select step from visits where enrollment_id = $1 and status = 'running' order by started_at`, id); err != nil {
			return err
		}
		in.writes.Queue(`
			insert into interventions (enrollment_id, kind, step, actor, reason, at, outcome)
			select id, 'unenroll', step, $2, $3, $4, 'done' from enrollments where id = $1`, id, actor, reason, in.now)
		return in.queueEnd(ctx, End{ID: id, Status: automation.Unenrolled, Reason: reason, Private: true}, new(bool))
	})
	if err != nil {
		return nil, nil, err
	}
	e, err = db.Enrollment(ctx, id)
	return e, running, err
}

// End is the end of an enrollment.
type End struct {
	ID     string
	Status automation.EnrollmentStatus
	Reason string
	Step   string    // where it failed; "" keeps the step that is recorded
	At     time.Time // by the clock of the workflow, where that runs ahead of ours

	Visits   map[string]int // of one that failed: how often each step was entered, also those that leave no visit
	Attended int64          // the last intervention that the run of Temporal followed that says so

	Finish *VisitRef // it completes with this visit, where that was not skipped meanwhile,
	In     int       // and where it is in this version still

	Private bool // the reason is in somebody's own words: Temporal is not told
}

// queueEnd ends an enrollment where it is live, when the writes are flushed, and says then whether it
// was.
func (in *ingest) queueEnd(ctx context.Context, e End, ended *bool) error {
	live, err := in.db.live(ctx, in, in.epoch)
	if err == nil {
		queueEnd(&in.writes, live, e, in.now, ended)
	}
	return err
}

// queueEnd ends an enrollment where it is live, and says whether it was. The batch must hold the lock
// of publications. Temporal is told of an unenrollment by a command. Where a filter asks about
// workflows, or may do so in an epoch that is not the one of the set, it is asked about the user.
func queueEnd(batch *pgx.Batch, live *LiveSet, e End, now time.Time, ended *bool) {
	var finish VisitRef
	if e.Finish != nil {
		finish = *e.Finish
	}
	batch.Queue(`
		with ended as (
			update enrollments set status = $2, rejected = rejected or status = 'held',
				held_until = case when status = 'held' then $4 else held_until end, reason = $3, ended_at = $4, ended_seq = nextval('moments'), waiting_until = null, due = null,
				step = case when $2 <> 'failed' then '' when $5 = '' then step else $5 end
			where id = $1 and ended_at is null and ($8 = '' or version = $10 and exists (
				select from visits where enrollment_id = $1 and step = $8 and visit = $9 and status <> 'skipped'))
			returning definition, user_id, depth
		), item as (
			insert into work_items (user_id, epoch, depth, at, properties, changed, events, workflows)
			select u.id, p.epoch, e.depth + 1, $4, u.properties, '{}', '[]', array[e.definition]
			from publication p, ended e join users u on u.id = e.user_id
			where p.epoch <> $6 or e.definition = any($7) for no key update of u
		)
		select exists (select from ended)`, e.ID, string(e.Status), e.Reason, now, e.Step, live.Epoch, live.passages(), finish.Step, finish.Visit, e.In,
	).QueryRow(func(row pgx.Row) error { return row.Scan(ended) })
	visits := map[automation.EnrollmentStatus]automation.StepStatus{
		automation.Completed:  automation.StepDone, // a delay that was the last step
		automation.Failed:     automation.StepFailed,
		automation.Unenrolled: automation.StepStopped,
	}[e.Status]
	batch.Queue(`
		update visits set status = $3, finished_at = $2
		where enrollment_id = $1 and status in ('waiting', 'held', 'running')
		and exists (select from enrollments where id = $1 and ended_at is not null)`, e.ID, now, string(visits))
	if e.Visits != nil {
		batch.Queue(`update enrollments set position = jsonb_build_object('visits', $2::jsonb) where id = $1 and status = 'failed'`, e.ID, e.Visits)
	}
	if e.Status == automation.Unenrolled {
		batch.Queue(`insert into commands (enrollment_id, kind, private) values ($1, 'unenroll', $2)`, e.ID, e.Private)
	}
}

// EndEnrollment records that an enrollment came to its end. Where it has ended already, or was begun
// anew since, that stands; the status and reason in force are returned. Without a status it only reads them, and
// returns ErrConflict where the enrollment is live. Why it failed is the error that was recorded of
// its step; where none was, the reason given.
func (db *DB) EndEnrollment(ctx context.Context, e End) (automation.EnrollmentStatus, string, error) {
	status, reason := e.Status, e.Reason
	err := db.ingestAbout(ctx, e.ID, func(in *ingest) error {
		old, err := one[struct {
			Status   automation.EnrollmentStatus
			Reason   string
			Attended int64 // when the run that goes on began
		}](ctx, in, `
			select status, reason, coalesce((position ->> 'attended')::bigint, 0) as attended from enrollments where id = $1 for update`, e.ID)
		switch {
		case err != nil:
			return err
		case !old.Status.Live(), e.Attended < old.Attended: // or it failed, and another run goes on already
			status, reason = old.Status, old.Reason
			return nil
		case e.Status == "":
			return fmt.Errorf("enrollment %s is live: %w", e.ID, automation.ErrConflict)
		case e.Status == automation.Failed && e.Step != "":
			recorded, err := collectScalars[string](ctx, in, `
				select error from visits where enrollment_id = $1 and step = $2 order by visit desc limit 1`, e.ID, e.Step)
			if err != nil {
				return err
			}
			if text := strings.Join(recorded, ""); text != "" {
				e.Reason = "step " + e.Step + ": " + text
			}
		}
		reason = e.Reason
		in.now = db.clockOf(VisitRef{At: e.At})
		return in.queueEnd(ctx, e, new(bool))
	})
	return status, reason, err
}

// ToStart lists enrollments that Temporal does not have: those made longer ago than lost and not
// handed to it, and those handed longer ago than unbegun whose first step has not begun. Those of runs
// are left out.
func (db *DB) ToStart(ctx context.Context, limit int, lost, unbegun time.Duration) ([]Order, error) {
	now := db.clock()
	return collect[Order](ctx, db.pool, `
		select id::text, definition, version, user_id, ordinal, attempt, fast_forward from enrollments
		where status = 'pending' and run_id is null and (handed_at is null and created_at < $2 or handed_at < $3)
		order by created_at limit $1`, limit, now.Add(-lost), now.Add(-unbegun))
}

// RunsToStart takes enrollments of runs that Temporal does not have, oldest first, so many that no more
// than limit are on their way to their first step: what Temporal has to put aside, it is slow to take up
// again. What it takes nobody else is offered for the time of lost.
func (db *DB) RunsToStart(ctx context.Context, limit int, lost, unbegun time.Duration) ([]Order, error) {
	now := db.clock()
	return collect[Order](ctx, db.pool, `
		update enrollments set offered_at = $2 where id in (
			select id from enrollments
			where status = 'pending' and run_id is not null
			and (handed_at is null and (offered_at is null or offered_at < $3) or handed_at < $4 and offered_at < $3
				and not exists (select from definitions d where d.name = definition and d.status = 'paused'))
			order by created_at limit greatest(0, $1 - (
				select count(*) from (select from enrollments where status = 'pending' and run_id is not null and handed_at > $4 limit $1) w))
			for update skip locked
		)
		returning id::text, definition, version, user_id, ordinal, attempt, fast_forward`, limit, now, now.Add(-lost), now.Add(-unbegun))
}

// ToCheck lists live enrollments that should have moved on since before, or whose wait should have
// ended by then, and that Temporal was not asked about since before either; those that wait without an
// end once a day. They count as asked.
func (db *DB) ToCheck(ctx context.Context, limit int, age time.Duration) ([]Order, error) {
	now := db.clock()
	return collect[Order](ctx, db.pool, `
		update enrollments set checked_at = $2 where id in (
			select id from enrollments
			where ended_at is null and status <> 'held' and (status <> 'pending' or handed_at is not null)
			and coalesce(checked_at, created_at) < $3
			and coalesce(waiting_until, started_at, handed_at, 'infinity') < $3
			and (waiting_until is not null or coalesce(checked_at, created_at) < $2::timestamptz - interval '1 day' or not exists (
				select from visits v where v.enrollment_id = enrollments.id and v.status in ('waiting', 'held') and v.until is null))
			order by coalesce(checked_at, created_at) limit $1 for update skip locked
		)
		returning id::text, definition, version, user_id, ordinal, attempt, fast_forward`, limit, now, now.Add(-age))
}

// MarkHanded records which orders Temporal took. It matters for those whose first step has not
// begun; rows that a first step is writing at this moment are left out.
func (db *DB) MarkHanded(ctx context.Context, orders []Order) error {
	ids, attempts := make([]string, len(orders)), make([]int, len(orders))
	for i, o := range orders {
		ids[i], attempts[i] = o.ID, o.Attempt
	}
	_, err := db.pool.Exec(ctx, `
		update enrollments set handed_at = $3 where id in (
			select e.id from unnest($1::uuid[], $2::int[]) o (id, attempt)
			join enrollments e on e.id = o.id and e.attempt = o.attempt and e.status = 'pending' for update of e skip locked
		)
		returning `+relaxed, ids, attempts, db.clock())
	return translate(err)
}

// Command is something that Temporal has still to be told about an enrollment.
type Command struct {
	ID                 int64
	EnrollmentID       string
	Kind               string // "unenroll", "resume" or "wake"
	Attempts           int
	TemporalWorkflowID string
	Reason             string // as Temporal may know it
	Live               bool   // the enrollment has not ended
}

// Commands lists what Temporal has still to be told: what is put off for later behind all that is not.
func (db *DB) Commands(ctx context.Context, limit int) ([]Command, error) {
	return collect[Command](ctx, db.pool, `
		select c.id, c.enrollment_id::text, c.kind, c.attempts, e.ended_at is null as live,
			case when c.private then 'taken out on request' else e.reason end as reason,
			e.definition || '/' || e.user_id || '/' || e.ordinal as temporal_workflow_id
		from commands c join enrollments e on e.id = c.enrollment_id
		where c.not_before <= $2 order by c.not_before, c.id limit $1`, limit, db.clock())
}

// CommandDone forgets a command.
func (db *DB) CommandDone(ctx context.Context, id int64) error {
	_, err := db.pool.Exec(ctx, `delete from commands where id = $1`, id)
	return translate(err)
}

// CommandFailed puts a command off for a while.
func (db *DB) CommandFailed(ctx context.Context, id int64) error {
	_, err := db.pool.Exec(ctx, `
		update commands set attempts = attempts + 1,
			not_before = $2::timestamptz + least(interval '1 minute', interval '200 milliseconds' * power(2, least(attempts, 10)))
		where id = $1`, id, db.clock())
	return translate(err)
}

// Decision is why a user was or was not enrolled when a trigger matched.
type Decision struct {
	Workflow     string    `json:"workflow"`
	Version      int       `json:"version"`
	UserID       string    `json:"user_id"`
	At           time.Time `json:"at"`
	Trigger      int       `json:"trigger"` // position; -1 for a request
	Outcome      string    `json:"outcome"` // "enrolled", "held" or "refused"
	Reason       string    `json:"reason,omitempty"`
	EnrollmentID *string   `json:"enrollment_id,omitempty"`
}

// Decisions lists the decisions about a user in a definition, newest first.
func (db *DB) Decisions(ctx context.Context, definition, userID string, limit int) ([]Decision, error) {
	return collect[Decision](ctx, db.pool, `
		select definition as workflow, version, user_id, at, trigger, outcome, reason, enrollment_id::text
		from decisions where definition = $1 and user_id = $2 order by id desc limit $3`, definition, userID, limit)
}

// Notification is a message to a user inside the product.
type Notification struct {
	ID           int64     `json:"id"`
	UserID       string    `json:"user_id"`
	Text         string    `json:"text"`
	EnrollmentID *string   `json:"enrollment_id,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
}

// Notifications lists the notifications of a user, or of all where userID is empty, newest first,
// at most limit of them, beginning before the one with the id given; 0 begins at the newest.
func (db *DB) Notifications(ctx context.Context, userID string, before int64, limit int) ([]Notification, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	return collect[Notification](ctx, db.pool, `
		select id, user_id, text, enrollment_id::text, created_at from notifications
		where ($1 = '' or user_id = $1) and id < $2 order by id desc limit $3`, userID, before, limit)
}

func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range id {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}
