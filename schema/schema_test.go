package schema_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/examples"
	"rollcall/internal/golden"
	"rollcall/schema"
)

// TestTheSchemaOfTheManualIsThatOfTheCatalog compares the file that editors read, which
// "go test ./schema -update" writes.
func TestTheSchemaOfTheManualIsThatOfTheCatalog(t *testing.T) {
	t.Parallel()
	const file = "../docs/workflow.schema.json"
	got := schema.Workflow(activities.New(activities.Deps{}).Catalog())
	if golden.Updating() {
		require.NoError(t, os.WriteFile(file, got, 0o600))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestTheWorkflowsThatAreShownFitTheSchema(t *testing.T) {
	t.Parallel()
	all := compiled(t, activities.New(activities.Deps{}).Catalog())
	shown := documents(t)
	require.Greater(t, len(shown), 30)
	for name, document := range shown {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, all.Validate(fromYAML(t, document)))
		})
	}
}

// documents are the workflows of the examples, of the examples of actions and of the manual.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	add := func(name string, text []byte, err error) {
		require.NoError(t, err)
		all[name] = string(text)
	}
	files, err := fs.Glob(examples.Files, "*.yaml")
	require.NoError(t, err)
	for _, file := range files {
		text, err := examples.Files.ReadFile(file)
		add("examples "+file, text, err)
	}
	for _, file := range golden.Files(t, "../activities/testdata/examples/*.yaml") {
		text, err := os.ReadFile(file)
		add("of an action "+filepath.Base(file), text, err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(name:.*?)^```$")
	for _, page := range append(golden.Files(t, "../docs/*.md"), "../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, block := range blocks.FindAllSubmatch(text, -1) {
			add(filepath.Base(page)+" "+strings.Fields(string(block[1]))[1], block[1], nil)
		}
	}
	return all
}

// shapes are the problems of a document that a schema can see.
var shapes = regexp.MustCompile(`(?m)^\S+ (unknown-field|wrong-type|unknown-step-type|unknown-trigger-kind|unknown-action|again-invalid|` +
	`arm-invalid|branch-on-invalid|condition-invalid|delay-invalid|delay-out-of-range|due-within-invalid|empty-graph|empty-group|guard-invalid|` +
	`mixed-group|no-trigger|on-error-invalid|schedule-invalid|share-invalid|split-invalid|unknown-country|wait-invalid|where-not-taken) `)

// meant are the files of which only the parser sees what is wrong, because it is in what is meant.
var meant = map[string]bool{
	"delay_a_huge_number": true, "delay_business_days_of_another_unit": true, "delay_business_days_that_are_none": true, "delay_eleven_years": true, "delay_offset_invalid": true,
	"delay_years_that_overflow": true, "due_within_no_time": true, "wait_for_an_amount_that_is_none": true, "wait_for_no_time": true,
}

// TestTheSchemaTakesWhatTheParserTakes asks it about the documents of the golden files of automation.
func TestTheSchemaTakesWhatTheParserTakes(t *testing.T) {
	t.Parallel()
	invented := compiled(t, automation.Catalog{Actions: []automation.ActionKind{
		{Kind: "beep", Title: "Beep", Schema: json.RawMessage(`{"type": "object", "additionalProperties": false, "required": ["to"], "properties": {
			"to": {"type": "string"}, "times": {"type": "integer"}, "loud": {"type": "boolean"}, "tags": {"type": "array"}}}`)},
		{Kind: "log", Title: "Log"},
	}})
	taken, refused := 0, 0
	var missed []string
	for _, file := range golden.Files(t, "../automation/testdata/*.txt") {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		given, want := golden.Read(t, file)
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(given))
		if err != nil {
			continue // the file is about JSON
		}
		switch wrong := shapes.FindString(want); {
		case strings.HasPrefix(want, "{"):
			taken++
			require.NoError(t, invented.Validate(withoutNulls(document)), name)
			normal, err := jsonschema.UnmarshalJSON(strings.NewReader(want))
			require.NoError(t, err)
			require.NoError(t, invented.Validate(normal), "the normal form of %s", name)
		case wrong != "" && !meant[name]:
			refused++
			if invented.Validate(document) == nil {
				missed = append(missed, name+" "+wrong)
			}
		}
	}
	require.Empty(t, missed)
	require.Greater(t, taken, 40)
	require.Greater(t, refused, 40)
}

func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	all := compiled(t, activities.New(activities.Deps{}).Catalog())
	const head, tail = "name: w\ntriggers: [{ manual: true }]\nsteps: [", "]\n"
	for name, document := range map[string]string{
		"no name":                             "triggers: [{ manual: true }]\nsteps: [{ exit: {} }]\n",
		"a name with a space":                 "name: a b\ntriggers: [{ manual: true }]\nsteps: [{ exit: {} }]\n",
		"an unknown member":                   "name: w\ntrigers: [{ manual: true }]\ntriggers: [{ manual: true }]\nsteps: [{ exit: {} }]\n",
		"no steps":                            "name: w\ntriggers: [{ manual: true }]\nsteps: []\n",
		"a trigger of two kinds":              "name: w\ntriggers: [{ manual: true, event: x }]\nsteps: [{ exit: {} }]\n",
		"a filter trigger with a where":       "name: w\ntriggers: [{ filter: { property: phone, op: known }, where: { property: phone, op: known } }]\nsteps: [{ exit: {} }]\n",
		"a schedule without a time":           "name: w\ntriggers: [{ schedule: { every: day } }]\nsteps: [{ exit: {} }]\n",
		"a schedule of an hour":               "name: w\ntriggers: [{ schedule: { every: hour, at: \"09:00\" } }]\nsteps: [{ exit: {} }]\n",
		"an op that there is not":             "name: w\ntriggers: [{ filter: { property: phone, op: is } }]\nsteps: [{ exit: {} }]\n",
		"an op of another kind of condition":  "name: w\ntriggers: [{ filter: { workflow: x, op: equals } }]\nsteps: [{ exit: {} }]\n",
		"a condition on an event, uncounted":  "name: w\ntriggers: [{ filter: { event: login, op: at_least } }]\nsteps: [{ exit: {} }]\n",
		"a group of two kinds":                "name: w\ntriggers: [{ filter: { all: [], any: [] } }]\nsteps: [{ exit: {} }]\n",
		"an unknown action":                   head + "{ action: send_mail, with: {} }" + tail,
		"an action without what it needs":     head + "{ action: notify, with: { to: manager } }" + tail,
		"an action without anything":          head + "{ action: notify }" + tail,
		"an unknown member of a with":         head + "{ action: notify, with: { to: manager, text: x, txet: y } }" + tail,
		"the with of another action":          head + "{ action: send_email, with: { to: manager, text: x } }" + tail,
		"a choice that there is not":          head + "{ action: update_sheet_row, with: { spreadsheet: s, lookup: { column: a, value: b }, values: { c: d }, if_missing: ad } }" + tail,
		"a step of two kinds":                 head + "{ delay: 3d, exit: {} }" + tail,
		"a step of no kind":                   head + "{ id: a }" + tail,
		"a delay without a unit":              head + "{ delay: 3 }" + tail,
		"a delay in months":                   head + "{ delay: 3M }" + tail,
		"a delay until two things":            head + "{ delay: { until: { property: hire_date, date: 2027-01-04 } } }" + tail,
		"a branch_on without cases":           head + "{ branch_on: { property: phone } }" + tail,
		"an arm that is both":                 head + "{ branch: [{ if: { property: phone, op: known }, else: true }] }" + tail,
		"an unknown member of a step in arms": head + "{ branch: [{ else: true, steps: [{ exit: {}, reason: x }] }] }" + tail,
		"an on_error that is neither":         head + "{ action: notify, with: { to: manager, text: x }, on_error: retry }" + tail,
		"a due_within of a wait":              head + "{ wait_for: { event: x }, due_within: 2h }" + tail,
		"a split of one part":                 head + "{ split: [{ weight: 1 }] }" + tail,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, all.Validate(fromYAML(t, document)))
		})
	}
	require.NoError(t, all.Validate(fromYAML(t, head+
		"{ action: update_sheet_row, with: { spreadsheet: s, lookup: { column: a, value: b }, values: { c: d }, if_missing: \"{{ event.else }}\" } }"+tail)), "a template may stand for a choice")
}

func TestEverythingInTheSchemaIsDescribed(t *testing.T) {
	t.Parallel()
	text := schema.Workflow(activities.New(activities.Deps{}).Catalog())
	var v any
	require.NoError(t, json.Unmarshal(text, &v))
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(at, item)
			}
		case map[string]any:
			properties, _ := v["properties"].(map[string]any)
			if !strings.HasSuffix(at, "/if") && !strings.HasSuffix(at, "/then") {
				for name, p := range properties {
					require.NotEmpty(t, p.(map[string]any)["description"], "%s/%s", at, name)
				}
			}
			for name, member := range v {
				walk(at+"/"+name, member)
			}
		}
	}
	walk("", v)
}

func compiled(t *testing.T, catalog automation.Catalog) *jsonschema.Schema {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Workflow(catalog)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("workflow.json", v))
	s, err := c.Compile("workflow.json")
	require.NoError(t, err)
	return s
}

func fromYAML(t *testing.T, text string) any {
	t.Helper()
	converted, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(converted))
	require.NoError(t, err)
	return v
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			v[i] = withoutNulls(item)
		}
	case map[string]any:
		maps.DeleteFunc(v, func(_ string, member any) bool { return member == nil })
		for name, member := range v {
			v[name] = withoutNulls(member)
		}
	}
	return v
}
