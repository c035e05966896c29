package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
)

// TestSQLAnswersLikeTheFilter holds the two readers of filters equal, and the instants until which an
// answer stays within what the flip clock says.
func TestSQLAnswersLikeTheFilter(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	for _, name := range workflows {
		mustExec(t, conn, `insert into definitions (name, title, draft, draft_hash, created_at, updated_at) values ($1, '', '{}', '', now(), now())`, name)
		mustExec(t, conn, `insert into versions (definition, number, document, hash, published_at, live_from) values ($1, 1, '{}', '', now(), 1)`, name)
	}
	pairs, matched, flips := 0, 0, 0
	rapid.Check(t, func(r *rapid.T) {
		now := instants().Draw(r, "now")
		group := rapid.SliceOfN(people(now), 4, 8).Draw(r, "people")
		tx, err := conn.Begin(t.Context())
		require.NoError(r, err)
		defer tx.Rollback(t.Context()) //nolint:errcheck // nothing is kept
		insert(t, r, tx, group)
		zones, err := postgres.ZonesOfUsers(t.Context(), tx)
		require.NoError(r, err)
		s := filter.Scope{Types: types, Event: true, Zone: zoneOf().Draw(r, "scope")}
		for range 6 {
			tree := someTree(rapid.IntRange(1, 4).Draw(r, "levels"), s, now).Filter(valid(s)).Draw(r, "tree")
			f, _ := filter.Compile(&tree, s)
			text, err := json.Marshal(tree)
			require.NoError(r, err)
			answers, sql := ask(t, r, tx, f, now, zones)
			require.Len(r, answers, len(group))
			for i, p := range group {
				pairs++
				subject := p.subject(now)
				require.Equal(r, f.Match(subject), answers[i].holds, "now %s\nfilter %s\nzone %s\nuser %s\n%s", now, text, s.Zone, p, sql)
				if answers[i].holds {
					matched++
				}
				next, ok := f.NextFlip(subject)
				at := answers[i].flip
				switch {
				case at == nil:
					require.False(r, ok, "flips at %s\nnow %s\nfilter %s\nzone %s\nuser %s\n%s", next, now, text, s.Zone, p, sql)
				case ok:
					flips++
					require.False(r, at.After(next), "%s is after %s\nnow %s\nfilter %s\nzone %s\nuser %s\n%s", at, next, now, text, s.Zone, p, sql)
					fallthrough
				default:
					require.False(r, at.Before(now.Truncate(time.Microsecond)), "%s is before now, %s\nfilter %s\nuser %s\n%s", at, now, text, p, sql)
				}
			}
		}
	})
	t.Logf("%d pairs of a filter and a user, %d matches, %d flips", pairs, matched, flips)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

type answer struct {
	holds bool
	flip  *time.Time
}

// ask answers a filter for all users, in the order of their ids.
func ask(t *testing.T, r require.TestingT, q querier, f *filter.Filter, now time.Time, zones []string) ([]answer, string) {
	t.Helper()
	a := &postgres.SQLArgs{}
	sql := "select " + postgres.CompileSQL(f, now, zones, a) + ", " + postgres.FlipSQL(f, now, zones, a) + " from users u order by u.id"
	rows, err := q.Query(t.Context(), sql, append([]any{pgx.QueryExecModeDescribeExec}, a.Values()...)...)
	require.NoError(r, err, sql)
	answers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (answer, error) {
		var one answer
		return one, row.Scan(&one.holds, &one.flip)
	})
	require.NoError(r, err, sql)
	return answers, sql
}

func insert(t *testing.T, r require.TestingT, tx pgx.Tx, group []person) {
	t.Helper()
	batch := &pgx.Batch{}
	for i := range group {
		p := &group[i]
		p.id = fmt.Sprintf("u_%04d", i)
		batch.Queue(`insert into users (id, properties, created_at, updated_at) values ($1, $2, now(), now())`, p.id, p.properties)
		for _, c := range p.changes {
			batch.Queue(`insert into changes (user_id, property, new, at, source) values ($1, $2, $3, $4, 'api')`, p.id, c.property, asJSON(c.value), c.at)
		}
		for _, e := range p.events {
			batch.Queue(`insert into events (id, user_id, name, occurred_at, received_at, properties) values ($1, $2, $3, $4, $4, $5)`,
				uuid.NewString(), p.id, e.name, e.at, e.properties)
		}
		for n, e := range p.enrolled {
			if n > 0 && e.status == "held" && p.enrolled[0].status == "held" {
				p.enrolled = p.enrolled[:n] // a user is in a workflow once at a time
				break
			}
			batch.Queue(`insert into enrollments (id, definition, version, user_id, ordinal, status, trigger, created_at, ended_at, rejected)
				values ($1, $2, 1, $3, $4, $5, 'event', now(), case when $5 <> 'held' then now() end, $6)`,
				uuid.NewString(), e.workflow, p.id, n+1, e.status, e.rejected)
		}
	}
	require.NoError(r, tx.SendBatch(t.Context(), batch).Close())
}

// asJSON is a value of a column that may be null, of which JSON's null is another one.
func asJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}

func connect(tb testing.TB) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), pgtest.New(tb))
	require.NoError(tb, err)
	return conn // left open: the database is dropped all the same
}

func mustExec(tb testing.TB, conn execer, sql string, args ...any) {
	tb.Helper()
	_, err := conn.Exec(tb.Context(), sql, args...)
	require.NoError(tb, err)
}
