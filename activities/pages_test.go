package activities_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/internal/golden"
)

// actions are all actions with their params.
func actions() []pagedAction {
	return []pagedAction{
		{activities.AddSheetRowParams{}, &activities.AddSheetRow{}},
		{activities.AddToTeamParams{}, &activities.AddToTeam{}},
		{activities.CallParams{}, &activities.CallSystem{}},
		{activities.CreateTaskParams{}, &activities.CreateTask{}},
		{activities.EnrollParams{}, &activities.Enroll{}},
		{activities.FormatParams{}, &activities.Format{}},
		{activities.NotifyParams{}, &activities.Notify{}},
		{activities.RemoveFromTeamParams{}, &activities.RemoveFromTeam{}},
		{activities.SendEmailParams{}, &activities.SendEmail{}},
		{activities.SendSlackParams{}, &activities.SendSlack{}},
		{activities.SendWebhookParams{}, &activities.SendWebhook{}},
		{activities.SetPropertyParams{}, &activities.SetProperty{}},
		{activities.UnenrollParams{}, &activities.Unenroll{}},
		{activities.UpdateSheetRowParams{}, &activities.UpdateSheetRow{}},
	}
}

type pagedAction struct {
	params activities.Params
	action any
}

// inside says whether the effect is in our own database.
func (a pagedAction) inside() bool {
	_, inside := reflect.TypeOf(a.action).MethodByName("DoInside")
	return inside
}

const pages = "../docs/actions/"

// TestActionPages compares the pages of the actions with what the actions say of themselves; with
// -update it writes them.
func TestActionPages(t *testing.T) {
	t.Parallel()
	want := map[string]string{"README.md": index()}
	var kinds []string
	for _, a := range actions() {
		kinds = append(kinds, a.params.Kind())
		want[a.params.Kind()+".md"] = a.page(t)
	}
	require.Equal(t, catalog().Kinds(), kinds, "every action has a page")
	if golden.Updating() {
		for name, text := range want {
			require.NoError(t, os.WriteFile(pages+name, []byte(text), 0o600))
		}
		return
	}
	files, err := os.ReadDir(pages)
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), names)
	for name, text := range want {
		got, err := os.ReadFile(pages + name)
		require.NoError(t, err)
		require.Equal(t, text, string(got), "go test ./activities -run TestActionPages -update writes docs/actions/%s", name)
	}
}

func index() string {
	var b strings.Builder
	b.WriteString("# Actions\n\nWhat an action does, what its `with` takes, and what it gives to later steps. What all of them share\n" +
		"(recipients, failure, templates) is in [writing workflows](../writing-workflows.md#actions).\n\n| action | |\n|---|---|\n")
	for _, a := range actions() {
		_, description := a.params.About()
		fmt.Fprintf(&b, "| [`%s`](%s.md) | %s |\n", a.params.Kind(), a.params.Kind(), description)
	}
	return b.String()
}

func (a pagedAction) page(t *testing.T) string {
	t.Helper()
	kind, _ := catalog().Find(a.params.Kind())
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n`action: %s`. %s\n\n", kind.Title, kind.Kind, kind.Description)
	switch {
	case a.inside():
		b.WriteString("The effect is in Rollcall's own database: it happens exactly once.\n")
	case kind.Kind == activities.FormatParams{}.Kind():
		b.WriteString("It has no effect but what it gives.\n")
	default:
		b.WriteString("The effect is outside: it happens at least once. Every try has the same key, for a receiver that takes one.\n")
	}
	if kind.FirstTry > 0 {
		fmt.Fprintf(&b, "The first try takes at most %s; what fails for now is tried again, for three days.\n", kind.FirstTry)
	}
	if kind.Connection != "" {
		fmt.Fprintf(&b, "A step may name a `connection` of the kind `%s`.\n", kind.Connection)
	}
	b.WriteString("\n## What it takes\n\n| field | is | |\n|---|---|---|\n")
	var s jsonSchema
	decode(t, string(kind.Schema), &s)
	var order []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(a.params)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		order = append(order, name)
	}
	b.WriteString(s.rows("", order))
	b.WriteString("\nFields in **bold** are required. `GET /v1/actions` has the JSON Schema. Texts are\n[templates](../writing-workflows.md#templates).\n\n## What it gives\n\n")
	if len(kind.Outputs) == 0 {
		b.WriteString("Nothing but its outcome.\n")
	} else {
		b.WriteString("Later steps reach it as `steps.<id>.<output>`.\n\n| output | |\n|---|---|\n")
		for _, name := range slices.Sorted(maps.Keys(kind.Outputs)) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, kind.Outputs[name])
		}
	}
	fmt.Fprintf(&b, "\n## An example\n\n```yaml\n%s```\n", exampleOf(t, kind.Kind))
	return b.String()
}

// jsonSchema is as much of a JSON Schema as the schemas of params have.
type jsonSchema struct {
	Type        any
	Description string
	Enum        []string
	Required    []string
	OneOf       []jsonSchema
	Items       *jsonSchema
	Properties  map[string]jsonSchema
	Additional  json.RawMessage `json:"additionalProperties"`
}

// rows describes members in their order, and those inside them.
func (s jsonSchema) rows(prefix string, order []string) string {
	var b strings.Builder
	for _, name := range order {
		member := s.Properties[name]
		shown := "`" + prefix + name + "`"
		if slices.Contains(s.Required, name) {
			shown = "**" + shown + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", shown, member.is(), strings.ReplaceAll(member.Description, "|", `\|`))
		if len(member.Properties) > 0 {
			b.WriteString(member.rows(prefix+name+".", slices.Sorted(maps.Keys(member.Properties))))
		}
	}
	return b.String()
}

// is says in words what a value is.
func (s jsonSchema) is() string {
	var additional jsonSchema
	_ = json.Unmarshal(s.Additional, &additional) // it may be false
	kind, _ := s.Type.(string)
	if several, ok := s.Type.([]any); ok {
		kind, _ = several[0].(string)
	}
	switch {
	case len(s.Enum) > 0:
		return "`" + strings.Join(s.Enum, "`, `") + "`"
	case len(s.OneOf) > 0:
		return s.OneOf[0].is() + ", or a list of them"
	case kind == "object" && additional.Type == "string":
		return "texts by name"
	case kind == "array" && s.Items.Type == "object":
		return "a list of objects"
	default:
		return cmp.Or(map[string]string{
			"string": "a text", "boolean": "true or false", "integer": "a whole number", "number": "a number", "object": "an object", "array": "a list",
		}[kind], "any value")
	}
}

func exampleOf(t *testing.T, kind string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/examples/" + kind + ".yaml")
	require.NoError(t, err, "every action has an example")
	return string(text)
}

// schemaOfUsers is that of an organisation without properties of its own.
func schemaOfUsers() automation.Properties {
	schema := automation.Properties{}
	for _, p := range automation.BuiltInProperties() {
		schema[p.Name] = p
	}
	return schema
}
