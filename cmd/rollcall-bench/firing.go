package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"rollcall/bench/baseline"
)

const (
	firingName   = "mass"
	oneIn        = 10 // users are concerned by the firing
	previewTimes = 5
	// bareParallel is how many bare starts there are at the same time: as many as the service makes
	// of those of a firing.
	bareParallel = 4
)

// firing is a preview and the firing of a schedule over many users.
type firing struct {
	Users     int       `json:"users"`
	Concerned int       `json:"concerned"`
	Previews  []preview `json:"previews"`

	Matched  float64 `json:"matched_s"` // until the answer says how many are concerned
	Pending  float64 `json:"pending_s"` // until all are pending
	Begun    float64 `json:"begun_s"`   // until the first step of the last one began
	BegunPer float64 `json:"begun_per_s"`

	BarePer float64 `json:"bare_starts_per_s"` // of Temporal alone
	Ratio   float64 `json:"start_ratio"`       // of those that began to the bare ones
}

// preview is how long it takes to count those for whom a filter holds.
type preview struct {
	Name     string  `json:"name"`
	Matching int     `json:"matching"`
	Median   float64 `json:"median_ms"`
	Max      float64 `json:"max_ms"`
}

// firings is the measurement under way.
type firings struct {
	*bench
	*service
	concerned int
}

func measureFiring(ctx context.Context, b *bench) (result, error) {
	s, err := b.serveAlone(ctx, "firing")
	if err != nil {
		return nil, err
	}
	r := &firing{Users: b.users, Concerned: (b.users + oneIn - 1) / oneIn}
	m := &firings{b, s, r.Concerned}
	if err := errors.Join(m.all(ctx, r), s.close()); err != nil {
		return nil, err
	}
	b.say("firing: %d bare starts", b.starts)
	took, err := baseline.Starts(ctx, s.temporal, b.starts, bareParallel)
	r.BarePer = float64(b.starts) / took.Seconds()
	r.Ratio = r.BegunPer / r.BarePer
	return r, err
}

func (m *firings) all(ctx context.Context, r *firing) (err error) {
	if err := m.prepare(ctx); err != nil {
		return err
	}
	if r.Previews, err = m.previews(ctx); err != nil {
		return err
	}
	return m.fire(ctx, r)
}

// prepare adds the users, of whom one in ten is a driver, and saves the workflow.
func (m *firings) prepare(ctx context.Context) error {
	m.say("firing: adds %d users", m.users)
	_, err := m.conn.Exec(ctx, `
		insert into users (id, properties, created_at, updated_at)
		select 'u_' || lpad(n::text, 6, '0'), jsonb_build_object('status', 'active', 'first_name', 'First' || n, 'last_name', 'Last' || n,
			'email', 'u' || n || '@example.com', 'time_zone', 'Europe/Warsaw', 'language', 'en', 'main_team', 'team ' || n % 50,
			'job_title', case when n % $2 = 0 then 'Truck driver' else 'Pilot' end, 'scheduling_pages', n % 9,
			'calendar_status', 'connected', 'last_active_at', case when n % 4 = 0 then '2023-06-01T12:00:00Z' else '2099-06-01T12:00:00Z' end), now(), now()
		from generate_series(0, $1::int - 1) n`, m.users, oneIn)
	if err == nil {
		_, err = m.conn.Exec(ctx, `vacuum analyze users`)
	}
	if err != nil {
		return fmt.Errorf("add users: %w", err)
	}
	return m.call(ctx, "PUT", "/v1/workflows/"+firingName, object{
		"name": firingName,
		"triggers": []any{object{
			"schedule": object{"every": "year", "on": []string{"02-29"}, "at": "09:00"},
			"where":    object{"property": "job_title", "op": "contains", "value": "driver"},
		}},
		"steps": []any{object{"id": "note", "action": "notify", "with": object{"to": "{{ user.id }}", "text": "hello"}}},
	}, nil)
}

// previews asks for whom filters hold. Each is given with the users for whom it must.
func (m *firings) previews(ctx context.Context) ([]preview, error) {
	driver := object{"property": "job_title", "op": "contains", "value": "driver"}
	inactive := object{"property": "last_active_at", "op": "before", "value": "now-30d"}
	teams := object{"property": "main_team", "op": "any_of", "value": []string{"team 1", "team 7", "team 8"}}
	isTeam := func(n int) bool { return n%50 == 1 || n%50 == 7 || n%50 == 8 }
	var all []preview
	for _, p := range []struct {
		name   string
		filter object
		holds  func(n int) bool
	}{
		{"an enum", teams, isTeam},
		{"a text contained", driver, func(n int) bool { return n%oneIn == 0 }},
		{"an instant before now-30d", inactive, func(n int) bool { return n%4 == 0 }},
		{"five mixed conditions", object{"all": []any{
			teams,
			object{"any": []any{inactive, object{"property": "calendar_status", "op": "equals", "value": "disconnected"}}},
			object{"not": driver},
			object{"property": "scheduling_pages", "op": "at_least", "value": 3},
		}}, func(n int) bool { return isTeam(n) && n%4 == 0 && n%oneIn != 0 && n%9 >= 3 }},
	} {
		m.say("firing: preview, %s", p.name)
		want := 0
		for n := range m.users {
			if p.holds(n) {
				want++
			}
		}
		took, err := m.preview(ctx, p.filter, want)
		if err != nil {
			return nil, fmt.Errorf("preview, %s: %w", p.name, err)
		}
		all = append(all, preview{p.name, want, median(took), slices.Max(took)})
	}
	return all, nil
}

// preview asks several times for whom a filter holds, who must be so many.
func (m *firings) preview(ctx context.Context, filter object, want int) (took []float64, err error) {
	for range previewTimes {
		var answer struct{ Matching, Total int }
		began := time.Now()
		if err := m.post(ctx, "/v1/workflows/"+firingName+"/preview", object{"filter": filter}, &answer); err != nil {
			return nil, err
		}
		took = append(took, milliseconds(time.Since(began)))
		if answer.Matching != want || answer.Total != m.users {
			return nil, fmt.Errorf("it holds for %d of %d users, and not for %d of %d", answer.Matching, answer.Total, want, m.users)
		}
	}
	return took, nil
}

// fire lets the schedule fire and follows that to the end.
func (m *firings) fire(ctx context.Context, r *firing) error {
	if err := m.post(ctx, "/v1/workflows/"+firingName+"/publish", object{}, nil); err != nil {
		return err
	}
	var run struct {
		ID      string `json:"id"`
		Matched int    `json:"matched"`
	}
	began := time.Now()
	if err := m.post(ctx, "/v1/workflows/"+firingName+"/runs", object{}, &run); err != nil {
		return err
	}
	r.Matched = time.Since(began).Seconds()
	if run.Matched != m.concerned {
		return fmt.Errorf("the firing concerns %d users, and not %d", run.Matched, m.concerned)
	}
	if err := m.reached(ctx, "are pending", `select enrolled from runs where id = $1`, run.ID); err != nil {
		return err
	}
	r.Pending = time.Since(began).Seconds()
	if err := m.reached(ctx, "have begun", `select count(*) from enrollments where started_at is not null`); err != nil {
		return err
	}
	var last time.Time
	if err := m.conn.QueryRow(ctx, `select max(started_at) from enrollments`).Scan(&last); err != nil {
		return err
	}
	r.Begun = last.Sub(began).Seconds()
	r.BegunPer = float64(m.concerned) / r.Begun
	return m.verify(ctx)
}

// reached returns when the database counts all who are concerned.
func (m *firings) reached(ctx context.Context, what, sql string, args ...any) error {
	return until(ctx, m.progress, func() (done bool, state string, err error) {
		n, err := m.count(ctx, sql, args...)
		return n == m.concerned, fmt.Sprintf("firing: %d of %d %s", n, m.concerned, what), err
	})
}

// verify looks for one completed enrollment of each driver and of nobody else.
func (m *firings) verify(ctx context.Context) error {
	if err := m.ended(ctx); err != nil {
		return err
	}
	const drivers = ` from enrollments e join users u on u.id = e.user_id where e.status = 'completed' and u.properties ->> 'job_title' = 'Truck driver'`
	if err := m.expect(ctx, m.concerned, "drivers have completed", `select count(distinct e.user_id)`+drivers); err != nil {
		return err
	}
	return m.expect(ctx, m.concerned, "enrollments were made", `select count(*) from enrollments`)
}

func (f *firing) enter(r *report) { r.Firing = f }

func (f *firing) write(w io.Writer) error {
	rows := [][]string{{"", "measured", "budget"}}
	for _, p := range f.Previews {
		rows = append(rows, []string{fmt.Sprintf("preview, %s, which finds %d: median, at most", p.Name, p.Matching), digits(p.Median) + ", " + digits(p.Max) + " ms", "≤ 300 ms"})
	}
	rows = append(rows,
		[]string{"firing: until all concerned are noted", digits(f.Matched) + " s", ""},
		[]string{"until all are pending", digits(f.Pending) + " s", "≤ 2 s"},
		[]string{"until all have begun", digits(f.Begun) + " s", ""},
		[]string{"begun per second", digits(f.BegunPer), ""},
		[]string{"bare starts of Temporal per second", digits(f.BarePer), ""},
		[]string{"ratio of the two", digits(f.Ratio), "≥ 0.90"},
	)
	return table(w, fmt.Sprintf("firing: %d users, of whom %d are concerned", f.Users, f.Concerned), rows)
}
