package rig

import (
	"fmt"
	"strings"
	"time"

	"rollcall/automation"
)

// The workflows of the test. All of them let a user in every time a trigger says so, and have their
// steps in one line, so that what an enrollment has to leave behind is known.
const (
	Orders  = "orders"  // an event: counts, calls, waits a second, calls and counts
	Gold    = "gold"    // an edge of a filter: counts and calls
	Tickets = "tickets" // an event: calls, waits for another one, calls with what came
	Members = "members" // an event: calls and waits an hour; a property takes out
)

// Step is one step of a program.
type Step struct {
	ID   string
	Kind string        // as in visits
	Adds string        // the property that it counts up, where it does
	For  time.Duration // of a delay, or at most of a wait
}

// Program is a workflow as the judge knows it.
type Program struct {
	Name     string
	Event    string // that enrolls; "" where the property does
	Property string // that enrolls, or with an event: that takes out
	Value    any    // when it has this value
	Awaits   string // event of its wait
	Ends     bool   // nobody stays in it
	Steps    []Step
}

const (
	increment = "set_property"
	webhook   = "send_webhook"
	delay     = "delay"
	waitFor   = "wait_for"
)

// Programs lists the workflows of the test.
func Programs() []Program {
	return []Program{
		{Name: Orders, Event: "order_placed", Ends: true, Steps: []Step{
			{ID: "count", Kind: increment, Adds: "orders_begun"},
			{ID: "first", Kind: webhook},
			{ID: "pause", Kind: delay, For: time.Second},
			{ID: "second", Kind: webhook},
			{ID: "count_again", Kind: increment, Adds: "orders_done"},
		}},
		{Name: Gold, Property: "tier", Value: "gold", Ends: true, Steps: []Step{
			{ID: "count", Kind: increment, Adds: "golds"},
			{ID: "greet", Kind: webhook},
		}},
		{Name: Tickets, Event: "ticket_opened", Awaits: "ticket_closed", Ends: true, Steps: []Step{
			{ID: "open", Kind: webhook},
			{ID: "reply", Kind: waitFor, For: 2 * time.Second},
			{ID: "after", Kind: webhook},
		}},
		{Name: Members, Event: "joined", Property: "away", Value: true, Steps: []Step{
			{ID: "hello", Kind: webhook},
			{ID: "stay", Kind: delay, For: time.Hour},
			{ID: "bye", Kind: webhook},
		}},
	}
}

// Counters lists the properties that programs count up.
func Counters() []string {
	var names []string
	for _, p := range Programs() {
		for _, s := range p.Steps {
			if s.Adds != "" {
				names = append(names, s.Adds)
			}
		}
	}
	return names
}

// Document is a program as it is published. The number stands in the paths that it calls, and nothing
// else differs between versions.
func (p *Program) Document(receiver string, number int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nenroll: { again: every_trigger }\ntriggers:\n", p.Name)
	condition := fmt.Sprintf("{ property: %s, op: equals, value: %v }", p.Property, p.Value)
	if p.Event == "" {
		fmt.Fprintf(&b, "  - filter: %s\n", condition)
	} else {
		fmt.Fprintf(&b, "  - event: %s\n", p.Event)
		if p.Property != "" {
			fmt.Fprintf(&b, "unenroll:\n  when: %s\n", condition)
		}
	}
	b.WriteString("steps:\n")
	for _, s := range p.Steps {
		switch s.Kind {
		case increment:
			fmt.Fprintf(&b, "  - { id: %s, action: set_property, with: { property: %s, increment: 1 } }\n", s.ID, s.Adds)
		case delay:
			fmt.Fprintf(&b, "  - { id: %s, delay: %s }\n", s.ID, short(s.For))
		case waitFor:
			fmt.Fprintf(&b, "  - { id: %s, wait_for: { event: %s, at_most: %s } }\n", s.ID, p.Awaits, short(s.For))
		case webhook:
			path := HookPath(p.Name, number, s.ID)
			if s.ID == "after" {
				path += "/{{ steps.reply.outcome }}"
			}
			fmt.Fprintf(&b, "  - { id: %s, action: send_webhook, with: { url: \"http://%s%s\", body: {} } }\n", s.ID, receiver, path)
		}
	}
	return b.String()
}

// HookPath is where a step of a version calls, without what is appended to it.
func HookPath(definition string, version int, step string) string {
	return fmt.Sprintf("/%s/v%d/%s", definition, version, step)
}

func short(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

func workflowID(e *Enrollment) string {
	return automation.TemporalWorkflowID(e.Definition, e.User, e.Ordinal)
}
