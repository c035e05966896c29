package triggers_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
	"rollcall/triggers"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// bundle is a database with a pump that is turned by hand. Its starter is never run, so what is
// enrolled stays pending.
type bundle struct {
	t    *testing.T
	ctx  context.Context
	db   *postgres.DB
	raw  *pgx.Conn
	pump *triggers.Pump
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	url := pgtest.New(t)
	ctx := t.Context()
	catalog := automation.Catalog{{Kind: "noop", Check: func(map[string]any, automation.Properties) automation.Problems { return nil }}}
	db, err := postgres.Open(ctx, postgres.Config{URL: url, Catalog: catalog})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	raw, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = raw.Close(context.WithoutCancel(ctx)) })
	b := &bundle{t: t, ctx: ctx, db: db, raw: raw}
	b.pump = b.newPump()
	return b
}

func (b *bundle) newPump() *triggers.Pump {
	starter := triggers.NewStarter(triggers.StarterConfig{DB: b.db, Log: slog.New(slog.DiscardHandler)})
	return triggers.NewPump(b.db, starter, slog.New(slog.DiscardHandler), nil)
}

// drain turns the pump until nothing is left that it can take.
func (b *bundle) drain() {
	b.t.Helper()
	for {
		n, err := b.pump.Once(b.ctx)
		require.NoError(b.t, err)
		if n == 0 {
			return
		}
	}
}

// publish publishes a definition of one step with the given head.
func (b *bundle) publish(name, head string) *postgres.Publication {
	b.t.Helper()
	d, err := automation.ParseDocument(fmt.Appendf(nil, `{"name": %q, %s, "steps": [{"id": "s", "action": "noop"}]}`, name, head))
	require.NoError(b.t, err)
	_, _, err = b.db.SaveDraft(b.ctx, d, "")
	require.NoError(b.t, err)
	p, err := b.db.Publish(b.ctx, name, postgres.Existing{})
	require.NoError(b.t, err)
	return p
}

func (b *bundle) put(id string, properties map[string]any) {
	b.t.Helper()
	_, _, err := b.db.UpsertUser(b.ctx, id, properties, "test")
	require.NoError(b.t, err)
}

func (b *bundle) event(id, name, user string) {
	b.t.Helper()
	receipts, err := b.db.AppendEvents(b.ctx, []automation.Event{{ID: id, Name: name, UserID: user}})
	require.NoError(b.t, err)
	require.NoError(b.t, receipts[0].Err)
}

// outcomes lists the decisions about a user in a definition, oldest first.
func (b *bundle) outcomes(definition, user string) []string {
	b.t.Helper()
	decisions, err := b.db.Decisions(b.ctx, definition, user, 10000)
	require.NoError(b.t, err)
	list := make([]string, len(decisions))
	for i, d := range decisions {
		list[len(list)-1-i] = d.Outcome
		if d.Reason != "" {
			list[len(list)-1-i] += ": " + d.Reason
		}
	}
	return list
}

func (b *bundle) finish(definition, user string) {
	b.t.Helper()
	_, err := b.raw.Exec(b.ctx, `update enrollments set status = 'completed', ended_at = now() where definition = $1 and user_id = $2 and ended_at is null`, definition, user)
	require.NoError(b.t, err)
}
