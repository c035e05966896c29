package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/testsuite"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/triggers"
	"rollcall/workflows"
)

// fact is something that happens to the user: a change or an event.
type fact struct {
	at     time.Time
	change map[string]any
	event  *automation.Event
}

// order lists what is to happen after the start; at one instant, changes before events. Events before
// the start become the user's past.
func (w *world) order(in *Input) []fact {
	var facts []fact
	for _, c := range in.Changes {
		facts = append(facts, fact{at: c.At, change: c.Properties})
	}
	for i, e := range in.Events {
		event := &automation.Event{ID: fmt.Sprintf("event_%d", i+1), Name: e.Name, UserID: w.user.ID, OccurredAt: e.At, Properties: e.Properties}
		if event.Properties == nil {
			event.Properties = map[string]any{}
		}
		if e.At.Before(w.start) {
			w.remember(nil, []automation.Event{*event})
			continue
		}
		facts = append(facts, fact{at: e.At, event: event})
	}
	slices.SortStableFunc(facts, func(a, b fact) int { return a.at.Compare(b.at) })
	return facts
}

// enroll finds what enrolls the user, and returns why nothing may.
func (w *world) enroll() (barred string) {
	w.enrollment.Trigger = "manual"
	s := filter.Subject{User: w.user.Properties, Now: w.start, Past: w.past}
	if kind, e := w.enrolling(s); e != nil {
		w.enrollment.Trigger, w.enrollment.Event = kind, e
	} else if slices.ContainsFunc(w.version.Triggers, func(t postgres.Trigger) bool { return t.Holds != nil && t.Holds.Match(s) }) {
		w.enrollment.Trigger = "filter"
	}
	return w.version.Bars(s, w.enrollment.Trigger)
}

// enrolling is the event that enrolls, and by which kind of trigger: one that is given at the start, or
// the creation of the user.
func (w *world) enrolling(s filter.Subject) (kind string, e *automation.Event) {
	hears := func(e *automation.Event) bool {
		s.Event = e.Properties
		i := slices.IndexFunc(w.version.Triggers, func(t postgres.Trigger) bool {
			return t.Event == e.Name && (t.Where == nil || t.Where.Match(s))
		})
		if i >= 0 {
			kind = w.version.Triggers[i].Kind()
		}
		return i >= 0
	}
	for i, f := range w.facts {
		if f.event != nil && f.at.Equal(w.start) && hears(f.event) {
			w.facts = slices.Delete(w.facts, i, i+1)
			w.remember(nil, []automation.Event{*f.event})
			return kind, f.event
		}
	}
	created := automation.CreationEvents(&w.user)[0]
	created.ID = "created"
	if hears(&created) {
		return kind, &created
	}
	return "", nil
}

// begin lets time run: what is to happen does at its instant.
func (w *world) begin() {
	w.look(w.version.NextBar(w.subject()))
	w.next()
}

// next arranges for the next fact.
func (w *world) next() {
	if len(w.facts) == 0 || w.facts[0].at.After(w.end) {
		return
	}
	w.env.RegisterDelayedCallback(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for len(w.facts) > 0 && !w.facts[0].at.After(w.now()) {
			f := w.facts[0]
			w.facts = w.facts[1:]
			if w.live() {
				w.happen(f)
			}
		}
		w.next()
	}, w.facts[0].at.Sub(w.now()))
}

// look arranges to ask again at the instant at which time alone may change something.
func (w *world) look(due *time.Time) {
	if due == nil || due.After(w.end) || !w.alarm.IsZero() && !due.Before(w.alarm) {
		return
	}
	at := *due
	w.alarm = at
	w.env.RegisterDelayedCallback(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.alarm.Equal(at) {
			w.alarm = time.Time{}
		}
		if w.live() {
			asked := postgres.Membership{Definition: w.version.Name, Version: w.version.Number, Trigger: postgres.AskLeaving}
			w.judge(postgres.Item{Asks: []postgres.Ask{{Membership: asked, Due: at}}})
		}
	}, at.Sub(w.now()))
}

// happen lets a fact happen.
func (w *world) happen(f fact) {
	w.touched = w.now()
	if f.event != nil {
		w.remember(nil, []automation.Event{*f.event})
		w.judge(postgres.Item{Events: []automation.Event{*f.event}})
		return
	}
	w.change(f.change, "api")
	w.judgeChanges()
}

// changeUser stands for the change of the user by an action.
func (w *world) changeUser(compute func(u *automation.User, schema automation.Properties) (map[string]any, error)) ([]automation.Change, error) {
	values, err := compute(&w.user, w.schema)
	if err != nil {
		return nil, err
	}
	normal, problems := w.schema.CheckProperties(values)
	if err := automation.Invalid("the value", problems); err != nil {
		return nil, err
	}
	return w.change(normal, w.enrollment.TemporalWorkflowID), nil
}

// change sets properties of the user; what it means is judged afterwards.
func (w *world) change(values map[string]any, source string) []automation.Change {
	after := postgres.Complete(w.user.Properties)
	maps.Copy(after, values)
	after = postgres.Complete(after)
	now := w.now()
	changes := automation.Diff(w.user.Properties, after, now, source)
	if len(changes) == 0 {
		return nil
	}
	w.user.Properties, w.user.UpdatedAt = after, now
	item := postgres.Item{Events: automation.ChangeEvents(w.user.ID, changes, now)}
	for _, c := range changes {
		item.Changed = append(item.Changed, c.Property)
	}
	w.remember(changes, item.Events)
	w.changed = append(w.changed, item)
	return changes
}

// remember makes changes and events the user's past, as far as filters can ask about them.
func (w *world) remember(changes []automation.Change, events []automation.Event) {
	for _, c := range changes {
		w.past.Changes[c.Property] = append(w.past.Changes[c.Property], filter.Change{At: c.At, New: c.New})
	}
	for _, e := range events {
		if _, own := automation.CheckEventName(e.Name); !own && !automation.Counted(e.Name) {
			continue
		}
		list := append(w.past.Events[e.Name], filter.Event{At: e.OccurredAt, Properties: e.Properties})
		slices.SortStableFunc(list, func(a, b filter.Event) int { return cmp.Compare(b.At.UnixMicro(), a.At.UnixMicro()) })
		w.past.Events[e.Name] = list
	}
}

// subject is the user as a filter is asked about now.
func (w *world) subject() filter.Subject {
	return filter.Subject{User: w.user.Properties, Now: w.now(), Past: w.past}
}

// inhabitant is the enrollment as what happens to its user concerns it.
func (w *world) inhabitant() postgres.Inhabitant {
	ref := postgres.VisitRef{EnrollmentID: w.enrollment.ID}
	if v := w.waiting(); v != nil {
		ref.Step, ref.Visit = v.step, v.number
	}
	return w.version.Inhabit(ref, w.enrollment.Trigger)
}

// judgeChanges judges what was changed and not judged yet.
func (w *world) judgeChanges() {
	items := w.changed
	w.changed = nil
	for _, item := range items {
		if w.live() {
			w.judge(item)
		}
	}
}

// judge does what follows for the enrollment from something that happened, or from time alone.
func (w *world) judge(item postgres.Item) {
	item.UserID, item.At, item.Properties = w.user.ID, w.now(), w.user.Properties
	verdict := triggers.JudgeInside(&postgres.Question{Item: &item, Subject: w.subject(), Inside: []postgres.Inhabitant{w.inhabitant()}})
	if reason, leaves := verdict.Leaves[w.enrollment.ID]; leaves {
		w.touched = w.now()
		w.ends(automation.Unenrolled, reason)
		w.tell(func() {
			w.env.UpdateWorkflow(workflows.UnenrollUpdate, "", &testsuite.TestUpdateCallback{
				OnAccept: func() {}, OnReject: func(error) {}, OnComplete: func(any, error) {},
			}, reason)
		})
		return
	}
	for _, m := range verdict.Met {
		w.happened(w.current, m.Which, m.Event, "happened "+w.version.Shown(w.now(), w.user.Properties))
	}
	for range verdict.Follow {
		w.current.known = false
	}
	if len(verdict.Met)+len(verdict.Follow) > 0 {
		w.touched = w.now()
		w.tell(func() { w.env.SignalWorkflow(workflows.WakeSignal, nil) })
	}
	w.look(verdict.Stays[w.enrollment.ID])
}

// tell says something to the workflow, after what runs at this moment.
func (w *world) tell(f func()) { w.env.RegisterDelayedCallback(f, 0) }
