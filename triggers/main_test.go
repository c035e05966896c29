package triggers_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
	"rollcall/triggers"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// bundle is a database with a pump and a clock that are turned by hand. Its starter is never run, so
// what is enrolled stays pending.
type bundle struct {
	t     testing.TB
	ctx   context.Context
	db    *postgres.DB
	raw   *pgx.Conn
	pump  *triggers.Pump
	clock *triggers.Clock
	time  atomic.Pointer[time.Time] // nil: the time of day

	meanwhile atomic.Pointer[func()] // happens once, right after somebody looked at the clock
}

func newBundle(tb testing.TB) *bundle {
	tb.Helper()
	url := pgtest.New(tb)
	ctx := tb.Context()
	b := &bundle{t: tb, ctx: ctx}
	catalog := automation.Catalog{Actions: []automation.ActionKind{{Kind: "noop", Check: func(map[string]any, automation.Properties) automation.Problems { return nil }}}}
	db, err := postgres.Open(ctx, postgres.Config{URL: url, Catalog: catalog, Now: b.now})
	require.NoError(tb, err)
	tb.Cleanup(db.Close)
	raw, err := pgx.Connect(ctx, url)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = raw.Close(context.WithoutCancel(ctx)) })
	b.db, b.raw = db, raw
	b.pump = b.newPump()
	b.clock = b.newClock()
	return b
}

// monday is when the time of tests begins that is turned by hand. It is long ago, so that the time of
// day has passed whatever becomes due.
var monday = time.Date(2024, 1, 1, 9, 0, 0, 0, time.UTC)

// newBundleOnMonday is a bundle whose time stands still until pass or later turns it.
func newBundleOnMonday(tb testing.TB) *bundle {
	tb.Helper()
	b := newBundle(tb)
	b.time.Store(&monday)
	return b
}

func (b *bundle) now() time.Time {
	if meanwhile := b.meanwhile.Swap(nil); meanwhile != nil {
		at := time.Now()
		(*meanwhile)()
		return at
	}
	if at := b.time.Load(); at != nil {
		return *at
	}
	return time.Now()
}

const day = 24 * time.Hour

// pass lets time pass while the clock stands still.
func (b *bundle) pass(d time.Duration) {
	at := b.now().Add(d)
	b.time.Store(&at)
}

// later lets time pass, and what it brings.
func (b *bundle) later(d time.Duration) {
	b.t.Helper()
	b.pass(d)
	b.settle()
}

// settle turns the clock and the pump until neither has anything left to do.
func (b *bundle) settle() {
	b.t.Helper()
	for range 100 {
		b.drain()
		n, err := b.clock.Once(b.ctx)
		require.NoError(b.t, err)
		if n == 0 {
			return
		}
	}
	require.Fail(b.t, "the clock never comes to rest")
}

// instant is a time from now as it stands in a property.
func (b *bundle) instant(d time.Duration) string {
	return b.now().Add(d).UTC().Format(time.RFC3339Nano)
}

func (b *bundle) newPump() *triggers.Pump {
	starter := triggers.NewStarter(triggers.StarterConfig{DB: b.db, Log: slog.New(slog.DiscardHandler)})
	return triggers.NewPump(b.db, starter, slog.New(slog.DiscardHandler), nil)
}

func (b *bundle) newClock() *triggers.Clock {
	return triggers.NewClock(b.db, b.pump, slog.New(slog.DiscardHandler))
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

// keepPumping turns a pump of its own in the group, until it is told to stop and finds nothing left
// that it can take.
func (b *bundle) keepPumping(group *sync.WaitGroup, stop <-chan struct{}) {
	pump := b.newPump()
	group.Go(func() {
		for {
			last := false // what was written before it was told to stop, this turn finds
			select {
			case <-stop:
				last = true
			default:
			}
			n, err := pump.Once(b.ctx)
			if err != nil {
				b.t.Errorf("pump: %s", err)
				return
			}
			if last && n == 0 {
				return
			}
		}
	})
}

// publish publishes a definition of one step with the given head.
func (b *bundle) publish(name, head string) *postgres.Publication {
	b.t.Helper()
	return b.publishTo(name, head, postgres.Existing{})
}

// backfill publishes a definition that enrolls those, too, for whom it holds already.
func (b *bundle) backfill(name, head string) *postgres.Run {
	b.t.Helper()
	return b.publishTo(name, head, postgres.Existing{Enroll: true}).Run
}

func (b *bundle) publishTo(name, head string, existing postgres.Existing) *postgres.Publication {
	b.t.Helper()
	_, _, err := b.db.SaveDraft(b.ctx, b.document(name, head), "")
	require.NoError(b.t, err)
	p, err := b.db.Publish(b.ctx, name, existing, postgres.Migration{})
	require.NoError(b.t, err)
	return p
}

func (b *bundle) document(name, head string) *automation.Document {
	b.t.Helper()
	d, err := automation.ParseDocument(fmt.Appendf(nil, `{"name": %q, %s, "steps": [{"id": "s", "action": "noop"}]}`, name, head))
	require.NoError(b.t, err)
	return d
}

// run steps a run until it is done, a few users at a time.
func (b *bundle) run(r *postgres.Run) *postgres.Run {
	b.t.Helper()
	for {
		step, err := b.db.StepRun(b.ctx, r.ID, 3)
		require.NoError(b.t, err)
		if step.Run.EndedAt != nil {
			return &step.Run
		}
	}
}

func (b *bundle) put(id string, properties map[string]any) {
	b.t.Helper()
	_, _, err := b.db.UpsertUser(b.ctx, id, properties, "test")
	require.NoError(b.t, err)
}

func (b *bundle) event(id, name, user string) {
	b.t.Helper()
	b.send(automation.Event{ID: id, Name: name, UserID: user})
}

func (b *bundle) send(e automation.Event) {
	b.t.Helper()
	receipts, err := b.db.AppendEvents(b.ctx, []automation.Event{e})
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

// passages lists how the enrollments of a user in a definition stand, oldest first.
func (b *bundle) passages(definition, user string) []string {
	b.t.Helper()
	list, err := b.db.Enrollments(b.ctx, postgres.EnrollmentQuery{Workflow: definition, UserID: user, Limit: 1000})
	require.NoError(b.t, err)
	texts := make([]string, len(list))
	for i, e := range list {
		texts[e.Ordinal-1] = string(e.Status)
		if list[i].Reason != "" {
			texts[e.Ordinal-1] += ": " + e.Reason
		}
	}
	return texts
}

// finish lets the enrollments of a user in a definition come to their ends.
func (b *bundle) finish(definition, user string) {
	b.t.Helper()
	for _, id := range b.texts(`select id::text from enrollments where definition = $1 and user_id = $2 and ended_at is null`, definition, user) {
		_, _, err := b.db.EndEnrollment(b.ctx, postgres.End{ID: id, Status: automation.Completed})
		require.NoError(b.t, err)
	}
}

// counts are the enrollments of a definition by status.
func (b *bundle) counts(definition string) map[automation.EnrollmentStatus]int {
	b.t.Helper()
	counts, err := b.db.Counts(b.ctx, definition)
	require.NoError(b.t, err)
	maps.DeleteFunc(counts, func(_ automation.EnrollmentStatus, n int) bool { return n == 0 })
	return counts
}

// texts reads a column of texts.
func (b *bundle) texts(sql string, args ...any) []string {
	b.t.Helper()
	rows, err := b.raw.Query(b.ctx, sql, args...)
	require.NoError(b.t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b.t, err)
	return list
}

// count reads a number.
func (b *bundle) count(sql string, args ...any) int {
	b.t.Helper()
	var n int
	require.NoError(b.t, b.raw.QueryRow(b.ctx, sql, args...).Scan(&n))
	return n
}

func (b *bundle) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.raw.Exec(b.ctx, sql, args...)
	require.NoError(b.t, err)
}

// each calls f with the ids of so many users.
func each(users int, f func(id string)) {
	for i := range users {
		f(fmt.Sprintf("u_%03d", i))
	}
}
