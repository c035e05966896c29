package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// wakeTogether lets some users sleep until instants of one second, and measures how late they are.
func (m *sleeping) wakeTogether(ctx context.Context, r *sleepers) error {
	p := newPhase("t", m.together)
	m.sink.expect(p)
	// Time enough to fall asleep, of which some passes before it begins.
	lead := 20*time.Second + time.Duration(m.together)*50*time.Millisecond
	due := time.Now().Add(lead).Truncate(time.Second)
	_, err := m.conn.Exec(ctx, `
		insert into users (id, properties, created_at, updated_at)
		select u.id, jsonb_build_object('status', 'active', 'bench_due',
			to_char(($2::timestamptz + (u.n - 1) * interval '1 second' / $3::int) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), now(), now()
		from unnest($1::text[]) with ordinality u (id, n)`, p.users(), due, m.together)
	if err != nil {
		return fmt.Errorf("add users: %w", err)
	}
	if err := m.enroll(ctx, p.users(), "set_clock", togetherName, m.together); err != nil {
		return err
	}
	if left := time.Until(due); left < time.Second {
		return fmt.Errorf("%d enrollments took longer than %s to fall asleep; let there be fewer by -together", m.together, lead)
	}
	m.say("sleepers: %d come due in %s", m.together, time.Until(due).Round(time.Second))
	if err := m.readDue(ctx, p, due); err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	late, err := lateness(p)
	if err != nil {
		return err
	}
	r.LateP50, r.LateP99, r.LateMax = quantile(late, 0.50), quantile(late, 0.99), quantile(late, 1)
	return nil
}

// readDue reads when each of them is due, which must be within that second.
func (m *sleeping) readDue(ctx context.Context, p *phase, second time.Time) error {
	rows, err := m.conn.Query(ctx, `select user_id, waiting_until from enrollments where definition = $1`, togetherName)
	if err != nil {
		return err
	}
	instants := map[string]time.Time{}
	var user string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&user, &at}, func() error { instants[user] = at; return nil }); err != nil {
		return err
	}
	for _, r := range p.passages {
		r.due = instants[r.user]
		if r.due.Before(second) || !r.due.Before(second.Add(time.Second)) {
			return fmt.Errorf("user %s is due at %s, and not in the second of %s", r.user, r.due, second)
		}
	}
	return nil
}

// lateness is by how many milliseconds the webhooks came later than they were due, in order. One that
// came early, or not once, is an error.
func lateness(p *phase) ([]float64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var late []float64
	for _, r := range p.passages {
		by := r.second.Sub(r.due)
		if by < 0 {
			return nil, fmt.Errorf("the webhook of user %s came %s too early", r.user, -by)
		}
		if r.calls != 1 {
			return nil, fmt.Errorf("user %s had %d webhooks, and not one", r.user, r.calls)
		}
		late = append(late, milliseconds(by))
	}
	slices.Sort(late)
	return late, nil
}
