package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/connect/webhook"
	"rollcall/postgres"
	"rollcall/strictjson"
)

// CallSystem calls another system and takes its answer, now or later. The key is the webhook-id.
type CallSystem struct{ *Deps }

// CallParams is the "with" of a call step.
type CallParams struct {
	URL     string            `json:"url,omitempty" doc:"What is called. The host must not be a template. With a connection: what follows its address, or nothing."`
	Headers map[string]string `json:"headers,omitempty" doc:"More headers."`
	Inputs  map[string]any    `json:"inputs,omitempty" doc:"What it is told besides the user, the event and the enrollment."`
	AtMost  *Lasting          `json:"at_most,omitempty" doc:"How long an answer may be pending, such as 12h or 14d; 7d if left out, at most 1y."`

	Connection string `json:"connection,omitempty" doc:"The connection whose address, headers and signature are used."`
}

// Lasting is an amount of time in the params of an action.
type Lasting = automation.Duration

const (
	usualPatience = Lasting(7 * 24 * time.Hour)
	mostPatience  = Lasting(366 * 24 * time.Hour)

	maxCallAnswer = 64 << 10
)

// Kind names the action.
func (CallParams) Kind() string { return "call" }

// About describes the action.
func (CallParams) About() (title, description string) {
	return "Call another system", "Calls another system and takes its answer, which it may also give later, to a callback."
}

// FirstTry is short: the receiver knows a repetition by its webhook-id.
func (CallParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (CallParams) Gives() map[string]string {
	return map[string]string{
		"status": "What the system says: success or fail_continue.",
		"error":  "Why it failed, where it says fail_continue.",
		"<name>": "Each of the outputs that the system gives, by its name.",
	}
}

// ConnectionKind is that of the connections that a step may name.
func (CallParams) ConnectionKind() string { return automation.WebhookConnection }

// Pends lets an answer be given later.
func (CallParams) Pends() {}

// Check judges what is called, and for how long an answer is waited for.
func (p CallParams) Check(c *Checking) {
	SendWebhookParams{URL: p.URL, Headers: p.Headers, Connection: p.Connection}.Check(c)
	if p.AtMost != nil && (*p.AtMost <= 0 || *p.AtMost > mostPatience) {
		c.Add("/at_most", "delay-out-of-range", "must be more than no time and at most a year")
	}
}

// Foresee says what a system answers that succeeds.
func (CallParams) Foresee() map[string]any { return map[string]any{"status": automation.CallSucceeded} }

// Do calls the system.
func (a *CallSystem) Do(ctx context.Context, c Call[CallParams]) (Output, error) {
	patience := usualPatience
	if c.Params.AtMost != nil {
		patience = *c.Params.AtMost
	}
	callback, err := a.callback(ctx, c.ref, time.Duration(patience))
	if err != nil {
		return Output{}, err
	}
	body, err := json.Marshal(map[string]any{
		"type": "workflow." + c.Enrollment.Workflow + "." + c.ref.Step,
		"data": map[string]any{
			"user": userOf(c.User), "event": c.Enrollment.Event, "enrollment": enrollmentOf(&c.Enrollment), "inputs": c.Params.Inputs,
		},
		"callback": callback,
	})
	if err != nil {
		return Output{}, fmt.Errorf("write call: %w", err)
	}
	r := webhook.Request{ID: c.Key, URL: c.Params.URL, Headers: c.Params.Headers, Body: body, Keep: maxCallAnswer}
	answer, err := a.send(ctx, c.Params.Connection, &r)
	if err != nil {
		return Output{}, err
	}
	out, err := outcomeOf(&answer, host(r.URL), time.Duration(patience))
	if err == nil && out.pending > 0 && a.PublicURL == "" {
		err = connect.Permanent(errors.New("the answer is to come later, and nobody knows where to: ROLLCALL_PUBLIC_URL is not set"))
	}
	return out, err
}

// callback is what a system is told about answering later; nil where it could not reach us.
func (a *CallSystem) callback(ctx context.Context, ref postgres.VisitRef, patience time.Duration) (any, error) {
	if a.PublicURL == "" {
		return nil, nil
	}
	token, err := a.DB.NewCallback(ctx, ref)
	return map[string]any{
		"url": a.PublicURL + "/v1/callbacks/" + token, "expires_at": time.Now().Add(patience).UTC().Format(time.RFC3339),
	}, err
}

// outcomeOf reads an answer. One that says nothing is a success.
func outcomeOf(answer *webhook.Response, host string, patience time.Duration) (Output, error) {
	var given automation.CallAnswer
	var object map[string]any
	err := json.Unmarshal(answer.Body, &object)
	switch looksLikeJSON := bytes.HasPrefix(bytes.TrimSpace(answer.Body), []byte("{")); {
	case answer.Cut:
		return Output{}, connect.Permanent(fmt.Errorf("%s answers with more than %d KiB", host, maxCallAnswer>>10))
	case looksLikeJSON && err != nil:
		return Output{}, connect.Permanent(fmt.Errorf("%s answers with JSON that is broken", host))
	}
	if object["status"] != nil {
		var p strictjson.Problems
		if strictjson.Decode(storableJSON(object), "", &given, &p); len(p) > 0 {
			return Output{}, connect.Permanent(fmt.Errorf("%s does not answer as a call is answered: %s %s", host, p[0].Pointer, p[0].Message))
		}
	} else {
		given.Status = automation.CallSucceeded
	}
	if given.OutputSize() > automation.MaxCallOutputs {
		return Output{}, connect.Permanent(fmt.Errorf("%s answers with outputs of more than %d bytes", host, automation.MaxCallOutputs))
	}
	switch given.Status {
	case automation.CallPending:
		return Output{What: "called " + host + ", which answers later", pending: patience}, nil
	case automation.CallSucceeded:
		return Output{What: "called " + host, Values: postgres.CallOutput(&given)}, nil
	case automation.CallFailedOn:
		return Output{What: cut("called " + host + ", which failed: " + given.Error), Values: postgres.CallOutput(&given)}, nil
	case automation.CallFailed:
		return Output{}, connect.Permanent(fmt.Errorf("%s answers that it failed: %s", host, cut(given.Error)))
	default:
		return Output{}, connect.Permanent(fmt.Errorf("%s answers with the status %q, which is none of success, fail_continue, fail and pending", host, strictjson.Short(given.Status)))
	}
}

// userOf is what other systems are told of a user.
func userOf(u automation.User) map[string]any {
	return map[string]any{"id": u.ID, "properties": u.Properties}
}

// enrollmentOf is what other systems are told of an enrollment.
func enrollmentOf(e *automation.Enrollment) map[string]any {
	return map[string]any{"id": e.ID, "workflow": e.Workflow, "version": e.Version}
}
