package main

import (
	"context"
	"fmt"
	"runtime/pprof"
	"sync"
	"time"
)

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
		pace(ctx, p.began, len(p.passages), rate, func(n int, due time.Time) {
			r := p.passages[n]
			r.due = due
			group.Go(func() { send(ctx, s, p, r) })
		})
	})
	group.Wait()
	return p.wait(ctx)
}

// pace begins so many things at a rate, each when it is due, or fewer where the context ends. None may keep
// the next one waiting.
func pace(ctx context.Context, began time.Time, count, rate int, begin func(n int, due time.Time)) {
	for n := range count {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if !pause(ctx, time.Until(due)) {
			return
		}
		begin(n, due)
	}
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
	return until(ctx, func(string) {}, func() (done bool, state string, err error) {
		select {
		case <-p.complete:
			return true, "", nil
		default:
		}
		p.mu.Lock()
		failed := p.failed
		p.mu.Unlock()
		if failed > 0 {
			err = fmt.Errorf("%d events were not accepted, one because: %w", failed, p.failure())
		}
		return false, p.progress(), err
	})
}

func (p *phase) failure() error {
	for _, r := range p.passages {
		if r.err != nil {
			return r.err
		}
	}
	return nil
}
