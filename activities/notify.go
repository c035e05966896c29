package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rollcall/connect"
	"rollcall/postgres"
)

// Notify writes a notification that users see inside the product, exactly once.
type Notify struct{}

// NotifyParams is the "with" of a notify step.
type NotifyParams struct {
	To   Texts  `json:"to" doc:"Who is told: user ids, \"manager\", or \"team:support\"."`
	Text string `json:"text" doc:"What they read."`
}

// Kind names the action.
func (NotifyParams) Kind() string { return "notify" }

// About describes the action.
func (NotifyParams) About() (title, description string) {
	return "Notify in the product", "Writes a notification to one or several users."
}

// FirstTry is short: our own database.
func (NotifyParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (NotifyParams) Gives() map[string]string {
	return map[string]string{"users": "The ids of those who were told."}
}

// Check wants a recipient and a text.
func (p NotifyParams) Check(c *Checking) {
	c.RequireOne("to", p.To)
	c.Require("text", p.Text)
}

// DoInside writes the notifications in the transaction that records the visit.
func (*Notify) DoInside(ctx context.Context, tx *postgres.Inside, c Call[NotifyParams]) (Output, error) {
	users, others, err := recipients(ctx, tx, c.Params.To, &c.User)
	if err != nil {
		return Output{}, err
	}
	if len(others) > 0 {
		return Output{}, connect.Permanent(fmt.Errorf("there is no user %q to notify", others[0]))
	}
	if len(users) == 0 {
		return Output{What: aloneInTeam}, nil
	}
	ids, named := make([]any, len(users)), make([]string, len(users))
	for i, u := range users {
		if err := tx.Notify(ctx, c.Key+"/"+u.ID, u.ID, c.Params.Text); err != nil {
			return Output{}, err
		}
		ids[i], named[i] = u.ID, u.ID
	}
	return Output{What: "notified " + strings.Join(named, ", "), Values: map[string]any{"users": ids}}, nil
}
