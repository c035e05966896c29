package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
)

// month is what "now-30d" goes back by.
const month = 30 * 24 * time.Hour

// prompt is how late at most something may happen that is due.
const prompt = 2 * time.Second

// monthAgoIn is a time, as a property has it, that will be a month ago at an instant so soon from now.
func monthAgoIn(d time.Duration) (value string, instant time.Time) {
	instant = time.Now().UTC().Truncate(time.Microsecond).Add(d)
	return instant.Add(-month).Format(time.RFC3339Nano), instant
}

// webhooksOf are the webhooks to a path that tell of a user.
func (s *service) webhooksOf(path, user string) []world.Item {
	var found []world.Item
	for _, item := range s.items("webhook") {
		if item.Path == path && string(item.Body) == fmt.Sprintf(`{"user":%q}`, user) {
			found = append(found, item)
		}
	}
	return found
}

// once is a definition with one webhook, whose body names the user.
func (s *service) once(name, head string) string {
	return fmt.Sprintf(`
name: %[1]s
%[2]s
steps:
  - { id: tell, action: send_webhook, with: { url: "http://%[3]s/webhook/%[1]s", body: { user: "{{ user.id }}" } } }
`, name, head, s.world.HTTPAddr())
}

func TestTimeAloneEnrollsAtTheInstantAndNeverBefore(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.run() // a second process shares the work
	instants := map[string]time.Time{}
	// Some are there when the definition is published, others come later.
	for i := range 8 {
		id := fmt.Sprintf("u_old_%d", i)
		value, at := monthAgoIn(6*time.Second + time.Duration(i)*70*time.Millisecond)
		s.put(id, properties{"last_active_at": value})
		instants[id] = at
	}
	s.publish(s.once("idle", "triggers: [{ filter: { property: last_active_at, op: before, value: now-30d } }]"))
	for i := range 8 {
		id := fmt.Sprintf("u_new_%d", i)
		value, at := monthAgoIn(2*time.Second + time.Duration(i)*70*time.Millisecond)
		s.put(id, properties{"last_active_at": value})
		instants[id] = at
	}
	// One was active again before the month was over, and one has always been away.
	late, _ := monthAgoIn(3 * time.Second)
	s.put("u_back", properties{"last_active_at": late})
	s.patch("u_back", properties{"last_active_at": time.Now().UTC().Format(time.RFC3339Nano)})
	s.put("u_never", properties{})

	var latest, told time.Duration
	for id, at := range instants {
		e := s.wantStatus("idle", id, automation.Completed)
		lateness := e.CreatedAt.Sub(at)
		require.GreaterOrEqual(t, lateness, time.Duration(0), "%s was enrolled before its instant", id)
		require.LessOrEqual(t, lateness, prompt, "%s was enrolled late", id)
		require.Equal(t, "filter", e.Trigger)
		hooks := s.webhooksOf("/webhook/idle", id)
		require.Len(t, hooks, 1)
		latest, told = max(latest, lateness), max(told, hooks[0].At.Sub(at))
	}
	t.Logf("enrolled at most %s after the instant, webhook at most %s after it", latest, told)
	s.settled()
	for _, id := range []string{"u_back", "u_never"} {
		require.Empty(t, s.enrollments("idle", id))
	}
	for id := range instants {
		require.Equal(t, []string{"enrolled"}, s.decisions("idle", id), "each instant is noticed once")
	}
}

func TestEventsThatGrowOldEnroll(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.once("quiet", `
triggers:
  - filter:
      all:
        - { property: job_title, op: equals, value: driver }
        - { event: heartbeat, op: at_most, count: 0, within: 2s }
`))
	s.put("u_1", properties{})
	began := time.Now()
	s.event("heartbeat", "u_1")
	s.patch("u_1", properties{"job_title": "driver"})
	patched := time.Now()

	e := s.wantStatus("quiet", "u_1", automation.Completed)

	require.GreaterOrEqual(t, e.CreatedAt.Sub(began), 2*time.Second, "not before the heartbeat has grown old")
	require.LessOrEqual(t, e.CreatedAt.Sub(patched), 2*time.Second+prompt)
	require.Len(t, s.webhooksOf("/webhook/quiet", "u_1"), 1)
}

func TestInstantThatPassesWhileTheServiceIsAwayIsCaughtUp(t *testing.T) {
	t.Parallel()
	s := start(t)
	const between = "triggers: [{ filter: { property: last_active_at, op: between, value: [now-30d-300s, now-30d] } }]"
	const moment = "triggers: [{ filter: { property: last_active_at, op: between, value: [now-2592001s, now-30d] } }]"
	s.publish(s.once("away", between))
	s.publish(s.once("moment", moment))
	s.publish(s.once("moment-only", moment+"\nunenroll: { when_trigger_stops: true }"))
	value, instant := monthAgoIn(5 * time.Second)
	s.put("u_1", properties{"last_active_at": value})
	s.settled()
	s.stop()
	require.Positive(t, time.Until(instant), "the service was still there at the instant: the machine is too slow for this test")
	s.until("the instant and the moment are over", func() bool { return time.Since(instant) > 1500*time.Millisecond })

	s.run()
	began := time.Now()

	for _, name := range []string{"away", "moment"} {
		e := s.wantStatus(name, "u_1", automation.Completed)
		require.False(t, e.CreatedAt.Before(instant))
		require.Less(t, e.CreatedAt.Sub(began), prompt)
		t.Logf("%s: enrolled %s after the start", name, e.CreatedAt.Sub(began))
		require.Len(t, s.webhooksOf("/webhook/"+name, "u_1"), 1)
		require.Len(t, s.enrollments(name, "u_1"), 1)
	}
	s.settled()
	// Who may be in only while the trigger holds is not let in when it has ceased to.
	require.Equal(t, []string{"refused: " + becauseStopped}, s.decisions("moment-only", "u_1"))
}
