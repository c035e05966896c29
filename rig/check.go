package rig

import (
	"fmt"
	"time"

	"rollcall/automation"
)

// Check is one invariant and what finds breaches of it.
type Check struct {
	Invariant string // number and name in docs/reliability.md
	breaches  func(j *judge)
}

// Checks lists what a run is held against.
func Checks() []Check {
	return []Check{
		{Invariant: "I1 what was accepted is kept", breaches: keeps},
		{Invariant: "I2 each match is decided once, by the version that was live", breaches: decidesOnce},
		{Invariant: "I3 an id counts once", breaches: countsOnce},
		{Invariant: "I4 a user's moments are judged in order", breaches: judgesInOrder},
		{Invariant: "I5 one live enrollment", breaches: livesOnce},
		{Invariant: "I6 ledger and Temporal agree", breaches: agrees},
		{Invariant: "I7 nothing is left undone", breaches: finishes},
		{Invariant: "I8 effects outside have one key", breaches: keysEffects},
		{Invariant: "I9 effects inside happen once", breaches: countsInside},
		{Invariant: "I10 no delay ends early", breaches: waitsLongEnough},
		{Invariant: "I11 a schedule fires once", breaches: firesOnce},
		{Invariant: "I12 an enrollment stays in its version", breaches: staysInVersion},
		{Invariant: "I14 nothing starts after the end", breaches: stopsAtOnce},
		{Invariant: "I15 a wait has one outcome", breaches: hears},
		{Invariant: "I16 a wait misses nothing that came in time", breaches: missesNothing},
		{Invariant: "I22 what is asked to end does", breaches: endsInOrder},
		{Invariant: "I25 reads are honest", breaches: readsHonestly},
		{Invariant: "outputs reach the steps behind", breaches: passesOn},
		{Invariant: "splits are sticky", breaches: sticks},
		{Invariant: "timelines are complete and in order", breaches: tellsTheStory},
		{Invariant: "the timeline of what has ended is closed", breaches: closes},
		{Invariant: "nothing starts in a pause", breaches: restsInPauses},
	}
}

// Judge holds evidence against all invariants and returns the breaches, each with the invariant.
func Judge(e *Evidence) (breaches []string) {
	for _, c := range Checks() {
		for _, b := range c.Breaches(e) {
			breaches = append(breaches, c.Invariant+": "+b)
		}
	}
	return breaches
}

// Breaches holds evidence against the invariant.
func (c Check) Breaches(e *Evidence) []string {
	j := newJudge(e)
	c.breaches(j)
	return j.found
}

// judge is evidence with the ways to find things in it.
type judge struct {
	*Evidence
	programs    map[string]*Program
	enrollments map[string]*Enrollment // by id
	visits      map[string][]*Visit    // by enrollment
	graphs      map[string]*graph      // by enrollment
	began       map[string]int         // by enrollment: the version that it began in
	paths       map[string]path        // by enrollment
	byKey       map[string]*Visit      // effects outside
	effects     map[string]effect      // those that there may be, by their keys
	hooks       map[string][]*Hook     // by webhook-id
	answered    map[string]time.Time   // by event: when it was first said to be stored
	found       []string
}

// path is what the oracle says about an enrollment.
type path struct {
	calls []call
	whole bool // it leads to the end
}

// effect is one that an enrollment has outside.
type effect struct {
	*Enrollment
	step  string
	tells string // what is appended to the path that it calls
}

func newJudge(e *Evidence) *judge {
	j := &judge{
		Evidence: e, programs: map[string]*Program{}, enrollments: map[string]*Enrollment{}, visits: map[string][]*Visit{},
		graphs: map[string]*graph{}, began: map[string]int{}, paths: map[string]path{},
		byKey: map[string]*Visit{}, effects: map[string]effect{}, hooks: map[string][]*Hook{}, answered: map[string]time.Time{},
	}
	for _, a := range e.Acks { // in their order
		if _, before := j.answered[a.Subject]; a.Kind == SentEvent && a.Status < 300 && !before {
			j.answered[a.Subject] = a.At
		}
	}
	for _, p := range e.Programs {
		j.programs[p.Name] = p
	}
	for i := range e.Enrollments {
		j.enrollments[e.Enrollments[i].ID] = &e.Enrollments[i]
	}
	for i := range e.Visits {
		v := &e.Visits[i]
		j.visits[v.Enrollment] = append(j.visits[v.Enrollment], v)
		if v.Kind == webhook {
			j.byKey[automation.EffectKey(v.Enrollment, v.Step, v.Visit)] = v
		}
	}
	for i := range e.Hooks {
		h := &e.Hooks[i]
		j.hooks[h.ID] = append(j.hooks[h.ID], h)
	}
	for _, d := range e.Decisions {
		j.began[d.Enrollment] = d.Version
	}
	j.foresee()
	return j
}

// foresee asks the oracle about each enrollment, a user's in their order.
func (j *judge) foresee() {
	numbers := map[string]int{}
	for _, e := range j.Events {
		numbers[e.ID] = e.Number
	}
	counted := map[[2]string]int{} // by definition and user
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		of, g := [2]string{e.Definition, e.User}, link(j.programs[e.Definition].Steps(e.Version))
		f := facts{user: e.User, number: numbers[e.Event], counted: counted[of], outcome: j.outcomeOf(e.ID), arm: j.armOf(e.ID)}
		var p path
		p.calls, p.whole = g.walk(f)
		j.graphs[e.ID], j.paths[e.ID] = g, p
		for _, c := range p.calls {
			if c.Kind == webhook {
				j.effects[automation.EffectKey(e.ID, c.ID, c.visit)] = effect{e, c.ID, c.tells}
			}
		}
		for _, v := range j.visits[e.ID] {
			if n := g.nodes[v.Step]; n != nil && n.Adds != "" && v.Status == "done" {
				counted[of]++
			}
		}
	}
}

func (j *judge) outcomeOf(enrollment string) func(step string, visit int) string {
	return func(step string, visit int) string {
		if v := j.visit(enrollment, step, visit); v != nil && v.Status == "done" {
			return v.Outcome
		}
		return ""
	}
}

func (j *judge) armOf(enrollment string) func(step string, visit int) int {
	return func(step string, visit int) int {
		if v := j.visit(enrollment, step, visit); v != nil && v.Status == "done" {
			return v.Arm
		}
		return -1
	}
}

func (j *judge) visit(enrollment, step string, visit int) *Visit {
	for _, v := range j.visits[enrollment] {
		if v.Step == step && v.Visit == visit {
			return v
		}
	}
	return nil
}

// unflushed is for how long what a step wrote into a timeline may not be on the disk yet. Nothing else is
// written so, and nobody is told of it: a crash of PostgreSQL may take away the newest entries.
const unflushed = 2 * time.Second

// forgets says whether a crash between two moments may have taken entries of a timeline away.
func (j *judge) forgets(from, until time.Time) bool {
	for _, c := range j.Crashes {
		if !c.Until.Before(from) && c.From.Add(-unflushed).Before(until) {
			return true
		}
	}
	return false
}

func (j *judge) say(format string, args ...any) {
	j.found = append(j.found, fmt.Sprintf(format, args...))
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05.000") }
