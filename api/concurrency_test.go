package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// call is what one of many callers got.
type call struct {
	status int
	body   string
}

// together sends n requests over the network at the same moment.
func (s *service) together(n int, method string, request func(i int) (path, body string)) []call {
	s.t.Helper()
	server := httptest.NewServer(s.handler)
	defer server.Close()
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = n
	calls, errs := make([]call, n), make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			path, body := request(i)
			r, err := http.NewRequestWithContext(s.t.Context(), method, server.URL+path, strings.NewReader(body))
			ready.Done()
			if err != nil {
				errs[i] = err
				return
			}
			r.Header.Set("Content-Type", "application/json")
			ready.Wait()
			response, err := server.Client().Do(r)
			if err != nil {
				errs[i] = err
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			calls[i], errs[i] = call{response.StatusCode, string(text)}, err
		})
	}
	done.Wait()
	for _, err := range errs {
		require.NoError(s.t, err)
	}
	return calls
}

// tally counts equal answers.
func tally(calls []call) map[call]int {
	counts := map[call]int{}
	for _, c := range calls {
		counts[c]++
	}
	return counts
}

func statuses(calls []call) map[int]int {
	counts := map[int]int{}
	for _, c := range calls {
		counts[c.status]++
	}
	return counts
}

func TestFiftyPostsOfOneEventAtOnceHaveOneEffect(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/x", `{"name":"x","enroll":{"again":"every_trigger"},"triggers":[{"event":"login"}],"steps":`+someSteps+`}`)
	s.must(200, "POST", "/v1/workflows/x/publish", "")
	calls := s.together(50, "POST", func(int) (string, string) {
		return "/v1/events", `{"id":"e_1","name":"login","user_id":"u_1"}`
	})
	require.Equal(t, map[call]int{
		{202, `{"id":"e_1","status":"accepted"}` + "\n"}:  1,
		{202, `{"id":"e_1","status":"duplicate"}` + "\n"}: 49,
	}, tally(calls))
	s.pumpAll()
	require.Equal(t, 1, s.sent())
	require.Equal(t, 1, s.count("enrollments"))
	require.Equal(t, 1, s.count("decisions"))
}

func TestAHundredPutsOfOneUserAtOnceMakeOneHistory(t *testing.T) {
	t.Parallel()
	s := start(t)
	calls := s.together(100, "PUT", func(i int) (string, string) {
		return "/v1/users/u_1", fmt.Sprintf(`{"properties":{"scheduling_pages":%d}}`, i)
	})
	require.Equal(t, map[int]int{201: 1, 200: 99}, statuses(calls))

	var values []any // as they followed each other, oldest first
	rows, err := s.conn.Query(t.Context(), `select old, new from changes where user_id = 'u_1' and property = 'scheduling_pages' order by id`)
	require.NoError(t, err)
	var last, before, after any
	for rows.Next() {
		require.NoError(t, rows.Scan(&before, &after))
		require.Equal(t, last, before, "each change begins where the one before ended")
		last = after
		values = append(values, after)
		before, after = nil, nil
	}
	require.NoError(t, rows.Err())
	require.Len(t, values, 100)
	require.Equal(t, last, s.get("/v1/users/u_1").object()["properties"].(map[string]any)["scheduling_pages"])
	var created int
	require.NoError(t, s.conn.QueryRow(t.Context(), `select count(*) from changes where property in ('created_at', 'status')`).Scan(&created))
	require.Equal(t, 2, created, "the user was created once")
}

func TestTwoEnrollmentsOfOneUserAtOnceAreOne(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	for round := range 10 {
		user := fmt.Sprintf("u_%d", round+10)
		s.must(201, "PUT", "/v1/users/"+user, `{}`)
		calls := s.together(2, "POST", func(int) (string, string) {
			return "/v1/workflows/waiting/enrollments", `{"user_id":"` + user + `"}`
		})
		require.Equal(t, map[int]int{201: 1, 409: 1}, statuses(calls))
		for _, c := range calls {
			if c.status == 409 {
				require.Contains(t, c.body, `"urn:rollcall:problem/already-enrolled"`)
			}
		}
	}
	require.Equal(t, 10, s.count("enrollments"))
}

func TestOneOfTwoWritersOfADraftIsTold(t *testing.T) {
	t.Parallel()
	s := start(t)
	tag := s.must(201, "PUT", "/v1/workflows/x", definition(someTriggers, someSteps)).header.Get("ETag")
	var mu sync.Mutex
	counts := map[int]int{}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			a := s.do("PUT", "/v1/workflows/x", definition(someTriggers, fmt.Sprintf(`[{"delay":"%dh"}]`, i+2)), "If-Match: "+tag)
			mu.Lock()
			defer mu.Unlock()
			counts[a.status]++
		})
	}
	group.Wait()
	require.Equal(t, map[int]int{200: 1, 412: 7}, counts)
}

func TestPublicationsAtOnceEachHaveANumber(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	calls := s.together(8, "POST", func(int) (string, string) {
		return "/v1/workflows/waiting/publish", `{"existing":"enroll"}`
	})
	require.Equal(t, map[int]int{200: 8}, statuses(calls))
	versions, _ := s.get("/v1/workflows/waiting/versions").items()
	require.Len(t, versions, 9)
	var live int
	require.NoError(t, s.conn.QueryRow(t.Context(), `select count(*) from versions where live_until is null`).Scan(&live))
	require.Equal(t, 1, live)
}
