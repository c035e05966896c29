package strictjson_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/strictjson"
)

// TestAtFindsWhatTheStandardFinds has the example of RFC 6901, section 5.
func TestAtFindsWhatTheStandardFinds(t *testing.T) {
	t.Parallel()
	v, err := strictjson.Parse([]byte(`{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8,"~1":9,"deep":[[{"x":null}]]}`))
	require.NoError(t, err)
	for pointer, want := range map[string]any{
		"": v, "/foo": []any{"bar", "baz"}, "/foo/0": "bar", "/": 0.0, "/a~1b": 1.0, "/c%d": 2.0, "/e^f": 3.0, "/g|h": 4.0,
		`/i\j`: 5.0, `/k"l`: 6.0, "/ ": 7.0, "/m~0n": 8.0, "/~01": 9.0, "/deep/0/0/x": nil,
	} {
		require.True(t, strictjson.IsPointer(pointer), pointer)
		got, ok := strictjson.At(v, pointer)
		require.True(t, ok, pointer)
		require.Equal(t, want, got, pointer)
	}
	for _, nothing := range []string{"/none", "/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/-1", "/foo/0/x", "/foo/99999999999999999999", "/deep/0/0/x/y"} {
		_, ok := strictjson.At(v, nothing)
		require.False(t, ok, nothing)
	}
}

func TestIsPointer(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"foo", "#/foo", "$.foo", "/a~", "/a~2", "a/b", " /a"} {
		require.False(t, strictjson.IsPointer(text), text)
	}
	for _, text := range []string{"", "/", "//", "/a~0~1/b", "/ä/0", "/line\nbreak"} {
		require.True(t, strictjson.IsPointer(text), text)
	}
}
