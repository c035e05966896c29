package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/postgres"
	"rollcall/secrets"
	"rollcall/strictjson"
)

// Connections are the ways out that have names: written by operators, kept in the database with their
// secrets sealed, and used by steps. It is safe for concurrent use.
type Connections struct {
	db  *postgres.DB
	box *secrets.Box // nil: there are no keys, so secrets can be neither kept nor read
	out Outgoing

	mu    sync.Mutex
	built map[string]built
}

// built is a client as it is kept: it serves until its connection is another revision.
type built struct {
	revision int64
	client   any
}

// NewConnections returns the connections of a database. Without a box, those with secrets cannot be used.
func NewConnections(db *postgres.DB, box *secrets.Box, out Outgoing) *Connections {
	return &Connections{db: db, box: box, out: out, built: map[string]built{}}
}

// ErrNoKeyset is returned where secrets are to be kept or read and there are no keys for that.
var ErrNoKeyset = fmt.Errorf("there are no keys for secrets: ROLLCALL_SECRETS_KEYSET names none: %w", automation.ErrInvalid)

// Ready returns ErrNoKeyset where there are secrets that could not be opened, because there are no keys.
func (c *Connections) Ready(ctx context.Context) error {
	has, err := c.db.HasSecrets(ctx)
	if err == nil && has && c.box == nil {
		err = ErrNoKeyset
	}
	return err
}

// Put creates a connection or changes it. Where it leads is not changed under secrets that were meant
// for somewhere else: they have to be given again. Errors are *InvalidError and ErrConflict.
func (c *Connections) Put(ctx context.Context, name string, w automation.ConnectionDraft, by string) (saved *automation.Connection, created bool, err error) {
	kind, known := connectionKinds[w.Kind]
	problems := automation.CheckConnectionName(name)
	if !known {
		problems.Add("/kind", "unknown-kind", "a connection is one of %s", strings.Join(slices.Sorted(maps.Keys(connectionKinds)), ", "))
	}
	if err := automation.Invalid("the connection", problems); err != nil {
		return nil, false, err
	}
	return c.db.ChangeConnection(ctx, name, func(old *postgres.Sealed) (*postgres.Sealed, error) {
		have := map[string]any{}
		if old != nil {
			if old.Kind != w.Kind {
				return nil, fmt.Errorf("it is of the kind %s, which stays: %w", old.Kind, automation.ErrConflict)
			}
			// Where all are given anew, nothing depends on the old ones, nor on their key.
			if kept := slices.ContainsFunc(old.Configured, func(name string) bool { _, again := w.Secrets[name]; return !again }); kept {
				if have, err = c.open(old); err != nil {
					return nil, err
				}
			}
		}
		given, err := merged(kind, old, have, w)
		if err != nil {
			return nil, err
		}
		if _, problems := kind.build(&c.out, w.Settings, given); len(problems) > 0 {
			return nil, automation.Invalid("the connection", problems)
		}
		after := &postgres.Sealed{Connection: automation.Connection{
			Name: name, Kind: w.Kind, Settings: w.Settings, Configured: slices.Sorted(maps.Keys(given)), UpdatedBy: by,
		}}
		if after.Configured == nil {
			after.Configured = []string{}
		}
		after.Sealed, err = c.seal(name, w.Kind, given)
		return after, err
	})
}

// merged is the secrets that a connection has after it was written.
func merged(kind connectionKind, old *postgres.Sealed, have map[string]any, w automation.ConnectionDraft) (map[string]any, error) {
	given := maps.Clone(have)
	for name, v := range w.Secrets {
		if v == nil {
			delete(given, name)
		} else {
			given[name] = v
		}
	}
	if old == nil || kind.leads(old.Settings) == kind.leads(w.Settings) {
		return given, nil
	}
	var problems automation.Problems
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, again := w.Secrets[name]; !again {
			problems.Add(strictjson.Field("/secrets", name), "required", "it leads somewhere else now, so this has to be given again")
		}
	}
	return given, automation.Invalid("the connection", problems)
}

func sealedOf(name, kind string) string { return "connection|" + name + "|" + kind + "|v1" }

func (c *Connections) seal(name, kind string, given map[string]any) ([]byte, error) {
	if len(given) == 0 {
		return nil, nil
	}
	if c.box == nil {
		return nil, ErrNoKeyset
	}
	text, err := json.Marshal(given)
	if err != nil {
		return nil, fmt.Errorf("write secrets: %w", err)
	}
	return c.box.Seal(text, sealedOf(name, kind))
}

func (c *Connections) open(s *postgres.Sealed) (map[string]any, error) {
	given := map[string]any{}
	if s.Sealed == nil {
		return given, nil
	}
	if c.box == nil {
		return nil, ErrNoKeyset
	}
	text, err := c.box.Open(s.Sealed, sealedOf(s.Name, s.Kind))
	if err != nil {
		return nil, fmt.Errorf("connection %s: %w: %w", s.Name, err, automation.ErrConflict)
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, fmt.Errorf("connection %s: %w", s.Name, err)
	}
	return given, nil
}

// Reseal seals the secrets of all connections with the key that seals now, where another one did. It
// returns how many those were.
func (c *Connections) Reseal(ctx context.Context) (int, error) {
	return c.db.ResealConnections(ctx, func(s *postgres.Sealed) ([]byte, error) {
		given, err := c.open(s)
		if err != nil || c.box.Current(s.Sealed) {
			return nil, err
		}
		return c.seal(s.Name, s.Kind, given)
	})
}

// Test tries a connection: it says that it can be used, or why not. Returns ErrNotFound if there is none.
func (c *Connections) Test(ctx context.Context, name string) (*automation.ConnectionTest, error) {
	s, err := c.db.Connection(ctx, name)
	if err != nil {
		return nil, err
	}
	kind := connectionKinds[s.Kind]
	began := time.Now()
	result := &automation.ConnectionTest{What: kind.trial}
	client, err := c.client(s)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		err = kind.try(ctx, client)
	}
	if err != nil {
		result.Error = cut(err.Error())
	}
	result.OK, result.Millis = err == nil, time.Since(began).Milliseconds()
	return result, nil
}

// Kinds describes the kinds of connections.
func (c *Connections) Kinds() []automation.ConnectionKind {
	var all []automation.ConnectionKind
	for _, name := range slices.Sorted(maps.Keys(connectionKinds)) {
		k := connectionKinds[name]
		all = append(all, automation.ConnectionKind{
			Kind: name, Title: k.title, Description: k.description, Settings: schemaOf(k.settings), Secrets: schemaOf(k.secrets),
		})
	}
	return all
}

// client is that of a connection, made once for each of its revisions.
func (c *Connections) client(s *postgres.Sealed) (any, error) {
	c.mu.Lock()
	kept := c.built[s.Name]
	c.mu.Unlock()
	if kept.client != nil && kept.revision == s.Revision {
		return kept.client, nil
	}
	given, err := c.open(s)
	if err != nil {
		return nil, err
	}
	client, problems := connectionKinds[s.Kind].build(&c.out, s.Settings, given)
	if err := automation.Invalid("connection "+s.Name, problems); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.built[s.Name] = built{s.Revision, client}
	return client, nil
}

// named finds the connection of a kind for a step: the one that it names or, where it names none, the
// oldest there is.
func (c *Connections) named(ctx context.Context, name, kind string) (*postgres.Sealed, any, error) {
	if name == "" {
		all, err := c.db.ConnectionsOf(ctx, kind)
		switch {
		case err != nil:
			return nil, nil, err
		case len(all) == 0:
			return nil, nil, connect.Permanent(fmt.Errorf("there is no connection of the kind %s", kind))
		}
		name = all[0]
	}
	s, err := c.db.Connection(ctx, name)
	switch {
	case errors.Is(err, automation.ErrNotFound):
		return nil, nil, connect.Permanent(fmt.Errorf("there is no connection %q", name))
	case err != nil:
		return nil, nil, err
	case s.Kind != kind:
		return nil, nil, connect.Permanent(fmt.Errorf("the connection %q is of the kind %s, not %s", name, s.Kind, kind))
	case s.DisabledAt != nil:
		return nil, nil, connect.Permanent(fmt.Errorf("the connection %q is disabled: %s", name, s.DisabledReason))
	}
	client, err := c.client(s)
	if errors.Is(err, ErrNoKeyset) || errors.Is(err, secrets.ErrSealed) {
		// A process that was not told of the keys must not end anybody's enrollment.
		err = &connect.Error{Class: connect.Auth, Reason: fmt.Sprintf("this process cannot open the secrets of the connection %q", name)}
	}
	return s, client, err
}

// mail is the way out for mail that a step names; that of the configuration where it names none.
func (d *Deps) mail(ctx context.Context, name string) (*email.Sender, error) {
	return wayOut(ctx, d, name, automation.SMTPConnection, d.Mail, "mail is not configured")
}

// slack is the way out for messages that a step names; that of the configuration where it names none.
func (d *Deps) slack(ctx context.Context, name string) (*slack.Sender, error) {
	return wayOut(ctx, d, name, automation.SlackConnection, d.Slack, "slack is not configured")
}

// sheets is the way out for rows that a step names; that of the configuration where it names none.
func (d *Deps) sheets(ctx context.Context, name string) (*sheets.Client, error) {
	return wayOut(ctx, d, name, automation.GoogleConnection, d.Sheets, "google sheets is not configured")
}

func wayOut[C any](ctx context.Context, d *Deps, name, kind string, configured *C, missing string) (*C, error) {
	switch {
	case name == "" && configured != nil:
		return configured, nil
	case d.Connections == nil:
		return nil, connect.Permanent(errors.New(missing))
	}
	_, client, err := d.Connections.named(ctx, name, kind)
	if err != nil {
		return nil, err
	}
	return client.(*C), nil
}

// connectionKind is what makes a kind of connection.
type connectionKind struct {
	title, description string
	settings, secrets  reflect.Type
	trial              string // what try does

	build func(out *Outgoing, settings, secrets map[string]any) (client any, problems automation.Problems)
	leads func(settings map[string]any) string // where what is secret goes
	try   func(ctx context.Context, client any) error
}
