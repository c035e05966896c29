package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// RunStatus is how far a run is.
type RunStatus string

// The statuses of a run. All but the first two are ends.
const (
	RunRunning   RunStatus = "running"
	RunPaused    RunStatus = "paused"
	RunCompleted RunStatus = "completed"
	RunAborted   RunStatus = "aborted"
	RunFailed    RunStatus = "failed"
	RunMissed    RunStatus = "missed" // a firing that enrolled nobody
)

// Run enrolls many users into one version, some of them at a time.
type Run struct {
	ID                 string         `json:"id"`
	Workflow           string         `json:"workflow"`
	Version            int            `json:"version"`
	Kind               string         `json:"kind" enum:"backfill,schedule" doc:"A backfill enrolls those for whom a filter trigger held when the version was published; a schedule those whom one of its firings concerns."`
	Status             RunStatus      `json:"status" enum:"running,paused,completed,aborted,failed,missed"`
	Trigger            *int           `json:"trigger,omitempty" doc:"The position of the schedule trigger."`
	Nominal            *string        `json:"nominal,omitempty" doc:"The local time of the firing."`
	DueAt              *time.Time     `json:"due_at,omitempty" doc:"When the firing was due."`
	ByHand             bool           `json:"by_hand,omitempty" doc:"Somebody asked for it."`
	Matched            int            `json:"matched" doc:"How many users are to be decided."`
	Enrolled           int            `json:"enrolled"`
	Held               int            `json:"held" doc:"Enrollments that wait for approval."`
	Skipped            map[string]int `json:"skipped" doc:"How many were not enrolled, by reason."`
	Started            int            `json:"started" doc:"How many of the enrolled have begun their first step."`
	PerSecond          int            `json:"per_second,omitempty" doc:"How many are decided a second; 0: as fast as it goes."`
	Reason             string         `json:"reason,omitempty" doc:"Why it ended early."`
	CreatedAt          time.Time      `json:"created_at"`
	UpdatedAt          time.Time      `json:"updated_at"`
	EndedAt            *time.Time     `json:"ended_at,omitempty"`
	TemporalWorkflowID string         `json:"temporal_workflow_id"`
}

// Done is the share of the users that are decided, from 0 to 1.
func (r *Run) Done() float64 {
	if r.EndedAt != nil && r.Status == RunCompleted || r.Matched == 0 {
		return 1
	}
	decided := r.Enrolled + r.Held
	for _, n := range r.Skipped {
		decided += n
	}
	return float64(decided) / float64(r.Matched)
}

const (
	runColumns = `(select count(*) from enrollments e where e.run_id = runs.id and e.started_at is not null) as started, ` + runOnly
	// runOnly leaves out what has to be counted.
	runOnly = `id::text, definition as workflow, version, kind, status, trigger, nominal, due_at, by_hand, matched, enrolled, held, skipped,
		per_second, reason, created_at, updated_at, ended_at, workflow_id as temporal_workflow_id`
)

func newBackfill(ctx context.Context, tx pgx.Tx, v *Published, matched, perSecond int, now time.Time) (*Run, error) {
	r, err := one[Run](ctx, tx, `
		insert into runs (id, definition, version, kind, status, matched, per_second, workflow_id, created_at, updated_at)
		values ($1, $2, $3, 'backfill', 'running', $4, $5, $6, $7, $7) returning `+runColumns,
		newID(), v.Name, v.Number, matched, perSecond, fmt.Sprintf("rollcall/backfill/%s/%d", v.Name, v.Number), now)
	return &r, err
}

// RunCursor is a place in the list of runs.
type RunCursor struct {
	CreatedAt time.Time
	ID        string
}

// Runs lists the runs of a definition, newest first, at most limit of them, beginning after the one at
// the cursor, if there is one. Returns ErrNotFound if there is no such definition.
func (db *DB) Runs(ctx context.Context, definition string, after *RunCursor, limit int) ([]Run, error) {
	if _, err := db.Definition(ctx, definition); err != nil {
		return nil, err
	}
	var at *time.Time
	var id *string
	if after != nil {
		at, id = &after.CreatedAt, &after.ID
	}
	return collect[Run](ctx, db.pool, `
		select `+runColumns+` from runs
		where definition = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
		order by created_at desc, id desc limit $4`, definition, at, id, limit)
}

// Run returns a run of a definition. Returns ErrNotFound if there is none.
func (db *DB) Run(ctx context.Context, definition, id string) (*Run, error) {
	if !isUUID(id) {
		return nil, automation.ErrNotFound
	}
	r, err := one[Run](ctx, db.pool, `select `+runColumns+` from runs where definition = $1 and id = $2`, definition, id)
	return &r, err
}

// SetRun pauses a run, lets it go on, or aborts it: the status is RunPaused, RunRunning or RunAborted.
// What is enrolled stays so. It returns ErrNotFound, or ErrFinished for a run that has ended.
func (db *DB) SetRun(ctx context.Context, definition, id string, status RunStatus) (*Run, error) {
	if !isUUID(id) {
		return nil, automation.ErrNotFound
	}
	err := db.tx(ctx, func(tx pgx.Tx) error {
		r, err := one[struct {
			Status  RunStatus
			EndedAt *time.Time
		}](ctx, tx, `select status, ended_at from runs where definition = $1 and id = $2 for update`, definition, id)
		if err != nil {
			return err
		}
		if r.EndedAt != nil {
			return fmt.Errorf("the run was %s: %w", r.Status, automation.ErrFinished)
		}
		now := db.clock()
		var ended *time.Time
		reason := ""
		if status == RunAborted {
			ended, reason = &now, "on request"
			if _, err := tx.Exec(ctx, `delete from run_users where run_id = $1`, id); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `update runs set status = $2, ended_at = $3, reason = $4, updated_at = $5 where id = $1`, id, string(status), ended, reason, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db.Run(ctx, definition, id)
}

// notAnyMore is why a backfill skips users.
const notAnyMore = "the filter does not hold any more"

// Step is what one step of a run came to.
type Step struct {
	Run     Run
	Decided int // how many users it decided
}

// StepRun decides the next users of a run, at most limit of them and as many as its rate allows in a
// second, in one transaction with the place it
// has come to, so that each is decided once. A run that is paused notes that it has to be told when it
// may go on.
func (db *DB) StepRun(ctx context.Context, id string, limit int) (*Step, error) {
	var step Step
	err := db.ingest(ctx, "", func(in *ingest) error {
		r, err := one[struct {
			Run
			Position string
		}](ctx, in, `select 0 as started, `+runOnly+`, position from runs where id = $1 for update`, id)
		if err != nil {
			return err
		}
		step = Step{Run: r.Run}
		switch {
		case r.EndedAt != nil:
			_, err := in.Exec(ctx, `update runs set parked = false where id = $1 and parked`, id)
			return err
		case r.Status == RunPaused:
			_, err := in.Exec(ctx, `update runs set parked = true where id = $1`, id)
			return err
		}
		version, err := db.published(ctx, in, r.Workflow, r.Version)
		if err != nil {
			return err
		}
		if r.PerSecond > 0 {
			limit = min(limit, r.PerSecond)
		}
		matches, position, err := in.nextMatches(ctx, &r.Run, version, r.Position, limit)
		if err != nil {
			return err
		}
		decisions, err := in.decide(ctx, matches)
		if err != nil {
			return err
		}
		step.count(decisions)
		return step.save(ctx, in, position, position == nil)
	})
	return &step, err
}

// nextMatches lists the users of a run that come next: of a backfill those for whom a trigger has held
// since the publication, of a firing those whom it concerned. They do not change until the transaction
// ends. Those who were deleted meanwhile are left out; last is the last of all, nil where none is left.
func (in *ingest) nextMatches(ctx context.Context, r *Run, version *Published, after string, limit int) (matches []Match, last *string, err error) {
	next, args := `
		select user_id, min(trigger) as trigger from memberships
		where user_id > $1 and definition = $3 and version = $4 and holds and since = $5
		group by user_id order by user_id limit $2`, []any{after, limit, r.Workflow, r.Version, r.CreatedAt}
	if r.Trigger != nil {
		next, args = `
			select user_id, $4::int as trigger from run_users where user_id > $1 and run_id = $3 order by user_id limit $2`,
			[]any{after, limit, r.ID, *r.Trigger}
	}
	if err := in.QueryRow(ctx, `select max(user_id) from (`+next+`) m`, args...).Scan(&last); err != nil || last == nil {
		return nil, nil, err
	}
	users, err := collect[struct {
		ID         string
		Trigger    int
		Properties map[string]any
	}](ctx, in, `
		select u.id, m.trigger, u.properties from (`+next+`) m join users u on u.id = m.user_id
		where u.id <= $`+strconv.Itoa(len(args)+1)+` order by u.id for no key update of u`, append(args, *last)...)
	if err != nil {
		return nil, nil, err
	}
	records := map[string]*record{}
	needs := version.allNeeds()
	if !needs.None() {
		moments := make([]moment, len(users))
		for i, u := range users {
			moments[i] = present(u.ID, in.now)
		}
		if records, err = in.db.records(ctx, in, needs, moments); err != nil {
			return nil, nil, err
		}
	}
	matches = make([]Match, len(users))
	for i, u := range users {
		s := filter.Subject{User: u.Properties, Now: in.now}
		if rec := records[u.ID]; rec != nil {
			s.Past = rec.past()
		}
		m := Match{Version: version, Trigger: u.Trigger, UserID: u.ID, Run: &r.ID}
		if holds := version.Triggers[u.Trigger].Holds; holds != nil && !holds.Match(s) {
			m.Refused = notAnyMore
		} else {
			m.judge(s)
		}
		matches[i] = m
	}
	return matches, last, nil
}

func (s *Step) count(decisions []decision) {
	r := &s.Run
	s.Decided = len(decisions)
	if r.Skipped == nil {
		r.Skipped = map[string]int{}
	}
	for _, d := range decisions {
		switch d.Outcome {
		case "enrolled":
			r.Enrolled++
		case "held":
			r.Held++
		default:
			r.Skipped[d.Reason]++
		}
	}
}

// save records how far the run is. Those it did not come to any more had ceased to match.
func (s *Step) save(ctx context.Context, in *ingest, position *string, last bool) error {
	r := &s.Run
	r.UpdatedAt = in.now
	if last {
		r.Status, r.EndedAt = RunCompleted, &in.now
		missing := r.Matched - r.Enrolled - r.Held
		for _, n := range r.Skipped {
			missing -= n
		}
		if missing > 0 {
			r.Skipped[map[string]string{"backfill": notAnyMore, "schedule": "the user was deleted"}[r.Kind]] += missing
		}
		if _, err := in.Exec(ctx, `delete from run_users where run_id = $1`, r.ID); err != nil {
			return err
		}
	}
	skipped, err := json.Marshal(r.Skipped)
	if err != nil {
		return fmt.Errorf("write run: %w", err)
	}
	_, err = in.Exec(ctx, `
		update runs set status = $2, enrolled = $3, held = $4, skipped = $5, position = coalesce($6, position),
			updated_at = $7, ended_at = $8, parked = false
		where id = $1`, r.ID, string(r.Status), r.Enrolled, r.Held, skipped, position, in.now, r.EndedAt)
	return err
}

// RunOrder is a run that Temporal must be told of.
type RunOrder struct {
	ID                 string
	TemporalWorkflowID string
	Definition         string
	Title              string
	Kind               string
	Start              bool // else it waits for a word to go on
}

// RunsToTell lists runs that Temporal has not been given, and those that wait there for a word to go on
// though they are not paused any more.
func (db *DB) RunsToTell(ctx context.Context) ([]RunOrder, error) {
	return collect[RunOrder](ctx, db.pool, `
		select r.id::text, r.workflow_id as temporal_workflow_id, r.definition, d.title, r.kind, r.handed_at is null as start
		from runs r join definitions d on d.name = r.definition
		where r.ended_at is null and r.handed_at is null or r.parked and r.status <> 'paused'`)
}

// RunTold records that Temporal was told of a run.
func (db *DB) RunTold(ctx context.Context, o RunOrder) error {
	if !o.Start {
		return nil // its next step notes that it goes on; until then it may be told again
	}
	_, err := db.pool.Exec(ctx, `update runs set handed_at = $2, updated_at = $2 where id = $1 and workflow_id = $3`, o.ID, db.clock(), o.TemporalWorkflowID)
	return translate(err)
}

// StillRuns lists runs that Temporal has and that have not moved since an age ago.
func (db *DB) StillRuns(ctx context.Context, age time.Duration) ([]RunOrder, error) {
	return collect[RunOrder](ctx, db.pool, `
		select r.id::text, r.workflow_id as temporal_workflow_id, r.definition, '' as title, r.kind, false as start
		from runs r where ended_at is null and status = 'running' and handed_at is not null and updated_at < $1`, db.clock().Add(-age))
}

// RunLost lets a run that Temporal does not carry any more be given to it once more, if it has not
// ended; it goes on where it was.
func (db *DB) RunLost(ctx context.Context, o RunOrder) error {
	batch := &pgx.Batch{}
	batch.Queue(`update runs set parked = false where id = $1 and workflow_id = $2`, o.ID, o.TemporalWorkflowID)
	batch.Queue(`
		update runs set handed_at = null, attempt = attempt + 1, updated_at = $3,
			workflow_id = 'rollcall/' || kind || '/' || definition || '/' || id || '/' || attempt + 1
		where id = $1 and workflow_id = $2 and ended_at is null`, o.ID, o.TemporalWorkflowID, db.clock())
	return translate(db.pool.SendBatch(ctx, batch).Close())
}

// FailRun ends a run that cannot go on.
func (db *DB) FailRun(ctx context.Context, id, reason string) (*Run, error) {
	now := db.clock()
	batch := &pgx.Batch{}
	batch.Queue(`delete from run_users where run_id = $1`, id)
	batch.Queue(`update runs set status = 'failed', reason = $2, ended_at = $3, updated_at = $3 where id = $1 and ended_at is null`, id, reason, now)
	if err := db.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, translate(err)
	}
	r, err := one[Run](ctx, db.pool, `select `+runColumns+` from runs where id = $1`, id)
	return &r, err
}
