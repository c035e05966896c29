package automation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollcall/filter"
)

// Limits of property values.
const (
	MaxStringValue = 64 << 10 // bytes
	MaxListValue   = 1000     // items
)

// Property is one thing that is known about users.
type Property struct {
	Name    string      `json:"name"`
	Label   string      `json:"label"`
	Type    filter.Type `json:"type"`
	Options []string    `json:"options,omitempty"` // the values an enum may have; none declared: any
	Group   string      `json:"group"`
	BuiltIn bool        `json:"built_in"`
}

// Properties is the schema of users, by name.
type Properties map[string]Property

// Scope is the filter scope of the schema. Dates without a zone are read in the one named.
func (ps Properties) Scope(event bool, zone string) filter.Scope {
	s := filter.Scope{
		Types: make(map[string]filter.Type, len(ps)), Options: map[string][]string{}, Event: event, Zone: zone, CheckEvent: CheckCountedEvent,
	}
	for name, p := range ps {
		s.Types[name] = p.Type
		if len(p.Options) > 0 {
			s.Options[name] = p.Options
		}
	}
	return s
}

// emailAddress is one address without quotes, comments or an IP literal.
var emailAddress = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

var propertyName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,127}$`)

// Validate checks a declaration.
func (p Property) Validate() Problems {
	var ps Problems
	if !propertyName.MatchString(p.Name) {
		ps.Add("/name", "invalid-name", "a property name is 1 to 128 characters of a-z, 0-9 and _, and begins with a letter")
	}
	if filter.Operators(p.Type) == nil {
		ps.Add("/type", "unknown-type", "there is no type %q; known are string, number, bool, date, datetime, enum, multi_enum, user, users", p.Type)
	}
	if len(p.Options) > 0 && p.Type != filter.Enum && p.Type != filter.MultiEnum {
		ps.Add("/options", "options-not-taken", "only enum and multi_enum have options")
	}
	for i, o := range p.Options {
		if o == "" || slices.Contains(p.Options[:i], o) {
			ps.Add(fmt.Sprintf("/options/%d", i), "invalid-option", "options are distinct texts that are not empty")
		}
	}
	if len(p.Label) > 200 {
		ps.Add("/label", "too-long", "a label has at most 200 bytes")
	}
	return ps
}

// Check brings a value to the normal form of the property: nil where it is empty, list items
// distinct and sorted. It refuses values of another type; nothing is converted.
func (p Property) Check(v any) (normal any, problem string) {
	switch v := v.(type) {
	case nil:
		return nil, ""
	case string:
		if len(v) > MaxStringValue {
			return nil, fmt.Sprintf("is longer than %d bytes", MaxStringValue)
		}
		if v == "" && p.Type != filter.Number && p.Type != filter.Bool {
			return nil, ""
		}
	}
	switch p.Type {
	case filter.Number:
		if f, ok := v.(float64); ok {
			return f, ""
		}
	case filter.Bool:
		if b, ok := v.(bool); ok {
			return b, ""
		}
	case filter.Date:
		if s, ok := v.(string); ok {
			if _, err := time.Parse(time.DateOnly, s); err == nil {
				return s, ""
			}
			return nil, "must be a date such as 2027-01-04"
		}
	case filter.Datetime:
		if s, ok := v.(string); ok {
			if at, err := time.Parse(time.RFC3339, s); err == nil && at.UTC().Year() >= 1 && at.UTC().Year() <= 9999 {
				return at.UTC().Truncate(filter.Resolution).Format(time.RFC3339Nano), ""
			}
			return nil, "must be an instant with a zone, such as 2027-01-04T09:00:00Z"
		}
	case filter.MultiEnum, filter.Users:
		if items, ok := v.([]any); ok {
			return p.checkList(items)
		}
	default:
		if s, ok := v.(string); ok {
			return p.checkText(s)
		}
	}
	return nil, "must be " + p.Type.Describe()
}

func (p Property) checkText(s string) (any, string) {
	if len(p.Options) > 0 && !slices.Contains(p.Options, s) {
		return nil, "must be one of " + strings.Join(p.Options, ", ")
	}
	switch p.Name {
	case "time_zone":
		if _, err := filter.LoadZone(s); err != nil {
			return nil, "must be the name of a time zone such as Europe/Warsaw"
		}
	case "email":
		if len(s) > 254 || !emailAddress.MatchString(s) {
			return nil, "must be one plain address such as ada@example.com"
		}
	}
	return s, ""
}

func (p Property) checkList(items []any) (any, string) {
	if len(items) > MaxListValue {
		return nil, fmt.Sprintf("a list has at most %d items", MaxListValue)
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := item.(string)
		if !ok || s == "" {
			return nil, "the items must be texts that are not empty"
		}
		if len(s) > 1024 {
			return nil, "an item has at most 1024 bytes"
		}
		if _, problem := p.checkText(s); problem != "" {
			return nil, problem
		}
		texts = append(texts, s)
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if len(texts) == 0 {
		return nil, ""
	}
	normal := make([]any, len(texts))
	for i, s := range texts {
		normal[i] = s
	}
	return normal, ""
}

// BuiltInProperties lists the properties that every installation has.
func BuiltInProperties() []Property {
	const information, setup, access, activity = "user information", "setup", "access", "activity"
	p := func(group, name, label string, kind filter.Type, options ...string) Property {
		return Property{Name: name, Label: label, Type: kind, Options: options, Group: group, BuiltIn: true}
	}
	return []Property{
		p(information, "first_name", "First name", filter.String),
		p(information, "last_name", "Last name", filter.String),
		p(information, "email", "Email", filter.String),
		p(information, "job_title", "Job title", filter.String),
		p(information, "phone", "Phone", filter.String),
		p(information, "time_zone", "Time zone", filter.String),
		p(information, "language", "Language", filter.Enum),
		p(information, "secondary_languages", "Secondary languages", filter.MultiEnum),
		p(information, "skills", "Skills", filter.MultiEnum),
		p(information, "working_hours", "Working hours", filter.String),
		p(information, "hire_date", "Hire date", filter.Date),
		p(information, "start_date", "Start date", filter.Date),
		p(information, "created_at", "Created", filter.Datetime),
		p(setup, "main_team", "Main team", filter.Enum),
		p(setup, "teams", "Teams", filter.MultiEnum),
		p(setup, "manager", "Manager", filter.User),
		p(access, "status", "Status", filter.Enum, "active", "deactivated"),
		p(access, "access", "Access", filter.String),
		p(access, "permission_sets", "Permission sets", filter.MultiEnum),
		p(access, "seats", "Seats", filter.MultiEnum),
		p(access, "super_admin", "Super admin", filter.Bool),
		p(activity, "invite_status", "Invite status", filter.Enum, "pending", "accepted", "expired", "bounced"),
		p(activity, "email_status", "Email status", filter.Enum, "connected", "disconnected"),
		p(activity, "calendar_status", "Calendar status", filter.Enum, "connected", "disconnected"),
		p(activity, "last_active_at", "Last active", filter.Datetime),
		p(activity, "scheduling_pages", "Scheduling pages", filter.Number),
		p(activity, "availability", "Availability", filter.Enum, "available", "away"),
	}
}

// ReadOnlyProperties are set by the system only.
func ReadOnlyProperties() []string { return []string{"created_at"} }
