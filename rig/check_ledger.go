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
			if e, ok := stored[a.Subject]; a.Status < 300 && (!ok || e.User != a.User || e.Name != a.Name || a.Value != nil && e.Number != a.Value) {
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

// of is a user in a workflow.
type of struct{ definition, user string }

// decidesOnce: of each event that enrolls and each edge of the filter there is one decision, made by the
// version that was live at that moment; and one of each enrollment.
func decidesOnce(j *judge) {
	matches, decisions, enrolled := j.matches(), map[of][]*Decision{}, map[string]int{}
	for i := range j.Decisions {
		d := &j.Decisions[i]
		enrolled[d.Enrollment]++
		if e := j.enrollments[d.Enrollment]; d.Outcome == "enrolled" && (e == nil || !j.from(e, d)) {
			j.say("%s decided at %s to enroll %s as %s, which is not in the ledger so", d.Definition, clock(d.At), d.User, d.Enrollment)
		}
		if j.programs[d.Definition].onRequest() {
			continue
		}
		decisions[of{d.Definition, d.User}] = append(decisions[of{d.Definition, d.User}], d)
		if _, ok := matches[of{d.Definition, d.User}]; !ok {
			j.say("%s decided at %s about %s, of whom nothing matched", d.Definition, clock(d.At), d.User)
		}
		if d.Definition == Orders && j.Spaced[d.User] && d.Outcome != "enrolled" {
			j.say("%s refused %s at %s (%s), whose order before had come to its end", d.Definition, d.User, clock(d.At), d.Reason)
		}
	}
	for key, all := range matches {
		j.answers(key, all, decisions[key])
	}
	for id, e := range j.enrollments {
		if enrolled[id] != 1 {
			j.say("enrollment %s has %d decisions", e.WorkflowID(), enrolled[id])
		}
	}
}

// matches are the moments at which something enrolls a user in a workflow, by both.
func (j *judge) matches() map[of][]time.Time {
	matches := map[of][]time.Time{}
	for _, p := range j.programs {
		for _, e := range j.Events {
			if p.Event != "" && e.Name == p.Event {
				matches[of{p.Name, e.User}] = append(matches[of{p.Name, e.User}], e.At)
			}
		}
		for _, c := range j.Changes {
			if p.Event == "" && p.Property != "" && c.Property == p.Property && c.New == p.Value && c.Old != p.Value {
				matches[of{p.Name, c.User}] = append(matches[of{p.Name, c.User}], c.At)
			}
		}
	}
	return matches
}

// answers: the decisions about a user in a workflow are those of the moments, one by one.
func (j *judge) answers(key of, moments []time.Time, made []*Decision) {
	if len(made) != len(moments) {
		j.say("%s matched %d times for %s and was decided %d times", key.definition, len(moments), key.user, len(made))
		return
	}
	for i, d := range made {
		if live := j.liveAt(key.definition, moments[i]); d.Version != live {
			j.say("%s matched for %s at %s, when version %d was live, and version %d decided", key.definition, key.user, clock(moments[i]), live, d.Version)
		}
	}
}

// onRequest says that no event and no property enrolls.
func (p *Program) onRequest() bool { return p.Event == "" && p.Property == "" }

// from says that an enrollment is what a decision made; publications may have taken it along since.
func (j *judge) from(e *Enrollment, d *Decision) bool {
	later := j.programs[e.Definition].Migrates && d.Version < e.Version
	return e.Definition == d.Definition && e.User == d.User && (e.Version == d.Version || later)
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
	j.answersTheSame()
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

// answersTheSame: a request with a key is answered the same each time, and is decided once. So is each step
// that enrolls. A refusal may be recorded once more for an attempt that had no answer.
func (j *judge) answersTheSame() {
	first := map[string]Ack{}
	want, unanswered, open := map[string]int{}, map[string]int{}, map[string]int{} // by user
	for _, a := range j.Acks {
		before, asked := first[a.Subject]
		switch {
		case a.Kind != Requested:
		case a.Open:
			open[a.User]++
		case !asked:
			first[a.Subject] = a
			want[a.User]++
			unanswered[a.User] += a.Attempts - 1
		case before.Status != a.Status || before.Value != a.Value:
			j.say("request %s was answered %d %v, and %d %v when it was repeated", a.Subject, before.Status, before.Value, a.Status, a.Value)
		}
	}
	for i := range j.Enrollments {
		e := &j.Enrollments[i]
		for _, v := range j.visits[e.ID] {
			if v.Kind == enroll && v.Status == "done" {
				want[e.User]++
			}
		}
	}
	have, refused := map[string]int{}, map[string]int{}
	for _, d := range j.Decisions {
		if d.Definition == Errands {
			have[d.User]++
			if d.Outcome == "refused" {
				refused[d.User]++
			}
		}
	}
	for user := range j.Counters {
		most := want[user] + open[user] + min(unanswered[user], refused[user])
		if have[user] < want[user] || have[user] > most {
			j.say("%s was decided %d times for %s, who was to be enrolled %d times by requests and steps", Errands, have[user], user, want[user])
		}
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

// accounted is after how long a firing that was due has its run, whatever happens to the processes.
const accounted = 45 * time.Second

// firesOnce: each minute of the schedule that came to pass has one run, which found everybody whom it
// concerns, and each of them is enrolled by it once.
func firesOnce(j *judge) {
	by := map[string]map[string]int{} // enrollments by run and user
	for _, e := range j.Enrollments {
		if e.Run != "" {
			if by[e.Run] == nil {
				by[e.Run] = map[string]int{}
			}
			by[e.Run][e.User]++
		}
	}
	fired := map[time.Time]int{}
	for _, r := range j.Runs {
		fired[r.Due.UTC()]++
		enrolled := 0
		for user, n := range by[r.ID] {
			enrolled += n
			if n > 1 {
				j.say("%s enrolled %s %d times at %s", r.Definition, user, n, r.Nominal)
			}
		}
		if r.Status != "completed" || r.Matched != j.Crew || r.Enrolled != enrolled {
			j.say("%s fired at %s for %d of %d users, is %s and counts %d enrollments where there are %d", r.Definition, r.Nominal, r.Matched, j.Crew, r.Status, r.Enrolled, enrolled)
		}
	}
	for _, due := range j.Due {
		came := j.liveAt(Rounds, due) > 0 && due.Before(j.At.Add(-accounted))
		if n := fired[due.UTC()]; n != 1 && came {
			j.say("%s was to fire at %s once and did so %d times", Rounds, clock(due), n)
		}
	}
}

// endsWithinLimit is how long a process may take that was asked to end.
const endsWithinLimit = 30 * time.Second

// endsInOrder: a process that is asked to end does so in time.
func endsInOrder(j *judge) {
	for _, e := range j.Ends {
		if e.Took > endsWithinLimit {
			j.say("%s took %s to end", e.Process, e.Took)
		}
	}
}
