package strictjson_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/strictjson"
)

type document struct {
	Name    string           `json:"name"`
	Count   int              `json:"count,omitempty"`
	Total   int64            `json:"total"`
	Share   float64          `json:"share"`
	Live    bool             `json:"live"`
	Any     any              `json:"any"`
	Limit   *int             `json:"limit"`
	Tags    []string         `json:"tags"`
	Parts   []part           `json:"parts"`
	Sizes   map[string]int   `json:"sizes"`
	Nested  map[string]*part `json:"nested"`
	Colour  colour           `json:"colour"`
	Inside  string           `json:"-"`
	Outside string
}

type part struct {
	ID    string `json:"id"`
	Parts []part `json:"parts"`
}

// colour is a type that decodes itself.
type colour struct{ name string }

func (c *colour) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	name, ok := v.(string)
	if !ok {
		p.Add(pointer, "colour-invalid", "a colour is a text")
		return
	}
	c.name = name
}

func decode(t *testing.T, text string) (document, strictjson.Problems) {
	t.Helper()
	v, err := strictjson.Parse([]byte(text))
	require.NoError(t, err)
	var d document
	var problems strictjson.Problems
	strictjson.Decode(v, "", &d, &problems)
	return d, problems
}

func TestDecodeFillsEveryKindOfField(t *testing.T) {
	t.Parallel()
	d, problems := decode(t, `{
		"name": "n", "count": -2, "total": 3, "share": 0.5, "live": true, "any": [1, {"a": null}], "limit": 0,
		"tags": ["a", "b"], "parts": [{"id": "p", "parts": [{"id": "q"}]}], "sizes": {"s": 1, "m": 2},
		"nested": {"x": {"id": "y"}}, "colour": "red"
	}`)
	require.Empty(t, problems)
	require.Equal(t, document{
		Name: "n", Count: -2, Total: 3, Share: 0.5, Live: true, Any: []any{1.0, map[string]any{"a": nil}}, Limit: new(int),
		Tags: []string{"a", "b"}, Parts: []part{{ID: "p", Parts: []part{{ID: "q"}}}}, Sizes: map[string]int{"s": 1, "m": 2},
		Nested: map[string]*part{"x": {ID: "y"}}, Colour: colour{"red"},
	}, d)
}

func TestDecodeLeavesWhatIsNullOrAbsent(t *testing.T) {
	t.Parallel()
	d := document{Name: "before", Count: 7, Tags: []string{"kept"}, Colour: colour{"red"}}
	var problems strictjson.Problems
	strictjson.Decode(map[string]any{"name": nil, "tags": nil, "colour": nil, "limit": nil}, "", &d, &problems)
	require.Empty(t, problems)
	require.Equal(t, document{Name: "before", Count: 7, Tags: []string{"kept"}, Colour: colour{"red"}}, d)
}

func TestDecodeReportsProblemsWithTheirPlace(t *testing.T) {
	t.Parallel()
	const known = "known are any, colour, count, limit, live, name, nested, parts, share, sizes, tags, total"
	for _, tt := range []struct{ name, text, pointer, code, message string }{
		{"an unknown field", `{"nmae": 1}`, "/nmae", "unknown-field", `unknown field "nmae"; ` + known},
		{"a field in the wrong case", `{"Name": "n"}`, "/Name", "unknown-field", `unknown field "Name"; ` + known},
		{"a field that JSON does not have", `{"-": "n"}`, "/-", "unknown-field", `unknown field "-"; ` + known},
		{"a field without a tag", `{"Outside": "n"}`, "/Outside", "unknown-field", `unknown field "Outside"; ` + known},
		{"an empty name", `{"": 1}`, "/", "unknown-field", `unknown field ""; ` + known},
		{"a name with a slash and a tilde", `{"a/b~c~1": 1}`, "/a~1b~0c~01", "unknown-field", `unknown field "a/b~c~1"; ` + known},
		{"an unknown field deep inside", `{"parts": [{}, {"parts": [{"kind": 1}]}]}`, "/parts/1/parts/0/kind", "unknown-field", `unknown field "kind"; known are id, parts`},
		{"an unknown field in a map", `{"nested": {"a/b": {"kind": 1}}}`, "/nested/a~1b/kind", "unknown-field", `unknown field "kind"; known are id, parts`},
		{"a list for the document", `[]`, "", "wrong-type", "must be an object, is a list"},
		{"a text for the document", `"x"`, "", "wrong-type", "must be an object, is a text"},
		{"a number for a text", `{"name": 1}`, "/name", "wrong-type", "must be a text, is a number"},
		{"a truth for a text", `{"name": true}`, "/name", "wrong-type", "must be a text, is true or false"},
		{"a text for a truth", `{"live": "true"}`, "/live", "wrong-type", "must be true or false, is a text"},
		{"a text for a number", `{"share": "0.5"}`, "/share", "wrong-type", "must be a number, is a text"},
		{"a text for a whole number", `{"count": "1"}`, "/count", "wrong-type", "must be a whole number, is a text"},
		{"a fraction for a whole number", `{"count": 1.5}`, "/count", "wrong-type", "must be a whole number, is a number"},
		{"a whole number that is not exact", `{"total": 9007199254740992}`, "/total", "wrong-type", "must be a whole number, is a number"},
		{"a whole number that is not exact below", `{"total": -9007199254740992}`, "/total", "wrong-type", "must be a whole number, is a number"},
		{"a fraction behind a pointer", `{"limit": 0.1}`, "/limit", "wrong-type", "must be a whole number, is a number"},
		{"an object for a list", `{"tags": {}}`, "/tags", "wrong-type", "must be a list, is an object"},
		{"a text for a list", `{"tags": "a"}`, "/tags", "wrong-type", "must be a list, is a text"},
		{"a number in a list of texts", `{"tags": ["a", 2]}`, "/tags/1", "wrong-type", "must be a text, is a number"},
		{"a list for an object", `{"sizes": []}`, "/sizes", "wrong-type", "must be an object, is a list"},
		{"a text in a map of numbers", `{"sizes": {"a~b": "1"}}`, "/sizes/a~0b", "wrong-type", "must be a whole number, is a text"},
		{"a text for a part", `{"parts": ["p"]}`, "/parts/0", "wrong-type", "must be an object, is a text"},
		{"a problem of a type that decodes itself", `{"colour": 1}`, "/colour", "colour-invalid", "a colour is a text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := decode(t, tt.text)
			require.Equal(t, strictjson.Problems{{Pointer: tt.pointer, Code: tt.code, Message: tt.message}}, problems)
		})
	}
}

func TestDecodeReadsWholeNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want int64
	}{
		{`{"total": 1.0}`, 1},
		{`{"total": -0}`, 0},
		{`{"total": 1e3}`, 1000},
		{`{"total": 9007199254740991}`, 9007199254740991},
		{`{"total": -9007199254740991}`, -9007199254740991},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			d, problems := decode(t, tt.text)
			require.Empty(t, problems)
			require.Equal(t, tt.want, d.Total)
		})
	}
}

func TestDecodeReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	d, problems := decode(t, `{"zebra": 1, "name": 2, "tags": [3, "kept"], "parts": [{"id": 4, "x": 5}], "count": 6}`)
	require.Equal(t, strictjson.Problems{
		{Pointer: "/name", Code: "wrong-type", Message: "must be a text, is a number"},
		{Pointer: "/parts/0/id", Code: "wrong-type", Message: "must be a text, is a number"},
		{Pointer: "/parts/0/x", Code: "unknown-field", Message: `unknown field "x"; known are id, parts`},
		{Pointer: "/tags/0", Code: "wrong-type", Message: "must be a text, is a number"},
		{
			Pointer: "/zebra", Code: "unknown-field",
			Message: `unknown field "zebra"; known are any, colour, count, limit, live, name, nested, parts, share, sizes, tags, total`,
		},
	}, problems)
	require.Equal(t, document{Count: 6, Tags: []string{"", "kept"}, Parts: []part{{}}}, d)
}

func TestDecodeCountsPointersFromWhereTheValueStands(t *testing.T) {
	t.Parallel()
	var p part
	var problems strictjson.Problems
	strictjson.Decode(map[string]any{"id": 1.0}, "/steps/3/with", &p, &problems)
	require.Equal(t, strictjson.Problems{{Pointer: "/steps/3/with/id", Code: "wrong-type", Message: "must be a text, is a number"}}, problems)
}

func TestDecodePanicsForATypeItCannotFill(t *testing.T) {
	t.Parallel()
	var target struct {
		Size uint8 `json:"size"`
	}
	require.PanicsWithValue(t, "strictjson: cannot decode into uint8", func() {
		strictjson.Decode(map[string]any{"size": 1.0}, "", &target, &strictjson.Problems{})
	})
}

func TestTypeNameIsThatOfJSON(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		"null": nil, "a text": "", "true or false": false, "a number": 0.0, "a list": []any{}, "an object": map[string]any{},
	} {
		require.Equal(t, want, strictjson.TypeName(v))
	}
}

func TestPointersAreEscaped(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/a", strictjson.Field("", "a"))
	require.Equal(t, "/a/b~1c", strictjson.Field("/a", "b/c"))
	require.Equal(t, "/~0~1", strictjson.Field("", "~/"))
	require.Equal(t, "/~01", strictjson.Field("", "~1"))
	require.Equal(t, "/a/0", strictjson.Index("/a", 0))
}

func TestJoinMovesProblemsOfAPart(t *testing.T) {
	t.Parallel()
	problems := strictjson.Problems{{Pointer: "/x", Code: "a", Message: "first"}}
	problems.Join("/steps/0", strictjson.Problems{{Pointer: "", Code: "b", Message: "whole"}, {Pointer: "/with", Code: "c", Message: "part"}})
	require.Equal(t, strictjson.Problems{
		{Pointer: "/x", Code: "a", Message: "first"},
		{Pointer: "/steps/0", Code: "b", Message: "whole"},
		{Pointer: "/steps/0/with", Code: "c", Message: "part"},
	}, problems)
}
