package filter_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
	"rollcall/strictjson"
)

func TestDecodeTreeRefusesOtherShapes(t *testing.T) {
	t.Parallel()
	const alone = `"all", "any" and "not" each stand alone in their object, but for "time_zone"`
	for _, tt := range []struct {
		name, tree             string
		pointer, code, message string
	}{
		{"a list is no filter", `[]`, "/where", "wrong-type", "a filter must be an object, is a list"},
		{"a text is no filter", `"title"`, "/where", "wrong-type", "a filter must be an object, is a text"},
		{"all beside any", `{"all": [], "any": []}`, "/where", "mixed-group", alone},
		{"all beside a condition", `{"all": [], "property": "title", "op": "known"}`, "/where", "mixed-group", alone},
		{"not beside an unknown member", `{"not": {}, "comment": "x"}`, "/where", "mixed-group", alone},
		{"a mixed group inside a group", `{"any": [{"not": {}, "all": []}]}`, "/where/any/0", "mixed-group", alone},
		{"an any that is an object", `{"any": {}}`, "/where/any", "wrong-type", "must be a list, is an object"},
		{"a not that is a list", `{"not": []}`, "/where/not", "wrong-type", "a filter must be an object, is a list"},
		{"a child that is a number", `{"all": [1]}`, "/where/all/0", "wrong-type", "a filter must be an object, is a number"},
		{
			"a member of another product", `{"property": "title", "op": "equals", "value": "x", "refine_by": "7d"}`,
			"/where/refine_by", "unknown-field",
			`unknown field "refine_by"; known are count, event, event_property, ever, if_empty, of, op, output, property, step, time_zone, value, where, within, workflow`,
		},
		{"an op that is a number", `{"property": "title", "op": 1}`, "/where/op", "wrong-type", "must be a text, is a number"},
		{"a zone beside an unknown member", `{"all": [], "time_zone": "UTC", "comment": "x"}`, "/where", "mixed-group", alone},
		{"a zone beside two groups", `{"all": [], "any": [], "time_zone": "UTC"}`, "/where", "mixed-group", alone},
		{"a zone that is a number", `{"all": [], "time_zone": 1}`, "/where/time_zone", "wrong-type", "must be a text, is a number"},
		{"a zone of a condition that is a list", `{"property": "title", "op": "known", "time_zone": []}`, "/where/time_zone", "wrong-type", "must be a text, is a list"},
		{"an aspect that is true", `{"property": "title", "op": "known", "of": true}`, "/where/of", "wrong-type", "must be a text, is true or false"},
		{"an ever that is a text", `{"property": "title", "op": "known", "ever": "yes"}`, "/where/ever", "wrong-type", "must be true or false, is a text"},
		{"an event that is an object", `{"event": {}, "op": "at_least", "count": 1}`, "/where/event", "wrong-type", "must be a text, is an object"},
		{"a workflow that is a list", `{"workflow": ["a"], "op": "active"}`, "/where/workflow", "wrong-type", "must be a text, is a list"},
		{"a count that is a text", `{"event": "login", "op": "at_least", "count": "3"}`, "/where/count", "wrong-type", "must be a whole number, is a text"},
		{"a count that is a fraction", `{"event": "login", "op": "at_least", "count": 2.5}`, "/where/count", "wrong-type", "must be a whole number, is a number"},
		{"a within that is a number", `{"event": "login", "op": "at_least", "count": 1, "within": 7}`, "/where/within", "wrong-type", "must be a text, is a number"},
		{"a where that is a list", `{"event": "login", "op": "at_least", "count": 1, "where": []}`, "/where/where", "wrong-type", "a filter must be an object, is a list"},
		{"a mixed group in a where", `{"event": "login", "op": "at_least", "count": 1, "where": {"not": {}, "op": "known"}}`, "/where/where", "mixed-group", alone},
		{"an if_empty that is a text", `{"property": "title", "op": "known", "if_empty": "yes"}`, "/where/if_empty", "wrong-type", "must be true or false, is a text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got filter.Tree
			var problems strictjson.Problems
			got.DecodeJSON(value(t, tt.tree), "/where", &problems)
			require.Equal(t, strictjson.Problems{{Pointer: tt.pointer, Code: tt.code, Message: tt.message}}, problems)
		})
	}
}

func TestTreeReadsItsJSON(t *testing.T) {
	t.Parallel()
	got := tree(t, `{"all": [
		{"property": "title", "op": "equals", "value": "x", "if_empty": true},
		{"any": [{"event_property": "page", "op": "known"}]},
		{"not": {"property": "admin", "op": "equals", "value": false}}
	]}`)
	require.Equal(t, &filter.Tree{All: []filter.Tree{
		{Condition: &filter.Condition{Property: "title", Op: filter.Equals, Value: "x", IfEmpty: true}},
		{Any: []filter.Tree{{Condition: &filter.Condition{EventProperty: "page", Op: filter.Known}}}},
		{Not: &filter.Tree{Condition: &filter.Condition{Property: "admin", Op: filter.Equals, Value: false}}},
	}}, got)
}

func TestTreeWritesItsJSON(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a condition leaves out what is not set": `{"property":"title","op":"known"}`,
		"a falsehood is a value":                 `{"property":"admin","op":"equals","value":false}`,
		"a zero is a value":                      `{"property":"desks","op":"equals","value":0}`,
		"a condition has everything":             `{"event_property":"page","op":"any_of","value":["a","b"],"if_empty":true}`,
		"groups stand alone":                     `{"all":[{"any":[{"property":"title","op":"known"}]},{"not":{"property":"title","op":"known"}}]}`,
		"an empty any stays an any":              `{"any":[]}`,
		"a condition of a property in time":      `{"property":"hired","of":"anniversary","op":"on","value":"now/d","time_zone":"user"}`,
		"a condition of what ever was":           `{"property":"title","ever":true,"op":"equals","value":"Head"}`,
		"a comparison with another property":     `{"property":"hired","op":"before","value":{"property":"left"}}`,
		"a condition of an event":                `{"event":"login","op":"at_least","count":3,"within":"7d","where":{"all":[{"event_property":"page","op":"known"}]}}`,
		"a zero is a count":                      `{"event":"login","op":"at_most","count":0}`,
		"a condition of a workflow":              `{"workflow":"welcome","op":"never_enrolled"}`,
		"groups have zones":                      `{"any":[{"not":{"property":"title","op":"known"},"time_zone":"UTC"}],"time_zone":"Europe/Warsaw"}`,
		"an empty all stays an all":              `{"all":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tree(t, text))
			require.NoError(t, err)
			require.Equal(t, text, string(got))
		})
	}
}

func TestTreeIsReadBackFromStorage(t *testing.T) {
	t.Parallel()
	var got filter.Tree
	require.NoError(t, json.Unmarshal([]byte(`{"not":{"property":"title","op":"known"}}`), &got))
	require.Equal(t, filter.Tree{Not: &filter.Tree{Condition: &filter.Condition{Property: "title", Op: filter.Known}}}, got)
}

func TestTreeFromStorageIsJudgedToo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, code string }{
		{"an unknown member", `{"property":"title","op":"known","flags":1}`, "unknown-field"},
		{"a member twice", `{"property":"title","property":"team","op":"known"}`, "duplicate-member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got filter.Tree
			err := got.UnmarshalJSON([]byte(tt.text))
			var syntax *strictjson.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, tt.code, syntax.Code)
		})
	}
}

func TestReadsAreWhatTheAnswerDependsOn(t *testing.T) {
	t.Parallel()
	f, problems := filter.Compile(tree(t, `{"time_zone": "user", "all": [
		{"property": "title", "op": "known"}, {"property": "desks", "op": "equals", "value": 1}, {"property": "title", "op": "unknown"},
		{"property": "hired", "op": "before", "value": "now-30d"}, {"property": "seen_at", "op": "after", "value": "now/d"},
		{"event": "login", "op": "at_least", "count": 1}, {"workflow": "welcome", "op": "active"}, {"event_property": "page", "op": "known"}]}`), scope())
	require.Empty(t, problems)
	require.Equal(t, filter.Reads{
		Properties: []string{"desks", "hired", "seen_at", "time_zone", "title"}, Events: []string{"login"}, Workflows: []string{"welcome"},
	}, f.Reads())
	require.True(t, f.Timed())
}

func TestDescribeSaysWhatAValueLooksLike(t *testing.T) {
	t.Parallel()
	got := map[filter.Type]string{}
	for _, kind := range types() {
		got[kind] = kind.Describe()
	}
	require.Equal(t, map[filter.Type]string{
		filter.String: "a text", filter.Enum: "a text", filter.User: "a text",
		filter.Number: "a number", filter.Bool: "true or false",
		filter.Date: "a date such as 2027-01-04", filter.Datetime: "an instant such as 2027-01-04T09:00:00Z",
		filter.MultiEnum: "a list of texts", filter.Users: "a list of texts",
	}, got)
}
