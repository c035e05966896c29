// Package automation is the domain of Rollcall: definitions, their versions and steps, users,
// events and enrollments; parsing, validation and normal form.
//
// Floor 0: the standard library, filter and strictjson only. It reads no clock, no network and
// no database; replayed code may use all of it.
package automation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rollcall/strictjson"
)

// MaxUserID is the length of a user id in bytes, so that every Temporal workflow id fits.
const MaxUserID = 128

// User is a person automated about. Ids are opaque: they stand in Temporal's workflow ids in
// plain text, so they must not be addresses or names.
type User struct {
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties"` // by name; empty properties are absent
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
}

// CheckUserID says whether an id can be a user's.
func CheckUserID(id string) (problem string, ok bool) {
	switch {
	case id == "":
		return "a user id must not be empty", false
	case len(id) > MaxUserID:
		return "a user id has at most 128 bytes", false
	case !utf8.ValidString(id):
		return "a user id must be UTF-8 text", false
	}
	for _, r := range id {
		if unicode.IsControl(r) || r == '/' {
			return `a user id must not hold control characters or "/"`, false
		}
	}
	return "", true
}

// Change is one property of one user that went from one value to another.
type Change struct {
	Property string    `json:"property"`
	Old      any       `json:"old"` // null when it was empty
	New      any       `json:"new"` // null when it was cleared
	At       time.Time `json:"at"`
	Source   string    `json:"source"` // "api", or the enrollment's Temporal workflow id
}

// Event is a fact about a user. Names that begin with "user." or "property." are the system's own, those
// that begin with "webhook." are of deliveries to hooks.
type Event struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	UserID     string         `json:"user_id"`
	OccurredAt time.Time      `json:"occurred_at"`
	Properties map[string]any `json:"properties"`
}

// The events that a change to a user emits by itself.
const (
	EventUserCreated           = "user.created"
	EventUserUpdated           = "user.updated"
	EventUserDeactivated       = "user.deactivated"
	EventUserReactivated       = "user.reactivated"
	EventUserDeleted           = "user.deleted"
	EventPermissionSetsChanged = "user.permission_sets_changed"
	EventTeamsChanged          = "user.teams_changed"
	EventSeatsChanged          = "user.seats_changed"
	EventEmailDisconnected     = "user.email_disconnected"
	EventCalendarDisconnected  = "user.calendar_disconnected"
	EventInviteBounced         = "user.invite_bounced"
	EventPropertyChanged       = "property.changed"
)

// SystemEvents lists the events that changes emit, with what they mean.
func SystemEvents() []EventKind {
	return []EventKind{
		{EventUserCreated, "A user was created; the event has all properties it was created with."},
		{EventUserUpdated, "One or more properties of a user changed; the event has the list changed and the objects old and new."},
		{EventPropertyChanged, "One property changed; the event has property, old and new. One event for each property."},
		{EventUserDeactivated, "The status became deactivated."},
		{EventUserReactivated, "The status left deactivated."},
		{EventUserDeleted, "The user was deleted."},
		{EventPermissionSetsChanged, "The permission sets changed; the event has old and new."},
		{EventTeamsChanged, "The teams or the main team changed; the event has property, old and new."},
		{EventSeatsChanged, "The seats changed; the event has old and new."},
		{EventEmailDisconnected, "The email status became disconnected."},
		{EventCalendarDisconnected, "The calendar status became disconnected."},
		{EventInviteBounced, "The invite status became bounced."},
	}
}

// EventKind is one event that the system emits.
type EventKind struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// CheckCountedEvent says whether filters can count events of this name. The changes of properties are
// not kept as events; conditions on the property itself ask about them.
func CheckCountedEvent(name string) (problem string, ok bool) {
	switch {
	case name == EventUserUpdated || name == EventPropertyChanged:
		return `changes are not counted as events; ask {"property": …, "of": "changed_at"}`, false
	case name == EventUserDeleted:
		return "a user who was deleted has no events", false
	case Counted(name):
		return "", true
	}
	if problem, ok := CheckEventName(name); !ok && !systemName.MatchString(name) {
		return problem, false
	} else if !ok {
		return fmt.Sprintf("the system emits no event %q", strictjson.Short(name)), false
	}
	return "", true
}

// Counted reports whether an event that changes emit, or that is a delivery to a hook, is kept with the
// events that were sent.
func Counted(name string) bool {
	switch name {
	case EventUserUpdated, EventPropertyChanged, EventUserDeleted:
		return false
	}
	if _, ok := HookOf(name); ok {
		return true
	}
	return slices.ContainsFunc(SystemEvents(), func(k EventKind) bool { return k.Name == name })
}

var systemName = regexp.MustCompile(`^(user|property)\.`)

// CheckEventName says whether callers may send events of this name.
func CheckEventName(name string) (problem string, ok bool) {
	switch {
	case name == "" || len(name) > 256:
		return "an event name has 1 to 256 bytes", false
	case systemName.MatchString(name) || name[0] == '$':
		return `names that begin with "user.", "property." or "$" are the system's own`, false
	case strings.HasPrefix(name, hookEvents):
		return `names that begin with "webhook." are those of deliveries to hooks`, false
	}
	return "", true
}

// IsName reports whether a text can be the name of a workflow.
func IsName(text string) bool { return slug.MatchString(text) }
