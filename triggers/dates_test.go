package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// times reads two instants.
func (b *bundle) times(sql string, args ...any) (first, second time.Time) {
	b.t.Helper()
	require.NoError(b.t, b.raw.QueryRow(b.ctx, sql, args...).Scan(&first, &second))
	return first, second
}

func TestEventThatWaitsForAPublicationIsDatedAfterIt(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", `"triggers": [{"event": "e"}]`)
	b.put("u_1", nil)
	_, _, err := b.db.SaveDraft(b.ctx, b.document("w", `"triggers": [{"event": "e"}], "title": "another"`), "")
	require.NoError(t, err)
	holder, err := b.raw.Begin(b.ctx)
	require.NoError(t, err)
	_, err = holder.Exec(b.ctx, `select from definitions where name = 'w' for update`)
	require.NoError(t, err)
	done := make(chan error, 2)
	go func() {
		_, err := b.db.Publish(b.ctx, "w", postgres.Existing{}, postgres.Migration{})
		done <- err
	}()
	waitForLock(t, b, 1)
	go func() {
		_, err := b.db.AppendEvents(b.ctx, []automation.Event{{ID: "e_1", Name: "e", UserID: "u_1"}})
		done <- err
	}()
	waitForLock(t, b, 2)

	require.NoError(t, holder.Commit(b.ctx))

	require.NoError(t, <-done)
	require.NoError(t, <-done)
	b.drain()
	published, received := b.times(`
		select v.published_at, e.received_at from versions v, events e, enrollments n
		where v.definition = 'w' and v.number = 2 and e.id = 'e_1' and n.version = 2`)
	require.True(t, received.After(published), "received at %s by the version of %s", received, published)
	item, at := b.times(`select received_at, (select at from decisions) from events where id = 'e_1'`)
	require.False(t, at.Before(item))
}

// TestEnrollmentIsNotDatedBeforeTheEventThatMadeIt: the event came after the evaluation looked at the clock, and
// before it looked for work.
func TestEnrollmentIsNotDatedBeforeTheEventThatMadeIt(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", `"triggers": [{"event": "e"}]`)
	b.put("u_1", nil)
	b.drain()
	meanwhile := func() { b.event("e_1", "e", "u_1") }
	b.meanwhile.Store(&meanwhile)

	b.drain()

	received, enrolled := b.times(`select received_at, (select created_at from enrollments) from events where id = 'e_1'`)
	require.False(t, enrolled.Before(received), "enrolled at %s by an event of %s", enrolled, received)
}

func TestDelayCountsFromWhenItIsEnteredThoughTheClockOfTheWorkflowLags(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest, `{"id": "rest", "delay": "5d"}`)
	b.put("u_1", nil)
	ref := at(b.enroll("w", "u_1"), "rest")
	ref.At = b.now().Add(-20 * time.Millisecond)

	w, err := b.db.BeginDelay(b.ctx, ref, ref.At.Add(5*day))

	require.NoError(t, err)
	require.Equal(t, monday.Add(5*day), w.Until)
}

func TestEndIsNeverDatedBeforeTheLastStepBegan(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bundle, enrollment string) error{
		"on request": func(b *bundle, enrollment string) error {
			_, _, err := b.db.Unenroll(b.ctx, enrollment, "", "")
			return err
		},
		"by a condition": func(b *bundle, _ string) error {
			if _, _, err := b.db.UpsertUser(b.ctx, "u_1", map[string]any{"phone": "+48 1"}, "test"); err != nil {
				return err
			}
			_, err := b.pump.Once(b.ctx)
			return err
		},
		"with the user": func(b *bundle, _ string) error { return b.db.DeleteUser(b.ctx, "u_1", "test") },
		"with the workflow": func(b *bundle, _ string) error {
			_, err := b.db.Archive(b.ctx, "w", true)
			return err
		},
		"by its last step": func(b *bundle, enrollment string) error {
			ref := postgres.VisitRef{EnrollmentID: enrollment, Step: "s", Visit: 1}
			_, err := b.db.VisitInside(b.ctx, ref, "noop", true, func(*postgres.Inside) (postgres.Done, error) { return postgres.Done{}, nil })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.publish("w", `"triggers": [{"manual": true}], "unenroll": {"when": {"property": "phone", "op": "known"}}`)
			b.put("u_1", nil)
			ref := b.enroll("w", "u_1")
			gate, err := b.raw.Begin(b.ctx)
			require.NoError(t, err)
			_, err = gate.Exec(b.ctx, `select from enrollments where id = $1 for update`, ref.EnrollmentID)
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- end(b, ref.EnrollmentID) }()
			waitForLock(t, b, 1)
			_, err = gate.Exec(b.ctx, `
				insert into visits (enrollment_id, step, visit, kind, status, started_at) values ($1, 's', 1, 'noop', 'running', $2)`, ref.EnrollmentID, b.now())
			require.NoError(t, err)

			require.NoError(t, gate.Commit(b.ctx))

			require.NoError(t, <-done)
			began, ended := b.times(`
				select v.started_at, e.ended_at from enrollments e join visits v on v.enrollment_id = e.id where e.id = $1`, ref.EnrollmentID)
			require.True(t, ended.After(began), "it ended at %s, and its step began at %s", ended, began)
		})
	}
}
