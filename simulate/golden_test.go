package simulate_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

const line = "----------\n"

// TestGolden simulates the files in testdata: below the line of a file stands what people read of it.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".txt"), "_", " "), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			given, want, found := strings.Cut(string(text), line)
			require.True(t, found, "the file has no line %q", line)
			r, err := simulator().Run(t.Context(), read(t, given))
			require.NoError(t, err)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(given+line+told(r)), 0o600))
				return
			}
			require.Equal(t, want, told(r))
		})
	}
}

// read reads the input of a simulation as the API takes it.
func read(t *testing.T, text string) automation.Simulation {
	t.Helper()
	converted, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	var in struct {
		automation.Simulation
		Workflow json.RawMessage `json:"workflow"`
	}
	require.NoError(t, json.Unmarshal(converted, &in))
	in.Document, err = automation.ParseDocument(in.Workflow)
	require.NoError(t, err)
	return in.Simulation
}
