package postgres_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
)

// emptied is a database without any schema.
func emptied(t *testing.T) (url string, conn *pgx.Conn) {
	t.Helper()
	url = pgtest.New(t)
	conn = connectTo(t, url)
	exec(t, conn, `drop schema public cascade; create schema public`)
	return url, conn
}

// fill adds the rows that testdata/filled has for the schema that a migration made.
func fill(t *testing.T, conn *pgx.Conn, migration string) {
	t.Helper()
	rows, err := os.ReadFile(filepath.Join("testdata", "filled", migration))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	exec(t, conn, string(rows))
}

// wantRowsEverywhere holds that no table is empty.
func wantRowsEverywhere(t *testing.T, conn *pgx.Conn, after string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select tablename from pg_tables where schemaname = 'public'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	for _, table := range tables {
		var some bool
		require.NoError(t, conn.QueryRow(t.Context(), `select exists (select from `+pgx.Identifier{table}.Sanitize()+`)`).Scan(&some))
		require.True(t, some, "%s is empty after %s: give it a row in testdata/filled/%[2]s", table, after)
	}
}

// TestMigrationsRunOverData runs each migration over tables of which none is empty. Rows of a schema are
// added with the binary of that schema in mind, so a file of testdata/filled is not changed later.
func TestMigrationsRunOverData(t *testing.T) {
	t.Parallel()
	names, texts := migrationFiles(t)
	url, conn := emptied(t)
	upTo := fstest.MapFS{}
	for _, name := range names {
		upTo[name] = texts[name]
		require.NoError(t, postgres.MigrateWith(t.Context(), url, upTo, time.Minute), name)
		fill(t, conn, name)
		wantRowsEverywhere(t, conn, name)
	}

	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	list, err := db.Enrollments(t.Context(), postgres.EnrollmentQuery{Workflow: "greet", Limit: 10})
	require.NoError(t, err)
	statuses := map[string]automation.EnrollmentStatus{}
	for _, e := range list {
		statuses[e.TemporalWorkflowID] = e.Status
	}
	require.Equal(t, map[string]automation.EnrollmentStatus{
		"greet/u_1/1": automation.Completed, "greet/u_1/2": automation.Active, "greet/u_2/1": automation.Held, "greet/u_2/2": automation.Unenrolled,
	}, statuses)
	user, err := db.User(t.Context(), "u_1")
	require.NoError(t, err)
	require.Equal(t, "ada@example.com", user.Properties["email"])
	for what, holds := range map[string]string{
		"what had ended counts as before all that is numbered": `select ended_seq = 0 from enrollments where ordinal = 1 and user_id = 'u_1'`,
		"a version retired when the next one was published":    `select retired_at = '2026-01-03' from versions where definition = 'greet' and number = 1`,
		"the last version retired when it was archived":        `select retired_at = '2026-01-05' from versions where definition = 'gone'`,
		"a run has the workflow that it had":                   `select workflow_id = 'rollcall/backfill/greet/2/1' from runs`,
		"who was rejected was held until then":                 `select held_until = ended_at from enrollments where rejected`,
		"answers under readable keys are gone":                 `select count(*) = 1 from idempotency`,
		"later moments are numbered higher":                    `select nextval('moments') > all (select id from changes)`,
	} {
		var ok bool
		require.NoError(t, conn.QueryRow(t.Context(), holds).Scan(&ok), what)
		require.True(t, ok, what)
	}
}
