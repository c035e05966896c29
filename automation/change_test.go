package automation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
)

var moment = time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)

func TestDiff(t *testing.T) {
	t.Parallel()
	change := func(property string, before, after any) automation.Change {
		return automation.Change{Property: property, Old: before, New: after, At: moment, Source: "api"}
	}
	for _, tt := range []struct {
		name          string
		before, after map[string]any
		want          []automation.Change
	}{
		{"nothing of nothing", nil, nil, nil},
		{"equal values are no change", map[string]any{"a": "x", "l": []any{"p", "q"}}, map[string]any{"a": "x", "l": []any{"p", "q"}}, nil},
		{"a value that is set", map[string]any{}, map[string]any{"a": "x"}, []automation.Change{change("a", nil, "x")}},
		{"a value that goes", map[string]any{"a": "x"}, map[string]any{}, []automation.Change{change("a", "x", nil)}},
		{"a value that is cleared", map[string]any{"a": "x"}, map[string]any{"a": nil}, []automation.Change{change("a", "x", nil)}},
		{"a null for nothing is no change", map[string]any{}, map[string]any{"a": nil}, nil},
		{"nothing for a null is no change", map[string]any{"a": nil}, map[string]any{}, nil},
		{"a falsehood is not nothing", map[string]any{}, map[string]any{"a": false}, []automation.Change{change("a", nil, false)}},
		{"a list that grows", map[string]any{"l": []any{"p"}}, map[string]any{"l": []any{"p", "q"}}, []automation.Change{change("l", []any{"p"}, []any{"p", "q"})}},
		{
			"several changes come in the order of their names",
			map[string]any{"b": "x", "c": 1.0, "d": true},
			map[string]any{"a": "new", "c": 2.0, "d": true},
			[]automation.Change{change("a", nil, "new"), change("b", "x", nil), change("c", 1.0, 2.0)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, automation.Diff(tt.before, tt.after, moment, "api"))
		})
	}
}

func TestNoChangesAreNoEvents(t *testing.T) {
	t.Parallel()
	require.Empty(t, automation.ChangeEvents("u_1", nil, moment))
}

func TestChangesEmitEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, property string
		before, after  any
		means          []string
	}{
		{"a deactivation", "status", "active", "deactivated", []string{"user.deactivated"}},
		{"a deactivation out of nothing", "status", nil, "deactivated", []string{"user.deactivated"}},
		{"a reactivation", "status", "deactivated", "active", []string{"user.reactivated"}},
		{"a reactivation by clearing", "status", "deactivated", nil, []string{"user.reactivated"}},
		{"a status that means nothing", "status", nil, "active", nil},
		{"other teams", "teams", []any{"a"}, []any{"a", "b"}, []string{"user.teams_changed"}},
		{"another main team", "main_team", "a", "b", []string{"user.teams_changed"}},
		{"other seats", "seats", nil, []any{"sales"}, []string{"user.seats_changed"}},
		{"other permission sets", "permission_sets", []any{"a"}, nil, []string{"user.permission_sets_changed"}},
		{"a mailbox that is disconnected", "email_status", "connected", "disconnected", []string{"user.email_disconnected"}},
		{"a mailbox that is connected", "email_status", "disconnected", "connected", nil},
		{"a calendar that is disconnected", "calendar_status", nil, "disconnected", []string{"user.calendar_disconnected"}},
		{"a calendar that is cleared", "calendar_status", "disconnected", nil, nil},
		{"an invitation that bounced", "invite_status", "pending", "bounced", []string{"user.invite_bounced"}},
		{"an invitation that was accepted", "invite_status", "bounced", "accepted", nil},
		{"a property like any other", "job_title", "agent", "head", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events := automation.ChangeEvents("u_1", []automation.Change{{Property: tt.property, Old: tt.before, New: tt.after}}, moment)
			detail := map[string]any{"property": tt.property, "old": tt.before, "new": tt.after}
			want := []automation.Event{
				{Name: "user.updated", UserID: "u_1", OccurredAt: moment, Properties: map[string]any{
					"changed": []any{tt.property}, "old": map[string]any{tt.property: tt.before}, "new": map[string]any{tt.property: tt.after},
				}},
				{Name: "property.changed", UserID: "u_1", OccurredAt: moment, Properties: detail},
			}
			for _, name := range tt.means {
				want = append(want, automation.Event{Name: name, UserID: "u_1", OccurredAt: moment, Properties: detail})
			}
			require.Equal(t, want, events)
		})
	}
}

func TestSeveralChangesAreOneUpdate(t *testing.T) {
	t.Parallel()
	events := automation.ChangeEvents("u_1", []automation.Change{
		{Property: "main_team", Old: "sales", New: "support"},
		{Property: "phone", New: "1"},
		{Property: "status", Old: "active", New: "deactivated"},
		{Property: "teams", Old: []any{"sales"}, New: []any{"support"}},
	}, moment)
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.Name
	}
	require.Equal(t, []string{
		"user.updated",
		"property.changed", "user.teams_changed",
		"property.changed",
		"property.changed", "user.deactivated",
		"property.changed",
	}, names, "each meaning once")
	require.Equal(t, map[string]any{
		"changed": []any{"main_team", "phone", "status", "teams"},
		"old":     map[string]any{"main_team": "sales", "phone": nil, "status": "active", "teams": []any{"sales"}},
		"new":     map[string]any{"main_team": "support", "phone": "1", "status": "deactivated", "teams": []any{"support"}},
	}, events[0].Properties)
}

func TestACreationIsOneEvent(t *testing.T) {
	t.Parallel()
	u := &automation.User{ID: "u_1", CreatedAt: moment, Properties: map[string]any{"status": "deactivated", "teams": []any{"a"}}}
	require.Equal(t, []automation.Event{
		{Name: "user.created", UserID: "u_1", OccurredAt: moment, Properties: map[string]any{"status": "deactivated", "teams": []any{"a"}}},
	}, automation.CreationEvents(u))
}

func TestEveryEventOfAChangeIsASystemEvent(t *testing.T) {
	t.Parallel()
	var known []string
	for _, kind := range automation.SystemEvents() {
		_, free := automation.CheckEventName(kind.Name)
		require.False(t, free, kind.Name)
		known = append(known, kind.Name)
	}
	require.Equal(t, []string{
		"user.created", "user.updated", "property.changed", "user.deactivated", "user.reactivated", "user.deleted",
		"user.permission_sets_changed", "user.teams_changed", "user.seats_changed", "user.email_disconnected",
		"user.calendar_disconnected", "user.invite_bounced",
	}, known)
}

func TestCheckProperties(t *testing.T) {
	t.Parallel()
	schema := automation.Properties{
		"email": {Name: "email", Type: filter.String}, "desks": {Name: "desks", Type: filter.Number},
		"skills": {Name: "skills", Type: filter.MultiEnum}, "created_at": {Name: "created_at", Type: filter.Datetime},
	}
	normal, problems := schema.CheckProperties(map[string]any{
		"skills": []any{"sql", "go", "sql"}, "desks": "2", "email": "a@b", "created_at": "2027-01-04T09:00:00Z", "a/b": 1.0, "first": nil,
	})
	require.Equal(t, map[string]any{"skills": []any{"go", "sql"}}, normal)
	require.Equal(t, automation.Problems{
		{Pointer: "/a~1b", Code: "unknown-property", Message: `there is no property "a/b"; declare it with PUT /v1/properties/{name}`},
		{Pointer: "/created_at", Code: "read-only-field", Message: `the property "created_at" is set by the system`},
		{Pointer: "/desks", Code: "wrong-type", Message: "desks must be a number"},
		{Pointer: "/email", Code: "invalid-email", Message: "email must be one plain address such as ada@example.com"},
		{Pointer: "/first", Code: "unknown-property", Message: `there is no property "first"; declare it with PUT /v1/properties/{name}`},
	}, problems)
}

func TestNullsStayNulls(t *testing.T) {
	t.Parallel()
	normal, problems := properties().CheckProperties(map[string]any{"team": nil, "title": ""})
	require.Empty(t, problems)
	require.Equal(t, map[string]any{"team": nil, "title": nil}, normal)
}

func TestCheckUserID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"u", "u_42", "Ünïcödé", "😀", "a b", "..", `a\b`, "a@b.c", strings.Repeat("x", 128)} {
		t.Run(id+" is an id", func(t *testing.T) {
			t.Parallel()
			problem, ok := automation.CheckUserID(id)
			require.True(t, ok)
			require.Empty(t, problem)
		})
	}
	const control = `a user id must not hold control characters or "/"`
	for _, tt := range []struct{ name, id, problem string }{
		{"nothing", "", "a user id must not be empty"},
		{"129 bytes", strings.Repeat("x", 129), "a user id has at most 128 bytes"},
		{"129 bytes of 43 characters", strings.Repeat("€", 43), "a user id has at most 128 bytes"},
		{"bytes that are no text", "u\xff", "a user id must be UTF-8 text"},
		{"a slash", "a/b", control},
		{"a way up", "../b", control},
		{"a line break", "a\nb", control},
		{"a NUL", "a\x00", control},
		{"a DEL", "a\x7f", control},
		{"a control character beyond ASCII", "a\u0085b", control},
	} {
		t.Run(tt.name+" is no id", func(t *testing.T) {
			t.Parallel()
			problem, ok := automation.CheckUserID(tt.id)
			require.False(t, ok)
			require.Equal(t, tt.problem, problem)
		})
	}
}

func TestCheckEventName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"login", "survey.completed", "user", "users.x", "User.created", "property", strings.Repeat("x", 256)} {
		t.Run(name+" is free", func(t *testing.T) {
			t.Parallel()
			problem, ok := automation.CheckEventName(name)
			require.True(t, ok)
			require.Empty(t, problem)
		})
	}
	const reserved = `names that begin with "user.", "property." or "$" are the system's own`
	for _, tt := range []struct{ name, event, problem string }{
		{"nothing", "", "an event name has 1 to 256 bytes"},
		{"257 bytes", strings.Repeat("x", 257), "an event name has 1 to 256 bytes"},
		{"an event of the system", "user.created", reserved},
		{"an event that the system does not emit", "user.x", reserved},
		{"a property event", "property.changed", reserved},
		{"a dollar", "$identify", reserved},
	} {
		t.Run(tt.name+" is not free", func(t *testing.T) {
			t.Parallel()
			problem, ok := automation.CheckEventName(tt.event)
			require.False(t, ok)
			require.Equal(t, tt.problem, problem)
		})
	}
}
