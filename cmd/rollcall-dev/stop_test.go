package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// mainVariable makes the test binary rollcall-dev.
const mainVariable = "ROLLCALL_DEV_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is rollcall-dev in a process of its own.
type program struct {
	t     *testing.T
	at    addresses
	cmd   *exec.Cmd
	ended chan struct{}
}

func begin(t *testing.T, dir string) *program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ready := filepath.Join(dir, "ready.json")
	_ = os.Remove(ready)
	p := &program{t: t, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), self, "-api", "127.0.0.1:0", "-temporal", "127.0.0.1:0", "-ui", "127.0.0.1:0",
		"-world", "127.0.0.1:0", "-data", filepath.Join(dir, "data"), "-ready-file", ready)
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), mainVariable+"=1"), t.Output()
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(text, &p.at) == nil
	}, time.Minute, 20*time.Millisecond, "it is ready")
	return p
}

// signal asks the program to stop.
func (p *program) signal() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
}

// wantExit waits until the program has ended and returns its exit code.
func (p *program) wantExit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		require.Fail(p.t, "it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// patch changes a user and gives the status of the answer, 0 where there is none.
func (p *program) patch(user string) int {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPatch, p.at.API+"/v1/users/"+user, strings.NewReader(`{"properties": {"job_title": "lead"}}`))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// patchHeld sends a change of a user whom another transaction holds, and waits until it waits.
func (p *program) patchHeld(user string) (answered chan int, release func()) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.at.Database)
	require.NoError(p.t, err)
	_, err = conn.Exec(p.t.Context(), `begin; select from users where id = '`+user+`' for update`)
	require.NoError(p.t, err)
	answered = make(chan int, 1)
	go func() { answered <- p.patch(user) }()
	require.Eventually(p.t, func() bool {
		var waits int
		err := conn.QueryRow(p.t.Context(), `select count(*) from pg_locks where not granted`).Scan(&waits)
		return err == nil && waits > 0
	}, 10*time.Second, 5*time.Millisecond)
	return answered, func() {
		_, err := conn.Exec(p.t.Context(), `commit`)
		require.NoError(p.t, err)
		require.NoError(p.t, conn.Close(p.t.Context()))
	}
}

func TestFirstSignalStopsInOrderAndSecondOneAtOnce(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	p := begin(t, dir)
	answered, _ := p.patchHeld("u_1")
	p.signal()
	require.Eventually(t, func() bool { return p.patch("u_2") == http.StatusServiceUnavailable }, 20*time.Second, 5*time.Millisecond, "nobody is let in")
	p.signal()
	require.NotZero(t, p.wantExit())
	require.Zero(t, <-answered)

	p = begin(t, dir) // on what the other one left behind
	answered, release := p.patchHeld("u_1")
	p.signal()
	require.Eventually(t, func() bool { return p.patch("u_2") == http.StatusServiceUnavailable }, 20*time.Second, 5*time.Millisecond, "nobody is let in")
	release()
	require.Equal(t, http.StatusOK, <-answered)
	require.Zero(t, p.wantExit())
}
