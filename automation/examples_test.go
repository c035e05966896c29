package automation_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/examples"
)

func TestExamplesParse(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(examples.Files, "*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := fs.ReadFile(examples.Files, file)
			require.NoError(t, err)
			converted, err := yaml.YAMLToJSON(text)
			require.NoError(t, err)
			d, err := automation.ParseDocument(converted)
			require.NoError(t, err)
			require.Equal(t, strings.TrimSuffix(file, ".yaml"), d.Name)
			require.NotEmpty(t, d.Title)
		})
	}
}
