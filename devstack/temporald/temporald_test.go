package temporald_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"rollcall/devstack/postgresql"
	"rollcall/devstack/temporald"
)

// limit is how long a test waits for what must come.
const limit = time.Minute

func TestATimerRunsOutAfterARestart(t *testing.T) {
	t.Parallel()
	database, err := postgresql.Start(t.Context(), postgresql.Config{Fast: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, database.Stop()) })
	config := temporald.Config{PostgresURL: database.URL("postgres"), UIAddr: "127.0.0.1:0"}

	first := start(t, &config)
	_, err = temporald.Start(t.Context(), temporald.Config{PostgresURL: config.PostgresURL})
	require.ErrorContains(t, err, "another Temporal server is using it")
	run := begin(t, first, 4*time.Second)
	require.Eventually(t, func() bool { return asleep(t, first, run) }, limit, 10*time.Millisecond)
	first.Stop()

	config.FrontendAddr, config.UIAddr = first.FrontendAddr(), first.UIAddr()
	second := start(t, &config)
	require.Equal(t, first.FrontendAddr(), second.FrontendAddr())
	c := dial(t, second)
	work(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var slept time.Duration
	require.NoError(t, c.GetWorkflow(ctx, run, "").Get(ctx, &slept))
	require.GreaterOrEqual(t, slept, 4*time.Second)
	require.Eventually(t, func() bool { return found(t, c, `RollcallUser = "u_42" and RollcallVersion = 3`) == 1 },
		limit, 10*time.Millisecond)
}

func TestTheWebUIAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, &temporald.Config{UIAddr: "127.0.0.1:0"})
	for _, path := range []string{"/", "/api/v1/namespaces/default", "/api/v1/settings"} {
		res, err := http.Get("http://" + s.UIAddr() + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, path)
	}
}

func TestItWorksInMemory(t *testing.T) {
	t.Parallel()
	s := start(t, &temporald.Config{Namespace: "people"})
	c, err := client.Dial(client.Options{HostPort: s.FrontendAddr(), Namespace: "people", Logger: quiet()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	described, err := c.WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: "people"})
	require.NoError(t, err)
	require.Equal(t, 7*24*time.Hour, described.Config.WorkflowExecutionRetentionTtl.AsDuration())
	work(t, c)
	run, err := c.ExecuteWorkflow(t.Context(), options(), nap, 10*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	require.Eventually(t, func() bool { return found(t, c, `RollcallStep = "nap"`) == 1 }, limit, 10*time.Millisecond)
}

func TestOnlyLoopbackAddressesAreTaken(t *testing.T) {
	t.Parallel()
	_, err := temporald.Start(t.Context(), temporald.Config{FrontendAddr: "0.0.0.0:0"})
	require.ErrorContains(t, err, "not on the loopback interface")
}

// TestABurstOfTimersLeavesNobodyStandingForAMinute: with several partitions, of a thousand timers that ran out
// together a dozen were noticed a minute late.
func TestABurstOfTimersLeavesNobodyStandingForAMinute(t *testing.T) {
	t.Parallel()
	s := start(t, &temporald.Config{})
	found, err := dial(t, s).WorkflowService().ListTaskQueuePartitions(t.Context(), &workflowservice.ListTaskQueuePartitionsRequest{
		Namespace: client.DefaultNamespace, TaskQueue: &taskqueue.TaskQueue{Name: "naps"},
	})
	require.NoError(t, err)
	require.Len(t, found.WorkflowTaskQueuePartitions, 1)
	require.Len(t, found.ActivityTaskQueuePartitions, 1)
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	t.Parallel()
	s := start(t, &temporald.Config{})
	_, err := temporald.Start(t.Context(), temporald.Config{FrontendAddr: s.FrontendAddr()})
	require.ErrorContains(t, err, "address already in use")
}

func start(t *testing.T, c *temporald.Config) *temporald.Server {
	t.Helper()
	c.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	began := time.Now()
	s, err := temporald.Start(t.Context(), *c)
	require.NoError(t, err)
	t.Logf("started in %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(s.Stop)
	return s
}

// begin starts one workflow and lets it fall asleep, with a worker that is gone afterwards.
func begin(t *testing.T, s *temporald.Server, d time.Duration) string {
	t.Helper()
	c := dial(t, s)
	stop := work(t, c)
	run, err := c.ExecuteWorkflow(t.Context(), options(), nap, d)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return asleep(t, s, run.GetID()) }, limit, 10*time.Millisecond)
	stop()
	return run.GetID()
}

func options() client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: "nap/u_42/1", TaskQueue: "naps",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword("RollcallWorkflow").ValueSet("nap"),
			temporal.NewSearchAttributeKeyInt64("RollcallVersion").ValueSet(3),
			temporal.NewSearchAttributeKeyKeyword("RollcallUser").ValueSet("u_42"),
			temporal.NewSearchAttributeKeyKeyword("RollcallStep").ValueSet("nap"),
		),
	}
}

// nap sleeps and returns how long it slept.
func nap(ctx workflow.Context, d time.Duration) (time.Duration, error) {
	began := workflow.Now(ctx)
	if err := workflow.Sleep(ctx, d); err != nil {
		return 0, err
	}
	return workflow.Now(ctx).Sub(began), nil
}

// asleep reports whether a workflow runs and its last workflow task left it on a timer.
func asleep(t *testing.T, s *temporald.Server, id string) bool {
	t.Helper()
	c := dial(t, s)
	described, err := c.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	return described.WorkflowExecutionInfo.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING &&
		described.PendingWorkflowTask == nil && described.WorkflowExecutionInfo.HistoryLength > 2
}

func found(t *testing.T, c client.Client, query string) int64 {
	t.Helper()
	counted, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	require.NoError(t, err)
	return counted.Count
}

func dial(t *testing.T, s *temporald.Server) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.FrontendAddr(), Logger: quiet()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// work runs a worker until the test ends or the returned function is called.
func work(t *testing.T, c client.Client) (stop func()) {
	t.Helper()
	w := worker.New(c, "naps", worker.Options{})
	w.RegisterWorkflow(nap)
	require.NoError(t, w.Start())
	stop = sync.OnceFunc(w.Stop)
	t.Cleanup(stop)
	return stop
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
