package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/api"
)

// canary stands in bodies that are refused. No answer may have it.
const canary = "canary7Qf3"

var (
	problemType = regexp.MustCompile(`^urn:rollcall:problem/([a-z]+(-[a-z0-9]+)*)$`)
	requestID   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	problemCode = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)
	jsonPointer = regexp.MustCompile(`^(/([^~/]|~0|~1)*)*$`)

	// insides never stand in an answer: SQL, the driver, stacks, Go's types, files, addresses.
	insides = regexp.MustCompile(`(?i)sqlstate|\bpgx\b|insert into|select .* from|goroutine|\.go:\d+|json: |parsing time|runtime error|reflect\.|127\.0\.0\.1|postgres://|` + canary)
)

// problem is the one shape of every answer that is not a success.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
	Errors   []struct {
		Pointer *string `json:"pointer"`
		Code    string  `json:"code"`
		Message string  `json:"message"`
	} `json:"errors"`
}

// problem checks an answer against the schema of problems, and returns it.
func (a answer) problem() problem {
	a.t.Helper()
	require.GreaterOrEqual(a.t, a.status, 400, "%s", a.body)
	require.Equal(a.t, "application/problem+json", a.header.Get("Content-Type"), "%s", a.body)
	var p problem
	a.into(&p)
	require.Regexp(a.t, problemType, p.Type)
	require.Equal(a.t, a.status, p.Status)
	require.Equal(a.t, http.StatusText(a.status), p.Title)
	require.NotEmpty(a.t, p.Detail)
	require.Regexp(a.t, requestID, p.Instance)
	require.Equal(a.t, a.header.Get("X-Request-Id"), p.Instance)
	for _, e := range p.Errors {
		require.NotNil(a.t, e.Pointer, "%s", a.body)
		require.Regexp(a.t, jsonPointer, *e.Pointer)
		require.Regexp(a.t, problemCode, e.Code)
		require.NotEmpty(a.t, e.Message)
	}
	require.LessOrEqual(a.t, len(p.Errors), 100)
	require.NotRegexp(a.t, insides, string(a.body))
	return p
}

// wants checks that an answer is one certain problem. Each place has the form "pointer code".
func (a answer) wants(status int, slug string, places ...string) problem {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "%s", a.body)
	p := a.problem()
	require.Equal(a.t, "urn:rollcall:problem/"+slug, p.Type, "%s", a.body)
	found := []string{}
	for _, e := range p.Errors {
		found = append(found, strings.TrimSpace(*e.Pointer+" "+e.Code))
	}
	slices.Sort(places)
	slices.Sort(found)
	require.Equal(a.t, append([]string{}, places...), found, "%s", a.body)
	return p
}

// badInput is a request that is refused.
type badInput struct {
	name    string // the row of the list of bad inputs, and what is sent
	request string // method and address
	body    string
	headers []string
	given   func(s *service) // what there is besides the seed
	status  int
	slug    string
	places  []string // "pointer code" of each problem
	allow   string   // the Allow header
	refusal string   // the reason in the decision that is recorded of it; "" where none is
}

// refused sends each bad input, and checks the answer, that nothing was stored, and that a good
// request works afterwards. Rows share one service, one after the other; one that needs more than
// the seed has its own.
func refused(t *testing.T, rows []badInput, adjust ...func(*api.Deps)) {
	t.Helper()
	shared := start(t, adjust...).seed()
	var turn sync.Mutex
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.given != nil {
				s := start(t, adjust...).seed()
				row.given(s)
				row.refusedBy(s)
				return
			}
			turn.Lock()
			defer turn.Unlock()
			row.refusedBy(shared.in(t))
		})
	}
}

func (row *badInput) refusedBy(s *service) {
	s.t.Helper()
	before := s.stored()
	method, path, _ := strings.Cut(row.request, " ")
	a := s.do(method, path, row.body, row.headers...)
	a.wants(row.status, row.slug, row.places...)
	require.Equal(s.t, row.allow, a.header.Get("Allow"))
	require.Empty(s.t, a.header.Get("Location"))
	after := s.stored()
	if row.refusal != "" {
		s.recorded(row.refusal, before, after)
	}
	require.Equal(s.t, before, after, "nothing is stored")
	good := s.do("PUT", "/v1/users/u_afterwards", `{"properties": {"first_name": "Grace"}}`)
	require.Contains(s.t, []int{http.StatusOK, http.StatusCreated}, good.status, "%s", good.body)
	s.must(202, "POST", "/v1/events", `{"name": "login", "user_id": "u_afterwards"}`)
}

// recorded checks that between two fingerprints one decision was added, a refusal, and takes the
// decisions out of both.
func (s *service) recorded(reason string, before, after map[string]string) {
	s.t.Helper()
	var n int
	_, err := fmt.Sscanf(before["decisions"], "%d rows", &n)
	require.NoError(s.t, err)
	require.Equal(s.t, n+1, s.count("decisions"), "one decision is recorded")
	var outcome, because string
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), `select outcome, reason from decisions order by id desc limit 1`).Scan(&outcome, &because))
	require.Equal(s.t, []string{"refused", reason}, []string{outcome, because})
	delete(before, "decisions")
	delete(after, "decisions")
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}
