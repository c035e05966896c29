package app_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nextRuns are those of an answer, as "trigger: local = UTC".
func nextRuns(t *testing.T, answer map[string]any) []string {
	t.Helper()
	list, _ := answer["next_runs"].([]any)
	runs := make([]string, len(list))
	for i, item := range list {
		r := item.(map[string]any)
		runs[i] = fmt.Sprint(r["trigger"], ": ", r["local"], " = ", r["utc"])
	}
	return runs
}

func TestNextRunsAreShownBeforeAndAfterPublishing(t *testing.T) {
	t.Parallel()
	s := start(t)
	nextYear := time.Now().Year() + 1
	text := s.once("planned", fmt.Sprintf(`
time_zone: Europe/Warsaw
triggers:
  - { schedule: { every: year, on: ["07-01"], at: "09:00" } }
  - { event: signed_up }
  - { schedule: { every: year, on: ["02-29"], at: "09:00", time_zone: Asia/Tokyo } }
  - { schedule: { once: %d-01-04, at: "09:00" } }
  - { schedule: { once: 2020-01-04, at: "09:00" } }`, nextYear))
	var want []string
	july := time.Date(time.Now().Year(), 7, 1, 7, 0, 0, 0, time.UTC)
	if !july.After(time.Now()) {
		july = july.AddDate(1, 0, 0)
	}
	for range 5 {
		want = append(want, fmt.Sprintf("0: %d-07-01T09:00:00+02:00 = %d-07-01T07:00:00Z", july.Year(), july.Year()))
		july = july.AddDate(1, 0, 0)
	}
	for year := time.Now().Year(); len(want) < 10; year++ {
		day := time.Date(year, 3, 0, 0, 0, 0, 0, time.UTC) // the last of February
		if at := day; at.After(time.Now()) {
			want = append(want, fmt.Sprintf("2: %[1]sT09:00:00+09:00 = %[1]sT00:00:00Z", day.Format(time.DateOnly)))
		}
	}
	want = append(want, fmt.Sprintf("3: %[1]d-01-04T09:00:00+01:00 = %[1]d-01-04T08:00:00Z", nextYear))

	answer := s.must("POST", "/v1/workflows/validate", text)
	require.Equal(t, true, answer["valid"], answer)
	require.Equal(t, want, nextRuns(t, answer))
	require.Equal(t, want, nextRuns(t, s.must("PUT", "/v1/workflows/planned", text)), "of the draft")
	require.Equal(t, want, nextRuns(t, s.must("GET", "/v1/workflows/planned", nil)))
	s.must("POST", "/v1/workflows/planned/publish", nil)
	s.must("PUT", "/v1/workflows/planned", s.once("planned", "triggers: [{ event: signed_up }]"))
	require.Equal(t, want, nextRuns(t, s.must("GET", "/v1/workflows/planned", nil)), "of what is live, not of the draft")
	s.must("POST", "/v1/workflows/planned/publish", nil)
	require.Empty(t, nextRuns(t, s.must("GET", "/v1/workflows/planned", nil)))

	answer = s.must("POST", "/v1/workflows/validate", s.once("planned", `triggers: [{ schedule: { every: day, at: "25:00" } }]`))
	require.Equal(t, []any{false, []any{}}, []any{answer["valid"], answer["next_runs"]})
	answer = s.must("POST", "/v1/workflows/validate", s.once("planned", `triggers: [{ event: signed_up }]`))
	require.Equal(t, []any{true, []any{}}, []any{answer["valid"], answer["next_runs"]})
}

func TestRunIsAskedForByHand(t *testing.T) {
	t.Parallel()
	s := start(t)
	drivers := s.crowd(5, "in", "driver")
	s.crowd(5, "out", "pilot")
	s.publish(s.scheduled("asked", inSixHours(), "driver"))

	status, run := s.call("POST", "/v1/workflows/asked/runs", nil)

	require.Equal(t, http.StatusCreated, status, run)
	require.Equal(t, []any{"schedule", true, "running", 0.0, 5.0, 0.0}, []any{run["kind"], run["by_hand"], run["status"], run["trigger"], run["matched"], run["progress"]})
	path := "/v1/workflows/asked/runs/" + run["id"].(string)
	s.until("it has ended", func() bool { return s.must("GET", path, nil)["status"] == "completed" })
	s.wantEachOnce("asked", drivers)
	run = s.must("GET", path, nil)
	require.Equal(t, []any{5.0, 5.0, 1.0}, []any{run["enrolled"], run["started"], run["progress"]})
	s.until("its Temporal workflow has ended", func() bool {
		return s.temporal.GetWorkflow(s.ctx, run["temporal_workflow_id"].(string), "").Get(s.ctx, nil) == nil
	})
	status, again := s.call("POST", "/v1/workflows/asked/runs", map[string]any{"trigger": 0})
	require.Equal(t, http.StatusCreated, status, again)
	s.until("it has ended, too", func() bool { return s.runsOf("asked")[1]["status"] == "completed" })
	require.Equal(t, map[string]any{"enrolled before, and the workflow enrolls once": 5.0}, s.runsOf("asked")[1]["skipped"])

	s.publish(s.once("deaf", "triggers: [{ event: signed_up }]"))
	s.must("PUT", "/v1/workflows/draft", s.scheduled("draft", inSixHours(), ""))
	for _, c := range []struct {
		name, slug string
		body       map[string]any
		status     int
	}{
		{"asked", "invalid", map[string]any{"trigger": 1}, http.StatusUnprocessableEntity},
		{"deaf", "invalid", nil, http.StatusUnprocessableEntity},
		{"draft", "definition-not-active", nil, http.StatusConflict},
		{"unknown", "not-found", nil, http.StatusNotFound},
	} {
		var body any
		if c.body != nil {
			body = c.body
		}
		status, problem := s.call("POST", "/v1/workflows/"+c.name+"/runs", body)
		require.Equal(t, c.status, status, problem)
	}
	require.Len(t, s.runsOf("asked"), 2)
}
