package activities_test

import (
	"encoding/json"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/examples"
	"rollcall/filter"
)

func TestCatalogIsSortedAndDescribesEveryAction(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"add_sheet_row", "add_to_team", "call", "create_task", "enroll", "format", "notify", "remove_from_team", "send_email", "send_slack", "send_webhook", "set_property", "unenroll", "update_sheet_row"}, catalog().Kinds())
	for _, kind := range catalog().Actions {
		require.NotEmpty(t, kind.Title, kind.Kind)
		require.Regexp(t, `^[A-Z].*\.$`, kind.Description, kind.Kind)
		require.NotNil(t, kind.Check, kind.Kind)
		require.Positive(t, kind.FirstTry, kind.Kind)
		found, known := catalog().Find(kind.Kind)
		require.True(t, known)
		require.Equal(t, kind.Title, found.Title)
	}
	_, known := catalog().Find("send_mail")
	require.False(t, known)
}

func TestSchemasOfTheCatalogAreThoseOfTheParams(t *testing.T) {
	t.Parallel()
	for _, params := range []activities.Params{
		activities.AddSheetRowParams{},
		activities.AddToTeamParams{},
		activities.CreateTaskParams{},
		activities.EnrollParams{},
		activities.FormatParams{},
		activities.NotifyParams{},
		activities.RemoveFromTeamParams{},
		activities.SendEmailParams{},
		activities.SendSlackParams{},
		activities.SendWebhookParams{},
		activities.SetPropertyParams{},
		activities.UnenrollParams{},
		activities.UpdateSheetRowParams{},
	} {
		t.Run(params.Kind(), func(t *testing.T) {
			t.Parallel()
			kind, known := catalog().Find(params.Kind())
			require.True(t, known)
			var schema struct {
				Type                 string
				Required             []string
				AdditionalProperties any
				Properties           map[string]struct{ Description string }
			}
			require.NoError(t, json.Unmarshal(kind.Schema, &schema))
			require.Equal(t, "object", schema.Type)
			require.Equal(t, false, schema.AdditionalProperties)
			var names, required []string
			for _, f := range reflect.VisibleFields(reflect.TypeOf(params)) {
				name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				names = append(names, name)
				if options == "" {
					required = append(required, name)
				}
				require.Equal(t, f.Tag.Get("doc"), schema.Properties[name].Description)
				require.NotEmpty(t, schema.Properties[name].Description)
			}
			described := make([]string, 0, len(schema.Properties))
			for name := range schema.Properties {
				described = append(described, name)
			}
			require.ElementsMatch(t, names, described)
			require.ElementsMatch(t, required, schema.Required)
		})
	}
}

func TestEveryExampleIsValid(t *testing.T) {
	t.Parallel()
	schema := automation.Properties{"onboarding": property("onboarding", filter.Enum, "welcomed", "done")}
	for _, p := range automation.BuiltInProperties() {
		schema[p.Name] = p
	}
	files, err := fs.Glob(examples.Files, "*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var used []string
	for _, file := range files {
		content, err := examples.Files.ReadFile(file)
		require.NoError(t, err)
		converted, err := yaml.YAMLToJSON(content)
		require.NoError(t, err, file)
		document, err := automation.ParseDocument(converted)
		require.NoError(t, err, file)
		require.Empty(t, document.Validate(catalog(), schema), file)
		require.Equal(t, file, document.Name+".yaml")
		require.NotEmpty(t, document.Title, file)
		used = append(used, document.Actions()...)
	}
	slices.Sort(used)
	require.Equal(t, catalog().Kinds(), slices.Compact(used), "the examples show every action")
}

func TestWorkflowsSayWhereAParamIsWrong(t *testing.T) {
	t.Parallel()
	document, err := automation.ParseDocument([]byte(`{"name": "w", "triggers": [{"manual": true}], "steps": [
		{"id": "a", "branch": [{"else": true, "steps": [{"id": "b", "action": "send_webhook", "with": {
			"url": "https://example.com/", "body": {"list": ["ok", "{{ user.nmae }}"]}, "headers": {"X/Y": "{{ user.id"}}}]}]},
		{"id": "c", "action": "send_mail"}]}`))
	require.NoError(t, err)
	schema := automation.Properties{}
	problems := document.Validate(catalog(), schema)
	require.Equal(t, automation.Problems{
		{Pointer: "/steps/0/branch/0/steps/0/with/body/list/1", Code: "unknown-property", Message: "the template asks for user.nmae, and there is no such property"},
		{Pointer: "/steps/0/branch/0/steps/0/with/headers/X~1Y", Code: "template-invalid", Message: `the template does not parse: a "{{" or "{%" is not closed; text that has them in it stands between {% raw %} and {% endraw %}`},
		{Pointer: "/steps/1/action", Code: "unknown-action", Message: `there is no action "send_mail"; known are ` + strings.Join(catalog().Kinds(), ", ")},
	}, problems)
}
