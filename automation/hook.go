package automation

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rollcall/filter"
	"rollcall/strictjson"
)

// Hook is an incoming webhook: an address to which another system delivers what happens there, and what
// its deliveries mean.
type Hook struct {
	Name string `json:"name"`
	Mapping
	CreatedBy     string     `json:"created_by,omitempty"` // the name of the API key
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
	LastUsedAt    *time.Time `json:"last_used_at,omitempty"`   // to the minute
	PreviousUntil *time.Time `json:"previous_until,omitempty"` // how long the token before the last rotation is still taken
}

// Mapping is what the deliveries to a hook mean. Places are JSON Pointers into the body.
type Mapping struct {
	User       HookUser          `json:"user" doc:"Whom a delivery is about."`
	Create     bool              `json:"create,omitempty" doc:"A user who does not exist is created, where the body has the id. Else such a delivery is refused."`
	Properties map[string]string `json:"properties,omitempty" doc:"The properties of the event: name → where the body has the value, as a JSON Pointer; what the body does not have is left out. None: all members of the body."`
	EventID    string            `json:"event_id,omitempty" maxLength:"1024" doc:"Where the body has what tells deliveries apart. Without it, or where a body does not have it, the header webhook-id does, else Idempotency-Key; without any of them each delivery counts."`
	OccurredAt string            `json:"occurred_at,omitempty" maxLength:"1024" doc:"Where the body says when it happened, in RFC 3339 or in seconds since 1970; it is the time of the delivery else."`
}

// HookUser is how a delivery names a user: by ID, or by Property and Is.
type HookUser struct {
	ID       string `json:"id,omitempty" maxLength:"1024" doc:"Where the body has the user's id."`
	Property string `json:"property,omitempty" maxLength:"128" doc:"Or a property of type string, enum or number by which the user is found: exactly one user must have the value."`
	Is       string `json:"is,omitempty" maxLength:"1024" doc:"Where the body has the value of that property."`
}

// Where is the place of what names the user.
func (u HookUser) Where() string { return u.ID + u.Is }

// The names of the events that deliveries become. Nobody sends such an event otherwise.
const hookEvents = "webhook."

// Event is the name of the event that a delivery to the hook becomes.
func (h *Hook) Event() string { return HookEvent(h.Name) }

// HookEvent is the name of the event that a delivery to a hook becomes.
func HookEvent(hook string) string { return hookEvents + hook }

// HookOf is the hook whose deliveries become events of a name.
func HookOf(event string) (hook string, ok bool) {
	hook, ok = strings.CutPrefix(event, hookEvents)
	return hook, ok && slug.MatchString(hook)
}

// Needs lists where the document needs a hook, as pointers.
func (d *Document) Needs(hook string) []string {
	var places []string
	note := func(at, event, name string) {
		switch {
		case name == hook:
			places = append(places, at+"/webhook")
		case event == HookEvent(hook):
			places = append(places, at+"/event")
		}
	}
	for i, t := range d.Triggers {
		note(strictjson.Index("/triggers", i), t.Event, t.Webhook)
	}
	walkSteps(d.Steps, "/steps", func(s *Step, at string) {
		if s.WaitFor == nil {
			return
		}
		note(at+"/wait_for", s.WaitFor.Event, s.WaitFor.Webhook)
		for i, a := range s.WaitFor.Any {
			note(strictjson.Index(at+"/wait_for/any", i), a.Event, a.Webhook)
		}
	})
	return places
}

// Limits of a mapping.
const (
	maxMapped     = 100 // properties
	maxMappedName = 128 // bytes
)

// Check says what is wrong with a hook, of users who have these properties.
func (h *Hook) Check(properties Properties) Problems {
	var p Problems
	if !slug.MatchString(h.Name) || strings.HasPrefix(h.Name, HookTokens.prefix) {
		p.Add("/name", "invalid-name", "a name is 1 to 64 characters of a-z, 0-9, - and _, and begins with a letter or digit, not with %s", HookTokens.prefix)
	}
	h.User.check(&p, properties)
	if h.Create && h.User.Property != "" {
		p.Add("/create", "create-not-taken", `only a user who is named by "id" can be created`)
	}
	if len(h.Properties) > maxMapped {
		p.Add("/properties", "too-many-properties", "a hook maps at most %d properties", maxMapped)
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(h.Properties)) {
		at := strictjson.Field("/properties", name)
		if name == "" || len(name) > maxMappedName {
			p.Add(at, "invalid-name", "the name of an event's property has 1 to %d bytes", maxMappedName)
		}
		checkPlace(&p, at, h.Properties[name])
	}
	checkPlace(&p, "/event_id", h.EventID)
	checkPlace(&p, "/occurred_at", h.OccurredAt)
	return p
}

func (u HookUser) check(p *Problems, properties Properties) {
	if (u.ID != "") == (u.Property != "") || (u.Is != "") != (u.Property != "") {
		p.Add("/user", "hook-user-invalid", `a user is named by "id", or by "property" and "is"`)
		return
	}
	checkPlace(p, "/user/id", u.ID)
	checkPlace(p, "/user/is", u.Is)
	if u.Property == "" {
		return
	}
	switch property, known := properties[u.Property]; {
	case !known:
		p.Add("/user/property", "unknown-property", "there is no property %q; declare it with PUT /v1/properties/{name}", u.Property)
	case property.Type != filter.String && property.Type != filter.Enum && property.Type != filter.Number:
		p.Add("/user/property", "wrong-type", "a user is found by a property of type string, enum or number")
	}
}

func checkPlace(p *Problems, at, pointer string) {
	switch {
	case !strictjson.IsPointer(pointer):
		p.Add(at, "pointer-invalid", `must be a JSON Pointer such as "/employee/id"`)
	case len(pointer) > 1024:
		p.Add(at, "too-long", "a JSON Pointer has at most 1024 bytes")
	}
}

// Delivery is what a body that was delivered to a hook says.
type Delivery struct {
	User       string         // the user's id; "" where a property names the user
	Is         any            // the value of that property
	Properties map[string]any // of the event
	ID         string         // what tells it from others; "" where the body does not say it
	OccurredAt *time.Time     // nil where the body does not say it
}

// Read finds in a body what the mapping speaks of. The pointers of problems lead into the body.
func (m *Mapping) Read(body any, properties Properties) (d Delivery, p Problems) {
	if m.User.Property == "" {
		d.User = m.name(body, m.User.ID, true, "the id of the user", &p)
	} else if v, ok := m.find(body, m.User.Is, true, &p); ok {
		d.Is = operand(v, properties[m.User.Property].Type)
		if d.Is == nil {
			p.Add(m.User.Is, "wrong-type", "the property %s is %s", m.User.Property, properties[m.User.Property].Type.Describe())
		}
	}
	d.Properties = map[string]any{}
	if len(m.Properties) == 0 {
		if members, ok := body.(map[string]any); ok {
			d.Properties = members
		}
	}
	for name, pointer := range m.Properties {
		if v, ok := strictjson.At(body, pointer); ok {
			d.Properties[name] = v
		}
	}
	if m.EventID != "" {
		d.ID = m.name(body, m.EventID, false, "what tells deliveries apart", &p)
	}
	if v, ok := m.find(body, m.OccurredAt, false, &p); ok && m.OccurredAt != "" {
		d.OccurredAt = instantOf(v)
		if d.OccurredAt == nil {
			p.Add(m.OccurredAt, "invalid-date", "a time is written as in RFC 3339, or in seconds since 1970")
		}
	}
	return d, p
}

// find is what a body has at a place, nothing but null or an empty text left out. What is needed and not
// there is a problem.
func (m *Mapping) find(body any, pointer string, needed bool, p *Problems) (any, bool) {
	v, _ := strictjson.At(body, pointer)
	if v != nil && v != "" {
		return v, true
	}
	if needed {
		p.Add(pointer, "required", "the body has nothing here, and it is to name the user")
	}
	return nil, false
}

// name is the text or the whole number at a place.
func (m *Mapping) name(body any, pointer string, needed bool, what string, p *Problems) string {
	v, ok := m.find(body, pointer, needed, p)
	if !ok {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	p.Add(pointer, "wrong-type", "%s is a text or a whole number below 2^53", what)
	return ""
}

// operand is a value that a property of a type can have; nil for others.
func operand(v any, kind filter.Type) any {
	switch v := v.(type) {
	case string:
		if kind != filter.Number && len(v) <= MaxStringValue {
			return v
		}
	case float64:
		if kind == filter.Number {
			return v
		}
	}
	return nil
}

// instantOf reads a time; nil for what is none.
func instantOf(v any) *time.Time {
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			at = at.UTC()
			return &at
		}
	case float64:
		if math.Abs(v) < 1<<40 {
			at := time.UnixMicro(int64(math.Round(v * 1e6))).UTC()
			return &at
		}
	}
	return nil
}

// HookEventID is the id of the event that a delivery becomes, of what tells it from others of the same
// hook. It says false to what cannot.
func HookEventID(hook, id string) (text string, ok bool) {
	if id == "" || len(id) > 255 || !utf8.ValidString(id) {
		return "", false
	}
	return HookEvent(hook) + "/" + id, true
}
