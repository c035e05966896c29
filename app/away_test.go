package app_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"rollcall/automation"
	"rollcall/devstack/postgresql"
	"rollcall/devstack/world"
	"rollcall/postgres"
)

func TestWhatIsAcceptedWhileTemporalIsAwayStartsWhenItIsBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("patient", everyEvent, "0s"))
	s.put("u_1", properties{})
	s.stop()
	there := s.config.Temporal
	s.config.Temporal = client.Options{HostPort: "127.0.0.1:1", Namespace: s.namespace}
	s.run()

	s.event("signed_up", "u_1")
	s.settled()

	require.Equal(t, automation.Pending, s.enrollments("patient", "u_1")[0].Status)
	require.Equal(t, "does not answer", s.must("GET", "/readyz", nil)["temporal"])
	s.stop()
	s.config.Temporal = there
	s.run()
	s.wantStatus("patient", "u_1", automation.Completed)
	require.Len(t, s.items("webhook"), 2)
}

func TestDatabaseThatIsAwayIsA503AndNothingIsLost(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "rollcall-away-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server, err := postgresql.Start(t.Context(), postgresql.Config{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop() })
	require.NoError(t, server.Create(t.Context(), "rollcall"))
	url := server.URL("rollcall")
	require.NoError(t, postgres.Migrate(t.Context(), url))
	outside, err := world.Start(world.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = outside.Stop() })
	s := &service{t: t, ctx: t.Context(), world: outside}
	s.config = configure(t, outside, url, client.Options{HostPort: "127.0.0.1:1"})
	s.config.Worker = false
	s.run()
	s.put("u_1", properties{"first_name": "Ada"})

	require.NoError(t, server.Stop())

	for range 20 {
		status, problem := s.call("POST", "/v1/events", map[string]any{"name": "x", "user_id": "u_1"})
		require.Equal(t, http.StatusServiceUnavailable, status, problem)
		require.Equal(t, "urn:rollcall:problem/dependency-unavailable", problem["type"])
	}
	status, _ := s.call("GET", "/readyz", nil)
	require.Equal(t, http.StatusServiceUnavailable, status)

	server, err = postgresql.Start(t.Context(), postgresql.Config{Dir: dir, Port: portOf(t, url)})
	require.NoError(t, err)
	s.until("the API works again", func() bool {
		status, _ := s.call("POST", "/v1/events", map[string]any{"id": "e_1", "name": "x", "user_id": "u_1"})
		return status == http.StatusAccepted
	})
	require.Equal(t, "Ada", s.must("GET", "/v1/users/u_1", nil)["properties"].(map[string]any)["first_name"])
}
