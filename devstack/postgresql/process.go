package postgresql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	loopback = "127.0.0.1"
	pause    = 20 * time.Millisecond // between two looks at something that is about to happen
)

// launching is what it takes to start a server on an existing data folder.
type launching struct {
	bin   installation
	dir   string
	run   account
	port  int // 0 = any free
	fast  bool
	ready func(ctx context.Context, port int) error
}

// process is a running postmaster, our child.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed once it has ended and was waited for
}

// launch starts a server and waits until it answers. It tries again where only chance was against
// it: a free port was taken by another, or a killed server's last children hold its memory.
func launch(ctx context.Context, l launching) (*process, int, error) {
	for attempt := 1; ; attempt++ {
		port := l.port
		if port == 0 {
			var err error
			if port, err = freePort(); err != nil {
				return nil, 0, err
			}
		}
		p, err := l.once(ctx, port)
		if err == nil {
			return p, port, nil
		}
		again := strings.Contains(err.Error(), "is still in use") ||
			l.port == 0 && strings.Contains(err.Error(), "Address already in use")
		if !again || attempt == 100 || !wait(ctx, 5*pause) {
			return nil, 0, fmt.Errorf("start PostgreSQL on port %d: %w", port, err)
		}
	}
}

func (l launching) once(ctx context.Context, port int) (*process, error) {
	name := filepath.Join(l.dir, "server.log")
	_ = os.Rename(name, name+".1") // the run before this one stays readable
	out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p, err := l.spawn(out, port)
	if err != nil {
		return nil, err
	}
	for {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := l.ready(asking, port)
		cancel()
		if err == nil {
			return p, nil
		}
		select {
		case <-p.gone:
			return nil, fmt.Errorf("it ended at once, and its log says:\n%s", tail(name))
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%w (%w); its log says:\n%s", ctx.Err(), err, tail(name)), p.stop(true))
		case <-time.After(pause):
		}
	}
}

// spawn forks the postmaster from a thread that lives as long as it does: the kernel sends the signal
// that ties its life to ours when the thread that forked it ends, not when the process does.
func (l launching) spawn(out *os.File, port int) (*process, error) {
	p := &process{gone: make(chan struct{})}
	p.cmd = exec.Command(l.bin.program("postgres"), l.settings(port)...)
	p.cmd.Dir, p.cmd.Env = l.dir, environment(os.Environ())
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = l.run.attributes()
	p.cmd.SysProcAttr.Setpgid = true // an interrupt typed at the terminal is ours to act on, in our order
	endWithParent(p.cmd.SysProcAttr)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
			close(p.gone)
		}
	}()
	return p, <-started
}

// stop ends the server and returns when it is gone. PostgreSQL's fast shutdown disconnects clients
// and writes everything out; an immediate one leaves that to the next start.
func (p *process) stop(immediately bool) error {
	steps := []struct {
		signal os.Signal
		limit  time.Duration
	}{{syscall.SIGINT, time.Minute}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 10 * time.Second}}
	if immediately {
		steps = steps[1:]
	}
	for _, s := range steps {
		if err := p.cmd.Process.Signal(s.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-p.gone:
			return nil
		case <-time.After(s.limit):
		}
	}
	return fmt.Errorf("stop PostgreSQL: process %d does not end", p.cmd.Process.Pid)
}

// kill ends the postmaster and returns when it is gone. Its children end when they notice.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	<-p.gone
	return nil
}

// tail returns the end of a log file.
func tail(name string) string {
	const keep = 2000
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-keep):]))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// wait pauses, and reports whether the context still stands.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
