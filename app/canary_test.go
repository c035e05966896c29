package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/proxy"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"rollcall/automation"
	"rollcall/codec"
	"rollcall/devstack/world"
	"rollcall/secrets"
)

// The words that all canaries have in them: what is known of a person, and what is secret.
const (
	personal = "kanarienvogel"
	hidden   = "geheimnis"
)

// aviary is a service in whose every field canaries sit.
type aviary struct {
	*service
	log     sealedBuffer
	secrets []string // texts that nobody may read anywhere
	key     string   // of the API
	keys    []string // of payloads
	slow    *slowSystem
}

// sealedBuffer is a log that is written from everywhere.
type sealedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *sealedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *sealedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// slowSystem takes a request and answers it when it is told to.
type slowSystem struct {
	*httptest.Server
	came, answer chan struct{}
}

func slowly(t *testing.T) *slowSystem {
	t.Helper()
	s := &slowSystem{came: make(chan struct{}, 10), answer: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.came <- struct{}{}
		<-s.answer
		_, _ = io.WriteString(w, `{"late": "`+personal+`-answer"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func newAviary(t *testing.T, says ...string) (*aviary, *office) {
	t.Helper()
	a := &aviary{service: start(t), slow: slowly(t)}
	payloadKey := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(hidden, 4)[:32]))
	keyset, err := secrets.New()
	require.NoError(t, err)
	a.keys = []string{payloadKey}
	a.key = "rc_env_" + hidden + "-of-the-environment-0123456789"
	var google struct {
		Key string `json:"private_key"`
	}
	require.NoError(t, json.Unmarshal(a.world.GoogleCredentials(), &google))
	a.secrets = append(a.secrets, hidden, payloadKey, signing, keyset[len(keyset)/3:len(keyset)/2], strings.Split(google.Key, "\n")[2])

	a.stop()
	a.config.Log = slog.New(slog.NewJSONHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a.config.PayloadKeys, a.config.SecretKeys = a.keys, keyset
	a.config.AllowAddrs = append(a.config.AllowAddrs, netip.MustParseAddrPort(a.slow.Listener.Addr().String()))
	o := a.office(says...) // runs it again
	return a, o
}

var signing = "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(hidden, 4)))

// connect makes connections with secrets.
func (a *aviary) connect() {
	a.t.Helper()
	for name, draft := range map[string]string{
		"office": `{"kind": "smtp", "settings": {"address": "` + a.world.SMTPAddr() + `", "from": "hr@example.com", "tls": "none"}}`,
		"locked": `{"kind": "smtp", "settings": {"address": "` + a.world.SMTPAddr() + `", "from": "hr@example.com", "tls": "none", "username": "hr"}, "secrets": {"password": "` + hidden + `-smtp"}}`,
		"chat":   `{"kind": "slack", "settings": {"api_url": "` + a.world.SlackURL() + `"}, "secrets": {"token": "xoxb-` + hidden + `-slack"}}`,
		"sheets": `{"kind": "google", "settings": {"endpoint": "` + a.world.SheetsURL() + `"}, "secrets": {"credentials": ` + string(a.world.GoogleCredentials()) + `}}`,
		"crm": `{"kind": "webhook", "settings": {"url": "` + a.world.WebhookURL("crm") + `"},
			"secrets": {"signing": "` + signing + `", "headers": {"Authorization": "Bearer ` + hidden + `-bearer"}}}`,
	} {
		a.must("PUT", "/v1/connections/"+name, json.RawMessage(draft))
	}
}

// ask makes a request with a key, and with headers written as "Name: value".
func (a *aviary) ask(method, path, body string, headers ...string) (int, string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.ctx, method, a.url+path, strings.NewReader(body))
	require.NoError(a.t, err)
	req.Header.Set("Authorization", "Bearer "+a.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	return resp.StatusCode, string(text)
}

func (a *aviary) asked(want int, method, path, body string, headers ...string) string {
	a.t.Helper()
	status, text := a.ask(method, path, body, headers...)
	require.Equal(a.t, want, status, "%s %s: %s", method, path, text)
	return text
}

// found are the rows of a database in which a text stands: readable, in bytes, or in base64.
func (a *aviary) found(database, text string) []string {
	a.t.Helper()
	conn, err := pgx.Connect(a.ctx, strings.Replace(a.config.DatabaseURL, "/"+strings.ReplaceAll(a.namespace, "-", "_")+"?", "/"+database+"?", 1))
	require.NoError(a.t, err)
	defer conn.Close(a.ctx)
	names, err := conn.Query(a.ctx, `select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`)
	require.NoError(a.t, err)
	tables, err := pgx.CollectRows(names, pgx.RowTo[string])
	require.NoError(a.t, err)
	require.GreaterOrEqual(a.t, len(tables), 3)
	var found []string
	for _, table := range tables {
		rows, err := conn.Query(a.ctx, `
			select left(x::text, 2000) from `+table+` x
			where strpos(lower(x::text), lower($1)) > 0 or strpos(x::text, $2) > 0 or strpos(x::text, $3) > 0`,
			text, hex.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString([]byte(text))[:len(text)/3*4])
		require.NoError(a.t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(a.t, err)
		for _, line := range lines {
			found = append(found, table+": "+line)
		}
	}
	return found
}

// ours is the name of Rollcall's own database.
func (a *aviary) ours() string { return strings.ReplaceAll(a.namespace, "-", "_") }

// temporalHas is all that Temporal holds of our workflows, decoded: histories, summaries, attributes and
// details. Nothing of it is readable without the keys but the names of things.
func (a *aviary) temporalHas() string {
	a.t.Helper()
	keys, err := codec.New(a.keys)
	require.NoError(a.t, err)
	options := client.Options{HostPort: stack(a.t).TemporalAddr, Namespace: a.namespace, DataConverter: keys.DataConverter()}
	reading, err := client.NewLazyClient(options)
	require.NoError(a.t, err)
	defer reading.Close()
	var all bytes.Buffer
	list, err := a.temporal.ListWorkflow(a.ctx, listRequest(""))
	require.NoError(a.t, err)
	require.NotEmpty(a.t, list.Executions)
	for _, execution := range list.Executions {
		id, run := execution.Execution.WorkflowId, execution.Execution.RunId
		fmt.Fprintln(&all, id, protojson.Format(execution))
		described, err := a.temporal.DescribeWorkflowExecution(a.ctx, id, run)
		require.NoError(a.t, err)
		a.decode(keys, described.ExecutionConfig, &all)
		events := a.temporal.GetWorkflowHistory(a.ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(a.t, err)
			a.decode(keys, event, &all)
		}
		details, err := reading.QueryWorkflow(a.ctx, id, run, "__temporal_workflow_metadata")
		require.NoError(a.t, err)
		var metadata sdkpb.WorkflowMetadata
		require.NoError(a.t, details.Get(&metadata))
		fmt.Fprintln(&all, protojson.Format(&metadata))
	}
	return all.String()
}

// decode writes a message as text with its payloads decoded, each of which has to be encrypted.
func (a *aviary) decode(keys *codec.Codec, message proto.Message, into io.Writer) {
	a.t.Helper()
	err := proxy.VisitPayloads(a.ctx, message, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			for _, p := range payloads {
				require.Equal(a.t, "binary/encrypted", string(p.Metadata["encoding"]), "%s", p.Data)
			}
			decoded, err := keys.Decode(payloads)
			for _, p := range decoded {
				fmt.Fprintln(into, string(p.Data))
			}
			return payloads, err
		},
	})
	require.NoError(a.t, err)
	fmt.Fprintln(into, protojson.Format(message))
}

// wantNone says where in a text one of several words stands, if it does.
func wantNone(tb testing.TB, where, text string, words ...string) {
	tb.Helper()
	for _, word := range words {
		if at := strings.Index(strings.ToLower(text), strings.ToLower(word)); at >= 0 {
			tb.Errorf("%q is in %s: …%s…", word, where, text[max(0, at-300):min(len(text), at+300)])
		}
	}
}

const canarySteps = `
name: aviary
title: Everything that there is
triggers: [{ event: hired }]
enroll: { again: every_trigger }
steps:
  - { id: set, action: set_property, with: { property: job_title, value: "{{ user.first_name }} {{ event.note }}" } }
  - { id: bell, action: notify, with: { to: u_boss, text: "{{ user.first_name }} {{ event.note }}" } }
  - { id: chore, action: create_task, with: { title: "Greet {{ user.first_name }}", text: "{{ user.phone }}", assignee: u_boss } }
  - { id: join, action: add_to_team, with: { team: birds } }
  - { id: part, action: remove_from_team, with: { team: birds } }
  - { id: texts, action: format, with: { outputs: { name: "{{ user.first_name }} of {{ event.note }}" } } }
  - { id: refused, action: send_email, with: { connection: office, to: "{{ user.email }}", subject: "{{ user.first_name }}", body: x }, on_error: continue }
  - { id: mail, action: send_email, with: { connection: office, to: "{{ user.email }}", subject: "{{ user.first_name }}", body: "{{ steps.texts.name }}" } }
  - { id: locked, action: send_email, with: { connection: locked, to: "{{ user.email }}", subject: x, body: x }, on_error: continue }
  - { id: unknown, action: send_slack, with: { connection: chat, to: "{{ user.email }}", text: "{{ user.first_name }}" }, on_error: continue }
  - { id: chat, action: send_slack, with: { connection: chat, to: "{{ user.email }}", text: "{{ user.first_name }}" } }
  - { id: row, action: add_sheet_row, with: { connection: sheets, spreadsheet: birds, values: { Name: "{{ user.first_name }}", Mail: "{{ user.email }}" } } }
  - { id: cell, action: update_sheet_row, with: { connection: sheets, spreadsheet: birds, lookup: { column: Mail, value: "{{ user.email }}" }, values: { Name: "{{ user.phone }}" } } }
  - { id: post, action: send_webhook, with: { connection: crm, url: "/ok?name={{ user.first_name }}" } }
  - { id: echo, action: send_webhook, with: { connection: crm, url: "/echo/{{ user.first_name }}" }, on_error: continue }
  - { id: again, action: send_webhook, with: { connection: crm, url: "/again/{{ user.first_name }}" } }
  - { id: says_no, action: call, with: { url: "OFFICE/no", inputs: { name: "{{ user.first_name }}" } }, on_error: continue }
  - { id: says_well, action: call, with: { url: "OFFICE/well", inputs: { name: "{{ user.first_name }}" } } }
  - { id: into, action: enroll, with: { workflow: aside } }
  - { id: out, action: unenroll, with: { workflow: aside, reason: "{{ user.first_name }} goes" } }
  - { id: broken, action: notify, with: { to: u_boss, text: "{{ user.first_name | divided_by: 0 }}" }, on_error: continue }
  - { id: nobody, action: notify, with: { to: "{{ user.first_name }}", text: x }, on_error: continue }
  - { id: which, branch_on: { value: "{{ user.first_name }}" }, cases: [{ is: x, steps: [] }, { else: true }] }
  - { id: told, wait_for: { event: told, at_most: 7d } }
  - { id: late, action: call, with: { url: "OFFICE/late", inputs: { name: "{{ steps.told.event.note }}" } } }
  - { id: fails, action: send_webhook, with: { connection: crm, url: "/fails/{{ user.first_name }}" } }
`

func TestCanariesAreSeenNowhere(t *testing.T) {
	t.Parallel()
	bird := personal + "-ada"
	a, o := newAviary(t,
		`{"status": "fail", "error": "no `+bird+`"}`, `{"status": "fail_continue", "error": "well `+bird+`", "outputs": {"x": "`+bird+`"}}`,
		pendingCall)
	a.connect()
	a.declare(automation.Property{Name: "pets", Label: "Pets", Type: "enum", Options: []string{"cat"}, Group: "custom"})
	a.put("u_boss", properties{"email": "boss@example.com", "first_name": "Boss"})
	a.put("u_other", properties{"email": "other@example.com", "first_name": "Other", "manager": "u_ada"})
	a.publish(strings.ReplaceAll(canarySteps, "OFFICE", o.URL))
	a.publish("name: aside\ntriggers: [{ event: aside }]\nenroll: { again: every_trigger }\nsteps:\n" +
		"  - { id: bell, action: notify, with: { to: u_boss, text: \"{{ user.first_name }} is aside\" } }\n  - { id: rest, delay: 30d }")
	a.publish("name: slow\ntriggers: [{ event: slow }]\nsteps:\n" +
		"  - { id: slow, action: send_webhook, with: { url: \"" + a.slow.URL + "/x\" } }\n  - { id: rest, delay: 30d }")
	hook := a.must("PUT", "/v1/hooks/payroll", map[string]any{"user": map[string]any{"property": "email", "is": "/mail"}, "properties": map[string]any{"note": "/note"}})["path"].(string)
	key := a.must("POST", "/v1/keys", map[string]any{"name": "crm", "scopes": []string{"users:read"}})["key"].(string)
	a.secrets = append(a.secrets, strings.TrimPrefix(hook, "/v1/hooks/"), key)
	a.event("aside", "u_other")
	a.wantStep("aside", "u_other", "rest")

	a.stop()
	a.config.APIKeys, a.config.RequireKeys = []string{a.key}, true
	a.run()
	a.world.Fail(world.Fault{Path: "smtp", Status: 550, Body: "no mailbox for " + bird + "@example.com"})
	a.world.Fail(world.Fault{Path: "/slack/api/users.lookupByEmail", Status: 200, Body: `{"ok": false, "error": "users_not_found ` + bird + `"}`})
	for path, status := range map[string]int{"/webhook/crm/echo": 400, "/webhook/crm/again": 500, "/webhook/crm/fails": 404} {
		a.world.Fail(world.Fault{Path: path, Status: status, Body: `{"you said": "` + bird + `, Bearer ` + hidden + `-bearer"}`})
	}
	user := `{"id": "u_ada", "properties": {"first_name": "` + bird + `", "last_name": "` + bird + `", "email": "` + bird + `@example.com", "phone": "+48 ` + bird + `", "manager": "u_boss"}}`
	once := "Idempotency-Key: " + bird
	first := a.asked(200, "POST", "/v1/users/batch", `{"items": [`+user+`]}`, once)
	require.Equal(t, first, a.asked(200, "POST", "/v1/users/batch", `{"items": [`+user+`]}`, once))
	note := func(name, id string) string {
		return `{"id": "` + id + `", "name": "` + name + `", "user_id": "u_ada", "properties": {"note": "` + bird + `-note"}}`
	}
	a.asked(202, "POST", "/v1/events", note("aside", "e_0"), "Idempotency-Key: "+bird+"-2")
	a.wantStep("aside", "u_ada", "rest")
	list := a.enrollments("aside", "u_ada")
	a.asked(200, "POST", "/v1/enrollments/"+list[0].ID+"/unenroll", `{"reason": "`+bird+` asked for it"}`)
	a.asked(202, "POST", "/v1/events", note("hired", "e_1"))
	a.badRequests(bird)
	a.wantStep("aviary", "u_ada", "told")
	a.asked(202, "POST", hook, `{"mail": "`+bird+`@example.com", "note": "`+bird+`"}`)
	a.asked(202, "POST", "/v1/events", note("told", "e_2"))
	a.until("the call is made that is answered later", func() bool { return len(o.calls()) == 3 })
	callback := strings.TrimPrefix(o.calls()[2].Body.Callback.URL, a.url)
	a.secrets = append(a.secrets, strings.TrimPrefix(callback, "/v1/callbacks/"))
	answer := `{"status": "success", "outputs": {"badge": "` + bird + `"}}`
	a.asked(200, "POST", callback, answer)
	failed := a.wantStatus("aviary", "u_ada", automation.Failed)
	require.Contains(t, failed.Reason, bird, "what failed is in the ledger in full")
	// A second time: it is in the middle of everything when the user is deleted.
	a.asked(202, "POST", "/v1/events", note("slow", "e_3"))
	<-a.slow.came
	a.asked(202, "POST", "/v1/events", note("aside", "e_4"))
	slow := a.wantStep("slow", "u_ada", "slow")
	a.wantStep("aside", "u_ada", "rest")
	require.NotEmpty(t, a.found(a.ours(), bird), "the canaries sit where they should")

	others := a.found(a.ours(), "u_other")
	a.asked(204, "DELETE", "/v1/users/u_ada", "")
	close(a.slow.answer)
	a.until("what was on its way has come", func() bool {
		visits, err := a.db.Timeline(a.ctx, slow.ID)
		require.NoError(t, err)
		return visits[0].Status == automation.StepDone
	})
	for _, late := range []struct{ path, body string }{
		{callback, answer},
		{callback, `{"status": "fail", "error": "` + bird + `"}`},
		{hook, `{"mail": "` + bird + `@example.com", "note": "` + bird + `"}`},
		{"/v1/events", note("told", "e_9")},
		{"/v1/enrollments/" + failed.ID + "/retry", `{"reason": "` + bird + `"}`},
		{"/v1/enrollments/" + failed.ID + "/unenroll", `{"reason": "` + bird + `"}`},
	} {
		status, text := a.ask("POST", late.path, late.body)
		require.GreaterOrEqual(t, status, 400, "%s: %s", late.path, text)
		wantNone(t, "an answer to "+late.path, text, personal)
	}
	a.settled()
	a.until("Temporal has ended everything of the user", func() bool {
		n, err := a.temporal.CountWorkflow(a.ctx, countRequest("RollcallUser = 'u_ada' and ExecutionStatus = 'Running'"))
		require.NoError(t, err)
		return n.Count == 0
	})

	metrics := a.asked(200, "GET", "/metrics", "")
	logs := a.log.text()
	require.Contains(t, logs, "enrollment ended")
	inTemporal := a.temporalHas()
	require.Contains(t, inTemporal, "aviary/u_ada/1")
	require.Contains(t, inTemporal, "Everything that there is · u_ada")
	require.Contains(t, inTemporal, "the timeline says more")
	for where, text := range map[string]string{"the logs": logs, "the metrics": metrics, "Temporal": inTemporal} {
		wantNone(t, where, text, append(a.secrets, personal)...)
	}
	require.Empty(t, a.found(a.ours(), personal), "what the database knows of somebody who was deleted")
	for _, word := range a.secrets {
		require.Empty(t, a.found(a.ours(), word), "a secret in the database")
	}
	for _, database := range []string{"temporal", "temporal_visibility"} {
		for _, word := range append(a.secrets, personal) {
			require.Empty(t, a.found(database, word), "in the database of Temporal")
		}
	}
	require.ElementsMatch(t, others, a.found(a.ours(), "u_other"), "what is known of others")
}

// badRequests makes requests with canaries that are refused, and wants none in the answers.
func (a *aviary) badRequests(bird string) {
	a.t.Helper()
	for i, r := range []struct{ method, path, body string }{
		{"PUT", "/v1/users/u_bad", `{"properties": {"email": "` + bird + `"}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"time_zone": "` + bird + `"}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"pets": "` + bird + `"}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"status": "` + bird + `"}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"last_active_at": "` + bird + `"}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"super_admin": "` + bird + `"}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"teams": ["` + bird + `", 3]}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"first_name": ["` + bird + `"]}}`},
		{"PUT", "/v1/users/u_bad", `{"properties": "` + bird + `"}`},
		{"PUT", "/v1/users/u_bad", `{"properties": {"first_name": "` + bird + `"`},
		{"POST", "/v1/users/batch", `{"items": [{"id": "u_bad", "properties": {"pets": "` + bird + `"}}]}`},
		{"POST", "/v1/events", `{"name": 7, "user_id": "u_ada", "properties": {"note": "` + bird + `"}}`},
		{"POST", "/v1/events", `{"name": "x", "user_id": "u_ada", "occurred_at": "` + bird + `"}`},
		{"POST", "/v1/events", `{"name": "user.x", "user_id": "u_nobody", "properties": {"note": "` + bird + `"}}`},
		{"POST", "/v1/events/batch", `{"items": [{"name": "x", "user_id": "u_nobody", "properties": {"note": "` + bird + `"}}, "` + bird + `"]}`},
		{"POST", "/v1/workflows/aside/enrollments", `{"user_id": 3, "note": "` + bird + `"}`},
		{"GET", "/v1/users?limit=" + bird, ""},
	} {
		for _, headers := range [][]string{nil, {fmt.Sprintf("Idempotency-Key: bad-%d-%s", i, bird)}} {
			status, text := a.ask(r.method, r.path, r.body, headers...)
			if status < 400 && strings.HasSuffix(r.path, "/batch") {
				require.Contains(a.t, text, `"errors"`)
			} else {
				require.GreaterOrEqual(a.t, status, 400, "%s %s %s: %s", r.method, r.path, r.body, text)
				require.Less(a.t, status, 500, text)
			}
			wantNone(a.t, "the answer to "+r.body, text, personal)
		}
	}
	_, _ = a.ask("GET", "/v1/users/u_ada", "", "Authorization: Bearer "+hidden+"-that-is-none")
}

func countRequest(query string) *workflowservice.CountWorkflowExecutionsRequest {
	return &workflowservice.CountWorkflowExecutionsRequest{Query: query}
}
