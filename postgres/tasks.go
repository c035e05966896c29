package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// Task is something that a user has to do.
type Task struct {
	ID           int64      `json:"id"`
	Key          string     `json:"-"`
	Title        string     `json:"title"`
	Text         string     `json:"text,omitempty"`
	Assignee     string     `json:"assignee" doc:"Who does it."`
	UserID       string     `json:"user_id" doc:"Whom the enrollment is about that asked for it."`
	EnrollmentID *string    `json:"enrollment_id,omitempty"`
	DueAt        *time.Time `json:"due_at,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
	DoneAt       *time.Time `json:"done_at,omitempty"`
}

const taskColumns = `id, key, title, text, assignee, user_id, enrollment_id::text, due_at, created_at, done_at`

// CreateTask writes a task for a user. It returns ErrUnknownUser when there is none.
func (i *Inside) CreateTask(ctx context.Context, t Task) (id int64, err error) {
	err = i.in.QueryRow(ctx, `
		insert into tasks (key, title, text, assignee, user_id, enrollment_id, due_at, created_at)
		select $1, $2, $3, a.id, u.id, $6, $7, $8 from users a, users u where a.id = $4 and u.id = $5
		on conflict (key) do update set title = excluded.title returning id`,
		t.Key, t.Title, t.Text, t.Assignee, i.Enrollment.UserID, i.ref.EnrollmentID, t.DueAt, i.Now).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, automation.ErrUnknownUser
	}
	return id, err
}

// TaskQuery selects tasks; an empty member selects all.
type TaskQuery struct {
	Assignee string
	Open     *bool
	Before   int64 // begins behind the task with this id; 0: at the newest
	Limit    int
}

// Tasks lists tasks, newest first.
func (db *DB) Tasks(ctx context.Context, q TaskQuery) ([]Task, error) {
	if q.Before == 0 {
		q.Before = 1<<63 - 1
	}
	return collect[Task](ctx, db.pool, `
		select `+taskColumns+` from tasks
		where ($1 = '' or assignee = $1) and ($2::bool is null or (done_at is null) = $2) and id < $3 order by id desc limit $4`,
		q.Assignee, q.Open, q.Before, q.Limit)
}

// SetTaskDone notes that a task is done, or is not after all. Returns ErrNotFound if there is none.
func (db *DB) SetTaskDone(ctx context.Context, id int64, done bool) (*Task, error) {
	t, err := one[Task](ctx, db.pool, `
		update tasks set done_at = case when $2 then coalesce(done_at, $3) end where id = $1 returning `+taskColumns, id, done, db.clock())
	return &t, err
}

// Enroll enrolls the user of the step in another definition, as a consequence of the step. What refuses
// is returned in words. Errors are ErrNotFound and ErrNotActive.
func (i *Inside) Enroll(ctx context.Context, definition string) (id, refused string, err error) {
	version, err := i.in.db.liveVersion(ctx, i.in, definition)
	if err != nil {
		return "", "", err
	}
	subject, err := i.in.db.subject(ctx, i.in, version.needs, i.Enrollment.UserID, i.User.Properties)
	if err != nil {
		return "", "", err
	}
	match := Match{Version: version, Trigger: Requested, UserID: i.Enrollment.UserID, Depth: i.in.depth}
	match.judge(subject)
	decisions, err := i.in.decide(ctx, []Match{match})
	if err != nil {
		return "", "", err
	}
	if d := decisions[0]; d.Outcome == "refused" {
		return "", d.Reason, nil
	}
	return decisions[0].ID, "", nil
}

// Unenroll takes the user of the step out of another definition, and reports whether he was in it.
func (i *Inside) Unenroll(ctx context.Context, definition, reason string) (bool, error) {
	id, err := collectScalars[string](ctx, i.in, `
		select id::text from enrollments where definition = $1 and user_id = $2 and ended_at is null for update`, definition, i.Enrollment.UserID)
	if err != nil || len(id) == 0 {
		return false, err
	}
	i.in.now = i.in.db.clock() // no step of it begins any more
	ended := false
	if err := i.in.queueEnd(ctx, End{ID: id[0], Status: automation.Unenrolled, Reason: reason, Private: true}, &ended); err != nil {
		return false, err
	}
	return true, i.in.flush(ctx)
}
