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
		{Invariant: "I12 an enrollment stays in its version", breaches: staysInVersion},
		{Invariant: "I14 nothing starts after the end", breaches: stopsAtOnce},
		{Invariant: "I15 a wait has one outcome", breaches: hears},
		{Invariant: "I16 a wait misses nothing that came in time", breaches: missesNothing},
		{Invariant: "I25 reads are honest", breaches: readsHonestly},
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
	byKey       map[string]*Visit      // effects outside
	hooks       map[string][]*Hook     // by webhook-id
	found       []string
}

func newJudge(e *Evidence) *judge {
	j := &judge{
		Evidence: e, programs: map[string]*Program{}, enrollments: map[string]*Enrollment{},
		visits: map[string][]*Visit{}, byKey: map[string]*Visit{}, hooks: map[string][]*Hook{},
	}
	for _, p := range Programs() {
		j.programs[p.Name] = &p
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
	return j
}

func (j *judge) say(format string, args ...any) {
	j.found = append(j.found, fmt.Sprintf(format, args...))
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05.000") }
