package rig

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/automation"
)

// The workflows that every run has. All of them let a user in every time a trigger says so.
const (
	Orders  = "orders"  // an event: counts, calls, waits a second, calls and counts; publications take along who is in it
	Gold    = "gold"    // an edge of a filter: counts and calls
	Tickets = "tickets" // an event: calls, waits for another one, calls with what came
	Members = "members" // an event: calls and waits an hour; a property takes out; publications take along, too
	Errands = "errands" // requests, and steps of others: calls
	Rounds  = "rounds"  // a schedule: calls
)

// The kinds of steps, as in visits.
const (
	increment = "set_property"
	webhook   = "send_webhook"
	format    = "format"
	enroll    = "enroll"
	delay     = "delay"
	waitFor   = "wait_for"
	branch    = "branch"
	split     = "split"
	jump      = "goto"
	exit      = "exit"
)

// Step is one step of a program.
type Step struct {
	ID     string
	Kind   string
	Adds   string        // the property that it counts up, where it does
	For    time.Duration // of a delay, or at most of a wait
	Awaits string        // the event of a wait
	Tells  string        // of a call: the output of an earlier step that stands at the end of its path
	Fails  bool          // of a call: it is refused for good, and Rescue follows
	Rescue []Step        //
	Into   string        // the workflow that it enrolls in
	If     Question      // of a branch
	Arms   [][]Step      // of a branch: where it holds, and where not; of a split: its parts
	To     string        // of a goto
	AtMost int           //
}

// Question is what a branch asks: whether a number is large enough, or a wait heard its event.
type Question struct {
	Event   bool   // the number in the event that enrolled
	Counter string // the number in a property that only the program itself counts up
	Least   int
	Wait    string // the step that heard its event
}

// Program is a workflow as the judge knows it.
type Program struct {
	Name     string
	Event    string   // that enrolls
	Property string   // that enrolls, or with an event: that takes out
	Value    any      // when it has this value
	Minutes  []int    // of the day, UTC: when its schedule fires
	Ends     bool     // nobody stays in it
	Migrates bool     // publications take along who is in it
	Crew     string   // of a schedule: the property that says who is enrolled
	versions [][]Step // in turns, from version 1
}

// Steps are those of a version.
func (p *Program) Steps(version int) []Step { return p.versions[(version-1)%len(p.versions)] }

// Fixed lists the workflows that every run has, without the schedule.
func Fixed() []*Program {
	return []*Program{
		{Name: Orders, Event: "order_placed", Ends: true, Migrates: true, versions: [][]Step{{
			{ID: "count", Kind: increment, Adds: "orders_begun"},
			{ID: "first", Kind: webhook},
			{ID: "pause", Kind: delay, For: time.Second},
			{ID: "second", Kind: webhook},
			{ID: "count_again", Kind: increment, Adds: "orders_done"},
		}}},
		{Name: Gold, Property: "tier", Value: "gold", Ends: true, versions: [][]Step{{
			{ID: "count", Kind: increment, Adds: "golds"},
			{ID: "greet", Kind: webhook},
		}}},
		{Name: Tickets, Event: "ticket_opened", Ends: true, versions: [][]Step{{
			{ID: "open", Kind: webhook},
			{ID: "reply", Kind: waitFor, Awaits: "ticket_closed", For: 2 * time.Second},
			{ID: "after", Kind: webhook, Tells: "reply.outcome"},
		}}},
		{Name: Members, Event: "joined", Property: "away", Value: true, Migrates: true, versions: [][]Step{{
			{ID: "hello", Kind: webhook},
			{ID: "stay", Kind: delay, For: time.Hour},
			{ID: "bye", Kind: webhook},
		}}},
		{Name: Errands, Ends: true, versions: [][]Step{{{ID: "run", Kind: webhook}}}},
	}
}

// NewRounds is the workflow with a schedule, which fires at minutes of the day.
func NewRounds(minutes []int) *Program {
	return &Program{Name: Rounds, Minutes: minutes, Crew: "crew", Ends: true, versions: [][]Step{{{ID: "call", Kind: webhook}}}}
}

// Counters lists the properties that programs count up, or ask for as if they did.
func Counters(programs []*Program) []string {
	var names []string
	for _, p := range programs {
		for _, steps := range p.versions {
			for _, n := range link(steps).nodes {
				for _, name := range []string{n.Adds, n.If.Counter} {
					if name != "" && !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}

// HookPath is where a step of a version calls, without what is appended to it.
func HookPath(definition string, version int, step string) string {
	return fmt.Sprintf("/%s/v%d/%s", definition, version, step)
}

// RefusedPath stands in the paths of calls that the receiver refuses for good.
const RefusedPath = "refused"

// suffix is what is appended to the path that a call goes to.
func (s *Step) suffix() string {
	switch {
	case s.Fails:
		return "/" + RefusedPath
	case s.Tells != "":
		return "/{{ steps." + s.Tells + " }}"
	}
	return ""
}

// Document is a version of a program as it is published. The number stands in the paths that it calls.
func (p *Program) Document(receiver string, number int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nenroll: { again: every_trigger }\ntriggers:\n", p.Name)
	condition := fmt.Sprintf("{ property: %s, op: equals, value: %v }", p.Property, p.Value)
	switch {
	case p.Event != "":
		fmt.Fprintf(&b, "  - event: %s\n", p.Event)
		if p.Property != "" {
			fmt.Fprintf(&b, "unenroll:\n  when: %s\n", condition)
		}
	case p.Property != "":
		fmt.Fprintf(&b, "  - filter: %s\n", condition)
	case p.Minutes != nil:
		for _, m := range p.Minutes {
			fmt.Fprintf(&b, "  - { schedule: { every: day, at: \"%02d:%02d\" }, where: { property: %s, op: equals, value: true } }\n", m/60, m%60, p.Crew)
		}
	default:
		b.WriteString("  - manual: true\n")
	}
	b.WriteString("steps: [\n")
	w := writer{&b, p.Name, number, receiver}
	w.steps(p.Steps(number))
	b.WriteString("]\n")
	return b.String()
}

// writer writes steps of a version as YAML.
type writer struct {
	*strings.Builder
	name     string
	number   int
	receiver string
}

func (w writer) steps(steps []Step) {
	for i := range steps {
		w.step(&steps[i])
	}
}

func (w writer) step(s *Step) {
	fmt.Fprintf(w, "{ id: %s, ", s.ID)
	switch s.Kind {
	case increment:
		fmt.Fprintf(w, "action: set_property, with: { property: %s, increment: 1 }", s.Adds)
	case webhook:
		fmt.Fprintf(w, "action: send_webhook, with: { url: \"http://%s%s%s\", body: {} }", w.receiver, HookPath(w.name, w.number, s.ID), s.suffix())
	case format:
		w.WriteString(`action: format, with: { outputs: { tag: "{{ event.n }}-{{ user.id }}" } }`)
	case enroll:
		fmt.Fprintf(w, "action: enroll, with: { workflow: %s }", s.Into)
	case delay:
		fmt.Fprintf(w, "delay: %s", short(s.For))
	case waitFor:
		fmt.Fprintf(w, "wait_for: { event: %s, at_most: %s }", s.Awaits, short(s.For))
	case branch:
		fmt.Fprintf(w, "branch: [{ if: %s, steps: [", s.If)
		w.steps(s.Arms[0])
		w.WriteString("] }, { else: true, steps: [")
		w.steps(s.Arms[1])
		w.WriteString("] }]")
	case split:
		w.WriteString("split: [")
		for _, arm := range s.Arms {
			w.WriteString("{ weight: 1, steps: [")
			w.steps(arm)
			w.WriteString("] }, ")
		}
		w.WriteString("]")
	case jump:
		fmt.Fprintf(w, "goto: %s, at_most: %d", s.To, s.AtMost)
	case exit:
		w.WriteString("exit: { reason: enough }")
	}
	if s.Rescue != nil {
		w.WriteString(", on_error: [")
		w.steps(s.Rescue)
		w.WriteString("]")
	}
	w.WriteString(" },\n")
}

func (q Question) String() string {
	switch {
	case q.Event:
		return fmt.Sprintf("{ event_property: n, op: at_least, value: %d }", q.Least)
	case q.Counter != "":
		return fmt.Sprintf("{ property: %s, op: at_least, value: %d }", q.Counter, q.Least)
	default:
		return fmt.Sprintf("{ step: %s, op: equals, value: %s }", q.Wait, automation.OutcomeHappened)
	}
}

func short(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
