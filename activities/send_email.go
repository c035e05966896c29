package activities

import (
	"context"
	"fmt"
	"time"

	"rollcall/automation"
	"rollcall/connect/email"
)

// SendEmail sends one mail. The key is its Message-ID.
type SendEmail struct{ *Deps }

// SendEmailParams is the "with" of a send_email step.
type SendEmailParams struct {
	To       Texts  `json:"to" doc:"Who gets it: addresses, user ids, \"manager\", \"team:support\", or \"property:buddy\"."`
	Cc       Texts  `json:"cc,omitempty" doc:"Who gets a copy."`
	ReplyTo  Texts  `json:"reply_to,omitempty" doc:"Where answers go, named as in to; to the sender if left out."`
	FromName string `json:"from_name,omitempty" doc:"The name that the mail comes from; its address stays the configured one."`
	Subject  string `json:"subject" doc:"One line."`
	Body     string `json:"body,omitempty" doc:"The plain text."`
	HTML     string `json:"html,omitempty" doc:"The formatted text; values in it are escaped."`

	Connection string `json:"connection,omitempty" doc:"The connection that is used; if left out, the mail server of the configuration, or the oldest such connection."`
}

// Kind names the action.
func (SendEmailParams) Kind() string { return "send_email" }

// About describes the action.
func (SendEmailParams) About() (title, description string) {
	return "Send an email", "Sends one mail, as plain text, HTML or both."
}

// FirstTry is long: a mail that is cut short may arrive twice.
func (SendEmailParams) FirstTry() time.Duration { return 10 * time.Second }

// Gives says what later steps can use.
func (SendEmailParams) Gives() map[string]string {
	return map[string]string{"recipients": "How many the mail went to, copies included."}
}

// ConnectionKind is that of the connections that a step may name.
func (SendEmailParams) ConnectionKind() string { return automation.SMTPConnection }

// Escaping keeps values from becoming markup.
func (SendEmailParams) Escaping() map[string]Escaping { return map[string]Escaping{"html": HTML} }

// Check wants a recipient, a subject and a text.
func (p SendEmailParams) Check(c *Checking) {
	c.Connection(p.Connection)
	c.RequireOne("to", p.To)
	c.recipients("to", p.To...)
	c.recipients("cc", p.Cc...)
	c.recipients("reply_to", p.ReplyTo...)
	if c.Settled(p.FromName) {
		if err := email.CheckName(p.FromName); err != nil {
			c.Add("/from_name", "invalid-value", "%s", err)
		}
	}
	c.Require("subject", p.Subject)
	if p.Body == "" && p.HTML == "" {
		c.Add("", "required", "body or html is required")
	}
}

// Do sends the mail.
func (a *SendEmail) Do(ctx context.Context, c Call[SendEmailParams]) (Output, error) {
	mail, err := a.mail(ctx, c.Params.Connection)
	if err != nil {
		return Output{}, err
	}
	to, err := addresses(ctx, a.DB, c.Params.To, &c.User)
	if err != nil {
		return Output{}, err
	}
	if len(to) == 0 {
		return Output{What: aloneInTeam}, nil
	}
	cc, err := a.others(ctx, c.Params.Cc, &c.User)
	if err != nil {
		return Output{}, err
	}
	replyTo, err := a.others(ctx, c.Params.ReplyTo, &c.User)
	if err != nil {
		return Output{}, err
	}
	err = mail.Send(ctx, email.Message{
		ID: c.Key, FromName: c.Params.FromName, ReplyTo: replyTo, To: to, Cc: cc,
		Subject: c.Params.Subject, Text: c.Params.Body, HTML: c.Params.HTML,
	})
	if err != nil {
		return Output{}, err
	}
	n := len(to) + len(cc) // the addresses themselves stay out of the timeline
	return Output{What: fmt.Sprintf("mailed %d recipient(s)", n), Values: map[string]any{"recipients": n}}, nil
}

// others are addresses that need not be there.
func (a *SendEmail) others(ctx context.Context, list Texts, enrolled *automation.User) ([]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return addresses(ctx, a.DB, list, enrolled)
}
