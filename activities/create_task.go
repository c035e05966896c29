package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/postgres"
)

// CreateTask gives somebody something to do, exactly once.
type CreateTask struct{}

// CreateTaskParams is the "with" of a create_task step.
type CreateTaskParams struct {
	Title    string `json:"title" doc:"What is to be done, in one line."`
	Text     string `json:"text,omitempty" doc:"More about it."`
	Assignee string `json:"assignee,omitempty" doc:"Who does it: a user id or \"manager\"; the enrolled user if left out."`
	Due      string `json:"due,omitempty" doc:"Until when: an amount of time such as 3d, or a date such as 2027-01-04."`
}

// Kind names the action.
func (CreateTaskParams) Kind() string { return "create_task" }

// About describes the action.
func (CreateTaskParams) About() (title, description string) {
	return "Create a task", "Gives a user something to do, with a day by which it is due."
}

// FirstTry is short: our own database.
func (CreateTaskParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (CreateTaskParams) Gives() map[string]string {
	return map[string]string{
		"task":     "The id of the task.",
		"assignee": "The id of the user who has it.",
	}
}

// Check wants a title, and a due time that can be read.
func (p CreateTaskParams) Check(c *Checking) {
	c.Require("title", p.Title)
	if len(p.Title) > 500 && c.Settled(p.Title) {
		c.Add("/title", "too-long", "a title has at most 500 bytes")
	}
	if p.Due != "" && c.Settled(p.Due) {
		if _, err := p.due(time.Unix(0, 0), time.UTC); err != nil {
			c.Add("/due", "invalid-date", "%s", err)
		}
	}
}

// due is when the task is due: the end of a day, or so long after now.
func (p CreateTaskParams) due(now time.Time, zone *time.Location) (*time.Time, error) {
	if p.Due == "" {
		return nil, nil
	}
	if amount, err := automation.ParseDuration(p.Due); err == nil {
		at := now.Add(time.Duration(amount)).UTC()
		return &at, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, p.Due, zone)
	if err != nil {
		return nil, errors.New("a task is due after an amount of time such as 3d, or on a date such as 2027-01-04")
	}
	at := day.AddDate(0, 0, 1).UTC()
	return &at, nil
}

// DoInside writes the task in the transaction that records the visit.
func (*CreateTask) DoInside(ctx context.Context, tx *postgres.Inside, c Call[CreateTaskParams]) (Output, error) {
	assignee := c.User.ID
	if c.Params.Assignee != "" {
		users, others, err := recipients(ctx, tx, []string{c.Params.Assignee}, &c.User)
		if err != nil {
			return Output{}, err
		}
		if len(users) != 1 || len(others) > 0 {
			return Output{}, connect.Permanent(fmt.Errorf("a task is for one user, and %q is not one", c.Params.Assignee))
		}
		assignee = users[0].ID
	}
	version, err := tx.Published(ctx, c.Enrollment.Workflow, c.Enrollment.Version)
	if err != nil {
		return Output{}, err
	}
	due, err := c.Params.due(tx.Now, version.ZoneOf(tx.User.Properties))
	if err != nil {
		return Output{}, connect.Permanent(err)
	}
	id, err := tx.CreateTask(ctx, postgres.Task{Key: c.Key, Title: c.Params.Title, Text: c.Params.Text, Assignee: assignee, DueAt: due})
	if err != nil {
		return Output{}, err
	}
	return Output{What: "gave " + assignee + " a task", Values: map[string]any{"task": id, "assignee": assignee}}, nil
}
