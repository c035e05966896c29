// Command rollcall-bench measures Rollcall beside a program that is written by hand against
// Temporal and does the same: an event arrives, a condition is asked of its user, a property is
// set, a webhook is sent, a second passes, another webhook is sent. Both run in turn on the same
// embedded servers in one process, so what counts is the ratio.
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
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata"

	"rollcall/devstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rollcall-bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	runs, clients, rate, seconds, rounds int
	quick, json, verbose                 bool
	profile, data                        string
	limit                                time.Duration
}

// maxRuns bounds what one phase may be asked to do.
const maxRuns = 50_000

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("rollcall-bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.runs, "runs", 1000, "`number` of events sent as fast as possible, for the rates")
	f.IntVar(&o.clients, "clients", 16, "`number` of clients that send them")
	f.IntVar(&o.rate, "rate", 50, "events per `second` sent steadily, for the times")
	f.IntVar(&o.seconds, "seconds", 20, "for how many `seconds` they are sent")
	f.IntVar(&o.rounds, "rounds", 2, "how many `times` each side has its turn")
	f.BoolVar(&o.quick, "quick", false, "one round of 300 events and 5 s, where not said otherwise: about a minute")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	f.StringVar(&o.profile, "profile", "", "`folder` that gets a CPU profile of each burst")
	f.BoolVar(&o.verbose, "verbose", false, "write the warnings of the servers to stderr")
	f.StringVar(&o.data, "data", "", "`folder` for PostgreSQL; none: a temporary one")
	f.DurationVar(&o.limit, "limit", 20*time.Minute, "`time` after which the measurement is given up")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.quick {
		said := map[string]bool{}
		f.Visit(func(set *flag.Flag) { said[set.Name] = true })
		for name, to := range map[string]struct {
			value *int
			quick int
		}{"runs": {&o.runs, 300}, "seconds": {&o.seconds, 5}, "rounds": {&o.rounds, 1}} {
			if !said[name] {
				*to.value = to.quick
			}
		}
	}
	for name, n := range map[string]int{"runs": o.runs, "clients": o.clients, "rate": o.rate, "seconds": o.seconds, "rounds": o.rounds} {
		if n < 1 || n > maxRuns {
			return o, fmt.Errorf("-%s %d: must be from 1 to %d", name, n, maxRuns)
		}
	}
	if o.rate*o.seconds > maxRuns {
		return o, fmt.Errorf("-rate %d for -seconds %d: more than %d events", o.rate, o.seconds, maxRuns)
	}
	return o, nil
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, errors.New("the measurement takes longer than -limit"))
	defer cancel()
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return err
		}
	}
	fmt.Fprintln(stderr, "starting PostgreSQL and Temporal …")
	log := slog.New(slog.DiscardHandler)
	if o.verbose {
		log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	m, err := startMachine(ctx, devstack.Config{Dir: o.data, DatabaseURL: getenv("DATABASE_URL"), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	b := &bench{options: o, machine: m, stderr: stderr, began: time.Now()}
	if b.meter, err = newMeter(ctx, m.stack.DatabaseURL); err != nil {
		return err
	}
	defer b.meter.close()
	rounds, err := b.all(ctx)
	if err != nil {
		return err
	}
	r := newReport(o, rounds)
	if o.json {
		return r.writeJSON(stdout)
	}
	return r.write(stdout)
}

// bench is the measurement under way.
type bench struct {
	options
	*machine
	meter  *meter
	stderr io.Writer
	began  time.Time
}

// all gives both sides their turns: the first begins every odd round and ends every even one, so
// that neither always finds the fuller database.
func (b *bench) all(ctx context.Context) ([]round, error) {
	ours, theirs := &product{machine: b.machine}, &handwritten{machine: b.machine}
	var rounds []round
	for i := range b.rounds {
		order := []side{ours, theirs}
		if i%2 == 1 {
			order = []side{theirs, ours}
		}
		for _, s := range order {
			turn, err := b.turn(ctx, s, i+1)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name(), i+1, err)
			}
			rounds = append(rounds, turn)
		}
	}
	return rounds, nil
}

// turn measures one side once.
func (b *bench) turn(ctx context.Context, s side, number int) (turn round, err error) {
	turn.Side = s.name()
	if err := s.open(ctx); err != nil {
		return turn, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	// A name that no earlier run on the same data has used.
	name := func(phase string) string { return fmt.Sprintf("%s%d-%x", phase, number, b.began.Unix()) }

	warm := newPhase(name("w"), min(50, b.runs))
	if err := b.phase(ctx, s, warm, "warm-up", func() error { return burst(ctx, s, warm, b.clients) }); err != nil {
		return turn, err
	}
	fast := newPhase(name("b"), b.runs)
	var before, after usage
	err = b.phase(ctx, s, fast, "burst", func() (err error) {
		stop, err := b.startProfile(s, number)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		if before, err = b.meter.read(ctx); err != nil {
			return err
		}
		if err := burst(ctx, s, fast, b.clients); err != nil {
			return err
		}
		after, err = b.meter.read(ctx)
		return err
	})
	if err != nil {
		return turn, err
	}
	steady := newPhase(name("s"), b.rate*b.seconds)
	err = b.phase(ctx, s, steady, "stream", func() error { return stream(ctx, s, steady, b.rate) })
	if err != nil {
		return turn, err
	}
	fast.rates(&turn.Figures)
	steady.latencies(&turn.Figures)
	turn.Costs = after.since(before, b.runs)
	fmt.Fprintf(b.stderr, "%s  %s %d: %.0f accepted/s, %.0f started/s, %.0f completed/s; first webhook p50 %.0f ms, lateness p50 %.0f ms\n",
		b.clock(), s.name(), number, turn.Figures.Accepted, turn.Figures.Started, turn.Figures.Completed,
		turn.Figures.LatencyP50, turn.Figures.LateP50)
	return turn, nil
}

// phase adds the users of a phase, measures it and verifies what it left behind.
func (b *bench) phase(ctx context.Context, s side, p *phase, what string, measure func() error) error {
	b.sink.expect(p)
	if err := s.addUsers(ctx, p.users()); err != nil {
		return fmt.Errorf("add users: %w", err)
	}
	runtime.GC()
	quit := make(chan struct{})
	defer close(quit)
	go b.tell(quit, s.name()+", "+what, p)
	since := time.Now()
	if err := measure(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := verifyPassages(p); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := s.verify(ctx, p.users(), since); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// tell writes a line of progress every few seconds.
func (b *bench) tell(quit <-chan struct{}, what string, p *phase) {
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-quit:
			return
		case <-ticker.C:
			fmt.Fprintf(b.stderr, "%s  %s: %s\n", b.clock(), what, p.progress())
		}
	}
}

func (b *bench) clock() string {
	d := time.Since(b.began).Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// startProfile begins the CPU profile of a burst. Its samples are labelled by part: the server of
// Temporal, the side, the clients, the sink.
func (b *bench) startProfile(s side, number int) (stop func() error, err error) {
	if b.profile == "" {
		return func() error { return nil }, nil
	}
	name := fmt.Sprintf("%s-%d.pprof", strings.ReplaceAll(s.name(), "-", ""), number)
	f, err := os.Create(filepath.Join(b.profile, name))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
