package triggers_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// enroll enrolls a user on request and returns the first visit of its only step.
func (b *bundle) enroll(definition, user string) postgres.VisitRef {
	b.t.Helper()
	e, _, err := b.db.Enroll(b.ctx, definition, user)
	require.NoError(b.t, err)
	return postgres.VisitRef{EnrollmentID: e.ID, Step: "s", Visit: 1}
}

func TestGateIsNeverMistakenWhereAPauseEnds(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", `"triggers": [{"manual": true}]`)
	for i := range 100 {
		user := fmt.Sprintf("u_%d", i)
		b.put(user, nil)
		ref := b.enroll("w", user)
		_, err := b.db.Pause(b.ctx, "w")
		require.NoError(t, err)
		var group sync.WaitGroup
		group.Go(func() {
			time.Sleep(time.Duration(i%25) * 60 * time.Microsecond)
			if _, err := b.db.Resume(b.ctx, "w", 0); err != nil {
				t.Errorf("resume: %s", err)
			}
		})
		_, err = b.db.BeginVisit(b.ctx, ref, "noop")
		group.Wait()
		require.NotErrorIs(t, err, automation.ErrFinished, "the enrollment is live")
		if err == nil {
			continue
		}
		require.ErrorIs(t, err, postgres.ErrPaused)
		_, err = b.db.BeginVisit(b.ctx, ref, "noop")
		require.NoError(t, err, "after the pause it is let in")
	}
}

func TestDeletedUserKeepsNoLiveEnrollmentWhateverIsBeingEvaluated(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", `"triggers": [{"event": "user.created"}]`)
	ctx, stop := context.WithCancel(b.ctx)
	var pumps, writers sync.WaitGroup
	for range 2 {
		pump := b.newPump()
		pumps.Go(func() {
			for ctx.Err() == nil {
				if _, err := pump.Once(ctx); err != nil && ctx.Err() == nil {
					t.Errorf("pump: %s", err)
				}
			}
		})
	}
	for k := range 6 {
		writers.Go(func() {
			for i := range 40 {
				user := fmt.Sprintf("u_%d_%d", k, i)
				if _, _, err := b.db.UpsertUser(b.ctx, user, nil, "test"); err != nil {
					t.Errorf("create: %s", err)
				}
				time.Sleep(time.Duration(i%10) * 300 * time.Microsecond)
				if err := b.db.DeleteUser(b.ctx, user, "test"); err != nil {
					t.Errorf("delete: %s", err)
				}
			}
		})
	}
	writers.Wait()
	stop()
	pumps.Wait()
	b.drain()
	var left int
	require.NoError(t, b.raw.QueryRow(b.ctx, `select count(*) from enrollments where ended_at is null or event is not null`).Scan(&left))
	require.Zero(t, left)
}

func declared(t *testing.T, b *bundle, p automation.Property) {
	t.Helper()
	p.Label, p.Group = p.Name, "custom"
	_, err := b.db.PutProperty(b.ctx, p)
	require.NoError(t, err)
}

func TestOptionThatALiveFilterNamesCannotBeRemoved(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	tier := automation.Property{Name: "tier", Type: filter.Enum, Options: []string{"gold", "silver"}}
	declared(t, b, tier)
	b.publish("w", `"triggers": [{"filter": {"property": "tier", "op": "any_of", "value": ["gold"]}}]`)

	tier.Options = []string{"silver"}
	_, err := b.db.PutProperty(b.ctx, tier)

	require.ErrorIs(t, err, automation.ErrInUse)
	require.ErrorContains(t, err, "needed by version 1 of workflow w at /triggers/0/filter/value")
	tier.Options = []string{"gold", "silver", "bronze"}
	declared(t, b, tier)
	b.put("u_1", map[string]any{"tier": "gold"})
	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
}

func TestPropertyStaysWhileItemsWaitForAVersionThatNeedsIt(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	declared(t, b, automation.Property{Name: "x", Type: filter.String})
	b.publish("w", `"triggers": [{"event": "e", "where": {"property": "x", "op": "unknown"}}]`)
	b.put("u_1", nil)
	b.event("e_1", "e", "u_1")
	_, err := b.db.Archive(b.ctx, "w", false)
	require.NoError(t, err)

	require.ErrorIs(t, b.db.DeleteProperty(b.ctx, "x"), automation.ErrInUse)

	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	b.finish("w", "u_1")
	require.NoError(t, b.db.DeleteProperty(b.ctx, "x"))
}

func TestValueIsJudgedByTheSchemaOfItsEpoch(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	declared(t, b, automation.Property{Name: "x", Type: filter.String})
	change, err := b.raw.Begin(b.ctx)
	require.NoError(t, err)
	for _, statement := range []string{
		`select pg_advisory_xact_lock(70310001)`,
		`update publication set epoch = epoch + 1`,
		`update properties set type = 'number' where name = 'x'`,
	} {
		_, err = change.Exec(b.ctx, statement)
		require.NoError(t, err)
	}
	written := make(chan error, 1)
	go func() {
		_, _, err := b.db.UpsertUser(b.ctx, "u_1", map[string]any{"x": "text"}, "test")
		written <- err
	}()
	waitForLock(t, b, 1)

	require.NoError(t, change.Commit(b.ctx))

	require.ErrorIs(t, <-written, automation.ErrInvalid)
}

// waitForLock waits until so many wait for a lock.
func waitForLock(t *testing.T, b *bundle, n int) {
	t.Helper()
	for waiting := 0; waiting < n; {
		b.exec(`select pg_stat_clear_snapshot()`) // in a transaction, the first look would be the last
		require.NoError(t, b.raw.QueryRow(b.ctx, `
			select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`).Scan(&waiting))
		require.NoError(t, b.ctx.Err())
	}
}

func TestEventIDOfAnotherEventIsRefused(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.put("u_1", nil)
	b.put("u_2", nil)
	b.event("e_1", "signed_up", "u_1")

	receipts, err := b.db.AppendEvents(b.ctx, []automation.Event{
		{ID: "e_1", Name: "signed_up", UserID: "u_1"}, {ID: "e_1", Name: "signed_up", UserID: "u_2"}, {ID: "e_1", Name: "left", UserID: "u_1"},
	})

	require.NoError(t, err)
	require.True(t, receipts[0].Duplicate)
	require.ErrorIs(t, receipts[1].Err, automation.ErrEventIDTaken)
	require.ErrorIs(t, receipts[2].Err, automation.ErrEventIDTaken)
}

func TestDeletionLeavesNothingPersonalInTheTimeline(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", `"triggers": [{"manual": true}]`)
	b.put("u_1", nil)
	ref := b.enroll("w", "u_1")
	_, err := b.db.BeginVisit(b.ctx, ref, "noop")
	require.NoError(t, err)
	require.NoError(t, b.db.DeleteUser(b.ctx, "u_1", "test"))

	// What was under way when the user was deleted comes to its end.
	completed, err := b.db.FinishVisit(b.ctx, ref, postgres.Done{What: "mailed ada@example.com", Output: map[string]any{"to": "ada"}, Last: true})

	require.NoError(t, err)
	require.False(t, completed)
	timeline, err := b.db.Timeline(b.ctx, ref.EnrollmentID)
	require.NoError(t, err)
	require.Equal(t, automation.StepDone, timeline[0].Status)
	require.Empty(t, timeline[0].What)
	require.Empty(t, timeline[0].Output)
	e, err := b.db.Enrollment(b.ctx, ref.EnrollmentID)
	require.NoError(t, err)
	require.Equal(t, automation.Unenrolled, e.Status)
}

func TestDraftCannotBeArchived(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	d, err := automation.ParseDocument([]byte(`{"name": "w", "triggers": [{"manual": true}], "steps": [{"id": "s", "action": "noop"}]}`))
	require.NoError(t, err)
	_, _, err = b.db.SaveDraft(b.ctx, d, "")
	require.NoError(t, err)

	_, err = b.db.Archive(b.ctx, "w", false)

	require.ErrorIs(t, err, automation.ErrNotActive)
	require.NoError(t, b.db.DeleteDefinition(b.ctx, "w", ""))
}
