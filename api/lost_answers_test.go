package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func TestRequestWhoseAnswerWasLostIsNotCarriedOutAgain(t *testing.T) {
	t.Parallel()
	// What there is of the request afterwards.
	losses := map[string]func(s *service){
		"its process was killed before it answered": func(s *service) {
			s.exec(`update idempotency set status = null, answer = null, created_at = created_at - interval '2 minutes'`)
		},
		"its process did not hear that it was committed": func(s *service) {
			s.exec(`update idempotency set status = null, answer = null`)
			var caller, key, route string
			require.NoError(s.t, s.conn.QueryRow(s.t.Context(), `select caller, key, route from idempotency`).Scan(&caller, &key, &route))
			require.NoError(s.t, s.db.EndRequest(s.t.Context(), caller, key, route, nil))
		},
	}
	requests := map[string]struct{ path, body string }{
		"event":      {"/v1/events", `{"name": "signed_up", "user_id": "u_1"}`},
		"enrollment": {"/v1/workflows/w/enrollments", `{"user_id": "u_1"}`},
		"run":        {"/v1/workflows/w/runs", `{}`},
		"version":    {"/v1/workflows/w/publish", `{"existing": "enroll"}`},
	}
	for loss, lose := range losses {
		for makes, request := range requests {
			t.Run(makes+", "+loss, func(t *testing.T) {
				t.Parallel()
				s := locked(t)
				all := s.as(automation.Scopes()...)
				all.must(201, "PUT", "/v1/users/u_1", `{"properties": {"job_title": "pilot"}}`)
				all.must(201, "PUT", "/v1/workflows/w", `{"enroll": {"again": "every_trigger"}, "steps": [{"id": "wait", "delay": "1d"}],
					"triggers": [{"schedule": {"every": "year", "on": ["02-29"], "at": "09:00"}, "where": {"property": "job_title", "op": "equals", "value": "pilot"}}, {"filter": {"property": "job_title", "op": "equals", "value": "pilot"}}]}`)
				all.must(200, "POST", "/v1/workflows/w/publish", `{}`)
				ask := func(body string) answer {
					return all.do("POST", request.path, body, "Idempotency-Key: k_1")
				}
				first := ask(request.body)
				require.Less(t, first.status, 300, first.body)
				made := s.made()
				lose(s)

				for range 2 {
					again := ask(request.body)

					require.Equal(t, 409, again.status, again.body)
					require.Equal(t, "urn:rollcall:problem/idempotency-answer-lost", again.object()["type"])
					require.Contains(t, again.object()["detail"], "it made "+makes+" ")
				}

				require.Equal(t, made, s.made())
				require.Equal(t, 422, ask(strings.Replace(request.body, "{", "{ ", 1)).status, "another request")
			})
		}
	}
}

func (s *service) exec(sql string) {
	s.t.Helper()
	_, err := s.conn.Exec(s.t.Context(), sql)
	require.NoError(s.t, err)
}

// made counts what requests make.
func (s *service) made() (counts string) {
	s.t.Helper()
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), `
		select concat_ws(' ', (select count(*) from events), (select count(*) from enrollments), (select count(*) from runs), (select count(*) from versions))`).Scan(&counts))
	return counts
}

// TestACallerWhoLeftIsAnsweredWhenHeAsksAgain: what a caller is told who does not wait for it is not the
// answer to the request.
func TestACallerWhoLeftIsAnsweredWhenHeAsksAgain(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.exec(`begin`)
	s.exec(`lock table enrollments`)
	ctx, leave := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, leave)
	ask := func(ctx context.Context) answer {
		return s.doWith(ctx, "POST", "/v1/workflows/waiting/enrollments", `{"user_id": "u_1"}`, "Idempotency-Key: k_1")
	}
	ask(ctx).wants(408, "request-timeout")
	s.exec(`rollback`)

	require.Equal(t, 201, ask(t.Context()).status)
}
