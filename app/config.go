package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"go.temporal.io/sdk/client"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/connect"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/connect/webhook"
	"rollcall/postgres"
	"rollcall/secrets"
)

// Version is this build's.
const Version = "0.1.0"

// Config is all that a service can be told.
type Config struct {
	DatabaseURL string
	MaxConns    int32
	Listen      string         // host:port of the API, or of health and metrics alone
	PublicURL   string         // where other systems reach the API; "": at the address that it listens on
	API         bool           // serves the API
	Worker      bool           // carries out enrollments
	APIKeys     []string       // bearer keys that may do everything, besides those in the database
	RequireKeys bool           // nobody may call the API without a key
	RateLimit   float64        // requests a second that one key may make; 0: any number
	Temporal    client.Options // where Temporal is
	PayloadKeys []string       // encrypt what Temporal stores: 32 bytes in base64 each, the first encrypts; none: it is readable
	SecretKeys  string         // a Tink keyset, which seals the secrets of connections; "": they can have none
	TemporalUI  string         // address of Temporal's Web UI, for links
	TimeZone    string         // the organisation's: where workflows read local times that do not say it; "": UTC
	Holidays    string         // the organisation's country, whose holidays are no business days; "": none
	FastForward bool           // enrollments may be asked for whose waits Temporal skips, where its server allows it
	Log         *slog.Logger

	Mail   email.Config  // without Addr: no mail
	Slack  slack.Config  // without Token and WebhookURL: no Slack
	Sheets sheets.Config // without credentials: no Google Sheets
	// WebhookSecrets sign outgoing webhooks, in the form whsec_….
	WebhookSecrets []string

	AllowNetworks []netip.Prefix   // private networks that may be reached from outside steps
	AllowAddrs    []netip.AddrPort // single private addresses that may be reached
	AllowHTTP     bool             // plain http as well
}

// publicURL is where other systems reach the API: "" where nobody knows.
func (c *Config) publicURL(listens net.Addr) string {
	if c.PublicURL != "" {
		return strings.TrimSuffix(c.PublicURL, "/")
	}
	if at, ok := listens.(*net.TCPAddr); !c.API || !ok || at.IP.IsUnspecified() {
		return ""
	}
	return "http://" + listens.String()
}

// outgoing is how everything leaves that leaves: through the guard.
func (c *Config) outgoing() activities.Outgoing {
	guard := connect.Guard{Allow: c.AllowNetworks, AllowAddrs: c.AllowAddrs, AllowHTTP: c.AllowHTTP}
	out := activities.Outgoing{Client: connect.NewHTTPClient(guard)}
	guard.Ports = []uint16{25, 465, 587, 2525}
	out.DialMail = connect.NewDialer(guard).DialContext
	return out
}

// connections are the named ways out that the database has.
func (c *Config) connections(db *postgres.DB, out activities.Outgoing) (*activities.Connections, error) {
	var box *secrets.Box
	if c.SecretKeys != "" {
		var err error
		if box, err = secrets.Parse(c.SecretKeys); err != nil {
			return nil, fmt.Errorf("keys of secrets: %w: %w", automation.ErrInvalid, err)
		}
	}
	return activities.NewConnections(db, box, out), nil
}

// connectors builds the ways out of the building.
func (c *Config) connectors(ctx context.Context, out activities.Outgoing) (activities.Deps, error) {
	d := activities.Deps{Webhook: webhook.New(out.Client), WebhookSecrets: c.WebhookSecrets}
	for _, secret := range c.WebhookSecrets {
		if err := webhook.CheckSecret(secret); err != nil {
			return d, fmt.Errorf("webhook secret: %w: %w", automation.ErrInvalid, err)
		}
	}
	var err error
	if c.Mail.Addr != "" {
		mail := c.Mail
		mail.DialContext = out.DialMail
		if d.Mail, err = email.New(mail); err != nil {
			return d, fmt.Errorf("mail: %w", err)
		}
	}
	if c.Slack.Token != "" || c.Slack.WebhookURL != "" {
		if d.Slack, err = slack.New(c.Slack, out.Client); err != nil {
			return d, fmt.Errorf("slack: %w", err)
		}
	}
	if len(c.Sheets.CredentialsJSON) > 0 {
		if d.Sheets, err = sheets.New(ctx, c.Sheets, out.Client); err != nil {
			return d, fmt.Errorf("google sheets: %w", err)
		}
	}
	return d, nil
}

// uiRoot is where the Web UI shows the workflows of our namespace; "" where there is no Web UI.
func (c *Config) uiRoot() string {
	if c.TemporalUI == "" {
		return ""
	}
	return c.TemporalUI + "/namespaces/" + cmp.Or(c.Temporal.Namespace, client.DefaultNamespace) + "/workflows/"
}
