package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const someTriggers, someSteps = `[{"manual": true}]`, `[{"id": "wait", "delay": "1h"}]`

func definition(triggers, steps string) string {
	return `{"name": "x", "triggers": ` + triggers + `, "steps": ` + steps + `}`
}

// badDefinition is a definition that could not be published.
type badDefinition struct {
	name   string
	body   string
	yaml   bool
	places []string // "pointer code" of each problem
}

func badDefinitions() []badDefinition {
	steps := func(name, steps string, places ...string) badDefinition {
		return badDefinition{name: name, body: definition(someTriggers, steps), places: places}
	}
	triggers := func(name, triggers string, places ...string) badDefinition {
		return badDefinition{name: name, body: definition(triggers, someSteps), places: places}
	}
	filter := func(name, tree string, places ...string) badDefinition {
		for i, p := range places {
			places[i] = "/triggers/0/filter" + p
		}
		return triggers(name, `[{"filter": `+tree+`}]`, places...)
	}
	delay := func(name, delay string, places ...string) badDefinition {
		return steps(name, `[{"id": "wait", "delay": `+delay+`}]`, places...)
	}
	action := func(name, kind, with string, places ...string) badDefinition {
		for i, p := range places {
			places[i] = "/steps/0/with" + p
		}
		return steps(name, `[{"id": "act", "action": "`+kind+`", "with": `+with+`}]`, places...)
	}
	const known = `{"property": "age", "op": "known"}`
	return slices.Concat(badFilters(), badSteps(), []badDefinition{
		{name: "D1 no trigger", body: definition(`[]`, someSteps), places: []string{"/triggers no-trigger"}},
		{name: "D1 no triggers at all", body: `{"name":"x","steps":` + someSteps + `}`, places: []string{"/triggers no-trigger"}},
		triggers("D1 a trigger of no kind", `[{}]`, "/triggers/0 unknown-trigger-kind"),
		triggers("D1 a trigger of two kinds", `[{"manual": true, "event": "login"}]`, "/triggers/0 unknown-trigger-kind"),
		triggers("D1 a trigger of an unknown kind", `[{"telepathy": {"every": "day"}}]`, "/triggers/0/telepathy unknown-field"),
		triggers("an event that the system does not emit", `[{"event": "user.renamed"}]`, "/triggers/0/event unknown-event"),
		triggers("a question about the event where there is none", `[{"filter": {"event_property": "plan", "op": "known"}}]`, "/triggers/0/filter/event_property no-event"),
		triggers("a where that no event asks", `[{"manual": true, "where": `+known+`}]`, "/triggers/0/where where-not-taken"),
		steps("D2 no steps", `[]`, "/steps empty-graph"),
		steps("D4 an id twice", `[{"id": "wait", "delay": "1h"}, {"id": "wait", "delay": "1h"}]`, "/steps/1/id duplicate-step-id"),
		steps("D4 an id twice, in an arm", `[{"id": "wait", "delay": "1h"}, {"id": "ask", "branch": [{"else": true, "steps": [{"id": "wait", "delay": "1h"}]}]}]`, "/steps/1/branch/0/steps/0/id duplicate-step-id"),
		steps("D5 a step behind an exit", `[{"id": "end", "exit": {}}, {"id": "wait", "delay": "1h"}]`, "/steps/1 unreachable-step"),
		steps("D5 a step behind a branch that always ends", `[{"id": "ask", "branch": [{"if": `+known+`, "steps": [{"id": "a", "exit": {}}]}, {"else": true, "steps": [{"id": "b", "exit": {}}]}]}, {"id": "wait", "delay": "1h"}]`, "/steps/1 unreachable-step"),
		steps("D10 501 steps", "["+strings.TrimSuffix(strings.Repeat(`{"delay": "1s"},`, 501), ",")+"]", "/steps too-many-steps"),
		steps("D10 10,000 steps", "["+strings.TrimSuffix(strings.Repeat(`{"delay": "1s"},`, 10_000), ",")+"]", "/steps too-many-steps"),
		steps("D11 51 arms", `[{"id": "ask", "branch": [`+strings.Repeat(`{"if": `+known+`},`, 50)+`{"else": true}]}]`, "/steps/0/branch too-many-branches"),
		steps("a branch without an else", `[{"id": "ask", "branch": [{"if": `+known+`}]}]`, "/steps/0/branch else-missing"),
		steps("a branch whose else comes first", `[{"id": "ask", "branch": [{"else": true}, {"if": `+known+`}]}]`, "/steps/0/branch else-missing", "/steps/0/branch/0/else else-not-last"),
		steps("an arm that is both", `[{"id": "ask", "branch": [{"if": `+known+`, "else": true}]}]`, "/steps/0/branch/0 arm-invalid"),
		steps("D14 a step of no type", `[{"id": "act"}]`, "/steps/0 unknown-step-type"),
		steps("D14 a step of two types", `[{"id": "act", "delay": "1h", "exit": {}}]`, "/steps/0 unknown-step-type"),
		steps("D14 a step of an unknown type", `[{"id": "act", "teleport": {}}]`, "/steps/0/teleport unknown-field"),
		steps("D14 an unknown action", `[{"id": "act", "action": "send_fax", "with": {}}]`, "/steps/0/action unknown-action"),
		steps("parameters of a step that is no action", `[{"id": "wait", "delay": "1h", "with": {}}]`, "/steps/0/with unknown-field"),
		delay("D15 a delay of -1", `-1`, "/steps/0/delay delay-out-of-range"),
		delay("D15 a delay of -1s", `"-1s"`, "/steps/0/delay delay-out-of-range"),
		delay("D15 half a second", `"0.5s"`, "/steps/0/delay delay-out-of-range"),
		delay("D15 a delay that is none", `"abc"`, "/steps/0/delay delay-out-of-range"),
		delay("D15 a number", `60`, "/steps/0/delay delay-out-of-range"),
		delay("D15 eleven years", `"4000d"`, "/steps/0/delay delay-out-of-range"),
		delay("D15 longer than can be counted", `"99999999999999999999w"`, "/steps/0/delay delay-out-of-range"),
		filter("D27 an unknown property", `{"property": "colour", "op": "known"}`, "/property unknown-property"),
		filter("D27 an unknown property, deep inside", `{"all": [`+known+`, {"not": {"any": [{"property": "colour", "op": "known"}]}}]}`, "/all/1/not/any/0/property unknown-property"),
		filter("D28 a text's question about a number", `{"property": "age", "op": "contains", "value": "1"}`, "/op operator-type-mismatch"),
		filter("D28 a number's question about a truth", `{"property": "super_admin", "op": "greater_than", "value": 1}`, "/op operator-type-mismatch"),
		filter("D28 no question", `{"property": "age"}`, "/op operator-type-mismatch"),
		filter("D31 a pattern", `{"property": "first_name", "op": "matches", "value": "(a+)+$"}`, "/op operator-type-mismatch"),
		filter("an operand of another type", `{"property": "age", "op": "equals", "value": "old"}`, "/value operand-invalid"),
		filter("no operand", `{"property": "age", "op": "equals"}`, "/value operand-invalid"),
		filter("one operand for two", `{"property": "age", "op": "between", "value": [1]}`, "/value operand-invalid"),
		filter("an operand that is no option", `{"property": "status", "op": "any_of", "value": ["retired"]}`, "/value operand-invalid"),
		filter("D30 251 conditions", `{"all": [`+strings.TrimSuffix(strings.Repeat(known+",", 251), ",")+`]}`, " filter-too-complex"),
		filter("D30 nine levels", strings.Repeat(`{"not": `, 8)+known+strings.Repeat(`}`, 8), strings.Repeat("/not", 8)+" filter-too-complex"),
		filter("D30 all of nothing", `{"all": []}`, " empty-group"),
		filter("D30 any of nothing", `{"any": []}`, " empty-group"),
		filter("D30 nothing", `{}`, " condition-invalid"),
		filter("two groups in one", `{"all": [`+known+`], "any": [`+known+`]}`, " mixed-group"),
		filter("D32 a property named like code", `{"property": "'; DROP TABLE users; --", "op": "known"}`, "/property unknown-property"),
	}, []badDefinition{
		action("D39 a template in the host", "send_webhook", `{"url": "https://{{ user.first_name }}/"}`, "/url template-in-host"),
		action("D39 a template in half of the host", "send_webhook", `{"url": "https://{{ user.first_name }}.example.com/"}`, "/url template-in-host"),
		action("D39 a template for the scheme", "send_webhook", `{"url": "{{ user.first_name }}://example.com/"}`, "/url template-in-host"),
		action("an address of a file", "send_webhook", `{"url": "file:///etc/passwd"}`, "/url invalid-url"),
		action("a method that is none", "send_webhook", `{"url": "https://example.com/", "method": "BREW"}`, "/method invalid-method"),
		action("a template without an end", "notify", `{"to": "{{ user.id }}", "text": "{% if user.age > 17 %}Hello"}`, "/text template-invalid"),
		action("a template with an unknown filter's sign", "notify", `{"to": "{{ user.id }}", "text": "Hello {{ user.first_name | }}"}`, "/text template-invalid"),
		action("a template with an unknown tag", "notify", `{"to": "{{ user.id }}", "text": "{% include 'passwords' %}"}`, "/text template-invalid"),
		action("a template that asks for an unknown property", "notify", `{"to": "{{ user.id }}", "text": "Hello {{ user.nickname }}"}`, "/text unknown-property"),
		action("an unknown property in a list of templates", "notify", `{"to": ["{{ user.id }}", "{{ user.boss }}"], "text": "Hello"}`, "/to/1 unknown-property"),
		action("no recipient", "notify", `{"text": "Hello"}`, "/to required"),
		action("a parameter that is not known", "notify", `{"to": "{{ user.id }}", "text": "Hello", "tex": ""}`, "/tex unknown-field"),
		action("parameters that are none", "notify", `{"to": 5, "text": []}`, "/text wrong-type", "/to wrong-type"),
		action("B63 a text for a number", "set_property", `{"property": "age", "value": "old"}`, "/value wrong-type"),
		action("B63 a number for a text", "set_property", `{"property": "first_name", "value": 5}`, "/value wrong-type"),
		action("B64 the 29th of February of a common year", "set_property", `{"property": "hire_date", "value": "2027-02-29"}`, "/value wrong-type"),
		action("a value outside the options", "set_property", `{"property": "status", "value": "retired"}`, "/value wrong-type"),
		action("an address that is none", "set_property", `{"property": "email", "value": "a@b"}`, "/value wrong-type"),
		action("an unknown property", "set_property", `{"property": "colour", "value": "red"}`, "/property unknown-property"),
		action("a read-only property", "set_property", `{"property": "created_at", "clear": true}`, "/property read-only-field"),
		action("a copy of an unknown property", "set_property", `{"property": "first_name", "copy": "nickname"}`, "/copy unknown-property"),
		action("an increment of a text", "set_property", `{"property": "first_name", "increment": 1}`, "/increment wrong-type"),
		action("an append to a text", "set_property", `{"property": "first_name", "append": "x"}`, " wrong-type"),
		action("two ways to set", "set_property", `{"property": "age", "value": 1, "clear": true}`, " mode-invalid"),
		action("no way to set", "set_property", `{"property": "age"}`, " mode-invalid"),
		{name: "a name that is no slug", body: `{"name": "X y", "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`, places: []string{"/name invalid-name"}},
		{name: "a time zone that does not exist", body: `{"name": "x", "time_zone": "Europe/Atlantis", "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`, places: []string{"/time_zone unknown-time-zone"}},
		{name: "a zone that depends on the machine", body: `{"name": "x", "time_zone": "Local", "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`, places: []string{"/time_zone unknown-time-zone"}},
		{name: "an again that is none", body: `{"name": "x", "enroll": {"again": "often"}, "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`, places: []string{"/enroll/again again-invalid"}},
		{name: "members of other types", body: `{"name": "x", "title": 5, "triggers": {}, "steps": "none"}`, places: []string{"/steps wrong-type", "/title wrong-type", "/triggers wrong-type"}},
		{name: "several faults at once", body: `{"name": "x", "triggers": [], "steps": [{"id": "act", "action": "send_fax"}, {"id": "act", "exit": {}}, {"id": "wait", "delay": "1h"}]}`, places: []string{"/steps/0/action unknown-action", "/steps/1/id duplicate-step-id", "/triggers no-trigger"}},
		{name: "faults in YAML", yaml: true, body: "name: x\ncolour: red\ntriggers: [{manual: true}]\nsteps:\n  - {id: wait, delay: 3x}\n", places: []string{"/colour unknown-field", "/steps/0/delay delay-out-of-range"}},
		{name: "a list in YAML", yaml: true, body: "- name: x\n", places: []string{"wrong-type"}},
		{name: "a number in YAML", yaml: true, body: "5\n", places: []string{"wrong-type"}},
	})
}

func yamlOr(yaml bool) []string {
	if yaml {
		return []string{"Content-Type: application/yaml"}
	}
	return nil
}

func TestABadDefinitionIsNotSaved(t *testing.T) {
	t.Parallel()
	var rows []badInput
	for _, d := range badDefinitions() {
		request := "PUT /v1/workflows/x"
		if d.name == "a name that is no slug" {
			request = "PUT /v1/workflows/X%20y"
		}
		rows = append(rows, badInput{
			name: d.name, request: request, body: d.body, headers: yamlOr(d.yaml),
			status: 422, slug: "definition-invalid", places: d.places,
		})
	}
	yaml := func(name, body, code string) badInput {
		return badInput{name: name, request: "PUT /v1/workflows/x", body: body, headers: yamlOr(true), status: 400, slug: code}
	}
	const good = "name: x\ntriggers: [{manual: true}]\nsteps: [{delay: 1h}]\n"
	rows = append(rows,
		badInput{name: "another name than in the address", request: "PUT /v1/workflows/y", body: definition(someTriggers, someSteps), status: 422, slug: "definition-invalid", places: []string{"/name name-differs"}},
		badInput{name: "a name of 65 characters", request: "PUT /v1/workflows/" + strings.Repeat("n", 65), body: `{"triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`, status: 422, slug: "definition-invalid", places: []string{"/name invalid-name"}},
		badInput{name: "B1 nothing but a comment in YAML", request: "PUT /v1/workflows/x", body: "# nothing\n", headers: yamlOr(true), status: 422, slug: "definition-invalid", places: []string{"/steps empty-graph", "/triggers no-trigger"}},
		badInput{name: "B15 null", request: "PUT /v1/workflows/x", body: "null", status: 422, slug: "definition-invalid", places: []string{"/steps empty-graph", "/triggers no-trigger"}},
		badInput{name: "D10 a definition above 512 KiB", request: "PUT /v1/workflows/x", body: definition(someTriggers, someSteps+strings.Repeat(" ", 512<<10)), status: 413, slug: "payload-too-large"},
		yaml("YAML that is none", "name: [x\n", "malformed-yaml"),
		yaml("YAML with a tab", "name: x\n\tsteps: []\n", "malformed-yaml"),
		yaml("a member twice in YAML", "name: x\n"+good, "malformed-yaml"),
		yaml("an alias in YAML", "name: &a x\ntitle: *a\ntriggers: [{manual: true}]\nsteps: [{delay: 1h}]\n", "malformed-yaml"),
		yaml("B3 two documents in YAML", good+"---\n"+good, "malformed-yaml"),
		yaml("B11 lists 33 deep in YAML", "name: "+strings.Repeat("[", 40)+strings.Repeat("]", 40)+"\n", "json-too-deep"),
		yaml("B9 bytes that are not UTF-8 in YAML", "name: x\ntitle: \"\xff\"\n", "invalid-utf8"),
		yaml("B10 the character U+0000 in YAML", "name: x\ntitle: \"\\0\"\ntriggers: [{manual: true}]\nsteps: [{delay: 1h}]\n", "nul-character"),
		yaml("a definition of 30,001 words in YAML", "name: x\nsteps: ["+strings.Repeat("1,", 15_000)+"1]\n", "malformed-yaml"),
		yaml("maps in maps without end in YAML", strings.Repeat("{a: ", 100_000), "malformed-yaml"),
		yaml("B12 infinity in YAML", "name: x\ntitle: .inf\n", "malformed-yaml"),
		yaml("B12 not a number in YAML", "name: x\ntitle: .nan\n", "malformed-yaml"),
	)
	refused(t, rows)
}

func TestValidationTellsTheSameProblemsAndStoresNothing(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	before := s.stored()
	for _, d := range badDefinitions() {
		a := s.must(200, "POST", "/v1/workflows/validate", d.body, yamlOr(d.yaml)...)
		var out struct {
			Valid    bool                `json:"valid"`
			Problems []map[string]string `json:"problems"`
			NextRuns []any               `json:"next_runs"`
		}
		a.into(&out)
		require.False(t, out.Valid, d.name)
		require.NotNil(t, out.NextRuns, d.name)
		found := []string{}
		for _, p := range out.Problems {
			require.NotEmpty(t, p["message"], d.name)
			found = append(found, strings.TrimSpace(p["pointer"]+" "+p["code"]))
		}
		slices.Sort(found)
		slices.Sort(d.places)
		require.Equal(t, d.places, found, d.name)
	}
	require.Equal(t, before, s.stored())
}

func TestOddButGoodDefinitionsAreSaved(t *testing.T) {
	t.Parallel()
	const known = `{"property": "age", "op": "known"}`
	s := start(t).seed()
	for name, body := range map[string]string{
		"D11 500 steps in a chain":  definition(someTriggers, "["+strings.TrimSuffix(strings.Repeat(`{"delay": "1s"},`, 500), ",")+"]"),
		"D11 50 arms":               definition(someTriggers, `[{"id": "ask", "branch": [`+strings.Repeat(`{"if": `+known+`},`, 49)+`{"else": true}]}]`),
		"D13 arms that overlap":     definition(someTriggers, `[{"id": "ask", "branch": [{"if": `+known+`}, {"if": `+known+`}, {"else": true}]}]`),
		"D15 no delay":              definition(someTriggers, `[{"delay": 0}, {"delay": "0"}, {"delay": "0s"}]`),
		"D30 250 conditions":        definition(`[{"filter": {"all": [`+strings.TrimSuffix(strings.Repeat(known+",", 250), ",")+`]}}]`, someSteps),
		"D30 eight levels":          definition(`[{"filter": `+strings.Repeat(`{"not": `, 7)+known+strings.Repeat(`}`, 7)+`}]`, someSteps),
		"D39 a template in a path":  definition(someTriggers, `[{"action": "send_webhook", "with": {"url": "https://example.com/{{ user.id }}"}}]`),
		"a template for a number":   definition(someTriggers, `[{"action": "set_property", "with": {"property": "age", "value": "{{ event.age }}"}}]`),
		"a text that is a number":   definition(someTriggers, `[{"action": "set_property", "with": {"property": "age", "value": "36"}}]`),
		"no name but the address's": `{"triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`,
	} {
		a := s.do("PUT", "/v1/workflows/x", body)
		require.Contains(t, []int{200, 201}, a.status, "%s: %s", name, a.body)
		a = s.must(200, "POST", "/v1/workflows/x/publish", "")
		require.Equal(t, "x", a.object()["workflow"], name)
	}
}

func TestADraftThatFitsNoMoreIsNotPublished(t *testing.T) {
	t.Parallel()
	refused(t, []badInput{{
		name: "a property was deleted meanwhile", request: "POST /v1/workflows/x/publish",
		given: func(s *service) {
			s.must(201, "PUT", "/v1/properties/colour", `{"type":"string"}`)
			s.must(201, "PUT", "/v1/workflows/x", definition(`[{"filter": {"property": "colour", "op": "known"}}]`, someSteps))
			s.must(204, "DELETE", "/v1/properties/colour", "")
		},
		status: 422, slug: "definition-invalid", places: []string{"/triggers/0/filter/property unknown-property"},
	}})
}

func TestAtMost100ProblemsAreTold(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	steps := make([]string, 300)
	for i := range steps {
		steps[i] = fmt.Sprintf(`{"id": "s%d", "action": "none"}`, i)
	}
	a := s.do("PUT", "/v1/workflows/x", definition(someTriggers, "["+strings.Join(steps, ",")+"]"))
	require.Len(t, a.problem().Errors, 100)
	unknown := make([]string, 300)
	for i := range unknown {
		unknown[i] = fmt.Sprintf(`"x%d": 1`, i)
	}
	a = s.do("PUT", "/v1/workflows/x", definition(someTriggers, "[{"+strings.Join(unknown, ",")+"}]"))
	require.Len(t, a.problem().Errors, 100)
	a = s.do("PUT", "/v1/users/u_2", "{"+strings.Join(unknown, ",")+"}")
	require.Len(t, a.problem().Errors, 100)
}
