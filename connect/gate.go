package connect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"
)

const (
	defaultPerHost = 16
	// slotWait is how long one waits for a slot: enough for a burst to a quick receiver, and too
	// short to hold up the caller.
	slotWait = 250 * time.Millisecond
	// breakAfter failures in a row shut a gate, for breakFor at first, then ever longer.
	breakAfter  = 5
	breakFor    = 30 * time.Second
	maxBreakFor = 10 * time.Minute
	// patience is how long an answer may take before its absence is the receiver's failure: a
	// caller who gives up sooner has learnt nothing.
	patience = 15 * time.Second
)

// What the breaker is told.
var (
	errFailed = errors.New("failed")
	errSilent = errors.New("says nothing of the receiver")
)

// Gate keeps one destination from holding up the work for all others. It lets a limited number of
// attempts through at a time; none until the instant that the receiver asked to wait for; and
// after five failures in a row none for 30 seconds, then one, whose failure shuts the gate for
// twice as long, up to ten minutes, and whose success opens it. Who is not let through learns it
// within a quarter of a second, by a transient error that says when to come back. It is safe for
// concurrent use.
type Gate struct {
	limit   int
	slots   *semaphore.Weighted
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex
	held    time.Time     // until when the receiver asked to be left alone
	shut    time.Time     // until when nobody passes, because the receiver failed
	strikes int           // how often in a row it was shut
	took    time.Duration // by an attempt, on average
	next    time.Time     // when the last one who found no slot is to come back
}

// NewGate returns an open gate for so many attempts at a time; 0 means 16.
func NewGate(limit int) *Gate {
	if limit <= 0 {
		limit = defaultPerHost
	}
	g := &Gate{limit: limit, slots: semaphore.NewWeighted(int64(limit))}
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:       breakFor / 2, // what shuts the gate is changed, for longer
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakAfter },
		IsExcluded:    func(err error) bool { return errors.Is(err, errSilent) },
		OnStateChange: func(_ string, _, to gobreaker.State) { g.changed(to) },
	})
	return g
}

// changed shuts the gate longer each time that the receiver fails again.
func (g *Gate) changed(to gobreaker.State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch to {
	case gobreaker.StateOpen:
		wait := maxBreakFor
		if g.strikes < 5 {
			wait = min(breakFor<<g.strikes, maxBreakFor)
		}
		g.strikes++
		g.shut = time.Now().Add(wait)
	case gobreaker.StateClosed:
		g.strikes, g.shut = 0, time.Time{}
	case gobreaker.StateHalfOpen:
	}
}

// Enter lets one attempt through, which must Leave. Its error is transient and carries a
// RetryAfter: of class Busy where there is no slot or the receiver asked to wait, of class Down
// where it failed. Where the context ends first, it is of class Canceled or Timeout.
func (g *Gate) Enter(ctx context.Context) (*Pass, error) {
	if err := g.refusal(); err != nil {
		return nil, err
	}
	if err := g.slot(ctx); err != nil {
		return nil, err
	}
	// It may have been shut meanwhile.
	err := g.refusal()
	if err == nil {
		var tell func(error)
		if tell, err = g.breaker.Allow(); err == nil {
			return &Pass{gate: g, began: time.Now(), tell: tell}, nil
		}
		err = &Error{
			Class: Down, Cause: err, RetryAfter: later(breakFor / 6),
			Reason: "the receiver failed and is being tried again by another attempt",
		}
	}
	g.slots.Release(1)
	return nil, err
}

// refusal says why nobody passes, nil if somebody may.
func (g *Gate) refusal() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if wait := g.shut.Sub(now); wait > 0 {
		return &Error{
			Class: Down, RetryAfter: later(wait),
			Reason: fmt.Sprintf("the receiver failed %d times in a row; next try in %s", breakAfter+g.strikes-1, seconds(wait)),
		}
	}
	if wait := g.held.Sub(now); wait > 0 {
		return &Error{
			Class: Busy, RetryAfter: later(wait),
			Reason: "the receiver asked to wait; next try in " + seconds(wait),
		}
	}
	return nil
}

// slot waits a moment for a slot.
func (g *Gate) slot(ctx context.Context) error {
	if g.slots.TryAcquire(1) {
		return nil
	}
	moment, cancel := context.WithTimeout(ctx, slotWait)
	defer cancel()
	switch {
	case g.slots.Acquire(moment, 1) == nil:
		return nil
	case ctx.Err() != nil:
		return Judge(ctx.Err())
	}
	return &Error{
		Class: Busy, RetryAfter: g.turn(),
		Reason: fmt.Sprintf("%d other requests to the receiver are under way", g.limit),
	}
}

// turn gives those who found no slot instants to come back at, one after the other at the pace of
// the receiver, so that they do not find it taken again.
func (g *Gate) turn() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if first := now.Add(time.Second); g.next.Before(first) {
		g.next = first
	}
	g.next = g.next.Add(g.took / time.Duration(g.limit))
	return later(g.next.Sub(now))
}

// hold keeps the gate shut because the receiver asked for it.
func (g *Gate) hold(wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(wait); until.After(g.held) {
		g.held = until
	}
}

// resting reports whether nobody would notice if the gate were forgotten.
func (g *Gate) resting(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !now.Before(g.held) && !now.Before(g.shut)
}

// Pass is one attempt that was let through.
type Pass struct {
	gate  *Gate
	began time.Time
	tell  func(error)
	once  sync.Once
	left  sync.Once
}

// Tell says what came of the attempt by its judged error, nil if it went well; what is told first
// counts. A connection that fails, an answer that takes too long, 5xx and SMTP's 421 are failures
// of the receiver. An answer with a Retry-After is none, but shuts the gate until then. Other
// answers show that it works. What we refuse or give up ourselves says nothing.
func (p *Pass) Tell(err error) {
	p.once.Do(func() {
		if wait, asked := RetryAfter(err); asked {
			p.gate.hold(wait)
			err = errSilent
		} else {
			err = verdict(err, time.Since(p.began))
		}
		p.tell(err)
	})
}

// Leave ends the attempt. Where nothing was told, it went well.
func (p *Pass) Leave() {
	p.Tell(nil)
	p.left.Do(func() {
		p.gate.mu.Lock()
		p.gate.took = (7*p.gate.took + time.Since(p.began)) / 8
		p.gate.mu.Unlock()
		p.gate.slots.Release(1)
	})
}

func verdict(err error, took time.Duration) error {
	switch Class(err) {
	case "":
		return nil
	case Status:
		if StatusCode(err) < 500 {
			return nil
		}
	case Rejected, Auth:
		if StatusCode(err) != smtpClosing {
			return nil
		}
	case Blocked, Invalid, Canceled:
		return errSilent
	case Timeout:
		if took < patience {
			return errSilent
		}
	}
	return errFailed
}

// smtpClosing is how a mail server says that it does not work at the moment.
const smtpClosing = 421

// later adds a jitter, so that those who wait do not come back all at once.
func later(wait time.Duration) time.Duration {
	return min(wait+rand.N(wait/8+time.Second), maxRetryAfter)
}

func seconds(wait time.Duration) string {
	return ((wait + time.Second - 1) / time.Second * time.Second).String()
}
