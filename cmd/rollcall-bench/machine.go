package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime/pprof"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"rollcall/connect"
	"rollcall/devstack"
	"rollcall/devstack/postgresql"
	"rollcall/postgres"
)

// machine is what both sides run on: one PostgreSQL, one Temporal, one receiver of webhooks.
type machine struct {
	stack       *devstack.Stack
	sink        *sink
	baselineURL string // of the hand-written program's database
	log         *slog.Logger
}

// startMachine starts everything.
func startMachine(ctx context.Context, config devstack.Config) (m *machine, err error) {
	m = &machine{log: config.Log}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.stop())
		}
	}()
	pprof.Do(ctx, pprof.Labels("part", "temporal server"), func(ctx context.Context) {
		m.stack, err = devstack.Start(ctx, config)
	})
	if err != nil {
		return m, err
	}
	pprof.Do(ctx, pprof.Labels("part", "webhook sink"), func(ctx context.Context) { m.sink, err = startSink(ctx) })
	if err != nil {
		return m, err
	}
	if err := postgres.Migrate(ctx, m.stack.DatabaseURL); err != nil {
		return m, err
	}
	const name = "rollcall_bench_baseline"
	if err := postgresql.CreateDatabase(ctx, m.stack.DatabaseURL, name); err != nil {
		return m, err
	}
	address, err := url.Parse(m.stack.DatabaseURL)
	if err != nil {
		return m, errors.New("the address of PostgreSQL is not a URL")
	}
	address.Path = "/" + name
	m.baselineURL = address.String()
	return m, nil
}

// guard lets webhooks through to the sink.
func (m *machine) guard() connect.Guard {
	return connect.Guard{AllowAddrs: []netip.AddrPort{m.sink.addr}}
}

func (m *machine) stop() error {
	var err error
	if m.sink != nil {
		err = m.sink.stop()
	}
	if m.stack != nil {
		err = errors.Join(err, m.stack.Stop())
	}
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

// temporal is how both sides reach Temporal.
func (m *machine) temporal() client.Options {
	return client.Options{HostPort: m.stack.TemporalAddr, Logger: log.NewStructuredLogger(m.log)}
}
