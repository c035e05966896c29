package api_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/api"
)

const asYAML = "Content-Type: application/yaml"

func TestAWorkflowIsWrittenPublishedAndArchived(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.must(201, "PUT", "/v1/workflows/waiting", waiting)
	w := a.object()
	instants(t, w, "created_at", "updated_at")
	require.Equal(t, `"`+w["draft_hash"].(string)+`"`, a.header.Get("ETag"))
	delete(w, "draft_hash")
	require.Equal(t, map[string]any{
		"name": "waiting", "title": "Wait and tell", "status": "draft",
		"draft": map[string]any{
			"name": "waiting", "title": "Wait and tell", "triggers": []any{map[string]any{"manual": true}},
			"steps": []any{
				map[string]any{"id": "settle", "delay": "1h"},
				map[string]any{"id": "tell", "action": "notify", "with": map[string]any{"to": "{{ user.id }}", "text": "Hello {{ user.first_name }}"}},
			},
		},
	}, w)

	published := s.must(200, "POST", "/v1/workflows/waiting/publish", "").object()
	require.Len(t, published["hash"], 32)
	delete(published, "hash")
	require.Equal(t, map[string]any{"workflow": "waiting", "version": 1.0, "changed": true, "matching": 0.0}, published)
	require.Equal(t, false, s.must(200, "POST", "/v1/workflows/waiting/publish", `{"existing":"skip","in_flight":"finish"}`).object()["changed"])

	w = s.must(200, "GET", "/v1/workflows/waiting", "").object()
	require.Equal(t, "live", w["status"])
	require.InDelta(t, 1, w["live_version"], 0)

	require.Equal(t, "paused", s.must(200, "POST", "/v1/workflows/waiting/pause", "").object()["status"])
	require.Equal(t, "live", s.must(200, "POST", "/v1/workflows/waiting/resume", "").object()["status"])
	require.Equal(t, "archived", s.must(200, "POST", "/v1/workflows/waiting/archive", "").object()["status"])
	require.NotContains(t, s.get("/v1/workflows/waiting").object(), "live_version")
	require.Equal(t, "archived", s.must(200, "POST", "/v1/workflows/waiting/archive", "").object()["status"])
	s.do("POST", "/v1/workflows/waiting/resume", "").wants(409, "definition-not-active")

	require.InDelta(t, 2, s.must(200, "POST", "/v1/workflows/waiting/publish", "").object()["version"], 0)
	require.Equal(t, "live", s.get("/v1/workflows/waiting").object()["status"], "a publication ends the archive")
}

func TestYAMLAndJSONOfEqualMeaningAreTheSameDraft(t *testing.T) {
	t.Parallel()
	s := start(t)
	inJSON := s.must(201, "PUT", "/v1/workflows/waiting", waiting)
	const text = `
# the same in YAML
steps:
  - { id: settle, delay: 60m }
  - id: tell
    action: notify
    with: { text: "Hello {{ user.first_name }}", to: "{{ user.id }}" }
title: Wait and tell
triggers:
  - manual: true
`
	for _, kind := range []string{"application/yaml", "application/x-yaml", "text/yaml", "Application/YAML; charset=UTF-8"} {
		inYAML := s.must(200, "PUT", "/v1/workflows/waiting", text, "Content-Type: "+kind)
		require.Equal(t, inJSON.header.Get("ETag"), inYAML.header.Get("ETag"), kind)
	}
}

func TestTextOfAllKindsStandsInYAML(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/workflows/x", "title: \"żółw \\a\\x7f 🏴\U000E0067\U000E0062 \\u200d\"\ndescription: |\n  two\n  lines\ntriggers: [{manual: true}]\nsteps: [{delay: 1h}]\n", asYAML)
	w := s.get("/v1/workflows/x").object()
	require.Equal(t, "żółw \a\x7f 🏴\U000E0067\U000E0062 \u200d", w["title"])
	require.Equal(t, "two\nlines\n", w["draft"].(map[string]any)["description"])
}

func TestTheExamplesCanBePublished(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"onboarding", "in_onboarding"} {
		s.must(201, "PUT", "/v1/properties/"+name, `{"type":"string"}`)
	}
	files, err := filepath.Glob("../examples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		document, err := api.ParseYAML(text)
		require.NoError(t, err)
		schedules := 0
		for _, trigger := range document.Triggers {
			if trigger.Schedule != nil {
				schedules++
			}
		}
		answer := s.must(200, "POST", "/v1/workflows/validate", string(text), asYAML).object()
		require.Len(t, answer["next_runs"], 5*schedules, file)
		delete(answer, "next_runs")
		require.Equal(t, map[string]any{"valid": true, "problems": []any{}}, answer, file)
	}
}

func TestOnlyTheDraftThatWasReadIsReplaced(t *testing.T) {
	t.Parallel()
	s := start(t)
	one, two := definition(someTriggers, someSteps), definition(someTriggers, `[{"delay":"2h"}]`)
	tag := s.must(201, "PUT", "/v1/workflows/x", one).header.Get("ETag")
	require.Equal(t, tag, s.get("/v1/workflows/x").header.Get("ETag"))
	next := s.must(200, "PUT", "/v1/workflows/x", two, "If-Match: "+tag).header.Get("ETag")
	require.NotEqual(t, tag, next)

	before := s.stored()
	s.do("PUT", "/v1/workflows/x", one, "If-Match: "+tag).wants(412, "precondition-failed")
	s.do("DELETE", "/v1/workflows/x", "", "If-Match: "+tag).wants(412, "precondition-failed")
	s.do("PUT", "/v1/workflows/x", one, `If-Match: ""`).wants(412, "precondition-failed")
	s.do("PUT", "/v1/workflows/y", `{"triggers":`+someTriggers+`,"steps":`+someSteps+`}`, "If-Match: *").wants(412, "precondition-failed")
	s.do("DELETE", "/v1/workflows/y", "", "If-Match: *").wants(404, "not-found")
	require.Equal(t, before, s.stored())

	s.must(200, "PUT", "/v1/workflows/x", two, "If-Match: *")
	s.must(200, "PUT", "/v1/workflows/x", two, "If-Match: W/"+next)
	s.must(200, "PUT", "/v1/workflows/x", two)
	s.must(204, "DELETE", "/v1/workflows/x", "", "If-Match: "+next)
	s.get("/v1/workflows/x").wants(404, "not-found")
}

func TestVersionsAreKeptAsTheyWerePublished(t *testing.T) {
	t.Parallel()
	s := start(t)
	for hours := range 3 {
		s.do("PUT", "/v1/workflows/x", definition(someTriggers, fmt.Sprintf(`[{"id":"wait","delay":"%dh"}]`, hours+1)))
		s.must(200, "POST", "/v1/workflows/x/publish", "")
	}
	s.must(200, "PUT", "/v1/workflows/x", definition(someTriggers, `[{"id":"wait","delay":"9h"}]`))
	items, next := s.get("/v1/workflows/x/versions").items()
	require.Empty(t, next)
	require.Equal(t, []any{3.0, 2.0, 1.0}, column(items, "number"))
	v := s.must(200, "GET", "/v1/workflows/x/versions/2", "").object()
	require.Equal(t, items[1], v)
	instants(t, v, "published_at")
	require.Len(t, v["hash"], 32)
	delete(v, "hash")
	require.Equal(t, map[string]any{
		"workflow": "x", "number": 2.0, "document": map[string]any{
			"name": "x", "triggers": []any{map[string]any{"manual": true}}, "steps": []any{map[string]any{"id": "wait", "delay": "2h"}},
		},
	}, v)
}

func TestPublicationEnrollsThoseForWhomAFilterHoldsOnlyIfAsked(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/users/u_2", `{"properties":{"age":40}}`)
	s.must(201, "PUT", "/v1/users/u_3", `{"properties":{"age":12}}`)
	s.must(201, "PUT", "/v1/workflows/x", definition(`[{"filter":{"property":"age","op":"at_least","value":18}}]`, someSteps))
	p := s.must(200, "POST", "/v1/workflows/x/publish", "").object()
	require.InDelta(t, 2, p["matching"], 0)
	require.NotContains(t, p, "run")
	s.pumpAll()
	require.Equal(t, 0, s.count("enrollments"))
	p = s.must(200, "POST", "/v1/workflows/x/publish", `{"existing":"enroll"}`).object()
	require.InDelta(t, 2, p["matching"], 0)
	run, _ := p["run"].(map[string]any)
	require.Equal(t, []any{"running", 2.0, 0.0}, []any{run["status"], run["matched"], run["enrolled"]})
	s.pumpAll()
	require.Equal(t, 0, s.count("enrollments"), "the run enrolls, and nobody carries it yet")
	s.carry(run["id"].(string))
	items, _ := s.get("/v1/enrollments?workflow=x").items()
	require.ElementsMatch(t, []any{"u_1", "u_2"}, column(items, "user_id"))
}

func TestWorkflowsAreListedByNameInPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"c", "a", "b"} {
		s.must(201, "PUT", "/v1/workflows/"+name, `{"triggers":`+someTriggers+`,"steps":`+someSteps+`}`)
	}
	items, next := s.get("/v1/workflows?page_size=2").items()
	require.Equal(t, []any{"a", "b"}, column(items, "name"))
	items, next = s.get("/v1/workflows?page_size=2&page_token=" + next).items()
	require.Equal(t, []any{"c"}, column(items, "name"))
	require.Empty(t, next)
	require.Equal(t, "draft", items[0]["status"])
}

func TestValidationAnswersInOneShape(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, check := range []struct{ name, body, contentType, answer string }{
		{"a good definition", waiting, "application/json", `{"valid":true,"problems":[],"next_runs":[]}`},
		{"text that is no JSON", `{"name":`, "application/json", `{"valid":false,"problems":[{"pointer":"","code":"malformed-json","message":"the document ends too early (near byte 8)"}],"next_runs":[]}`},
		{"a member twice", `{"name":"x","name":"x"}`, "application/json", `{"valid":false,"problems":[{"pointer":"","code":"duplicate-member","message":"member \"name\" stands twice in one object"}],"next_runs":[]}`},
		{"text that is no YAML", "name: [x\n", "application/yaml", `{"valid":false,"problems":[{"pointer":"","code":"malformed-yaml","message":"the document is not valid YAML: [1:7] sequence end token ']' not found"}],"next_runs":[]}`},
		{"a bad definition", definition(`[]`, someSteps), "application/json", `{"valid":false,"problems":[{"pointer":"/triggers","code":"no-trigger","message":"a workflow has at least one trigger; { \"manual\": true } enrolls on request only"}],"next_runs":[]}`},
	} {
		a := s.must(200, "POST", "/v1/workflows/validate", check.body, "Content-Type: "+check.contentType)
		require.JSONEq(t, check.answer, string(a.body), check.name)
	}
	require.Equal(t, 0, s.count("definitions"))
}

func TestAWorkflowMayBeNamedLikeAPartOfTheAPI(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/validate", `{"triggers":`+someTriggers+`,"steps":`+someSteps+`}`)
	s.must(200, "PUT", "/v1/workflows/validate", "triggers: [{manual: true}]\nsteps: [{delay: 1h}]\n", asYAML)
	require.Equal(t, "validate", s.must(200, "GET", "/v1/workflows/validate", "").object()["name"])
	s.must(200, "POST", "/v1/workflows/validate/publish", "")
	s.enroll("validate", "u_1")
}
