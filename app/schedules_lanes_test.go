package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSingleEnrollmentsDoNotWaitBehindARun starts a run of many and sends events meanwhile: whom an event
// enrolls begins before the run's last ones do.
func TestSingleEnrollmentsDoNotWaitBehindARun(t *testing.T) {
	t.Parallel()
	s := start(t)
	const users, singles = 2000, 12
	s.exec(fmt.Sprintf(`
		insert into users (id, properties, created_at, updated_at)
		select 'u_' || lpad(n::text, 4, '0'), '{"status": "active", "job_title": "driver"}', now(), now() from generate_series(1, %d) n`, users))
	s.publish(`
name: mass
triggers: [{ schedule: { ` + inSixHours() + ` }, where: { property: job_title, op: equals, value: driver } }]
steps: [{ id: note, action: notify, with: { to: "{{ user.id }}", text: hello } }]`)
	s.publish(s.once("single", "triggers: [{ event: signed_up }]"))
	run := s.must("POST", "/v1/workflows/mass/runs", nil)
	require.EqualValues(t, users, run["matched"])
	s.until("all are pending, and the first have begun", func() bool {
		run = s.theRun("mass")
		return run["enrolled"] == float64(users) && run["started"].(float64) > 20
	})
	require.Less(t, run["started"], float64(users/2), "most wait")

	var slowest time.Duration
	for i := range singles {
		user := fmt.Sprintf("u_%04d", users-i) // the last ones of the run
		sent := time.Now()
		s.event("signed_up", user)
		s.until(user+" has begun", func() bool {
			list := s.enrollments("single", user)
			return len(list) == 1 && list[0].StartedAt != nil
		})
		slowest = max(slowest, time.Since(sent))
	}

	run = s.theRun("mass")
	require.Less(t, run["started"], float64(users), "the run goes on when all singles have begun")
	t.Logf("the slowest of %d began %s after its event, while %v of %d of the run had begun", singles, slowest, run["started"], users)
	waiting := 0
	for i := range singles {
		if s.enrollments("mass", fmt.Sprintf("u_%04d", users-i))[0].StartedAt == nil {
			waiting++
		}
	}
	t.Logf("the run's own enrollments of %d of these users wait", waiting)
}
