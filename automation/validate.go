package automation

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"rollcall/filter"
	"rollcall/strictjson"
)

// Limits of a document.
const (
	MaxSteps    = 500
	MaxArms     = 50
	MaxCases    = 250
	MaxParts    = 20
	MaxTimes    = 10_000 // that a goto may be bounded to
	MaxTriggers = 50
	MaxProgram  = 64 << 10 // bytes of the program that travels in the input of each enrollment
	maxProblems = 100
)

var (
	slug     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	stepSlug = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`)
)

// Validate judges the meaning of a document against what there is: the kinds of actions and the
// properties of users. It reports all problems, at most 100.
func (d *Document) Validate(catalog Catalog, properties Properties) Problems {
	v := validator{catalog: catalog, properties: properties, ids: map[string]string{}}
	v.head(d)
	v.triggers(d.Triggers)
	v.population(d)
	v.calendar(d)
	if len(d.Steps) == 0 {
		v.Add("/steps", "empty-graph", "a workflow has at least one step")
	}
	walkSteps(d.Steps, "/steps", func(s *Step, at string) {
		v.count++
		v.stepID(s, at)
	})
	if v.count > MaxSteps {
		v.Add("/steps", "too-many-steps", "a workflow has at most %d steps, this one has %d", MaxSteps, v.count)
	} else {
		walkSteps(d.Steps, "/steps", v.step)
	}
	if !slices.ContainsFunc(v.Problems, breaksFlow) {
		program := d.Compile(0, catalog)
		v.flow(d, &program)
		v.size(&program)
	}
	return v.Problems[:min(len(v.Problems), maxProblems)]
}

// breaksFlow reports whether a problem leaves it open which step leads where.
func breaksFlow(p Problem) bool {
	switch p.Code {
	case "duplicate-step-id", "unknown-step-type", "unknown-step", "too-many-steps":
		return true
	}
	return false
}

type validator struct {
	Problems
	catalog    Catalog
	properties Properties
	zone       string            // where dates without a zone are read
	ids        map[string]string // step id → pointer of the step that has it
	count      int
}

// size keeps the payloads of Temporal small.
func (v *validator) size(p *Program) {
	program, err := json.Marshal(p)
	if err != nil || len(program) > MaxProgram {
		v.Add("/steps", "workflow-too-large", "the steps with their ids and titles come to more than %d KiB; shorten them or use fewer steps", MaxProgram>>10)
	}
}

func (v *validator) head(d *Document) {
	if !slug.MatchString(d.Name) {
		v.Add("/name", "invalid-name", "a name is 1 to 64 characters of a-z, 0-9, - and _, and begins with a letter or digit")
	}
	if len(d.Title) > 200 {
		v.Add("/title", "too-long", "a title has at most 200 bytes")
	}
	if len(d.Description) > 4000 {
		v.Add("/description", "too-long", "a description has at most 4000 bytes")
	}
	if d.TimeZone == "" || d.TimeZone == filter.OwnZone {
		v.zone = d.TimeZone
	} else if _, err := filter.LoadZone(d.TimeZone); err != nil {
		v.Add("/time_zone", "unknown-time-zone", `there is no time zone %q; use a name such as Europe/Warsaw, or "user"`, d.TimeZone)
	} else {
		v.zone = d.TimeZone
	}
}

// population validates who is enrolled, how often, and who leaves.
func (v *validator) population(d *Document) {
	if d.Enroll.Again.After < 0 {
		v.Add("/enroll/again/after", "delay-out-of-range", "must not be negative")
	}
	if d.Enroll.Unless != nil {
		v.filter(d.Enroll.Unless, "/enroll/unless", false)
	}
	if d.Unenroll.When != nil {
		v.filter(d.Unenroll.When, "/unenroll/when", false)
	}
	byFilter := func(t Trigger) bool { return t.Filter != nil }
	if d.Unenroll.WhenTriggerStops && !slices.ContainsFunc(d.Triggers, byFilter) {
		v.Add("/unenroll/when_trigger_stops", "trigger-missing", "only a filter trigger can cease to hold, and there is none")
	}
	if d.Guard == nil {
		return
	}
	if d.Guard.MaxPerHour < 0 {
		v.Add("/guard/max_per_hour", "guard-invalid", "must be more than 0")
	}
	if d.Guard.MaxPerHour == 0 && d.Guard.MaxShare == 0 {
		v.Add("/guard", "guard-invalid", `a guard has "max_per_hour", "max_share" or both`)
	}
}

func (v *validator) triggers(triggers []Trigger) {
	if len(triggers) == 0 {
		v.Add("/triggers", "no-trigger", `a workflow has at least one trigger; { "manual": true } enrolls on request only`)
	}
	if len(triggers) > MaxTriggers {
		v.Add("/triggers", "too-many-triggers", "a workflow has at most %d triggers", MaxTriggers)
		return
	}
	for i, t := range triggers {
		at := strictjson.Index("/triggers", i)
		if !exactlyOne(t.Event != "", t.Webhook != "", t.Filter != nil, t.Schedule != nil, t.Manual) {
			v.Add(at, "unknown-trigger-kind", `a trigger has exactly one of "event", "webhook", "filter", "schedule" and "manual"`)
			continue
		}
		if t.Where != nil && t.Hears() == "" && t.Schedule == nil {
			v.Add(at+"/where", "where-not-taken", `only an event trigger, a webhook and a schedule have a "where"`)
		}
		v.triggerParts(t, at)
	}
}

func exactlyOne(set ...bool) bool {
	n := 0
	for _, is := range set {
		if is {
			n++
		}
	}
	return n == 1
}

func (v *validator) triggerParts(t Trigger, at string) {
	if t.Event != "" {
		v.eventName(t.Event, at+"/event")
	}
	if t.Webhook != "" {
		v.hook(t.Webhook, at+"/webhook")
	}
	if t.Where != nil {
		v.filter(t.Where, at+"/where", t.Hears() != "")
	}
	if t.Schedule != nil {
		t.Schedule.Validate(at+"/schedule", &v.Problems, v.properties)
		if t.Schedule.TimeZone == "" && v.zone == filter.OwnZone {
			v.Add(at+"/schedule/time_zone", "required", "where each user has their own time zone, a schedule says its own")
		}
	}
	if t.Filter != nil {
		v.filter(t.Filter, at+"/filter", false)
	}
}

func (v *validator) eventName(name, at string) {
	if len(name) > 256 {
		v.Add(at, "invalid-name", "an event name has at most 256 bytes")
	}
	if strings.HasPrefix(name, "$") {
		v.Add(at, "invalid-name", `names that begin with "$" are the system's own`)
	}
	if hook, ok := strings.CutPrefix(name, hookEvents); ok {
		v.hook(hook, at)
	}
	if !systemName.MatchString(name) {
		return
	}
	for _, kind := range SystemEvents() {
		if kind.Name == name {
			return
		}
	}
	v.Add(at, "unknown-event", "the system emits no event %q", name)
}

func (v *validator) hook(name, at string) {
	if !slug.MatchString(name) || v.catalog.HasHook != nil && !v.catalog.HasHook(name) {
		v.Add(at, "unknown-hook", "there is no hook %q; make it with PUT /v1/hooks/{name}", strictjson.Short(name))
	}
}

func (v *validator) filter(t *filter.Tree, at string, event bool) {
	v.filterIn(t, at, v.properties.Scope(event, v.zone))
}

func (v *validator) filterIn(t *filter.Tree, at string, scope filter.Scope) {
	_, problems := filter.Compile(t, scope)
	v.Join(at, problems)
}
