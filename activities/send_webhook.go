package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rollcall/automation"
	"rollcall/connect/webhook"
)

// SendWebhook calls another system, signed by Standard Webhooks. The key is the webhook-id.
type SendWebhook struct{ *Deps }

// SendWebhookParams is the "with" of a send_webhook step.
type SendWebhookParams struct {
	URL     string            `json:"url,omitempty" doc:"Where it goes. The host must not be a template. With a connection: what follows its address, or nothing."`
	Method  string            `json:"method,omitempty" doc:"POST if left out; or GET, PUT, PATCH, DELETE."`
	Headers map[string]string `json:"headers,omitempty" doc:"More headers."`
	Body    any               `json:"body,omitempty" doc:"Sent as JSON. Left out: the user, the event and the enrollment."`

	Connection string `json:"connection,omitempty" doc:"The connection whose address, headers and signature are used."`
}

// Kind names the action.
func (SendWebhookParams) Kind() string { return "send_webhook" }

// About describes the action.
func (SendWebhookParams) About() (title, description string) {
	return "Send a webhook", "Sends an HTTP request, signed as Standard Webhooks says. Its status and body are outputs."
}

// FirstTry is short: the receiver knows a repetition by its webhook-id.
func (SendWebhookParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (SendWebhookParams) Gives() map[string]string {
	return map[string]string{
		"status": "The status of the answer, such as 200.",
		"body":   "The answer, where it is JSON; of its first 4 KiB.",
	}
}

// Check judges what is sent.
func (p SendWebhookParams) Check(c *Checking) {
	c.Connection(p.Connection)
	switch {
	case p.Connection == "" && p.URL == "":
		c.Add("/url", "required", "url is required, unless a connection is named")
		return
	case p.Connection == "" || absolute(p.URL):
		p.checkURL(c)
	}
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if p.Method != "" && c.Settled(p.Method) && !slices.Contains(methods, p.Method) {
		c.Add("/method", "invalid-method", "the method is GET, POST, PUT, PATCH or DELETE")
	}
	if err := webhook.CheckHeaders(p.Headers); err != nil {
		c.Add("/headers", "invalid-header", "%s", err)
	}
}

// checkURL wants scheme and host written out, so that no value decides where a request goes.
func (p SendWebhookParams) checkURL(c *Checking) {
	address := p.URL
	if !c.Settled(address) {
		address = address[:strings.IndexByte(address, '{')]
		if _, rest, _ := strings.Cut(address, "://"); !strings.ContainsAny(rest, "/?#") {
			c.Add("/url", "template-in-host", "the scheme and the host of an address must not be templates")
			return
		}
	}
	if err := webhook.CheckURL(address); err != nil {
		c.Add("/url", "invalid-url", "%s", err)
	}
}

// ConnectionKind is that of the connections that a step may name.
func (SendWebhookParams) ConnectionKind() string { return automation.WebhookConnection }

// Foresee says what a receiver answers that takes it.
func (SendWebhookParams) Foresee() map[string]any { return map[string]any{"status": http.StatusOK} }

// Do sends the request.
func (a *SendWebhook) Do(ctx context.Context, c Call[SendWebhookParams]) (Output, error) {
	body, err := c.Params.body(&c)
	if err != nil {
		return Output{}, err
	}
	r := webhook.Request{ID: c.Key, Method: c.Params.Method, URL: c.Params.URL, Headers: c.Params.Headers, Body: body}
	answer, err := a.send(ctx, c.Params.Connection, &r)
	if err != nil {
		return Output{}, err
	}
	values := map[string]any{"status": answer.Status}
	var decoded any
	if json.Unmarshal(answer.Body, &decoded) == nil {
		values["body"] = storableJSON(decoded)
	}
	return Output{What: fmt.Sprintf("called %s: %d", host(r.URL), answer.Status), Values: values}, nil
}

func (p SendWebhookParams) body(c *Call[SendWebhookParams]) ([]byte, error) {
	if p.Method == http.MethodGet {
		return nil, nil
	}
	body := p.Body
	if body == nil {
		body = map[string]any{
			"type": "workflow." + c.Enrollment.Workflow,
			"data": map[string]any{
				"user": userOf(c.User), "event": c.Enrollment.Event, "enrollment": enrollmentOf(&c.Enrollment),
			},
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write webhook body: %w", err)
	}
	return text, nil
}

// storableJSON makes every text in a value of JSON storable.
func storableJSON(v any) any {
	switch v := v.(type) {
	case string:
		return storable(v)
	case []any:
		for i, item := range v {
			v[i] = storableJSON(item)
		}
		return v
	case map[string]any:
		members := make(map[string]any, len(v))
		for name, item := range v {
			members[storable(name)] = storableJSON(item)
		}
		return members
	default:
		return v
	}
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return u.Host
}
