package devstack_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"rollcall/devstack"
	"rollcall/devstack/postgresql"
)

const limit = time.Minute

// childVariable makes TestAKillLosesNothing play the process that is killed.
const childVariable = "ROLLCALL_TEST_DEVSTACK_IN"

func TestAKillLosesNothing(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		playChild(t, dir)
	}
	t.Parallel()
	dir := folder(t)
	child := exec.Command(os.Args[0], "-test.run", "^TestAKillLosesNothing$", "-test.timeout", "2m")
	child.Env = append(os.Environ(), childVariable+"="+dir)
	require.NoError(t, child.Start())
	t.Cleanup(func() { _ = child.Process.Kill() })
	var up devstack.Stack
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "up"))
		return err == nil && json.Unmarshal(text, &up) == nil
	}, limit, 10*time.Millisecond)

	execute(t, up.DatabaseURL, "create table note (text text)", "insert into note values ('kept')")
	c, stop := work(t, up.TemporalAddr)
	options := client.StartWorkflowOptions{ID: "nap", TaskQueue: "naps"}
	_, err := c.ExecuteWorkflow(t.Context(), options, nap, 3*time.Second)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		described, err := c.DescribeWorkflowExecution(t.Context(), "nap", "")
		return err == nil && described.WorkflowExecutionInfo.HistoryLength == 5 // the timer has started
	}, limit, 10*time.Millisecond)
	stop()
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()

	s := start(t, devstack.Config{Dir: dir})
	execute(t, s.DatabaseURL, "insert into note select text from note")
	c, _ = work(t, s.TemporalAddr)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	require.NoError(t, c.GetWorkflow(ctx, "nap", "").Get(ctx, nil))
}

func TestItUsesAServerThatWasGiven(t *testing.T) {
	t.Parallel()
	given, err := postgresql.Start(t.Context(), postgresql.Config{Fast: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, given.Stop()) })
	require.NoError(t, given.Create(t.Context(), "mine"))
	s := start(t, devstack.Config{DatabaseURL: given.URL("mine")})
	require.Equal(t, given.URL("mine"), s.DatabaseURL)
	for _, name := range []string{"temporal", "temporal_visibility"} {
		execute(t, given.URL(name), "select from schema_version")
	}
}

func start(t *testing.T, c devstack.Config) *devstack.Stack {
	t.Helper()
	began := time.Now()
	s, err := devstack.Start(t.Context(), c)
	require.NoError(t, err)
	t.Logf("started in %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// playChild starts a stack, says where it is, and waits to be killed.
func playChild(t *testing.T, dir string) {
	t.Helper()
	s, err := devstack.Start(t.Context(), devstack.Config{Dir: dir})
	require.NoError(t, err)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "up"), text, 0o600))
	select {}
}

func nap(ctx workflow.Context, d time.Duration) error { return workflow.Sleep(ctx, d) }

func work(t *testing.T, addr string) (c client.Client, stop func()) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	c, err := client.Dial(client.Options{HostPort: addr, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	w := worker.New(c, "naps", worker.Options{})
	w.RegisterWorkflow(nap)
	require.NoError(t, w.Start())
	stop = sync.OnceFunc(w.Stop)
	t.Cleanup(stop)
	return c, stop
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	for _, sql := range statements {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close(t.Context()))
}

// folder is one that PostgreSQL's account can enter when root runs the tests; t.TempDir is closed to it.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rollcall-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}
