package filter_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"rollcall/filter"
)

// anything draws values that a property may have, of the right type and of others.
func anything() *rapid.Generator[any] {
	single := rapid.OneOf(operand(filter.String), operand(filter.Number), operand(filter.Bool), operand(filter.Date), rapid.Just[any](nil))
	list := rapid.Map(rapid.SliceOfN(single, 0, 4), func(items []any) any { return append([]any{}, items...) })
	object := rapid.Just[any](map[string]any{"a": 1.0})
	return rapid.OneOf(single, single, list, object)
}

// near draws instants within three years of another, most of them much nearer.
func near(at time.Time) *rapid.Generator[time.Time] {
	by := func(d time.Duration) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.Int64Range(-int64(d/filter.Resolution), int64(d/filter.Resolution)), func(n int64) time.Duration {
			return time.Duration(n) * filter.Resolution
		})
	}
	const day = 24 * time.Hour
	return rapid.Map(rapid.OneOf(by(3*filter.Resolution), by(time.Hour), by(3*day), by(60*day), by(1000*day)), at.Add)
}

// valueOf draws values of a property, those of times near an instant.
func valueOf(kind filter.Type, now time.Time) *rapid.Generator[any] {
	layout := ""
	switch kind {
	case filter.Date:
		layout = time.DateOnly
	case filter.Datetime:
		layout = time.RFC3339Nano
	default:
		return anything()
	}
	good := rapid.Map(near(now), func(at time.Time) any { return at.Format(layout) })
	return rapid.OneOf(good, good, good, anything())
}

func nows() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return near(rapid.SampledFrom(around).Draw(t, "around")).Draw(t, "now")
	})
}

// subjects draws users and what happened to them.
func subjects() *rapid.Generator[filter.Subject] {
	return rapid.Custom(func(t *rapid.T) filter.Subject {
		s := filter.Subject{User: map[string]any{}, Event: map[string]any{}, Now: nows().Draw(t, "now")}
		for _, name := range names() {
			if rapid.Bool().Draw(t, name+" is set") {
				s.User[name] = valueOf(types()[name], s.Now).Draw(t, name)
			}
		}
		if rapid.Bool().Draw(t, "has a zone") {
			s.User["time_zone"] = rapid.SampledFrom(zones).Draw(t, "zone")
		}
		if rapid.Bool().Draw(t, "page is set") {
			s.Event["page"] = anything().Draw(t, "page")
		}
		if rapid.IntRange(0, 3).Draw(t, "has a past") > 0 {
			s.Past = pasts(s.Now).Draw(t, "past")
		}
		return s
	})
}

func pasts(now time.Time) *rapid.Generator[*filter.Past] {
	before := rapid.Map(near(now), func(at time.Time) time.Time {
		if at.After(now) {
			return now.Add(now.Sub(at))
		}
		return at
	})
	return rapid.Custom(func(t *rapid.T) *filter.Past {
		p := &filter.Past{Changes: map[string][]filter.Change{}, Events: map[string][]filter.Event{}}
		for _, name := range []string{"title", "desks", "skills", "hired", "seen_at"} {
			list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) filter.Change {
				return filter.Change{At: before.Draw(t, "at"), New: valueOf(types()[name], now).Draw(t, "new")}
			}), 0, 3).Draw(t, "changes of "+name)
			slices.SortFunc(list, func(a, b filter.Change) int { return a.At.Compare(b.At) })
			p.Changes[name] = list
		}
		for _, name := range []string{"login", "logout"} {
			list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) filter.Event {
				return filter.Event{At: before.Draw(t, "at"), Properties: map[string]any{"page": anything().Draw(t, "page")}}
			}), 0, 4).Draw(t, "events "+name)
			slices.SortFunc(list, func(a, b filter.Event) int { return b.At.Compare(a.At) })
			p.Events[name] = list
		}
		if rapid.Bool().Draw(t, "was welcomed") {
			p.Workflows = map[string]filter.Passage{"welcome": {
				Enrolled: true, Active: rapid.Bool().Draw(t, "active"), Completed: rapid.Bool().Draw(t, "completed"),
			}}
		}
		return p
	})
}

// ofType draws values of a type that are not empty.
func ofType(kind filter.Type) *rapid.Generator[any] {
	one := operand(kind).Filter(func(v any) bool { return v != "" })
	switch kind {
	case filter.MultiEnum, filter.Users:
		return rapid.Map(rapid.SliceOfN(one, 1, 4), func(items []any) any { return items })
	case filter.Date:
		return rapid.Map(rapid.SampledFrom(days), func(s string) any { return s })
	case filter.Datetime:
		return rapid.Map(rapid.SampledFrom(instants), func(s string) any { return s })
	default:
		return one
	}
}
