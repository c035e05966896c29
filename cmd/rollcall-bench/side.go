package main

import (
	"context"
	"fmt"
	"runtime/pprof"
	"slices"
	"time"

	"rollcall/bench/baseline"
	"rollcall/connect"
	"rollcall/connect/webhook"
)

// side is one of the programs that are compared. All do the same on the same servers.
type side interface {
	name() string
	// open starts the program with nothing left in it of an earlier round.
	open(ctx context.Context) error
	// addUsers adds users for whom the condition holds.
	addUsers(ctx context.Context, ids []string) error
	// event tells the program that its event has happened to a user, and returns when that was
	// on disk.
	event(ctx context.Context, user string) (accepted time.Time, err error)
	// verify looks for what the passages of users must have left behind.
	verify(ctx context.Context, users []string, since time.Time) error
	close() error
}

// The names of the sides.
const (
	rollcallSide = "rollcall"
	localSide    = "hand-written"
	regularSide  = "regular"
)

// properties are those of each user on all sides. The condition is about bench_plan.
func properties() object {
	return object{
		"first_name": "Ada", "last_name": "Lovelace", "job_title": "Analyst", "time_zone": "Europe/London",
		"main_team": "support", "teams": []string{"support"}, "bench_plan": "pro",
	}
}

// handwritten is a side of package baseline: with local activities and eager starts, which is the
// faster one, or with regular activities.
type handwritten struct {
	*bench
	regular bool
	at      *place
	program *baseline.Program
}

func (h *handwritten) name() string {
	if h.regular {
		return regularSide
	}
	return localSide
}

func (h *handwritten) open(ctx context.Context) (err error) {
	if h.at == nil {
		name := "local"
		if h.regular {
			name = "regular"
		}
		if h.at, err = h.newPlace(ctx, name); err != nil {
			return err
		}
	}
	pprof.Do(ctx, pprof.Labels("part", h.name()), func(ctx context.Context) {
		h.program, err = baseline.Open(ctx, baseline.Config{
			DatabaseURL: h.at.databaseURL, Temporal: h.at.temporal, Regular: h.regular,
			Webhook: webhook.New(connect.NewHTTPClient(h.guard())), Secrets: []string{secret}, URL: h.sink.url(),
		})
	})
	return err
}

func (h *handwritten) addUsers(ctx context.Context, ids []string) error {
	return h.program.AddUsers(ctx, ids, properties())
}

func (h *handwritten) event(ctx context.Context, user string) (accepted time.Time, err error) {
	pprof.Do(ctx, pprof.Labels("part", h.name()), func(ctx context.Context) {
		accepted, err = h.program.Event(ctx, "e-"+user, user)
	})
	return accepted, err
}

func (h *handwritten) verify(ctx context.Context, users []string, since time.Time) error {
	return eventually(ctx, func() error {
		set, completed, err := h.program.Verify(ctx, users, since)
		switch {
		case err != nil:
			return err
		case set != len(users):
			return fmt.Errorf("the property is set for %d of %d users", set, len(users))
		case completed != len(users):
			return fmt.Errorf("%d of %d workflows have completed", completed, len(users))
		}
		return nil
	})
}

func (h *handwritten) close() error {
	h.program.Close()
	return nil
}

// verifyPassages checks what arrived: two webhooks for each, in order, never before their time, and
// no id twice.
func verifyPassages(p *phase) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := make([]string, 0, 2*len(p.passages))
	repeated := 0
	for _, r := range p.passages {
		if r.calls > 2 {
			repeated++
		}
		if r.second.Before(r.handled.Add(time.Second)) {
			return fmt.Errorf("user %s: the second webhook came %s after the first, too early", r.user, r.second.Sub(r.handled))
		}
		ids = append(ids, r.ids[:]...)
	}
	if repeated > 0 {
		return fmt.Errorf("%d passages had a webhook more than once", repeated)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 2*len(p.passages) || ids[0] == "" {
		return fmt.Errorf("%d passages gave %d different webhook-ids", len(p.passages), n)
	}
	return nil
}
