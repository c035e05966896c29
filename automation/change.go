package automation

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"

	"rollcall/filter"
	"rollcall/strictjson"
)

// Diff lists what changes when the properties of a user go from old to new, sorted by property.
func Diff(before, after map[string]any, at time.Time, source string) []Change {
	var changes []Change
	for name, v := range after {
		if !reflect.DeepEqual(before[name], v) {
			changes = append(changes, Change{Property: name, Old: before[name], New: v, At: at, Source: source})
		}
	}
	for name, v := range before {
		if _, kept := after[name]; !kept && v != nil {
			changes = append(changes, Change{Property: name, Old: v, At: at, Source: source})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Property, b.Property) })
	return changes
}

// CreationEvents are the events that the creation of a user emits.
func CreationEvents(u *User) []Event {
	return []Event{{Name: EventUserCreated, UserID: u.ID, OccurredAt: u.CreatedAt, Properties: u.Properties}}
}

// ChangeEvents are the events that changes of one user, made at one moment, emit.
func ChangeEvents(userID string, changes []Change, at time.Time) []Event {
	if len(changes) == 0 {
		return nil
	}
	names, before, after := []any{}, map[string]any{}, map[string]any{}
	var single []Event
	for _, c := range changes {
		names = append(names, c.Property)
		before[c.Property], after[c.Property] = c.Old, c.New
		detail := map[string]any{"property": c.Property, "old": c.Old, "new": c.New}
		single = append(single, Event{Name: EventPropertyChanged, UserID: userID, OccurredAt: at, Properties: detail})
		same := func(e Event) bool { return e.Name == meaningOf(c) }
		if name := meaningOf(c); name != "" && !slices.ContainsFunc(single, same) {
			single = append(single, Event{Name: name, UserID: userID, OccurredAt: at, Properties: detail})
		}
	}
	updated := Event{
		Name: EventUserUpdated, UserID: userID, OccurredAt: at,
		Properties: map[string]any{"changed": names, "old": before, "new": after},
	}
	return append([]Event{updated}, single...)
}

// meaningOf names the event that says what a change means; "" when there is none.
func meaningOf(c Change) string {
	switch c.Property {
	case "status":
		switch {
		case c.New == "deactivated":
			return EventUserDeactivated
		case c.Old == "deactivated":
			return EventUserReactivated
		}
	case "permission_sets":
		return EventPermissionSetsChanged
	case "teams", "main_team":
		return EventTeamsChanged
	case "seats":
		return EventSeatsChanged
	case "email_status":
		if c.New == "disconnected" {
			return EventEmailDisconnected
		}
	case "calendar_status":
		if c.New == "disconnected" {
			return EventCalendarDisconnected
		}
	case "invite_status":
		if c.New == "bounced" {
			return EventInviteBounced
		}
	}
	return ""
}

// CheckProperties brings the properties of a user to normal form. Nulls stay nulls. The problems
// have pointers relative to the object of properties.
func (ps Properties) CheckProperties(values map[string]any) (map[string]any, Problems) {
	normal := make(map[string]any, len(values))
	var problems Problems
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, known := ps[name]
		switch {
		case !known:
			problems.Add(strictjson.Field("", name), "unknown-property", "there is no property %q; declare it with PUT /v1/properties/{name}", name)
			continue
		case slices.Contains(ReadOnlyProperties(), name):
			problems.Add(strictjson.Field("", name), "read-only-field", "the property %q is set by the system", name)
			continue
		}
		v, problem := p.Check(values[name])
		if problem != "" {
			problems.Add(strictjson.Field("", name), valueCode(p, values[name]), "%s %s", name, problem)
			continue
		}
		normal[name] = v
	}
	return normal, problems
}

func valueCode(p Property, v any) string {
	if s, ok := v.(string); ok && len(s) > MaxStringValue {
		return "value-too-long"
	}
	if p.Type == filter.String && p.Name == "email" {
		return "invalid-email"
	}
	return "wrong-type"
}
