package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// usage is what was used up to a moment.
type usage struct {
	process  time.Duration    // processor time of this process: the embedded Temporal, a side, the clients
	backends map[int]backend  // of PostgreSQL, by process
	wal      int64            // bytes of PostgreSQL's log
	commits  map[string]int64 // by database
}

type backend struct {
	database string // "" for those that serve all
	used     time.Duration
}

// costs is what one passage costs, on average over a phase.
type costs struct {
	CPU      float64            `json:"cpu_ms"` // of both
	Process  float64            `json:"process_cpu_ms"`
	Postgres map[string]float64 `json:"postgres_cpu_ms,omitempty"` // by database; only on Linux
	WAL      float64            `json:"wal_kib"`
	Commits  map[string]float64 `json:"commits"` // by database; PostgreSQL counts them a second late
}

// meter reads usages.
type meter struct{ conn *pgx.Conn }

func newMeter(ctx context.Context, databaseURL string) (*meter, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("measure PostgreSQL: %w", err)
	}
	return &meter{conn}, nil
}

func (m *meter) close() { _ = m.conn.Close(context.Background()) }

func (m *meter) read(ctx context.Context) (usage, error) {
	u := usage{backends: map[int]backend{}, commits: map[string]int64{}}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err == nil {
		u.process = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	}
	err := m.conn.QueryRow(ctx, `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`).Scan(&u.wal)
	if err != nil {
		return u, fmt.Errorf("measure PostgreSQL: %w", err)
	}
	rows, err := m.conn.Query(ctx, `select pid, coalesce(datname, '') from pg_stat_activity where pid <> pg_backend_pid()`)
	if err != nil {
		return u, fmt.Errorf("measure PostgreSQL: %w", err)
	}
	var pid int
	var database string
	_, err = pgx.ForEachRow(rows, []any{&pid, &database}, func() error {
		if used, ok := processorTime(pid); ok {
			u.backends[pid] = backend{database, used}
		}
		return nil
	})
	if err != nil {
		return u, fmt.Errorf("measure PostgreSQL: %w", err)
	}
	rows, err = m.conn.Query(ctx, `select datname, xact_commit from pg_stat_database where datname is not null`)
	if err != nil {
		return u, fmt.Errorf("measure PostgreSQL: %w", err)
	}
	var commits int64
	_, err = pgx.ForEachRow(rows, []any{&database, &commits}, func() error {
		u.commits[database] = commits
		return nil
	})
	return u, err
}

// processorTime is what the kernel says of a process of this machine. It knows nothing where there
// is no /proc, or where PostgreSQL is elsewhere.
func processorTime(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(ns), err == nil
}

// since is what one of n passages cost between two moments.
func (u usage) since(before usage, n int) costs {
	each := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(n) }
	c := costs{
		Process: each(u.process - before.process), WAL: float64(u.wal-before.wal) / 1024 / float64(n),
		Postgres: map[string]float64{}, Commits: map[string]float64{},
	}
	for pid, b := range u.backends {
		c.Postgres[purpose(b.database)] += each(b.used - before.backends[pid].used)
	}
	c.CPU = c.Process
	for _, used := range c.Postgres {
		c.CPU += used
	}
	for name, commits := range u.commits {
		if d := commits - before.commits[name]; d > 0 {
			c.Commits[purpose(name)] += float64(d) / float64(n)
		}
	}
	return c
}

// purpose is what a database is for; processes of PostgreSQL that serve all have none.
func purpose(database string) string {
	name, ours := strings.CutPrefix(database, databasePrefix)
	switch {
	case ours:
		return name[strings.LastIndex(name, "_")+1:]
	case strings.HasPrefix(database, "temporal"):
		return "temporal"
	case database == "":
		return "background"
	default:
		return "other"
	}
}
