package postgresql_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/devstack/postgresql"
)

// childVariable makes TestAServerEndsWithItsParent play the parent that is killed.
const childVariable = "ROLLCALL_TEST_POSTGRESQL_PARENT_OF"

func TestAServerEndsWithItsParent(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		_, err := postgresql.Start(t.Context(), postgresql.Config{Dir: dir, Fast: true})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "up"), nil, 0o600))
		select {}
	}
	t.Parallel()
	dir := folder(t)
	parent := exec.Command(os.Args[0], "-test.run", "^TestAServerEndsWithItsParent$", "-test.timeout", "2m")
	parent.Env = append(os.Environ(), childVariable+"="+dir)
	require.NoError(t, parent.Start())
	eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "up"))
		return err == nil
	})
	pid := postmaster(t, dir)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()

	eventually(t, func() bool { return !alive(pid) })
	start(t, postgresql.Config{Dir: dir, Fast: true})
}

func TestAServerThatOutlivedItsParentIsReplaced(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, postgresql.Config{Dir: dir, Fast: true})
	require.NoError(t, s.Create(t.Context(), "notes"))
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", postmaster(t, dir)))
	require.NoError(t, err)
	require.NoError(t, s.Stop())
	orphan := launch(t, bytes.Split(bytes.TrimSuffix(command, []byte{0}), []byte{0}), dir)
	eventually(t, func() bool { return s.Create(t.Context(), "notes") == nil }) // it answers

	s = start(t, postgresql.Config{Dir: dir, Fast: true})
	require.Equal(t, "1", ask(t, s, "select 1::text"))
	eventually(t, func() bool { return !alive(orphan) })
}

// launch runs a command as the account that owns the data, as a child that nobody looks after.
func launch(t *testing.T, words [][]byte, dir string) int {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "data"))
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	cmd := exec.Command(string(words[0]))
	cmd.Args, cmd.Dir = nil, dir
	for _, w := range words {
		cmd.Args = append(cmd.Args, string(w))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	}
	require.NoError(t, cmd.Start())
	go func() { _ = cmd.Wait() }()
	return cmd.Process.Pid
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 30*time.Second, 10*time.Millisecond)
}
