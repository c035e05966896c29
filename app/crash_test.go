package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"rollcall/app"
	"rollcall/automation"
	"rollcall/devstack"
	"rollcall/devstack/world"
	"rollcall/postgres"
)

// childVariable makes the test binary a whole Rollcall, PostgreSQL and Temporal included, on the
// folder it names.
const childVariable = "ROLLCALL_TEST_CHILD"

// childConfig is what the parent tells the child, and childReady what the child answers.
type (
	childConfig struct{ Allow []netip.AddrPort }
	childReady  struct{ URL, DatabaseURL string }
)

// child runs until it is killed.
func child(dir string) {
	ctx := context.Background()
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	check(err)
	var c childConfig
	check(json.Unmarshal(text, &c))
	st, err := devstack.Start(ctx, devstack.Config{Dir: filepath.Join(dir, "postgres"), TemporalAddr: "127.0.0.1:0"})
	check(err)
	check(postgres.Migrate(ctx, st.DatabaseURL))
	a, err := app.New(ctx, app.Config{
		DatabaseURL: st.DatabaseURL, Temporal: client.Options{HostPort: st.TemporalAddr}, Listen: "127.0.0.1:0",
		API: true, Worker: true, WebhookSecrets: []string{secret}, AllowAddrs: c.Allow,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	check(err)
	ready, err := json.Marshal(childReady{"http://" + a.Addr(), st.DatabaseURL})
	check(err)
	check(os.WriteFile(filepath.Join(dir, "ready.tmp"), ready, 0o600))
	check(os.Rename(filepath.Join(dir, "ready.tmp"), filepath.Join(dir, "ready.json")))
	check(a.Run(ctx))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

// victim is a child process to kill.
type victim struct {
	*service
	dir string
	cmd *exec.Cmd
}

// raise starts the child, for the first time or again on the same data.
func (v *victim) raise() {
	v.t.Helper()
	_ = os.Remove(filepath.Join(v.dir, "ready.json"))
	self, err := os.Executable()
	require.NoError(v.t, err)
	v.cmd = exec.CommandContext(v.ctx, self)
	v.cmd.Env = append(os.Environ(), childVariable+"="+v.dir)
	v.cmd.Stderr = v.t.Output()
	require.NoError(v.t, v.cmd.Start())
	var ready childReady
	v.until("the child is ready", func() bool {
		text, err := os.ReadFile(filepath.Join(v.dir, "ready.json"))
		return err == nil && json.Unmarshal(text, &ready) == nil
	})
	v.url = ready.URL
	v.db, err = postgres.Open(v.ctx, postgres.Config{URL: ready.DatabaseURL, Catalog: app.Catalog()})
	require.NoError(v.t, err)
}

// kill ends the child as a power cut would: PostgreSQL and Temporal die with it.
func (v *victim) kill() {
	v.t.Helper()
	require.NoError(v.t, v.cmd.Process.Kill())
	_ = v.cmd.Wait()
	v.db.Close()
}

// send posts an event until it is taken.
func (v *victim) send(id, user string) {
	for v.ctx.Err() == nil && !v.sendOnce(id, user) {
		time.Sleep(20 * time.Millisecond)
	}
}

// sendOnce posts an event and reports whether it was taken.
func (v *victim) sendOnce(id, user string) bool {
	body := fmt.Sprintf(`{"id": %q, "name": "signed_up", "user_id": %q}`, id, user)
	req, err := http.NewRequestWithContext(v.ctx, http.MethodPost, v.url+"/v1/events", strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusAccepted
}

func TestKillLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts and kills a whole stack several times")
	}
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

	v := &victim{service: &service{t: t, ctx: ctx, world: outside}, dir: dir}
	v.raise()
	t.Cleanup(func() { _ = v.cmd.Process.Kill() })
	v.declare(number("counter"))
	v.publish(fmt.Sprintf(`
name: crash
triggers: [{ event: signed_up }]
enroll: { again: every_trigger }
steps:
  - { id: count, action: set_property, with: { property: counter, increment: 1 } }
  - { id: first, action: send_webhook, with: { url: "http://%[1]s/webhook/first/{{ user.id }}", body: {} } }
  - { id: wait, delay: 2s }
  - { id: second, action: send_webhook, with: { url: "http://%[1]s/webhook/second/{{ user.id }}", body: {} } }
  - { id: count_again, action: set_property, with: { property: counter, increment: 10 } }
`, outside.HTTPAddr()))
	const rounds, perRound = 3, 20
	for round := range rounds {
		users := make([]string, perRound)
		for i := range users {
			users[i] = fmt.Sprintf("u_%d_%d", round, i)
			v.put(users[i], properties{})
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for _, id := range users {
				v.sendOnce("e-"+id, id)
			}
		}()
		// Somewhere between the first commit and the end of the delays.
		time.Sleep(time.Duration(rand.IntN(2500)) * time.Millisecond)
		v.kill()
		<-sent
		v.raise()
		for _, id := range users {
			v.send("e-"+id, id) // what was not acknowledged is sent again, with the same id
		}
	}
	v.until("every enrollment has completed", func() bool {
		counts, err := v.db.Counts(ctx, "crash")
		require.NoError(t, err)
		return counts[automation.Completed] == rounds*perRound
	})
	keys := map[string]map[string]bool{} // by path
	for _, item := range outside.Outbox() {
		if keys[item.Path] == nil {
			keys[item.Path] = map[string]bool{}
		}
		keys[item.Path][item.WebhookID] = true
	}
	for round := range rounds {
		for i := range perRound {
			id := fmt.Sprintf("u_%d_%d", round, i)
			list := v.enrollments("crash", id)
			require.Len(t, list, 1, "one event, one enrollment")
			user, err := v.db.User(ctx, id)
			require.NoError(t, err)
			require.Equal(t, 11.0, user.Properties["counter"], "each effect of ours happens once")
			for _, step := range []string{"first", "second"} {
				require.Equal(t, map[string]bool{automation.EffectKey(list[0].ID, step, 1): true}, keys["/webhook/"+step+"/"+id],
					"repetitions have the same webhook-id")
			}
		}
	}
	t.Logf("%d webhooks for %d effects", len(outside.Outbox()), 2*rounds*perRound)
	v.kill()
}
