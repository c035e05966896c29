package rig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/automation"
)

// keysEffects: each effect outside that the timeline claims has arrived, and every arrival has the key of
// the one effect that it is. Of what the timeline does not know a crash may have taken the entry away.
func keysEffects(j *judge) {
	for id, hooks := range j.hooks {
		x, ok := j.effects[id]
		if !ok {
			j.say("%s arrived with key %s, which is no effect's", hooks[0].Path, id)
			continue
		}
		if at := hooks[0].At; j.byKey[id] == nil && !j.forgets(at.Add(-unflushed), at.Add(unflushed)) {
			j.say("%s arrived at %s, and the timeline of %s does not know it", hooks[0].Path, clock(at), x.WorkflowID())
		}
		for _, h := range hooks {
			if definition, step := parts(h.Path); definition != x.Definition || step != x.step {
				j.say("%s arrived with the key of %s of %s", h.Path, x.step, x.WorkflowID())
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
			if n := j.graphs[e.ID].nodes[v.Step]; n != nil && n.Adds != "" && v.Status == "done" {
				if want[e.User] == nil {
					want[e.User] = map[string]int{}
				}
				want[e.User][n.Adds]++
			}
		}
	}
	changes := map[[2]string]int{}
	for _, c := range j.Changes {
		changes[[2]string{c.User, c.Property}]++
	}
	for user, counters := range j.Counters {
		for _, name := range Counters(j.Programs) {
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
		for i, v := range visits {
			n := j.graphs[id].nodes[v.Step]
			if n == nil || v.Until.IsZero() || v.Kind == waitFor && v.Outcome != automation.OutcomeTimedOut {
				continue
			}
			if v.Until.Sub(v.Started) < n.For-slack {
				j.say("%s of %s is to end at %s, too soon after it began at %s", v.Step, e.WorkflowID(), clock(v.Until), clock(v.Started))
			}
			if i+1 < len(visits) {
				j.comesBehind(e, v, visits[i+1])
			}
		}
	}
}

// comesBehind: a step does not begin before the wait in front of it is over.
func (j *judge) comesBehind(e *Enrollment, v, next *Visit) {
	if next.Started.Before(v.Until.Add(-slack)) {
		j.say("%s of %s began at %s, before %s ended at %s", next.Step, e.WorkflowID(), clock(next.Started), v.Step, clock(v.Until))
	}
	for _, h := range j.hooks[automation.EffectKey(e.ID, next.Step, next.Visit)] {
		if h.At.Before(v.Until.Add(-slack)) {
			j.say("%s of %s arrived at %s, before %s ended at %s", next.Step, e.WorkflowID(), clock(h.At), v.Step, clock(v.Until))
		}
	}
}

// staysInVersion: what an enrollment calls is what its version says. One that publications take along is
// in one version after the other, from the one that it began in to its last.
func staysInVersion(j *judge) {
	for key, x := range j.effects {
		for _, h := range j.hooks[key] {
			if version, began := versionOf(h.Path), j.began[x.ID]; version < began || version > x.Version {
				j.say("%s began in version %d, is in version %d and called %s", x.WorkflowID(), began, x.Version, h.Path)
			}
		}
	}
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		if !j.programs[e.Definition].Migrates && e.Version != j.began[e.ID] {
			j.say("%s began in version %d and is in version %d", e.WorkflowID(), j.began[e.ID], e.Version)
		}
	}
	j.takesAlong()
}

// takesAlong: a publication that takes along who is in a workflow does so with everybody whose first step
// began before it was asked for, and who is still there. Who was at the end when the word came may have
// come to it first.
func (j *judge) takesAlong() {
	for _, a := range j.Acks {
		number, _ := a.Value.(int)
		if a.Kind != Published || !j.programs[a.Name].Migrates {
			continue
		}
		for i := range j.Enrollments {
			e := &j.Enrollments[i]
			there := !e.Started.IsZero() && e.Started.Before(a.Began) && e.Live()
			if e.Definition == a.Name && there && e.Version < number {
				j.say("%s was there when version %d took along who was in it, and is in version %d", e.WorkflowID(), number, e.Version)
			}
		}
	}
}

// versionOf is the version that a path names; 0 where it names none.
func versionOf(path string) int {
	p := append(strings.Split(path, "/"), "", "", "")
	number, _ := strconv.Atoi(strings.TrimPrefix(p[2], "v"))
	return number
}

// passesOn: what a call tells of the steps before it, and of the event, is what was recorded of them.
func passesOn(j *judge) {
	for key, x := range j.effects {
		for _, h := range j.hooks[key] {
			if want := HookPath(x.Definition, versionOf(h.Path), x.step) + x.tells; h.Path != want {
				j.say("%s called %s and not %s", x.WorkflowID(), h.Path, want)
			}
		}
	}
}

// sticks: a user always takes the same part of the same split.
func sticks(j *judge) {
	taken := map[string]int{}
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		for _, v := range j.visits[e.ID] {
			if v.Kind != split || v.Status != "done" {
				continue
			}
			key := fmt.Sprintf("%s of version %d of %s", v.Step, e.Version, e.WorkflowID()[:strings.LastIndex(e.WorkflowID(), "/")])
			if arm, ok := taken[key]; ok && arm != v.Arm {
				j.say("%s took part %d and part %d", key, arm, v.Arm)
			}
			taken[key] = v.Arm
		}
	}
}

// stopsAtOnce: no step begins after the end is acknowledged, and what arrives after that had begun before.
func stopsAtOnce(j *judge) {
	for id, visits := range j.visits {
		e := j.enrollments[id]
		for _, v := range visits {
			if !e.Live() && v.Started.After(e.Ended.Add(slack)) {
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

// hears: a wait ends with the first thing that came, or when its time is up.
func hears(j *judge) {
	for id, visits := range j.visits {
		for _, v := range visits {
			if v.Kind == waitFor && v.Status == "done" {
				j.heard(j.enrollments[id], v)
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
	n := j.graphs[e.ID].nodes[v.Step]
	for i := range j.Events {
		if ev := &j.Events[i]; n != nil && ev.User == e.User && ev.Name == n.Awaits && ev.Moment > v.Moment {
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
			if first := j.firstAfter(e, v); first != nil && j.known(first).Before(v.Until) {
				j.say("%s waited until %s and missed %s, which came at %s", e.WorkflowID(), clock(v.Until), first.ID, clock(j.known(first)))
			}
		}
	}
}

// known is when an event was there for everybody to see: a process may stand still after it dated the event and
// before the event is stored, but not after it said so.
func (j *judge) known(ev *Event) time.Time {
	if answered := j.answered[ev.ID]; answered.After(ev.At) {
		return answered
	}
	return ev.At
}

// readsHonestly: a read right after an unenrollment shows the end.
func readsHonestly(j *judge) {
	for _, a := range j.Acks {
		if a.Kind == Unenrolled && (a.Shown == "" || automation.EnrollmentStatus(a.Shown).Live()) {
			j.say("%s was taken out as acknowledged at %s, and a read showed it %s", a.Subject, clock(a.At), a.Shown)
		}
	}
}

// tellsTheStory: the timeline of what completed is the path that the oracle says, and that of anything
// else is the beginning of it.
func tellsTheStory(j *judge) {
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		p := j.paths[e.ID]
		if e.Status == "completed" && !p.whole {
			j.say("%s completed, and its timeline does not say which way it took", e.WorkflowID())
		}
		j.follows(e, p.calls)
	}
}

// follows: the visits of an enrollment are those of a path. An entry of what happens outside, or of time,
// may be missing, or not be finished, where a crash may have taken it away.
func (j *judge) follows(e *Enrollment, calls []call) {
	visits, before := j.visits[e.ID], e.Created
	for n, c := range calls {
		if len(visits) == 0 && e.Status != "completed" {
			return
		}
		if len(visits) > 0 && visits[0].Step == c.ID && visits[0].Visit == c.visit {
			last, left := len(visits) == 1 && e.Status != "completed", e.Ended
			if len(visits) > 1 {
				left = visits[1].Started
			}
			if v := visits[0]; v.Status != c.ends() && !last && (c.kept() || !j.forgets(v.Started, left)) {
				j.say("%s is %s, and its step %s, which began at %s and was left at %s, is %s", e.WorkflowID(), e.Status, v.Step, clock(v.Started), clock(left), v.Status)
			}
			before, visits = visits[0].Started, visits[1:]
			continue
		}
		after := e.Ended
		if len(visits) > 0 {
			after = visits[0].Started
		}
		if c.kept() || !j.forgets(before, after) {
			j.say("%s lacks visit %d of %s as its step %d", e.WorkflowID(), c.visit, c.ID, n+1)
			return
		}
	}
	if len(visits) > 0 {
		j.say("%s entered %s for time %d, where its way does not lead", e.WorkflowID(), visits[0].Step, visits[0].Visit)
	}
}

// ends is the status in which a step is left behind.
func (c call) ends() string {
	if c.Fails {
		return "failed"
	}
	return "done"
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
