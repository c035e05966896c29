//go:build unix

package rig_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"

	"rollcall/devstack/postgresql"
	"rollcall/devstack/temporald"
	"rollcall/rig"
)

// temporalVariable makes the test binary a Temporal server, as its value says in JSON.
const temporalVariable = "ROLLCALL_RIG_TEMPORAL"

func TestMain(m *testing.M) {
	if text := os.Getenv(temporalVariable); text != "" {
		if err := serveTemporal(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if *minutes > 0 || *spoiled != "" {
		if code, ran := alone(); ran {
			os.Exit(code)
		}
	}
	os.Exit(m.Run())
}

// serveTemporal runs until it is told to end.
func serveTemporal(text string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	var c temporald.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := temporald.Start(ctx, c)
	if err != nil {
		return err
	}
	defer s.Stop()
	<-ctx.Done()
	return nil
}

// database is a PostgreSQL server on a folder that outlives its processes. It is as careful as one that
// people use: a kill takes away what was promised to nobody, and nothing else. The folder is in memory
// where there is some, since a killed process, unlike a lost machine, leaves what the kernel was given.
type database struct {
	dir  string
	port int
	disk *disk // nil where it cannot be filled
	url  func(database string) string

	mu      sync.Mutex
	server  *postgresql.Server // nil while it is down
	crashes []rig.Span
}

// newDatabase starts a server with an empty database for the service.
func newDatabase(t *testing.T) *database {
	t.Helper()
	parent := os.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "rollcall-rig-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) // PostgreSQL may run as another account
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_, port, err := net.SplitHostPort(freeAddr(t))
	require.NoError(t, err)
	d := &database{dir: filepath.Join(dir, "postgresql")}
	d.port, err = strconv.Atoi(port)
	require.NoError(t, err)
	if d.disk, err = mountDisk(d.dir); err != nil {
		t.Logf("the disk of PostgreSQL is not filled: %s", err)
	} else {
		t.Cleanup(d.disk.unmount)
	}
	require.NoError(t, d.start())
	t.Cleanup(d.kill)
	require.NoError(t, d.server.Create(t.Context(), "rollcall"))
	return d
}

// listen is where the server answers, and address that of a database on it. Both outlive its processes.
func (d *database) listen() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)) }

func (d *database) address(name string) string { return d.url(name) }

// start starts the server and waits until it answers; where it runs already, it does nothing.
func (d *database) start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server != nil {
		return nil
	}
	server, err := postgresql.Start(context.Background(), postgresql.Config{Dir: d.dir, Port: d.port})
	if err == nil {
		d.server, d.url = server, server.URL
	}
	return err
}

// kill ends the server as it stands.
func (d *database) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server == nil {
		return
	}
	d.crashes = append(d.crashes, rig.Span{From: time.Now(), Until: time.Now()})
	_ = d.server.Kill()
	d.server = nil
}

// fill lets the disk be full for a while. A server that could not write its log has ended then, and is
// started again.
func (d *database) fill(ctx context.Context, length time.Duration) error {
	began := time.Now()
	if err := d.disk.fill(); err != nil {
		return err
	}
	wait(ctx, length)
	err := d.disk.empty()
	d.mu.Lock()
	d.crashes = append(d.crashes, rig.Span{From: began, Until: time.Now()})
	d.mu.Unlock()
	if err != nil || baseAnswers(ctx, d.address("rollcall")) {
		return err
	}
	d.kill()
	return d.start()
}

// baseAnswers reports whether a database answers in time: it may be recovering from a crash.
func baseAnswers(ctx context.Context, address string) bool {
	for range 10 {
		conn, err := pgx.Connect(ctx, address)
		if err == nil {
			return conn.Close(ctx) == nil
		}
		if !wait(ctx, 200*time.Millisecond) {
			break
		}
	}
	return false
}

// crashed lists when the server ended other than in order.
func (d *database) crashed() []rig.Span {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.crashes)
}

// quiet drops what a client of Temporal says while it cannot reach it.
func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }
