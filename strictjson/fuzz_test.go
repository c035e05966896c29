package strictjson_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/strictjson"
)

// FuzzParse holds Parse against encoding/json: what Parse accepts, that accepts with the same
// value, and what it writes of the value is accepted again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `-0`, `1e400`, `1e-400`, `"\ud800"`, `"\ud83d\ude00"`, `"\\ud800"`, `{"a":1,"a":2}`, `{"a":[1,true,{"b":null}]}`,
		`[1,]`, `{"a":1}}`, "\ufeff{}", "\"\xff\"", "\"\u2028\"", `"\u0000"`, `{"<a>&":"\u003c"}`, strings.Repeat("[", 33),
		`9007199254740993`, `[9007199254740992, 100000000000000000000, 0.1, 1e300]`, `{"\u0000":1}`,
	} {
		f.Add([]byte(seed))
	}
	codes := map[string]bool{
		"malformed-json": true, "duplicate-member": true, "json-too-deep": true, "invalid-utf8": true, "nul-character": true,
		"number-not-exact": true,
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := strictjson.Parse(text)
		if err != nil {
			syntax, ok := errors.AsType[*strictjson.SyntaxError](err)
			require.True(t, ok)
			require.Contains(t, codes, syntax.Code)
			require.LessOrEqual(t, syntax.Offset, int64(len(text)))
			require.Less(t, len(syntax.Message), 1000)
			return
		}
		var want any
		require.NoError(t, json.Unmarshal(text, &want))
		require.Equal(t, want, v)

		written, err := json.Marshal(v)
		require.NoError(t, err)
		again, err := strictjson.Parse(written)
		require.NoError(t, err)
		require.Equal(t, v, again)
	})
}

// shape has a field of every kind that Decode fills.
type shape struct {
	Text   string           `json:"text"`
	Truth  bool             `json:"truth"`
	Whole  int              `json:"whole"`
	Number float64          `json:"number"`
	Any    any              `json:"any"`
	List   []string         `json:"list"`
	Parts  []shape          `json:"parts"`
	Part   *shape           `json:"part"`
	Map    map[string]int   `json:"map"`
	Maps   map[string]shape `json:"maps"`
}

// FuzzDecode holds Decode against encoding/json: what it takes without a problem, that takes with the same
// value. Each problem leads to a place of the document.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"text": 1, "truth": "x", "whole": 1.5, "number": "1", "list": "a", "map": [], "part": 1, "parts": {}}`,
		`{"text": "a", "truth": true, "whole": 1e3, "number": 1.5, "any": {"a": [null]}, "list": ["a", null], "map": {"a": 1, "b": null}}`,
		`{"parts": [{"parts": [{"Text": 1}]}, null, {"part": {"whole": 9007199254740992}}], "maps": {"a/b~c": {"x": 1}, "": {"text": null}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := strictjson.Parse(text)
		if err != nil {
			return
		}
		var got, want shape
		var problems strictjson.Problems
		strictjson.Decode(v, "", &got, &problems)
		for _, p := range problems {
			require.True(t, leads(v, p.Pointer), p)
			require.Contains(t, []string{"unknown-field", "wrong-type"}, p.Code)
		}
		if len(problems) > 0 {
			return
		}
		written, err := json.Marshal(v) // 1e3 is 1000 then
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(written, &want))
		require.Equal(t, want, got)
	})
}

// leads reports whether a pointer leads to a place of a document.
func leads(v any, pointer string) bool {
	if pointer == "" {
		return true
	}
	for name := range strings.SplitSeq(pointer[1:], "/") {
		switch in := v.(type) {
		case map[string]any:
			member, has := in[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
			if !has {
				return false
			}
			v = member
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(in) {
				return false
			}
			v = in[i]
		default:
			return false
		}
	}
	return true
}
