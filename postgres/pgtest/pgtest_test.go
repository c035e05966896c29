package pgtest_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		t.Run("number "+strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			conn := connect(t)
			_, err := conn.Exec(t.Context(), "create table mine (n int)")
			require.NoError(t, err, "the table of another test is not here")
		})
	}
}

func TestADatabaseComesMigrated(t *testing.T) {
	t.Parallel()
	var tables int
	const count = "select count(*) from information_schema.tables where table_schema = 'public'"
	require.NoError(t, connect(t).QueryRow(t.Context(), count).Scan(&tables))
	require.Positive(t, tables)
}

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	began := time.Now()
	url := pgtest.New(t)
	t.Logf("a database after %s", time.Since(began).Round(time.Millisecond))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	return conn // left open: the database is dropped all the same
}
