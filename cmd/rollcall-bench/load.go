package main

import (
	"context"
	"fmt"
	"runtime/pprof"
	"sync"
	"time"
)

// patience is how long a phase may go on without any webhook arriving.
const patience = time.Minute

// burst sends all events as fast as a number of clients can, and returns when the last passage is
// complete.
func burst(ctx context.Context, s side, p *phase, clients int) error {
	queue := make(chan *passage, len(p.passages))
	p.began = time.Now()
	for _, r := range p.passages {
		r.due = p.began
		queue <- r
	}
	close(queue)
	var group sync.WaitGroup
	pprof.Do(ctx, pprof.Labels("part", "client"), func(ctx context.Context) {
		for range clients {
			group.Go(func() {
				for r := range queue {
					send(ctx, s, p, r)
				}
			})
		}
	})
	group.Wait()
	return p.wait(ctx)
}

// stream sends events at a steady rate, whether or not earlier ones were answered, and returns when
// the last passage is complete.
func stream(ctx context.Context, s side, p *phase, rate int) error {
	var group sync.WaitGroup
	p.began = time.Now()
	pprof.Do(ctx, pprof.Labels("part", "client"), func(ctx context.Context) {
		for i, r := range p.passages {
			r.due = p.began.Add(time.Duration(i) * time.Second / time.Duration(rate))
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(r.due)):
			}
			group.Go(func() { send(ctx, s, p, r) })
		}
	})
	group.Wait()
	return p.wait(ctx)
}

func send(ctx context.Context, s side, p *phase, r *passage) {
	if ctx.Err() != nil {
		return
	}
	r.sent = time.Now()
	accepted, err := s.event(ctx, r.user)
	p.acceptance(r, accepted, err)
}

// wait returns when the phase is complete. It gives up when nothing happens any more.
func (p *phase) wait(ctx context.Context) error {
	for before, quiet := 0, time.Now(); ; {
		p.mu.Lock()
		seen, failed := p.firsts+p.seconds, p.failed
		p.mu.Unlock()
		if failed > 0 {
			return fmt.Errorf("%d events were not accepted, one because: %w", failed, p.failure())
		}
		if seen != before {
			before, quiet = seen, time.Now()
		}
		if time.Since(quiet) > patience {
			return fmt.Errorf("nothing arrives any more: %s", p.progress())
		}
		select {
		case <-p.complete:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", p.progress(), context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *phase) failure() error {
	for _, r := range p.passages {
		if r.err != nil {
			return r.err
		}
	}
	return nil
}
