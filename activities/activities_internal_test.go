package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAKindThatStandsTwicePanics(t *testing.T) {
	t.Parallel()
	s := New(Deps{})
	require.PanicsWithValue(t, "activities: action send_email stands twice", func() { add(s, &SendEmail{}) })
	require.PanicsWithValue(t, "activities: action notify stands twice", func() { addInside(s, &Notify{}) })
}

func TestLongTextsAreCutAtTheEdgeOfACharacter(t *testing.T) {
	t.Parallel()
	require.Equal(t, "short", cut("short"))
	require.Equal(t, strings.Repeat("x", 4096), cut(strings.Repeat("x", 4096)))
	require.Equal(t, strings.Repeat("x", 4096)+"…", cut(strings.Repeat("x", 4097)))
	require.Equal(t, "x"+strings.Repeat("ä", 2047)+"…", cut("x"+strings.Repeat("ä", 4000)))
	require.Equal(t, "a\uFFFDb", cut("a\xff\x00b"))
}
