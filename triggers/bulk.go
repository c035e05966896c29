package triggers

import (
	"context"
	"sync"
	"time"

	"rollcall/postgres"
)

const (
	bulkParallel = 4                // starts of runs at the same time: fewer than of single ones, which go on beside them
	bulkBatch    = 100              // orders of runs that are on their way to their first step
	bulkLost     = 15 * time.Second // when those that were taken, and not handed over, count as lost
)

// startRuns starts the enrollments that runs have made.
func (s *Starter) startRuns(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := s.StartRuns(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("starts of runs", "error", err)
		}
		if n == 0 || err != nil {
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// StartRuns starts some enrollments of runs and returns how many it took. What fails is taken again
// later.
func (s *Starter) StartRuns(ctx context.Context) (int, error) {
	orders, err := s.db.RunsToStart(ctx, bulkBatch, bulkLost, unbegunAfter)
	if err != nil || len(orders) == 0 {
		return 0, err
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var handed []postgres.Order
	next := make(chan postgres.Order)
	for range bulkParallel {
		group.Go(func() {
			for o := range next {
				began := time.Now()
				if err := s.Hand(ctx, o, bulk); err != nil {
					if ctx.Err() == nil {
						s.log.Warn("start of an enrollment, will be tried again", "enrollment_id", o.ID, "error", err)
					}
					continue
				}
				s.metrics.startedIn(time.Since(began))
				mu.Lock()
				handed = append(handed, o)
				mu.Unlock()
			}
		})
	}
	for _, o := range orders {
		next <- o
	}
	close(next)
	group.Wait()
	return len(orders), s.db.MarkHanded(ctx, handed)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
