package postgres_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/filter"
)

// oddName is a property, an event and a workflow whose name means something to everyone it passes.
const oddName = `'; DROP TABLE users; -- "%s" $1 \ %`

// types are two properties of each type, so that one can be compared with the other.
var types = map[string]filter.Type{
	"title": filter.String, "email": filter.String, oddName: filter.String, "time_zone": filter.String,
	"desks": filter.Number, "chairs": filter.Number, "admin": filter.Bool, "owner": filter.Bool,
	"hired": filter.Date, "leaves": filter.Date, "seen_at": filter.Datetime, "asked_at": filter.Datetime,
	"team": filter.Enum, "main_team": filter.Enum, "boss": filter.User, "deputy": filter.User,
	"skills": filter.MultiEnum, "peers": filter.Users,
}

var (
	names      = slices.Sorted(maps.Keys(types))
	eventNames = []string{"login", oddName}
	workflows  = []string{"welcome", "leaving"}
	zoneNames  = []string{
		"UTC", "Europe/Warsaw", "America/New_York", "America/St_Johns", "America/Havana", "Pacific/Apia", "Pacific/Kiritimati",
		"Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Asuncion", "Asia/Beirut",
	}
	// moments are days on which something is odd in one of the zones.
	moments = []time.Time{
		day(2011, 12, 30), day(2011, 12, 31), day(1994, 12, 31), day(1995, 1, 1), // skipped dates
		day(2007, 3, 11), day(2010, 11, 7), // clocks that change at 00:01
		day(2024, 3, 10), day(2024, 11, 3), day(2024, 4, 26), day(2024, 10, 6), day(2023, 3, 26), day(2027, 3, 28), // at midnight
		day(2024, 2, 29), day(2028, 2, 29), day(2027, 2, 28), day(2027, 3, 1), day(2026, 12, 31), day(2027, 1, 1), day(2027, 1, 4),
	}
	kinds = []filter.Type{
		filter.String, filter.Number, filter.Bool, filter.Date, filter.Datetime, filter.Enum, filter.MultiEnum,
	}
)

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// instants lie about an odd day, some of them on its edges.
func instants() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		at := rapid.SampledFrom(moments).Draw(t, "day")
		at = at.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "quarters")) * 15 * time.Minute)
		units := []time.Duration{0, time.Nanosecond, time.Microsecond, time.Millisecond, time.Second, time.Minute}
		return at.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "units")) * rapid.SampledFrom(units).Draw(t, "unit"))
	})
}

// around lies near an instant, or far away.
func around(now time.Time) *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		switch rapid.IntRange(0, 5).Draw(t, "how near") {
		case 0:
			return instants().Draw(t, "elsewhere")
		case 1:
			return now.AddDate(rapid.IntRange(-3, 3).Draw(t, "years"), 0, rapid.IntRange(-2, 2).Draw(t, "days"))
		case 2:
			units := []time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond, time.Second, time.Minute, time.Hour}
			return now.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "units")) * rapid.SampledFrom(units).Draw(t, "unit"))
		case 3:
			far := []time.Time{day(1, 1, 1), day(9999, 12, 31), day(1800, 5, 5), day(2500, 1, 1), day(4, 2, 29)}
			return rapid.SampledFrom(far).Draw(t, "far away")
		default:
			return now.Add(time.Duration(rapid.IntRange(-40*4, 40*4).Draw(t, "quarters of days")) * 6 * time.Hour)
		}
	})
}

// texts are short, of few letters, so that they meet.
func texts() *rapid.Generator[string] {
	letters := []rune("aAbBkKKſsSiIİıåÅÅßẞσςΣωΩΩżŻǆǅǄéÉᾳᾼ😀é\u0301\u200d7-0.%_\\'\"$[]()*^+?|{} \n\tЖж")
	return rapid.Custom(func(t *rapid.T) string {
		s := string(rapid.SliceOfN(rapid.SampledFrom(letters), 0, 4).Draw(t, "letters"))
		return rapid.SampledFrom([]string{s, s, s, "***=" + s, "(?i)" + s, strings.Repeat(s, 3), "true", "10", "Support"}).Draw(t, "text")
	})
}

func numbers() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(-4, 8), func(n int) float64 { return float64(n) / 2 }),
		rapid.SampledFrom([]float64{0.1, 0.2, 0.1 + 0.2, 1e21, 1e22, 123456789, 1e-7, 5e-324, 1.7976931348623157e308, -1e300, 1 << 53, 10}),
	)
}

var choices = rapid.SampledFrom([]string{"sales", "Sales", "support", "u_1", "u_2", "ß", "7", "true", "go", "sql", "a"})

// valueOf draws a value as a property of a type is stored.
func valueOf(kind filter.Type, now time.Time) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch kind {
		case filter.String:
			return texts().Draw(t, "text")
		case filter.Number:
			return numbers().Draw(t, "number")
		case filter.Bool:
			return rapid.Bool().Draw(t, "truth")
		case filter.Date:
			return around(now).Draw(t, "date").Format(time.DateOnly)
		case filter.Datetime:
			return around(now).Draw(t, "instant").UTC().Format(time.RFC3339Nano)
		case filter.MultiEnum, filter.Users:
			list := []any{}
			for _, s := range rapid.SliceOfN(choices, 0, 4).Draw(t, "items") {
				list = append(list, s)
			}
			return list
		default:
			return choices.Draw(t, "choice")
		}
	})
}

// garbage are values that a property should not have; none is a time in a form that is never stored.
var garbage = rapid.SampledFrom([]any{
	nil, "",
	[]any{},
	map[string]any{},
	map[string]any{"a": 1.0},
	[]any{nil},
	[]any{"a", 7.0},
	[]any{[]any{"a"}},
	[]any{"sales", []any{"sales"}},
	[]any{""},
	[]any{"go", "go"},
	true, false, 0.0, 7.0, "7", "true", "null", "[]", "{}", "Mars/Olympus", "Local",
	[]any{"Europe/Warsaw"},
	"2027-02-29", "2027-1-04", "2027-01-04\n", " 2027-01-04", "0000-02-30", "２０２７-01-04", "2027-01-04 09:00", "2027-01-04T09:00:00", "2027-01-04T24:00:00Z",
	"2027-01-04T09:00:60Z", "2027-01-04T09:00:00.Z", "2027-01-04T09:00:00Z\n", "20270104", 20270104.0,
	[]any{"2027-01-04"},
	[]any{"2027-01-04T09:00:00Z"},
})

// anything is most often a value of the type.
func anything(kind filter.Type, now time.Time) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 9).Draw(t, "kind of value") {
		case 0:
			return rapid.SampledFrom([]any{nil, "", []any{}}).Draw(t, "empty")
		case 1:
			return garbage.Draw(t, "garbage")
		case 2:
			return valueOf(rapid.SampledFrom(kinds).Draw(t, "type"), now).Draw(t, "other")
		default:
			return valueOf(kind, now).Draw(t, "value")
		}
	})
}

// person is a user with a past.
type person struct {
	id         string
	properties map[string]any
	changes    []change
	events     []event
	enrolled   []enrollment
}

type change struct {
	property string
	value    any
	at       time.Time
}

type event struct {
	name       string
	at         time.Time
	properties map[string]any
}

type enrollment struct {
	workflow string
	status   string
	rejected bool
}

func people(now time.Time) *rapid.Generator[person] {
	now = now.Truncate(time.Microsecond)
	return rapid.Custom(func(t *rapid.T) person {
		p := person{properties: map[string]any{}}
		for _, name := range names {
			if rapid.IntRange(0, 9).Draw(t, name+" is set") > 1 {
				p.properties[name] = anything(types[name], now).Draw(t, name)
			}
		}
		if rapid.IntRange(0, 5).Draw(t, "has a zone") > 0 {
			p.properties["time_zone"] = rapid.SampledFrom(zoneNames).Draw(t, "zone")
		}
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			name := rapid.SampledFrom(names).Draw(t, "property")
			p.changes = append(p.changes, change{name, anything(types[name], now).Draw(t, "new"), around(now).Draw(t, "at").Truncate(time.Microsecond)})
		}
		for range rapid.IntRange(0, 6).Draw(t, "events") {
			e := event{rapid.SampledFrom(eventNames).Draw(t, "name"), around(now).Draw(t, "at").Truncate(time.Microsecond), map[string]any{}}
			for _, name := range []string{"page", oddName} {
				e.properties[name] = anything(rapid.SampledFrom(kinds).Draw(t, "type"), now).Draw(t, "value")
			}
			p.events = append(p.events, e)
		}
		for range rapid.IntRange(0, 2).Draw(t, "enrollments") {
			p.enrolled = append(p.enrolled, enrollment{
				rapid.SampledFrom(workflows).Draw(t, "workflow"),
				rapid.SampledFrom([]string{"held", "completed", "unenrolled", "failed"}).Draw(t, "status"),
				rapid.Bool().Draw(t, "rejected"),
			})
		}
		return p
	})
}

// subject is what the filter package is told about a person.
func (p person) subject(now time.Time) filter.Subject {
	past := &filter.Past{Changes: map[string][]filter.Change{}, Events: map[string][]filter.Event{}, Workflows: map[string]filter.Passage{}}
	for _, c := range p.changes {
		past.Changes[c.property] = append(past.Changes[c.property], filter.Change{At: c.at, New: c.value})
	}
	for _, e := range p.events {
		past.Events[e.name] = append(past.Events[e.name], filter.Event{At: e.at, Properties: e.properties})
	}
	for _, list := range past.Events {
		slices.SortStableFunc(list, func(a, b filter.Event) int { return b.At.Compare(a.At) })
	}
	for _, e := range p.enrolled {
		if !e.rejected {
			w := past.Workflows[e.workflow]
			past.Workflows[e.workflow] = filter.Passage{Enrolled: true, Active: w.Active || e.status == "held", Completed: w.Completed || e.status == "completed"}
		}
	}
	return filter.Subject{User: p.properties, Now: now, Past: past}
}

// String shows a person in a failed test.
func (p person) String() string {
	text, _ := json.Marshal(p.properties)
	return fmt.Sprintf("%s %s, changes %v, events %v, enrollments %v", p.id, text, p.changes, p.events, p.enrolled)
}
