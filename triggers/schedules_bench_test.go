package triggers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// support is a filter that holds for one in so many of the staff.
const support = `{"property": "main_team", "op": "any_of", "value": ["support"]}`

// staff creates so many users, of whom one in so many is in support.
func (o office) staff(users, oneIn int) {
	o.t.Helper()
	o.exec(`
		insert into users (id, properties, created_at, updated_at)
		select 'u_' || lpad(n::text, 6, '0'), jsonb_build_object('status', 'active', 'first_name', 'First' || n, 'last_name', 'Last' || n,
			'email', 'u' || n || '@example.com', 'job_title', 'engineer ' || n % 50, 'time_zone', 'Europe/Warsaw', 'language', 'en',
			'main_team', case when n % $2 = 0 then 'support' else 'sales' end, 'last_active_at', '2023-06-01T12:00:00Z',
			'created_at', '2023-01-01T00:00:00Z'), now(), now()
		from generate_series(1, $1::int) n`, users, oneIn)
	o.exec(`analyze users`)
}

// BenchmarkFiring100k is a firing over 100,000 users that concerns 10,000 of them: until all are noted
// (ms/noted), and until all are pending (ms/pending). The budget of the latter is 2,000 ms.
//
//	go test ./triggers -run ^$ -bench Firing100k -benchtime 5x
func BenchmarkFiring100k(b *testing.B) {
	const users, matching = 100_000, 10_000
	for _, c := range []struct{ name, where string }{
		{"one condition", support},
		{"three conditions", `{"all": [` + support + `, {"property": "last_active_at", "op": "before", "value": "now-30d"},
			{"not": {"property": "job_title", "op": "contains", "value": "contractor"}}]}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := newOffice(b)
			o.staff(users, users/matching)
			o.publish("w", on(daily("09:30"), `, "where": `+c.where)+again)
			o.turn(inUTC(b, "2024-01-01 09:30"))
			var noted, pending time.Duration
			for b.Loop() {
				began := time.Now()
				require.Equal(b, 1, o.open("w"))
				noted += time.Since(began)
				id := o.texts(`select id::text from runs where ended_at is null`)[0]
				for ended := false; !ended; {
					s, err := o.db.StepRun(o.ctx, id, 1000)
					require.NoError(b, err)
					ended = s.Run.EndedAt != nil
				}
				pending += time.Since(began)

				b.StopTimer()
				require.Equal(b, matching, o.count(`select count(*) from enrollments where status = 'pending'`))
				o.exec(`update enrollments set status = 'completed', ended_at = $1 where ended_at is null`, o.now())
				o.exec(`vacuum analyze`) // as a server does by itself, though not at once
				o.pass(24 * time.Hour)
				b.StartTimer()
			}
			b.ReportMetric(float64(noted.Milliseconds())/float64(b.N), "ms/noted")
			b.ReportMetric(float64(pending.Milliseconds())/float64(b.N), "ms/pending")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// The plan of a statement is kept, and was made when the ledger was small. It must not read the whole
// ledger for each user: a step would take longer than a statement may.
func TestFiringReadsALittleOfTheLedgerForEachUser(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const users = 4000
	o.staff(users, 1)
	o.publish("young", `"triggers": [{"event": "signed_up"}]`)
	o.publish("w", on(daily("09:30"), ""))
	for i := range 20 {
		o.event("", "signed_up", fmt.Sprintf("u_%06d", i+1))
		o.drain()
	}
	o.pass(time.Hour)
	require.Equal(t, 1, o.open("w"))
	for r := o.only("w"); r.EndedAt == nil; {
		s, err := o.db.StepRun(o.ctx, r.ID, 500)
		require.NoError(t, err)
		r = &s.Run
	}
	require.Equal(t, users, o.only("w").Enrolled)

	o.db.Close() // a session counts what it read when it ends

	read := 0
	for wait := time.Now(); read == 0 && time.Since(wait) < 10*time.Second; {
		read = o.count(`select coalesce(sum(idx_tup_read), 0) + (select seq_tup_read from pg_stat_user_tables where relname = 'enrollments')
			from pg_stat_user_indexes where relname = 'enrollments'`)
	}
	t.Logf("%d rows read for %d users", read, users)
	require.Less(t, read, 200*users)
}
