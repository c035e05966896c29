package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// eventsPerSecond is the rate of the events beside a firing.
const eventsPerSecond = 20

// stuckAfter is when nobody waits any more for those who have not begun. Starts that got lost are repeated
// earlier.
const stuckAfter = 3 * time.Minute

// BenchmarkFiring is a firing over 100,000 users that concerns 10,000 of them, from the request to the first
// step of the last one: until all are pending (s/pending), until all have begun (s/started, starts/s). Beside
// it, events enroll others; their ms/p50-firing and ms/p99-firing are from the event to the first step, and
// ms/p50-idle and ms/p99-idle the same before the firing. It fires once, so -benchtime is 1x. With -short it
// is a firing over 5,000 users that concerns 500. PostgreSQL does not wait for the disk here.
//
//	go test ./app -run '^$' -bench BenchmarkFiring -benchtime 1x -timeout 30m
func BenchmarkFiring(b *testing.B) {
	users, concerned := 100_000, 10_000
	if testing.Short() {
		users, concerned = 5_000, 500
	}
	f := newFiring(b, users, users/concerned)
	f.eventsFor(2 * time.Second) // what is slow only at first
	idle := f.eventsFor(5 * time.Second)
	b.Logf("idle, of %s", idle)
	stop := f.events()

	began := time.Now()
	run := f.must("POST", "/v1/workflows/mass/runs", nil)
	require.EqualValues(b, concerned, run["matched"])
	b.Logf("%d users are noted after %s", concerned, time.Since(began))
	pending := f.untilPending(began, concerned)
	b.Logf("all are pending after %s", pending)
	started := f.untilStarted(began, concerned)
	b.Logf("all have begun after %s", started)
	firing := f.latency(stop())
	b.Logf("during the firing, of %s", firing)

	f.wantOnceEach("mass", f.concerned())
	f.wantOnceEach("single", f.sent)
	b.ReportMetric(pending.Seconds(), "s/pending")
	b.ReportMetric(started.Seconds(), "s/started")
	b.ReportMetric(float64(concerned)/started.Seconds(), "starts/s")
	b.ReportMetric(idle.percentile(50), "ms/p50-idle")
	b.ReportMetric(idle.percentile(99), "ms/p99-idle")
	b.ReportMetric(firing.percentile(50), "ms/p50-firing")
	b.ReportMetric(firing.percentile(99), "ms/p99-firing")
	b.ReportMetric(0, "ns/op")
}

// firing is a service with many users, of whom one in so many is a driver. The workflow mass enrolls the
// drivers by a schedule, and single enrolls by an event.
type firing struct {
	*service
	conn  *pgx.Conn
	users int
	oneIn int
	next  int      // user that may be the next one to have an event
	sent  []string // who had one
}

func newFiring(b *testing.B, users, oneIn int) *firing {
	b.Helper()
	f := &firing{service: start(b).patient(25 * time.Minute), users: users, oneIn: oneIn}
	var err error
	f.conn, err = pgx.Connect(f.ctx, f.config.DatabaseURL)
	require.NoError(b, err)
	b.Cleanup(func() { _ = f.conn.Close(context.WithoutCancel(b.Context())) })
	began := time.Now()
	_, err = f.conn.Exec(f.ctx, `
		insert into users (id, properties, created_at, updated_at)
		select 'u_' || lpad(n::text, 6, '0'), jsonb_build_object('status', 'active', 'first_name', 'First' || n, 'last_name', 'Last' || n,
			'email', 'u' || n || '@example.com', 'time_zone', 'Europe/Warsaw', 'language', 'en', 'main_team', 'team ' || n % 50,
			'job_title', case when n % $2 = 0 then 'driver' else 'pilot' end, 'last_active_at', '2023-06-01T12:00:00Z'), now(), now()
		from generate_series(0, $1::int - 1) n`, users, oneIn)
	require.NoError(b, err)
	for _, sql := range []string{`alter system set autovacuum = on`, `alter system set autovacuum_naptime = 5`, `select pg_reload_conf()`} { // as in production, where tables do not grow this fast
		_, err = f.conn.Exec(f.ctx, sql)
		require.NoError(f.t, err)
	}
	_, err = f.conn.Exec(f.ctx, `analyze users`)
	require.NoError(b, err)
	b.Logf("%d users are there after %s", users, time.Since(began))
	const steps = `
steps: [{ id: note, action: notify, with: { to: "{{ user.id }}", text: hello } }]`
	f.publish(`
name: mass
triggers: [{ schedule: { ` + inSixHours() + ` }, where: { property: job_title, op: equals, value: driver } }]` + steps)
	f.publish(`
name: single
triggers: [{ event: signed_up }]` + steps)
	return f
}

func userNumber(n int) string { return fmt.Sprintf("u_%06d", n) }

// concerned are the drivers.
func (f *firing) concerned() []string {
	var ids []string
	for n := 0; n < f.users; n += f.oneIn {
		ids = append(ids, userNumber(n))
	}
	return ids
}

// untilPending waits until the run has enrolled all, who are so many, and returns how long that took.
func (f *firing) untilPending(began time.Time, want int) time.Duration {
	f.t.Helper()
	f.until("all are pending", func() bool {
		enrolled, ended := 0, false
		require.NoError(f.t, f.conn.QueryRow(f.ctx, `select enrolled, ended_at is not null from runs where definition = 'mass'`).Scan(&enrolled, &ended))
		if ended {
			require.Equal(f.t, want, enrolled, "the run has ended")
		}
		return enrolled == want
	})
	return time.Since(began)
}

// untilStarted waits until so many of the run have begun, and returns when the last one did.
func (f *firing) untilStarted(began time.Time, want int) time.Duration {
	f.t.Helper()
	var last time.Time
	started, asked, told, moved := 0, time.Time{}, time.Now(), time.Now()
	f.until("all have begun", func() bool {
		if time.Since(asked) < 250*time.Millisecond { // to ask takes from what it measures
			return false
		}
		asked = time.Now()
		before := started
		require.NoError(f.t, f.conn.QueryRow(f.ctx, `
			select count(*), coalesce(max(started_at), 'epoch') from enrollments
			where run_id = (select id from runs where definition = 'mass') and started_at is not null`).Scan(&started, &last))
		if started > before {
			moved = asked
		}
		require.Less(f.t, time.Since(moved), stuckAfter, "%d of %d have begun, and no more do", started, want)
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			f.t.Logf("%d have begun after %s", started, time.Since(began))
		}
		return started == want
	})
	return last.Sub(began)
}

// events sends events at their rate, however long the answers take, each of a user who is no driver and had
// none before. The function that it returns ends that, and returns the users when all are answered.
func (f *firing) events() (stop func() []string) {
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	first := len(f.sent)
	go func() {
		var group errgroup.Group
		began := time.Now()
		for n := 0; ctx.Err() == nil; n++ {
			if f.next%f.oneIn == 0 {
				f.next++
			}
			user := userNumber(f.next)
			f.next++
			f.sent = append(f.sent, user)
			group.Go(func() error { return f.send(user) })
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(began.Add(time.Duration(n+1) * time.Second / eventsPerSecond))):
			}
		}
		done <- group.Wait()
	}()
	return func() []string {
		f.t.Helper()
		cancel()
		require.NoError(f.t, <-done)
		return f.sent[first:]
	}
}

// eventsFor sends events for some time and returns how long they took.
func (f *firing) eventsFor(d time.Duration) latencies {
	f.t.Helper()
	stop, began := f.events(), time.Now()
	f.until("there were events for a while", func() bool { return time.Since(began) > d })
	return f.latency(stop())
}

func (f *firing) send(user string) error {
	body, err := json.Marshal(map[string]any{"name": "signed_up", "user_id": user})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(f.ctx, http.MethodPost, f.url+"/v1/events", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("event of %s: %s", user, resp.Status)
	}
	return nil
}

// latencies are milliseconds, in order.
type latencies []float64

func (l latencies) percentile(p int) float64 { return l[min(len(l)*p/100, len(l)-1)] }

func (l latencies) String() string {
	return fmt.Sprintf("%d events: p50 %.0f ms, p99 %.0f ms, at most %.0f ms", len(l), l.percentile(50), l.percentile(99), l[len(l)-1])
}

// latency waits until all of these users, who had an event, have begun, and returns how long that was for each
// from the event, as it was accepted, to the first step.
func (f *firing) latency(users []string) (l latencies) {
	f.t.Helper()
	asked := time.Now()
	f.until("those who had an event have begun", func() bool {
		rows, err := f.conn.Query(f.ctx, `
			select (1000 * extract(epoch from e.started_at - v.received_at))::float8
			from enrollments e join events v on v.user_id = e.user_id and v.name = 'signed_up'
			where e.definition = 'single' and e.user_id = any($1) and e.started_at is not null`, users)
		require.NoError(f.t, err)
		l, err = pgx.CollectRows(rows, pgx.RowTo[float64])
		require.NoError(f.t, err)
		return len(l) >= len(users) || time.Since(asked) > stuckAfter
	})
	require.Len(f.t, l, len(users), "each of them once")
	slices.Sort(l)
	return l
}

// wantOnceEach waits until nobody is in a definition any more. These users, and no others, must each have
// completed it once.
func (f *firing) wantOnceEach(definition string, users []string) {
	f.t.Helper()
	f.until("nobody is in "+definition, func() bool {
		live := 0
		require.NoError(f.t, f.conn.QueryRow(f.ctx, `
			select count(*) from enrollments where definition = $1 and ended_at is null`, definition).Scan(&live))
		return live == 0
	})
	var missing, others, doubled int
	require.NoError(f.t, f.conn.QueryRow(f.ctx, `
		select count(*) filter (where e.user_id is null or e.status <> 'completed'), count(*) filter (where u.id is null),
			count(*) - count(distinct coalesce(u.id, e.user_id))
		from unnest($2::text[]) u (id) full join (select user_id, status from enrollments where definition = $1) e on e.user_id = u.id`,
		definition, users).Scan(&missing, &others, &doubled))
	require.Equal(f.t, []int{0, 0, 0}, []int{missing, others, doubled},
		"in %s some are missing, some are not concerned, some were enrolled twice", definition)
}
