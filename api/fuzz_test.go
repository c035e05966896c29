package api_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/api"
	"rollcall/automation"
	"rollcall/strictjson"
)

// otherNumbers are those that YAML reads otherwise than JSON: 1e3 is a text to it, and -0 is 0.
var otherNumbers = regexp.MustCompile(`[0-9][eE]|-0`)

const someJSON = "{\"name\": \"a\",\n\t\"title\":\t\"\\ud83d\\ude00 \\/ \\u0085 a: # & * {} []\", \"triggers\": [{\"manual\": true}]," +
	`"steps": [{"action": "format", "with": {"outputs": {"a": "yes", "b": "0x10", "~": "", "c": "2027-01-04", "": "1.5"}}}]}`

// FuzzDefinition reads any bytes as a definition, as PUT /v1/workflows does. What is taken and
// valid has a normal form that reads as itself and compiles, and JSON is read as the YAML that it is, too.
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
		waiting, someJSON, "", "null", "---", "--- \n...\n---", "a: &a [*a]", "<<: {name: x}", "? [a]\n: b", "? {a: b}", "a: !!binary x",
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
		if document, err := automation.ParseDocument(text); err == nil && !otherNumbers.Match(text) {
			same, err := api.ParseYAML(text)
			require.NoError(t, err)
			require.Equal(t, normal(t, document), normal(t, same))
		}
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
			text := normal(t, document)
			again, err := automation.ParseDocument([]byte(text))
			require.NoError(t, err, "%s", text)
			require.Equal(t, text, normal(t, again))
			require.NotEmpty(t, again.Compile(1, catalog).Nodes)
		}
	})
}

func normal(t *testing.T, d *automation.Document) string {
	t.Helper()
	text, _, err := d.Normal()
	require.NoError(t, err)
	return string(text)
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
