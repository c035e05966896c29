package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/postgres"
)

// counted adds up the counts in answers.
func counted(t *testing.T, calls []call) (sum int) {
	t.Helper()
	for _, c := range calls {
		var body struct{ Count int }
		require.Equal(t, 200, c.status, c.body)
		require.NoError(t, json.Unmarshal([]byte(c.body), &body))
		sum += body.Count
	}
	return sum
}

func TestApprovalAndRejectionAtOnceDecideEachEnrollmentOnce(t *testing.T) {
	t.Parallel()
	for name, bodyOf := range map[string]func(ids []string, i int) string{
		"all of them":    func([]string, int) string { return "" },
		"each by its id": func(ids []string, i int) string { return some(ids[1+i/2%(len(ids)-1)]) },
		"all in one order and in the other": func(ids []string, i int) string {
			order := append([]string{}, ids...)
			if i%4 < 2 {
				for a, b := 0, len(order)-1; a < b; a, b = a+1, b-1 {
					order[a], order[b] = order[b], order[a]
				}
			}
			return some(order...)
		},
		"some together with all": func(ids []string, i int) string {
			if i%3 == 0 {
				return ""
			}
			return some(ids[i%len(ids):]...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.listens()
			ids := s.guarded(31)
			calls := s.together(60, "POST", func(i int) (string, string) {
				return held + "/" + []string{"approve", "reject"}[i%2], bodyOf(ids, i)
			})
			require.Equal(t, 30, counted(t, calls), "each is decided once")
			approved, rejected := 0, 0
			for i, c := range calls {
				if i%2 == 0 {
					approved += counted(t, []call{c})
				} else {
					rejected += counted(t, []call{c})
				}
			}
			require.Equal(t, approved+1, s.count(`enrollments where status = 'pending' and not rejected and ended_at is null`))
			require.Equal(t, rejected, s.count(`enrollments where status = 'unenrolled' and rejected and ended_at is not null`))
			require.JSONEq(t, `{"count":0,"items":[]}`, string(s.get(held).body))
			s.pumpAll()
			require.Equal(t, 0, s.count("work_items"))
		})
	}
}

// listens publishes a workflow that asks about the one with a guard, so that what is decided there makes
// items.
func (s *service) listens() {
	s.t.Helper()
	s.must(201, "PUT", "/v1/workflows/listener", `{"triggers": [{"filter": {"workflow": "guarded", "op": "enrolled"}}], "steps": [{"delay": "1h"}]}`)
	s.must(200, "POST", "/v1/workflows/listener/publish", "")
}

func TestADecisionWhileTheUserIsTakenOutIsOne(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.listens()
	ids := s.guarded(25)
	calls := s.together(3*24, "POST", func(i int) (string, string) {
		id := ids[1+i/3]
		switch i % 3 {
		case 0:
			return held + "/approve", some(id)
		case 1:
			return held + "/reject", some(id)
		default:
			return "/v1/enrollments/" + id + "/unenroll", ""
		}
	})
	for i, id := range ids[1:] {
		e := s.get("/v1/enrollments/" + id).object()
		taken, decided := calls[3*i+2].status == 200, counted(t, calls[3*i:3*i+2])
		require.Contains(t, []int{200, 409}, calls[3*i+2].status)
		require.Equal(t, taken, e["reason"] == "on request", "%v", e)
		require.LessOrEqual(t, decided, 1)
		require.True(t, taken || decided == 1, "somebody decided")
		if !taken {
			require.Equal(t, "not approved", e["reason"])
		}
	}
}

func TestEachRunEndsOnceWhoeverPausesResumesAndAborts(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.crowd(40)
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	for round := range 4 {
		run, _ := s.backfill("adults", `,"rate":5`)["id"].(string)
		path := "/v1/workflows/adults/runs/" + run
		var worker sync.WaitGroup
		worker.Go(func() {
			for range 6 {
				if _, err := s.db.StepRun(t.Context(), run, 5); err != nil {
					t.Errorf("step: %s", err)
				}
			}
		})
		calls := s.together(24, "POST", func(i int) (string, string) {
			return path + []string{"/pause", "/resume", "/abort", "/resume"}[(i+round)%4], ""
		})
		worker.Wait()
		aborted := 0
		for i, c := range calls {
			require.Contains(t, []int{200, 409}, c.status, c.body)
			if (i+round)%4 == 2 && c.status == 200 {
				aborted++
			}
		}
		require.Equal(t, 1, aborted, "one of those who abort ends it")
		r := s.get(path).object()
		require.Equal(t, []any{"aborted", "on request"}, []any{r["status"], r["reason"]})
		step, err := s.db.StepRun(t.Context(), run, 100)
		require.NoError(t, err)
		require.Zero(t, step.Decided)
		require.Equal(t, postgres.RunAborted, step.Run.Status)
		skipped := 0.0
		for _, n := range r["skipped"].(map[string]any) {
			skipped += n.(float64)
		}
		require.InDelta(t, s.count(fmt.Sprintf(`enrollments where run_id = '%s'`, run)), r["enrolled"], 0, "what it counts it did")
		require.LessOrEqual(t, r["enrolled"].(float64)+skipped, r["matched"])
	}
}

func TestARunThatSeveralCarryDecidesEachUserOnce(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.crowd(60)
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	run, _ := s.backfill("adults", `,"rate":7`)["id"].(string)
	path := "/v1/workflows/adults/runs/" + run
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for ended := false; !ended; {
				step, err := s.db.StepRun(t.Context(), run, 100)
				if err != nil {
					t.Errorf("step: %s", err)
					return
				}
				ended = step.Run.EndedAt != nil
			}
		})
	}
	calls := s.together(20, "POST", func(i int) (string, string) { return path + []string{"/pause", "/resume"}[i%2], "" })
	for _, c := range calls {
		require.Contains(t, []int{200, 409}, c.status, c.body)
	}
	s.do("POST", path+"/resume", "")
	workers.Wait()
	r := s.get(path).object()
	require.Equal(t, []any{"completed", 61.0, 61.0, 1.0}, []any{r["status"], r["matched"], r["enrolled"], r["progress"]})
	require.Equal(t, 61, s.count("decisions"))
	require.Equal(t, 61, s.count("enrollments"))
}

func TestPublicationsAndRunCommandsAtOnceLeaveOneRun(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/adults", adults)
	first, _ := s.backfill("adults", "")["id"].(string)
	calls := s.together(24, "POST", func(i int) (string, string) {
		if i%3 == 0 {
			return "/v1/workflows/adults/publish", `{"existing":"enroll"}`
		}
		return "/v1/workflows/adults/runs/" + first + []string{"/pause", "/resume"}[i%2], ""
	})
	for i, c := range calls {
		if i%3 == 0 {
			require.Equal(t, 200, c.status, c.body)
		}
		require.Contains(t, []int{200, 409}, c.status, c.body)
	}
	require.Equal(t, 9, s.count("runs"))
	require.Equal(t, 1, s.count("runs where ended_at is null"), "that of the version that is live")
	runs, _ := s.get("/v1/workflows/adults/runs").items()
	live := s.get("/v1/workflows/adults").object()["live_version"]
	require.Equal(t, []any{"running", live}, []any{runs[0]["status"], runs[0]["version"]})
}

func TestDecisionsBesideChangesOfTheUsersAllSucceed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.listens()
	ids := s.guarded(40)
	s.must(200, "PUT", "/v1/workflows/guarded", `{
		"guard": {"max_per_hour": 1}, "triggers": [{"event": "login"}], "enroll": {"unless": {"property": "age", "op": "less_than", "value": 5}}, "steps": [{"delay": "1h"}]
	}`)
	s.must(200, "POST", "/v1/workflows/guarded/publish", "")
	var mu sync.Mutex
	failed := []string{}
	var group sync.WaitGroup
	do := func(method, path, body string, statuses ...int) {
		group.Go(func() {
			a := s.do(method, path, body)
			for range 4 { // a caller who is told that the database is busy tries again
				if a.status == 503 && a.header.Get("Retry-After") != "" {
					a = s.do(method, path, body)
				}
			}
			if !slices.Contains(statuses, a.status) {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Sprintf("%s %s: %s", method, path, a.body))
			}
		})
	}
	stop := make(chan struct{})
	var pumps sync.WaitGroup
	for range 2 {
		pumps.Go(func() {
			for {
				if _, err := s.pump.Once(t.Context()); err != nil {
					t.Errorf("pump: %s", err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i, id := range ids {
		user := fmt.Sprintf("/v1/users/c_%02d", i)
		do("POST", held+"/"+[]string{"approve", "reject"}[i%2], []string{some(id), ""}[i/2%2], 200)
		do("PATCH", user, `{"properties":{"age":1}}`, 200, 404)
		do("POST", "/v1/events", fmt.Sprintf(`{"name":"login","user_id":"c_%02d"}`, i), 202, 422)
		if i%5 == 0 {
			do("DELETE", user, "", 204)
		}
	}
	group.Wait()
	close(stop)
	pumps.Wait()
	require.Empty(t, failed)
	s.pumpAll()
	require.Equal(t, 0, s.count("work_items"))
	require.Equal(t, 0, s.count(`enrollments e where ended_at is null and not exists (select from users u where u.id = e.user_id)`), "who is deleted is in nothing")
}
