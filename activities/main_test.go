package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/connect"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/connect/webhook"
	"rollcall/devstack/world"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
	"rollcall/workflows"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// secret signs webhooks in these tests.
const secret = "whsec_dGVzdC1zZWNyZXQtb2YtdGhlLWFjdGlvbnMtc3VpdGU="

// bench is a database, a world around it and the activities between them.
type bench struct {
	*testing.T
	url      string
	db       *postgres.DB
	world    *world.World
	metrics  *prometheus.Registry
	deps     activities.Deps
	activity *testsuite.TestActivityEnvironment
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, url: pgtest.New(t), metrics: prometheus.NewRegistry()}
	var err error
	b.world, err = world.Start(world.Config{Secrets: []string{secret}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.world.Stop()) })
	b.db, err = postgres.Open(t.Context(), postgres.Config{URL: b.url, Catalog: catalog()})
	require.NoError(t, err)
	t.Cleanup(b.db.Close)
	b.deps = activities.Deps{DB: b.db, WebhookSecrets: []string{secret}, Metrics: activities.NewMetrics(b.metrics)}
	b.renew()
	return b
}

// renew makes the ways outside anew, as a restart does: what was asked to wait for is forgotten.
func (b *bench) renew() {
	b.Helper()
	var err error
	guard := connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(b.world.HTTPAddr()), netip.MustParseAddrPort(b.world.SMTPAddr())}}
	client := connect.NewHTTPClient(guard)
	b.deps.Webhook = webhook.New(client)
	b.deps.Mail, err = email.New(email.Config{
		Addr: b.world.SMTPAddr(), From: "rollcall@example.com", TLS: email.None, DialContext: connect.NewDialer(guard).DialContext,
	})
	require.NoError(b, err)
	b.Cleanup(b.deps.Mail.Close)
	b.deps.Slack, err = slack.New(slack.Config{Token: "xoxb-test", APIURL: b.world.SlackURL()}, client)
	require.NoError(b, err)
	b.register(b.deps)
}

// withSheets adds Google Sheets, whose key takes a while to make.
func (b *bench) withSheets() *bench {
	b.Helper()
	guard := connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(b.world.HTTPAddr())}}
	var err error
	b.deps.Sheets, err = sheets.New(b.Context(), sheets.Config{
		Endpoint: b.world.SheetsURL(), CredentialsJSON: b.world.GoogleCredentials(),
	}, connect.NewHTTPClient(guard))
	require.NoError(b, err)
	b.register(b.deps)
	return b
}

// register makes the activities anew, with these dependencies.
func (b *bench) register(deps activities.Deps) {
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(silent{})
	b.activity = suite.NewTestActivityEnvironment().SetTestTimeout(time.Minute)
	activities.New(deps).Register(b.activity)
}

// in is the same bench for a subtest.
func (b *bench) in(t *testing.T) *bench {
	t.Helper()
	copied := *b
	copied.T = t
	copied.renew()
	return &copied
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

func catalog() automation.Catalog { return activities.New(activities.Deps{}).Catalog() }

type properties = map[string]any

func (b *bench) declare(list ...automation.Property) {
	b.Helper()
	for _, p := range list {
		p.Label, p.Group = p.Name, "custom"
		_, err := b.db.PutProperty(b.Context(), p)
		require.NoError(b, err)
	}
}

func property(name string, kind filter.Type, options ...string) automation.Property {
	return automation.Property{Name: name, Type: kind, Options: options}
}

func (b *bench) user(id string, p properties) {
	b.Helper()
	_, _, err := b.db.UpsertUser(b.Context(), id, p, "api")
	require.NoError(b, err)
}

// value is what a user's property is.
func (b *bench) value(user, property string) any {
	b.Helper()
	u, err := b.db.User(b.Context(), user)
	require.NoError(b, err)
	return u.Properties[property]
}

// publish makes a workflow of steps live; they and further members of the document are JSON.
func (b *bench) publish(name, steps string, members ...string) {
	b.Helper()
	if len(members) == 0 {
		members = []string{`"triggers": [{"manual": true}]`}
	}
	d, err := automation.ParseDocument(fmt.Appendf(nil, `{"name": %q, "enroll": {"again": "every_trigger"}, "steps": %s, %s}`,
		name, steps, strings.Join(members, ", ")))
	require.NoError(b, err)
	_, _, err = b.db.SaveDraft(b.Context(), d, "")
	require.NoError(b, err)
	_, err = b.db.Publish(b.Context(), name, postgres.Existing{}, postgres.Migration{})
	require.NoError(b, err)
}

func (b *bench) enroll(workflow, user string) string {
	b.Helper()
	e, _, err := b.db.Enroll(b.Context(), workflow, user)
	require.NoError(b, err)
	return e.ID
}

// step publishes a workflow of one action with the id "it", and enrolls a user.
func (b *bench) step(workflow, user, kind string, with any) string {
	b.Helper()
	b.publish(workflow, `[{"id": "it", "action": "`+kind+`", "with": `+text(b, with)+`}, {"id": "rest", "delay": "1d"}]`)
	return b.enroll(workflow, user)
}

// text is a value as JSON; JSON stays as it is.
func text(tb testing.TB, v any) string {
	tb.Helper()
	if s, ok := v.(string); ok {
		return s
	}
	s, err := json.Marshal(v)
	require.NoError(tb, err)
	return string(s)
}

// listen publishes a workflow that every change of a user concerns.
func (b *bench) listen() {
	b.Helper()
	b.publish("listening", `[{"id": "rest", "delay": "1d"}]`, `"triggers": [{"event": "user.updated"}]`)
}

// evaluate asks the live workflows about everything that happened, and returns the enrollments
// that follow. Triggers match by the name of the event; depth is that of what happened, or more.
func (b *bench) evaluate(depth int) []string {
	b.Helper()
	done, err := b.db.Evaluate(b.Context(), 100, func(q *postgres.Question) (v postgres.Verdict) {
		for _, h := range q.Heard {
			v.Matches = append(v.Matches, postgres.Match{Version: h.Published, Trigger: h.Trigger, Event: h.Event, Depth: depth})
		}
		return v
	})
	require.NoError(b, err)
	var ids []string
	for _, o := range done.Orders {
		ids = append(ids, o.ID)
	}
	return ids
}

// try carries out the first visit of a step as Temporal does.
func (b *bench) try(kind string, in workflows.StepInput) (workflows.ActionResult, error) {
	b.Helper()
	if in.Visit == 0 {
		in.Visit = 1
	}
	encoded, err := b.activity.ExecuteActivity(kind, in)
	if err != nil {
		return workflows.ActionResult{}, err
	}
	var result workflows.ActionResult
	require.NoError(b, encoded.Get(&result))
	return result, nil
}

// do carries out the step "it" of an enrollment, which succeeds, and returns its visit.
func (b *bench) do(kind, enrollment string) automation.Visit {
	b.Helper()
	result, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it"})
	require.NoError(b, err)
	require.Equal(b, workflows.ActionResult{Outcome: workflows.Done}, result)
	return b.visit(enrollment, "it")
}

// fails carries out the step "it" of an enrollment, which fails.
func (b *bench) fails(kind, enrollment string) *temporal.ApplicationError {
	b.Helper()
	_, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it"})
	var app *temporal.ApplicationError
	require.ErrorAs(b, err, &app)
	return app
}

// failsForGood carries out the step "it" of an enrollment, which fails and is not to be tried again.
func (b *bench) failsForGood(kind, enrollment, message string) {
	b.Helper()
	app := b.fails(kind, enrollment)
	require.True(b, app.NonRetryable())
	require.Equal(b, workflows.FailedForGood, app.Type())
	v := b.visit(enrollment, "it")
	require.Equal(b, automation.StepFailed, v.Status)
	require.Contains(b, v.Error, message)
	require.NotNil(b, v.FinishedAt)
}

// visit is the entry of a step in the timeline of an enrollment.
func (b *bench) visit(enrollment, step string) automation.Visit {
	b.Helper()
	timeline, err := b.db.Timeline(b.Context(), enrollment)
	require.NoError(b, err)
	for _, v := range timeline {
		if v.Step == step {
			return v
		}
	}
	require.Fail(b, "no visit", "of %s in %v", step, timeline)
	return automation.Visit{}
}

func (b *bench) enrollment(id string) *automation.Enrollment {
	b.Helper()
	e, err := b.db.Enrollment(b.Context(), id)
	require.NoError(b, err)
	return e
}

// sent are the things of a kind that left.
func (b *bench) sent(kind string) []world.Item {
	var found []world.Item
	for _, item := range b.world.Outbox() {
		if item.Kind == kind {
			found = append(found, item)
		}
	}
	return found
}

// only is the one thing that left.
func (b *bench) only(kind string) world.Item {
	b.Helper()
	require.Len(b, b.world.Outbox(), 1)
	require.Len(b, b.sent(kind), 1)
	return b.sent(kind)[0]
}

// row reads one row of the database.
func (b *bench) row(into []any, sql string, args ...any) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), b.url)
	require.NoError(b, err)
	defer func() { _ = conn.Close(context.WithoutCancel(b.Context())) }()
	require.NoError(b, conn.QueryRow(b.Context(), sql, args...).Scan(into...))
}

func (b *bench) count(sql string, args ...any) int {
	b.Helper()
	var n int
	b.row([]any{&n}, sql, args...)
	return n
}

// check judges the params of an action as a publication does.
func check(t *testing.T, kind string, with any, custom ...automation.Property) automation.Problems {
	t.Helper()
	k, known := catalog().Find(kind)
	require.True(t, known)
	schema := automation.Properties{}
	for _, p := range append(automation.BuiltInProperties(), custom...) {
		schema[p.Name] = p
	}
	var decoded map[string]any
	require.NoError(t, json.Unmarshal([]byte(text(t, with)), &decoded))
	return k.Check(decoded, schema)
}

func problem(pointer, code, message string) automation.Problems {
	return automation.Problems{{Pointer: pointer, Code: code, Message: message}}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), into))
}
