package world

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCellsReadAndSpellA1Notation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"A1":                   "Sheet1!A1",
		"1:1":                  "Sheet1!A1:Z1",
		"Team!B2:C10":          "Team!B2:C10",
		"'New people'!A1":      "'New people'!A1",
		"'It''s! a sheet'!1:1": "'It''s! a sheet'!A1:Z1",
		"'<b>'!AA10":           "'<b>'!AA10",
		"Some team":            "'Some team'!A1:Z1000",
		"Team!A:B":             "Team!A1:B1000",
		"'Straße ☀'!A1:AB2":    "'Straße ☀'!A1:AB2",
		"Team!A0":              "",
		"Team!A1:":             "",
		"!A1":                  "",
		"":                     "",
		"Team!A99999999999999": "",
		"Team!hello world":     "",
		"Team!A1:B2:C3":        "",
		"'unfinished!A1":       "'''unfinished'!A1",
		"Team!ZZZ1":            "Team!ZZZ1",
	} {
		got, err := parseCells(text)
		if want == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got.String(), text)
	}
}

func TestBooksKeepWhatIsWritten(t *testing.T) {
	t.Parallel()
	b := newBooks()
	at := b.write("s", cells{sheet: "T", row1: 2, col1: 2}, [][]string{{"x", ""}, {"y", "z"}})
	require.Equal(t, "T!B2:C3", at.String())
	whole := cells{sheet: "T", row1: 1, row2: 10}
	require.Equal(t, [][]string{{}, {"", "x"}, {"", "y", "z"}}, b.read("s", whole))
	require.Equal(t, [][]string{{"z"}}, b.read("s", cells{sheet: "T", row1: 3, col1: 3, row2: 3, col2: 3}))
	header, at := b.append("s", "T", []string{"1"})
	require.Equal(t, "T!A4", at.String())
	require.Empty(t, header)
	require.Empty(t, b.read("other", whole))
}
