package filter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
	"rollcall/strictjson"
)

// types is the schema that the filters of these tests speak of: properties of each type, two where they
// can be compared with each other.
func types() map[string]filter.Type {
	return map[string]filter.Type{
		"title": filter.String, "desks": filter.Number, "admin": filter.Bool, "hired": filter.Date, "seen_at": filter.Datetime,
		"team": filter.Enum, "city": filter.Enum, "skills": filter.MultiEnum, "boss": filter.User, "reports": filter.Users,
		"rooms": filter.Number, "owner": filter.Bool, "left": filter.Date, "due_at": filter.Datetime, "town": filter.Enum, "mate": filter.User,
		"time_zone": filter.String,
	}
}

func scope() filter.Scope {
	return filter.Scope{Types: types(), Options: map[string][]string{"team": {"support", "sales"}}, Event: true}
}

func in(t *testing.T, zone string) filter.Scope {
	t.Helper()
	s := scope()
	s.Zone = zone
	return s
}

func value(t *testing.T, text string) any {
	t.Helper()
	v, err := strictjson.Parse([]byte(text))
	require.NoError(t, err)
	return v
}

func tree(t *testing.T, text string) *filter.Tree {
	t.Helper()
	var tree filter.Tree
	var problems strictjson.Problems
	tree.DecodeJSON(value(t, text), "", &problems)
	require.Empty(t, problems)
	return &tree
}

func compile(t *testing.T, text string, s filter.Scope) *filter.Filter {
	t.Helper()
	f, problems := filter.Compile(tree(t, text), s)
	require.Empty(t, problems)
	return f
}

// wrong compiles a tree that has problems.
func wrong(t *testing.T, text string) strictjson.Problems {
	t.Helper()
	_, problems := filter.Compile(tree(t, text), scope())
	return problems
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

// asked reads the properties of a user who is asked about at an instant.
func asked(t *testing.T, user, now string) filter.Subject {
	t.Helper()
	s := subject(t, user)
	s.Now = instant(t, now)
	return s
}

// subject reads the properties of a user.
func subject(t *testing.T, user string) filter.Subject {
	t.Helper()
	properties, _ := value(t, user).(map[string]any)
	return filter.Subject{User: properties}
}
