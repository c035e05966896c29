package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/api"
	"rollcall/postgres"
)

func TestAUserIsEnrolledOnRequest(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) { d.UI = "http://temporal.example:8233/namespaces/default/workflows/" }).seed()
	e := s.must(201, "POST", "/v1/workflows/waiting/enrollments", `{"user_id":"u_1"}`).object()
	instants(t, e, "created_at")
	id, _ := e["id"].(string)
	require.Regexp(t, requestID, id)
	require.Equal(t, map[string]any{
		"id": id, "workflow": "waiting", "version": 1.0, "user_id": "u_1", "status": "pending", "trigger": "manual", "ordinal": 1.0,
		"temporal_workflow_id": "waiting/u_1/1",
		"temporal_url":         "http://temporal.example:8233/namespaces/default/workflows/waiting%2Fu_1%2F1",
	}, e)
	got := s.must(200, "GET", "/v1/enrollments/"+id, "").object()
	instants(t, got, "created_at")
	require.Equal(t, e, got)
	decisions, _ := s.get("/v1/workflows/waiting/decisions?user=u_1").items()
	instants(t, decisions[0], "at")
	require.Equal(t, []map[string]any{{
		"workflow": "waiting", "version": 1.0, "user_id": "u_1", "trigger": -1.0, "outcome": "enrolled", "enrollment_id": id,
	}}, decisions)
	require.Equal(t, map[string]any{"pending": 1.0}, s.get("/v1/workflows/waiting").object()["enrollments"])
}

func TestAPausedWorkflowStillEnrolls(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(200, "POST", "/v1/workflows/waiting/pause", "")
	s.enroll("waiting", "u_1")
}

func TestEnrollmentsAreListedNewestFirstByFilterInPages(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/other", `{"triggers":`+someTriggers+`,"steps":`+someSteps+`}`)
	s.must(200, "POST", "/v1/workflows/other/publish", "")
	var ids []any
	for i := range 5 {
		user := fmt.Sprintf("u_%d", i+2)
		s.must(201, "PUT", "/v1/users/"+user, `{}`)
		ids = append([]any{s.enroll("waiting", user)}, ids...)
	}
	other := s.enroll("other", "u_2")
	s.must(200, "POST", "/v1/enrollments/"+other+"/unenroll", "")

	var listed []any
	for query := "?workflow=waiting&page_size=2"; ; {
		items, next := s.get("/v1/enrollments" + query).items()
		listed = append(listed, column(items, "id")...)
		if next == "" {
			break
		}
		query = "?workflow=waiting&page_size=2&page_token=" + next
	}
	require.Equal(t, ids, listed)

	for query, want := range map[string][]any{
		"?user=u_2":                           {other, ids[4]},
		"?user=u_2&workflow=other":            {other},
		"?status=unenrolled":                  {other},
		"?status=pending&user=u_3":            {ids[3]},
		"?status=completed":                   {},
		"?workflow=none":                      {},
		"?user=nobody":                        {},
		"?user=%27%20or%20true%20--":          {},
		"?workflow=waiting&status=unenrolled": {},
	} {
		items, next := s.get("/v1/enrollments" + query).items()
		require.Equal(t, want, column(items, "id"), query)
		require.Empty(t, next)
	}
}

func TestAnEnrollmentShowsItsTimelineAndWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	id := s.enroll("waiting", "u_1")
	until := time.Date(2030, 1, 4, 9, 0, 0, 0, time.UTC)
	_, err := s.db.BeginDelay(t.Context(), postgres.VisitRef{EnrollmentID: id, Step: "settle", Visit: 1}, until)
	require.NoError(t, err)
	e := s.must(200, "GET", "/v1/enrollments/"+id, "").object()
	require.Equal(t, []any{"active", "settle", "2030-01-04T09:00:00Z"}, []any{e["status"], e["step"], e["waiting_until"]})
	items, _ := s.get("/v1/enrollments?status=active").items()
	require.Equal(t, []any{id}, column(items, "id"))

	_, err = s.db.BeginVisit(t.Context(), postgres.VisitRef{EnrollmentID: id, Step: "tell", Visit: 1}, "notify")
	require.NoError(t, err)
	out := s.must(200, "POST", "/v1/enrollments/"+id+"/unenroll", `{"reason":"left the company"}`).object()
	instants(t, out, "created_at", "started_at", "ended_at")
	require.Equal(t, map[string]any{
		"id": id, "workflow": "waiting", "version": 1.0, "user_id": "u_1", "status": "unenrolled", "reason": "left the company",
		"trigger": "manual", "ordinal": 1.0, "temporal_workflow_id": "waiting/u_1/1", "in_flight": []any{"tell"},
	}, out)

	timeline, _ := s.get("/v1/enrollments/" + id).object()["timeline"].([]any)
	require.Len(t, timeline, 2)
	settle, tell := timeline[0].(map[string]any), timeline[1].(map[string]any)
	instants(t, settle, "started_at", "finished_at")
	instants(t, tell, "started_at", "finished_at")
	require.Equal(t, map[string]any{"step": "settle", "visit": 1.0, "kind": "delay", "status": "done", "attempts": 1.0, "until": "2030-01-04T09:00:00Z", "shown": "Fri 4 Jan 2030 09:00:00 UTC"}, settle)
	require.Equal(t, map[string]any{"step": "tell", "visit": 1.0, "kind": "notify", "status": "stopped", "attempts": 1.0}, tell, "until it finishes, if it does")
	require.Equal(t, 1, s.count("commands"), "Temporal is to be told")
}

func TestAnUnenrollmentDuringADelayEndsIt(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	id := s.enroll("waiting", "u_1")
	_, err := s.db.BeginDelay(t.Context(), postgres.VisitRef{EnrollmentID: id, Step: "settle", Visit: 1}, time.Now().Add(time.Hour))
	require.NoError(t, err)
	out := s.must(200, "POST", "/v1/enrollments/"+id+"/unenroll", "").object()
	require.Equal(t, "on request", out["reason"])
	require.NotContains(t, out, "in_flight")
	require.NotContains(t, out, "waiting_until")
	timeline, _ := s.get("/v1/enrollments/" + id).object()["timeline"].([]any)
	require.Equal(t, "stopped", timeline[0].(map[string]any)["status"])
	_, err = s.db.BeginVisit(t.Context(), postgres.VisitRef{EnrollmentID: id, Step: "tell", Visit: 1}, "notify")
	require.Error(t, err, "no action starts after the answer")
}

func TestADeletedUserIsTakenOutOfEveryWorkflow(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	id := s.enroll("waiting", "u_1")
	s.must(204, "DELETE", "/v1/users/u_1", "")
	e := s.get("/v1/enrollments/" + id).object()
	require.Equal(t, []any{"unenrolled", "the user was deleted", "u_1"}, []any{e["status"], e["reason"], e["user_id"]})
	s.pumpAll()
	require.Equal(t, 0, s.count("work_items"))
}

func TestNotificationsAreListedNewestFirstByUserInPages(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/users/u_2", `{}`)
	id := s.enroll("waiting", "u_1")
	for i := range 5 {
		ref := postgres.VisitRef{EnrollmentID: id, Step: "tell", Visit: i + 1}
		_, err := s.db.VisitInside(t.Context(), ref, "notify", false, func(in *postgres.Inside) (postgres.Done, error) {
			return postgres.Done{What: "notified"}, in.Notify(t.Context(), fmt.Sprint("key ", i), []string{"u_1", "u_2"}[i%2], fmt.Sprint("number ", i))
		})
		require.NoError(t, err)
	}
	items, next := s.get("/v1/notifications?user=u_1&page_size=2").items()
	require.Equal(t, []any{"number 4", "number 2"}, column(items, "text"))
	instants(t, items[0], "created_at")
	require.IsType(t, 0.0, items[0]["id"])
	delete(items[0], "id")
	require.Equal(t, map[string]any{"user_id": "u_1", "text": "number 4", "enrollment_id": id}, items[0])
	items, next = s.get("/v1/notifications?user=u_1&page_size=2&page_token=" + next).items()
	require.Equal(t, []any{"number 0"}, column(items, "text"))
	require.Empty(t, next)
	items, _ = s.get("/v1/notifications").items()
	require.Len(t, items, 5)
}

func TestWithoutADatabaseTheAPIAsksToTryAgain(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.db.Close()
	for _, request := range []struct{ method, path, body string }{
		{"GET", "/v1/users/u_1", ""},
		{"PUT", "/v1/users/u_1", `{}`},
		{"POST", "/v1/events", `{"name":"login","user_id":"u_1"}`},
		{"PUT", "/v1/workflows/waiting", waiting},
		{"POST", "/v1/workflows/waiting/enrollments", `{"user_id":"u_1"}`},
		{"GET", "/v1/properties", ""},
	} {
		a := s.do(request.method, request.path, request.body)
		p := a.wants(503, "dependency-unavailable")
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Equal(t, "a database or Temporal does not answer", p.Detail)
	}
	a := s.get("/readyz")
	require.Equal(t, 503, a.status)
	require.JSONEq(t, `{"postgres":"does not answer","temporal":"ok"}`, string(a.body))
	require.Equal(t, 200, s.get("/healthz").status)
}

func TestACallerWhoLeavesGetsNoInternalError(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	ctx, leave := context.WithCancel(t.Context())
	leave()
	a := s.doWith(ctx, "GET", "/v1/users/u_1", "")
	a.wants(408, "request-timeout")
}
