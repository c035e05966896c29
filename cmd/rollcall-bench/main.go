// Command rollcall-bench measures Rollcall on the servers of one machine, which it starts itself or
// is given. The first measurement runs a workflow beside programs that are written by hand against
// Temporal and do the same, in turn on the same servers: the ratio is the figure. The others measure
// what no program written by hand has: see the table of measurements.
//
// Each measurement has a database and a Temporal namespace of its own, goes through the whole
// service, verifies what it measured, and ends with an error where something was lost, repeated or
// early.
//
// Floor 5.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rollcall-bench:", err)
		os.Exit(1)
	}
}

// start runs the command, or the part of it that this process is a child for.
func start(ctx context.Context) error {
	if part := os.Getenv(partVariable); part != "" {
		return runPart(ctx, part, os.Stdin, os.Stdout)
	}
	return run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
}

// measurement is one of the things that can be measured.
type measurement struct {
	name    string
	about   string
	takes   string // how long, on two cores that have nothing else to do
	usual   bool   // is measured where nothing else is asked for
	measure func(ctx context.Context, b *bench) (result, error)
}

// result is what a measurement came to.
type result interface {
	// enter puts the result in its place in the report.
	enter(r *report)
	// write prints the table that people read.
	write(w io.Writer) error
}

// measurements lists what can be measured, in the order in which it is. Sleepers are the last: they
// leave Temporal with a long list of timers.
func measurements() []measurement {
	return []measurement{
		{"onboard", "a workflow beside the same written by hand: rates, times, costs", "6 min", true, measureOnboarding},
		{"ingest", "events accepted with 100 live workflows, one by one and in batches", "1 min", true, measureIngest},
		{"overload", "more events than can be accepted", "1 min", false, measureOverload},
		{"history", "what a step of each kind adds to Temporal's history", "2 min", true, measureHistory},
		{"changes", "one change against 1,000 live workflows", "2 min", false, measureChanges},
		{"firing", "preview and firing of a schedule over 100,000 users", "4 min", false, measureFiring},
		{"sleepers", "memory and timers with many enrollments asleep", "10 min", false, measureSleepers},
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return err
		}
	}
	log := slog.New(slog.DiscardHandler)
	if o.verbose {
		log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	b := &bench{options: o, stderr: stderr, began: time.Now()}
	b.say("starting PostgreSQL and Temporal …")
	b.machine, err = startMachine(ctx, machineConfig{
		databaseURL: getenv("DATABASE_URL"), temporalGiven: getenv("TEMPORAL_ADDRESS") != "", folder: o.data, log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	r, err := b.all(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return r.writeJSON(stdout)
	}
	return r.write(stdout)
}

// bench is the work under way.
type bench struct {
	options
	*machine
	stderr io.Writer
	began  time.Time
}

// all takes the measurements that are asked for.
func (b *bench) all(ctx context.Context) (*report, error) {
	r := &report{}
	for _, m := range b.chosen {
		b.say("%s: %s", m.name, m.about)
		of, err := b.one(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		r.results = append(r.results, of)
		of.enter(r)
	}
	return r, nil
}

func (b *bench) one(ctx context.Context, m measurement) (result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.limit, errors.New("the measurement takes longer than -limit"))
	defer cancel()
	return m.measure(ctx, b)
}

// say writes a line of progress.
func (b *bench) say(format string, args ...any) {
	d := time.Since(b.began).Round(time.Second)
	fmt.Fprintf(b.stderr, "%d:%02d  %s\n", int(d.Minutes()), int(d.Seconds())%60, fmt.Sprintf(format, args...))
}

// tell writes a line of progress every few seconds, until it is told to stop.
func (b *bench) tell(what string, progress func() string) (stop func()) {
	quit := make(chan struct{})
	go func() {
		ticker := time.NewTicker(tellEvery)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				b.say("%s: %s", what, progress())
			}
		}
	}()
	return func() { close(quit) }
}
