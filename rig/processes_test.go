//go:build unix

package rig_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/stretchr/testify/require"
)

// process is one serve or worker, or Temporal, with everything that it reaches or is reached by behind a
// proxy of its own.
type process struct {
	name   string
	argv   []string
	env    []string
	listen string
	links  map[string]*toxiproxy.Proxy // by the other end
	ready  func(ctx context.Context) bool
	launch func(*exec.Cmd) error

	mu    sync.Mutex
	cmd   *exec.Cmd     // nil while it is down on purpose
	ended chan struct{} // closed when cmd has ended
	log   *tail
	exits int // of its own accord
}

// start runs the process, and runs it again when it ends by itself: it refuses to start while it cannot
// reach PostgreSQL. It waits for nothing.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run()
}

func (p *process) run() error {
	cmd, ended := exec.Command(p.argv[0], p.argv[1:]...), make(chan struct{})
	cmd.Env, cmd.Stderr = append(os.Environ(), p.env...), p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	endWithParent(cmd.SysProcAttr)
	if err := p.launch(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.ended = cmd, ended
	go func() {
		_ = cmd.Wait()
		close(ended)
		time.Sleep(restPeriod)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.cmd == cmd {
			p.exits++
			_ = p.run()
		}
	}()
	return nil
}

// restPeriod is how long a process that ended by itself is left alone.
const restPeriod = 300 * time.Millisecond

// kill ends the process as it stands.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.cmd = nil
}

// signal sends a signal where the process runs.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

// end asks the process to end in order, and returns how long that took. Where it does not end, it is
// killed.
func (p *process) end(limit time.Duration) (took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	began := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(limit):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	p.cmd = nil
	return time.Since(began)
}

// tail keeps the end of what a process says, and the lines by which it says that it is at fault itself.
type tail struct {
	mu     sync.Mutex
	text   []byte
	begun  []byte // a line that has no end yet
	faults []string
}

const (
	tailSize   = 8 << 10
	mostFaults = 20
)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > tailSize {
		t.text = bytes.Clone(t.text[len(t.text)-tailSize:])
	}
	t.begun = append(t.begun, p...)
	for {
		line, rest, whole := bytes.Cut(t.begun, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if len(t.faults) < mostFaults && (bytes.Contains(line, []byte(`"msg":"internal error"`)) || bytes.Contains(line, []byte(`"msg":"panic"`))) {
			t.faults = append(t.faults, string(line))
		}
		t.begun = rest
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// ownFaults are the lines by which the process says that it is at fault itself.
func (t *tail) ownFaults() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.faults)
}

// launcher returns a function that starts children from one thread, which lives until the test ends: the
// kernel ends children with the thread that forked them.
func launcher(t *testing.T) func(*exec.Cmd) error {
	t.Helper()
	type start struct {
		cmd  *exec.Cmd
		done chan error
	}
	starts := make(chan start)
	go func() {
		runtime.LockOSThread()
		for s := range starts {
			s.done <- s.cmd.Start()
		}
	}()
	t.Cleanup(func() { close(starts) })
	return func(cmd *exec.Cmd) error {
		s := start{cmd, make(chan error, 1)}
		starts <- s
		return <-s.done
	}
}

// build compiles the service, with a mutant in it where there is one.
func build(t *testing.T, m *mutant) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "rollcall")
	args := []string{"build", "-o", binary}
	if m != nil {
		root, err := filepath.Abs("..")
		require.NoError(t, err)
		args = append(args, overlay(t, root, *m))
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, "rollcall/cmd/rollcall")...).CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}
