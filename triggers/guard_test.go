package triggers_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

const held = "held: held: the guard lets no more through this hour"

// signUp creates users who sign up, one after the other.
func (b *bundle) signUp(users ...string) {
	b.t.Helper()
	for _, user := range users {
		b.put(user, nil)
		b.event("", "signed_up", user)
	}
}

func TestMoreThanTheGuardLetsThroughInAnHourAreHeld(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", `"triggers": [{"event": "signed_up"}, {"manual": true}], "guard": {"max_per_hour": 3}`)
	each(5, func(id string) { b.signUp(id) })
	b.drain()

	require.Equal(t, map[string]int{"enrolled": 3, held: 2}, b.decided("w"))
	require.Equal(t, []string{"pending"}, b.passages("w", "u_002"))
	require.Equal(t, []string{"held"}, b.passages("w", "u_003"))
	b.put("u_asked", nil)
	e, order, err := b.db.Enroll(b.ctx, "w", "u_asked")
	require.NoError(t, err)
	require.Equal(t, automation.Held, e.Status, "a request is held too")
	require.Nil(t, order)

	b.pass(time.Hour - time.Microsecond)
	b.signUp("u_early")
	b.drain()
	require.Equal(t, []string{"held"}, b.passages("w", "u_early"))
	b.pass(time.Microsecond)
	b.signUp("u_later")
	b.drain()
	require.Equal(t, []string{"pending"}, b.passages("w", "u_later"), "an hour later there is room again")
}

func TestWhoIsHeldIsInAndCannotEnterTwice(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp+`, "guard": {"max_per_hour": 1}`)
	b.signUp("u_1", "u_2")
	b.signUp("u_2")
	b.drain()

	require.Equal(t, []string{held, "refused: already enrolled"}, b.outcomes("w", "u_2"))
	_, _, err := b.db.Enroll(b.ctx, "w", "u_2")
	require.ErrorIs(t, err, automation.ErrAlreadyEnrolled)
}

func TestGuardHoldsMoreThanAShareOfAllUsers(t *testing.T) {
	t.Parallel()
	for share, c := range map[string]struct{ users, enrolled int }{
		"20%":  {10, 2},
		"25%":  {10, 2}, // two and a half
		"1%":   {10, 1}, // at least one
		"100%": {10, 10},
		"58%":  {50, 29}, // which no binary fraction is
	} {
		t.Run(share, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", `"triggers": [{"filter": `+titled+`}], "guard": {"max_share": "`+share+`"}`)
			each(c.users, func(id string) { b.put(id, nil) })
			b.drain()

			each(c.users, func(id string) { b.put(id, map[string]any{"job_title": "Lead"}) })
			b.drain()

			require.Equal(t, c.enrolled, b.decided("w")["enrolled"])
			require.Equal(t, c.users-c.enrolled, b.decided("w")[held])
		})
	}
}

func TestGuardTakesTheLowerOfItsLimits(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("many", signedUp+`, "guard": {"max_per_hour": 4, "max_share": "50%"}`)
	b.publish("few", signedUp+`, "guard": {"max_per_hour": 1, "max_share": "50%"}`)
	each(6, func(id string) { b.put(id, nil) })
	each(6, func(id string) { b.event("", "signed_up", id) })
	b.drain()
	require.Equal(t, map[string]int{"enrolled": 3, held: 3}, b.decided("many"))
	require.Equal(t, map[string]int{"enrolled": 1, held: 5}, b.decided("few"))
}

func TestHeldOnesAreApprovedAndRejected(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp+`, "guard": {"max_per_hour": 1}`)
	b.publish("other", signedUp+`, "guard": {"max_per_hour": 1}`)
	each(7, func(id string) { b.signUp(id) })
	b.drain()
	count, sample, err := b.db.Held(b.ctx, "w", 2)
	require.NoError(t, err)
	require.Equal(t, 6, count)
	require.Len(t, sample, 2)
	ids := func(users ...string) []string {
		return b.texts(`select id::text from enrollments where definition = 'w' and user_id = any($1)`, users)
	}
	approve := func(ids []string) int {
		n, err := b.db.Approve(b.ctx, "w", ids)
		require.NoError(t, err)
		return n
	}
	reject := func(ids []string) int {
		n, err := b.db.Reject(b.ctx, "w", ids)
		require.NoError(t, err)
		return n
	}
	first := ids("u_000", "u_001") // the first of them is not held

	require.Equal(t, 1, approve(first), "some")
	require.Zero(t, approve(first), "once")
	require.Zero(t, reject(first), "too late")
	require.Zero(t, approve([]string{}), "none of them")
	require.Zero(t, approve([]string{"no id"}))
	require.Zero(t, approve(b.texts(`select id::text from enrollments where definition = 'other'`)), "those of another workflow")
	require.Equal(t, 2, reject(ids("u_002", "u_003")))
	require.Zero(t, approve(ids("u_002")), "too late")
	require.Equal(t, 3, approve(nil), "all the rest")

	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 5, automation.Unenrolled: 2}, b.counts("w"))
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 1, automation.Held: 6}, b.counts("other"))
	orders, err := b.db.ToStart(b.ctx, 100, -time.Second, time.Hour)
	require.NoError(t, err)
	require.Len(t, orders, 6, "what is approved is started")
	b.signUp("u_new")
	b.drain()
	require.Equal(t, []string{"held"}, b.passages("w", "u_new"), "those who were approved count in this hour")
	require.Equal(t, 1, reject(nil))
}

func TestHeldOnesOfAnUnknownWorkflowAreNotFound(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	_, _, err := b.db.Held(b.ctx, "w", 1)
	require.ErrorIs(t, err, automation.ErrNotFound)
	_, err = b.db.Approve(b.ctx, "w", nil)
	require.ErrorIs(t, err, automation.ErrNotFound)
	_, err = b.db.Reject(b.ctx, "w", nil)
	require.ErrorIs(t, err, automation.ErrNotFound)
}

func TestRejectedOnesTakeNoRoom(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("w", signedUp+`, "guard": {"max_per_hour": 2}`)
	b.signUp("u_1", "u_2")
	b.drain()
	b.pass(30 * time.Minute)
	b.signUp("u_3")
	b.drain()
	_, err := b.db.Reject(b.ctx, "w", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"unenrolled: not approved"}, b.passages("w", "u_3"))
	b.signUp("u_4")
	b.drain()
	require.Equal(t, []string{"held"}, b.passages("w", "u_4"), "nor do they make any")

	b.pass(31 * time.Minute)
	b.signUp("u_5", "u_6")
	b.drain()

	require.Equal(t, []string{"pending"}, b.passages("w", "u_6"), "those of the last hour were not let through")
}

func TestManyPumpsAndRequestsKeepToTheGuard(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.publish("w", signedUp+`, "guard": {"max_per_hour": 50}`)
	b.publish("z", signedUp+`, "guard": {"max_per_hour": 60}`)
	const users = 200
	each(users, func(id string) { b.signUp(id) })
	var group sync.WaitGroup
	for range 4 {
		pump := b.newPump()
		group.Go(func() {
			for {
				n, err := pump.Once(b.ctx)
				if err != nil {
					t.Errorf("pump: %s", err)
				}
				if n == 0 {
					return
				}
			}
		})
	}
	for i := range 20 {
		b.put(fmt.Sprint("u_asked_", i), nil)
		group.Go(func() {
			if _, _, err := b.db.Enroll(b.ctx, "w", fmt.Sprint("u_asked_", i)); err != nil {
				t.Errorf("request: %s", err)
			}
		})
	}
	group.Wait()
	b.drain()

	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 50, automation.Held: 170}, b.counts("w"))
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 60, automation.Held: 140}, b.counts("z"))
}
