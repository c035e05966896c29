package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// runsAPI answers as the API does about runs, a little further with each question.
func runsAPI(t *testing.T) *httptest.Server {
	t.Helper()
	var asked atomic.Int32
	answers := []string{
		`{"id": "r", "workflow": "w", "kind": "schedule", "version": 2, "status": "running", "matched": 4, "enrolled": 1, "held": 0, "started": 0, "nominal": "2027-01-04T09:00", "created_at": "2027-01-04T08:00:00Z"}`,
		`{"id": "r", "workflow": "w", "kind": "schedule", "version": 2, "status": "running", "matched": 4, "enrolled": 2, "held": 1, "started": 1, "nominal": "2027-01-04T09:00", "created_at": "2027-01-04T08:00:00Z"}`,
		`{"id": "r", "workflow": "w", "kind": "schedule", "version": 2, "status": "completed", "matched": 4, "enrolled": 2, "held": 1, "started": 2, "skipped": {"already enrolled": 1}, "nominal": "2027-01-04T09:00", "created_at": "2027-01-04T08:00:00Z", "ended_at": "2027-01-04T08:00:01Z"}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer rc_key" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"detail": "a valid key is required"}`)
			return
		}
		n := min(int(asked.Add(1)), len(answers)) - 1
		switch r.URL.Path {
		case "/v1/workflows/w/runs":
			_, _ = io.WriteString(w, `{"items": [`+answers[n]+`]}`)
		case "/v1/workflows/w/runs/r":
			_, _ = io.WriteString(w, answers[n])
		case "/v1/workflows/none/runs":
			_, _ = io.WriteString(w, `{"items": []}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRunsAreListed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	env := environment(map[string]string{"ROLLCALL_API": runsAPI(t).URL, "ROLLCALL_API_KEY": "rc_key"})
	require.NoError(t, run(t.Context(), []string{"runs", "w"}, env, &out, io.Discard))
	require.Regexp(t, `(?m)^KIND +FIRING +VERSION`, out.String())
	require.Regexp(t, `(?m)^schedule +2027-01-04T09:00 +2 +running +4 +1 +0 +0 +0$`, out.String())
}

func TestRunIsWatchedUntilItsEnd(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	env := environment(map[string]string{"ROLLCALL_API": runsAPI(t).URL, "ROLLCALL_API_KEY": "rc_key"})
	require.NoError(t, run(t.Context(), []string{"runs", "w", "--watch"}, env, &out, io.Discard))
	require.Contains(t, out.String(), "w 2027-01-04T09:00: 1 of 4 decided, 0 started")
	require.Contains(t, out.String(), "100%")
	require.True(t, strings.HasSuffix(out.String(), "\ncompleted: 2 enrolled, 1 held\n1 not: already enrolled\n"), out.String())
}

func TestRunsThatCannotBeShown(t *testing.T) {
	t.Parallel()
	url := runsAPI(t).URL
	for want, c := range map[string]struct{ args, key, api string }{
		"a valid key is required": {"w", "", url}, "none has no runs": {"none", "rc_key", url}, "ask the API": {"w", "rc_key", "http://127.0.0.1:1"},
	} {
		env := environment(map[string]string{"ROLLCALL_API": c.api, "ROLLCALL_API_KEY": c.key})
		err := run(t.Context(), []string{"runs", c.args, "--watch"}, env, io.Discard, io.Discard)
		require.ErrorContains(t, err, want)
	}
}
