package strictjson_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/strictjson"
)

func nested(open, inner, end string, levels int) string {
	return strings.Repeat(open, levels) + inner + strings.Repeat(end, levels)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, code, message string
		offset                    int64
	}{
		{"nothing", "", "malformed-json", "the document is empty", 0},
		{"spaces only", " \t\r\n ", "malformed-json", "the document is empty", 0},
		{"a truncated object", `{"a":1,`, "malformed-json", "the document ends too early (near byte 7)", 7},
		{"a truncated array", `[1, 2`, "malformed-json", "the document ends too early (near byte 5)", 5},
		{"a truncated text", `"abc`, "malformed-json", "the document ends too early (near byte 0)", 0},
		{"a truncated literal", `tru`, "malformed-json", "the document ends too early (near byte 0)", 0},
		{"two documents", `{"a":1} {"a":2}`, "malformed-json", "there is more text after the document", 9},
		{"two numbers", `1 2`, "malformed-json", "there is more text after the document", 3},
		{"a brace too many", `{"a":1}}`, "malformed-json", "there is more text after the document", 7},
		{"words behind the document", `[1] and so on`, "malformed-json", "there is more text after the document", 4},
		{"a member twice", `{"a":1,"b":2,"a":3}`, "duplicate-member", `member "a" stands twice in one object`, 16},
		{"a member twice in other spelling", `{"a":1,"\u0061":2}`, "duplicate-member", `member "a" stands twice in one object`, 15},
		{"a member twice deep inside", `[{"x":{"a":null,"a":null}}]`, "duplicate-member", `member "a" stands twice in one object`, 19},
		{"the empty member twice", `{"":1,"":2}`, "duplicate-member", `member "" stands twice in one object`, 8},
		{"a lone high surrogate", `"\ud800"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"a lone low surrogate", `"\udc00"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"a high surrogate before a letter", `"\ud800x"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"a high surrogate before another escape", `"\ud800\n1234"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"two high surrogates", `"\ud800\ud800"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"surrogates the wrong way round", `"\ude00\ud83d"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"a low surrogate after a pair", `"\ud83d\ude00\ude00"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"a lone surrogate in a name", `{"\uD800":1}`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"a lone surrogate behind a backslash", `"\\\ud800"`, "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"bytes that are not UTF-8", "\"\xff\"", "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"a surrogate in UTF-8", "\"\xed\xa0\x80\"", "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"an overlong slash", "\"\xc0\xaf\"", "invalid-utf8", "the document is not valid UTF-8 text", 0},
		{"an escaped NUL", `{"a":"b\u0000"}`, "nul-character", "the character U+0000 cannot be stored", 14},
		{"an escaped NUL in a name", `{"\u0000":1}`, "nul-character", "the character U+0000 cannot be stored", 9},
		{"a raw NUL", "\"\x00\"", "malformed-json", "the document is not valid JSON (near byte 0)", 0},
		{"a raw line break in a text", "\"a\nb\"", "malformed-json", "the document is not valid JSON (near byte 0)", 0},
		{"a byte order mark", "\ufeff{}", "malformed-json", "the document is not valid JSON (near byte 0)", 0},
		{"arrays of 33 levels", nested("[", "", "]", 33), "json-too-deep", "the document nests deeper than 32 levels", 33},
		{"objects of 33 levels", nested(`{"a":`, "1", "}", 33), "json-too-deep", "the document nests deeper than 32 levels", 161},
		{"arrays of 10,001 levels", nested("[", "", "]", 10_001), "json-too-deep", "the document nests deeper than 32 levels", 33},
		{"100,000 open arrays", strings.Repeat("[", 100_000), "json-too-deep", "the document nests deeper than 32 levels", 33},
		{"a number beyond all", `[1e400]`, "malformed-json", "the number 1e400 is out of range", 6},
		{"a number below all", `-1e400`, "malformed-json", "the number -1e400 is out of range", 6},
		{"NaN", `NaN`, "malformed-json", "the document is not valid JSON (near byte 0)", 0},
		{"Infinity", `[-Infinity]`, "malformed-json", "the document is not valid JSON (near byte 1)", 1},
		{"a number with a zero in front", `01`, "malformed-json", "there is more text after the document", 2},
		{"a number with a plus", `+1`, "malformed-json", "the document is not valid JSON (near byte 0)", 0},
		{"a number in hex", `[0x10]`, "malformed-json", "the document is not valid JSON (near byte 2)", 2},
		{"a comma behind the last item", `[1,]`, "malformed-json", "the document is not valid JSON (near byte 3)", 3},
		{"a comma behind the last member", `{"a":1,}`, "malformed-json", "the document is not valid JSON (near byte 7)", 7},
		{"no comma between items", `[1 2]`, "malformed-json", "the document is not valid JSON (near byte 3)", 3},
		{"no colon", `{"a" 1}`, "malformed-json", "the document is not valid JSON (near byte 5)", 5},
		{"a name that is no text", `{1:2}`, "malformed-json", "the document is not valid JSON (near byte 1)", 1},
		{"an array closed as an object", `[1}`, "malformed-json", "the document is not valid JSON (near byte 2)", 2},
		{"an object closed as an array", `{"a":1]`, "malformed-json", "the document is not valid JSON (near byte 6)", 6},
		{"single quotes", `{'a':1}`, "malformed-json", "the document is not valid JSON (near byte 1)", 1},
		{"a comment", `{} // nothing`, "malformed-json", "there is more text after the document", 3},
		{"an escape that does not exist", `"\x41"`, "malformed-json", "the document is not valid JSON (near byte 0)", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := strictjson.Parse([]byte(tt.text))
			require.Nil(t, v)
			require.Equal(t, &strictjson.SyntaxError{Code: tt.code, Message: tt.message, Offset: tt.offset}, err)
			require.EqualError(t, err, tt.message)
		})
	}
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       any
	}{
		{"a null", `null`, nil},
		{"a number", ` 1.5 `, 1.5},
		{"one as a fraction", `1.0`, 1.0},
		{"the largest number", `1.7976931348623157e308`, 1.7976931348623157e308},
		{"a number too small to tell from nothing", `1e-400`, 0.0},
		{"a text", `"abc"`, "abc"},
		{"an empty text", `""`, ""},
		{"all escapes", `"\"\\\/\b\f\n\r\t\u00e9"`, "\"\\/\b\f\n\r\té"},
		{"a pair of surrogates", `"\ud83d\ude00"`, "😀"},
		{"a pair of surrogates in capitals", `"\uD83D\uDE00"`, "😀"},
		{"two pairs of surrogates", `"\ud83d\ude00\ud83d\ude01"`, "😀😁"},
		{"the ends of the surrogates", `"\ud7ff\ue000"`, "\ud7ff\ue000"},
		{"the spelling of a surrogate", `"\\ud800"`, `\ud800`},
		{"a character that stands for another", `"\ufffd"`, "\ufffd"},
		{"a byte order mark inside a text", `"\ufeff"`, "\ufeff"},
		{"a character beyond the basic plane", `"😀"`, "😀"},
		{"an empty object", `{}`, map[string]any{}},
		{"an empty array", `[]`, []any{}},
		{"everything", "{\"a\": [1, true, false, null, {\"b\": \"c\"}], \"A\": {}}\n", map[string]any{
			"a": []any{1.0, true, false, nil, map[string]any{"b": "c"}}, "A": map[string]any{},
		}},
		{"the same name in two objects", `[{"a":1},{"a":{"a":2}}]`, []any{
			map[string]any{"a": 1.0}, map[string]any{"a": map[string]any{"a": 2.0}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := strictjson.Parse([]byte(tt.text))
			require.NoError(t, err)
			require.Equal(t, tt.want, v)
		})
	}
}

func TestParseAccepts32Levels(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"of arrays":              nested("[", "", "]", 32),
		"of objects":             nested(`{"a":`, "1", "}", 32),
		"of both":                nested(`[{"a":`, "null", "}]", 16),
		"beside each other, too": "[" + nested("[", "", "]", 31) + "," + nested("[", "", "]", 31) + "]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := strictjson.Parse([]byte(text))
			require.NoError(t, err)
		})
	}
}

func TestParseKeepsNoPartOfTheText(t *testing.T) {
	t.Parallel()
	text := []byte(`{"name": "welcome"}`)
	v, err := strictjson.Parse(text)
	require.NoError(t, err)
	clear(text)
	require.Equal(t, map[string]any{"name": "welcome"}, v)
}

func TestNumberThatCannotBeKeptExactlyIsRefused(t *testing.T) {
	t.Parallel()
	_, err := strictjson.Parse([]byte(`{"n": 9007199254740993}`))
	require.EqualError(t, err, "the number 9007199254740993 cannot be kept exactly; send it as text")

	v, err := strictjson.Parse([]byte(`[9007199254740992, 100000000000000000000, 0.1, 1e300]`))
	require.NoError(t, err)
	require.Equal(t, []any{9007199254740992.0, 1e20, 0.1, 1e300}, v)
}
