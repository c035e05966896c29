//go:build unix

package rig_test

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"rollcall/app"
	"rollcall/devstack/temporald"
	"rollcall/postgres"
	"rollcall/rig"
)

const (
	apiKey = "a-key-of-the-rig-0123456789"
	secret = "whsec_dGVzdC1zZWNyZXQtb2YtdGhlLWFjY2VwdGFuY2Utc3VpdGU="
)

// cluster is everything that runs: PostgreSQL, Temporal and the service.
type cluster struct {
	base  *database
	all   map[string]*process // Temporal too
	stage rig.Stage
	proxies
	launch func(*exec.Cmd) error
}

// newCluster starts PostgreSQL, and on it Temporal, two serves and two workers of a binary. Temporal's
// own store fails now and then, as drawn from the seed.
func newCluster(ctx context.Context, t *testing.T, binary string, seed uint64) *cluster {
	t.Helper()
	c := &cluster{
		base: newDatabase(t), all: map[string]*process{}, proxies: newProxies(), launch: launcher(t),
		stage: rig.Stage{Serves: []string{"serve-1", "serve-2"}, Workers: []string{"worker-1", "worker-2"}},
	}
	c.stage.Disk = c.base.disk != nil
	t.Cleanup(func() {
		for _, p := range c.all {
			p.kill()
		}
	})
	c.addTemporal(t, seed)
	require.NoError(t, postgres.Migrate(ctx, c.base.address("rollcall")))
	c.raise(t, rig.Temporal)
	options := c.temporal()
	require.Eventually(t, func() bool { return app.PrepareTemporal(ctx, options) == nil }, time.Minute, time.Second)
	services := slices.Concat(c.stage.Serves, c.stage.Workers)
	for _, name := range services {
		c.addService(t, name, binary)
	}
	c.raise(t, services...)
	return c
}

// temporal is how Temporal is reached directly.
func (c *cluster) temporal() client.Options {
	return client.Options{HostPort: c.all[rig.Temporal].listen, Logger: quiet()}
}

func (c *cluster) addTemporal(t *testing.T, seed uint64) {
	t.Helper()
	p := &process{name: rig.Temporal, launch: c.launch, log: &tail{}, listen: freeAddr(t)}
	p.links = map[string]*toxiproxy.Proxy{rig.PostgreSQL: c.to(t, "temporal-postgresql", c.base.listen())}
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(temporald.Config{
		PostgresURL: through(t, c.base.address("postgres"), p.links[rig.PostgreSQL].Listen), FrontendAddr: p.listen,
		Faults: temporald.Faults{Rate: 0.01, Seed: int64(seed%1000) + 1},
	})
	require.NoError(t, err)
	p.argv, p.env = []string{self}, []string{temporalVariable + "=" + string(text)}
	options := client.Options{HostPort: p.listen, Logger: quiet()}
	p.ready = func(ctx context.Context) bool {
		found, err := client.DialContext(ctx, options)
		if err == nil {
			found.Close()
		}
		return err == nil
	}
	c.all[p.name] = p
}

// addService prepares a serve or a worker; it does not run yet.
func (c *cluster) addService(t *testing.T, name, binary string) {
	t.Helper()
	p := &process{name: name, launch: c.launch, log: &tail{}, listen: freeAddr(t)}
	command, _, _ := strings.Cut(name, "-")
	p.argv = []string{binary, command}
	p.links = map[string]*toxiproxy.Proxy{
		rig.PostgreSQL: c.to(t, name+"-postgresql", c.base.listen()),
		rig.Temporal:   c.to(t, name+"-temporal", c.all[rig.Temporal].listen),
	}
	if command == "serve" {
		p.links[rig.API] = c.to(t, name+"-api", p.listen)
	}
	p.env = []string{
		"DATABASE_URL=" + through(t, c.base.address("rollcall"), p.links[rig.PostgreSQL].Listen),
		"TEMPORAL_ADDRESS=" + p.links[rig.Temporal].Listen, "TEMPORAL_NAMESPACE=default",
		"ROLLCALL_LISTEN=" + p.listen, "ROLLCALL_METRICS_LISTEN=" + p.listen, "ROLLCALL_API_KEYS=" + apiKey,
		"ROLLCALL_RATE_LIMIT=0", "ROLLCALL_WEBHOOK_SECRETS=" + secret, "ROLLCALL_ALLOW_HTTP=true",
		"ROLLCALL_ALLOW_NETWORKS=127.0.0.0/8", "ROLLCALL_LOG_LEVEL=error",
	}
	p.ready = func(ctx context.Context) bool { return isReady(ctx, p.listen) }
	c.all[name] = p
}

// raise starts processes and waits until they are ready.
func (c *cluster) raise(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		require.NoError(t, c.all[name].start())
	}
	for _, name := range names {
		p := c.all[name]
		ready := func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return p.ready(ctx)
		}
		require.Eventually(t, ready, time.Minute, 20*time.Millisecond, "%s is not ready: %s", p.name, p.log)
	}
}

// exits counts how often processes ended of their own accord.
func (c *cluster) exits() map[string]int {
	exits := map[string]int{}
	for name, p := range maps.All(c.all) {
		p.mu.Lock()
		if p.exits > 0 {
			exits[name] = p.exits
		}
		p.mu.Unlock()
	}
	return exits
}

// ownFaults are the lines by which processes said that they are at fault themselves.
func (c *cluster) ownFaults() (lines []string) {
	for name, p := range c.all {
		for _, line := range p.log.ownFaults() {
			lines = append(lines, name+" said "+line)
		}
	}
	return lines
}

// isReady reports whether a process of the service says that it is.
func isReady(ctx context.Context, listen string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/readyz", nil)
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

// proxies makes proxies inside this process.
type proxies struct{ server *toxiproxy.ApiServer }

func newProxies() proxies {
	return proxies{toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())}
}

func (x proxies) to(t *testing.T, name, upstream string) *toxiproxy.Proxy {
	t.Helper()
	p := toxiproxy.NewProxy(x.server, name, "127.0.0.1:0", upstream)
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// through is the address of a database by another way.
func through(t *testing.T, address, way string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.Host = way
	return u.String()
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
