package rig

import (
	"slices"
	"strings"
	"time"
)

// keeps: what was acknowledged is stored, in order, and nothing is stored that nobody sent.
func keeps(j *judge) {
	stored := map[string]Event{}
	for _, e := range j.Events {
		stored[e.ID] = e
	}
	sent := map[string]bool{}
	asked := map[[2]string][]Ack{}
	for _, a := range j.Acks {
		switch a.Kind {
		case SentEvent:
			sent[a.Subject] = true
			if e, ok := stored[a.Subject]; a.Status < 300 && (!ok || e.User != a.User || e.Name != a.Name) {
				j.say("event %s of %s was acknowledged at %s and is not stored", a.Subject, a.User, clock(a.At))
			}
		case Changed:
			asked[[2]string{a.User, a.Name}] = append(asked[[2]string{a.User, a.Name}], a)
		}
	}
	for _, e := range j.Events {
		if !sent[e.ID] && !strings.HasPrefix(e.Name, "user.") {
			j.say("event %s of %s is stored and nobody sent it", e.ID, e.User)
		}
	}
	for of, acks := range asked {
		j.keepsChanges(of[0], of[1], acks)
	}
}

// keepsChanges: the changes of one property that were acknowledged are recorded in their order. Between
// them there may be those of attempts that had no answer, each at most once.
func (j *judge) keepsChanges(user, property string, acks []Ack) {
	var recorded []any
	for _, c := range j.Changes {
		if c.User == user && c.Property == property {
			recorded = append(recorded, c.New)
		}
	}
	at, unanswered := 0, 0
	for _, a := range acks {
		unanswered += a.Attempts - 1
		i := slices.Index(recorded[at:], a.Value)
		if i < 0 {
			j.say("%s of %s became %v as acknowledged at %s, and that is not recorded behind what came before it", property, user, a.Value, clock(a.At))
			return
		}
		at += i + 1
	}
	if extra := len(recorded) - len(acks); extra > unanswered {
		j.say("%s of %s changed %d times for %d acknowledged changes with %d attempts that had no answer", property, user, len(recorded), len(acks), unanswered)
	}
}

// decidesOnce: of each event that enrolls and each edge of the filter there is one decision, made by the
// version that was live at that moment.
func decidesOnce(j *judge) {
	type of struct{ definition, user string }
	type match struct {
		at    time.Time
		exact bool // the publication that was in force is the one of that instant
	}
	matches := map[of][]match{}
	for _, p := range j.programs {
		for _, e := range j.Events {
			if p.Event != "" && e.Name == p.Event {
				// An event is received before it waits for a publication that is being made.
				matches[of{p.Name, e.User}] = append(matches[of{p.Name, e.User}], match{e.At, false})
			}
		}
		for _, c := range j.Changes {
			if p.Event == "" && c.Property == p.Property && c.New == p.Value && c.Old != p.Value {
				matches[of{p.Name, c.User}] = append(matches[of{p.Name, c.User}], match{c.At, true})
			}
		}
	}
	decisions := map[of][]*Decision{}
	for i := range j.Decisions {
		d := &j.Decisions[i]
		decisions[of{d.Definition, d.User}] = append(decisions[of{d.Definition, d.User}], d)
		if e := j.enrollments[d.Enrollment]; d.Outcome == "enrolled" && (e == nil || e.Definition != d.Definition || e.User != d.User || e.Version != d.Version) {
			j.say("%s decided at %s to enroll %s as %s, which is not in the ledger so", d.Definition, clock(d.At), d.User, d.Enrollment)
		}
		if _, ok := matches[of{d.Definition, d.User}]; !ok {
			j.say("%s decided at %s about %s, of whom nothing matched", d.Definition, clock(d.At), d.User)
		}
		if d.Definition == Orders && j.Spaced[d.User] && d.Outcome != "enrolled" {
			j.say("%s refused %s at %s (%s), whose order before had come to its end", d.Definition, d.User, clock(d.At), d.Reason)
		}
	}
	for key, all := range matches {
		made := decisions[key]
		if len(made) != len(all) {
			j.say("%s matched %d times for %s and was decided %d times", key.definition, len(all), key.user, len(made))
			continue
		}
		for i, d := range made {
			first := j.liveAt(key.definition, all[i].at)
			last := first
			if !all[i].exact {
				last = j.liveAt(key.definition, d.At)
			}
			if d.Version < first || d.Version > last {
				j.say("%s matched for %s at %s, when version %d was live, and version %d decided", key.definition, key.user, clock(all[i].at), first, d.Version)
			}
		}
	}
	enrolled := map[string]int{}
	for _, d := range j.Decisions {
		enrolled[d.Enrollment]++
	}
	for id, e := range j.enrollments {
		if enrolled[id] != 1 {
			j.say("enrollment %s has %d decisions", e.WorkflowID(), enrolled[id])
		}
	}
}

func (j *judge) liveAt(definition string, at time.Time) int {
	for _, v := range j.Versions {
		if v.Definition == definition && !at.Before(v.From) && (v.Until.IsZero() || at.Before(v.Until)) {
			return v.Number
		}
	}
	return 0
}

// countsOnce: an id that was acknowledged is a duplicate from then on, and enrolls once.
func countsOnce(j *judge) {
	for _, a := range j.Acks {
		if a.Kind == SentEvent && a.Repeated && !a.Duplicate {
			j.say("event %s was acknowledged, sent again at %s, and taken as new", a.Subject, clock(a.Began))
		}
		if a.Kind == SentEvent && !a.Repeated && a.Duplicate && a.Attempts == 1 {
			j.say("event %s was sent for the first time at %s, and was a duplicate", a.Subject, clock(a.Began))
		}
	}
	by := map[[2]string]string{}
	for _, e := range j.Enrollments {
		if e.Event == "" {
			continue
		}
		key := [2]string{e.Definition, e.Event}
		if other, ok := by[key]; ok {
			j.say("event %s enrolled twice: %s and %s", e.Event, other, e.WorkflowID())
		}
		by[key] = e.WorkflowID()
	}
}

// livesOnce: the passages of a user through a workflow follow one another, counted without gaps.
func livesOnce(j *judge) {
	last := map[[2]string]*Enrollment{}
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		key := [2]string{e.Definition, e.User}
		before := last[key]
		last[key] = e
		switch {
		case before == nil && e.Ordinal != 1, before != nil && e.Ordinal != before.Ordinal+1:
			j.say("%s does not follow the one before it", e.WorkflowID())
		case before != nil && before.Live():
			j.say("%s began while %s was live", e.WorkflowID(), before.WorkflowID())
		case before != nil && e.Created.Before(before.Created):
			j.say("%s was made before %s", e.WorkflowID(), before.WorkflowID())
		}
	}
}

// agrees: what is live in the ledger runs in Temporal, and what has ended does not.
func agrees(j *judge) {
	known := map[string]bool{}
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		running, there := j.Running[e.WorkflowID()]
		known[e.WorkflowID()] = true
		switch {
		case e.Live() && !running:
			j.say("%s is %s in the ledger and does not run in Temporal (known there: %t)", e.WorkflowID(), e.Status, there)
		case !e.Live() && running:
			j.say("%s is %s in the ledger and runs in Temporal", e.WorkflowID(), e.Status)
		case !there && !e.Started.IsZero():
			j.say("%s has begun and Temporal does not know it", e.WorkflowID())
		}
	}
	for _, id := range j.Open {
		if !known[id] {
			j.say("%s runs in Temporal and is not in the ledger", id)
		}
	}
}

// finishes: all work is done, nothing failed, and whoever can come to an end has.
func finishes(j *judge) {
	if j.Items != 0 || j.Commands != 0 {
		j.say("%d work items and %d commands are left", j.Items, j.Commands)
	}
	asked := map[string]bool{}
	for _, a := range j.Acks {
		if a.Kind == Unenrolled {
			asked[a.Subject] = true
		}
	}
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		p := j.programs[e.Definition]
		switch {
		case e.Status == "failed":
			j.say("%s failed", e.WorkflowID())
		case p.Ends && e.Live():
			j.say("%s is %s", e.WorkflowID(), e.Status)
		case p.Ends && e.Status == "unenrolled" && !asked[e.ID]:
			j.say("%s was taken out and nobody asked for it", e.WorkflowID())
		case !p.Ends && e.Status == "completed":
			j.say("%s completed within its hour", e.WorkflowID())
		}
	}
}
