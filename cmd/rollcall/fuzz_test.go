package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/api"
	"rollcall/automation"
)

// FuzzWorkflowFile reads any file as a workflow: what is sent of it is what was understood of it.
func FuzzWorkflowFile(f *testing.F) {
	files, err := filepath.Glob("../../examples/*.yaml")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		follow, "", "null", "[]", "a", "name: x\n---\nname: y", `{"name": "x", "steps": [{"delay": 0}]}`, "name: 1", "name: !!binary eA==", "? name\n: x", "name: x\nname: y", "steps: [{with: {1: a}}]",
		"steps: [{with: {a: 1e400, b: .nan, c: 0x10, d: 1_000, e: 0o7, f: 2027-01-04, g: ~, h: yes, i: 18446744073709551615}}]", "title: |\n  a\n  b\n", "title: \"\\u00e9\\n\"",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		document, err := api.ParseYAML(text)
		if err != nil {
			return
		}
		object, err := objectIn(text, "x.yaml")
		if err != nil {
			_, hash, err := document.Normal()
			require.NoError(t, err)
			_, empty, err := new(automation.Document).Normal()
			require.NoError(t, err)
			require.Equal(t, empty, hash, "it is no object, but was understood as more than nothing")
			return
		}
		sent, err := json.Marshal(object)
		require.NoError(t, err)
		received, err := automation.ParseDocument(sent)
		require.NoError(t, err, "%s", sent)
		want, _, err := document.Normal()
		require.NoError(t, err)
		got, _, err := received.Normal()
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	})
}

// FuzzFact reads any text as an event or a change of a simulation. It has an instant that can be sent, and
// properties.
func FuzzFact(f *testing.F) {
	for _, text := range []string{
		`+2d survey.completed {"score": 9}`, `2027-01-04T09:00:00+01:00 login`, `+0 login`, `+5d {"status": null}`, ``, ` `, `+`, `+2d`, `-2d login`, `now login`, `+2d a []`, `+2d a {"a": 1} {}`,
		`+2d  a   {}`, `+10y a`, `2027-01-04T09:00:00.123456789Z a`, "+1d\ta {}", `0000-01-01T00:00:00+23:59 a`, `9999-12-31T23:59:59Z a`,
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	start := time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string, named bool) {
		fact, err := factOf(text, start, named)
		if err != nil {
			require.Nil(t, fact)
			require.NotEmpty(t, err.Error())
			return
		}
		at, ok := fact["at"].(time.Time)
		require.True(t, ok)
		if strings.HasPrefix(strings.TrimSpace(text), "+") {
			require.False(t, at.Before(start))
			require.False(t, at.After(start.Add(automation.MaxDuration)))
		}
		require.IsType(t, map[string]any{}, fact["properties"])
		require.Equal(t, named, fact["name"] != nil)
		sent, err := json.Marshal(fact)
		require.NoError(t, err)
		var received struct {
			At         time.Time
			Properties map[string]any
		}
		require.NoError(t, json.Unmarshal(sent, &received))
		require.True(t, at.Equal(received.At))
		require.NotNil(t, received.Properties)
	})
}

// FuzzPrintable prints any text: on one line, with nothing in it that a terminal would obey.
func FuzzPrintable(f *testing.F) {
	for _, text := range []string{"", "a\r\nb", "\x1b[2J", "\u009b2J", "é😀", "\xff\xfe", "\u2028"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := printable(text)
		require.Equal(t, got, printable(got))
		for _, r := range got {
			require.False(t, r < ' ' || r >= 0x7f && r < 0xa0, "%q", got)
		}
	})
}
