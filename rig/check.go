package rig

import (
	"fmt"
	"slices"
	"strings"
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

// keysEffects: each effect outside that the timeline claims has arrived, and every arrival has the key of
// the one effect that it is.
func keysEffects(j *judge) {
	for id, hooks := range j.hooks {
		v := j.byKey[id]
		if v == nil {
			j.say("%s arrived with key %s, which is no effect's", hooks[0].Path, id)
			continue
		}
		e := j.enrollments[v.Enrollment]
		for _, h := range hooks {
			if definition, step := parts(h.Path); definition != e.Definition || step != v.Step {
				j.say("%s arrived with the key of %s of %s", h.Path, v.Step, e.WorkflowID())
			}
		}
	}
	for key, v := range j.byKey {
		if v.Status == "done" && len(j.hooks[key]) == 0 {
			j.say("%s of %s is done and never arrived", v.Step, j.enrollments[v.Enrollment].WorkflowID())
		}
	}
}

// parts are the definition and the step of a path.
func parts(path string) (definition, step string) {
	p := append(strings.Split(path, "/"), "", "", "", "")
	return p[1], p[3]
}

// countsInside: each counter stands at the number of steps that counted it up, one by one.
func countsInside(j *judge) {
	want := map[string]map[string]int{}
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		for _, v := range j.visits[e.ID] {
			for _, s := range j.programs[e.Definition].Steps {
				if s.ID == v.Step && s.Adds != "" && v.Status == "done" {
					if want[e.User] == nil {
						want[e.User] = map[string]int{}
					}
					want[e.User][s.Adds]++
				}
			}
		}
	}
	changes := map[[2]string]int{}
	for _, c := range j.Changes {
		changes[[2]string{c.User, c.Property}]++
	}
	for user, counters := range j.Counters {
		for _, name := range Counters() {
			if counters[name] != want[user][name] {
				j.say("%s of %s is %d after %d steps", name, user, counters[name], want[user][name])
			}
			if n := changes[[2]string{user, name}]; n != want[user][name] {
				j.say("%s of %s changed %d times in %d steps", name, user, n, want[user][name])
			}
		}
	}
}

// slack is what two readings of one clock may differ by in their representation.
const slack = 2 * time.Millisecond

// waitsLongEnough: what follows a delay, and a wait whose time was up, begins when that is over.
func waitsLongEnough(j *judge) {
	for id, visits := range j.visits {
		e := j.enrollments[id]
		steps := j.programs[e.Definition].Steps
		for i, v := range visits {
			at := slices.IndexFunc(steps, func(s Step) bool { return s.ID == v.Step })
			if at < 0 || v.Until.IsZero() || v.Kind == waitFor && v.Outcome != automation.OutcomeTimedOut {
				continue
			}
			if v.Until.Sub(e.Created) < steps[at].For {
				j.say("%s of %s is to end at %s, too soon after the enrollment at %s", v.Step, e.WorkflowID(), clock(v.Until), clock(e.Created))
			}
			if i+1 == len(visits) {
				continue
			}
			next := visits[i+1]
			if next.Started.Before(v.Until.Add(-slack)) {
				j.say("%s of %s began at %s, before %s ended at %s", next.Step, e.WorkflowID(), clock(next.Started), v.Step, clock(v.Until))
			}
			for _, h := range j.hooks[automation.EffectKey(id, next.Step, next.Visit)] {
				if h.At.Before(v.Until.Add(-slack)) {
					j.say("%s of %s arrived at %s, before %s ended at %s", next.Step, e.WorkflowID(), clock(h.At), v.Step, clock(v.Until))
				}
			}
		}
	}
}

// staysInVersion: what an enrollment calls is what its version says.
func staysInVersion(j *judge) {
	for key, v := range j.byKey {
		e := j.enrollments[v.Enrollment]
		for _, h := range j.hooks[key] {
			if want := HookPath(e.Definition, e.Version, v.Step); h.Path != want && !strings.HasPrefix(h.Path, want+"/") {
				j.say("%s is in version %d and called %s", e.WorkflowID(), e.Version, h.Path)
			}
		}
	}
}

// endsWithin is how much later than its recorded end an enrollment may still have let a step in: the end
// is dated when its transaction begins, and that may have to wait for a step that is let in meanwhile.
const endsWithin = 10 * time.Second

// stopsAtOnce: no step begins after the end is acknowledged, and what arrives after that had begun before.
func stopsAtOnce(j *judge) {
	for id, visits := range j.visits {
		e := j.enrollments[id]
		for _, v := range visits {
			if !e.Live() && v.Started.After(e.Ended.Add(endsWithin)) {
				j.say("%s of %s began at %s, and it had ended at %s", v.Step, e.WorkflowID(), clock(v.Started), clock(e.Ended))
			}
		}
	}
	for _, a := range j.Acks {
		e := j.enrollments[a.Subject]
		if a.Kind != Unenrolled {
			continue
		}
		if e == nil || e.Live() {
			j.say("%s was taken out as acknowledged at %s, and is live", a.Subject, clock(a.At))
			continue
		}
		for _, v := range j.visits[e.ID] {
			if v.Started.After(a.At) {
				j.say("%s of %s began at %s, after it was taken out as acknowledged at %s", v.Step, e.WorkflowID(), clock(v.Started), clock(a.At))
			}
			for _, h := range j.hooks[automation.EffectKey(e.ID, v.Step, v.Visit)] {
				if h.At.After(a.At) && a.InFlight != nil && !slices.Contains(a.InFlight, v.Step) {
					j.say("%s of %s arrived at %s, after it was taken out as acknowledged at %s with %v in flight", v.Step, e.WorkflowID(), clock(h.At), clock(a.At), a.InFlight)
				}
			}
		}
	}
}

// hears: a wait ends with the first thing that came, or when its time is up, and what follows knows the
// same outcome.
func hears(j *judge) {
	for id, visits := range j.visits {
		e := j.enrollments[id]
		for _, v := range visits {
			if v.Kind != waitFor || v.Status != "done" {
				continue
			}
			j.heard(e, v)
			for _, after := range visits {
				for _, h := range j.hooks[automation.EffectKey(id, after.Step, after.Visit)] {
					if after.Step == "after" && !strings.HasSuffix(h.Path, "/"+v.Outcome) {
						j.say("%s waited with the outcome %s and called %s", e.WorkflowID(), v.Outcome, h.Path)
					}
				}
			}
		}
	}
}

func (j *judge) heard(e *Enrollment, v *Visit) {
	first := j.firstAfter(e, v)
	switch v.Outcome {
	case automation.OutcomeHappened:
		if first == nil || first.ID != v.EventID {
			j.say("%s waited from moment %d and heard %s, not the first that came", e.WorkflowID(), v.Moment, v.EventID)
		}
	case automation.OutcomeTimedOut:
		if v.Finished.Before(v.Until.Add(-slack)) {
			j.say("%s waited until %s and gave up at %s", e.WorkflowID(), clock(v.Until), clock(v.Finished))
		}
		if first != nil && first.At.Before(v.Finished.Add(-longMissed)) {
			j.say("%s gave up at %s and missed %s, which came at %s", e.WorkflowID(), clock(v.Finished), first.ID, clock(first.At))
		}
	default:
		j.say("%s waited with the outcome %q", e.WorkflowID(), v.Outcome)
	}
}

// longMissed is for how long an event may lie unread at most, whatever happens to the processes.
const longMissed = 15 * time.Second

// firstAfter is the first event that a wait could hear; nil where none came.
func (j *judge) firstAfter(e *Enrollment, v *Visit) *Event {
	for i := range j.Events {
		if ev := &j.Events[i]; ev.User == e.User && ev.Name == j.programs[e.Definition].Awaits && ev.Moment > v.Moment {
			return ev
		}
	}
	return nil
}

// missesNothing: a wait whose time was up had nothing to hear before that.
func missesNothing(j *judge) {
	for id, visits := range j.visits {
		e := j.enrollments[id]
		for _, v := range visits {
			if v.Kind != waitFor || v.Status != "done" || v.Outcome != automation.OutcomeTimedOut {
				continue
			}
			if first := j.firstAfter(e, v); first != nil && first.At.Before(v.Until) {
				j.say("%s waited until %s and missed %s, which came at %s", e.WorkflowID(), clock(v.Until), first.ID, clock(first.At))
			}
		}
	}
}

// readsHonestly: a read right after an unenrollment shows the end.
func readsHonestly(j *judge) {
	for _, a := range j.Acks {
		if a.Kind == Unenrolled && (a.Shown == "" || automation.EnrollmentStatus(a.Shown).Live()) {
			j.say("%s was taken out as acknowledged at %s, and a read showed it %s", a.Subject, clock(a.At), a.Shown)
		}
	}
}

// tellsTheStory: the timeline of what completed has each step once, done, in the order of the program,
// and that of anything else is the beginning of one.
func tellsTheStory(j *judge) {
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		visits, steps := j.visits[e.ID], j.programs[e.Definition].Steps
		if len(visits) > len(steps) || e.Status == "completed" && len(visits) < len(steps) {
			j.say("%s is %s after %d visits of %d steps", e.WorkflowID(), e.Status, len(visits), len(steps))
			continue
		}
		for n, v := range visits {
			last := n == len(visits)-1
			switch {
			case v.Step != steps[n].ID || v.Visit != 1:
				j.say("%s entered %s for time %d as its step %d", e.WorkflowID(), v.Step, v.Visit, n+1)
			case v.Status != "done" && (!last || e.Status == "completed"):
				j.say("%s is %s, and its step %s is %s", e.WorkflowID(), e.Status, v.Step, v.Status)
			}
		}
	}
}

// closes: no step of what has ended is open.
func closes(j *judge) {
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		for _, v := range j.visits[e.ID] {
			if !e.Live() && (v.Finished.IsZero() || v.Status == "running" || v.Status == "held" || v.Status == "waiting") {
				j.say("%s is %s since %s, and its step %s is %s, begun at %s and finished at %s", e.WorkflowID(), e.Status, clock(e.Ended), v.Step, v.Status, clock(v.Started), clock(v.Finished))
			}
		}
	}
}

// restsInPauses: what arrives in a pause had begun before it.
func restsInPauses(j *judge) {
	since := map[string]time.Time{}
	for _, a := range j.Acks {
		switch {
		case a.Kind == Paused && a.Status < 300:
			since[a.Name] = a.At
		case a.Kind == Resumed:
			if from := since[a.Name]; !from.IsZero() {
				j.restsBetween(a.Name, from, a.Began)
			}
			delete(since, a.Name)
		}
	}
}

func (j *judge) restsBetween(definition string, from, to time.Time) {
	for key, v := range j.byKey {
		e := j.enrollments[v.Enrollment]
		if e.Definition != definition || !v.Started.After(from) {
			continue
		}
		for _, h := range j.hooks[key] {
			if h.At.After(from) && h.At.Before(to) {
				j.say("%s of %s arrived at %s, in the pause from %s to %s", v.Step, e.WorkflowID(), clock(h.At), clock(from), clock(to))
			}
		}
	}
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05.000") }
