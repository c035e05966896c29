package api_test

import (
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const preview = "/v1/workflows/adults/preview"

// ages gives a service users whose ids say how old they are, and the draft for those of 18 and more.
func (s *service) ages(ages ...int) *service {
	s.t.Helper()
	s.must(201, "PUT", "/v1/properties/age", `{"type":"number"}`)
	for _, age := range ages {
		s.must(201, "PUT", fmt.Sprintf("/v1/users/u_%d", age), fmt.Sprintf(`{"properties":{"age":%d}}`, age))
	}
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	return s
}

// over is the definition of the workflow for users of some years and more.
func over(age int) string { return strings.Replace(adults, "18", strconv.Itoa(age), 1) }

func TestAPreviewOfADraftCountsWhomItWouldConcern(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10, 20, 30)
	before := s.stored()
	const saved = `{"matching":2,"total":3,"sample":["u_20","u_30"]}`
	for _, body := range []string{"", "{}", `{"filter":null,"workflow":null}`} {
		require.JSONEq(t, saved, string(s.must(200, "POST", preview, body).body), body)
	}
	for body, want := range map[string]string{
		`{"filter":{"property":"age","op":"less_than","value":18}}`:                     `{"matching":1,"total":3,"sample":["u_10"]}`,
		`{"filter":{"property":"age","op":"unknown"}}`:                                  `{"matching":0,"total":3,"sample":[]}`,
		`{"workflow":` + over(25) + `}`:                                                 `{"matching":1,"total":3,"sample":["u_30"]}`,
		`{"workflow":` + strings.Replace(over(25), `"name": "adults",`, "", 1) + `}`:    `{"matching":1,"total":3,"sample":["u_30"]}`,
		`{"workflow":{"triggers":[{"manual":true}],"steps":[{"delay":"1h"}]}}`:          `{"matching":0,"total":3,"sample":[]}`,
		`{"workflow":{"triggers":[{"event":"user.created"}],"steps":[{"exit":{}}]}}`:    `{"matching":0,"total":3,"sample":[]}`,
		`{"filter":{"not":{"property":"age","op":"between","value":[15,25]}}}`:          `{"matching":2,"total":3,"sample":["u_10","u_30"]}`,
		`{"filter":{"property":"created_at","op":"on","value":"now/d"}}`:                `{"matching":3,"total":3,"sample":["u_10","u_20","u_30"]}`,
		`{"filter":{"property":"age","of":"changed_at","op":"after","value":"now-1h"}}`: `{"matching":3,"total":3,"sample":["u_10","u_20","u_30"]}`,
		`{"filter":{"event":"user.created","op":"at_least","count":1,"within":"1h"}}`:   `{"matching":3,"total":3,"sample":["u_10","u_20","u_30"]}`,
		`{"filter":{"workflow":"adults","op":"never_enrolled"}}`:                        `{"matching":3,"total":3,"sample":["u_10","u_20","u_30"]}`,
	} {
		require.JSONEq(t, want, string(s.must(200, "POST", preview, body).body), body)
	}
	require.Equal(t, before, s.stored())
}

func TestAPreviewComparesWithWhatIsLive(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10, 20, 30, 40)
	s.must(200, "POST", "/v1/workflows/adults/publish", "")
	require.JSONEq(t, `{"matching":3,"total":4,"sample":["u_20","u_30","u_40"],"live":{"matching":3,"added":0,"removed":0}}`, string(s.must(200, "POST", preview, "").body))

	s.must(200, "PUT", "/v1/workflows/adults", over(35))
	require.JSONEq(t, `{"matching":1,"total":4,"sample":["u_40"],"live":{"matching":3,"added":0,"removed":2}}`, string(s.must(200, "POST", preview, "").body))
	require.JSONEq(t, `{"matching":2,"total":4,"sample":["u_10","u_20"],"live":{"matching":3,"added":1,"removed":2}}`,
		string(s.must(200, "POST", preview, `{"filter":{"property":"age","op":"less_than","value":25}}`).body))

	s.must(200, "POST", "/v1/workflows/adults/pause", "")
	require.Contains(t, s.must(200, "POST", preview, "").object(), "live", "a workflow that is paused enrolls")
	s.must(200, "POST", "/v1/workflows/adults/archive", "")
	require.NotContains(t, s.must(200, "POST", preview, "").object(), "live")
}

func TestAPreviewLeavesOutWhomTheWorkflowDoesNotTake(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10, 20, 30, 40)
	body := `{"workflow":{
		"triggers": [{"filter": {"property": "age", "op": "at_least", "value": 18}}, {"filter": {"property": "age", "op": "at_most", "value": 10}}],
		"enroll": {"unless": {"property": "age", "op": "equals", "value": 20}}, "unenroll": {"when": {"property": "age", "op": "equals", "value": 30}},
		"steps": [{"delay": "1h"}]
	}}`
	require.JSONEq(t, `{"matching":2,"total":4,"sample":["u_10","u_40"]}`, string(s.must(200, "POST", preview, body).body))
}

func TestAPreviewReadsDatesInTheZoneOfTheWorkflow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/users/u_1", `{"properties":{"last_active_at":"2026-01-01T12:00:00Z"}}`)
	const newYear = `{"property":"last_active_at","op":"on","value":"2026-01-02"}`
	for zone, matching := range map[string]float64{"Pacific/Kiritimati": 1, "Europe/Warsaw": 0} {
		s.do("PUT", "/v1/workflows/adults", `{"time_zone":"`+zone+`","triggers":[{"filter":`+newYear+`}],"steps":[{"delay":"1h"}]}`)
		for _, body := range []string{"", `{"filter":` + newYear + `}`} {
			require.InDelta(t, matching, s.must(200, "POST", preview, body).object()["matching"], 0, "%s %s", zone, body)
		}
	}
}

func TestAPreviewNamesTwentyAtMost(t *testing.T) {
	t.Parallel()
	s := start(t).ages()
	s.crowd(25)
	p := s.must(200, "POST", preview, "").object()
	require.Equal(t, []any{25.0, 25.0}, []any{p["matching"], p["total"]})
	require.Len(t, p["sample"], 20)
	require.Equal(t, "c_00", p["sample"].([]any)[0])
}

func TestABadPreviewIsRefused(t *testing.T) {
	t.Parallel()
	const known = `{"property":"age","op":"known"}`
	const waits = `"triggers":[{"manual":true}],"steps":[{"delay":"1h"}]`
	bad := func(name, body, slug string, places ...string) badInput {
		return badInput{name: name, request: "POST /v1/workflows/waiting/preview", body: body, status: 422, slug: slug, places: places}
	}
	unread := func(name, body, slug string, places ...string) badInput {
		b := bad(name, body, slug, places...)
		b.status = 400
		return b
	}
	many := func(condition string, n int) string {
		return `{"all":[` + strings.TrimSuffix(strings.Repeat(condition+",", n), ",") + `]}`
	}
	rows := []badInput{
		bad("both", `{"filter":`+known+`,"workflow":{`+waits+`}}`, "ambiguous", "/filter ambiguous"),
		bad("both, and both bad", `{"filter":{},"workflow":{}}`, "ambiguous", "/filter ambiguous"),
		bad("D27 an unknown property", `{"filter":{"property":"colour","op":"known"}}`, "unknown-property", "/filter/property unknown-property"),
		bad("D28 an operator of another type", `{"filter":{"all":[`+known+`,{"property":"age","op":"contains","value":"3"}]}}`, "operator-type-mismatch", "/filter/all/1/op operator-type-mismatch"),
		bad("D30 nothing", `{"filter":{}}`, "condition-invalid", "/filter condition-invalid"),
		bad("D30 251 conditions", `{"filter":`+many(known, 251)+`}`, "filter-too-complex", "/filter filter-too-complex"),
		bad("D30 nine levels", `{"filter":`+strings.Repeat(`{"not":`, 8)+known+strings.Repeat(`}`, 8)+`}`, "filter-too-complex", "/filter"+strings.Repeat("/not", 8)+" filter-too-complex"),
		bad("D32 a property named like code", `{"filter":{"property":"'; DROP TABLE users; --"}}`, "unknown-property", "/filter/property unknown-property"),
		bad("an event where there is none", `{"filter":{"event_property":"plan","op":"known"}}`, "no-event", "/filter/event_property no-event"),
		bad("an unknown member of a condition", `{"filter":{"property":"age","op":"known","colour":1}}`, "unknown-field", "/filter/colour unknown-field"),
		bad("several faults of a filter", `{"filter":{"any":[{"property":"colour","op":"known"},{"property":"age","op":"equals","value":"x"}]}}`, "unknown-property", "/filter/any/0/property unknown-property", "/filter/any/1/value operand-invalid"),
		bad("a bad definition", `{"workflow":{"triggers":[],"steps":[{"id":"act","action":"send_fax"}]}}`, "definition-invalid", "/workflow/steps/0/action unknown-action", "/workflow/triggers no-trigger"),
		bad("a bad filter in a definition", `{"workflow":{"triggers":[{"filter":{"property":"colour","op":"known"}}],"steps":[{"delay":"1h"}]}}`, "definition-invalid", "/workflow/triggers/0/filter/property unknown-property"),
		bad("a definition of another workflow", `{"workflow":{"name":"other",`+waits+`}}`, "definition-invalid", "/workflow/name name-differs"),
		bad("a definition with an unknown member", `{"workflow":{"colour":1,`+waits+`}}`, "definition-invalid", "/workflow/colour unknown-field"),
		bad("an empty definition", `{"workflow":{}}`, "definition-invalid", "/workflow/steps empty-graph", "/workflow/triggers no-trigger"),
		unread("B2 a body that ends too early", `{"filter":{"property":"`+canary, "malformed-json"),
		unread("B2 nothing but a space", " ", "malformed-json"),
		unread("B4 a member twice", `{"filter":{"property":"`+canary+`","property":"age"}}`, "duplicate-member"),
		unread("B6 an unknown member", `{"colour":"`+canary+`"}`, "unknown-field", "/colour unknown-field"),
		unread("B9 bytes that are not UTF-8", "{\"filter\":{\"property\":\"\xff\"}}", "invalid-utf8"),
		unread("B9 half a surrogate pair", `{"filter":{"property":"\ud800"}}`, "invalid-utf8"),
		unread("B10 the character U+0000", `{"filter":{"property":"first_name","op":"equals","value":"\u0000"}}`, "nul-character"),
		unread("B10 the character U+0000 in a definition", `{"workflow":{"title":"\u0000",`+waits+`}}`, "nul-character"),
		unread("B11 33 levels of anything", `{"filter":`+strings.Repeat("[", 33)+strings.Repeat("]", 33)+`}`, "json-too-deep"),
		unread("B12 1e400", `{"filter":{"property":"age","op":"equals","value":1e400}}`, "malformed-json"),
		unread("B15 a list", `[`+known+`]`, "schema-violation", "schema-violation"),
		unread("B15 a text", `"`+canary+`"`, "schema-violation", "schema-violation"),
		unread("B15 a filter that is a text", `{"filter":"`+canary+`"}`, "schema-violation", "/filter schema-violation"),
		unread("B15 a workflow that is a name", `{"workflow":"waiting"}`, "schema-violation", "/workflow schema-violation"),
		{name: "D10 more than 512 KiB", request: "POST /v1/workflows/waiting/preview", body: `{"filter":` + known + strings.Repeat(" ", 512<<10) + `}`, status: 413, slug: "payload-too-large"},
		{name: "B20 YAML", request: "POST /v1/workflows/waiting/preview", body: "filter: {}", headers: yamlOr(true), status: 415, slug: "unsupported-media-type"},
		{name: "B33 an unknown workflow", request: "POST /v1/workflows/none/preview", status: 404, slug: "not-found"},
		{name: "B33 an unknown workflow, with a filter", request: "POST /v1/workflows/none/preview", body: `{"filter":` + known + `}`, status: 404, slug: "not-found"},
		{name: "B33 an unknown workflow, with a definition", request: "POST /v1/workflows/none/preview", body: `{"workflow":{` + waits + `}}`, status: 404, slug: "not-found"},
		{name: "B25 read", request: "GET /v1/workflows/waiting/preview", status: 405, slug: "method-not-allowed", allow: "POST"},
	}
	refused(t, rows)
}

func TestAPreviewOfADraftThatFitsNoMoreTellsWhere(t *testing.T) {
	t.Parallel()
	refused(t, []badInput{{
		name: "a property was deleted meanwhile", request: "POST /v1/workflows/x/preview",
		given: func(s *service) {
			s.must(201, "PUT", "/v1/properties/colour", `{"type":"string"}`)
			s.must(201, "PUT", "/v1/workflows/x", definition(`[{"filter": {"property": "colour", "op": "known"}}]`, someSteps))
			s.must(204, "DELETE", "/v1/properties/colour", "")
		},
		status: 422, slug: "definition-invalid", places: []string{"/triggers/0/filter/property unknown-property"},
	}})
}

func TestAPreviewOfExactlyTheLimitIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t).ages(20)
	full := `{"filter":{"property":"age","op":"known"}}`
	full += strings.Repeat(" ", 512<<10-len(full))
	for _, chunked := range []bool{false, true} {
		for body, status := range map[string]int{full: 200, full + " ": 413} {
			request := httptest.NewRequestWithContext(t.Context(), "POST", preview, strings.NewReader(body))
			if chunked {
				request.ContentLength = -1
			}
			require.Equal(t, status, s.send(request).status, "chunked: %v", chunked)
		}
	}
}

func TestThePropertyOfAPreviewIsAValueAndNoCode(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	for _, text := range []string{"'; DROP TABLE users; --", `\'; DROP TABLE users; --`, "$1", "%", "_", `\`, `"`, "''", "{{ 7 }}", "\u2028", "🐢"} {
		s.must(200, "PATCH", "/v1/users/u_1", `{"properties":{"first_name":`+quoted("<"+text+">")+`}}`)
		for op, value := range map[string]string{"equals": "<" + text + ">", "contains": text, "starts_with": "<" + text, "ends_with": text + ">"} {
			p := s.must(200, "POST", "/v1/workflows/waiting/preview", `{"filter":{"property":"first_name","op":"`+op+`","value":`+quoted(value)+`}}`).object()
			require.InDelta(t, 1, p["matching"], 0, "%s %s", op, text)
		}
		for _, other := range []string{`{"property":"job_title","op":"equals","value":` + quoted(text) + `}`, `{"event":"login","op":"at_least","count":1,"where":{"event_property":` + quoted(text) + `,"op":"known"}}`, `{"workflow":` + quoted(text) + `,"op":"active"}`} {
			a := s.do("POST", "/v1/workflows/waiting/preview", `{"filter":`+other+`}`)
			require.Contains(t, []int{200, 422}, a.status, "%s: %s", other, a.body)
		}
	}
	require.Equal(t, 1, s.count("users"))
}
