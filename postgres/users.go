package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// jsonValue is any value, sent to a jsonb column as JSON; a Go string becomes a JSON string.
type jsonValue struct{ v any }

// MarshalJSON writes the value itself.
func (j jsonValue) MarshalJSON() ([]byte, error) { return json.Marshal(j.v) }

func scanUser(row pgx.Row) (*automation.User, error) {
	var u automation.User
	err := row.Scan(&u.ID, &u.Properties, &u.CreatedAt, &u.UpdatedAt)
	if err != nil {
		return nil, translate(err)
	}
	return &u, nil
}

// User returns a user. Returns ErrNotFound if there is none.
func (db *DB) User(ctx context.Context, id string) (*automation.User, error) {
	return scanUser(db.pool.QueryRow(ctx, `select id, properties, created_at, updated_at from users where id = $1`, id))
}

// Users lists users by id, at most limit of them, beginning after the id given.
func (db *DB) Users(ctx context.Context, after string, limit int) ([]automation.User, error) {
	return collect[automation.User](ctx, db.pool, `
		select id, properties, created_at, updated_at from users where id > $1 order by id limit $2`, after, limit)
}

// PutUser creates a user or replaces its properties; what is not given is cleared. A user always
// has a status: without one it is active.
// It returns an *InvalidError for properties that are unknown or of another type.
func (db *DB) PutUser(ctx context.Context, id string, properties map[string]any, source string) (user *automation.User, created bool, err error) {
	return db.writeUser(ctx, id, properties, source, func(u *automation.User, normal map[string]any) map[string]any {
		next := maps.Clone(normal)
		for _, name := range automation.ReadOnlyProperties() {
			next[name] = u.Properties[name]
		}
		return next
	}, true)
}

// PatchUser changes the properties given; null clears one. Returns ErrNotFound if there is no
// such user, and an *InvalidError for properties that are unknown or of another type.
func (db *DB) PatchUser(ctx context.Context, id string, properties map[string]any, source string) (*automation.User, error) {
	user, _, err := db.writeUser(ctx, id, properties, source, merge, false)
	return user, err
}

// UpsertUser creates a user or changes the properties given.
func (db *DB) UpsertUser(ctx context.Context, id string, properties map[string]any, source string) (user *automation.User, created bool, err error) {
	return db.writeUser(ctx, id, properties, source, merge, true)
}

func merge(u *automation.User, normal map[string]any) map[string]any {
	next := maps.Clone(u.Properties)
	maps.Copy(next, normal)
	return next
}

func (db *DB) writeUser(ctx context.Context, id string, properties map[string]any, source string,
	combine func(u *automation.User, normal map[string]any) map[string]any, create bool,
) (user *automation.User, created bool, err error) {
	if problem, ok := automation.CheckUserID(id); !ok {
		var problems automation.Problems
		problems.Add("/id", "invalid-user-id", "%s", problem)
		return nil, false, automation.Invalid("the user", problems)
	}
	err = db.ingest(ctx, source, func(in *ingest) error {
		schema, err := in.schema(ctx)
		if err != nil {
			return err
		}
		normal, problems := schema.CheckProperties(properties)
		if err := automation.Invalid("the user", atProperties(problems)); err != nil {
			return err
		}
		user, err = in.lockUser(ctx, id)
		if errors.Is(err, automation.ErrNotFound) && create {
			user, err = in.create(ctx, id, normal)
			created = err == nil
			if !errors.Is(err, automation.ErrConflict) {
				return err
			}
			user, err = in.lockUser(ctx, id) // another request created it between the two statements
		}
		if err != nil {
			return err
		}
		_, err = in.change(ctx, user, combine(user, normal))
		return err
	})
	return user, created, err
}

func atProperties(problems automation.Problems) automation.Problems {
	var moved automation.Problems
	moved.Join("/properties", problems)
	return moved
}

// DeleteUser removes a user and what is known about it, and takes it out of every workflow: no
// action starts after it returns. The ledger of enrollments, their timelines and the decisions keep
// the bare id. Returns ErrNotFound if there is no such user.
func (db *DB) DeleteUser(ctx context.Context, id, source string) error {
	return db.ingest(ctx, source, func(in *ingest) error {
		// What is being evaluated at this moment is waited for, before anything is locked: it may
		// enroll the user, and it wants the user's row for that.
		if _, err := in.Exec(ctx, `delete from work_items where user_id = $1`, id); err != nil {
			return err
		}
		if _, err := in.lockUser(ctx, id); err != nil {
			return err
		}
		live, err := collect[liveEnrollment](ctx, in, `
			select id, status from enrollments
			where user_id = $1 and status in ('held', 'pending', 'active') order by id for update`, id)
		if err != nil {
			return err
		}
		in.now = db.clock() // no step begins any more
		for _, e := range live {
			if err := in.queueEnd(ctx, End{ID: e.ID, Status: automation.Unenrolled, Reason: "the user was deleted"}, new(bool)); err != nil {
				return err
			}
		}
		in.queueErasure(id)
		gone := &automation.User{ID: id, Properties: map[string]any{}}
		event := automation.Event{ID: newID(), Name: automation.EventUserDeleted, UserID: id, OccurredAt: in.now, Properties: map[string]any{}}
		return in.enqueue(ctx, gone, nil, []automation.Event{event})
	})
}

type liveEnrollment struct {
	ID     string
	Status automation.EnrollmentStatus
}

// his are the enrollments of the user $1.
const his = `array(select id from enrollments where user_id = $1)`

// queueErasure removes what all tables say about a locked user whose enrollments have ended. Who writes
// about a user locks the row of the user, or the enrollment, and looks again whether it is there and
// live, so nothing is written afterwards. Changes, events and tasks go with the user's row.
// What the enrollments of others say of the user is theirs and stays.
func (in *ingest) queueErasure(id string) {
	in.writes.Queue(`
		update enrollments set event = null, reason = case when status = 'completed' or ended_at = $2 then reason else '' end
		where user_id = $1`, id, in.now) // other reasons are in somebody's own words, or the text of an error
	for _, statement := range []string{
		`update visits set what = '', error = '', output = null where enrollment_id = any(` + his + `)`,
		`update interventions set reason = '' where enrollment_id = any(` + his + `) and reason <> ''`,
		`update callbacks set answer = null where enrollment_id = any(` + his + `) and answer is not null`,
		`delete from notifications where user_id = $1 or enrollment_id = any(` + his + `)`, // also what others were told of the user
		`delete from work_items where user_id = $1`,
		`delete from run_users where user_id = $1`,
		`delete from memberships where user_id = $1`,
		`delete from users where id = $1`,
	} {
		in.writes.Queue(statement, id)
	}
}

// stillThere is the user u of an enrollment $1, where that was not deleted; it cannot be until the
// transaction ends. What is said of a user is written only where there is one.
const stillThere = `u as (select id from users where id = (select user_id from enrollments where id = $1) for key share)`

// History lists the changes of a user's properties, newest first, at most limit of them,
// beginning before the change with the id given; 0 begins at the newest.
// Returns ErrNotFound if there is no such user.
func (db *DB) History(ctx context.Context, userID string, before int64, limit int) (changes []automation.Change, next int64, err error) {
	if _, err := db.User(ctx, userID); err != nil {
		return nil, 0, err
	}
	if before == 0 {
		before = 1<<63 - 1
	}
	rows, err := collect[changeRow](ctx, db.pool, `
		select id, property, old, new, at, source from changes
		where user_id = $1 and id < $2 order by id desc limit $3`, userID, before, limit+1)
	if err != nil {
		return nil, 0, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	changes = []automation.Change{}
	for _, r := range rows {
		changes = append(changes, automation.Change{Property: r.Property, Old: r.Old, New: r.New, At: r.At, Source: r.Source})
	}
	return changes, next, nil
}

type changeRow struct {
	ID       int64
	Property string
	Old, New any
	At       time.Time
	Source   string
}

// TeamMembers lists the active users whose main team or teams name a team.
func (db *DB) TeamMembers(ctx context.Context, team string) ([]automation.User, error) {
	return teamMembers(ctx, db.pool, team)
}

func teamMembers(ctx context.Context, q querier, team string) ([]automation.User, error) {
	return collect[automation.User](ctx, q, `
		select id, properties, created_at, updated_at from users
		where (properties ->> 'main_team' = $1 or properties -> 'teams' ? $1)
		and coalesce(properties ->> 'status', 'active') <> 'deactivated'
		order by id limit 1000`, team)
}

// UsersByID returns those of the users that exist, by id.
func (db *DB) UsersByID(ctx context.Context, ids []string) ([]automation.User, error) {
	return usersByID(ctx, db.pool, ids)
}

func usersByID(ctx context.Context, q querier, ids []string) ([]automation.User, error) {
	return collect[automation.User](ctx, q, `
		select id, properties, created_at, updated_at from users where id = any($1) order by id`, ids)
}
