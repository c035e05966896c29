package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/api"
	"rollcall/automation"
)

// locked is a service that wants keys.
func locked(t *testing.T, adjust ...func(*api.Deps)) *service {
	t.Helper()
	s := start(t, append(adjust, func(d *api.Deps) { d.RequireKeys = true })...)
	return s
}

// as is the same service for a caller whose key has scopes.
func (s *service) as(scopes ...automation.Scope) *service {
	s.t.Helper()
	_, text, err := s.db.CreateKey(s.t.Context(), "test", scopes, nil, "")
	require.NoError(s.t, err)
	return s.with(text)
}

// with is the same service for a caller with a key.
func (s *service) with(key string) *service {
	own := *s
	own.key = key
	return &own
}

func TestNothingIsAnsweredWithoutAKey(t *testing.T) {
	t.Parallel()
	s := locked(t)
	good := s.as(automation.Scopes()...).key
	other := []byte(good)
	other[30] ^= 1
	for name, header := range map[string]string{
		"none": "Accept: */*", "unknown": "Authorization: Bearer rc_nonsense", "a typing error": "Authorization: Bearer " + string(other),
		"not bearer": "Authorization: Basic " + good, "ten kilobytes": "Authorization: Bearer " + strings.Repeat("x", 10<<10), "cookie": "Cookie: key=" + good,
	} {
		a := s.do("GET", "/v1/users", "", header)
		require.Equal(t, 401, a.status, name)
		require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"), name)
	}
	require.Equal(t, 401, s.get("/v1/users?key="+good).status)
	require.Equal(t, 200, s.get("/healthz").status)
	require.Equal(t, 200, s.with(good).get("/v1/users").status)
}

func TestGuessingKeysIsSlowedDown(t *testing.T) {
	t.Parallel()
	s := locked(t)
	guess := func(i int) answer { return s.do("GET", "/v1/users", "", fmt.Sprint("X-Forwarded-For: 10.0.0.", i)) }
	for i := range 10 {
		require.Equal(t, 401, guess(i).status)
	}
	a := guess(10)
	for i := 11; a.status == 401 && i < 100; i++ { // one more for each six seconds that this takes
		a = guess(i)
	}
	require.Equal(t, 429, a.status)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, 200, s.as(automation.UsersRead).get("/v1/users").status, "those who have a key are not concerned")
}

func TestKeysDoWhatTheirScopesSay(t *testing.T) {
	t.Parallel()
	s := locked(t)
	reader := s.as(automation.UsersRead, automation.WorkflowsRead)
	require.Equal(t, 200, reader.get("/v1/users").status)
	require.Equal(t, 200, reader.do("POST", "/v1/workflows/validate", `{}`).status)
	for _, call := range [][3]string{
		{"PUT", "/v1/users/u_1", `{"properties": {}}`},
		{"POST", "/v1/events", `not even JSON`},
		{"PUT", "/v1/workflows/w", `{}`},
		{"POST", "/v1/workflows/w/publish", ""},
		{"GET", "/v1/enrollments", ""},
		{"GET", "/v1/keys", ""},
		{"DELETE", "/v1/keys/x", ""},
	} {
		a := reader.do(call[0], call[1], call[2])
		require.Equal(t, 403, a.status, "%v: %s", call, a.body)
		require.Equal(t, "urn:rollcall:problem/insufficient-scope", a.object()["type"], call)
	}
}

func TestKeyEndsWhenItIsRevokedOrExpires(t *testing.T) {
	t.Parallel()
	s := locked(t)
	admin := s.as(automation.KeysAdmin)
	a := admin.do("POST", "/v1/keys", `{"name": "crm", "scopes": ["users:read"]}`)
	require.Equal(t, 201, a.status, a.body)
	made := a.object()
	crm := s.with(made["key"].(string))
	require.Equal(t, 200, crm.get("/v1/users").status)
	list := admin.get("/v1/keys")
	require.NotContains(t, string(list.body), made["key"], "the text is shown once")
	require.Contains(t, string(list.body), `"last_used_at"`)

	require.Equal(t, 200, admin.do("DELETE", "/v1/keys/"+made["id"].(string), "").status)

	require.Eventually(t, func() bool { return crm.get("/v1/users").status == 401 }, 20*time.Second, 100*time.Millisecond)
	soon := time.Now().Add(3 * time.Second)
	_, text, err := s.db.CreateKey(t.Context(), "short", automation.Scopes(), &soon, "")
	require.NoError(t, err)
	short := s.with(text)
	require.Equal(t, 200, short.get("/v1/users").status)
	require.Eventually(t, func() bool { return short.get("/v1/users").status == 401 }, 20*time.Second, 20*time.Millisecond)
}

func TestBadKeysAreNotMade(t *testing.T) {
	t.Parallel()
	s := locked(t)
	admin := s.as(automation.KeysAdmin)
	for name, body := range map[string]string{
		"no name": `{"name": "", "scopes": ["users:read"]}`, "no scope": `{"name": "x", "scopes": []}`, "unknown scope": `{"name": "x", "scopes": ["root"]}`,
		"past": `{"name": "x", "scopes": ["users:read"], "expires_at": "2001-01-01T00:00:00Z"}`, "long name": `{"name": "` + strings.Repeat("x", 101) + `", "scopes": ["users:read"]}`,
	} {
		require.Equal(t, 422, admin.do("POST", "/v1/keys", body).status, name)
	}
	keys, err := s.db.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 1)
}

func TestRateOfAKeyIsLimited(t *testing.T) {
	t.Parallel()
	s := locked(t, func(d *api.Deps) { d.RateLimit = 0.01 })
	one, two := s.as(automation.UsersRead), s.as(automation.UsersRead)
	var last answer
	for range 3 {
		last = one.get("/v1/users")
	}
	require.Equal(t, 429, last.status)
	require.Regexp(t, `^\d+$`, last.header.Get("Retry-After"))
	require.Equal(t, 200, two.get("/v1/users").status, "another key has its own")
}

func TestRequestWithAnIdempotencyKeyHappensOnce(t *testing.T) {
	t.Parallel()
	s := locked(t)
	s.as(automation.Scopes()...).must(201, "PUT", "/v1/users/u_1", `{}`)
	once := func(caller *service, value, path, body string) answer {
		return caller.do("POST", path, body, "Idempotency-Key: "+value)
	}
	mine, yours := s.as(automation.EventsWrite), s.as(automation.EventsWrite)
	const event = `{"name": "signed_up", "user_id": "u_1"}`
	events := func() int {
		var n int
		require.NoError(t, s.conn.QueryRow(t.Context(), `select count(*) from events where name = 'signed_up'`).Scan(&n))
		return n
	}

	var group sync.WaitGroup
	statuses := make(chan int, 20)
	for range 20 {
		group.Go(func() { statuses <- once(mine, "k-1", "/v1/events", event).status })
	}
	group.Wait()
	close(statuses)
	for status := range statuses {
		require.Contains(t, []int{202, 409}, status)
	}
	require.Equal(t, 1, events())
	first := once(mine, "k-1", "/v1/events", event)
	require.Equal(t, []any{202, "true"}, []any{first.status, first.header.Get("Idempotency-Replayed")})
	require.Equal(t, 422, once(mine, "k-1", "/v1/events", `{"name": "signed_up",  "user_id": "u_1"}`).status, "another body")
	require.Equal(t, 202, once(yours, "k-1", "/v1/events", event).status, "another caller")
	require.Equal(t, 202, once(mine, "k-2", "/v1/events", event).status, "another key")
	require.Equal(t, 3, events())
	require.Equal(t, 400, once(mine, "k 3", "/v1/events", event).status)
	require.Equal(t, 400, once(mine, strings.Repeat("k", 256), "/v1/events", event).status)
	refused := once(mine, "k-4", "/v1/events", `{"name": "signed_up", "user_id": "u_none"}`)
	again := once(mine, "k-4", "/v1/events", `{"name": "signed_up", "user_id": "u_none"}`)
	require.Equal(t, []any{422, refused.body}, []any{again.status, again.body}, "a refusal is an answer too")
}

func TestOperatorsAreNamedByTheirKeys(t *testing.T) {
	t.Parallel()
	s := locked(t)
	all := s.as(automation.Scopes()...)
	all.must(201, "PUT", "/v1/users/u_1", `{}`)
	all.must(201, "PUT", "/v1/workflows/w", `{"triggers": [{"manual": true}], "steps": [{"id": "wait", "delay": "1d"}]}`)
	all.must(200, "POST", "/v1/workflows/w/publish", ``)
	e := all.must(201, "POST", "/v1/workflows/w/enrollments", `{"user_id": "u_1"}`)
	id := e.object()["id"].(string)

	s.as(automation.EnrollmentsWrite).must(200, "POST", "/v1/enrollments/"+id+"/unenroll", `{"reason": "moved", "by": "ada"}`)

	list, err := s.db.Interventions(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, []string{"unenroll", "ada (test)", "moved"}, []string{list[0].Kind, list[0].Actor, list[0].Reason})
}
