package simulate

import (
	"encoding/json"
	"time"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/strictjson"
)

const maxEvent = 32 << 10 // bytes of an event's properties

// The years in which a simulation may begin.
const (
	firstYear = 1970
	lastYear  = 2200
)

// check brings what a simulation is given to normal form. It returns an *InvalidError with all that is
// wrong, with pointers relative to the input.
func check(in *Input, schema automation.Properties) (*Input, error) {
	normal := &Input{User: automation.SimulatedUser{ID: in.User.ID}, Start: instant(in.Start), Until: instant(in.Until)}
	c := checker{schema: schema, start: normal.Start, end: normal.Start.AddDate(automation.MaxSimulatedYears, 0, 0)}
	if problem, ok := automation.CheckUserID(in.User.ID); !ok {
		c.Add("/user/id", "invalid-user-id", "%s", problem)
	}
	normal.User.Properties = c.properties("/user/properties", in.User.Properties)
	if y := normal.Start.Year(); y < firstYear || y > lastYear {
		c.Add("/start", "out-of-range", "a simulation begins in the years %d to %d", firstYear, lastYear)
	}
	if !normal.Until.IsZero() {
		c.at("/until", normal.Until)
	}
	if len(in.Events)+len(in.Changes) > automation.MaxSimulatedFacts {
		c.Add("/events", "too-many", "events and changes together are at most %d", automation.MaxSimulatedFacts)
		return nil, automation.Invalid("the simulation", c.Problems)
	}
	for i, e := range in.Events {
		at := strictjson.Index("/events", i)
		e.At = instant(e.At)
		c.event(at, e)
		normal.Events = append(normal.Events, e)
	}
	for i, change := range in.Changes {
		at := strictjson.Index("/changes", i)
		change.At = instant(change.At)
		c.at(at+"/at", change.At)
		change.Properties = c.properties(at+"/properties", change.Properties)
		normal.Changes = append(normal.Changes, change)
	}
	return normal, automation.Invalid("the simulation", c.Problems)
}

type checker struct {
	automation.Problems
	schema     automation.Properties
	start, end time.Time
}

func (c *checker) properties(at string, values map[string]any) map[string]any {
	normal, problems := c.schema.CheckProperties(values)
	c.Join(at, problems)
	return normal
}

// at wants an instant within the simulation.
func (c *checker) at(pointer string, at time.Time) {
	switch {
	case at.IsZero():
		c.Add(pointer, "required", "an instant is required")
	case at.Before(c.start):
		c.Add(pointer, "out-of-range", "lies before the start of the simulation")
	case at.After(c.end):
		c.Add(pointer, "out-of-range", "lies more than %d years after the start of the simulation", automation.MaxSimulatedYears)
	}
}

// event judges an event, which may lie before the start: then it is the user's past.
func (c *checker) event(at string, e automation.SimulatedEvent) {
	if e.At.IsZero() || e.At.After(c.start) {
		c.at(at+"/at", e.At)
	}
	if problem, ok := automation.CheckEventName(e.Name); !ok && !isHook(e.Name) {
		c.Add(at+"/name", "event-invalid", "%s", problem)
	}
	if text, err := json.Marshal(e.Properties); err != nil || len(text) > maxEvent {
		c.Add(at+"/properties", "payload-too-large", "the properties of an event have at most 32 KiB")
	}
}

// isHook reports whether a delivery to a hook becomes an event of that name.
func isHook(event string) bool {
	_, ok := automation.HookOf(event)
	return ok
}

// instant is a time as it is recorded.
func instant(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(filter.Resolution)
}
