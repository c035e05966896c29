// Package postgres holds all SQL of Rollcall: one file per table, migrations embedded, and
// transactions named for what they mean.
//
// Floor 1. It knows the domain (automation, filter) and nothing of Temporal or HTTP. Errors that
// leave it are those of automation; nobody above sees an error of the driver.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"rollcall/automation"
)

// DB is Rollcall's database. It is safe for concurrent use.
type DB struct {
	pool  *pgxpool.Pool
	steps *pgxpool.Pool // of the steps of enrollments: neither do many of them keep the API waiting, nor its long questions them
	now   func() time.Time
	cache versionCache
	settings
}

// Config is what Open needs.
type Config struct {
	URL      string
	MaxConns int32              // at least 2; 0: 20
	Now      func() time.Time   // the clock of recorded times; nil: time.Now
	Catalog  automation.Catalog // the kinds of actions that versions are compiled with
	TimeZone string             // where definitions read local times that do not say it; "": UTC
	Country  string             // whose holidays are no business days where definitions do not say it; "": none

	// Holidays finds the days on which a country does not work; nil: nowhere.
	Holidays func(country string) (func(day time.Time) bool, bool)
}

// Open connects to a migrated database. It returns ErrUnavailable when the database does not
// answer and ErrConflict, naming the command to run, when its schema is older than this binary.
func Open(ctx context.Context, c Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", automation.ErrInvalid)
	}
	pc.ConnConfig.ConnectTimeout = 3 * time.Second
	for name, value := range map[string]string{
		"application_name":                    "rollcall",
		"timezone":                            "UTC",
		"synchronous_commit":                  "on",
		"jit":                                 "off",
		"statement_timeout":                   "15s",
		"lock_timeout":                        "5s",
		"idle_in_transaction_session_timeout": "30s",
	} {
		if _, set := pc.ConnConfig.RuntimeParams[name]; !set {
			pc.ConnConfig.RuntimeParams[name] = value
		}
	}
	pc.AfterConnect = func(_ context.Context, c *pgx.Conn) error { // times are UTC, wherever the process runs
		c.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
		return nil
	}
	most := cmp.Or(c.MaxConns, 20)
	pc.MaxConns = max(1, most/2)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, translate(err)
	}
	// Their statements are few, find rows by keys, and are the same all the time: one plan is as good as
	// another, and to make one takes longer than to carry it out.
	pc = pc.Copy()
	pc.MaxConns = max(1, most-most/2)
	pc.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	steps, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		pool.Close()
		return nil, translate(err)
	}
	db := &DB{pool: pool, steps: steps, now: c.Now, settings: c.settings(), cache: versionCache{byKey: map[versionKey]*Published{}, live: map[int64]*LiveSet{}, schemas: map[int64]automation.Properties{}}}
	if db.now == nil {
		db.now = time.Now
	}
	if err := db.checkSchema(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// Close ends all connections after the transactions that use them.
func (db *DB) Close() {
	db.pool.Close()
	db.steps.Close()
}

// Ping answers nil when the database answers.
func (db *DB) Ping(ctx context.Context) error { return translate(db.pool.Ping(ctx)) }

// clock is the recorded time, in the resolution of the database.
func (db *DB) clock() time.Time { return db.now().UTC().Truncate(time.Microsecond) }

// tx runs f in one transaction and retries it when PostgreSQL asks for that.
func (db *DB) tx(ctx context.Context, f func(tx pgx.Tx) error) error {
	return inTx(ctx, db.pool, f)
}

func inTx(ctx context.Context, pool *pgxpool.Pool, f func(tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, pool, f)
		if attempt == 3 || !isRetryable(err) {
			return translate(err)
		}
	}
}

func isRetryable(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "40001" || pgErr.Code == "40P01")
}

// translate turns errors of the driver into those of the domain; others pass.
func translate(err error) error {
	if err == nil || errors.Is(err, automation.ErrUnavailable) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return automation.ErrNotFound
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return translateCode(pgErr, err)
	}
	if isConnection(err) {
		return fmt.Errorf("database: %w", automation.ErrUnavailable)
	}
	return err
}

// isConnection reports whether the way to the database broke, or could not be had in time.
func isConnection(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return connecting || network || pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "conn closed") ||
		strings.Contains(err.Error(), "closed pool")
}

func translateCode(pgErr *pgconn.PgError, err error) error {
	switch {
	case pgErr.ConstraintName == "enrollments_one_live":
		return automation.ErrAlreadyEnrolled
	case isAtFault(pgErr):
		return fmt.Errorf("database: %w (%w)", automation.ErrUnavailable, pgErr)
	case pgErr.Code == "55P03", pgErr.Code == "57014", isRetryable(pgErr):
		return fmt.Errorf("database is busy: %w (%w)", automation.ErrUnavailable, pgErr)
	}
	return err
}

// isAtFault reports whether PostgreSQL, or the machine that it runs on, fails for now, whatever it is asked:
// it ends the connection, cannot be written to, has no room, or cannot use its files. That it does not let
// the role in, or has no such database, is not for now.
func isAtFault(e *pgconn.PgError) bool {
	for _, class := range []string{"08", "53", "57P", "58", "25006"} {
		if strings.HasPrefix(e.Code, class) {
			return true
		}
	}
	ends := e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC"
	return ends && !strings.HasPrefix(e.Code, "28") && !strings.HasPrefix(e.Code, "3D")
}

// collect reads all rows of a query into structs by column name.
func collect[T any](ctx context.Context, q querier, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if list == nil {
		list = []T{}
	}
	return list, translate(err)
}

// one reads exactly one row of a query; ErrNotFound when there is none.
func one[T any](ctx context.Context, q querier, sql string, args ...any) (T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		var zero T
		return zero, translate(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	return v, translate(err)
}

// collectScalars reads all rows of a query of one column.
func collectScalars[T any](ctx context.Context, q querier, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	return list, translate(err)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

type versionCache struct {
	sync.Mutex
	byKey   map[versionKey]*Published
	live    map[int64]*LiveSet              // by epoch
	schemas map[int64]automation.Properties // of the newest epoch
}
