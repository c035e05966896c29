package baseline

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

// begun counts the workflows of Starts whose first step has begun.
type begun struct{ n atomic.Int64 }

// Begin is their only step, a local activity.
func (b *begun) Begin(context.Context) error {
	b.n.Add(1)
	return nil
}

// Begins is the smallest workflow that begins something: it ends at once.
func Begins(ctx workflow.Context) error {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 5 * time.Second})
	var b *begun
	return workflow.ExecuteLocalActivity(ctx, b.Begin).Get(ctx, nil)
}

// Starts starts so many workflows eagerly, parallel at a time, and returns how long it took until the
// last one had begun: what Temporal alone is able to on these servers.
func Starts(ctx context.Context, options client.Options, n, parallel int) (took time.Duration, err error) {
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return 0, fmt.Errorf("bare starts: %w", err)
	}
	defer c.Close()
	count := &begun{}
	w := worker.New(c, TaskQueue, worker.Options{WorkerStopTimeout: 10 * time.Second})
	w.RegisterWorkflow(Begins)
	w.RegisterActivity(count)
	if err := w.Start(); err != nil {
		return 0, fmt.Errorf("bare starts: %w", err)
	}
	defer w.Stop()
	began := time.Now()
	group, starting := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error {
			_, err := c.ExecuteWorkflow(starting, client.StartWorkflowOptions{
				ID: fmt.Sprintf("starts/%d", i), TaskQueue: TaskQueue, EnableEagerStart: true,
				WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
			}, Begins)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("bare starts: %w", err)
	}
	for int(count.n.Load()) < n {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("bare starts: %d of %d have begun: %w", count.n.Load(), n, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return time.Since(began), nil
}
