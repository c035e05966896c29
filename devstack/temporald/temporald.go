// Package temporald runs a Temporal server and its Web UI inside this process: for rollcall-dev, on
// PostgreSQL, where everything survives a restart, and for tests, in memory. It answers on the
// loopback interface only, because it asks nobody who they are. Its dynamic configuration is tuned
// for short waits; it is no guide to running Temporal for an organisation.
//
// Floor 2, without anything of Rollcall below it but devstack/postgresql. Importing it links the
// whole Temporal server.
package temporald

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/testing/freeport"
	"go.temporal.io/server/temporal"
)

// startLimit is how long a server may take until it can be used.
const startLimit = 2 * time.Minute

// Config says where the server keeps its state and where it answers. Addresses are host:port on the
// loopback interface, and port 0 is any free one.
type Config struct {
	PostgresURL   string       // any database of the server to use; "" = in memory, gone at Stop
	FrontendAddr  string       // where clients and workers connect; "" = any free port
	UIAddr        string       // "" = no Web UI
	Namespace     string       // made where missing; "" = default
	Shards        int          // history shards, fixed when the databases are made; 0 = 4
	CodecEndpoint string       // URL of a codec server, which the Web UI asks to decode payloads
	Faults        Faults       // of its store, for tests
	Log           *slog.Logger // receives the server's warnings and errors; nil = silent
}

// Server is a running Temporal server.
type Server struct {
	frontend string
	ui       *webUI
	log      *logger
	temporal temporal.Server
	claim    *pgx.Conn // nil in memory
	stop     sync.Once
}

// Start returns a server whose namespace takes workflows and lists them by Rollcall's search
// attributes. On PostgreSQL it first makes or updates the databases temporal and temporal_visibility;
// workflows that ran when an earlier server on them ended, or was killed, go on. It refuses databases
// that another server is using.
func Start(ctx context.Context, c Config) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	c = c.withDefaults()
	frontend, err := listenable(c.FrontendAddr)
	if err != nil {
		return nil, fmt.Errorf("temporal frontend: %w", err)
	}
	c.FrontendAddr = frontend
	s := &Server{frontend: frontend, log: newLogger(c.Log)}
	began := time.Now()
	if err := s.start(ctx, c); err != nil {
		s.Stop()
		return nil, err
	}
	c.Log.Debug("Temporal started", "addr", s.frontend, "ui", s.UIAddr(), "took", time.Since(began))
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.FrontendAddr == "" {
		c.FrontendAddr = hostPort(0)
	}
	if c.Namespace == "" {
		c.Namespace = "default"
	}
	if c.Shards == 0 {
		c.Shards = 4
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (s *Server) start(ctx context.Context, c Config) error {
	if c.PostgresURL != "" {
		held, err := claim(ctx, c.PostgresURL)
		if err != nil {
			return err
		}
		s.claim = held
	}
	stores, err := openStores(ctx, c.PostgresURL, s.log)
	if err != nil {
		return err
	}
	stores.NumHistoryShards = int32(c.Shards)
	main := stores.DataStores[mainStore]
	main.FaultInjection = c.Faults.injection()
	stores.DataStores[mainStore] = main
	if err := makeNamespace(stores, c.Namespace); err != nil {
		return err
	}
	conf, hosts, err := serverConfig(c, stores)
	if err != nil {
		return err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithDynamicConfigClient(dynamicConfig()),
		temporal.WithLogger(s.log),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	)
	if err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}
	s.temporal = server
	if err := server.Start(); err != nil {
		return fmt.Errorf("start the Temporal server: %w", err)
	}
	if err := awaitNamespace(ctx, s.frontend, c.Namespace); err != nil {
		return fmt.Errorf("wait for the Temporal server: %w", err)
	}
	if c.UIAddr == "" {
		return nil
	}
	s.ui, err = startUI(ctx, c)
	return err
}

// FrontendAddr is where clients and workers connect.
func (s *Server) FrontendAddr() string { return s.frontend }

// UIAddr is where the Web UI answers; "" = nowhere.
func (s *Server) UIAddr() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.addr
}

// Stop ends the Web UI and the server and returns when they no longer answer. What it says to the
// log on its way out is dropped: it is all about its own parts leaving. Some goroutines of the
// server outlive it, so a test binary starts one server and shares it.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.log.mute()
		if s.ui != nil {
			s.ui.stop()
		}
		if s.temporal != nil {
			_ = s.temporal.Stop() // it reports by the log alone
		}
		if s.claim != nil {
			_ = s.claim.Close(context.Background()) // the claim ends with the connection, however it ends
		}
	})
}

const loopback = "127.0.0.1"

// listenable turns an address into one with an IP and a port that is free at this moment. The server
// takes the whole process down when it cannot listen, so the question is asked beforehand.
func listenable(addr string) (string, error) {
	if addr == hostPort(0) {
		return hostPort(freeport.MustGetFreePort()), nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return "", errors.New("address " + addr + " is not on the loopback interface: " +
			"the embedded server asks for no credentials, so it must not be reachable from elsewhere")
	}
	return tcp.String(), nil
}

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
