package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"rollcall/devstack/postgresql"
	"rollcall/postgres"
)

// prefix begins the name of every database made here.
const prefix = "rollcall_test_"

// server is where the databases are made: our own, or one that was given.
type server struct {
	own      *postgresql.Server // nil when given
	address  string             // of its maintenance database
	template string             // the migrated database that the others are cloned from

	clones session // one at a time, so that they do not meet on the template
	drops  session // beside them, since a drop waits for the connections that it breaks
}

// newServer starts a server, or takes the given one, and migrates the template.
func newServer(ctx context.Context, given string) (*server, error) {
	s := &server{address: given, template: prefix + random() + "_template"}
	if given == "" {
		own, err := postgresql.Start(ctx, postgresql.Config{Fast: true})
		if err != nil {
			return nil, err
		}
		s.own, s.address = own, own.URL("postgres")
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *server) prepare(ctx context.Context) error {
	if err := s.clones.run(ctx, s.address, "create database "+s.template); err != nil {
		return err
	}
	template, err := s.url(s.template)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, template); err != nil {
		return fmt.Errorf("migrate the template: %w", err)
	}
	return s.clones.run(ctx, s.address, "alter database "+s.template+" allow_connections false")
}

// clone makes a copy of the template and returns its URL.
func (s *server) clone(ctx context.Context, name string) (string, error) {
	if err := s.clones.run(ctx, s.address, "create database "+name+" template "+s.template); err != nil {
		return "", err
	}
	return s.url(name)
}

// drop removes a database, whoever is still connected to it.
func (s *server) drop(ctx context.Context, name string) error {
	return s.drops.run(ctx, s.address, "drop database if exists "+name+" with (force)")
}

// stop ends our own server with all it holds, and leaves a given one as it was found.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var err error
	if s.own == nil {
		err = s.drop(ctx, s.template)
	}
	err = errors.Join(err, s.clones.close(ctx), s.drops.close(ctx))
	if s.own != nil {
		err = errors.Join(err, s.own.Stop())
	}
	return err
}

// url is the server's address with another database in it.
func (s *server) url(database string) (string, error) {
	address, err := url.Parse(s.address)
	if err != nil {
		return "", errors.New("the server's address is not a URL") // the error of the parser shows the password
	}
	address.Path = "/" + database
	return address.String(), nil
}

// session is a connection to the maintenance database, opened when it is first needed.
type session struct {
	mu   sync.Mutex
	conn *pgx.Conn
}

func (s *session) run(ctx context.Context, address, statement string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.conn.IsClosed() {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	if _, err := s.conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func (s *session) close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	return s.conn.Close(ctx)
}

func random() string { return strings.ToLower(rand.Text()[:10]) }
