package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	chosen               []measurement
	json, verbose, quick bool
	profile, data        string
	limit                time.Duration

	runs, clients, rate, seconds, rounds int // of onboard

	events               int // of ingest and overload
	over                 int // of overload
	definitions, changes int // of changes
	users, starts        int // of firing
	sleepers, together   int // of sleepers
}

// maxCount bounds what one measurement may be asked to do.
const maxCount = 200_000

// number is a flag that says how many.
type number struct {
	name  string
	value *int
	usual int
	quick int // with -quick, where it is not said; 0: as ever
	usage string
}

func (o *options) numbers() []number {
	return []number{
		{"runs", &o.runs, 1000, 200, "onboard: `number` of events sent as fast as possible, for the rates"},
		{"clients", &o.clients, 16, 0, "onboard: `number` of clients that send them"},
		{"rate", &o.rate, 50, 0, "onboard: `events` per second sent steadily, for the times"},
		{"seconds", &o.seconds, 20, 3, "onboard, ingest, overload: for how many `seconds` they are sent"},
		{"rounds", &o.rounds, 2, 1, "onboard: how many `times` each side has its turn"},
		{"events", &o.events, 5000, 0, "ingest, overload: `number` of events that as many clients send one by one"},
		{"over", &o.over, 2, 0, "overload: how many `times` more events are sent than can be accepted"},
		{"definitions", &o.definitions, 1000, 0, "changes: `number` of live workflows that a change concerns"},
		{"changes", &o.changes, 200, 0, "changes: `number` of changes"},
		{"users", &o.users, 100_000, 0, "firing: `number` of users, of whom one in ten is concerned"},
		{"starts", &o.starts, 2000, 0, "firing: `number` of bare starts in Temporal to compare with"},
		{"sleepers", &o.sleepers, 50_000, 0, "sleepers: `number` of enrollments that sleep"},
		{"together", &o.together, 1000, 0, "sleepers: `number` of enrollments that come due in one second"},
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("rollcall-bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { printUsage(f) }
	only := f.String("only", "", "`names` of what is measured, separated by commas")
	all := f.Bool("all", false, "measure everything")
	f.BoolVar(&o.quick, "quick", false, "onboard alone, one round of few events where not said otherwise: about a minute")
	f.BoolVar(&o.json, "json", false, "print JSON instead of tables")
	f.StringVar(&o.profile, "profile", "", "`folder` that gets a CPU profile of each burst of onboard")
	f.BoolVar(&o.verbose, "verbose", false, "write the warnings of the servers to stderr")
	f.StringVar(&o.data, "data", "", "`folder` for PostgreSQL; none: a temporary one")
	f.DurationVar(&o.limit, "limit", 30*time.Minute, "`time` after which one measurement is given up")
	for _, n := range o.numbers() {
		f.IntVar(n.value, n.name, n.usual, n.usage)
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.quick {
		o.hurry(f)
	}
	var err error
	if o.chosen, err = choose(*only, *all, o.quick); err != nil {
		return o, err
	}
	return o, o.check()
}

// hurry lowers the numbers that are not said.
func (o *options) hurry(f *flag.FlagSet) {
	said := map[string]bool{}
	f.Visit(func(set *flag.Flag) { said[set.Name] = true })
	for _, n := range o.numbers() {
		if n.quick > 0 && !said[n.name] {
			*n.value = n.quick
		}
	}
}

func (o *options) check() error {
	for _, n := range o.numbers() {
		if *n.value < 1 || *n.value > maxCount {
			return fmt.Errorf("-%s %d: must be from 1 to %d", n.name, *n.value, maxCount)
		}
	}
	if o.rate*o.seconds > maxCount {
		return fmt.Errorf("-rate %d for -seconds %d: more than %d events", o.rate, o.seconds, maxCount)
	}
	return nil
}

// choose returns the measurements of these names.
func choose(only string, all, quick bool) ([]measurement, error) {
	wanted := map[string]bool{}
	for _, name := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' || r == ' ' }) {
		wanted[name] = true
	}
	usual := len(wanted) == 0
	var chosen []measurement
	for _, m := range measurements() {
		if all || wanted[m.name] || usual && m.usual && (!quick || m.name == "onboard") {
			chosen = append(chosen, m)
		}
		delete(wanted, m.name)
	}
	for name := range wanted {
		return nil, fmt.Errorf("-only %s: there is no such measurement", name)
	}
	return chosen, nil
}

// printUsage says what can be measured, and how long that takes.
func printUsage(f *flag.FlagSet) {
	w := f.Output()
	fmt.Fprint(w, "rollcall-bench measures Rollcall on this machine.\n\nMeasurements for -only (* where nothing is said):\n")
	for _, m := range measurements() {
		mark := ' '
		if m.usual {
			mark = '*'
		}
		fmt.Fprintf(w, "  %-9s%c %s, about %s\n", m.name, mark, m.about, m.takes)
	}
	fmt.Fprint(w, "\nPostgreSQL is that of DATABASE_URL, whose role must be allowed to create databases, and Temporal that of\n"+
		"TEMPORAL_ADDRESS and the other TEMPORAL_ variables, where namespaces can be made. Without them, both are\nstarted on this machine.\n\nFlags:\n")
	f.PrintDefaults()
}
