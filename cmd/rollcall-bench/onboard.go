package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"
)

// idleRate is how many events a second arrive while nothing else happens.
const idleRate = 2

// round is one turn of one side.
type round struct {
	Side    string  `json:"side"`
	Figures figures `json:"figures"`
	Costs   costs   `json:"costs_per_run"` // of the burst
}

// measureOnboarding compares Rollcall with the programs that are written by hand.
func measureOnboarding(ctx context.Context, b *bench) (result, error) {
	meter, err := newMeter(ctx, b.serverURL)
	if err != nil {
		return nil, err
	}
	defer meter.close()
	rounds, err := (&comparison{b, meter}).all(ctx)
	if err != nil {
		return nil, err
	}
	return newOnboarding(b.options, rounds), nil
}

// comparison is that of the sides.
type comparison struct {
	*bench
	meter *meter
}

// all gives the sides their turns: the order of every even round is that of the odd ones turned
// around, so that none always finds the fuller server.
func (c *comparison) all(ctx context.Context) ([]round, error) {
	sides := []side{&product{bench: c.bench}, &handwritten{bench: c.bench}, &handwritten{bench: c.bench, regular: true}}
	if err := c.heat(ctx, sides[1]); err != nil {
		return nil, err
	}
	var rounds []round
	for i := range c.rounds {
		for j := range sides {
			s := sides[j]
			if i%2 == 1 {
				s = sides[len(sides)-1-j]
			}
			turn, err := c.turn(ctx, s, i+1)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name(), i+1, err)
			}
			rounds = append(rounds, turn)
		}
	}
	return rounds, nil
}

// heat lets a side go through once before anything is measured: whoever is first on servers that were
// just started pays for that.
func (c *comparison) heat(ctx context.Context, s side) (err error) {
	if err := s.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	p := newPhase("h", min(200, c.runs))
	return c.phase(ctx, s, p, "heating the servers", func() error { return burst(ctx, s, p, c.clients) })
}

// turn measures one side once.
func (c *comparison) turn(ctx context.Context, s side, number int) (turn round, err error) {
	turn.Side = s.name()
	if err := s.open(ctx); err != nil {
		return turn, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	name := func(phase string) string { return fmt.Sprintf("%s%d", phase, number) }

	warm := newPhase(name("w"), min(50, c.runs/8+1))
	if err := c.phase(ctx, s, warm, "warm-up", func() error { return burst(ctx, s, warm, c.clients) }); err != nil {
		return turn, err
	}
	if err := c.burst(ctx, s, number, newPhase(name("b"), c.runs), &turn); err != nil {
		return turn, err
	}
	f := &turn.Figures
	streamed := func(what string, rate, seconds int) (*phase, error) {
		p := newPhase(name(what[:1]), rate*seconds)
		return p, c.phase(ctx, s, p, what, func() error { return stream(ctx, s, p, rate) })
	}
	short := max(3, c.seconds/2)
	idle, err := streamed("idle", idleRate, short)
	if err != nil {
		return turn, err
	}
	f.IdleP50, f.IdleP99 = idle.latency()
	f.HalfRate = max(1, float64(int(f.Completed/2)))
	half, err := streamed("half of capacity", int(f.HalfRate), short)
	if err != nil {
		return turn, err
	}
	f.HalfP50, f.HalfP99 = half.latency()
	if s.name() != regularSide {
		steady, err := streamed("stream", c.rate, c.seconds)
		if err != nil {
			return turn, err
		}
		steady.latencies(f)
	}
	c.say("%s %d: %.0f accepted/s, %.0f started/s, %.0f completed/s; first webhook p50 %.0f ms", s.name(), number, f.Accepted, f.Started, f.Completed, f.IdleP50)
	return turn, nil
}

// burst measures the rates and the costs of a turn.
func (c *comparison) burst(ctx context.Context, s side, number int, p *phase, turn *round) error {
	return c.phase(ctx, s, p, "burst", func() error {
		stop, err := c.startProfile(s, number)
		if err != nil {
			return err
		}
		before, err := c.meter.read(ctx)
		if err == nil {
			err = burst(ctx, s, p, c.clients)
		}
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
		after, err := c.meter.read(ctx)
		turn.Costs = after.since(before, len(p.passages))
		p.rates(&turn.Figures)
		return err
	})
}

// phase adds the users of a phase, measures it and verifies what it left behind.
func (c *comparison) phase(ctx context.Context, s side, p *phase, what string, measure func() error) error {
	c.sink.expect(p)
	if err := s.addUsers(ctx, p.users()); err != nil {
		return fmt.Errorf("add users: %w", err)
	}
	runtime.GC()
	defer c.tell(s.name()+", "+what, p.progress)()
	since := time.Now()
	if err := measure(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := verifyPassages(p); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := s.verify(ctx, p.users(), since); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// startProfile begins the CPU profile of a burst. Its samples are labelled by part: the server of
// Temporal, the side, the clients, the sink.
func (c *comparison) startProfile(s side, number int) (stop func() error, err error) {
	if c.profile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(filepath.Join(c.profile, fmt.Sprintf("%s-%d.pprof", s.name(), number)))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
