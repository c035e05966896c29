package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/postgres"
)

// yearly is a workflow with a schedule that is far away.
const yearly = `{
	"name": "yearly", "triggers": [{"manual": true}, {"schedule": {"every": "year", "on": ["02-29"], "at": "09:00"}, "where": {"property": "age", "op": "at_least", "value": 18}}],
	"steps": [{"id": "wait", "delay": "1h"}]
}`

func TestAScheduleFiresByHand(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10, 20, 30)
	s.must(201, "PUT", "/v1/workflows/yearly", yearly)
	s.must(200, "POST", "/v1/workflows/yearly/publish", "")
	o := s.openAPI()
	for i, body := range []string{"", "{}", `{"trigger":1}`} {
		run := s.must(201, "POST", "/v1/workflows/yearly/runs", body).object()
		require.Equal(t, []any{"schedule", "running", 1.0, true, 2.0}, []any{run["kind"], run["status"], run["trigger"], run["by_hand"], run["matched"]})
		id, _ := run["id"].(string)
		require.Equal(t, run, s.get("/v1/workflows/yearly/runs/"+id).object())
		require.Empty(t, o.faults(o.answer("get /v1/workflows/{name}/runs/{run} 200"), run, ""))
		require.Equal(t, postgres.RunCompleted, s.carry(id).Status)
		require.Equal(t, 2, s.count("enrollments"), "call %d", i)
	}
	runs, _ := s.get("/v1/workflows/yearly/runs").items()
	require.Equal(t, []any{0.0, 0.0, 2.0}, column(runs, "enrolled"), "who is in already is skipped")
}

func TestABadRunByHandIsRefused(t *testing.T) {
	t.Parallel()
	published := func(s *service) {
		s.must(201, "PUT", "/v1/workflows/yearly", yearly)
		s.must(200, "POST", "/v1/workflows/yearly/publish", "")
	}
	refused(t, []badInput{
		{name: "B33 an unknown workflow", request: "POST /v1/workflows/none/runs", status: 404, slug: "not-found"},
		{name: "a workflow without a schedule", request: "POST /v1/workflows/waiting/runs", status: 422, slug: "no-schedule", places: []string{"/trigger no-schedule"}},
		{name: "a trigger that is no schedule", request: "POST /v1/workflows/yearly/runs", body: `{"trigger":0}`, given: published, status: 422, slug: "no-schedule", places: []string{"/trigger no-schedule"}},
		{name: "a trigger that there is not", request: "POST /v1/workflows/yearly/runs", body: `{"trigger":9007199254740991}`, given: published, status: 422, slug: "no-schedule", places: []string{"/trigger no-schedule"}},
		{name: "a draft", request: "POST /v1/workflows/yearly/runs", given: func(s *service) { s.must(201, "PUT", "/v1/workflows/yearly", yearly) }, status: 409, slug: "definition-not-active"},
		{name: "an archived workflow", request: "POST /v1/workflows/yearly/runs", given: func(s *service) {
			published(s)
			s.must(200, "POST", "/v1/workflows/yearly/archive", "")
		}, status: 409, slug: "definition-not-active"},
		{name: "a trigger of -1", request: "POST /v1/workflows/waiting/runs", body: `{"trigger":-1}`, status: 400, slug: "schema-violation", places: []string{"/trigger schema-violation"}},
		{name: "B14 half a trigger", request: "POST /v1/workflows/waiting/runs", body: `{"trigger":1.5}`, status: 400, slug: "schema-violation", places: []string{"/trigger schema-violation"}},
		{name: "B15 a trigger that is a text", request: "POST /v1/workflows/waiting/runs", body: `{"trigger":"` + canary + `"}`, status: 400, slug: "schema-violation", places: []string{"/trigger schema-violation"}},
		{name: "B15 a list", request: "POST /v1/workflows/waiting/runs", body: `[1]`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B6 an unknown member", request: "POST /v1/workflows/waiting/runs", body: `{"at":"now"}`, status: 400, slug: "unknown-field", places: []string{"/at unknown-field"}},
		{name: "B10 a workflow that cannot be stored", request: "POST /v1/workflows/%00/runs", status: 404, slug: "not-found"},
	})
}
