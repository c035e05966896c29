package postgres_test

import (
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
)

// migrationFiles are the migrations of this binary, by name, in their order.
func migrationFiles(t *testing.T) (names []string, texts fstest.MapFS) {
	t.Helper()
	files, err := postgres.MigrationFiles()
	require.NoError(t, err)
	names, err = fs.Glob(files, "*.sql")
	require.NoError(t, err)
	texts = fstest.MapFS{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		texts[name] = &fstest.MapFile{Data: text}
	}
	slices.Sort(names)
	return names, texts
}

// nextRelease is the migrations of this binary and another one behind them.
func nextRelease(t *testing.T, sql string) fs.FS {
	t.Helper()
	names, texts := migrationFiles(t)
	texts[fmt.Sprintf("%03d_next.sql", len(names)+1)] = &fstest.MapFile{Data: []byte("set local lock_timeout = '200ms';\n" + sql)}
	return texts
}

func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	return conn // left open: the database is dropped all the same
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

func schemaVersion(t *testing.T, conn *pgx.Conn) (version int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), `select version from schema_version`).Scan(&version))
	return version
}

func TestOlderBinaryMigratesNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	names, _ := migrationFiles(t)
	require.NoError(t, postgres.MigrateWith(t.Context(), url, nextRelease(t, `alter table users add later text`), time.Minute))
	conn := connectTo(t, url)
	exec(t, conn, `update properties set type = 'string' where name = 'email_status'`) // as a newer version may have it

	err := postgres.Migrate(t.Context(), url)

	require.ErrorIs(t, err, automation.ErrConflict)
	require.ErrorContains(t, err, fmt.Sprintf("the database has schema %d, from a newer version, and this binary brings databases to %d: nothing was changed", len(names)+1, len(names)))
	require.Equal(t, len(names)+1, schemaVersion(t, conn))
	var kind string
	require.NoError(t, conn.QueryRow(t.Context(), `select type from properties where name = 'email_status'`).Scan(&kind))
	require.Equal(t, "string", kind)
}

func TestNewerSchemaIsTakenUnlessItSaysThatItDoesNotSuit(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	names, _ := migrationFiles(t)
	open := func() error {
		db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err == nil {
			db.Close()
		}
		return err
	}
	takesAway := func(oldest int) fs.FS {
		return nextRelease(t, fmt.Sprintf(`
			alter table users drop updated_at;
			alter table schema_version add oldest int not null default 0;
			update schema_version set oldest = %d;`, oldest))
	}
	require.NoError(t, postgres.MigrateWith(t.Context(), url, takesAway(len(names)), time.Minute))
	require.NoError(t, open(), "this binary does not use it any more")

	exec(t, connectTo(t, url), fmt.Sprintf(`update schema_version set oldest = %d`, len(names)+1))

	err := open()
	require.ErrorIs(t, err, automation.ErrConflict)
	require.ErrorContains(t, err, fmt.Sprintf("binaries of schema %d or later work, and this one is of %d: start a newer version", len(names)+1, len(names)))
}

// waitsForLock waits until a connection to a database waits for a lock on a table.
func waitsForLock(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		err := conn.QueryRow(t.Context(), `
			select count(*) from pg_locks l join pg_database d on d.oid = l.database
			where d.datname = current_database() and not l.granted and l.mode = 'AccessExclusiveLock'`).Scan(&n)
		return err == nil && n > 0
	}, 20*time.Second, time.Millisecond)
}

// hold reads the users in a transaction that stays open, until the returned function ends it.
func hold(t *testing.T, url string) (release func()) {
	t.Helper()
	conn := connectTo(t, url)
	exec(t, conn, `begin; select from users`)
	return func() { exec(t, conn, `commit`) }
}

func TestMigrationLetsWritersPassWhileItWaitsForALock(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	names, _ := migrationFiles(t)
	looker, writer := connectTo(t, url), connectTo(t, url)
	release, next := hold(t, url), nextRelease(t, `alter table users add later text`)
	done := make(chan error, 1)
	go func() { done <- postgres.MigrateWith(t.Context(), url, next, time.Minute) }()
	for i := range 3 {
		waitsForLock(t, looker)
		exec(t, writer, `set lock_timeout = '20s'`) // it is behind the migration, and comes before it
		exec(t, writer, fmt.Sprintf(`insert into users (id, created_at, updated_at) values ('u_%d', now(), now())`, i))
	}
	require.Empty(t, done)

	release()

	require.NoError(t, <-done)
	require.Equal(t, len(names)+1, schemaVersion(t, looker))
	exec(t, writer, `update users set later = 'x'`)
}

func TestMigrationThatIsHeldUpGivesUpAndChangesNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	names, _ := migrationFiles(t)
	release := hold(t, url)
	next := nextRelease(t, `create table early (n int); alter table users add later text`)

	err := postgres.MigrateWith(t.Context(), url, next, 300*time.Millisecond)

	require.ErrorIs(t, err, automation.ErrUnavailable)
	require.ErrorContains(t, err, "_next.sql: ")
	require.ErrorContains(t, err, "a transaction holds what it needs for longer than 300ms: end it and migrate again")
	conn := connectTo(t, url)
	require.Equal(t, len(names), schemaVersion(t, conn))
	release()
	require.NoError(t, postgres.MigrateWith(t.Context(), url, next, time.Minute), "nothing is in its way any more")
	exec(t, conn, `select later from users`)
	exec(t, conn, `select n from early`)
}
