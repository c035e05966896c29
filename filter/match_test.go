package filter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
)

// question is one condition, asked of one user.
type question struct {
	name, condition, user string
	want                  bool
}

func ask(t *testing.T, s filter.Scope, questions []question) {
	t.Helper()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, q.want, compile(t, `{`+q.condition+`}`, s).Match(subject(t, `{`+q.user+`}`)))
		})
	}
}

func TestMatchTexts(t *testing.T) {
	t.Parallel()
	ask(t, scope(), []question{
		{"equals the same text", `"property": "title", "op": "equals", "value": "Head of Support"`, `"title": "Head of Support"`, true},
		{"equals in another case", `"property": "title", "op": "equals", "value": "HEAD OF support"`, `"title": "head of SUPPORT"`, true},
		{"equals not a part", `"property": "title", "op": "equals", "value": "head"`, `"title": "Head of Support"`, false},
		{"equals any of a list", `"property": "title", "op": "equals", "value": ["agent", "HEAD"]`, `"title": "Head"`, true},
		{"equals none of a list", `"property": "title", "op": "equals", "value": ["agent", "clerk"]`, `"title": "Head"`, false},
		{"not_equals another text", `"property": "title", "op": "not_equals", "value": "agent"`, `"title": "Head"`, true},
		{"not_equals in another case is equal", `"property": "title", "op": "not_equals", "value": "HEAD"`, `"title": "Head"`, false},
		{"not_equals one of a list is equal", `"property": "title", "op": "not_equals", "value": ["agent", "head"]`, `"title": "Head"`, false},
		{"contains a part in another case", `"property": "title", "op": "contains", "value": "SUPP"`, `"title": "Head of support"`, true},
		{"contains one of a list", `"property": "title", "op": "contains", "value": ["sales", "supp"]`, `"title": "Head of support"`, true},
		{"contains none of a list", `"property": "title", "op": "contains", "value": ["sales", "legal"]`, `"title": "Head of support"`, false},
		{"not_contains any of a list", `"property": "title", "op": "not_contains", "value": ["sales", "legal"]`, `"title": "Head of support"`, true},
		{"not_contains fails by one of a list", `"property": "title", "op": "not_contains", "value": ["sales", "supp"]`, `"title": "Head of support"`, false},
		{"starts_with the beginning", `"property": "title", "op": "starts_with", "value": "head"`, `"title": "Head of support"`, true},
		{"starts_with not the middle", `"property": "title", "op": "starts_with", "value": "of"`, `"title": "Head of support"`, false},
		{"ends_with the end", `"property": "title", "op": "ends_with", "value": ["agent", "PORT"]`, `"title": "Head of support"`, true},
		{"ends_with not the beginning", `"property": "title", "op": "ends_with", "value": "head"`, `"title": "Head of support"`, false},
		{"any_of a list", `"property": "title", "op": "any_of", "value": ["agent", "head"]`, `"title": "Head"`, true},
		{"none_of a list", `"property": "title", "op": "none_of", "value": ["agent", "clerk"]`, `"title": "Head"`, true},
		{"none_of fails by one", `"property": "title", "op": "none_of", "value": ["agent", "head"]`, `"title": "Head"`, false},
		{"spaces count", `"property": "title", "op": "equals", "value": "head"`, `"title": " head"`, false},
		{"letters with marks fold", `"property": "title", "op": "equals", "value": "ŻÓŁW ÉÑÜ"`, `"title": "żółw éñü"`, true},
		{"Greek folds", `"property": "title", "op": "equals", "value": "ΑΘΗΝΑ"`, `"title": "αθηνα"`, true},
		{"Cyrillic folds in parts", `"property": "title", "op": "contains", "value": "ПОДДЕРЖКА"`, `"title": "отдел: поддержка"`, true},
		{"a mark is not left out", `"property": "title", "op": "equals", "value": "zolw"`, `"title": "żółw"`, false},
		{"wild cards are plain characters", `"property": "title", "op": "contains", "value": "%"`, `"title": "abc"`, false},
	})
}

func TestMatchNumbers(t *testing.T) {
	t.Parallel()
	ask(t, scope(), []question{
		{"equals", `"property": "desks", "op": "equals", "value": 2`, `"desks": 2`, true},
		{"equals a fraction", `"property": "desks", "op": "equals", "value": 0.1`, `"desks": 0.1`, true},
		{"equals minus zero", `"property": "desks", "op": "equals", "value": 0`, `"desks": -0`, true},
		{"equals one of a list", `"property": "desks", "op": "equals", "value": [3, 2]`, `"desks": 2`, true},
		{"not_equals one of a list is equal", `"property": "desks", "op": "not_equals", "value": [3, 2]`, `"desks": 2`, false},
		{"not_equals", `"property": "desks", "op": "not_equals", "value": 3`, `"desks": 2`, true},
		{"zero is not empty", `"property": "desks", "op": "known"`, `"desks": 0`, true},
		{"greater_than less", `"property": "desks", "op": "greater_than", "value": 2`, `"desks": 2.5`, true},
		{"greater_than the same", `"property": "desks", "op": "greater_than", "value": 2`, `"desks": 2`, false},
		{"at_least the same", `"property": "desks", "op": "at_least", "value": 2`, `"desks": 2`, true},
		{"at_least more", `"property": "desks", "op": "at_least", "value": 2`, `"desks": 1.9`, false},
		{"less_than more", `"property": "desks", "op": "less_than", "value": 2`, `"desks": -5`, true},
		{"less_than the same", `"property": "desks", "op": "less_than", "value": 2`, `"desks": 2`, false},
		{"at_most the same", `"property": "desks", "op": "at_most", "value": 2`, `"desks": 2`, true},
		{"at_most less", `"property": "desks", "op": "at_most", "value": 2`, `"desks": 2.1`, false},
		{"between has its lower bound", `"property": "desks", "op": "between", "value": [2, 4]`, `"desks": 2`, true},
		{"between has its upper bound", `"property": "desks", "op": "between", "value": [2, 4]`, `"desks": 4`, true},
		{"between ends above", `"property": "desks", "op": "between", "value": [2, 4]`, `"desks": 4.1`, false},
		{"not_between has not its bound", `"property": "desks", "op": "not_between", "value": [2, 4]`, `"desks": 4`, false},
		{"not_between below", `"property": "desks", "op": "not_between", "value": [2, 4]`, `"desks": 1`, true},
		{"not_between above", `"property": "desks", "op": "not_between", "value": [2, 4]`, `"desks": 5`, true},
		{"any_of", `"property": "desks", "op": "any_of", "value": [1, 2]`, `"desks": 2`, true},
		{"none_of", `"property": "desks", "op": "none_of", "value": [1, 2]`, `"desks": 3`, true},
	})
}

func TestMatchTruthsAndChoices(t *testing.T) {
	t.Parallel()
	ask(t, scope(), []question{
		{"a truth equals true", `"property": "admin", "op": "equals", "value": true`, `"admin": true`, true},
		{"a falsehood equals false", `"property": "admin", "op": "equals", "value": false`, `"admin": false`, true},
		{"a falsehood is not empty", `"property": "admin", "op": "known"`, `"admin": false`, true},
		{"a truth not_equals false", `"property": "admin", "op": "not_equals", "value": false`, `"admin": true`, true},
		{"a truth not_equals true fails", `"property": "admin", "op": "not_equals", "value": true`, `"admin": true`, false},
		{"an enum any_of", `"property": "team", "op": "any_of", "value": ["sales", "support"]`, `"team": "support"`, true},
		{"an enum not any_of", `"property": "team", "op": "any_of", "value": ["sales"]`, `"team": "support"`, false},
		{"an enum none_of", `"property": "team", "op": "none_of", "value": ["sales"]`, `"team": "support"`, true},
		{"an enum equals", `"property": "team", "op": "equals", "value": "sales"`, `"team": "sales"`, true},
		{"an enum not_equals", `"property": "team", "op": "not_equals", "value": "sales"`, `"team": "sales"`, false},
		{"an enum keeps its case", `"property": "city", "op": "equals", "value": "Paris"`, `"city": "paris"`, false},
		{"a user equals", `"property": "boss", "op": "equals", "value": "u_1"`, `"boss": "u_1"`, true},
		{"a user none_of", `"property": "boss", "op": "none_of", "value": ["u_1", "u_2"]`, `"boss": "u_3"`, true},
		{"a user id keeps its case", `"property": "boss", "op": "equals", "value": "U_1"`, `"boss": "u_1"`, false},
	})
}

func TestMatchLists(t *testing.T) {
	t.Parallel()
	ask(t, scope(), []question{
		{"any_of has one", `"property": "skills", "op": "any_of", "value": ["go", "sql"]`, `"skills": ["c", "go"]`, true},
		{"any_of has none", `"property": "skills", "op": "any_of", "value": ["go", "sql"]`, `"skills": ["c"]`, false},
		{"contains has one", `"property": "skills", "op": "contains", "value": "go"`, `"skills": ["c", "go"]`, true},
		{"contains wants the whole item", `"property": "skills", "op": "contains", "value": "go"`, `"skills": ["golang"]`, false},
		{"none_of has none", `"property": "skills", "op": "none_of", "value": ["go", "sql"]`, `"skills": ["c"]`, true},
		{"none_of has one", `"property": "skills", "op": "none_of", "value": ["go", "sql"]`, `"skills": ["c", "sql"]`, false},
		{"not_contains has none", `"property": "skills", "op": "not_contains", "value": "go"`, `"skills": ["c"]`, true},
		{"all_of has all and more", `"property": "skills", "op": "all_of", "value": ["go", "sql"]`, `"skills": ["sql", "c", "go"]`, true},
		{"all_of lacks one", `"property": "skills", "op": "all_of", "value": ["go", "sql"]`, `"skills": ["go"]`, false},
		{"all_of wants a value once that is named twice", `"property": "skills", "op": "all_of", "value": ["go", "go"]`, `"skills": ["go"]`, true},
		{"all_of counts a value once that is there twice", `"property": "skills", "op": "all_of", "value": ["go", "sql"]`, `"skills": ["go", "go"]`, false},
		{"not_all_of lacks one", `"property": "skills", "op": "not_all_of", "value": ["go", "sql"]`, `"skills": ["go"]`, true},
		{"not_all_of has all", `"property": "skills", "op": "not_all_of", "value": ["go", "sql"]`, `"skills": ["go", "sql", "c"]`, false},
		{"exactly in another order", `"property": "skills", "op": "exactly", "value": ["go", "sql"]`, `"skills": ["sql", "go"]`, true},
		{"exactly with one twice", `"property": "skills", "op": "exactly", "value": ["go", "sql"]`, `"skills": ["sql", "go", "go"]`, true},
		{"exactly has more", `"property": "skills", "op": "exactly", "value": ["go"]`, `"skills": ["sql", "go"]`, false},
		{"exactly lacks one", `"property": "skills", "op": "exactly", "value": ["go", "sql"]`, `"skills": ["sql"]`, false},
		{"not_exactly has more", `"property": "skills", "op": "not_exactly", "value": ["go"]`, `"skills": ["sql", "go"]`, true},
		{"not_exactly is the same", `"property": "skills", "op": "not_exactly", "value": ["go", "sql"]`, `"skills": ["sql", "go"]`, false},
		{"items keep their case", `"property": "skills", "op": "any_of", "value": ["Go"]`, `"skills": ["go"]`, false},
		{"users are a list too", `"property": "reports", "op": "all_of", "value": ["u_1", "u_2"]`, `"reports": ["u_1", "u_2", "u_3"]`, true},
	})
}

func TestMatchEmptyValues(t *testing.T) {
	t.Parallel()
	conditions := []struct{ name, condition string }{
		{"equals", `"property": "title", "op": "equals", "value": "x"`},
		{"not_equals", `"property": "title", "op": "not_equals", "value": "x"`},
		{"contains", `"property": "title", "op": "contains", "value": "x"`},
		{"not_contains", `"property": "title", "op": "not_contains", "value": "x"`},
		{"starts_with", `"property": "title", "op": "starts_with", "value": "x"`},
		{"ends_with", `"property": "title", "op": "ends_with", "value": "x"`},
		{"greater_than", `"property": "desks", "op": "greater_than", "value": -1`},
		{"at_least", `"property": "desks", "op": "at_least", "value": 0`},
		{"less_than", `"property": "desks", "op": "less_than", "value": 1`},
		{"at_most", `"property": "desks", "op": "at_most", "value": 0`},
		{"between", `"property": "desks", "op": "between", "value": [-1, 1]`},
		{"not_between", `"property": "desks", "op": "not_between", "value": [1, 2]`},
		{"a bool that equals", `"property": "admin", "op": "equals", "value": false`},
		{"a bool that not_equals", `"property": "admin", "op": "not_equals", "value": true`},
		{"an enum any_of", `"property": "team", "op": "any_of", "value": ["sales"]`},
		{"an enum none_of", `"property": "team", "op": "none_of", "value": ["sales"]`},
		{"a list any_of", `"property": "skills", "op": "any_of", "value": ["go"]`},
		{"a list none_of", `"property": "skills", "op": "none_of", "value": ["go"]`},
		{"a list all_of", `"property": "skills", "op": "all_of", "value": ["go"]`},
		{"a list not_all_of", `"property": "skills", "op": "not_all_of", "value": ["go"]`},
		{"a list exactly", `"property": "skills", "op": "exactly", "value": ["go"]`},
		{"a list not_exactly", `"property": "skills", "op": "not_exactly", "value": ["go"]`},
		{"before", `"property": "hired", "op": "before", "value": "2027-01-04"`},
		{"after", `"property": "hired", "op": "after", "value": "2027-01-04"`},
		{"on", `"property": "seen_at", "op": "on", "value": "2027-01-04"`},
		{"a date not_between", `"property": "hired", "op": "not_between", "value": ["2027-01-04", "2027-01-05"]`},
		{"a user none_of", `"property": "boss", "op": "none_of", "value": ["u_1"]`},
		{"an event property not_equals", `"event_property": "page", "op": "not_equals", "value": "x"`},
	}
	empty := []struct{ name, user string }{
		{"absent", `{}`},
		{"null", `{"title": null, "desks": null, "admin": null, "hired": null, "seen_at": null, "team": null, "skills": null, "boss": null}`},
		{"an empty text or list", `{"title": "", "desks": "", "admin": "", "hired": "", "seen_at": "", "team": "", "skills": [], "boss": ""}`},
	}
	for _, c := range conditions {
		for _, e := range empty {
			t.Run(c.name+" of what is "+e.name+" is what if_empty says", func(t *testing.T) {
				t.Parallel()
				u := subject(t, e.user)
				require.False(t, compile(t, `{`+c.condition+`}`, scope()).Match(u))
				require.False(t, compile(t, `{`+c.condition+`, "if_empty": false}`, scope()).Match(u))
				require.True(t, compile(t, `{`+c.condition+`, "if_empty": true}`, scope()).Match(u))
			})
		}
	}
}

func TestMatchKnownAndUnknown(t *testing.T) {
	t.Parallel()
	ask(t, scope(), []question{
		{"a text is known", `"property": "title", "op": "known"`, `"title": "x"`, true},
		{"an empty text is unknown", `"property": "title", "op": "unknown"`, `"title": ""`, true},
		{"an absent text is unknown", `"property": "title", "op": "unknown"`, ``, true},
		{"a null is not known", `"property": "title", "op": "known"`, `"title": null`, false},
		{"an empty list is not known", `"property": "skills", "op": "known"`, `"skills": []`, false},
		{"a list is not unknown", `"property": "skills", "op": "unknown"`, `"skills": ["go"]`, false},
		{"if_empty does not make the empty known", `"property": "title", "op": "known", "if_empty": true`, ``, false},
	})
}

func TestMatchValuesOfAnotherTypeNever(t *testing.T) {
	t.Parallel()
	conditions := map[string][]string{
		"title":   {`"op": "equals", "value": "7"`, `"op": "not_equals", "value": "x"`, `"op": "contains", "value": "7"`, `"op": "not_contains", "value": "x"`, `"op": "none_of", "value": ["x"]`},
		"desks":   {`"op": "equals", "value": 7`, `"op": "not_equals", "value": 8`, `"op": "at_least", "value": 0`, `"op": "not_between", "value": [1, 2]`},
		"admin":   {`"op": "equals", "value": true`, `"op": "not_equals", "value": true`},
		"team":    {`"op": "equals", "value": "sales"`, `"op": "none_of", "value": ["sales"]`},
		"boss":    {`"op": "equals", "value": "7"`, `"op": "not_equals", "value": "x"`},
		"skills":  {`"op": "any_of", "value": ["7"]`, `"op": "none_of", "value": ["x"]`, `"op": "not_all_of", "value": ["x"]`, `"op": "not_exactly", "value": ["x"]`},
		"hired":   {`"op": "on", "value": "2027-01-04"`, `"op": "not_between", "value": ["2027-01-04", "2027-01-05"]`},
		"seen_at": {`"op": "before", "value": "2027-01-04"`, `"op": "after", "value": "2027-01-04"`},
	}
	wrong := map[string][]string{
		"title": {`7`, `true`, `["7"]`, `{"a": 1}`}, "desks": {`"7"`, `true`, `[7]`, `{"a": 1}`}, "admin": {`"true"`, `1`, `[true]`, `{"a": 1}`},
		"team": {`7`, `true`, `["sales"]`, `{"a": 1}`}, "boss": {`7`, `true`, `["7"]`, `{"a": 1}`}, "skills": {`"7"`, `7`, `[7]`, `["y", 7]`, `{"a": 1}`},
		"hired": {`"yesterday"`, `7`, `["2027-01-04"]`, `{"a": 1}`}, "seen_at": {`"2027-01-04 09:00"`, `0`, `true`, `["2027-01-04"]`, `{"a": 1}`},
	}
	for property, list := range conditions {
		for _, condition := range list {
			for _, v := range wrong[property] {
				t.Run(property+" "+condition+" of "+v, func(t *testing.T) {
					t.Parallel()
					f := compile(t, `{"property": "`+property+`", `+condition+`, "if_empty": true}`, scope())
					require.False(t, f.Match(subject(t, `{"`+property+`": `+v+`}`)))
				})
			}
		}
	}
}

func TestMatchEventProperties(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, condition, event string
		want                   bool
	}{
		{"a text in another case", `"op": "equals", "value": "HOME"`, `"home"`, true},
		{"a text of a list", `"op": "any_of", "value": ["a", "home"]`, `"Home"`, true},
		{"a part", `"op": "contains", "value": "om"`, `"home"`, true},
		{"a number as a number", `"op": "equals", "value": 10`, `10`, true},
		{"a number among several", `"op": "any_of", "value": [9, 10]`, `10`, true},
		{"a number at_least", `"op": "at_least", "value": 9`, `10`, true},
		{"a number less_than", `"op": "less_than", "value": 9`, `10`, false},
		{"a number as a text", `"op": "equals", "value": "10"`, `10`, true},
		{"a text as a number", `"op": "equals", "value": 10`, `"10"`, true},
		{"a large number as a text has no exponent", `"op": "equals", "value": "12345678"`, `12345678`, true},
		{"a large text as a number has no exponent", `"op": "equals", "value": 12345678`, `"12345678"`, true},
		{"the beginning of a large number", `"op": "starts_with", "value": "1234"`, `12345678`, true},
		{"a number contains a number's digits", `"op": "contains", "value": 5`, `157`, true},
		{"a number does not contain a number's digits", `"op": "not_contains", "value": 9`, `157`, true},
		{"a text is not at_least a number", `"op": "at_least", "value": 9`, `"10"`, false},
		{"a truth is not at_least a number", `"op": "at_least", "value": 0`, `true`, false},
		{"a list is not at_least a number", `"op": "at_least", "value": 0`, `[10]`, false},
		{"a truth as a truth", `"op": "equals", "value": true`, `true`, true},
		{"a truth as a text", `"op": "not_equals", "value": "true"`, `true`, false},
		{"a member of a list in another case", `"op": "any_of", "value": ["PHONE"]`, `["title", "phone"]`, true},
		{"a number in a list", `"op": "contains", "value": 12345678`, `["a", 12345678]`, true},
		{"none of a list", `"op": "none_of", "value": ["phone"]`, `["title"]`, true},
		{"nothing like a member of a list", `"op": "not_equals", "value": "phone"`, `["title", "phone"]`, false},
		{"a list does not begin", `"op": "starts_with", "value": "ti"`, `["title"]`, false},
		{"an object matches nothing", `"op": "not_equals", "value": "x"`, `{"a": 1}`, false},
		{"objects in a list are passed over", `"op": "any_of", "value": ["x"]`, `[{"a": 1}, null, "x"]`, true},
		{"an empty text is empty", `"op": "unknown"`, `""`, true},
		{"a zero is known", `"op": "known"`, `0`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := compile(t, `{"event_property": "page", `+tt.condition+`}`, scope())
			require.Equal(t, tt.want, f.Match(filter.Subject{Event: map[string]any{"page": value(t, tt.event)}}))
		})
	}
}

func TestAnEventPropertyIsNotAUserProperty(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"event_property": "title", "op": "known"}`, scope())
	require.False(t, f.Match(subject(t, `{"title": "x"}`)))
}

func TestMatchGroups(t *testing.T) {
	t.Parallel()
	const yes, no = `{"property": "title", "op": "known"}`, `{"property": "title", "op": "unknown"}`
	for _, tt := range []struct {
		tree string
		want bool
	}{
		{`{"all": [` + yes + `, ` + yes + `]}`, true},
		{`{"all": [` + yes + `, ` + no + `]}`, false},
		{`{"any": [` + no + `, ` + yes + `]}`, true},
		{`{"any": [` + no + `, ` + no + `]}`, false},
		{`{"not": ` + yes + `}`, false},
		{`{"not": ` + no + `}`, true},
		{`{"not": {"all": [` + yes + `, ` + no + `]}}`, true},
		{`{"not": {"any": [` + yes + `, ` + no + `]}}`, false},
		{`{"all": [{"any": [` + no + `, ` + yes + `]}, {"not": ` + no + `}]}`, true},
	} {
		t.Run(tt.tree, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, compile(t, tt.tree, scope()).Match(subject(t, `{"title": "x"}`)))
		})
	}
}

func TestNotTurnsAroundWhatIfEmptySays(t *testing.T) {
	t.Parallel()
	require.True(t, compile(t, `{"not": {"property": "title", "op": "contains", "value": "x"}}`, scope()).Match(filter.Subject{}))
	require.False(t, compile(t, `{"not": {"property": "title", "op": "contains", "value": "x", "if_empty": true}}`, scope()).Match(filter.Subject{}))
}

func TestTraceTellsEveryCondition(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"any": [
		{"property": "title", "op": "known"},
		{"all": [{"property": "desks", "op": "at_least", "value": 3}, {"event_property": "page", "op": "equals", "value": "x", "if_empty": true}]},
		{"not": {"property": "skills", "op": "any_of", "value": ["go"]}}
	]}`, scope())
	u := subject(t, `{"title": "Head", "desks": 2, "skills": ["go"]}`)
	holds, leaves := f.Trace(u)
	require.True(t, holds)
	require.Equal(t, []filter.Answer{
		{Pointer: "/any/0", Property: "title", Op: filter.Known, Result: true, Seen: "Head"},
		{Pointer: "/any/1/all/0", Property: "desks", Op: filter.AtLeast, Result: false, Seen: 2.0},
		{Pointer: "/any/1/all/1", Property: "page", Op: filter.Equals, Result: true, Seen: nil},
		{Pointer: "/any/2/not", Property: "skills", Op: filter.AnyOf, Result: true, Seen: []any{"go"}},
	}, leaves)
}
