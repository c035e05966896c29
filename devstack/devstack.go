// Package devstack starts what Rollcall needs around it, for rollcall-dev and for tests: PostgreSQL
// (package postgresql) and on it Temporal with its Web UI (package temporald). State lives in one
// folder and survives restarts and kills. It does not know Rollcall: the command migrates the
// database and runs the service.
//
// Floor 2. Importing it links the whole Temporal server; a test that needs only a database uses
// postgres/pgtest.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"rollcall/devstack/postgresql"
	"rollcall/devstack/temporald"
)

// Config says where the stack keeps its state and where it answers. Addresses are host:port on the
// loopback interface, and port 0 is any free one.
type Config struct {
	Dir           string       // folder of the data; "" = temporary, gone at Stop; unused with DatabaseURL
	DatabaseURL   string       // a PostgreSQL server to use, with Rollcall's database; "" = embedded
	TemporalAddr  string       // "" = any free port
	UIAddr        string       // of Temporal's Web UI; "" = none
	CodecEndpoint string       // URL of a codec server for the Web UI; "" = none
	Fast          bool         // for tests: the embedded PostgreSQL does not wait for the disk
	Log           *slog.Logger // nil = silent
}

// Stack is a running PostgreSQL and Temporal.
type Stack struct {
	DatabaseURL  string // of Rollcall's own database, which may be empty of tables
	TemporalAddr string // where clients and workers connect, namespace "default"
	UIAddr       string // "" = no Web UI

	database *postgresql.Server // nil when it was given
	temporal *temporald.Server
}

// Start returns a stack that takes work. On a PostgreSQL server that was given it makes the databases
// temporal and temporal_visibility, for which the role of the URL needs the right to create databases.
// The error is postgresql.ErrNoInstallation when there is no PostgreSQL to be had.
func Start(ctx context.Context, c Config) (*Stack, error) {
	s := &Stack{DatabaseURL: c.DatabaseURL}
	if err := s.start(ctx, c); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, c Config) (err error) {
	server := c.DatabaseURL
	if server == "" {
		s.database, err = postgresql.Start(ctx, postgresql.Config{Dir: c.Dir, Fast: c.Fast, Log: c.Log})
		if err != nil {
			return fmt.Errorf("embedded PostgreSQL: %w", err)
		}
		if err := s.database.Create(ctx, "rollcall"); err != nil {
			return fmt.Errorf("embedded PostgreSQL: %w", err)
		}
		s.DatabaseURL, server = s.database.URL("rollcall"), s.database.URL("postgres")
	}
	s.temporal, err = temporald.Start(ctx, temporald.Config{
		PostgresURL:   server,
		FrontendAddr:  c.TemporalAddr,
		UIAddr:        c.UIAddr,
		CodecEndpoint: c.CodecEndpoint,
		Log:           c.Log,
	})
	if err != nil {
		return fmt.Errorf("embedded Temporal: %w", err)
	}
	s.TemporalAddr, s.UIAddr = s.temporal.FrontendAddr(), s.temporal.UIAddr()
	return nil
}

// Stop ends what Start started, Temporal first. Disconnect workers and clients before.
func (s *Stack) Stop() error {
	if s.temporal != nil {
		s.temporal.Stop()
	}
	if s.database == nil {
		return nil
	}
	return s.database.Stop()
}
