package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/api"
	"rollcall/connect"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
	"rollcall/secrets"
	"rollcall/simulate"
	"rollcall/triggers"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// service is the whole API over a database of its own. Its pump runs only when a test calls it, and
// its starter and its scheduler never, so nothing is told to Temporal.
type service struct {
	t       *testing.T
	handler http.Handler
	db      *postgres.DB
	pump    *triggers.Pump
	conn    *pgx.Conn // looks at the tables themselves
	key     string    // sent as the bearer key, where there is one
}

// start builds a service. Each adjustment changes what the API works with.
func start(t *testing.T, adjust ...func(*api.Deps)) *service {
	t.Helper()
	url := pgtest.New(t)
	catalog := activities.New(activities.Deps{}).Catalog()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 10, Catalog: catalog})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	log := slog.New(slog.DiscardHandler)
	registry := prometheus.NewRegistry()
	metrics := triggers.NewMetrics(registry)
	starter := triggers.NewStarter(triggers.StarterConfig{DB: db, Log: log, Metrics: metrics})
	pump := triggers.NewPump(db, starter, log, metrics)
	deps := api.Deps{
		DB: db, Catalog: catalog, Pump: pump, Starter: starter, Scheduler: triggers.NewScheduler(db, starter, log),
		Metrics: registry, Log: log, Version: "1.2.3",
		Temporal:    func(context.Context) error { return nil },
		Simulate:    simulate.New(activities.New(activities.Deps{}), db.Prepare).Run,
		Connections: connections(t, db),
	}
	for _, f := range adjust {
		f(&deps)
	}
	s := &service{t: t, handler: api.New(deps), db: db, pump: pump, conn: conn}
	if len(deps.Keys) > 0 {
		s.key = deps.Keys[0]
	}
	return s
}

// connections are those of a database, whose ways out reach nothing private.
func connections(t *testing.T, db *postgres.DB) *activities.Connections {
	t.Helper()
	keyset, err := secrets.New()
	require.NoError(t, err)
	box, err := secrets.Parse(keyset)
	require.NoError(t, err)
	out := activities.Outgoing{Client: connect.NewHTTPClient(connect.Guard{}), DialMail: connect.NewDialer(connect.Guard{Ports: []uint16{25}}).DialContext}
	return activities.NewConnections(db, box, out)
}

// in is the same service, for a subtest.
func (s *service) in(t *testing.T) *service {
	t.Helper()
	own := *s
	own.t = t
	return &own
}

// answer is what the API answered.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// do sends one request. A body goes as JSON unless a header says otherwise; headers have the form
// "Name: value", and an empty value removes one.
func (s *service) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	return s.doWith(s.t.Context(), method, path, body, headers...)
}

func (s *service) doWith(ctx context.Context, method, path, body string, headers ...string) answer {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request := httptest.NewRequestWithContext(ctx, method, path, reader)
	return s.send(request, headers...)
}

func (s *service) send(request *http.Request, headers ...string) answer {
	s.t.Helper()
	if request.ContentLength != 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if s.key != "" {
		request.Header.Set("Authorization", "Bearer "+s.key)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
		if value == "" {
			request.Header.Del(strings.TrimSuffix(name, ":"))
		}
	}
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, request)
	if recorder.Code < 300 {
		s.described(request, recorder.Code)
	}
	return answer{s.t, recorder.Code, recorder.Header(), recorder.Body.Bytes()}
}

func (s *service) get(path string) answer { s.t.Helper(); return s.do("GET", path, "") }

// must sends a request that prepares a test.
func (s *service) must(status int, method, path, body string, headers ...string) answer {
	s.t.Helper()
	a := s.do(method, path, body, headers...)
	require.Equal(s.t, status, a.status, "%s %s: %s", method, path, a.body)
	return a
}

// pumpAll evaluates everything that waits.
func (s *service) pumpAll() {
	s.t.Helper()
	for {
		n, err := s.pump.Once(s.t.Context())
		require.NoError(s.t, err)
		if n == 0 {
			return
		}
	}
}

// into decodes a JSON answer strictly: a member that the type has not is a failure.
func (a answer) into(v any) {
	a.t.Helper()
	d := json.NewDecoder(strings.NewReader(string(a.body)))
	d.DisallowUnknownFields()
	require.NoError(a.t, d.Decode(v), "%s", a.body)
}

// object is a JSON answer as it stands.
func (a answer) object() map[string]any {
	a.t.Helper()
	var v map[string]any
	require.NoError(a.t, json.Unmarshal(a.body, &v), "%s", a.body)
	return v
}

// items are the items of a list, and next is where it goes on.
func (a answer) items() (items []map[string]any, next string) {
	a.t.Helper()
	require.Equal(a.t, http.StatusOK, a.status, "%s", a.body)
	var list struct {
		Items []map[string]any `json:"items"`
		Next  *string          `json:"next"`
	}
	a.into(&list)
	require.NotNil(a.t, list.Items, "an empty list is []")
	if list.Next != nil {
		next = *list.Next
	}
	return list.Items, next
}

// column is one member of every item.
func column(items []map[string]any, name string) []any {
	values := []any{}
	for _, item := range items {
		values = append(values, item[name])
	}
	return values
}

// stored is a fingerprint of every table that requests write to.
func (s *service) stored() map[string]string {
	s.t.Helper()
	prints := map[string]string{}
	for _, table := range []string{
		"users", "properties", "changes", "events", "work_items", "definitions", "versions", "publication",
		"memberships", "enrollments", "visits", "decisions", "commands", "notifications", "runs", "run_users", "schedules", "interventions",
		"tasks", "hooks", "connections", "callbacks", "api_keys",
	} {
		var text string
		err := s.conn.QueryRow(s.t.Context(), `select count(*) || ' rows ' || coalesce(md5(string_agg(v::text, '|' order by v::text)), '')
			from (select to_jsonb(t) - 'last_used_at' as v from `+table+` t) t`).Scan(&text)
		require.NoError(s.t, err)
		prints[table] = text
	}
	return prints
}

// count is how many rows a table has.
func (s *service) count(table string) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), "select count(*) from "+table).Scan(&n))
	return n
}

// sent is how many events are stored that callers sent. All others are those that the system emits
// itself, whose names nobody else can use.
func (s *service) sent() int {
	s.t.Helper()
	return s.count(`events where name !~ '^(user|property)[.]'`)
}

// waiting is a workflow that enrolls on request, waits, and notifies.
const waiting = `{
	"name": "waiting", "title": "Wait and tell",
	"triggers": [{"manual": true}],
	"steps": [
		{"id": "settle", "delay": "1h"},
		{"id": "tell", "action": "notify", "with": {"to": "{{ user.id }}", "text": "Hello {{ user.first_name }}"}}
	]
}`

// seed gives a service one user, one custom property and one published workflow.
func (s *service) seed() *service {
	s.t.Helper()
	s.must(201, "PUT", "/v1/properties/age", `{"type": "number"}`)
	s.must(201, "PUT", "/v1/users/u_1", `{"properties": {"first_name": "Ada", "age": 36}}`)
	s.must(201, "PUT", "/v1/workflows/waiting", waiting)
	s.must(200, "POST", "/v1/workflows/waiting/publish", "")
	return s
}

// enroll enrolls a user on request and returns the enrollment's id.
func (s *service) enroll(workflow, user string) string {
	s.t.Helper()
	a := s.must(201, "POST", "/v1/workflows/"+workflow+"/enrollments", `{"user_id": "`+user+`"}`)
	id, _ := a.object()["id"].(string)
	return id
}

// results are the items of the answer to a batch.
func results(a answer) []map[string]any {
	a.t.Helper()
	var batch struct {
		Items []map[string]any `json:"items"`
	}
	a.into(&batch)
	return batch.Items
}
