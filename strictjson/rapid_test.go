package strictjson_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/strictjson"
)

// values draws what Parse can return.
func values(levels int) *rapid.Generator[any] {
	text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != 0 }))
	single := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.Map(text, func(s string) any { return s }),
	)
	if levels == 0 {
		return single
	}
	inner := rapid.Deferred(func() *rapid.Generator[any] { return values(levels - 1) })
	return rapid.OneOf(
		single,
		rapid.Map(rapid.SliceOfN(inner, 0, 4), func(items []any) any { return append([]any{}, items...) }),
		rapid.Map(rapid.MapOfN(text, inner, 0, 4), func(members map[string]any) any { return members }),
	)
}

func TestAValueThatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := values(5).Draw(t, "value")
		text, err := json.Marshal(v)
		require.NoError(t, err)
		again, err := strictjson.Parse(text)
		require.NoError(t, err)
		require.Equal(t, v, again)
	})
}

func TestACutDocumentIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal([]any{values(3).Draw(t, "value")})
		require.NoError(t, err)
		cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut")
		_, err = strictjson.Parse(text[:cut])
		require.Error(t, err)
	})
}
