package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// adults is a workflow for users of 18 and more.
const adults = `{"name": "adults", "triggers": [{"filter": {"property": "age", "op": "at_least", "value": 18}}], "steps": [{"id": "wait", "delay": "1h"}]}`

// crowd gives a service users from c_00 on, each of 20 years and more.
func (s *service) crowd(n int) {
	s.t.Helper()
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":"c_%02d","properties":{"age":%d}}`, i, 20+i)
	}
	s.must(200, "POST", "/v1/users/batch", `{"items":[`+strings.Join(items, ",")+`]}`)
}

// backfill publishes a workflow such that it enrolls those for whom it holds, and returns the run.
func (s *service) backfill(workflow, more string) map[string]any {
	s.t.Helper()
	run, _ := s.must(200, "POST", "/v1/workflows/"+workflow+"/publish", `{"existing":"enroll"`+more+`}`).object()["run"].(map[string]any)
	require.NotNil(s.t, run)
	return run
}

// carry does with a run what a worker does, until it rests.
func (s *service) carry(run string) *postgres.Run {
	s.t.Helper()
	for {
		step, err := s.db.StepRun(s.t.Context(), run, 100)
		require.NoError(s.t, err)
		if step.Run.Status != postgres.RunRunning {
			return &step.Run
		}
	}
}

func TestARunShowsHowFarItIs(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.crowd(7)
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	run := s.backfill("adults", `,"rate":4`)
	id, _ := run["id"].(string)
	require.Regexp(t, requestID, id)
	path := "/v1/workflows/adults/runs/" + id
	require.NotContains(t, run, "progress")
	run["progress"] = 0.0
	require.Equal(t, run, s.get(path).object())
	instants(t, run, "created_at", "updated_at")
	require.Regexp(t, `^rollcall/backfill/adults/1\b`, run["temporal_workflow_id"])
	require.Subset(t, run, map[string]any{
		"id": id, "workflow": "adults", "version": 1.0, "kind": "backfill", "status": "running", "matched": 8.0, "enrolled": 0.0, "held": 0.0,
		"skipped": map[string]any{}, "per_second": 4.0, "progress": 0.0,
	})
	require.NotContains(t, run, "ended_at")
	require.NotContains(t, run, "reason")

	s.enroll("adults", "c_00")
	_, err := s.db.StepRun(t.Context(), id, 100)
	require.NoError(t, err)
	run = s.get(path).object()
	require.Equal(t, []any{"running", 3.0, map[string]any{"already enrolled": 1.0}, 0.5}, []any{run["status"], run["enrolled"], run["skipped"], run["progress"]})

	s.must(200, "PATCH", "/v1/users/c_06", `{"properties":{"age":null}}`)
	s.pumpAll()
	s.carry(id)
	run = s.get(path).object()
	instants(t, run, "ended_at")
	require.Equal(t, []any{"completed", 6.0, 1.0}, []any{run["status"], run["enrolled"], run["progress"]})
	require.Len(t, run["skipped"], 2)
	for reason, n := range run["skipped"].(map[string]any) {
		require.Regexp(t, `^(already enrolled|the filter .* hold any more)$`, reason)
		require.InDelta(t, 1, n, 0)
	}
	require.Equal(t, map[string]any{"pending": 7.0}, s.get("/v1/workflows/adults").object()["enrollments"])
	items, next := s.get("/v1/workflows/adults/runs").items()
	require.Empty(t, next)
	require.Equal(t, []map[string]any{s.get(path).object()}, items)
}

func TestAPausedRunDecidesNobody(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	id, _ := s.backfill("adults", "")["id"].(string)
	path := "/v1/workflows/adults/runs/" + id
	for range 2 {
		paused := s.must(200, "POST", path+"/pause", "").object()
		require.Equal(t, []any{"paused", 0.0}, []any{paused["status"], paused["progress"]})
		require.Equal(t, paused, s.get(path).object())
		require.Equal(t, postgres.RunPaused, s.carry(id).Status)
		require.Equal(t, 0, s.count("enrollments"))
	}
	for range 2 {
		require.Equal(t, "running", s.must(200, "POST", path+"/resume", "").object()["status"])
	}
	require.Equal(t, postgres.RunCompleted, s.carry(id).Status)
	require.Equal(t, 1, s.count("enrollments"))
}

func TestAnAbortedRunKeepsWhomItEnrolled(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.crowd(5)
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	id, _ := s.backfill("adults", `,"rate":2`)["id"].(string)
	path := "/v1/workflows/adults/runs/" + id
	_, err := s.db.StepRun(t.Context(), id, 100)
	require.NoError(t, err)
	aborted := s.must(200, "POST", path+"/abort", "").object()
	instants(t, aborted, "ended_at")
	require.Equal(t, []any{"aborted", "on request", 2.0}, []any{aborted["status"], aborted["reason"], aborted["enrolled"]})
	require.InDelta(t, 2.0/6, aborted["progress"], 1e-9)
	require.Equal(t, postgres.RunAborted, s.carry(id).Status)
	require.Equal(t, map[string]any{"pending": 2.0}, s.get("/v1/workflows/adults").object()["enrollments"])
}

func TestAPublicationEndsTheRunOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	first, _ := s.backfill("adults", "")["id"].(string)
	second, _ := s.backfill("adults", "")["id"].(string)
	items, _ := s.get("/v1/workflows/adults/runs").items()
	require.Equal(t, []any{second, first}, column(items, "id"))
	require.Equal(t, []any{"running", "aborted"}, column(items, "status"))
	require.Equal(t, "another version was published, or the workflow archived", items[1]["reason"])
	s.must(200, "POST", "/v1/workflows/adults/archive", "")
	items, _ = s.get("/v1/workflows/adults/runs").items()
	require.Equal(t, []any{"aborted", "aborted"}, column(items, "status"))
}

func TestAPublicationThatConcernsNobodyMakesNoRun(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/properties/age", `{"type":"number"}`)
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	require.NotContains(t, s.must(200, "POST", "/v1/workflows/adults/publish", `{"existing":"enroll"}`).object(), "run")
	require.JSONEq(t, `{"items":[],"next":null}`, string(s.get("/v1/workflows/adults/runs").body))
}

func TestRunsAreListedNewestFirstInPages(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	s.must(201, "PUT", "/v1/workflows/other", strings.ReplaceAll(adults, `"adults"`, `"other"`))
	s.backfill("other", "")
	var ids []any
	for range 5 {
		ids = append([]any{s.backfill("adults", "")["id"]}, ids...)
	}
	var listed []any
	for query, pages := "?page_size=2", 1; ; pages++ {
		items, next := s.get("/v1/workflows/adults/runs" + query).items()
		listed = append(listed, column(items, "id")...)
		if next == "" {
			require.Equal(t, 3, pages)
			break
		}
		query = "?page_size=2&page_token=" + next
	}
	require.Equal(t, ids, listed)
}

func TestABadRunIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	for _, name := range []string{"adults", "other"} {
		s.must(201, "PUT", "/v1/workflows/"+name, strings.ReplaceAll(adults, `"adults"`, `"`+name+`"`))
	}
	id, _ := s.backfill("adults", "")["id"].(string)
	enrollment := s.enroll("waiting", "u_1")
	for _, path := range []string{
		"/v1/workflows/adults/runs/" + canary, "/v1/workflows/adults/runs/%27;%20drop%20table%20runs;--", "/v1/workflows/adults/runs/" + strings.Repeat("0", 36),
		"/v1/workflows/adults/runs/" + strings.ToUpper(id), "/v1/workflows/adults/runs/" + strings.ReplaceAll(id, "-", ""), "/v1/workflows/adults/runs/{" + id + "}",
		"/v1/workflows/adults/runs/01890a5d-ac96-774b-bcce-b302099a8057", "/v1/workflows/adults/runs/" + enrollment,
		"/v1/workflows/other/runs/" + id, "/v1/workflows/none/runs/" + id, "/v1/workflows/%00/runs/" + id, "/v1/workflows/adults/runs/%00", "/v1/workflows/adults/runs/%ff",
	} {
		before := s.stored()
		s.get(path).wants(404, "not-found")
		for _, verb := range []string{"/pause", "/resume", "/abort"} {
			s.do("POST", path+verb, "").wants(404, "not-found")
		}
		require.Equal(t, before, s.stored(), path)
	}
	s.do("POST", "/v1/workflows/adults/runs/"+id, "").wants(405, "method-not-allowed")
	s.do("POST", "/v1/workflows/adults/runs/"+id+"/delete", "").wants(404, "not-found")
	require.Equal(t, "running", s.get("/v1/workflows/adults/runs/" + id).object()["status"])
}

func TestAnEndedRunStaysAsItIs(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	for _, end := range []string{"completed", "aborted"} {
		id, _ := s.backfill("adults", "")["id"].(string)
		path := "/v1/workflows/adults/runs/" + id
		if end == "completed" {
			s.carry(id)
		} else {
			s.must(200, "POST", path+"/abort", "")
		}
		before, run := s.stored(), s.get(path).object()
		require.Equal(t, end, run["status"])
		for _, verb := range []string{"/pause", "/resume", "/abort"} {
			p := s.do("POST", path+verb, "").wants(409, "already-finished")
			require.Contains(t, p.Detail, "the run was "+end)
		}
		require.Equal(t, before, s.stored())
		require.Equal(t, run, s.get(path).object())
	}
}

func TestABadPublicationIsRefused(t *testing.T) {
	t.Parallel()
	const publish = "POST /v1/workflows/waiting/publish"
	shape := func(name, body, place string) badInput {
		return badInput{name: name, request: publish, body: body, status: 400, slug: "schema-violation", places: []string{strings.TrimSpace(place + " schema-violation")}}
	}
	refused(t, []badInput{
		shape("a rate of 0", `{"existing":"enroll","rate":0}`, "/rate"),
		shape("a rate of -1", `{"existing":"enroll","rate":-1}`, "/rate"),
		shape("a rate of 5001", `{"existing":"enroll","rate":5001}`, "/rate"),
		shape("a rate beyond 64 bits", `{"existing":"enroll","rate":1e300}`, "/rate"),
		shape("B14 a user and a half a second", `{"existing":"enroll","rate":1.5}`, "/rate"),
		shape("B15 a rate that is a text", `{"existing":"enroll","rate":"`+canary+`"}`, "/rate"),
		shape("B15 a list", `["`+canary+`"]`, ""),
		{name: "B6 a run", request: publish, body: `{"run":"` + canary + `"}`, status: 400, slug: "unknown-field", places: []string{"/run unknown-field"}},
		{name: "a member twice", request: publish, body: `{"rate":1,"rate":2}`, status: 400, slug: "duplicate-member"},
		{name: "an unknown workflow", request: "POST /v1/workflows/none/publish", body: `{"existing":"enroll","rate":5000}`, status: 404, slug: "not-found"},
	})
}

func TestAnUnpublishedWorkflowHasNoRuns(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	require.JSONEq(t, `{"items":[],"next":null}`, string(s.get("/v1/workflows/adults/runs").body))
	require.Equal(t, string(automation.Draft), s.get("/v1/workflows/adults").object()["status"])
}
