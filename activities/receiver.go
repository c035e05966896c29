package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/connect/webhook"
)

// receiver is a webhook connection as it is used.
type receiver struct {
	base    string
	headers map[string]string
	hidden  []string // the values of those that are secret
	signing []string
	sender  *webhook.Sender
}

func newReceiver(out *Outgoing, s webhookSettings, x webhookSecrets) (*receiver, error) {
	if err := webhook.CheckURL(s.URL); err != nil {
		return nil, err
	}
	if strings.ContainsAny(s.URL, "?#") {
		return nil, errors.New("the address of a connection ends before its query")
	}
	for _, secret := range x.Signing {
		if err := webhook.CheckSecret(secret); err != nil {
			return nil, err
		}
	}
	all := map[string]string{}
	for _, headers := range []map[string]string{s.Headers, x.Headers} { // what is secret comes last, and counts
		for name, value := range headers {
			all[http.CanonicalHeaderKey(name)] = value
		}
	}
	hidden := slices.Collect(maps.Values(x.Headers))
	if err := webhook.CheckHeaders(all); err != nil {
		return nil, err
	}
	return &receiver{base: s.URL, headers: all, hidden: hidden, signing: x.Signing, sender: webhook.New(out.Client)}, nil
}

// address is where a step that uses the connection sends something: the whole address, which has to
// begin with that of the connection, or what follows that.
func (r *receiver) address(of string) (string, error) {
	switch {
	case of == "":
		return r.base, nil
	case !absolute(of):
		of = strings.TrimSuffix(r.base, "/") + "/" + strings.TrimLeft(of, "/")
	}
	rest, inside := strings.CutPrefix(of, r.base)
	if !inside || rest != "" && !strings.HasSuffix(r.base, "/") && !strings.ContainsAny(rest[:1], "/?") {
		return "", connect.Permanent(fmt.Errorf("the address does not begin with that of the connection, %s", r.base))
	}
	path, _, _ := strings.Cut(rest, "?")
	if leadsUp(path) {
		return "", connect.Permanent(fmt.Errorf("the address leads out of that of the connection, %s", r.base))
	}
	return of, nil
}

// absolute reports whether an address has its scheme.
func absolute(address string) bool {
	scheme, _, found := strings.Cut(address, "://")
	return found && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http"))
}

// leadsUp reports whether somebody may understand a path as one that leads out of where it begins, after
// decoding it once or more often.
func leadsUp(path string) bool {
	for range 4 {
		for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part, _, _ = strings.Cut(part, ";"); part == ".." {
				return true
			}
		}
		plain, err := url.PathUnescape(path)
		if err != nil || plain == path {
			return err != nil
		}
		path = plain
	}
	return true
}

// check sends an event that says that it is a test.
func (r *receiver) check(ctx context.Context) error {
	_, err := r.sender.Send(ctx, webhook.Request{
		ID: "test", URL: r.base, Headers: r.headers, Hidden: r.hidden, Secrets: r.signing, Body: []byte(`{"type":"rollcall.test","data":{}}`),
	})
	return err
}

// send sends a request by the way out that a step names: by a connection, with its headers and under its
// address; else as it is, signed with the secrets of the configuration. A connection whose receiver says
// that it is gone is disabled.
func (d *Deps) send(ctx context.Context, connection string, r *webhook.Request) (webhook.Response, error) {
	if connection == "" {
		if d.Webhook == nil {
			return webhook.Response{}, connect.Permanent(errors.New("webhooks are not configured"))
		}
		r.Secrets = d.WebhookSecrets
		return d.Webhook.Send(ctx, *r)
	}
	if d.Connections == nil {
		return webhook.Response{}, connect.Permanent(errors.New("connections are not configured"))
	}
	c, client, err := d.Connections.named(ctx, connection, automation.WebhookConnection)
	if err != nil {
		return webhook.Response{}, err
	}
	by := client.(*receiver)
	if r.URL, err = by.address(r.URL); err != nil {
		return webhook.Response{}, err
	}
	headers := maps.Clone(r.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	maps.DeleteFunc(headers, func(name, _ string) bool { return by.has(name) })
	maps.Copy(headers, by.headers)
	r.Headers, r.Hidden, r.Secrets = headers, by.hidden, by.signing
	answer, err := by.sender.Send(ctx, *r)
	if answer.Status == http.StatusGone && r.URL == by.base { // else it speaks of one thing under it
		if err := d.DB.DisableConnection(ctx, c.Name, c.Revision, "the receiver answered 410 Gone"); err != nil {
			return answer, err
		}
	}
	return answer, err
}

// has reports whether the connection has a header of its own.
func (r *receiver) has(name string) bool {
	for own := range r.headers {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	return false
}
