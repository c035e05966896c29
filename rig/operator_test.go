//go:build unix

package rig_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"rollcall/rig"
)

// operator publishes, pauses and resumes.
type operator struct {
	*clients
	draw     *rand.Rand
	programs []*rig.Program
	numbers  map[string]int
}

func newOperator(c *clients, seed uint64, programs []*rig.Program) *operator {
	return &operator{c, rand.New(rand.NewPCG(seed, 3)), programs, map[string]int{}}
}

// publish makes the next version of a program the live one.
func (o *operator) publish(ctx context.Context, p *rig.Program) error {
	o.numbers[p.Name]++
	document := p.Document(o.hook, o.numbers[p.Name])
	saved, err := o.call(ctx, o.draw, http.MethodPut, "/v1/workflows/"+p.Name, document)
	if err != nil {
		return err
	}
	if err := expect(saved, http.StatusOK, http.StatusCreated); err != nil {
		return err
	}
	inFlight := "finish"
	if p.Migrates {
		inFlight = "migrate"
	}
	told, err := o.call(ctx, o.draw, http.MethodPost, "/v1/workflows/"+p.Name+"/publish", map[string]any{"in_flight": inFlight})
	if err != nil {
		return err
	}
	o.acknowledge(rig.Ack{Kind: rig.Published, Name: p.Name, Value: o.numbers[p.Name]}, told)
	return expect(told, http.StatusOK)
}

// live operates until the time is up, and leaves nothing paused.
func (o *operator) live(ctx context.Context, until time.Time) error {
	for time.Now().Before(until) {
		p := o.programs[o.draw.IntN(len(o.programs))]
		if o.draw.IntN(3) > 0 || p.Minutes != nil { // a firing that was due in a pause is missed
			if err := o.publish(ctx, p); err != nil {
				return err
			}
		} else if err := o.rest(ctx, p.Name); err != nil {
			return err
		}
		if !wait(ctx, time.Duration(500+o.draw.IntN(1500))*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// rest pauses a workflow for a while.
func (o *operator) rest(ctx context.Context, name string) error {
	for _, verb := range []string{rig.Paused, rig.Resumed} {
		path := map[string]string{rig.Paused: "/pause", rig.Resumed: "/resume"}[verb]
		told, err := o.call(ctx, o.draw, http.MethodPost, "/v1/workflows/"+name+path, nil)
		if err != nil {
			return err
		}
		o.acknowledge(rig.Ack{Kind: verb, Name: name}, told)
		if err := expect(told, http.StatusOK); err != nil {
			return err
		}
		if verb == rig.Paused && !wait(ctx, time.Duration(200+o.draw.IntN(1800))*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// setUp makes the properties and the users, before there are any faults.
func (c *clients) setUp(ctx context.Context, actors []*actor, programs []*rig.Program) error {
	r := rand.New(rand.NewPCG(0, 0))
	types := map[string]string{"tier": "string", "away": "bool", "crew": "bool"}
	for _, name := range rig.Counters(programs) {
		types[name] = "number"
	}
	for name, kind := range types {
		told, err := c.call(ctx, r, http.MethodPut, "/v1/properties/"+name, map[string]any{"label": name, "type": kind, "group": "custom"})
		if err != nil {
			return err
		}
		if err := expect(told, http.StatusOK, http.StatusCreated); err != nil {
			return err
		}
	}
	for _, a := range actors {
		told, err := c.call(ctx, r, http.MethodPut, "/v1/users/"+a.user, map[string]any{"properties": map[string]any{"crew": a.crew}})
		if err != nil {
			return err
		}
		if err := expect(told, http.StatusCreated); err != nil {
			return err
		}
	}
	return nil
}
