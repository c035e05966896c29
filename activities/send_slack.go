package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/connect/slack"
	"rollcall/strictjson"
)

// SendSlack posts one message.
type SendSlack struct{ *Deps }

// SendSlackParams is the "with" of a send_slack step.
type SendSlackParams struct {
	To     string           `json:"to" doc:"A channel (#people or its id), a Slack user id, an email address, a Rollcall user, \"manager\", or \"property:buddy\"."`
	Text   string           `json:"text" doc:"The message in Slack's markup; values in it are escaped. With blocks, what notifications say."`
	Blocks []map[string]any `json:"blocks,omitempty" doc:"The layout in Slack's Block Kit, at most 50 blocks; values in it are escaped."`

	Connection string `json:"connection,omitempty" doc:"The connection that is used; if left out, that of the configuration, or the oldest such connection."`
}

// Kind names the action.
func (SendSlackParams) Kind() string { return "send_slack" }

// About describes the action.
func (SendSlackParams) About() (title, description string) {
	return "Send a Slack message", "Posts a message to a channel or a person."
}

// FirstTry is long: a message that is cut short may appear twice.
func (SendSlackParams) FirstTry() time.Duration { return 10 * time.Second }

// Gives says what later steps can use.
func (SendSlackParams) Gives() map[string]string {
	return map[string]string{"ts": "The timestamp by which Slack knows the message."}
}

// ConnectionKind is that of the connections that a step may name.
func (SendSlackParams) ConnectionKind() string { return automation.SlackConnection }

// Escaping keeps values from becoming mentions and links.
func (SendSlackParams) Escaping() map[string]Escaping {
	return map[string]Escaping{"text": SlackText, "blocks": SlackText}
}

// Check wants a recipient, a text, and blocks that say their types.
func (p SendSlackParams) Check(c *Checking) {
	c.Connection(p.Connection)
	c.Require("to", p.To)
	c.Require("text", p.Text)
	c.recipients("to", p.To)
	if at, err := slack.CheckBlocks(p.Blocks); err != nil && at < 0 {
		c.Add("/blocks", "too-many", "%s", err)
	} else if err != nil {
		c.Add(strictjson.Index("/blocks", at)+"/type", "required", "%s", err)
	}
	for i, block := range p.Blocks {
		if !c.Settled(block["type"]) {
			c.Add(strictjson.Index("/blocks", i)+"/type", "invalid-value", "the type of a block must not be a template")
		}
	}
}

// Do posts the message. A Rollcall user is found in Slack by the email address.
func (a *SendSlack) Do(ctx context.Context, c Call[SendSlackParams]) (Output, error) {
	sender, err := a.slack(ctx, c.Params.Connection)
	if err != nil {
		return Output{}, err
	}
	users, others, err := recipients(ctx, a.DB, []string{c.Params.To}, &c.User)
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
	stamp, err := sender.Send(ctx, slack.Message{To: to, Text: c.Params.Text, Blocks: c.Params.Blocks})
	if err != nil {
		return Output{}, err
	}
	where := c.Params.To
	if strings.Contains(where, "@") {
		where = "an address" // it stays out of the timeline
	}
	return Output{What: "posted to " + where, Values: map[string]any{"ts": stamp}}, nil
}
