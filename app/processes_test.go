package app_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/stretchr/testify/require"
)

// operatorKey opens the API of processes, which answers nobody without a key.
const operatorKey = "a-key-of-the-operator-0123456789"

// binary is the command rollcall, built once.
var binary struct {
	sync.Once
	dir, path string
	err       error
	said      []byte
}

func buildBinary() {
	if binary.dir, binary.err = os.MkdirTemp("", "rollcall-binary-"); binary.err != nil {
		return
	}
	binary.path = filepath.Join(binary.dir, "rollcall")
	binary.said, binary.err = exec.CommandContext(context.Background(), "go", "build", "-o", binary.path, "rollcall/cmd/rollcall").CombinedOutput()
}

// process is one run of a command of the binary.
type process struct {
	s       *service
	command string
	addr    string // where it answers
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it has ended
}

// process runs a command on the database and the namespace of the test, and waits until it is ready.
func (s *service) process(command string) *process {
	s.t.Helper()
	binary.Do(buildBinary)
	require.NoError(s.t, binary.err, string(binary.said))
	p := &process{s: s, command: command, addr: freeAddr(s)}
	s.t.Cleanup(p.kill)
	p.start()
	return p
}

func (p *process) start() {
	p.s.t.Helper()
	c := p.s.config
	p.cmd, p.ended = exec.CommandContext(p.s.ctx, binary.path, p.command), make(chan struct{})
	p.cmd.Stderr = p.s.t.Output()
	p.cmd.Env = append(os.Environ(),
		"DATABASE_URL="+c.DatabaseURL, "TEMPORAL_ADDRESS="+c.Temporal.HostPort, "TEMPORAL_NAMESPACE="+c.Temporal.Namespace,
		"ROLLCALL_LISTEN="+p.addr, "ROLLCALL_METRICS_LISTEN="+p.addr, "ROLLCALL_API_KEYS="+operatorKey, "ROLLCALL_RATE_LIMIT=0",
		"ROLLCALL_WEBHOOK_SECRETS="+secret, "ROLLCALL_ALLOW_HTTP=true", "ROLLCALL_ALLOW_NETWORKS=127.0.0.0/8", "ROLLCALL_LOG_LEVEL=warn",
	)
	require.NoError(p.s.t, p.cmd.Start())
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(p.cmd, p.ended)
	p.s.until(p.command+" is ready", func() bool {
		require.False(p.s.t, p.hasEnded(), "%s has ended", p.command)
		return p.ask("/readyz") == http.StatusOK
	})
}

// ask is the status of the answer at a path, 0 where there is none.
func (p *process) ask(path string) int {
	req, err := http.NewRequestWithContext(p.s.ctx, http.MethodGet, "http://"+p.addr+path, nil)
	require.NoError(p.s.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal asks the process to stop.
func (p *process) signal() {
	p.s.t.Helper()
	require.NoError(p.s.t, p.cmd.Process.Signal(syscall.SIGTERM))
}

// stopping asks the process to stop and waits until it says so.
func (p *process) stopping() {
	p.s.t.Helper()
	p.signal()
	p.s.until(p.command+" is not ready", func() bool {
		require.False(p.s.t, p.hasEnded(), "%s has ended", p.command)
		return p.ask("/readyz") == http.StatusServiceUnavailable
	})
	require.Equal(p.s.t, http.StatusOK, p.ask("/healthz"), "it lives")
}

// wantExit waits until the process has ended by itself and without complaint.
func (p *process) wantExit() {
	p.s.t.Helper()
	p.s.until(p.command+" has ended", p.hasEnded)
	require.Zero(p.s.t, p.cmd.ProcessState.ExitCode(), "%s", p.cmd.ProcessState)
}

// kill ends the process where it runs still.
func (p *process) kill() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func freeAddr(s *service) string {
	s.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, l.Close()) }()
	return l.Addr().String()
}
