package postgresql_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/devstack/postgresql"
)

func TestDataIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, postgresql.Config{Dir: dir, Fast: true})
	require.NoError(t, s.Create(t.Context(), "notes"))
	require.NoError(t, s.Create(t.Context(), "notes"), "a second Create is harmless")
	execute(t, s, "create table note (text text)", "insert into note values ('kept')")
	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop(), "a second Stop is harmless")

	s = start(t, postgresql.Config{Dir: dir, Fast: true})
	require.Equal(t, "kept", ask(t, s, "select text from note"))
}

func TestSettingsAreDurableUnlessFast(t *testing.T) {
	t.Parallel()
	s := start(t, postgresql.Config{})
	require.NoError(t, s.Create(t.Context(), "notes"))
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "200",
		"server_encoding": "UTF8", "TimeZone": "UTC", "listen_addresses": "127.0.0.1",
	} {
		require.Equal(t, want, ask(t, s, "show "+name), name)
	}
	require.NoError(t, s.Stop())
	require.NoDirExists(t, s.Dir(), "a temporary folder goes with its server")
}

func TestAKilledServerStartsAgain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, postgresql.Config{Dir: dir, Fast: true})
	require.NoError(t, s.Create(t.Context(), "notes"))
	execute(t, s, "create table note (text text)", "insert into note values ('kept')", "checkpoint")
	require.NoError(t, s.Kill())
	require.NoError(t, s.Stop(), "there is nothing left to stop")
	require.FileExists(t, filepath.Join(dir, "data", "postmaster.pid"), "the kill leaves a stale pid file")

	s = start(t, postgresql.Config{Dir: dir, Fast: true})
	require.Equal(t, "kept", ask(t, s, "select text from note"))
}

func TestAPidFileThatNamesAnotherProcessIsStale(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	require.NoError(t, start(t, postgresql.Config{Dir: dir, Fast: true}).Stop())
	stale := strconv.Itoa(os.Getpid()) + "\n" + filepath.Join(dir, "data") + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(stale), 0o600))
	start(t, postgresql.Config{Dir: dir, Fast: true})
}

func TestAFolderServesOneProcess(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	start(t, postgresql.Config{Dir: dir, Fast: true})
	_, err := postgresql.Start(t.Context(), postgresql.Config{Dir: dir, Fast: true})
	require.ErrorContains(t, err, "is in use by process "+strconv.Itoa(os.Getpid()))
}

func TestAFolderOutOfReachIsNamed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root lends PostgreSQL another account")
	}
	closed := filepath.Join(folder(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	_, err := postgresql.Start(t.Context(), postgresql.Config{Dir: filepath.Join(closed, "a", "b")})
	require.ErrorContains(t, err, "cannot enter "+closed+" (drwx------)")
	require.ErrorContains(t, err, "chmod o+x "+closed)
	require.NoDirExists(t, filepath.Join(closed, "a"), "nothing was made")
}

func TestAPortInUseIsSaidByTheServersOwnLog(t *testing.T) {
	t.Parallel()
	s := start(t, postgresql.Config{Fast: true})
	config, err := pgx.ParseConfig(s.URL("postgres"))
	require.NoError(t, err)
	_, err = postgresql.Start(t.Context(), postgresql.Config{Port: int(config.Port), Fast: true})
	require.ErrorContains(t, err, "Address already in use")
}

func start(t *testing.T, c postgresql.Config) *postgresql.Server {
	t.Helper()
	began := time.Now()
	s, err := postgresql.Start(t.Context(), c)
	require.NoError(t, err)
	t.Logf("started in %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// folder is one that PostgreSQL's account can enter when root runs the tests; t.TempDir is closed to it.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rollcall-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func connect(t *testing.T, s *postgresql.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("notes"))
	require.NoError(t, err)
	return conn
}

func execute(t *testing.T, s *postgresql.Server, statements ...string) {
	t.Helper()
	conn := connect(t, s)
	for _, sql := range statements {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close(t.Context()))
}

func ask(t *testing.T, s *postgresql.Server, sql string) (answer string) {
	t.Helper()
	conn := connect(t, s)
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&answer))
	require.NoError(t, conn.Close(context.Background()))
	return answer
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	return pid
}
