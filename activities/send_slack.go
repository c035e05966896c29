package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/connect"
	"rollcall/connect/slack"
	"rollcall/postgres"
)

// SendSlack posts one message.
type SendSlack struct {
	db    *postgres.DB
	slack *slack.Sender
}

// SendSlackParams is the "with" of a send_slack step.
type SendSlackParams struct {
	To   string `json:"to" doc:"A channel (#people or its id), a Slack user id, an email address, or a Rollcall user."`
	Text string `json:"text" doc:"The message in Slack's markup; values in it are escaped."`
}

// Kind names the action.
func (SendSlackParams) Kind() string { return "send_slack" }

// About describes the action.
func (SendSlackParams) About() (title, description string) {
	return "Send a Slack message", "Posts a message to a channel or a person."
}

// FirstTry is long: a message that is cut short may appear twice.
func (SendSlackParams) FirstTry() time.Duration { return 10 * time.Second }

// Escaping keeps values from becoming mentions and links.
func (SendSlackParams) Escaping() map[string]Escaping { return map[string]Escaping{"text": SlackText} }

// Check wants a recipient and a text.
func (p SendSlackParams) Check(c *Checking) {
	c.Require("to", p.To)
	c.Require("text", p.Text)
}

// Do posts the message. A Rollcall user is found in Slack by the email address.
func (a *SendSlack) Do(ctx context.Context, c Call[SendSlackParams]) (Output, error) {
	if a.slack == nil {
		return Output{}, connect.Permanent(errors.New("slack is not configured"))
	}
	users, others, err := recipients(ctx, a.db, []string{c.Params.To}, &c.User)
	if err != nil {
		return Output{}, err
	}
	if n := len(users) + len(others); n != 1 {
		return Output{}, connect.Permanent(fmt.Errorf("a message goes to one channel or person, not %d", n))
	}
	var to string
	if len(others) == 1 {
		to = others[0]
	} else if to, _ = users[0].Properties["email"].(string); to == "" {
		return Output{}, connect.Permanent(fmt.Errorf("user %q has no email address to be found by in slack", users[0].ID))
	}
	stamp, err := a.slack.Send(ctx, slack.Message{To: to, Text: c.Params.Text})
	if err != nil {
		return Output{}, err
	}
	return Output{What: "posted to " + c.Params.To, Values: map[string]any{"ts": stamp}}, nil
}
