package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/pprof"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"rollcall/connect"
	"rollcall/devstack/postgresql"
	"rollcall/devstack/temporald"
)

// machineConfig is what startMachine needs.
type machineConfig struct {
	databaseURL   string // of any database of the PostgreSQL server; "": one is started
	temporalGiven bool   // Temporal is where the environment says; else one is started
	folder        string // of the PostgreSQL that is started; "": a temporary one
	log           *slog.Logger
}

// machine is what everything runs on: one PostgreSQL, one Temporal, one receiver of webhooks.
type machine struct {
	serverURL string         // of a database of the PostgreSQL server
	temporal  client.Options // where Temporal is; each place has a namespace of its own
	sink      *sink
	log       *slog.Logger

	database *postgresql.Server // nil where it is given
	server   *temporald.Server  // nil where it is given, or apart
	apart    *child             // Temporal in a process of its own
	places   []*place
}

// startMachine starts everything that is not given.
func startMachine(ctx context.Context, c machineConfig) (_ *machine, err error) {
	m := &machine{serverURL: c.databaseURL, log: c.log}
	if err := m.start(ctx, c); err != nil {
		return nil, errors.Join(err, m.stop())
	}
	return m, nil
}

func (m *machine) start(ctx context.Context, c machineConfig) (err error) {
	pprof.Do(ctx, pprof.Labels("part", "webhook sink"), func(ctx context.Context) { m.sink, err = startSink(ctx) })
	if err != nil {
		return err
	}
	if m.serverURL == "" {
		m.database, err = postgresql.Start(ctx, postgresql.Config{Dir: c.folder, Log: c.log})
		if err != nil {
			return fmt.Errorf("embedded PostgreSQL: %w", err)
		}
		m.serverURL = m.database.URL("postgres")
	}
	if c.temporalGiven {
		m.temporal, err = temporalOptions("")
		return err
	}
	pprof.Do(ctx, pprof.Labels("part", "temporal server"), func(ctx context.Context) {
		m.server, err = temporald.Start(ctx, temporald.Config{PostgresURL: m.serverURL, Log: c.log})
	})
	if err != nil {
		return fmt.Errorf("embedded Temporal: %w", err)
	}
	m.temporal = client.Options{HostPort: m.server.FrontendAddr()}
	return nil
}

// temporalOptions are how Temporal is reached: as the environment says, or at an address where there
// is one.
func temporalOptions(address string) (client.Options, error) {
	if address != "" {
		return client.Options{HostPort: address}, nil
	}
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("the settings of Temporal: %w", err)
	}
	return options, nil
}

// moveTemporal starts the embedded Temporal once more in a process of its own, so that its memory can
// be told from that of others. It does nothing where Temporal is given.
func (m *machine) moveTemporal(ctx context.Context) (err error) {
	if m.server == nil {
		return nil
	}
	m.server.Stop()
	m.server = nil
	at := &temporalPart{PostgresURL: m.serverURL}
	if m.apart, err = startChild(ctx, at); err != nil {
		return fmt.Errorf("temporal in a process of its own: %w", err)
	}
	m.temporal.HostPort = at.Address
	return nil
}

// options are how a client reaches a namespace of Temporal.
func (m *machine) options(namespace string) client.Options {
	options := m.temporal
	options.Namespace, options.Logger = namespace, log.NewStructuredLogger(m.log)
	return options
}

// guard lets webhooks through to the sink.
func (m *machine) guard() connect.Guard {
	return connect.Guard{AllowAddrs: []netip.AddrPort{m.sink.addr}}
}

// stop ends what was started. What was made on servers that were given it removes.
func (m *machine) stop() error {
	var err error
	for _, p := range m.places {
		err = errors.Join(err, m.remove(p))
	}
	if m.sink != nil {
		err = errors.Join(err, m.sink.stop())
	}
	if m.server != nil {
		m.server.Stop()
	}
	if m.apart != nil {
		err = errors.Join(err, m.apart.stop())
	}
	if m.database != nil {
		err = errors.Join(err, m.database.Stop())
	}
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}
