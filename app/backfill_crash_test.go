package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
)

// newVictim returns a child that is not raised yet, with a folder and a world of its own.
func newVictim(t *testing.T) *victim {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	outside, err := world.Start(world.Config{Secrets: []string{secret}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, outside.Stop()) })
	dir, err := os.MkdirTemp("", "rollcall-crash-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) // PostgreSQL may run as another account
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	text, err := json.Marshal(childConfig{Allow: []netip.AddrPort{netip.MustParseAddrPort(outside.HTTPAddr())}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644))
	return &victim{service: &service{t: t, ctx: ctx, world: outside}, dir: dir}
}

func TestKillInTheMiddleOfARunEnrollsEachOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts and kills a whole stack several times")
	}
	v := newVictim(t)
	v.raise()
	t.Cleanup(func() { _ = v.cmd.Process.Kill() })
	const users, before = 90, 10
	ids := v.crowd(users, "in", "driver")
	v.crowd(20, "out", "pilot")
	const trigger = "{ filter: { property: job_title, op: equals, value: driver } }"
	v.publish(v.once("crowd", "triggers: [{ event: signed_up }]"))
	for _, id := range ids[:before] {
		v.event("signed_up", id)
	}
	v.wantCounts("crowd", map[automation.EnrollmentStatus]int{automation.Completed: before})

	v.backfill("crowd", v.once("crowd", "triggers: ["+trigger+"]"), 20)
	v.wantRun("crowd", "has begun", begun)
	time.Sleep(time.Duration(rand.IntN(2500)) * time.Millisecond) // any moment will do
	t.Logf("killed when %v of %d were enrolled", v.theRun("crowd")["enrolled"], users-before)
	v.kill()
	v.raise()
	began := time.Now()

	run := v.wantRun("crowd", "has ended", ended)

	t.Logf("the run ended %s after the second start", time.Since(began))
	require.Equal(t, []any{"completed", float64(users), float64(users - before), 0.0},
		[]any{run["status"], run["matched"], run["enrolled"], run["held"]})
	require.Equal(t, map[string]any{"enrolled before, and the workflow enrolls once": float64(before)}, run["skipped"])
	v.wantCounts("crowd", map[automation.EnrollmentStatus]int{automation.Completed: users})
	t.Logf("all had run to their end %s after the second start", time.Since(began))
	keys := map[string]map[string]bool{} // of webhooks, by the user of whom they tell
	for _, item := range v.items("webhook") {
		body := string(item.Body)
		if keys[body] == nil {
			keys[body] = map[string]bool{}
		}
		keys[body][item.WebhookID] = true
	}
	require.Len(t, keys, users)
	for _, id := range ids {
		list := v.enrollments("crowd", id)
		require.Len(t, list, 1, id)
		require.Equal(t, map[string]bool{automation.EffectKey(list[0].ID, "tell", 1): true}, keys[fmt.Sprintf(`{"user":%q}`, id)],
			"repetitions have the same webhook-id")
	}
	v.kill()
}
