package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"rollcall/api"
	"rollcall/app"
	"rollcall/automation"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/devstack"
	"rollcall/devstack/world"
	"rollcall/examples"
	"rollcall/filter"
	"rollcall/postgres"
)

// secret signs webhooks in these tests.
const secret = "whsec_dGVzdC1zZWNyZXQtb2YtdGhlLWFjY2VwdGFuY2Utc3VpdGU="

// shared is the stack of this test binary: an embedded Temporal cannot be stopped without
// leaving goroutines behind, so there is one.
var shared struct {
	sync.Once
	*devstack.Stack
	err error
}

// serial counts the services of this test binary.
var serial atomic.Int64

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		child(dir)
		return
	}
	code := m.Run()
	if shared.Stack != nil {
		_ = shared.Stop()
	}
	_ = os.RemoveAll(binary.dir)
	os.Exit(code)
}

func stack(tb testing.TB) *devstack.Stack {
	tb.Helper()
	shared.Do(func() {
		shared.Stack, shared.err = devstack.Start(context.Background(), devstack.Config{TemporalAddr: "127.0.0.1:0", Fast: true})
	})
	require.NoError(tb, shared.err)
	return shared.Stack
}

// service is a whole Rollcall with a world around it, and a small language to speak of both.
type service struct {
	t         testing.TB
	ctx       context.Context
	world     *world.World
	url       string
	namespace string
	db        *postgres.DB
	temporal  client.Client
	stop      func()
	config    app.Config
	key       string // of the API; "": it needs none
}

// start runs Rollcall on a database and a Temporal namespace of its own.
func start(tb testing.TB) *service {
	tb.Helper()
	s := prepare(tb)
	s.run()
	return s
}

// prepare makes all that Rollcall needs, and runs nothing.
func prepare(tb testing.TB) *service {
	tb.Helper()
	st := stack(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	tb.Cleanup(cancel)
	s := &service{t: tb, ctx: ctx, namespace: strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(tb.Name()))}
	if len(s.namespace) > 55 {
		s.namespace = s.namespace[:55]
	}
	s.namespace += fmt.Sprint("-", serial.Add(1)) // a test may run several times
	var err error
	s.world, err = world.Start(world.Config{Secrets: []string{secret}})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.world.Stop()) })
	s.makeNamespace(st)
	database := s.makeDatabase(st)
	s.config = configure(tb, s.world, database, client.Options{HostPort: st.TemporalAddr, Namespace: s.namespace})
	return s
}

func configure(tb testing.TB, w *world.World, database string, temporal client.Options) app.Config {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	return app.Config{
		FastForward: true,
		DatabaseURL: database, Listen: "127.0.0.1:0", API: true, Worker: true, MaxConns: 16, Log: log, Temporal: temporal,
		Mail:           email.Config{Addr: w.SMTPAddr(), From: "rollcall@example.com", TLS: email.None},
		Slack:          slack.Config{Token: "xoxb-test", APIURL: w.SlackURL()},
		Sheets:         sheets.Config{Endpoint: w.SheetsURL(), CredentialsJSON: w.GoogleCredentials()},
		WebhookSecrets: []string{secret},
		AllowAddrs:     []netip.AddrPort{netip.MustParseAddrPort(w.HTTPAddr()), netip.MustParseAddrPort(w.SMTPAddr())},
	}
}

// run starts the service; s.stop ends it in order.
func (s *service) run() {
	s.t.Helper()
	a, err := app.New(s.ctx, s.config)
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	s.url, s.db = "http://"+a.Addr(), a.DB()
	stopped := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("stop of the service: %s", err)
		}
	})
	s.stop = stopped
	s.t.Cleanup(stopped)
}

func (s *service) makeNamespace(st *devstack.Stack) {
	s.t.Helper()
	namespaces, err := client.NewNamespaceClient(client.Options{HostPort: st.TemporalAddr})
	require.NoError(s.t, err)
	defer namespaces.Close()
	err = namespaces.Register(s.ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: s.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if _, exists := errors.AsType[*serviceerror.NamespaceAlreadyExists](err); !exists {
		require.NoError(s.t, err)
	}
	options := client.Options{HostPort: st.TemporalAddr, Namespace: s.namespace}
	require.NoError(s.t, app.PrepareTemporal(s.ctx, options))
	s.temporal, err = client.NewLazyClient(options)
	require.NoError(s.t, err)
	s.t.Cleanup(s.temporal.Close)
	// The server takes a moment to know a namespace and its attributes everywhere.
	s.until("the namespace takes queries", func() bool {
		_, err := s.temporal.CountWorkflow(s.ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: "RollcallWorkflow = 'x'"})
		return err == nil
	})
}

func (s *service) makeDatabase(st *devstack.Stack) string {
	s.t.Helper()
	conn, err := pgx.Connect(s.ctx, st.DatabaseURL)
	require.NoError(s.t, err)
	defer conn.Close(s.ctx)
	name := strings.ReplaceAll(s.namespace, "-", "_")
	_, err = conn.Exec(s.ctx, `create database `+pgx.Identifier{name}.Sanitize())
	require.NoError(s.t, err)
	url := strings.Replace(st.DatabaseURL, "/rollcall?", "/"+name+"?", 1)
	require.NotEqual(s.t, st.DatabaseURL, url)
	require.NoError(s.t, postgres.Migrate(s.ctx, url))
	return url
}

// until waits for a condition.
func (s *service) until(what string, holds func() bool) {
	s.t.Helper()
	for !holds() {
		select {
		case <-s.ctx.Done():
			require.Fail(s.t, "waited too long", "until %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// call makes a request and returns the answer's status and body.
func (s *service) call(method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	kind, content := "application/json", []byte(nil)
	switch b := body.(type) {
	case nil:
	case string:
		kind, content = "application/yaml", []byte(b)
	default:
		var err error
		content, err = json.Marshal(body)
		require.NoError(s.t, err)
	}
	req, err := http.NewRequestWithContext(s.ctx, method, s.url+path, bytes.NewReader(content))
	require.NoError(s.t, err)
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	answer := map[string]any{}
	if len(text) > 0 {
		require.NoError(s.t, json.Unmarshal(text, &answer), string(text))
	}
	return resp.StatusCode, answer
}

// must makes a request that succeeds.
func (s *service) must(method, path string, body any) map[string]any {
	s.t.Helper()
	status, answer := s.call(method, path, body)
	require.Less(s.t, status, 300, "%s %s: %v", method, path, answer)
	return answer
}

// publish saves and publishes a definition that is written as YAML.
func (s *service) publish(text string) {
	s.t.Helper()
	document, err := api.ParseYAML([]byte(text))
	require.NoError(s.t, err)
	s.must("PUT", "/v1/workflows/"+document.Name, text)
	s.must("POST", "/v1/workflows/"+document.Name+"/publish", nil)
}

// example is the text of a file of examples, with webhooks that go to this world.
func (s *service) example(name string) string {
	s.t.Helper()
	text, err := examples.Files.ReadFile(name)
	require.NoError(s.t, err)
	return strings.ReplaceAll(string(text), "127.0.0.1:8025", s.world.HTTPAddr())
}

type properties map[string]any

func (s *service) put(id string, p properties) {
	s.t.Helper()
	s.must("PUT", "/v1/users/"+id, map[string]any{"properties": p})
}

func (s *service) patch(id string, p properties) {
	s.t.Helper()
	s.must("PATCH", "/v1/users/"+id, map[string]any{"properties": p})
}

func (s *service) event(name, user string) {
	s.t.Helper()
	s.must("POST", "/v1/events", map[string]any{"name": name, "user_id": user})
}

func (s *service) declare(p automation.Property) {
	s.t.Helper()
	_, err := s.db.PutProperty(s.ctx, p)
	require.NoError(s.t, err)
}

func number(name string) automation.Property {
	return automation.Property{Name: name, Label: name, Type: filter.Number, Group: "custom"}
}

// wantItem waits for something of a kind that left and passes the test.
func (s *service) wantItem(kind string, holds func(world.Item) bool) world.Item {
	s.t.Helper()
	var found world.Item
	err := s.world.Wait(s.ctx, func(items []world.Item) bool {
		for _, item := range items {
			if item.Kind == kind && holds(item) {
				found = item
				return true
			}
		}
		return false
	})
	require.NoError(s.t, err, "waiting for %s; there is %v", kind, s.world.Outbox())
	return found
}

// items are the things of a kind that left.
func (s *service) items(kind string) []world.Item {
	var found []world.Item
	for _, item := range s.world.Outbox() {
		if item.Kind == kind {
			found = append(found, item)
		}
	}
	return found
}

// enrollments lists a user's enrollments in a definition, newest first.
func (s *service) enrollments(definition, user string) []automation.Enrollment {
	s.t.Helper()
	list, err := s.db.Enrollments(s.ctx, postgres.EnrollmentQuery{Workflow: definition, UserID: user, Limit: 1000})
	require.NoError(s.t, err)
	return list
}

// wantStatus waits until the newest enrollment of a user in a definition has a status.
func (s *service) wantStatus(definition, user string, status automation.EnrollmentStatus) automation.Enrollment {
	s.t.Helper()
	var last automation.Enrollment
	s.until(fmt.Sprintf("%s in %s is %s", user, definition, status), func() bool {
		list := s.enrollments(definition, user)
		if len(list) > 0 {
			last = list[0]
		}
		return last.Status == status
	})
	return last
}

// wantStep waits until the newest enrollment of a user stands at a step.
func (s *service) wantStep(definition, user, step string) automation.Enrollment {
	s.t.Helper()
	var last automation.Enrollment
	s.until(fmt.Sprintf("%s in %s stands at %s", user, definition, step), func() bool {
		list := s.enrollments(definition, user)
		if len(list) > 0 {
			last = list[0]
		}
		return last.Step == step
	})
	return last
}

// exec runs a statement behind the service's back.
func (s *service) exec(sql string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.ctx, s.config.DatabaseURL)
	require.NoError(s.t, err)
	defer conn.Close(s.ctx)
	_, err = conn.Exec(s.ctx, sql)
	require.NoError(s.t, err)
}

// settled waits until every change and event is evaluated.
func (s *service) settled() {
	s.t.Helper()
	s.until("everything is evaluated", func() bool {
		items, _, err := s.db.Backlog(s.ctx)
		require.NoError(s.t, err)
		return items == 0
	})
}

func listRequest(query string) *workflowservice.ListWorkflowExecutionsRequest {
	return &workflowservice.ListWorkflowExecutionsRequest{Query: query}
}

func portOf(t *testing.T, databaseURL string) int {
	t.Helper()
	c, err := pgx.ParseConfig(databaseURL)
	require.NoError(t, err)
	return int(c.Port)
}
