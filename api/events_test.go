package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnEventCountsOnce(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/x", `{"name":"x","enroll":{"again":"every_trigger"},"triggers":[{"event":"survey.completed","where":{"event_property":"score","op":"at_least","value":8}}],"steps":`+someSteps+`}`)
	s.must(200, "POST", "/v1/workflows/x/publish", "")
	const event = `{"id":"e_1","name":"survey.completed","user_id":"u_1","occurred_at":"2026-11-01T10:00:00+02:00","properties":{"score":9,"tags":["a",null,{"b":1.5}]}}`
	require.JSONEq(t, `{"id":"e_1","status":"accepted"}`, string(s.must(202, "POST", "/v1/events", event).body))
	s.pumpAll()
	items, _ := s.get("/v1/enrollments?workflow=x").items()
	require.Len(t, items, 1)
	require.Equal(t, "event", items[0]["trigger"])
	require.Equal(t, map[string]any{
		"id": "e_1", "name": "survey.completed", "user_id": "u_1", "occurred_at": "2026-11-01T08:00:00Z",
		"properties": map[string]any{"score": 9.0, "tags": []any{"a", nil, map[string]any{"b": 1.5}}},
	}, items[0]["event"])

	s.must(200, "POST", "/v1/enrollments/"+items[0]["id"].(string)+"/unenroll", "")
	require.JSONEq(t, `{"id":"e_1","status":"duplicate"}`, string(s.must(202, "POST", "/v1/events", event).body))
	s.pumpAll()
	require.Equal(t, 1, s.count("enrollments"), "evaluated once")
}

func TestAnEventWithoutIDAndTimeGetsBoth(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	began := time.Now().Add(-time.Second)
	const event = `{"name":"login","user_id":"u_1"}`
	first, second := s.must(202, "POST", "/v1/events", event).object(), s.must(202, "POST", "/v1/events", event).object()
	require.Regexp(t, requestID, first["id"])
	require.NotEqual(t, first["id"], second["id"])
	require.Equal(t, "accepted", second["status"])
	var at time.Time
	require.NoError(t, s.conn.QueryRow(t.Context(), `select occurred_at from events where id = $1`, first["id"]).Scan(&at))
	require.WithinRange(t, at, began, time.Now().Add(time.Second))
}

func TestAChangeOfAUserIsEvaluatedAsAnEvent(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/leaver", `{"name":"leaver","triggers":[{"event":"user.deactivated"}],"steps":`+someSteps+`}`)
	s.must(201, "PUT", "/v1/workflows/renamed", `{"name":"renamed","triggers":[{"filter":{"property":"first_name","op":"equals","value":"Augusta"}}],"steps":`+someSteps+`}`)
	s.must(200, "POST", "/v1/workflows/leaver/publish", "")
	s.must(200, "POST", "/v1/workflows/renamed/publish", "")
	s.must(200, "PATCH", "/v1/users/u_1", `{"properties":{"status":"deactivated","first_name":"Augusta"}}`)
	s.pumpAll()
	items, _ := s.get("/v1/enrollments?user=u_1").items()
	require.ElementsMatch(t, []any{"leaver", "renamed"}, column(items, "workflow"))
	require.ElementsMatch(t, []any{"event", "filter"}, column(items, "trigger"))
}
