package filter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
)

func TestNextFlipIsWhenTheAnswerTurns(t *testing.T) {
	t.Parallel()
	const hired, seen, soon = `"property": "hired", `, `"property": "seen_at", `, `"hired": "2027-01-20"`
	for _, tt := range []struct{ name, tree, user, want string }{
		{"before a while ago: a microsecond after it", `{` + seen + `"op": "before", "value": "now-30d"}`, `"seen_at": "2027-01-01T12:00:00Z"`, "2027-01-31T12:00:00.000001Z"},
		{"after a while ago: at it", `{` + seen + `"op": "after", "value": "now-30d"}`, `"seen_at": "2027-01-01T12:00:00Z"`, "2027-01-31T12:00:00Z"},
		{"on a day: its beginning in the zone", `{` + hired + `"op": "on", "value": "now/d"}`, soon, "2027-01-19T23:00:00Z"},
		{"on this day: its end in the zone", `{` + hired + `"op": "on", "value": "now/d"}`, `"hired": "2027-01-04"`, "2027-01-04T23:00:00Z"},
		{"on a week: its Monday", `{` + hired + `"op": "on", "value": "now/w"}`, soon, "2027-01-17T23:00:00Z"},
		{"on a month", `{` + hired + `"op": "on", "value": "now/M"}`, `"hired": "2027-04-30"`, "2027-03-31T22:00:00Z"},
		{"on a month ago, by the calendar", `{` + hired + `"op": "on", "value": "now/d-1M"}`, `"hired": "2027-01-31"`, ""},
		{"between: its beginning", `{` + hired + `"op": "between", "value": ["now/d", "now/d+7d"]}`, soon, "2027-01-12T23:00:00Z"},
		{"between: its end", `{` + hired + `"op": "between", "value": ["now/d", "now/d+7d"]}`, `"hired": "2027-01-04"`, "2027-01-04T23:00:00Z"},
		{"not_between", `{` + hired + `"op": "not_between", "value": ["now/d", "now/d+7d"]}`, soon, "2027-01-12T23:00:00Z"},
		{"between a fixed day and now", `{` + seen + `"op": "between", "value": ["2027-01-01", "now"]}`, `"seen_at": "2027-01-05T00:00:00Z"`, "2027-01-05T00:00:00Z"},
		{"between now and another property", `{` + seen + `"op": "between", "value": ["now", {"property": "due_at"}]}`, `"seen_at": "2027-01-05T00:00:00Z", "due_at": "2027-02-01T00:00:00Z"`, "2027-01-05T00:00:00.000001Z"},
		{"a time of the day", `{` + hired + `"op": "before", "value": "now/d+9h"}`, `"hired": "2027-01-05"`, "2027-01-04T23:00:00Z"},
		{"the clocks change on the way", `{` + hired + `"op": "on", "value": "now/d"}`, `"hired": "2027-03-29"`, "2027-03-28T22:00:00Z"},
		{"the user's own zone", `{"time_zone": "user", "not": {` + hired + `"op": "on", "value": "now/d"}}`, soon + `, "time_zone": "Asia/Kathmandu"`, "2027-01-19T18:15:00Z"},
		{"an anniversary", `{` + hired + `"of": "anniversary", "op": "on", "value": "now/d"}`, `"hired": "2020-03-01"`, "2027-02-28T23:00:00Z"},
		{"an anniversary that was this year", `{` + hired + `"of": "anniversary", "op": "on", "value": "now/d"}`, `"hired": "2020-01-03"`, "2028-01-02T23:00:00Z"},
		{"an anniversary of 29 February", `{` + hired + `"of": "anniversary", "op": "on", "value": "now/d"}`, `"hired": "2020-02-29"`, "2027-02-27T23:00:00Z"},
		{"an anniversary over new year", `{` + hired + `"of": "anniversary", "op": "between", "value": ["now/d", "now/d+7d"]}`, `"hired": "2020-01-02"`, "2027-12-25T23:00:00Z"},
		{"a change", `{"property": "title", "of": "changed_at", "op": "after", "value": "now-7d"}`, ``, "2027-01-07T23:30:00Z"},
		{"what ever was: the first of the values", `{"property": "due_at", "ever": true, "op": "before", "value": "now"}`, ``, "2027-01-08T09:00:00.000001Z"},
		{"events: the one that makes too few", `{"event": "login", "op": "at_least", "count": 2, "within": "7d"}`, ``, "2027-01-08T12:00:00Z"},
		{"events: the one that makes few enough", `{"event": "login", "op": "at_most", "count": 0, "within": "7d"}`, ``, "2027-01-10T12:00:00Z"},
		{"events: those that count", `{"event": "login", "op": "at_least", "count": 1, "within": "7d", "where": {"event_property": "page", "op": "equals", "value": "report"}}`, ``, "2027-01-08T12:00:00Z"},
		{"events: few enough already", `{"event": "login", "op": "at_most", "count": 3, "within": "7d"}`, ``, ""},
		{"a turn that changes nothing is passed over", `{"any": [{"property": "desks", "op": "unknown"}, {` + hired + `"op": "on", "value": "now/d"}]}`, soon, ""},
		{"turns that make up for each other are passed over", `{"any": [{` + hired + `"op": "on", "value": "now/d"}, {` + hired + `"op": "on", "value": "now/d-1d"}]}`, `"hired": "2027-01-04"`, "2027-01-05T23:00:00Z"},
		{"the last of all", `{"all": [{` + hired + `"op": "before", "value": "now/d"}, {` + seen + `"op": "before", "value": "now"}]}`, soon + `, "seen_at": "2027-01-10T09:00:00Z"`, "2027-01-20T23:00:00Z"},
		{"the first of any", `{"any": [{` + hired + `"op": "before", "value": "now/d"}, {` + seen + `"op": "before", "value": "now"}]}`, soon + `, "seen_at": "2027-01-10T09:00:00Z"`, "2027-01-10T09:00:00.000001Z"},
		{"what has passed for ever", `{` + seen + `"op": "before", "value": "now-30d"}`, `"seen_at": "2020-01-01T12:00:00Z"`, ""},
		{"an empty value", `{` + seen + `"op": "before", "value": "now", "if_empty": true}`, ``, ""},
		{"a value of another type", `{` + seen + `"op": "before", "value": "now"}`, `"seen_at": "2027-02-01"`, ""},
		{"an empty other property", `{` + seen + `"op": "between", "value": ["now", {"property": "due_at"}]}`, `"seen_at": "2027-01-05T00:00:00Z"`, ""},
		{"a filter that does not move", `{` + hired + `"op": "on", "value": "2027-01-20"}`, soon, ""},
		{"more than a century ahead: then", `{` + seen + `"op": "before", "value": "now"}`, `"seen_at": "2999-01-01T12:00:00Z"`, "2127-03-21T12:00:00Z"},
		{"more than a century ahead after a turn: then", `{"all": [{"property": "title", "op": "known"}, {"property": "rooms", "of": "changed_at", "op": "known"}, {"property": "left", "ever": true, "op": "before", "value": "now"}]}`, ``, "2127-03-21T12:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := compile(t, tt.tree, in(t, "Europe/Warsaw"))
			s := asked(t, `{`+tt.user+`}`, "2027-01-04T12:00:00Z")
			s.Past = pastOf(t)
			s.Past.Changes["left"] = []filter.Change{{New: "2077-01-01"}, {New: "2150-01-01"}}
			s.Past.Changes["due_at"] = []filter.Change{{New: "2027-01-20T09:00:00Z"}, {New: "2027-01-08T09:00:00Z"}}
			at, ok := f.NextFlip(s)
			require.Equal(t, tt.want != "", ok)
			if ok {
				require.Equal(t, tt.want, at.UTC().Format(time.RFC3339Nano))
			}
		})
	}
}

func TestAFilterThatKeepsTurningInsideIsLookedAtAgainInTime(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"any": [{"property": "hired", "op": "known"}, {"property": "hired", "of": "anniversary", "op": "on", "value": "now/d"}]}`, in(t, "Europe/Warsaw"))
	at, ok := f.NextFlip(asked(t, `{"hired": "2020-03-01"}`, "2027-01-04T12:00:00Z"))
	require.True(t, ok)
	require.Equal(t, "2058-03-01T23:00:00Z", at.UTC().Format(time.RFC3339Nano)) // the 64th turn
}

func TestNextFlipIsAfterNowToTheMicrosecond(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"property": "seen_at", "op": "before", "value": "now"}`, scope())
	s := asked(t, `{"seen_at": "2027-01-04T12:00:00Z"}`, "2027-01-04T12:00:00.000000999Z")
	at, ok := f.NextFlip(s)
	require.True(t, ok)
	require.Equal(t, "2027-01-04T12:00:00.000001Z", at.UTC().Format(time.RFC3339Nano))
	s.Now = at
	_, ok = f.NextFlip(s)
	require.False(t, ok)
}

func TestBoundariesAreThoseThatMove(t *testing.T) {
	t.Parallel()
	now := instant(t, "2027-01-04T12:00:00Z")
	for condition, want := range map[string][]string{
		`"op": "before", "value": "now/d"`:                            {"2027-01-04T00:00:00Z"},
		`"op": "after", "value": "now/d"`:                             {"2027-01-05T00:00:00Z"},
		`"op": "on", "value": "now/w"`:                                {"2027-01-04T00:00:00Z", "2027-01-11T00:00:00Z"},
		`"op": "between", "value": ["now-1d", "now/d"]`:               {"2027-01-03T12:00:00Z", "2027-01-05T00:00:00Z"},
		`"op": "not_between", "value": ["now-1d", "now"]`:             {"2027-01-03T12:00:00Z", "2027-01-04T12:00:00.000001Z"},
		`"op": "between", "value": ["2027-01-01", "now/d"]`:           {"2027-01-05T00:00:00Z"},
		`"op": "between", "value": ["now/d", {"property": "due_at"}]`: {"2027-01-04T00:00:00Z"},
		`"op": "between", "value": ["2027-01-01", "2027-01-02"]`:      nil,
		`"op": "known"`: nil,
	} {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			f := compile(t, `{"property": "seen_at", `+condition+`}`, scope())
			got := leaves(f)[0].Boundaries(time.UTC)
			require.Len(t, got, len(want))
			for i, b := range got {
				at := b.At(now)
				require.Equal(t, want[i], at.UTC().Format(time.RFC3339Nano))
				require.False(t, at.After(now.Add(b.Lead)))
			}
		})
	}
}

func leaves(f *filter.Filter) []*filter.Leaf {
	join := func(lists [][]*filter.Leaf) (all []*filter.Leaf) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	same := func(list []*filter.Leaf) []*filter.Leaf { return list }
	return filter.Walk(f, func(l *filter.Leaf) []*filter.Leaf { return []*filter.Leaf{l} }, join, join, same)
}

func TestLeavesSayWhatTheyCompareWith(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"all": [
		{"property": "seen_at", "op": "between", "value": ["now", {"property": "due_at"}]},
		{"property": "desks", "op": "at_least", "value": {"property": "rooms"}},
		{"event": "login", "op": "at_least", "count": 1, "within": "7d", "where": {"event_property": "page", "op": "equals", "value": "Home"}}
	]}`, in(t, "Europe/Warsaw"))
	got := leaves(f)
	require.Len(t, got, 3)
	require.Equal(t, []string{"", "due_at"}, got[0].OtherTimes())
	require.Equal(t, "Europe/Warsaw", got[0].Zone.String())
	require.Equal(t, filter.Datetime, got[0].Type)
	due := instant(t, "2027-02-01T09:00:00Z")
	s := asked(t, `{"due_at": "2027-02-01T09:00:00Z"}`, "2027-01-04T12:00:00Z")
	require.Equal(t, []filter.Span{{From: s.Now, To: s.Now.Add(filter.Resolution)}, {From: due, To: due.Add(filter.Resolution)}}, got[0].Spans(&s, got[0].Zone))
	require.Equal(t, "rooms", got[1].Other)
	require.Equal(t, 7*24*time.Hour, got[2].Back)
	require.Equal(t, []string{"home"}, leaves(got[2].WhereFilter)[0].Texts)
}

func TestWalkBuildsFromTheBottomUp(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"any": [{"all": [{"property": "title", "op": "known"}, {"property": "desks", "op": "known"}]}, {"not": {"property": "admin", "op": "known"}}]}`, scope())
	join := func(word string) func([]string) string {
		return func(parts []string) string { return word + "(" + strings.Join(parts, " ") + ")" }
	}
	got := filter.Walk(f, func(l *filter.Leaf) string { return l.Property }, join("all"), join("any"), func(s string) string { return "not " + s })
	require.Equal(t, "any(all(title desks) not admin)", got)
}
