package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

const (
	sleeperName  = "sleeper"
	togetherName = "together"
	eventBatch   = 500
	settling     = 5 * time.Second // before the memory is read
)

// sleepers is what many sleeping enrollments cost, and how late those are that come due together. The
// worker is the whole service, Temporal is the embedded one; each is a process of its own.
type sleepers struct {
	Samples  []sleepSample `json:"samples"`
	PerS     float64       `json:"asleep_per_s"`
	Worker   float64       `json:"worker_kib_each"`   // growth of its memory from a quarter to all of them
	Temporal float64       `json:"temporal_kib_each"` // the same
	Disk     float64       `json:"disk_kib_each"`     // of all databases

	Together int     `json:"together"` // came due in one second
	LateP50  float64 `json:"lateness_p50_ms"`
	LateP99  float64 `json:"lateness_p99_ms"`
	LateMax  float64 `json:"lateness_max_ms"`
}

// sleepSample is the memory while so many sleep.
type sleepSample struct {
	Asleep   int   `json:"asleep"`
	Worker   int64 `json:"worker_bytes"`
	Temporal int64 `json:"temporal_bytes"` // 0 where Temporal is given
	disk     int64
}

// sleeping is the measurement under way.
type sleeping struct {
	*bench
	*service
	worker *child
}

func measureSleepers(ctx context.Context, b *bench) (_ result, err error) {
	if err := b.moveTemporal(ctx); err != nil {
		return nil, err
	}
	s, worker, err := b.serveApart(ctx, "sleepers")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	m, r := &sleeping{b, s, worker}, &sleepers{Together: b.together}
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	if err := m.fallAsleep(ctx, r); err != nil {
		return nil, err
	}
	if err := m.wakeTogether(ctx, r); err != nil {
		return nil, err
	}
	return r, m.verify(ctx)
}

func (m *sleeping) prepare(ctx context.Context) error {
	if err := m.declare(ctx, map[string]string{"bench_state": "string", "bench_due": "datetime"}); err != nil {
		return err
	}
	_, err := m.conn.Exec(ctx, `
		insert into users (id, properties, created_at, updated_at)
		select 's_' || n, jsonb_build_object('status', 'active', 'first_name', 'Ada', 'main_team', 'support'), now(), now()
		from generate_series(0, $1::int - 1) n`, m.sleepers)
	if err != nil {
		return fmt.Errorf("add users: %w", err)
	}
	err = m.publish(ctx, object{
		"name": sleeperName, "triggers": []any{object{"event": "lay_down"}},
		"steps": []any{
			object{"id": "sleep", "delay": "23h"},
			object{"id": "mark", "action": "set_property", "with": object{"property": "bench_state", "value": "awake"}},
		},
	})
	if err != nil {
		return err
	}
	return m.publish(ctx, object{
		"name": togetherName, "triggers": []any{object{"event": "set_clock"}},
		"steps": []any{object{"id": "due", "delay": object{"until": object{"property": "bench_due"}}}, m.sink.step("ring", 2)},
	})
}

// fallAsleep enrolls a quarter of the sleepers after the other, and reads the memory in between.
func (m *sleeping) fallAsleep(ctx context.Context, r *sleepers) error {
	var took time.Duration
	for quarter := range 5 {
		if quarter > 0 {
			from, to := m.sleepers*(quarter-1)/4, m.sleepers*quarter/4
			began := time.Now()
			var users []string
			for n := from; n < to; n++ {
				users = append(users, fmt.Sprintf("s_%d", n))
			}
			if err := m.enroll(ctx, users, "lay_down", sleeperName, to); err != nil {
				return err
			}
			took += time.Since(began)
		}
		sample, err := m.sample(ctx)
		if err != nil {
			return err
		}
		sample.Asleep = m.sleepers * quarter / 4
		r.Samples = append(r.Samples, sample)
	}
	first, quarter, last := r.Samples[0], r.Samples[1], r.Samples[4]
	each := func(bytes int64, from, to sleepSample) float64 {
		return float64(bytes) / 1024 / float64(to.Asleep-from.Asleep)
	}
	r.PerS = float64(m.sleepers) / took.Seconds()
	r.Worker = each(last.Worker-quarter.Worker, quarter, last)
	r.Temporal = each(last.Temporal-quarter.Temporal, quarter, last)
	r.Disk = each(last.disk-first.disk, first, last)
	return nil
}

// enroll sends an event of each user, and returns when so many are asleep in a workflow.
func (m *sleeping) enroll(ctx context.Context, users []string, event, workflow string, asleep int) error {
	for chunk := range slices.Chunk(users, eventBatch) {
		items := make([]any, len(chunk))
		for i, user := range chunk {
			items[i] = object{"name": event, "user_id": user}
		}
		if err := m.batch(ctx, "/v1/events/batch", items); err != nil {
			return err
		}
	}
	return until(ctx, m.progress, func() (done bool, state string, err error) {
		n, err := m.count(ctx, `select count(*) from enrollments where definition = $1 and waiting_until is not null`, workflow)
		return n == asleep, fmt.Sprintf("%s: %d of %d are asleep", workflow, n, asleep), err
	})
}

// sample reads the memory of both processes, and the size of all databases.
func (m *sleeping) sample(ctx context.Context) (s sleepSample, err error) {
	pause(ctx, settling)
	if s.Worker, err = m.worker.memory(); err != nil {
		return s, err
	}
	if m.apart != nil {
		if s.Temporal, err = m.apart.memory(); err != nil {
			return s, err
		}
	}
	err = m.conn.QueryRow(ctx, `select sum(pg_database_size(oid))::bigint from pg_database`).Scan(&s.disk)
	return s, err
}

// verify looks for all sleepers, in the ledger and in Temporal, and for the end of all others.
func (m *sleeping) verify(ctx context.Context) error {
	const asleep = `select count(*) from enrollments where definition = $1 and ended_at is null and waiting_until is not null`
	if err := m.expect(ctx, m.sleepers, "are asleep", asleep, sleeperName); err != nil {
		return err
	}
	return m.withTemporal(func(c client.Client) error {
		return eventually(ctx, func() error {
			n, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Running'"})
			if err == nil && n.Count != int64(m.sleepers) {
				err = fmt.Errorf("temporal runs %d enrollments, and not %d", n.Count, m.sleepers)
			}
			return err
		})
	})
}

func (s *sleepers) enter(r *report) { r.Sleepers = s }

func (s *sleepers) write(w io.Writer) error {
	mib := func(bytes int64) string {
		if bytes == 0 {
			return "–"
		}
		return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
	}
	rows := [][]string{{"asleep", "service", "temporal", "budget"}}
	for _, at := range s.Samples {
		rows = append(rows, []string{strconv.Itoa(at.Asleep), mib(at.Worker), mib(at.Temporal), ""})
	}
	temporal := "–"
	if last := s.Samples[len(s.Samples)-1]; last.Temporal > 0 {
		temporal = digits(s.Temporal) + " KiB"
	}
	rows = append(rows, []string{"each, from a quarter to all", digits(s.Worker) + " KiB", temporal, "service: does not grow"})
	if err := table(w, "sleepers: memory while enrollments sleep", rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%.0f a second fell asleep; each takes %.1f KiB of disk\n", s.PerS, s.Disk)
	return table(w, fmt.Sprintf("sleepers: lateness of %d that come due in one second", s.Together), [][]string{
		{"", "p50 ms", "p99 ms", "at most ms"},
		{"webhook after its instant", digits(s.LateP50), digits(s.LateP99), digits(s.LateMax)},
	})
}
