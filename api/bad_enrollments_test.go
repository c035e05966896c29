package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

func TestABadEnrollmentIsRefused(t *testing.T) {
	t.Parallel()
	const enroll, ada = "POST /v1/workflows/waiting/enrollments", `{"user_id":"u_1"}`
	draft := func(s *service) {
		s.must(201, "PUT", "/v1/workflows/x", definition(someTriggers, someSteps))
	}
	refused(t, []badInput{
		{name: "B15 a user id that is no text", request: enroll, body: `{"user_id":1}`, status: 400, slug: "schema-violation", places: []string{"/user_id schema-violation"}},
		{name: "B15 no user id", request: enroll, body: `{}`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B1 no body", request: enroll, status: 400, slug: "malformed-json"},
		{name: "B6 another member", request: enroll, body: `{"user_id":"u_1","force":true}`, status: 400, slug: "unknown-field", places: []string{"/force unknown-field"}},
		{name: "B33 an unknown workflow", request: "POST /v1/workflows/none/enrollments", body: ada, status: 404, slug: "not-found"},
		{name: "B76 a user who is in already", request: enroll, body: ada, given: func(s *service) { s.enroll("waiting", "u_1") }, status: 409, slug: "already-enrolled", refusal: "already enrolled"},
		{name: "B77 a draft", request: "POST /v1/workflows/x/enrollments", body: ada, given: draft, status: 409, slug: "definition-not-active"},
		{name: "B77 an archived workflow", request: enroll, body: ada, given: func(s *service) { s.must(200, "POST", "/v1/workflows/waiting/archive", "") }, status: 409, slug: "definition-not-active"},
		{name: "B78 an unknown user", request: enroll, body: `{"user_id":"nobody"}`, status: 422, slug: "unknown-user"},
		{name: "B78 a user that nobody can be", request: enroll, body: `{"user_id":""}`, status: 422, slug: "unknown-user"},
		{name: "B78 a user who was deleted", request: enroll, body: ada, given: func(s *service) { s.must(204, "DELETE", "/v1/users/u_1", "") }, status: 422, slug: "unknown-user"},
		{name: "B83 a user who was in before", request: enroll, body: ada, given: leaves, status: 409, slug: "enrolls-once", refusal: "enrolled before, and the workflow enrolls once"},
		{name: "a publication with an unknown choice", request: "POST /v1/workflows/waiting/publish", body: `{"existing":"` + canary + `"}`, status: 400, slug: "schema-violation", places: []string{"/existing schema-violation"}},
		{name: "the pause of a draft", request: "POST /v1/workflows/x/pause", given: draft, status: 409, slug: "definition-not-active"},
		{name: "the resumption of a draft", request: "POST /v1/workflows/x/resume", given: draft, status: 409, slug: "definition-not-active"},
		{name: "the deletion of a workflow that was published", request: "DELETE /v1/workflows/waiting", status: 409, slug: "in-use"},
		{name: "a draft that changed meanwhile", request: "PUT /v1/workflows/waiting", body: waiting, headers: []string{`If-Match: "` + canary + `"`}, status: 412, slug: "precondition-failed"},
		{name: "a draft that is not there any more", request: "PUT /v1/workflows/x", body: definition(someTriggers, someSteps), headers: []string{`If-Match: "0123"`}, status: 412, slug: "precondition-failed"},
		{name: "the deletion of a draft that changed meanwhile", request: "DELETE /v1/workflows/x", given: draft, headers: []string{`If-Match: "0123"`}, status: 412, slug: "precondition-failed"},
	})
}

// leaves enrolls u_1 and takes it out again.
func leaves(s *service) {
	s.must(200, "POST", "/v1/enrollments/"+s.enroll("waiting", "u_1")+"/unenroll", "")
}

func TestAnEndedEnrollmentCannotBeEnded(t *testing.T) {
	t.Parallel()
	for _, end := range []automation.EnrollmentStatus{automation.Completed, automation.Failed, automation.Unenrolled} {
		t.Run("it "+string(end), func(t *testing.T) {
			t.Parallel()
			s := start(t).seed()
			id := s.enroll("waiting", "u_1")
			_, _, err := s.db.EndEnrollment(t.Context(), postgres.End{ID: id, Status: end, Reason: "as the test wants"})
			require.NoError(t, err)
			before := s.stored()
			s.do("POST", "/v1/enrollments/"+id+"/unenroll", "").wants(409, "already-finished")
			require.Equal(t, before, s.stored())
		})
	}
}

func TestABadUnenrollmentIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	id := s.enroll("waiting", "u_1")
	before := s.stored()
	path := "/v1/enrollments/" + id + "/unenroll"
	s.do("POST", path, `{"reason":"`+strings.Repeat("x", 201)+`"}`).wants(400, "schema-violation", "/reason schema-violation")
	s.do("POST", path, `{"why":"`+canary+`"}`).wants(400, "unknown-field", "/why unknown-field")
	s.do("POST", path, `{"reason":"\u0000"}`).wants(400, "nul-character")
	s.do("POST", path, canary).wants(400, "malformed-json")
	s.do("POST", strings.Replace(path, id, strings.ToUpper(id), 1), "").wants(404, "not-found")
	require.Equal(t, before, s.stored())
	s.must(200, "POST", path, `{"reason":"left the company"}`)
}

func TestARefusedReenrollmentIsRecorded(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/once", `{"name":"once","triggers":[{"event":"login"}],"steps":`+someSteps+`}`)
	s.must(200, "POST", "/v1/workflows/once/publish", "")
	for range 2 {
		s.must(202, "POST", "/v1/events", `{"name":"login","user_id":"u_1"}`)
		s.pumpAll()
		for _, id := range column(first(s.get("/v1/enrollments?workflow=once&status=pending").items()), "id") {
			s.must(200, "POST", "/v1/enrollments/"+id.(string)+"/unenroll", "")
		}
	}
	decisions, next := s.get("/v1/workflows/once/decisions?user=u_1").items()
	require.Empty(t, next)
	require.Equal(t, []any{"refused", "enrolled"}, column(decisions, "outcome"))
	require.Equal(t, "enrolled before, and the workflow enrolls once", decisions[0]["reason"])
	require.NotContains(t, decisions[0], "enrollment_id")
	require.Equal(t, 1, s.count("enrollments"))
}

func first(items []map[string]any, _ string) []map[string]any { return items }
