package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/strictjson"
)

// Intervention is what an operator or a publication wanted of an enrollment besides its program.
type Intervention struct {
	ID      int64     `json:"id"`
	Kind    string    `json:"kind" enum:"unenroll,skip,retry,jump,migrate"`
	Step    string    `json:"step,omitempty" doc:"The step that it was in."`
	Target  string    `json:"target,omitempty" doc:"Of a jump: where to."`
	Version *int      `json:"version,omitempty" doc:"Of a migration: the version it went on in."`
	Actor   string    `json:"by,omitempty" doc:"Who wanted it."`
	Reason  string    `json:"reason,omitempty" doc:"Why."`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome,omitempty" doc:"done, or why nothing came of it; empty until the enrollment has seen it."`
}

// The kinds of interventions.
const (
	SkipStep   = "skip"     // the step that it is in is over; one that failed is passed
	RetryStep  = "retry"    // the step that failed, or whose action is being tried again and again, is tried now
	JumpToStep = "jump"     // it goes on elsewhere
	ToVersion  = "migrate"  // it goes on in another version
	TakeOut    = "unenroll" // it ends
)

// Asked is an intervention that an operator asks for.
type Asked struct {
	Kind   string
	Target string // of a jump
	Actor  string
	Reason string

	OnlyFailed bool // nothing is wanted of one that runs
}

// Interventions lists those in an enrollment, oldest first.
func (db *DB) Interventions(ctx context.Context, id string) ([]Intervention, error) {
	return collect[Intervention](ctx, db.pool, `
		select id, kind, step, target, version, actor, reason, at, outcome from interventions where enrollment_id = $1 order by id`, id)
}

// Intervene records what an operator wants of an enrollment. One that failed begins anew where it
// failed, behind that, or elsewhere; then there is an order for Temporal. It returns ErrNotFound,
// ErrInvalid for a step that there is not, ErrFinished for an enrollment that ended otherwise,
// ErrAlreadyEnrolled where the user was enrolled anew meanwhile, and ErrConflict where there is nothing
// to skip or to try again.
func (db *DB) Intervene(ctx context.Context, id string, a Asked) (*Order, error) {
	if !isUUID(id) {
		return nil, automation.ErrNotFound
	}
	var order *Order
	err := db.ingestFor(ctx, id, func(in *ingest) error {
		order = nil
		s, err := in.standing(ctx, id)
		if err != nil {
			return err
		}
		version, err := db.published(ctx, in, s.Definition, s.Version)
		if err != nil {
			return err
		}
		if _, known := version.Program.Node(a.Target); a.Kind == JumpToStep && !known {
			var p strictjson.Problems
			p.Add("/step", "unknown-step", "version %d, in which it is, has no step %q", s.Version, a.Target)
			return automation.Invalid("the jump", p)
		}
		switch s.Status {
		case automation.Failed:
			order, err = in.revive(ctx, id, s, version, a)
			return err
		case automation.Pending, automation.Active:
			if a.OnlyFailed {
				return fmt.Errorf("it has not failed: %w", automation.ErrConflict)
			}
			if err := s.admits(a.Kind); err != nil {
				return err
			}
			queueIntervention(ctx, &in.writes, id, s, a, in.now, "")
			in.writes.Queue(`insert into commands (enrollment_id, kind) values ($1, 'wake')`, id)
			return nil
		case automation.Held:
			return fmt.Errorf("it is held for approval: %w", automation.ErrConflict)
		default:
			return automation.ErrFinished
		}
	})
	return order, err
}

// ingestFor runs f in a transaction that changes an enrollment. Where its version is not in use any
// more, the transaction begins a new epoch, which knows what concerns those who are in it.
func (db *DB) ingestFor(ctx context.Context, id string, f func(in *ingest) error) error {
	err := db.ingest(ctx, "", func(in *ingest) error {
		var used bool
		err := in.QueryRow(ctx, `
			select exists (select from versions v where (v.definition, v.number) = (e.definition, e.version) and `+inUse+`)
			from enrollments e where id = $1`, id).Scan(&used)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return automation.ErrNotFound
		case err != nil:
			return err
		case !used:
			return errUnused
		}
		return f(in)
	})
	if !errors.Is(err, errUnused) {
		return err
	}
	return db.publication(ctx, func(tx pgx.Tx, epoch int64) error {
		in := &ingest{Tx: tx, db: db, now: db.clock(), epoch: epoch}
		if err := f(in); err != nil {
			return err
		}
		return in.flush(ctx)
	})
}

var errUnused = errors.New("the version is not in use")

// standing is where an enrollment stands.
type standing struct {
	Definition, UserID, Step string
	Trigger                  string
	Version, Ordinal, Depth  int
	Attempt                  int
	Status                   automation.EnrollmentStatus
	Visit                    int                   // of the step
	Visiting                 automation.StepStatus // how the visit stands
	Failing                  bool                  // its action is being tried again and again
	Properties               map[string]any        // of the user; nil where he was deleted
}

// standing reads it, with the user and the enrollment locked.
func (in *ingest) standing(ctx context.Context, id string) (*standing, error) {
	if err := lockUserOf(ctx, in, id); err != nil {
		return nil, err
	}
	s, err := one[standing](ctx, in, `
		select e.definition, e.user_id, e.step, e.trigger, e.version, e.ordinal, e.depth, e.attempt, e.status, coalesce(v.visit, 0) as visit,
			coalesce(v.status, '') as visiting, coalesce(v.status = 'running' and v.error <> '', false) as failing,
			u.properties
		from enrollments e left join users u on u.id = e.user_id left join lateral (
			select visit, status, error from visits where enrollment_id = e.id and step = e.step order by visit desc limit 1) v on true
		where e.id = $1 for update of e`, id)
	return &s, err
}

// admits says whether there is something to skip or to try again.
func (s *standing) admits(kind string) error {
	switch {
	case kind == SkipStep && s.Visiting != automation.StepWaiting && s.Visiting != automation.StepHeld && !s.Failing:
		return fmt.Errorf("it does not wait: %w", automation.ErrConflict)
	case kind == RetryStep && !s.Failing:
		return fmt.Errorf("no action of it has failed: %w", automation.ErrConflict)
	}
	return nil
}

func queueIntervention(ctx context.Context, batch *pgx.Batch, id string, s *standing, a Asked, now time.Time, outcome string) {
	if !a.OnlyFailed { // of many, those that were begun anew are left out when they are asked for again
		queueMade(ctx, batch, "an intervention in enrollment "+id)
	}
	batch.Queue(`
		insert into interventions (enrollment_id, kind, step, visit, target, actor, reason, at, outcome)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		id, a.Kind, s.Step, s.Visit, a.Target, a.Actor, a.Reason, now, outcome)
}

// Position is where an enrollment begins in Temporal that does not begin at the beginning.
type Position struct {
	Step   string         `json:"step"`
	Visits map[string]int `json:"visits"`

	Attended int64 `json:"attended"` // the last intervention before
}

// revive lets an enrollment that failed begin anew in Temporal, with the same identity of its effects
// where a step is tried again.
func (in *ingest) revive(ctx context.Context, id string, s *standing, version *Published, a Asked) (*Order, error) {
	if s.Properties == nil {
		return nil, fmt.Errorf("the user was deleted: %w", automation.ErrConflict)
	}
	subject, err := in.db.subject(ctx, in, version.needs, s.UserID, s.Properties)
	if err != nil {
		return nil, err
	}
	if barred := version.Bars(subject, s.Trigger); barred != "" {
		return nil, fmt.Errorf("%w: %s", automation.ErrSuppressed, barred)
	}
	visits, err := in.visited(ctx, id)
	if err != nil {
		return nil, err
	}
	at := Position{Step: s.Step, Visits: visits}
	failed, known := version.Program.Node(s.Step)
	if !known && (a.Kind == SkipStep || a.Kind == RetryStep && s.Step != "") {
		return nil, fmt.Errorf("it did not fail at a step of version %d: %w", s.Version, automation.ErrConflict)
	}
	switch a.Kind {
	case SkipStep:
		at.Step = failed.Next
		in.writes.Queue(`
			update visits set status = 'skipped', output = coalesce(output, '{}') || '{"outcome": "skipped"}'
			where enrollment_id = $1 and step = $2 and visit = $3`, id, s.Step, s.Visit)
	case JumpToStep:
		at.Step = a.Target
	default:
		if at.Step == "" {
			at.Step = version.Program.Start
		}
		if visits[at.Step] > 0 { // also one that was done: the gate knows it, and it is passed
			visits[at.Step]--
		}
	}
	in.writes.Queue(`update interventions set outcome = 'the enrollment had failed' where enrollment_id = $1 and outcome = ''`, id)
	queueIntervention(ctx, &in.writes, id, s, a, in.now, "done")
	if err := in.flush(ctx); err != nil {
		return nil, err
	}
	if err := in.QueryRow(ctx, `select max(id) from interventions where enrollment_id = $1`, id).Scan(&at.Attended); err != nil {
		return nil, err
	}
	tag, err := in.Exec(ctx, `
		update enrollments e set status = 'pending', reason = '', ended_at = null, ended_seq = null, handed_at = null,
			attempt = attempt + 1, position = $2, due = $3, checked_at = null, offered_at = null
		where id = $1 and not exists (
			select from enrollments o where o.definition = e.definition and o.user_id = e.user_id and o.ended_at is null)`, id, at, in.now)
	if err != nil {
		return nil, err
	}
	if tag.RowsAffected() == 0 {
		return nil, automation.ErrAlreadyEnrolled
	}
	if err := in.tellPassage(ctx, s); err != nil {
		return nil, err
	}
	return &Order{ID: id, Definition: s.Definition, Version: s.Version, UserID: s.UserID, Ordinal: s.Ordinal, Attempt: s.Attempt + 1}, nil
}

// tellPassage writes an item where a filter asks about the workflow that a user entered or left.
func (in *ingest) tellPassage(ctx context.Context, s *standing) error {
	live, err := in.db.live(ctx, in, in.epoch)
	if err != nil {
		return err
	}
	in.writes.Queue(`
		insert into work_items (user_id, epoch, depth, at, properties, changed, events, workflows)
		select id, $2, $3, $4, properties, '{}', '[]', array[$5] from users where id = $1 and $5 = any($6)`,
		s.UserID, in.epoch, s.Depth+1, in.now, s.Definition, live.passages())
	return nil
}

// visited counts the visits of each step of an enrollment.
func (in *ingest) visited(ctx context.Context, id string) (map[string]int, error) {
	rows, err := collect[struct {
		Step  string
		Visit int
	}](ctx, in, `select step, max(visit) as visit from visits where enrollment_id = $1 group by step`, id)
	if err != nil {
		return nil, err
	}
	failed, err := one[struct{ Position *Position }](ctx, in, `select position from enrollments where id = $1`, id)
	visits := make(map[string]int, len(rows))
	if failed.Position != nil { // steps that leave no visit: where a loop begins again
		maps.Copy(visits, failed.Position.Visits)
	}
	for _, r := range rows {
		visits[r.Step] = r.Visit
	}
	return visits, err
}

// PositionOf is where an enrollment begins in Temporal; nil: at the beginning.
func (db *DB) PositionOf(ctx context.Context, id string) (*Position, error) {
	row, err := one[struct{ Position *Position }](ctx, db.pool, `select position from enrollments where id = $1`, id)
	return row.Position, err
}

// Wanted is an intervention that an enrollment has to follow.
type Wanted struct {
	ID      int64
	Kind    string
	Landing automation.Landing
	Program *automation.Program // of a migration
}

// NextWanted returns the first intervention after one that was followed, which an enrollment that stands
// at a place has to follow; the zero value where there is none. What cannot be followed is passed.
// Asked again, it returns the same. It returns ErrFinished where the enrollment is not live.
func (db *DB) NextWanted(ctx context.Context, ref VisitRef, followed int64, at automation.Place) (Wanted, error) {
	var wanted Wanted
	err := db.tx(ctx, func(tx pgx.Tx) error {
		wanted = Wanted{}
		if err := lockUserOf(ctx, tx, ref.EnrollmentID); err != nil {
			return err
		}
		e, err := one[struct {
			Definition string
			Version    int
			Live       bool
		}](ctx, tx, `select definition, version, `+carried(`$2`)+` as live from enrollments e where id = $1 for update`, ref.EnrollmentID, followed)
		if errors.Is(err, automation.ErrNotFound) || err == nil && !e.Live {
			return automation.ErrFinished
		}
		if err != nil {
			return err
		}
		open, err := collect[openIntervention](ctx, tx, `
			select id, kind, step, visit, target, version, mapping, landing from interventions
			where enrollment_id = $1 and id > $2 and kind <> 'unenroll' order by id`, ref.EnrollmentID, followed)
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for _, i := range open {
			outcome := "done"
			switch i.Kind {
			case SkipStep, RetryStep:
				if !at.Inside || i.Step != at.Step || i.Visit != ref.Visit {
					outcome = "the enrollment had gone on"
				} else {
					wanted = Wanted{ID: i.ID, Kind: i.Kind}
				}
			case JumpToStep:
				version, err := db.published(ctx, tx, e.Definition, e.Version)
				if err != nil {
					return err
				}
				if _, known := version.Program.Node(i.Target); known {
					wanted = Wanted{ID: i.ID, Kind: i.Kind, Landing: automation.Landing{Step: i.Target}}
				} else {
					outcome = "the version that it is in has no such step"
				}
			case ToVersion:
				if wanted, err = db.migration(ctx, tx, e.Definition, e.Version, at, i); err != nil {
					return err
				}
			}
			landing := wanted.Landing
			batch.Queue(`update interventions set outcome = $2, landing = coalesce(landing, $3) where id = $1`, i.ID, outcome, &landing)
			if wanted.ID != 0 {
				db.queueFollow(batch, ref, wanted, at)
				break
			}
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	return wanted, err
}

type openIntervention struct {
	ID         int64
	Kind, Step string
	Visit      int
	Target     string
	Version    *int
	Mapping    map[string]string
	Landing    *automation.Landing // where it was followed before, and the answer got lost
}

// migration finds where an enrollment goes on in another version.
func (db *DB) migration(ctx context.Context, q querier, definition string, from int, at automation.Place, i openIntervention) (Wanted, error) {
	old, err := db.published(ctx, q, definition, from)
	if err != nil {
		return Wanted{}, err
	}
	version, err := db.published(ctx, q, definition, *i.Version)
	if err != nil {
		return Wanted{}, err
	}
	w := Wanted{ID: i.ID, Kind: ToVersion, Program: &version.Program}
	if i.Landing != nil {
		w.Landing = *i.Landing
	} else {
		w.Landing = old.Program.Land(&version.Program, at, i.Mapping)
	}
	return w, nil
}

// queueFollow records what following an intervention means.
func (db *DB) queueFollow(batch *pgx.Batch, ref VisitRef, w Wanted, at automation.Place) {
	now := db.clockOf(ref)
	if w.Kind == ToVersion {
		// The clock asks the conditions to leave of the new version at once.
		batch.Queue(`update enrollments set version = $2, due = $3 where id = $1`, ref.EnrollmentID, w.Program.Version, now)
	}
	switch {
	case !at.Inside || w.Kind == RetryStep:
	case w.Landing.Stays:
		// When a delay ends is found anew as it is entered again.
		var atMost *time.Duration
		if n, ok := w.Program.Node(at.Step); ok {
			atMost = (*time.Duration)(n.AtMost)
		}
		batch.Queue(`
			update visits set until = case kind when 'wait_for' then started_at + $4::interval when 'delay' then null else until end
			where enrollment_id = $1 and step = $2 and visit = $3 and status = 'waiting'`,
			ref.EnrollmentID, ref.Step, ref.Visit, atMost)
	default:
		batch.Queue(`update enrollments set waiting_until = null where id = $1`, ref.EnrollmentID)
		batch.Queue(`
			update visits set status = 'skipped', finished_at = $4, output = coalesce(output, '{}') || '{"outcome": "skipped"}'
			where enrollment_id = $1 and step = $2 and visit = $3 and status in ('waiting', 'held', 'running')`, ref.EnrollmentID, ref.Step, ref.Visit, now)
	}
}
