package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/connect"
	"rollcall/connect/email"
	"rollcall/postgres"
)

// SendEmail sends one mail. The key is its Message-ID.
type SendEmail struct {
	db   *postgres.DB
	mail *email.Sender
}

// SendEmailParams is the "with" of a send_email step.
type SendEmailParams struct {
	To      Texts  `json:"to" doc:"Who gets it: addresses, user ids, \"manager\", or \"team:support\"."`
	Cc      Texts  `json:"cc,omitempty" doc:"Who gets a copy."`
	Subject string `json:"subject" doc:"One line."`
	Body    string `json:"body,omitempty" doc:"The plain text."`
	HTML    string `json:"html,omitempty" doc:"The formatted text; values in it are escaped."`
}

// Kind names the action.
func (SendEmailParams) Kind() string { return "send_email" }

// About describes the action.
func (SendEmailParams) About() (title, description string) {
	return "Send an email", "Sends one mail, as plain text, HTML or both."
}

// FirstTry is long: a mail that is cut short may arrive twice.
func (SendEmailParams) FirstTry() time.Duration { return 10 * time.Second }

// Escaping keeps values from becoming markup.
func (SendEmailParams) Escaping() map[string]Escaping { return map[string]Escaping{"html": HTML} }

// Check wants a recipient, a subject and a text.
func (p SendEmailParams) Check(c *Checking) {
	c.RequireOne("to", p.To)
	c.Require("subject", p.Subject)
	if p.Body == "" && p.HTML == "" {
		c.Add("", "required", "body or html is required")
	}
}

// Do sends the mail.
func (a *SendEmail) Do(ctx context.Context, c Call[SendEmailParams]) (Output, error) {
	if a.mail == nil {
		return Output{}, connect.Permanent(errors.New("mail is not configured"))
	}
	to, err := addresses(ctx, a.db, c.Params.To, &c.User)
	if err != nil {
		return Output{}, err
	}
	if len(to) == 0 {
		return Output{What: aloneInTeam}, nil
	}
	var cc []string
	if len(c.Params.Cc) > 0 {
		if cc, err = addresses(ctx, a.db, c.Params.Cc, &c.User); err != nil {
			return Output{}, err
		}
	}
	err = a.mail.Send(ctx, email.Message{
		ID: c.Key, To: to, Cc: cc, Subject: c.Params.Subject, Text: c.Params.Body, HTML: c.Params.HTML,
	})
	if err != nil {
		return Output{}, err
	}
	n := len(to) + len(cc) // the addresses themselves stay out of the timeline
	return Output{What: fmt.Sprintf("mailed %d recipient(s)", n), Values: map[string]any{"recipients": n}}, nil
}
