package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"

	"rollcall/automation"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/strictjson"
)

// Outgoing is how connections leave the house: all of it through the guard.
type Outgoing struct {
	Client   *http.Client // one of connect.NewHTTPClient
	DialMail func(ctx context.Context, network, address string) (net.Conn, error)
}

// connectionKinds are all kinds of connections.
var connectionKinds = map[string]connectionKind{
	automation.SMTPConnection: newConnectionKind("Mail", "An account on a mail server.", "connected and, as the settings say, encrypted and logged in",
		func(s smtpSettings) string { return strings.Join([]string{s.Address, s.Username, s.TLS}, " ") },
		func(out *Outgoing, s smtpSettings, x smtpSecrets) (*email.Sender, error) {
			return email.New(email.Config{Addr: s.Address, From: s.From, TLS: s.TLS, Username: s.Username, Password: x.Password, DialContext: out.DialMail})
		},
		(*email.Sender).Check),
	automation.SlackConnection: newConnectionKind("Slack", "A bot in a workspace, or an incoming webhook of one channel.", "asked Slack who the token is; an incoming webhook is not tried",
		func(s slackSettings) string { return s.APIURL },
		func(out *Outgoing, s slackSettings, x slackSecrets) (*slack.Sender, error) {
			return slack.New(slack.Config{Token: x.Token, WebhookURL: x.WebhookURL, APIURL: s.APIURL}, out.Client)
		},
		(*slack.Sender).Check),
	automation.GoogleConnection: newConnectionKind("Google", "A service account, with which spreadsheets are shared.", "asked Google for a token",
		func(s googleSettings) string { return s.Endpoint },
		func(out *Outgoing, s googleSettings, x googleSecrets) (*sheets.Client, error) {
			text, err := json.Marshal(x.Credentials)
			if err != nil {
				return nil, fmt.Errorf("write credentials: %w", err)
			}
			return sheets.New(context.Background(), sheets.Config{Endpoint: s.Endpoint, CredentialsJSON: text}, out.Client)
		},
		(*sheets.Client).Check),
	automation.WebhookConnection: newConnectionKind("Webhook or API", "Another system, with the secrets that sign what goes there and the headers it wants.", "sent an event of the type rollcall.test",
		func(s webhookSettings) string { return s.URL },
		newReceiver, (*receiver).check),
}

type smtpSettings struct {
	Address  string `json:"address" doc:"host:port of the mail server."`
	From     string `json:"from" doc:"The sender: an address, with or without a name."`
	TLS      string `json:"tls,omitempty" enum:"mandatory,implicit,opportunistic,none" doc:"mandatory if left out."`
	Username string `json:"username,omitempty" doc:"The account, where the server wants one."`
}

type smtpSecrets struct {
	Password string `json:"password,omitempty"`
}

type slackSettings struct {
	APIURL string `json:"api_url,omitempty" doc:"Slack's own if left out."`
}

type slackSecrets struct {
	Token      string `json:"token,omitempty" doc:"A bot token, xoxb-…"`
	WebhookURL string `json:"webhook_url,omitempty" doc:"Or an incoming webhook."`
}

type googleSettings struct {
	Endpoint string `json:"endpoint,omitempty" doc:"Google's own if left out."`
}

type googleSecrets struct {
	Credentials map[string]any `json:"credentials" doc:"The key file of the service account."`
}

type webhookSettings struct {
	URL     string            `json:"url" doc:"Where everything that is sent by it begins: scheme, host, and as much of the path as is the same."`
	Headers map[string]string `json:"headers,omitempty" doc:"Headers that are no secrets."`
}

type webhookSecrets struct {
	Signing Texts             `json:"signing,omitempty" doc:"Secrets that sign, whsec_…: two while one replaces the other."`
	Headers map[string]string `json:"headers,omitempty" doc:"Headers such as Authorization."`
}

// newConnectionKind makes a kind of the structs of its settings and secrets.
func newConnectionKind[S, X, C any](title, description, trial string, leads func(S) string,
	build func(out *Outgoing, settings S, secrets X) (*C, error), try func(*C, context.Context) error,
) connectionKind {
	return connectionKind{
		title: title, description: description, trial: trial,
		settings: reflect.TypeFor[S](), secrets: reflect.TypeFor[X](),
		leads: func(settings map[string]any) string {
			var s S
			strictjson.Decode(settings, "", &s, &strictjson.Problems{})
			return leads(s)
		},
		build: func(out *Outgoing, settings, given map[string]any) (any, automation.Problems) {
			var s S
			var x X
			var p automation.Problems
			strictjson.Decode(settings, "/settings", &s, &p)
			strictjson.Decode(given, "/secrets", &x, &p)
			if len(p) > 0 {
				return nil, p
			}
			client, err := build(out, s, x)
			if err != nil {
				p.Add("/settings", "connection-invalid", "%s", err)
			}
			return client, p
		},
		try: func(ctx context.Context, client any) error { return try(client.(*C), ctx) },
	}
}
