package api_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/api"
	"rollcall/automation"
	"rollcall/strictjson"
)

// FuzzDefinition reads any bytes as a definition, as PUT /v1/workflows does. What is taken and
// valid has a normal form that reads as itself and compiles.
func FuzzDefinition(f *testing.F) {
	files, err := filepath.Glob("../examples/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, d := range badDefinitions() {
		if len(d.body) < 4096 {
			f.Add([]byte(d.body))
		}
	}
	for _, text := range []string{
		waiting, "", "null", "---", "--- \n...\n---", "a: &a [*a]", "<<: {name: x}", "? [a]\n: b", "? {a: b}", "a: !!binary x",
		"a: !!timestamp 2026-01-01", "a: .nan", "a: |2\n  x", "a: \"\\U0010ffff\\x7f\\0\"", "\ufeffname: x", "%YAML 1.2\n---\nname: x", "a: >-\n\n\t", "{a: b, ? c}",
		strings.Repeat("[", 40), strings.Repeat("- ", 40), strings.Repeat("{a: ", 40), strings.Repeat("? ", 40), "'", `"`, "a: 'b''c'", "a: 0x", "a: 1_", "a: 0o9", "@", "`", "!", "!<", "|", ">", "&", "*",
	} {
		f.Add([]byte(text))
	}
	catalog := activities.New(activities.Deps{}).Catalog()
	properties := automation.Properties{}
	for _, p := range automation.BuiltInProperties() {
		properties[p.Name] = p
	}
	readers := map[string]func([]byte) (*automation.Document, error){"YAML": api.ParseYAML, "JSON": automation.ParseDocument}
	f.Fuzz(func(t *testing.T, text []byte) {
		for format, read := range readers {
			document, err := read(text)
			if err != nil {
				told(t, format, err)
				continue
			}
			problems := document.Validate(catalog, properties)
			require.LessOrEqual(t, len(problems), 100)
			if len(problems) > 0 {
				continue
			}
			normal, hash, err := document.Normal()
			require.NoError(t, err)
			again, err := automation.ParseDocument(normal)
			require.NoError(t, err, "%s", normal)
			_, same, err := again.Normal()
			require.NoError(t, err)
			require.Equal(t, hash, same)
			require.NotEmpty(t, again.Compile(1, catalog).Nodes)
		}
	})
}

// told checks that an error is one that the author is told.
func told(t *testing.T, format string, err error) {
	t.Helper()
	if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
		require.Regexp(t, problemCode, syntax.Code, format)
		require.NotEmpty(t, syntax.Message, format)
		require.True(t, utf8.ValidString(syntax.Message), format)
		return
	}
	invalid, ok := errors.AsType[*automation.InvalidError](err)
	require.True(t, ok, "%s: %v", format, err)
	require.NotEmpty(t, invalid.Problems, format)
}
