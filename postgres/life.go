package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/automation"
	"rollcall/filter"
)

// life is what a user was, change by change, in the order in which it happened.
type life struct{ changes []changeRow }

// properties are those that the user had at an instant.
func (l *life) properties(at time.Time) map[string]any {
	properties := map[string]any{}
	for i := range l.changes {
		c := &l.changes[i]
		switch {
		case c.At.After(at):
			return properties
		case c.New == nil:
			delete(properties, c.Property)
		default:
			properties[c.Property] = c.New
		}
	}
	return properties
}

// lastChange is the events of the last moment at which the user changed, since an instant; none where
// that was the creation.
func (l *life) lastChange(userID string, since time.Time) ([]automation.Event, time.Time) {
	if len(l.changes) == 0 {
		return nil, time.Time{}
	}
	at := l.changes[len(l.changes)-1].At
	if at.Before(since) || at.Equal(l.changes[0].At) {
		return nil, at
	}
	var changes []automation.Change
	for _, c := range l.changes {
		if c.At.Equal(at) {
			changes = append(changes, automation.Change{Property: c.Property, Old: c.Old, New: c.New, At: c.At.UTC(), Source: c.Source})
		}
	}
	return automation.ChangeEvents(userID, changes, at.UTC()), at.UTC()
}

// maxInstants is how many of the last things that can have changed a filter's answer are looked at to
// find out since when it has had it.
const maxInstants = 500

// since is when a filter came to have the answer that it has at the end: by something that happened or
// by time alone, at the earliest when the version was published or the user created.
func (x *explaining) since(f *filter.Filter) time.Time {
	instants := x.instants(f.Reads())
	since := instants[0]
	held := f.Match(x.subject(since))
	for i, at := range instants {
		until := x.out.At
		if i+1 < len(instants) {
			until = instants[i+1].Add(-filter.Resolution)
		}
		for s := x.subject(at); ; {
			if answer := f.Match(s); answer != held {
				held, since = answer, s.Now
			}
			next, ok := f.NextFlip(s)
			if !ok || next.After(until) {
				break
			}
			s.Now = next
		}
	}
	return since
}

// instants are when something happened that a filter reads while the version was live, the publication or
// the creation of the user first.
func (x *explaining) instants(reads filter.Reads) []time.Time {
	first := x.life.changes[0].At.UTC()
	if x.published.After(first) {
		first = x.published
	}
	all := []time.Time{first}
	add := func(at time.Time) {
		if at = at.UTC(); at.After(first) && !at.After(x.out.At) {
			all = append(all, at)
		}
	}
	for i := range x.life.changes {
		if c := &x.life.changes[i]; has(reads.Properties, c.Property) {
			add(c.At)
		}
	}
	for _, e := range x.record.events {
		if has(reads.Events, e.Name) {
			add(e.ReceivedAt)
		}
	}
	for _, p := range x.record.passages {
		if !has(reads.Workflows, p.Definition) {
			continue
		}
		add(p.CreatedAt)
		if p.EndedAt != nil {
			add(*p.EndedAt)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	all = slices.Compact(all)
	return all[max(0, len(all)-maxInstants):]
}

// whyNoTrigger says which conditions did not hold.
func whyNoTrigger(triggers []ExplainedTrigger) string {
	var parts []string
	for _, t := range triggers {
		switch {
		case t.Kind == "manual":
			continue
		case t.Kind == "schedule" && t.Matched:
			parts = append(parts, fmt.Sprintf("trigger %d (schedule) had not fired for the user", t.Trigger))
			continue
		case (t.Kind == "event" || t.Kind == "webhook") && t.Event == nil:
			parts = append(parts, fmt.Sprintf("trigger %d heard no event", t.Trigger))
			continue
		}
		var failed []string
		for _, a := range t.Trace {
			if !a.Result {
				failed = append(failed, fmt.Sprintf("%s %s (seen: %s)", a.Property+a.Event+a.Workflow, a.Op, shownValue(a.Seen)))
			}
		}
		if len(failed) > 3 {
			failed = append(failed[:3], fmt.Sprintf("%d more", len(failed)-3))
		}
		if len(failed) == 0 {
			parts = append(parts, fmt.Sprintf("trigger %d (%s) did not hold", t.Trigger, t.Kind))
			continue
		}
		parts = append(parts, fmt.Sprintf("trigger %d (%s) did not hold: not %s", t.Trigger, t.Kind, strings.Join(failed, ", not ")))
	}
	if len(parts) == 0 {
		return ": the workflow enrolls on request only"
	}
	return ": " + strings.Join(parts, "; ")
}

// shownValue is a value as JSON, cut short.
func shownValue(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(text) > 80 {
		return string(text[:80]) + "…"
	}
	return string(text)
}
