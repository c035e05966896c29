package triggers_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

const signedUp = `"triggers": [{"event": "signed_up"}], "enroll": {"again": "every_trigger"}`

func TestIngestThatCommitsLateIsStillEvaluated(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", signedUp)
	b.put("u_late", nil)
	b.drain()
	late, err := b.raw.Begin(b.ctx)
	require.NoError(t, err)
	_, err = late.Exec(b.ctx, `
		insert into work_items (user_id, epoch, properties, changed, events)
		select 'u_late', epoch, '{}', '{}', '[{"id": "e_late", "name": "signed_up", "user_id": "u_late"}]' from publication`)
	require.NoError(t, err)
	for i := range 100 {
		id := fmt.Sprintf("u_%d", i)
		b.put(id, nil)
		b.event("e_"+id, "signed_up", id)
	}
	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_99"), "later ids were evaluated meanwhile")
	require.Empty(t, b.outcomes("w", "u_late"))

	require.NoError(t, late.Commit(b.ctx))
	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_late"))
}

func TestManyPumpsEvaluateEachEdgeOnceInTheOrderOfTheUser(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", `"triggers": [{"filter": {"property": "status", "op": "any_of", "value": ["deactivated"]}}], "enroll": {"again": "every_trigger"}`)
	const users, flips = 5, 60
	for u := range users {
		b.put(fmt.Sprintf("u_%d", u), nil)
	}
	var writers, pumps sync.WaitGroup
	for u := range users {
		writers.Go(func() {
			for i := range flips {
				status := []string{"deactivated", "active"}[i%2]
				b.put(fmt.Sprintf("u_%d", u), map[string]any{"status": status})
			}
		})
	}
	stop := make(chan struct{})
	for range 4 {
		b.keepPumping(&pumps, stop)
	}
	writers.Wait()
	close(stop)
	pumps.Wait()
	b.drain()
	for u := range users {
		outcomes := b.outcomes("w", fmt.Sprintf("u_%d", u))
		require.Len(t, outcomes, flips/2, "one decision for each change from no to yes")
		require.Equal(t, "enrolled", outcomes[0])
	}
}

func TestItemIsAskedOfTheVersionsThatWereLiveWhenItWasWritten(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.put("u_1", nil)
	b.event("e_before", "signed_up", "u_1")
	b.publish("w", signedUp)
	b.drain()
	require.Empty(t, b.outcomes("w", "u_1"), "it happened before the publication")

	b.event("e_1", "signed_up", "u_1")
	b.publish("w", `"triggers": [{"event": "something_else"}]`)
	b.drain()

	list, err := b.db.Enrollments(b.ctx, postgres.EnrollmentQuery{UserID: "u_1", Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, 1, list[0].Version, "version 1 was live then")
	_, err = b.db.Archive(b.ctx, "w", false)
	require.NoError(t, err)
	b.finish("w", "u_1")
	b.event("e_2", "something_else", "u_1")
	b.drain()
	require.Len(t, b.outcomes("w", "u_1"), 1, "an archived definition enrolls nobody")
}

func TestItemThatCannotBeEvaluatedKeepsNobodyElseBack(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", signedUp)
	b.put("u_bad", nil)
	b.put("u_good", nil)
	b.drain()
	_, err := b.raw.Exec(b.ctx, `
		insert into work_items (user_id, epoch, properties, changed, events)
		select 'u_bad', epoch, '{}', '{}', '"not a list"' from publication`)
	require.NoError(t, err)
	b.event("e_bad", "signed_up", "u_bad")
	b.event("e_good", "signed_up", "u_good")

	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_good"))
	require.Empty(t, b.outcomes("w", "u_bad"), "the user's later items wait, so that the order holds")
	var attempts int
	var text string
	require.NoError(t, b.raw.QueryRow(b.ctx, `select attempts, error from work_items order by id limit 1`).Scan(&attempts, &text))
	require.Equal(t, 1, attempts)
	require.NotEmpty(t, text)
}

func TestFilterEnrollsOnTheEdgeOnly(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.put("u_before", map[string]any{"job_title": "Lead"})
	p := b.publish("w", `"triggers": [{"filter": {"property": "job_title", "op": "contains", "value": "lead"}}], "enroll": {"again": "every_trigger"}`)
	require.Equal(t, 1, p.Matching)
	b.drain()
	require.Empty(t, b.outcomes("w", "u_before"), "it held already")

	b.put("u_before", map[string]any{"job_title": "Lead engineer"})
	b.put("u_new", map[string]any{"job_title": "lead"})
	b.drain()
	require.Empty(t, b.outcomes("w", "u_before"), "it still holds")
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_new"), "it holds at creation")

	b.put("u_before", map[string]any{"job_title": "Engineer"})
	b.put("u_before", map[string]any{"job_title": "Team lead"})
	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_before"))
}

func TestWhereIsAskedOfTheUserAsOfTheEvent(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", `"triggers": [{"event": "signed_up", "where": {"all": [
		{"property": "teams", "op": "any_of", "value": ["support"]}, {"event_property": "plan", "op": "equals", "value": "Pro"}]}}]`)
	b.put("u_1", map[string]any{"teams": []any{"support"}})
	receipts, err := b.db.AppendEvents(b.ctx, []automation.Event{{Name: "signed_up", UserID: "u_1", Properties: map[string]any{"plan": "pro"}}})
	require.NoError(t, err)
	require.NoError(t, receipts[0].Err)
	b.put("u_1", map[string]any{"teams": []any{"sales"}}) // before anything is evaluated
	b.event("e_2", "signed_up", "u_1")

	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
}

func TestEnrollAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		again string
		want  []string
	}{
		"never":         {`"never"`, []string{"enrolled", "refused: enrolled before, and the workflow enrolls once"}},
		"every trigger": {`"every_trigger"`, []string{"enrolled", "enrolled"}},
		"after a time":  {`{"after": "1h"}`, []string{"enrolled", "refused: enrolled too recently"}},
		"after no time": {`{"after": "1s"}`, []string{"enrolled", "enrolled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.publish("w", fmt.Sprintf(`"triggers": [{"event": "signed_up"}], "enroll": {"again": %s}`, c.again))
			b.put("u_1", nil)
			b.event("e_1", "signed_up", "u_1")
			b.drain()
			b.finish("w", "u_1")
			_, err := b.raw.Exec(b.ctx, `update enrollments set created_at = created_at - interval '2 seconds'`)
			require.NoError(t, err)

			b.event("e_2", "signed_up", "u_1")
			b.drain()

			require.Equal(t, c.want, b.outcomes("w", "u_1"))
		})
	}
}

func TestUserIsNeverInTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", signedUp)
	b.put("u_1", nil)
	b.event("e_1", "signed_up", "u_1")
	b.event("e_2", "signed_up", "u_1")

	b.drain()

	require.Equal(t, []string{"enrolled", "refused: already enrolled"}, b.outcomes("w", "u_1"))
}

func TestEventWithTheSameIDIsEvaluatedOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", signedUp)
	b.put("u_1", nil)
	for range 3 {
		b.event("e_1", "signed_up", "u_1")
		b.drain()
		b.finish("w", "u_1")
	}
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
}

func TestDeletedUserIsEnrolledByItsDeletionOnly(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("goodbye", `"triggers": [{"event": "user.deleted"}]`)
	b.publish("unknown", `"triggers": [{"filter": {"property": "job_title", "op": "unknown"}}]`)
	b.put("u_1", map[string]any{"job_title": "x"})
	b.drain()

	require.NoError(t, b.db.DeleteUser(b.ctx, "u_1", "test"))
	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("goodbye", "u_1"))
	require.Empty(t, b.outcomes("unknown", "u_1"))
}

func TestPublicationWaitsForIngestThatBeganBefore(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	open, err := b.raw.Begin(b.ctx)
	require.NoError(t, err)
	_, err = open.Exec(b.ctx, `select pg_advisory_xact_lock_shared(70310001)`)
	require.NoError(t, err)
	published := make(chan struct{})
	go func() {
		defer close(published)
		b.publish("w", signedUp)
	}()
	select {
	case <-published:
		require.Fail(t, "a publication must not pass an open ingest")
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, open.Commit(b.ctx))
	<-published
}
