package postgresql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lock is the right to use a folder. It ends with the process that holds it, however that ends.
type lock struct{ file *os.File }

// takeLock takes a folder for this process, or says which process has it.
func takeLock(dir string) (*lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(file.Name())
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by process %s", dir, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder: %w", err), file.Close())
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder: %w", err), file.Close())
	}
	return &lock{file: file}, nil
}

func (l *lock) release() { _ = l.file.Close() }

// stopOrphan ends a server of this data folder whose parent is gone, and removes a pid file that
// speaks of no living server: PostgreSQL trusts the number alone and would refuse to start when
// another process has it by now. The caller holds the lock, so no living parent owns that server.
func stopOrphan(ctx context.Context, data string) error {
	name := filepath.Join(data, "postmaster.pid")
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an older server: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err == nil && serves(ctx, pid, data) {
		if err := end(ctx, pid, data); err != nil {
			return err
		}
	}
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove a stale pid file: %w", err)
	}
	return nil
}

// end shuts down a server that is not our child, first gently.
func end(ctx context.Context, pid int, data string) error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop an older server of this folder, process %d: %w", pid, err)
		}
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
			if !serves(ctx, pid, data) {
				return nil
			}
			if !wait(ctx, pause) {
				return fmt.Errorf("stop an older server of this folder, process %d: %w", pid, ctx.Err())
			}
		}
	}
	return fmt.Errorf("an older server of this folder, process %d, does not end: stop it by hand", pid)
}

// serves reports whether a process is a living PostgreSQL server of a data folder.
func serves(ctx context.Context, pid int, data string) bool {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		if _, procErr := os.Stat("/proc/self/cmdline"); procErr == nil {
			return false
		}
		command, err = exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	}
	return err == nil && strings.Contains(string(command), "postgres") && strings.Contains(string(command), data)
}
