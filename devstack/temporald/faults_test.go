package temporald_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/devstack/temporald"
)

// TestWorkflowsEndThoughTheStoreFails: the faults happen, and the server overcomes them.
func TestWorkflowsEndThoughTheStoreFails(t *testing.T) {
	t.Parallel()
	said := &lines{}
	s, err := temporald.Start(t.Context(), temporald.Config{
		Faults: temporald.Faults{Rate: 0.05, Seed: 1}, Log: slog.New(slog.NewTextHandler(said, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	c := dial(t, s)
	work(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for i := range 10 {
		o := options()
		o.ID = fmt.Sprintf("nap/u_%d/1", i)
		for began := false; !began; {
			run, err := c.ExecuteWorkflow(ctx, o, nap, 10*time.Millisecond)
			if began = err == nil; began {
				require.NoError(t, run.Get(ctx, nil))
				continue
			}
			require.NoError(t, ctx.Err())
			fmt.Fprintln(said, err)
		}
	}
	require.Contains(t, said.String(), "fault injection error")
}

// lines are what is said to a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
