package automation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
)

func TestCheckBringsValuesToNormalForm(t *testing.T) {
	t.Parallel()
	options := []string{"sales", "support"}
	for _, tt := range []struct {
		name     string
		property automation.Property
		v, want  any
	}{
		{"a null is empty", automation.Property{Type: filter.Number}, nil, nil},
		{"a text stays as it is", automation.Property{Type: filter.String}, " Ada ", " Ada "},
		{"an empty text is empty", automation.Property{Type: filter.String}, "", nil},
		{"the longest text", automation.Property{Type: filter.String}, strings.Repeat("x", 65536), strings.Repeat("x", 65536)},
		{"a number", automation.Property{Type: filter.Number}, -1.5, -1.5},
		{"a zero", automation.Property{Type: filter.Number}, 0.0, 0.0},
		{"a falsehood", automation.Property{Type: filter.Bool}, false, false},
		{"a date", automation.Property{Type: filter.Date}, "2028-02-29", "2028-02-29"},
		{"an empty text for a date is empty", automation.Property{Type: filter.Date}, "", nil},
		{"an instant becomes UTC", automation.Property{Type: filter.Datetime}, "2027-01-04T09:00:00+01:00", "2027-01-04T08:00:00Z"},
		{"an instant keeps its fraction without zeros", automation.Property{Type: filter.Datetime}, "2027-01-04T09:00:00.1200Z", "2027-01-04T09:00:00.12Z"},
		{"an instant loses a fraction of nothing", automation.Property{Type: filter.Datetime}, "2027-01-04T09:00:00.000Z", "2027-01-04T09:00:00Z"},
		{"an option", automation.Property{Type: filter.Enum, Options: options}, "sales", "sales"},
		{"any value where there are no options", automation.Property{Type: filter.Enum}, "Kraków", "Kraków"},
		{"a list is sorted and each item once", automation.Property{Type: filter.MultiEnum}, []any{"b", "a", "b", "B"}, []any{"B", "a", "b"}},
		{"an empty list is empty", automation.Property{Type: filter.MultiEnum}, []any{}, nil},
		{"an empty text for a list is empty", automation.Property{Type: filter.MultiEnum}, "", nil},
		{"options in a list", automation.Property{Type: filter.MultiEnum, Options: options}, []any{"support"}, []any{"support"}},
		{"a user", automation.Property{Type: filter.User}, "u_1", "u_1"},
		{"users are sorted", automation.Property{Type: filter.Users}, []any{"u_2", "u_1"}, []any{"u_1", "u_2"}},
		{"a time zone", automation.Property{Name: "time_zone", Type: filter.String}, "Europe/Warsaw", "Europe/Warsaw"},
		{"an address", automation.Property{Name: "email", Type: filter.String}, "Ada.L+x@mail.example.co.uk", "Ada.L+x@mail.example.co.uk"},
		{"a text like an address elsewhere", automation.Property{Name: "contact", Type: filter.String}, "a@b", "a@b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, problem := tt.property.Check(tt.v)
			require.Empty(t, problem)
			require.Equal(t, tt.want, got)
			again, problem := tt.property.Check(got)
			require.Empty(t, problem)
			require.Equal(t, got, again)
		})
	}
}

func TestCheckRefusesValues(t *testing.T) {
	t.Parallel()
	const list, items, plain = "must be a list of texts", "the items must be texts that are not empty", "must be one plain address such as ada@example.com"
	const date, datetime = "must be a date such as 2027-01-04", "must be an instant with a zone, such as 2027-01-04T09:00:00Z"
	email := automation.Property{Name: "email", Type: filter.String}
	for _, tt := range []struct {
		name     string
		property automation.Property
		v        any
		problem  string
	}{
		{"a number for a text", automation.Property{Type: filter.String}, 1.0, "must be a text"},
		{"a list for a text", automation.Property{Type: filter.String}, []any{"a"}, "must be a text"},
		{"an object for a text", automation.Property{Type: filter.String}, map[string]any{}, "must be a text"},
		{"a text that is too long", automation.Property{Type: filter.String}, strings.Repeat("x", 65537), "is longer than 65536 bytes"},
		{"digits for a number", automation.Property{Type: filter.Number}, "12", "must be a number"},
		{"an empty text for a number", automation.Property{Type: filter.Number}, "", "must be a number"},
		{"a truth for a number", automation.Property{Type: filter.Number}, true, "must be a number"},
		{"a list for a number", automation.Property{Type: filter.Number}, []any{}, "must be a number"},
		{"a text for a truth", automation.Property{Type: filter.Bool}, "true", "must be true or false"},
		{"an empty text for a truth", automation.Property{Type: filter.Bool}, "", "must be true or false"},
		{"a number for a truth", automation.Property{Type: filter.Bool}, 1.0, "must be true or false"},
		{"a day that does not exist", automation.Property{Type: filter.Date}, "2027-02-29", date},
		{"an instant for a date", automation.Property{Type: filter.Date}, "2027-01-04T09:00:00Z", date},
		{"a date in another order", automation.Property{Type: filter.Date}, "04.01.2027", date},
		{"a date without zeros", automation.Property{Type: filter.Date}, "2027-1-4", date},
		{"a number for a date", automation.Property{Type: filter.Date}, 20270104.0, "must be a date such as 2027-01-04"},
		{"a date for an instant", automation.Property{Type: filter.Datetime}, "2027-01-04", datetime},
		{"an instant without a zone", automation.Property{Type: filter.Datetime}, "2027-01-04T09:00:00", datetime},
		{"a leap second", automation.Property{Type: filter.Datetime}, "2027-01-04T23:59:60Z", datetime},
		{"seconds since 1970", automation.Property{Type: filter.Datetime}, 1.8e9, "must be an instant such as 2027-01-04T09:00:00Z"},
		{"a value that is no option", automation.Property{Type: filter.Enum, Options: []string{"a", "b"}}, "c", "must be one of a, b"},
		{"an option in another case", automation.Property{Type: filter.Enum, Options: []string{"a", "b"}}, "A", "must be one of a, b"},
		{"a list for an enum", automation.Property{Type: filter.Enum}, []any{"a"}, "must be a text"},
		{"a text for a list", automation.Property{Type: filter.MultiEnum}, "a", list},
		{"a number in a list", automation.Property{Type: filter.MultiEnum}, []any{"a", 1.0}, items},
		{"an empty text in a list", automation.Property{Type: filter.MultiEnum}, []any{"a", ""}, items},
		{"a null in a list", automation.Property{Type: filter.Users}, []any{nil}, items},
		{"an item that is no option", automation.Property{Type: filter.MultiEnum, Options: []string{"a"}}, []any{"a", "b"}, "must be one of a"},
		{"an item that is too long", automation.Property{Type: filter.MultiEnum}, []any{strings.Repeat("x", 1025)}, "an item has at most 1024 bytes"},
		{"a list that is too long", automation.Property{Type: filter.MultiEnum}, slices.Repeat([]any{"a"}, 1001), "a list has at most 1000 items"},
		{"a list for a user", automation.Property{Type: filter.User}, []any{"u_1"}, "must be a text"},
		{"a time zone that does not exist", automation.Property{Name: "time_zone", Type: filter.String}, "Europe/Wroclaw", "must be the name of a time zone such as Europe/Warsaw"},
		{"the zone of the machine", automation.Property{Name: "time_zone", Type: filter.String}, "Local", "must be the name of a time zone such as Europe/Warsaw"},
		{"an address without a dot", email, "a@b", plain},
		{"an address in quotes", email, `"x y"@b.c`, plain},
		{"an address of a number", email, "a@[127.0.0.1]", plain},
		{"an address with a name", email, "Ada <ada@example.com>", plain},
		{"two addresses", email, "a@b.c,d@e.f", plain},
		{"an address with another header", email, "a@b.c\r\nBcc:x", plain},
		{"an address with a line break behind it", email, "a@b.c\n", plain},
		{"an address with a space", email, " a@b.c", plain},
		{"an address of 255 bytes", email, strings.Repeat("x", 64) + "@" + strings.Repeat("y.", 94) + "cc", plain},
		{"an address without a name", email, "@example.com", plain},
		{"an address with two dots", email, "a@b..c", plain},
		{"an address whose domain ends in a hyphen", email, "a@b.c-", plain},
		{"an address whose domain has a part that begins with a hyphen", email, "a@b.-c", plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, problem := tt.property.Check(tt.v)
			require.Nil(t, got)
			require.Equal(t, tt.problem, problem)
		})
	}
}

func TestDeclarationsAreChecked(t *testing.T) {
	t.Parallel()
	const name = "a property name is 1 to 128 characters of a-z, 0-9 and _, and begins with a letter"
	for _, tt := range []struct {
		name     string
		property automation.Property
		want     automation.Problems
	}{
		{"a good one has no problems", automation.Property{Name: "desk_2", Type: filter.Enum, Options: []string{"a", "b"}, Label: "Desk"}, nil},
		{"the longest name", automation.Property{Name: strings.Repeat("x", 128), Type: filter.String}, nil},
		{"no name", automation.Property{Type: filter.String}, automation.Problems{{Pointer: "/name", Code: "invalid-name", Message: name}}},
		{"a name that is too long", automation.Property{Name: strings.Repeat("x", 129), Type: filter.String}, automation.Problems{{Pointer: "/name", Code: "invalid-name", Message: name}}},
		{"a name with a dot", automation.Property{Name: "a.b", Type: filter.String}, automation.Problems{{Pointer: "/name", Code: "invalid-name", Message: name}}},
		{"a name with a line break", automation.Property{Name: "a\n", Type: filter.String}, automation.Problems{{Pointer: "/name", Code: "invalid-name", Message: name}}},
		{"an unknown type", automation.Property{Name: "a", Type: "text"}, automation.Problems{
			{Pointer: "/type", Code: "unknown-type", Message: `there is no type "text"; known are string, number, bool, date, datetime, enum, multi_enum, user, users`},
		}},
		{"the type of event properties", automation.Property{Name: "a", Type: "event property"}, automation.Problems{
			{Pointer: "/type", Code: "unknown-type", Message: `there is no type "event property"; known are string, number, bool, date, datetime, enum, multi_enum, user, users`},
		}},
		{"options of a number", automation.Property{Name: "a", Type: filter.Number, Options: []string{"1"}}, automation.Problems{
			{Pointer: "/options", Code: "options-not-taken", Message: "only enum and multi_enum have options"},
		}},
		{"an option twice and an empty one", automation.Property{Name: "a", Type: filter.Enum, Options: []string{"x", "y", "x", ""}}, automation.Problems{
			{Pointer: "/options/2", Code: "invalid-option", Message: "options are distinct texts that are not empty"},
			{Pointer: "/options/3", Code: "invalid-option", Message: "options are distinct texts that are not empty"},
		}},
		{"a label that is too long", automation.Property{Name: "a", Type: filter.String, Label: strings.Repeat("x", 201)}, automation.Problems{
			{Pointer: "/label", Code: "too-long", Message: "a label has at most 200 bytes"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.property.Validate())
		})
	}
}

func TestBuiltInPropertiesAreGood(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, p := range automation.BuiltInProperties() {
		require.Empty(t, p.Validate(), p.Name)
		require.True(t, p.BuiltIn, p.Name)
		require.NotEmpty(t, p.Label, p.Name)
		require.False(t, names[p.Name], p.Name)
		names[p.Name] = true
	}
	for _, name := range automation.ReadOnlyProperties() {
		require.True(t, names[name], name)
	}
}

func TestScopeTellsTypesAndOptions(t *testing.T) {
	t.Parallel()
	got := properties().Scope(true, "Europe/Warsaw")
	require.NotNil(t, got.CheckEvent)
	got.CheckEvent = nil
	require.Equal(t, filter.Scope{
		Types:   map[string]filter.Type{"title": filter.String, "team": filter.Enum, "hired": filter.Date, "seen_at": filter.Datetime},
		Options: map[string][]string{"team": {"support", "sales"}}, Event: true, Zone: "Europe/Warsaw",
	}, got)
}
