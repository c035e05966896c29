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

func TestStepThatIsTakenTwiceAtOnceDecidesEachUserOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const users = 120
	b.leads(users)
	r := b.backfill("w", whenever(titled))
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for {
				s, err := b.db.StepRun(b.ctx, r.ID, 7)
				if err != nil {
					t.Errorf("step: %s", err)
					return
				}
				if s.Run.EndedAt != nil {
					return
				}
			}
		})
	}
	group.Wait()
	b.drain()

	require.Equal(t, map[string]int{"enrolled": users}, b.decided("w"))
	r, err := b.db.Run(b.ctx, "w", r.ID)
	require.NoError(t, err)
	require.Equal(t, []int{users, users, 0, 0}, []int{r.Matched, r.Enrolled, r.Held, len(r.Skipped)})
}

func TestBackfillAmongChangesAndPumpsDecidesEachUserOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const users = 80
	b.leads(users)
	r := b.backfill("w", whenever(titled))
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	writers.Go(func() {
		each(users, func(id string) {
			for _, title := range []any{nil, "Agent"} {
				if _, _, err := b.db.UpsertUser(b.ctx, id, map[string]any{"job_title": title}, "test"); err != nil {
					t.Errorf("change: %s", err)
				}
			}
		})
	})
	for range 2 {
		b.keepPumping(&others, stop)
	}
	for {
		s, err := b.db.StepRun(b.ctx, r.ID, 5)
		require.NoError(t, err)
		if s.Run.EndedAt != nil {
			r = &s.Run
			break
		}
	}
	writers.Wait()
	close(stop)
	others.Wait()
	b.drain()

	require.Len(t, b.inside("w"), users, "by the run or by an edge")
	require.Equal(t, users, b.decided("w")["enrolled"])
	decided := r.Enrolled + r.Held
	for _, n := range r.Skipped {
		decided += n
	}
	require.Equal(t, users, decided)
}

func TestUserWhoIsDeletedUnderAStepEndsNoRun(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2} {
		t.Run(fmt.Sprint("of ", limit), func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.leads(4)
			r := b.backfill("w", whenever(titled))
			deletion, err := b.raw.Begin(b.ctx)
			require.NoError(t, err)
			_, err = deletion.Exec(b.ctx, `delete from users where id in ('u_000', 'u_001')`)
			require.NoError(t, err)
			stepped := make(chan error, 1)
			go func() {
				_, err := b.db.StepRun(b.ctx, r.ID, limit)
				stepped <- err
			}()
			waitForLock(t, b, 1)
			require.NoError(t, deletion.Commit(b.ctx))
			require.NoError(t, <-stepped)

			r = b.run(r)

			require.Equal(t, []string{"u_002", "u_003"}, b.inside("w"))
			require.Equal(t, map[string]int{noMore: 2}, r.Skipped)
		})
	}
}

func TestRunIsPausedResumedAndAborted(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(6)
	r := b.backfill("w", whenever(titled))
	set := func(status postgres.RunStatus) {
		got, err := b.db.SetRun(b.ctx, "w", r.ID, status)
		require.NoError(t, err)
		require.Equal(t, status, got.Status)
	}
	b.step(r, 2)

	set(postgres.RunPaused)
	s := b.step(r, 2)
	require.Zero(t, s.Decided)
	require.Equal(t, postgres.RunPaused, s.Run.Status)
	require.Len(t, b.inside("w"), 2)

	set(postgres.RunRunning)
	require.Equal(t, 2, b.step(r, 2).Decided, "it goes on where it was")
	require.Equal(t, []string{"u_000", "u_001", "u_002", "u_003"}, b.inside("w"))

	b.pass(time.Minute)
	set(postgres.RunAborted)
	s = b.step(r, 2)
	require.Zero(t, s.Decided)
	require.Equal(t, b.now(), s.Run.EndedAt.UTC())
	require.Equal(t, "on request", s.Run.Reason)
	require.Len(t, b.inside("w"), 4, "what is enrolled stays so")
	for _, status := range []postgres.RunStatus{postgres.RunPaused, postgres.RunRunning, postgres.RunAborted} {
		_, err := b.db.SetRun(b.ctx, "w", r.ID, status)
		require.ErrorIs(t, err, automation.ErrFinished)
	}
	_, err := b.db.SetRun(b.ctx, "other", r.ID, postgres.RunPaused)
	require.ErrorIs(t, err, automation.ErrNotFound)
	_, err = b.db.Run(b.ctx, "w", "no id")
	require.ErrorIs(t, err, automation.ErrNotFound)
	_, err = b.db.Runs(b.ctx, "other", nil, 1)
	require.ErrorIs(t, err, automation.ErrNotFound)
}

func TestPublicationAbortsTheRunOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bundle){
		"publication": func(b *bundle) { b.publish("w", whenever(`{"property": "phone", "op": "known"}`)) },
		"archive": func(b *bundle) {
			_, err := b.db.Archive(b.ctx, "w", false)
			require.NoError(b.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.leads(4)
			r := b.backfill("w", whenever(titled))
			b.step(r, 1)

			end(b)

			s := b.step(r, 1)
			require.Zero(t, s.Decided)
			require.Equal(t, postgres.RunAborted, s.Run.Status)
			require.NotEmpty(t, s.Run.Reason)
			require.Equal(t, []string{"u_000"}, b.inside("w"))
		})
	}
}

func TestBackfillOfANewVersionGoesOnForAll(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(4)
	first := b.backfill("w", whenever(titled))
	b.step(first, 2)
	b.pass(time.Hour)

	second := b.run(b.backfill("w", whenever(titled)+stops))

	require.Equal(t, []int{4, 2}, []int{second.Matched, second.Enrolled})
	require.Equal(t, map[string]int{"already enrolled": 2}, second.Skipped)
	runs, err := b.db.Runs(b.ctx, "w", nil, 10)
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.Equal(t, []string{second.ID, first.ID}, []string{runs[0].ID, runs[1].ID}, "newest first")
	older, err := b.db.Runs(b.ctx, "w", &postgres.RunCursor{CreatedAt: runs[0].CreatedAt, ID: runs[0].ID}, 10)
	require.NoError(t, err)
	require.Equal(t, runs[1:], older)
}

func TestTemporalIsToldOfARunUntilItTookIt(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(4)
	r := b.backfill("w", `"title": "Welcome", `+whenever(titled))
	told := func() []postgres.RunOrder {
		orders, err := b.db.RunsToTell(b.ctx)
		require.NoError(t, err)
		return orders
	}
	orders := told()
	require.Len(t, orders, 1)
	require.Equal(t, []any{r.ID, r.TemporalWorkflowID, "Welcome", true},
		[]any{orders[0].ID, orders[0].TemporalWorkflowID, orders[0].Title, orders[0].Start})
	require.Len(t, told(), 1, "until it is told")
	require.NoError(t, b.db.RunTold(b.ctx, orders[0]))
	require.Empty(t, told())

	_, err := b.db.SetRun(b.ctx, "w", r.ID, postgres.RunPaused)
	require.NoError(t, err)
	b.step(r, 1) // waits in Temporal from here on
	require.Empty(t, told())
	_, err = b.db.SetRun(b.ctx, "w", r.ID, postgres.RunRunning)
	require.NoError(t, err)
	orders = told()
	require.Len(t, orders, 1, "the word to go on")
	require.False(t, orders[0].Start)
	require.NoError(t, b.db.RunTold(b.ctx, orders[0]))
	b.step(r, 1)
	require.Empty(t, told(), "it goes on")
}

func TestRunThatTemporalLostIsGivenToItAnew(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(4)
	r := b.backfill("w", whenever(titled))
	orders, err := b.db.RunsToTell(b.ctx)
	require.NoError(t, err)
	require.NoError(t, b.db.RunTold(b.ctx, orders[0]))
	b.step(r, 1)
	b.pass(time.Hour)
	still, err := b.db.StillRuns(b.ctx, time.Minute)
	require.NoError(t, err)
	require.Len(t, still, 1)

	require.NoError(t, b.db.RunLost(b.ctx, orders[0]))

	orders, err = b.db.RunsToTell(b.ctx)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.True(t, orders[0].Start)
	require.NotEqual(t, r.TemporalWorkflowID, orders[0].TemporalWorkflowID, "a Temporal workflow of its own")
	require.Equal(t, 4, b.run(r).Enrolled, "it goes on where it was")
	orders, err = b.db.RunsToTell(b.ctx)
	require.NoError(t, err)
	require.Empty(t, orders, "it has ended")
}
