package strictjson_test

import (
	"encoding/json"
	"errors"
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
	} {
		f.Add([]byte(seed))
	}
	codes := map[string]bool{
		"malformed-json": true, "duplicate-member": true, "json-too-deep": true, "invalid-utf8": true, "nul-character": true,
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := strictjson.Parse(text)
		if err != nil {
			syntax, ok := errors.AsType[*strictjson.SyntaxError](err)
			require.True(t, ok)
			require.Contains(t, codes, syntax.Code)
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
