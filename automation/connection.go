package automation

import (
	"encoding/json"
	"time"
)

// The kinds of connections.
const (
	SMTPConnection    = "smtp"
	SlackConnection   = "slack"
	GoogleConnection  = "google"
	WebhookConnection = "webhook"
)

// Connection is a named way out of the house with the credentials for it, as it is known: what is
// secret of it is nowhere here.
type Connection struct {
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	Settings   map[string]any `json:"settings"`
	Configured []string       `json:"configured" doc:"The names of the secrets that it has."`

	DisabledAt     *time.Time `json:"disabled_at,omitempty" doc:"Since when nothing is sent by it: the receiver said that it is gone for good. Writing the connection enables it again."`
	DisabledReason string     `json:"disabled_reason,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by,omitempty" doc:"The name of the API key."`
}

// ConnectionKind describes one kind of connection.
type ConnectionKind struct {
	Kind        string          `json:"kind"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Settings    json.RawMessage `json:"settings" doc:"JSON Schema of the settings."`
	Secrets     json.RawMessage `json:"secrets" doc:"JSON Schema of the secrets."`
}

// ConnectionTest is what came of trying a connection.
type ConnectionTest struct {
	OK     bool   `json:"ok"`
	What   string `json:"what" doc:"What was tried."`
	Error  string `json:"error,omitempty" doc:"Why it failed."`
	Millis int64  `json:"took_ms"`
}

// CheckConnectionName says what is wrong with the name of a connection.
func CheckConnectionName(name string) Problems {
	var p Problems
	if !slug.MatchString(name) {
		p.Add("", "invalid-name", "a name is 1 to 64 characters of a-z, 0-9, - and _, and begins with a letter or digit")
	}
	return p
}

// NeedsConnection lists where the document names a connection, as pointers.
func (d *Document) NeedsConnection(name string) []string {
	var places []string
	walkSteps(d.Steps, "/steps", func(s *Step, at string) {
		if s.With["connection"] == name {
			places = append(places, at+"/with/connection")
		}
	})
	return places
}

// ConnectionDraft is a connection as somebody writes it.
type ConnectionDraft struct {
	Kind     string         `json:"kind" doc:"As GET /v1/connection-kinds lists them: smtp, slack, google or webhook. It stays."`
	Settings map[string]any `json:"settings" doc:"As the kind has them."`
	Secrets  map[string]any `json:"secrets,omitempty" doc:"As the kind has them. One that is left out stays as it is, unless the connection leads somewhere else now; null removes it."`
}
