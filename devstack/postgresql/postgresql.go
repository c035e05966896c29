// Package postgresql runs a PostgreSQL server that belongs to this process: for rollcall-dev, which
// keeps its data in one folder, and for tests, which throw it away. It finds an installation or
// downloads one, makes the data folder, starts the server on the loopback interface and stops it
// again; it knows nothing of what is stored inside.
//
// Floor 2, without anything of Rollcall below it, and free of the Temporal server, so that a test
// that only needs a database builds in seconds.
package postgresql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// superuser is the server's only role.
const superuser = "rollcall"

// startLimit is how long a server may take until it answers; recovery after a crash is inside it.
const startLimit = 2 * time.Minute

// Config says where a server keeps its data and how careful it is with it.
type Config struct {
	Dir  string       // folder of the data, created; state survives restarts. "" = temporary, removed by Stop
	Port int          // on the loopback interface; 0 = any free one
	Log  *slog.Logger // nil = silent; the server's own log is the file server.log in Dir
	Fast bool         // for tests: no fsync and no autovacuum; a crash of the machine may corrupt the data
}

// Server is a running PostgreSQL server, reachable from this machine only.
type Server struct {
	dir       string
	temporary bool
	fast      bool
	port      int
	password  string
	log       *slog.Logger
	lock      *lock
	process   *process
}

// Start returns a server that accepts connections. It stops an older server of the same folder that
// outlived its parent, and refuses a folder in use by a living process, a folder that the server's
// account cannot reach, and data of another major version than any installation found. The error is
// ErrNoInstallation when there is no PostgreSQL and none could be downloaded.
//
// The server ends with Stop; on Linux it also ends when this process dies by any means.
func Start(ctx context.Context, c Config) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s := &Server{fast: c.Fast, log: c.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	began := time.Now()
	if err := s.start(ctx, c); err != nil {
		return nil, errors.Join(err, s.release())
	}
	s.log.Debug("PostgreSQL started", "dir", s.dir, "port", s.port, "took", time.Since(began))
	return s, nil
}

func (s *Server) start(ctx context.Context, c Config) error {
	run, err := chooseAccount()
	if err != nil {
		return err
	}
	if err := s.folder(c.Dir, run); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	bin, err := findInstallation(ctx, run, majorVersion(data), s.log)
	if err != nil {
		return err
	}
	if s.password, err = initialise(ctx, cluster{bin: bin, dir: s.dir, run: run, fast: s.fast}); err != nil {
		return err
	}
	if err := stopOrphan(ctx, data); err != nil {
		return err
	}
	s.process, s.port, err = launch(ctx, launching{
		bin: bin, dir: s.dir, run: run, port: c.Port, fast: s.fast,
		ready: s.answers,
	})
	return err
}

// folder makes, checks and locks the server's folder.
func (s *Server) folder(dir string, run account) (err error) {
	if s.temporary = dir == ""; s.temporary {
		if s.dir, err = temporaryFolder(s.fast, s.log); err != nil {
			return fmt.Errorf("create a temporary folder: %w", err)
		}
	} else if s.dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("data folder %s: %w", dir, err)
	}
	if err := run.reaches(filepath.Dir(s.dir)); err != nil {
		return fmt.Errorf("data folder %s: %w", s.dir, err)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("create data folder: %w", err)
	}
	// One spelling, so that an older server of this folder is recognised by its command line.
	if s.dir, err = filepath.EvalSymlinks(s.dir); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := run.own(s.dir); err != nil {
		return fmt.Errorf("give data folder to account %s: %w", run.name, err)
	}
	if err := run.reaches(s.dir); err != nil {
		return fmt.Errorf("data folder %s: %w", s.dir, err)
	}
	s.lock, err = takeLock(s.dir)
	return err
}

// Dir returns the folder that holds the server's data and log.
func (s *Server) Dir() string { return s.dir }

// URL returns the address of a database on this server, existing or not, with its password.
func (s *Server) URL(database string) string { return s.url(s.port, database) }

func (s *Server) url(port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// answers asks the server on a port for a connection.
func (s *Server) answers(ctx context.Context, port int) error {
	conn, err := pgx.Connect(ctx, s.url(port, "postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Create makes an empty database where it is missing. Two callers at once are fine.
func (s *Server) Create(ctx context.Context, database string) error {
	return CreateDatabase(ctx, s.URL("postgres"), database)
}

// CreateDatabase makes an empty database where it is missing, on the server that a URL points to.
// The role of the URL must be allowed to create databases, unless the database is there already.
func CreateDatabase(ctx context.Context, server, database string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var there bool
	const ask = `select exists (select from pg_database where datname = $1)`
	if err := conn.QueryRow(ctx, ask, database).Scan(&there); err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	if there {
		return nil
	}
	_, err = conn.Exec(ctx, "create database "+pgx.Identifier{database}.Sanitize())
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "42P04" || refused.Code == "23505") {
		return nil // another caller was first
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	return nil
}

// Stop shuts the server down, disconnecting its clients, and returns when its process is gone. It
// removes a temporary folder. A server that is gone already is no error, so Stop may be called twice.
func (s *Server) Stop() error { return s.release() }

// Kill ends the server as it stands: nobody is disconnected in order and nothing is written out. Its
// folder stays and is free to start on again; what was not flushed is recovered then, or was promised to
// nobody. A server that is gone already is no error.
func (s *Server) Kill() error {
	if s.process != nil {
		if err := s.process.kill(); err != nil {
			return err
		}
		s.process = nil
	}
	s.temporary = false
	return s.release()
}

// release undoes as much as was done, in reverse.
func (s *Server) release() error {
	var err error
	if s.process != nil {
		err = s.process.stop(s.temporary)
		s.process = nil
	}
	if s.temporary && s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	if s.lock != nil {
		s.lock.release()
		s.lock = nil
	}
	return err
}
