package automation_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(name:.*?)^```$")

// TestTheWorkflowsOfTheManualAreGood reads the page for authors. It knows the kinds of actions by
// name only: what they take is tested where they are.
func TestTheWorkflowsOfTheManualAreGood(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/writing-workflows.md")
	require.NoError(t, err)
	blocks := yamlBlock.FindAllStringSubmatch(string(page), -1)
	require.GreaterOrEqual(t, len(blocks), 10)
	known := automation.Properties{"onboarding": {Name: "onboarding", Type: filter.Enum}}
	for _, p := range automation.BuiltInProperties() {
		known[p.Name] = p
	}
	var kinds automation.Catalog
	for _, kind := range []string{"add_sheet_row", "notify", "send_email", "send_slack", "send_webhook", "set_property"} {
		kinds.Actions = append(kinds.Actions, automation.ActionKind{Kind: kind, Check: func(map[string]any, automation.Properties) automation.Problems { return nil }})
	}
	for _, block := range blocks {
		t.Run(strings.Fields(block[1])[1], func(t *testing.T) {
			t.Parallel()
			converted, err := yaml.YAMLToJSON([]byte(block[1]))
			require.NoError(t, err)
			d, err := automation.ParseDocument(converted)
			require.NoError(t, err)
			require.Empty(t, d.Validate(kinds, known))
		})
	}
}
