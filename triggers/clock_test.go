package triggers_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pastMonth holds for those who were last active between 31 and 30 days ago: for one day.
const pastMonth = `{"property": "last_active_at", "op": "between", "value": ["now-31d", "now-30d"]}`

// once turns the clock once.
func (b *bundle) once() int {
	b.t.Helper()
	n, err := b.clock.Once(b.ctx)
	require.NoError(b.t, err)
	return n
}

func (b *bundle) due() []string {
	b.t.Helper()
	return b.texts(`select user_id || ' ' || to_char(due at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') from memberships where due is not null order by 1`)
}

func TestClockWritesNothingWhereNothingIsDue(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	state := func() []string {
		return b.texts(`
			select xmin::text from memberships union all select xmin::text from work_items
			union all select last_value::text from moments union all select xmin::text from enrollments order by 1`)
	}
	require.Zero(t, b.once(), "there is nothing at all")

	b.publish("w", whenever(inactive)+`, "unenroll": {"when": {"property": "last_active_at", "op": "before", "value": "now-60d"}}`)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.put("u_2", nil)
	b.put("u_3", map[string]any{"last_active_at": b.instant(-40 * day)})
	b.drain()
	require.Equal(t, 1, b.count(`select count(*) from memberships where due is not null`))
	require.Equal(t, 1, b.count(`select count(*) from enrollments where due is not null`))
	before := state()

	require.Zero(t, b.once())

	require.Equal(t, before, state())
}

func TestClockThatStoodStillMissesNothing(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(pastMonth))
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.put("u_2", map[string]any{"last_active_at": b.instant(-31 * day)})
	b.put("u_3", map[string]any{"last_active_at": b.instant(-32 * day)})
	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_2"), "it holds at the creation")

	b.later(40 * day)

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"), "it held for a day, a week ago")
	require.Len(t, b.outcomes("w", "u_2"), 1)
	require.Empty(t, b.outcomes("w", "u_3"))
	require.Zero(t, b.count(`select count(*) from memberships`), "it holds for nobody, and will not by time alone")
}

func TestClockThatStoodStillForASecondMissesNothing(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", whenever(pastMonth))
	b.put("u_1", map[string]any{"last_active_at": b.instant(-33 * day)})
	b.drain()
	// As if the last two days had been one second, from two seconds ago on.
	b.exec(`update users set properties = jsonb_set(properties, '{last_active_at}', to_jsonb($1::text))`, b.instant(-31*day-time.Second))
	b.exec(`insert into memberships (definition, version, trigger, user_id, holds, due, since)
		select 'w', 1, 0, id, false, now() - interval '1 day 2 seconds', now() - interval '3 days' from users`)

	require.Equal(t, 1, b.once())
	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	require.Zero(t, b.once())
}

func TestManyEdgesThatWereMissedAreOneMatch(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"property": "hire_date", "of": "anniversary", "op": "on", "value": "now/d"}`))
	b.put("u_1", map[string]any{"hire_date": "2019-05-04"})
	b.drain()

	b.later(2 * 366 * day)

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	require.Equal(t, []string{"u_1 2026-05-04 00:00:00.000000"}, b.due())
}

func TestDueFollowsWhatChanges(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(inactive))
	active := func(v any) {
		b.put("u_1", map[string]any{"last_active_at": v})
		b.drain()
	}
	active(b.instant(0))
	require.Equal(t, []string{"u_1 2024-01-31 09:00:00.000001"}, b.due())

	active(b.instant(time.Hour))
	require.Equal(t, []string{"u_1 2024-01-31 10:00:00.000001"}, b.due())

	active(b.instant(-40 * day))
	require.Equal(t, 1, b.count(`select count(*) from memberships where holds and due is null`), "it holds for ever")

	active(b.instant(0))
	require.Equal(t, 1, b.count(`select count(*) from memberships where not holds and due is not null`))

	active(nil)
	require.Zero(t, b.count(`select count(*) from memberships`), "time alone changes nothing any more")
	b.later(60 * day)
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"), "when it lay 40 days back")
}

func TestDueIsOnlyWhereTheAnswerTurns(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(`{"all": [`+inactive+`, {"property": "job_title", "op": "known"}]}`))
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.drain()
	require.Zero(t, b.count(`select count(*) from memberships`), "without a title it can never hold")

	b.put("u_1", map[string]any{"job_title": "Agent"})
	b.drain()
	require.Equal(t, []string{"u_1 2024-01-31 09:00:00.000001"}, b.due())
}

func TestClockRingsManyUsersInSeveralCalls(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.manyUsers(2000)
	b.publish("w", whenever(inactive))
	require.Equal(t, 2000, b.count(`select count(*) from memberships where due is not null`))
	b.pass(31 * day)

	calls := 0
	for rung := 0; rung < 2000; calls++ {
		n := b.once()
		require.Positive(t, n)
		rung += n
	}
	require.Greater(t, calls, 1)
	require.Zero(t, b.once())
	require.Equal(t, 2000, b.count(`select count(distinct user_id) from work_items`))
	b.drain()

	require.Equal(t, map[string]int{"enrolled": 2000}, b.decided("w"))
}

// manyUsers creates users at once who were active at this moment.
func (b *bundle) manyUsers(n int) {
	b.t.Helper()
	b.exec(`
		insert into users (id, properties, created_at, updated_at)
		select 'u_' || lpad(n::text, 6, '0'), jsonb_build_object('status', 'active', 'last_active_at', $2::text), $3, $3
		from generate_series(1, $1::int) n`, n, b.instant(0), b.now())
}

// decided counts the decisions of a definition by outcome.
func (b *bundle) decided(definition string) map[string]int {
	b.t.Helper()
	n := map[string]int{}
	for _, outcome := range b.texts(`select outcome || case when reason = '' then '' else ': ' || reason end from decisions where definition = $1`, definition) {
		n[outcome]++
	}
	return n
}

func TestManyClocksAndPumpsEnrollEachUserOnce(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	const users = 600
	b.manyUsers(users)
	b.publish("w", whenever(inactive))
	b.publish("v", whenever(`{"all": [`+inactive+`, {"property": "job_title", "op": "unknown"}]}`))
	b.pass(31 * day)
	var clocks, pumps sync.WaitGroup
	for range 2 {
		clock := b.newClock()
		clocks.Go(func() {
			for b.db.Ping(b.ctx) == nil {
				n, err := clock.Once(b.ctx)
				if err != nil {
					t.Errorf("clock: %s", err)
					return
				}
				if _, due, err := b.db.NextRing(b.ctx); n == 0 && !due && err == nil {
					return
				}
			}
		})
	}
	stop := make(chan struct{})
	for range 2 {
		b.keepPumping(&pumps, stop)
	}
	clocks.Wait()
	close(stop)
	pumps.Wait()
	b.settle()

	require.Equal(t, map[string]int{"enrolled": users}, b.decided("w"))
	require.Equal(t, map[string]int{"enrolled": users}, b.decided("v"))
}

func TestUserWhoIsBeingChangedIsRungLater(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(inactive))
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.put("u_2", map[string]any{"last_active_at": b.instant(0)})
	b.drain()
	b.pass(31 * day)
	change, err := b.raw.Begin(b.ctx)
	require.NoError(t, err)
	_, err = change.Exec(b.ctx, `select id from users where id = 'u_1' for update`)
	require.NoError(t, err)

	require.Equal(t, 1, b.once(), "the other one")
	require.Zero(t, b.once())

	require.NoError(t, change.Rollback(b.ctx))
	require.Equal(t, 1, b.once())
	b.drain()
	require.Equal(t, map[string]int{"enrolled": 2}, b.decided("w"))
}

func TestArchivedWorkflowRingsNoClock(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(inactive))
	each(20, func(id string) { b.put(id, map[string]any{"last_active_at": b.instant(0)}) })
	b.drain()
	_, err := b.db.Archive(b.ctx, "w", false)
	require.NoError(t, err)
	b.pass(31 * day)

	require.Zero(t, b.once(), "nobody can be enrolled")

	require.Zero(t, b.count(`select count(*) from work_items`))
}

func TestEdgeByTimeIsNotLostWhereTheUserChangesBeforeTheClockRings(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(b *bundle){
		"what the filter asks about changes": func(b *bundle) { b.put("u_1", map[string]any{"last_active_at": b.instant(0)}) },
		"something else that it asks about":  func(b *bundle) { b.put("u_1", map[string]any{"job_title": "Lead"}) },
		"an event that it counts occurs":     func(b *bundle) { b.event("", "login", "u_1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", whenever(`{"all": [`+pastMonth+`, {"property": "job_title", "op": "known"}, {"event": "login", "op": "at_most", "count": 9}]}`))
			b.put("u_1", map[string]any{"last_active_at": b.instant(0), "job_title": "Agent"})
			b.drain()
			b.pass(40 * day)

			happens(b)
			b.settle()

			require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"), "it held for a day")
		})
	}
}

func TestChangeIsNoEdgeOnceMoreForAClockThatIsLate(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", whenever(inactive))
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.drain()
	b.pass(31 * day) // it holds since a day ago, and nobody noticed
	b.put("u_1", map[string]any{"last_active_at": b.instant(-30*day - time.Hour)})
	b.once() // before the change is evaluated
	b.settle()

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"), "it has held ever since it began to")
}
