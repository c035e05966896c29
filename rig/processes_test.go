//go:build unix

package rig_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"rollcall/rig"
)

const apiKey = "a-key-of-the-rig-0123456789"

// process is one serve or worker, with everything that it reaches or is reached by behind a proxy of its
// own.
type process struct {
	name, command string
	base, temp    *toxiproxy.Proxy // to PostgreSQL and to Temporal
	front         *toxiproxy.Proxy // before its API
	listen        string
	env           []string
	binary        string
	launch        func(*exec.Cmd) error

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
	cmd, ended := exec.Command(p.binary, p.command), make(chan struct{})
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

// answers reports whether the process answers and says that it is ready.
func (p *process) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listen+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > tailSize {
		t.text = bytes.Clone(t.text[len(t.text)-tailSize:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
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

// build compiles the service, with a mutant in it where one is named.
func build(t *testing.T, spoiled string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "rollcall")
	args := []string{"build", "-o", binary}
	if spoiled != "" {
		m, known := mutants[spoiled]
		require.True(t, known, "there is no mutant %q", spoiled)
		root, err := filepath.Abs("..")
		require.NoError(t, err)
		args = append(args, overlay(t, root, m))
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, "rollcall/cmd/rollcall")...).CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// proxies makes proxies inside this process.
type proxies struct{ server *toxiproxy.ApiServer }

func newProxies() *proxies {
	return &proxies{toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())}
}

func (x *proxies) to(t *testing.T, name, upstream string) *toxiproxy.Proxy {
	t.Helper()
	p := toxiproxy.NewProxy(x.server, name, "127.0.0.1:0", upstream)
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// afflict adds a toxic to a proxy, for what flows towards the client.
func afflict(p *toxiproxy.Proxy, kind, attributes string) error {
	text := fmt.Sprintf(`{"name": %q, "type": %q, "stream": "downstream", "attributes": %s}`, kind, kind, attributes)
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		return fmt.Errorf("%s at %s: %w", kind, p.Name, err)
	}
	return nil
}

// cluster is all processes of the service.
type cluster struct {
	all     map[string]*process
	serves  []string
	workers []string
}

// newCluster prepares two serves and two workers; they do not run yet.
func newCluster(t *testing.T, binary, database, temporal string, secret string) *cluster {
	t.Helper()
	x, launch := newProxies(), launcher(t)
	to, err := url.Parse(database)
	require.NoError(t, err)
	c := &cluster{all: map[string]*process{}, serves: []string{"serve-1", "serve-2"}, workers: []string{"worker-1", "worker-2"}}
	for _, name := range append(append([]string{}, c.serves...), c.workers...) {
		p := &process{name: name, binary: binary, launch: launch, log: &tail{}, listen: freeAddr(t)}
		p.command, _, _ = strings.Cut(name, "-")
		p.base, p.temp = x.to(t, name+"-postgres", to.Host), x.to(t, name+"-temporal", temporal)
		if p.command == "serve" {
			p.front = x.to(t, name+"-api", p.listen)
		}
		through := *to
		through.Host = p.base.Listen
		p.env = []string{
			"DATABASE_URL=" + through.String(), "TEMPORAL_ADDRESS=" + p.temp.Listen, "TEMPORAL_NAMESPACE=default",
			"ROLLCALL_LISTEN=" + p.listen, "ROLLCALL_METRICS_LISTEN=" + p.listen, "ROLLCALL_API_KEYS=" + apiKey,
			"ROLLCALL_RATE_LIMIT=0", "ROLLCALL_WEBHOOK_SECRETS=" + secret, "ROLLCALL_ALLOW_HTTP=true",
			"ROLLCALL_ALLOW_NETWORKS=127.0.0.0/8", "ROLLCALL_LOG_LEVEL=error",
		}
		c.all[name] = p
	}
	t.Cleanup(func() {
		for _, p := range c.all {
			p.kill()
		}
	})
	return c
}

// raise starts every process and waits until all are ready.
func (c *cluster) raise(t *testing.T) {
	t.Helper()
	for _, p := range c.all {
		require.NoError(t, p.start())
	}
	for _, p := range c.all {
		require.Eventually(t, func() bool { return p.answers(t.Context()) }, 30*time.Second, 20*time.Millisecond, "%s is not ready: %s", p.name, p.log)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// nemesis carries out a plan and remembers what it did when.
type nemesis struct {
	*cluster
	began     time.Time
	terminate func() error // half of the backends

	mu    sync.Mutex
	deeds []string
	group sync.WaitGroup
	busy  map[string]*sync.Mutex // one fault of a kind at a time per process
}

func newNemesis(c *cluster, terminate func() error) *nemesis {
	n := &nemesis{cluster: c, terminate: terminate, busy: map[string]*sync.Mutex{}}
	for name := range c.all {
		for _, kind := range []string{"process", rig.CutBase, rig.CutTemp, rig.SlowBase, rig.LostReply, rig.LostAnswer} {
			n.busy[name+kind] = &sync.Mutex{}
		}
	}
	return n
}

func (n *nemesis) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deeds = append(n.deeds, fmt.Sprintf("%6.1fs  ", time.Since(n.began).Seconds())+fmt.Sprintf(format, args...))
}

// carryOut does what the plan says, and heals all in the end.
func (n *nemesis) carryOut(ctx context.Context, plan rig.Plan) {
	n.began = time.Now()
	for _, f := range plan {
		if !wait(ctx, time.Until(n.began.Add(f.At))) {
			break
		}
		n.group.Go(func() { n.strike(ctx, f) })
	}
	n.group.Wait()
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// strike does one fault and heals it.
func (n *nemesis) strike(ctx context.Context, f rig.Fault) {
	if f.Kind == rig.Terminate {
		n.note("%s (%v)", f.Kind, n.terminate())
		return
	}
	kind := f.Kind
	if kind == rig.Kill || kind == rig.Stop {
		kind = "process"
	}
	busy := n.busy[f.Target+kind]
	busy.Lock()
	defer busy.Unlock()
	p := n.all[f.Target]
	n.note("%s %s", f.Target, f.Kind)
	err := inflict(p, f)
	wait(ctx, f.For)
	if healed := heal(p, f); err == nil {
		err = healed
	}
	if err != nil {
		n.note("%s %s: %s", f.Target, f.Kind, err)
	}
	n.note("%s %s, healed", f.Target, f.Kind)
}

func inflict(p *process, f rig.Fault) error {
	switch f.Kind {
	case rig.Kill:
		p.kill()
	case rig.Stop:
		p.signal(syscall.SIGSTOP)
	case rig.CutBase:
		p.base.Stop()
	case rig.CutTemp:
		p.temp.Stop()
	case rig.SlowBase:
		return afflict(p.base, "latency", fmt.Sprintf(`{"latency": %d, "jitter": %d}`, f.Size, f.Size/2))
	case rig.LostReply:
		return afflict(p.base, "limit_data", fmt.Sprintf(`{"bytes": %d}`, f.Size))
	case rig.LostAnswer:
		return afflict(p.front, "limit_data", fmt.Sprintf(`{"bytes": %d}`, f.Size))
	}
	return nil
}

func heal(p *process, f rig.Fault) error {
	switch f.Kind {
	case rig.Kill:
		return p.start()
	case rig.Stop:
		p.signal(syscall.SIGCONT)
	case rig.CutBase:
		return p.base.Start()
	case rig.CutTemp:
		return p.temp.Start()
	case rig.SlowBase:
		return p.base.Toxics.RemoveToxic(context.Background(), "latency")
	case rig.LostReply:
		return p.base.Toxics.RemoveToxic(context.Background(), "limit_data")
	case rig.LostAnswer:
		return p.front.Toxics.RemoveToxic(context.Background(), "limit_data")
	}
	return nil
}
