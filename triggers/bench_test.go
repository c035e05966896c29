package triggers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/postgres"
	"rollcall/triggers"
)

// fiveConditions are all asked where they hold; a sixth one decides.
const fiveConditions = `{"property": "job_title", "op": "contains", "value": "support"},
	{"property": "main_team", "op": "any_of", "value": ["sales", "support"]},
	{"property": "skills", "op": "all_of", "value": ["go", "sql"]},
	{"property": "scheduling_pages", "op": "between", "value": [1, 5]},
	{"property": "last_active_at", "op": "after", "value": "2024-01-01"}`

// BenchmarkOneChangeAgainst1000Definitions asks 1,000 live filters, all of which a change concerns, and
// each of which asks five conditions.
func BenchmarkOneChangeAgainst1000Definitions(b *testing.B) {
	const definitions = 1000
	for name, filter := range map[string]string{
		"none holds": `{"not": {"all": [` + fiveConditions + `]}}`,
		"all hold":   `{"all": [` + fiveConditions + `]}`,
	} {
		b.Run(name, func(b *testing.B) {
			db := newBundle(b)
			for i := range definitions {
				db.publish(fmt.Sprintf("w_%03d", i), whenever(filter))
			}
			user := map[string]any{
				"job_title": "Head of Support", "main_team": "support", "skills": []any{"go", "sql"},
				"scheduling_pages": 2.0, "last_active_at": "2027-02-01T09:00:00Z",
			}
			db.put("u_1", user)
			db.drain()
			change := func(i int) {
				db.put("u_1", map[string]any{"job_title": fmt.Sprint("Support of team ", i)})
			}
			change(-1)
			var question *postgres.Question
			_, err := db.db.Evaluate(db.ctx, 1, func(q *postgres.Question) postgres.Verdict {
				question = q
				return triggers.Judge(q)
			})
			require.NoError(b, err)
			require.Len(b, question.Filters, definitions)

			b.Run("judging", func(b *testing.B) {
				b.ReportAllocs()
				fastest := time.Hour // what the machine does besides is not in it
				for b.Loop() {
					began := time.Now()
					v := triggers.Judge(question)
					fastest = min(fastest, time.Since(began))
					require.Empty(b, v.Matches)
					require.Empty(b, v.Turns)
				}
				b.ReportMetric(float64(fastest), "ns/fastest")
			})
			b.Run("the whole item", func(b *testing.B) {
				b.ReportAllocs()
				fastest := time.Hour
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					change(i)
					b.StartTimer()
					began := time.Now()
					n, err := db.pump.Once(db.ctx)
					fastest = min(fastest, time.Since(began))
					require.NoError(b, err)
					require.Equal(b, 1, n)
				}
				b.ReportMetric(float64(fastest), "ns/fastest")
			})
		})
	}
}

// BenchmarkBackfillStep lets a run enroll 500 of 100,000 users at a time.
func BenchmarkBackfillStep(b *testing.B) {
	for name, head := range map[string]string{
		"no conditions":         whenever(titled),
		"guard and conditions":  whenever(titled) + `, "guard": {"max_share": "100%"}, "unenroll": {"when": ` + inactive + `}`,
		"somebody asks about w": whenever(titled),
	} {
		b.Run(name, func(b *testing.B) {
			db := newBundle(b)
			db.manyTitled()
			if name == "somebody asks about w" {
				db.publish("v", whenever(`{"workflow": "w", "op": "completed"}`))
			}
			run := db.publishTo("w", head, postgres.Existing{Enroll: true, Rate: 100_000}).Run
			users := 0
			for b.Loop() {
				step, err := db.db.StepRun(db.ctx, run.ID, 500)
				require.NoError(b, err)
				if users += step.Decided; step.Run.EndedAt == nil {
					continue
				}
				b.StopTimer() // once more from the beginning
				db.exec(`truncate enrollments, decisions, work_items cascade`)
				db.exec(`update runs set status = 'running', ended_at = null, position = '', enrolled = 0, skipped = '{}'`)
				b.StartTimer()
			}
			b.ReportMetric(float64(users)/b.Elapsed().Seconds(), "users/s")
		})
	}
}

// manyTitled creates 100,000 users with job titles, the half of whom were last active a month ago.
func (b *bundle) manyTitled() {
	b.t.Helper()
	b.exec(`
		insert into users (id, properties, created_at, updated_at)
		select 'u_' || lpad(n::text, 6, '0'), jsonb_build_object('status', 'active', 'job_title', 'Support ' || n,
			'last_active_at', case n % 2 when 0 then $1::text else $2 end), now(), now()
		from generate_series(1, 100000) n`, b.instant(0), b.instant(-29*day))
	b.exec(`analyze users`)
}

// BenchmarkBaseline100k publishes a version over 100,000 users.
func BenchmarkBaseline100k(b *testing.B) {
	for name, filter := range map[string]string{
		"a property, holds for half of them":        `{"property": "job_title", "op": "contains", "value": ["0", "2", "4"]}`,
		"date math, holds for none and due for all": inactive,
		"events, hold for none and due for half":    `{"event": "login", "op": "at_least", "count": 3, "within": "30d"}`,
	} {
		b.Run(name, func(b *testing.B) {
			db := newBundle(b)
			db.manyTitled()
			db.exec(`
				insert into events (id, user_id, name, occurred_at, received_at)
				select u.id || n, u.id, 'login', now() - n * interval '20 days', now() from users u, generate_series(0, 2) n`)
			db.exec(`analyze events`)
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				head := fmt.Sprintf(`"title": "%d", %s`, i, whenever(filter))
				_, _, err := db.db.SaveDraft(db.ctx, db.document("w", head), "")
				require.NoError(b, err)
				b.StartTimer()
				_, err = db.db.Publish(db.ctx, "w", postgres.Existing{}, postgres.Migration{})
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkClockNothingDue100k turns a clock that nothing is due for, among 100,000 users for whom
// something will be.
func BenchmarkClockNothingDue100k(b *testing.B) {
	db := newBundle(b)
	db.manyTitled()
	db.publish("w", whenever(`{"property": "last_active_at", "op": "before", "value": "now-60d"}`))
	db.exec(`analyze memberships`)
	require.Equal(b, 100_000, db.count(`select count(*) from memberships where due is not null`))
	for b.Loop() {
		if n, err := db.clock.Once(db.ctx); n > 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkClockRing rings for 500 of 100,000 users and evaluates what that asks.
func BenchmarkClockRing(b *testing.B) {
	db := newBundle(b)
	db.manyTitled()
	db.publish("w", whenever(`{"property": "last_active_at", "op": "before", "value": "now-60d"}`))
	users := 0
	for b.Loop() {
		b.StopTimer()
		db.exec(`truncate enrollments, decisions, work_items cascade`)
		db.exec(`update memberships set holds = false, due = now() - interval '1 second' where user_id in (select user_id from memberships order by random() limit 500)`)
		b.StartTimer()
		n, err := db.clock.Once(db.ctx)
		require.NoError(b, err)
		db.drain()
		users += n
	}
	b.ReportMetric(float64(users)/b.Elapsed().Seconds(), "users/s")
}
