package triggers

import (
	"context"
	"log/slog"
	"time"

	"rollcall/postgres"
)

const (
	ringEvery = 500 * time.Millisecond // how late the clock is at most for what another process wrote down
	ringLimit = 500                    // users at once
)

// Clock notices what time alone changes: it makes items of the memberships and enrollments that are
// due, and nothing of all others.
type Clock struct {
	db   *postgres.DB
	pump *Pump
	log  *slog.Logger
	idle time.Duration // until the next look, when there was nothing to do
}

// NewClock returns a clock that wakes the pump.
func NewClock(db *postgres.DB, p *Pump, log *slog.Logger) *Clock {
	return &Clock{db: db, pump: p, log: log}
}

// Run rings until the context ends. Several clocks, in one or many processes, share the work.
func (c *Clock) Run(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := c.Once(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Warn("clock", "error", err)
		}
		if n == 0 || err != nil {
			pause(ctx, c.idle)
		}
	}
}

// Once makes items of what is due, for a limited number of users, and returns for how many.
func (c *Clock) Once(ctx context.Context) (users int, err error) {
	c.idle = ringEvery
	at, ok, err := c.db.NextRing(ctx)
	if err != nil || !ok {
		return 0, err
	}
	if left := time.Until(at); left > 0 {
		c.idle = min(left, ringEvery)
		return 0, nil
	}
	rung, err := c.db.Ring(ctx, ringLimit)
	if rung.Users > 0 {
		c.pump.metrics.rang(rung)
		c.pump.Wake()
	}
	return rung.Users, err
}
