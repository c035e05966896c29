package simulate_test

import (
	"encoding/json"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/internal/golden"
)

// TestGolden simulates the files in testdata: below the line of a file stands what people read of it.
func TestGolden(t *testing.T) {
	t.Parallel()
	golden.Run(t, "testdata/*.txt", func(t *testing.T, given string) string {
		t.Helper()
		r, err := simulator().Run(t.Context(), read(t, given))
		require.NoError(t, err)
		return told(r)
	})
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
