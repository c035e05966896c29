package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// TestKillAroundAFiringEnrollsEachOnce kills all there is, PostgreSQL and Temporal included, some moment
// from just before a firing until its run is under way.
func TestKillAroundAFiringEnrollsEachOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts and kills a whole stack")
	}
	v := newVictim(t)
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute) // a step that was killed is repeated after a minute
	t.Cleanup(cancel)
	v.ctx = ctx
	v.raise()
	t.Cleanup(func() { _ = v.cmd.Process.Kill() })
	drivers := v.crowd(150, "in", "driver")
	v.crowd(20, "out", "pilot")
	var minute time.Time
	var name string
	for attempt := 1; time.Until(minute) < 2*time.Second; attempt++ { // until it is ready in time
		name = fmt.Sprint("crash-", attempt)
		minute = time.Now().Add(8 * time.Second).Truncate(time.Minute).Add(time.Minute)
		v.publish(v.scheduled(name, daily(minute), "driver"))
		v.until("Temporal was told", func() bool {
			states, err := v.db.Schedules(v.ctx, name)
			require.NoError(t, err)
			return states[0].ToldAt != nil
		})
	}
	moment := minute.Add(time.Duration(rand.IntN(2500)-500) * time.Millisecond)
	v.until("the moment has come", func() bool { return time.Now().After(moment) })

	v.kill()

	v.raise()
	began := time.Now()
	run := v.wantFiring(name, postgres.RunCompleted)
	created, err := time.Parse(time.RFC3339Nano, run["created_at"].(string))
	require.NoError(t, err)
	t.Logf("killed %s after the minute; the run was opened %s after it, and had ended %s after the next start",
		moment.Sub(minute), created.Sub(minute), time.Since(began))
	v.forgetOffers()
	require.Equal(t, []any{minute.UTC().Format("2006-01-02T15:04"), 150.0, 150.0, 0.0},
		[]any{run["nominal"], run["matched"], run["enrolled"], run["held"]})
	v.wantCounts(name, map[automation.EnrollmentStatus]int{automation.Completed: 150})
	for _, id := range drivers {
		list := v.enrollments(name, id)
		require.Len(t, list, 1)
		keys := map[string]bool{}
		for _, item := range v.webhooksOf("/webhook/"+name, id) {
			keys[item.WebhookID] = true
		}
		require.Equal(t, map[string]bool{automation.EffectKey(list[0].ID, "tell", 1): true}, keys, "repetitions have the same webhook-id")
	}
	require.Len(t, v.runsOf(name), 1)
	v.kill()
}

// forgetOffers lets those be started at once whom the killed process was about to start; otherwise it
// takes a minute.
func (v *victim) forgetOffers() {
	v.t.Helper()
	text, err := os.ReadFile(filepath.Join(v.dir, "ready.json"))
	require.NoError(v.t, err)
	var ready childReady
	require.NoError(v.t, json.Unmarshal(text, &ready))
	v.config.DatabaseURL = ready.DatabaseURL
	v.exec(`update enrollments set offered_at = null where status = 'pending'`)
}
