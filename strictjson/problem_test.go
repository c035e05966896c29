package strictjson_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/strictjson"
)

func TestAMessageQuotesAtMost100Characters(t *testing.T) {
	t.Parallel()
	type name string
	hundred := strings.Repeat("ż", 100)
	for _, tt := range []struct {
		name, format string
		args         []any
		want         string
	}{
		{"a short name", "there is no %q", []any{"x\n"}, `there is no "x\n"`},
		{"100 characters", "there is no %q", []any{hundred}, `there is no "` + hundred + `"`},
		{"101 characters", "there is no %q", []any{hundred + "x"}, `there is no "` + hundred + `…"`},
		{"a name of another type", "there is no %q", []any{name(hundred + "x")}, `there is no "` + hundred + `…"`},
		{"several", "%d: %q and %q of %s", []any{7, "a", hundred + "xyz", hundred + "x"}, `7: "a" and "` + hundred + `…" of ` + hundred + "x"},
		{"an error", "%s", []any{errors.New(hundred + "x")}, hundred + "x"},
		{"padding", "%-3s|", []any{"x"}, "x  |"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p strictjson.Problems
			p.Add("/at", "code", tt.format, tt.args...)
			require.Equal(t, strictjson.Problems{{Pointer: "/at", Code: "code", Message: tt.want}}, p)
		})
	}
}

func TestATextIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	require.Equal(t, strings.Repeat("x", 100)+"…", strictjson.Short(strings.Repeat("x", 200)))
	require.Equal(t, strings.Repeat("é", 51), strictjson.Short(strings.Repeat("é", 51)), "of more than 100 bytes")
	require.Equal(t, strings.Repeat("é", 100)+"…", strictjson.Short(strings.Repeat("é", 101)))
}
