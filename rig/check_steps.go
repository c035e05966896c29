package rig

import (
	"slices"
	"strings"
	"time"

	"rollcall/automation"
)

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
