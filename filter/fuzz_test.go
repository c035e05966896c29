package filter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
	"rollcall/strictjson"
)

// FuzzTree hands texts to the decoder and the compiler. What they take survives its JSON and can be
// asked about anybody.
func FuzzTree(f *testing.F) {
	const login = `{"event": "login", "op": "at_most", "count": 2, "within": "7d", "where": {"event_property": "page", "op": "known"}}`
	for _, seed := range []string{
		``, `null`, `[]`, `{}`, `{"all": []}`, `{"not": null}`, `{"all": [null]}`, `{"all": [], "any": []}`, `{"time_zone": "UTC"}`,
		`{"property": "title", "op": "known"}`,
		`{"property": "title", "op": "contains", "value": ["a", "Ż"], "if_empty": true}`,
		`{"property": "desks", "op": "between", "value": [-0, 1e300]}`,
		`{"property": "skills", "op": "exactly", "value": ["a", "a"]}`,
		`{"property": "hired", "op": "on", "value": "now-1M/M+1d", "time_zone": "user"}`,
		`{"property": "hired", "of": "anniversary", "op": "not_between", "value": ["now/d-100y", "2028-02-29"]}`,
		`{"property": "seen_at", "of": "changed_at", "op": "between", "value": ["now+0s", {"property": "due_at"}]}`,
		`{"property": "seen_at", "ever": true, "op": "before", "value": "0001-01-01T00:00:00+14:00"}`,
		`{"property": "city", "op": "not_equals", "value": {"property": "town"}}`,
		`{"event_property": "page", "op": "any_of", "value": [1, "x", true]}`,
		`{"workflow": "welcome", "op": "never_enrolled"}`,
		login, `{"time_zone": "Pacific/Apia", "any": [` + login + `, {"not": ` + login + `, "time_zone": "user"}]}`,
		strings.Repeat(`{"not": `, 9) + login + strings.Repeat(`}`, 9),
	} {
		f.Add([]byte(seed))
	}
	users := []map[string]any{nil, {
		"title": "Żółw", "desks": 2.0, "rooms": 2.0, "admin": true, "hired": "2024-02-29", "left": "2027-01-04", "seen_at": "2027-01-04T09:00:00Z",
		"due_at": "2011-12-30T10:00:00Z", "team": "sales", "city": "Paris", "skills": []any{"a"}, "boss": "u_1", "time_zone": "America/Havana",
	}}
	now := time.Date(2027, time.January, 4, 9, 0, 0, 0, time.UTC)
	happened := &filter.Past{
		Changes: map[string][]filter.Change{"seen_at": {{At: now, New: "2026-12-31T23:59:59.999999Z"}}, "title": {{At: now.AddDate(-1, 0, 0), New: "Head"}}},
		Events:  map[string][]filter.Event{"login": {{At: now, Properties: map[string]any{"page": []any{"x", 1.0}}}, {At: now.AddDate(0, 0, -3)}}},
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := strictjson.Parse(text)
		if err != nil {
			return
		}
		var got filter.Tree
		var problems strictjson.Problems
		got.DecodeJSON(v, "", &problems)
		if len(problems) > 0 {
			return
		}
		compiled, problems := filter.Compile(&got, scope())
		for _, p := range problems {
			require.True(t, p.Pointer == "" || p.Pointer[0] == '/', p)
			require.NotEmpty(t, p.Code)
			require.NotEmpty(t, p.Message)
		}
		if len(problems) > 0 {
			return
		}
		written, err := json.Marshal(got)
		require.NoError(t, err)
		var back filter.Tree
		require.NoError(t, json.Unmarshal(written, &back))
		require.Equal(t, got, back)

		for _, user := range users {
			for _, past := range []*filter.Past{nil, happened} {
				s := filter.Subject{User: user, Event: user, Now: now, Past: past}
				holds, answers := compiled.Trace(s)
				require.Equal(t, compiled.Match(s), holds)
				require.NotEmpty(t, answers)
				_, err := json.Marshal(answers)
				require.NoError(t, err)
				at, ok := compiled.NextFlip(s)
				require.True(t, !ok || compiled.Timed() && at.After(now) && !at.After(now.Add(filter.Horizon)), at)
			}
		}
	})
}

// FuzzSubject asks filters about any user at any time. Trees that are opposites answer so, and until the
// next flip the answer stays.
func FuzzSubject(f *testing.F) {
	const user = `{"title": "Żółw", "desks": 2, "rooms": 2, "admin": true, "hired": "2024-02-29", "left": "2027-01-04", "seen_at": "2027-01-04T09:00:00Z",
		"due_at": "2011-12-30T10:00:00Z", "team": "sales", "city": "Paris", "skills": ["a"], "boss": "u_1", "time_zone": "America/Havana"}`
	const odd = `{"title": ["a"], "desks": "2", "admin": 1, "hired": "2024-02-30", "left": {}, "seen_at": "0000-01-01T00:00:00+23:59", "due_at": "9999-12-31T23:59:59-23:59",
		"team": [], "skills": [1, null, "a", "a"], "reports": "a", "time_zone": "Local"}`
	for _, tree := range []string{
		`{"property": "title", "op": "contains", "value": ["a", "Ż"], "if_empty": true}`,
		`{"property": "desks", "op": "between", "value": [-1, 1e300]}`,
		`{"property": "desks", "op": "at_least", "value": {"property": "rooms"}}`,
		`{"property": "skills", "op": "exactly", "value": ["a", "b"]}`,
		`{"property": "hired", "op": "on", "value": "now-1M/M+1d", "time_zone": "user"}`,
		`{"property": "hired", "of": "anniversary", "op": "not_between", "value": ["now/d-100y", "2028-02-29"]}`,
		`{"property": "hired", "of": "anniversary", "op": "on", "value": "now/d", "time_zone": "Pacific/Apia"}`,
		`{"property": "seen_at", "op": "before", "value": "now-30d"}`,
		`{"property": "seen_at", "op": "between", "value": ["now+0s", {"property": "due_at"}]}`,
		`{"all": [{"property": "seen_at", "op": "after", "value": "now-31d"}, {"not": {"property": "left", "op": "on", "value": "now/w+1d"}}]}`,
		`{"event_property": "desks", "op": "any_of", "value": [2, "x", true]}`,
	} {
		for _, properties := range []string{user, odd, `{}`} {
			f.Add([]byte(tree), []byte(properties), int64(1_799_053_200_000_000), int64(86_400_000_000))
		}
	}
	f.Fuzz(func(t *testing.T, text, properties []byte, at, later int64) {
		v, err := strictjson.Parse(text)
		if err != nil {
			return
		}
		u, err := strictjson.Parse(properties)
		if err != nil {
			return
		}
		user, _ := u.(map[string]any)
		var tree filter.Tree
		var problems strictjson.Problems
		tree.DecodeJSON(v, "", &problems)
		if len(problems) > 0 {
			return
		}
		compiled, problems := filter.Compile(&tree, scope())
		if len(problems) > 0 {
			return
		}
		const decades = 60 * 365 * 24 * 3600 * 1_000_000
		s := filter.Subject{User: user, Event: user, Now: time.UnixMicro(at % decades)}
		holds := compiled.Match(s)
		if opposite, problems := filter.Compile(&filter.Tree{Not: &tree}, scope()); len(problems) == 0 {
			require.NotEqual(t, holds, opposite.Match(s))
		}
		flip, ok := compiled.NextFlip(s)
		end := s.Now.AddDate(30, 0, 0)
		if ok {
			require.True(t, flip.After(s.Now) && !flip.After(s.Now.Add(filter.Horizon)), flip)
			end = flip
		}
		if span := end.Sub(s.Now).Microseconds(); span > 0 {
			for _, passed := range []int64{max(later, -later) % span, span - 1} {
				then := s
				then.Now = s.Now.Add(time.Duration(max(passed, 0)) * time.Microsecond)
				require.Equal(t, holds, compiled.Match(then), "the next flip is said to be at %v, but the answer turns by %v", flip, then.Now)
			}
		}
	})
}
