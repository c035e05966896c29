package activities_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/connect/webhook"
	"rollcall/devstack/world"
	"rollcall/workflows"
)

func TestSendWebhookIsSignedAndSaysWhatHappenedByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish("w", `[{"id": "it", "action": "send_webhook", "with": {"url": "`+b.world.WebhookURL("crm")+`"}}, {"id": "rest", "delay": "1d"}]`,
		`"triggers": [{"event": "promoted"}]`)
	b.user("ada", properties{"first_name": "Ada"})
	_, err := b.db.AppendEvents(t.Context(), []automation.Event{{
		ID: "e_1", Name: "promoted", UserID: "ada", OccurredAt: time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC), Properties: properties{"title": "Lead"},
	}})
	require.NoError(t, err)
	enrollment := b.evaluate(0)[0]

	v := b.do("send_webhook", enrollment)

	hook := b.only(world.KindWebhook)
	require.Equal(t, "POST", hook.Method)
	require.Equal(t, "/webhook/crm", hook.Path)
	require.True(t, *hook.Verified)
	require.Equal(t, automation.EffectKey(enrollment, "it", 1), hook.WebhookID)
	require.Equal(t, "application/json", hook.Headers["content-type"])
	createdAt, _ := b.value("ada", "created_at").(string)
	require.JSONEq(t, `{"type": "workflow.w", "data": {
		"user": {"id": "ada", "properties": {"first_name": "Ada", "status": "active", "created_at": "`+createdAt+`"}},
		"event": {"id": "e_1", "name": "promoted", "user_id": "ada", "occurred_at": "2027-01-04T09:00:00Z", "properties": {"title": "Lead"}},
		"enrollment": {"id": "`+enrollment+`", "workflow": "w", "version": 1}}}`, string(hook.Body))
	require.Equal(t, "called "+b.world.HTTPAddr()+": 200", v.What)
	require.Equal(t, map[string]any{"status": 200.0, "body": map[string]any{"ok": true}}, v.Output)
}

func TestSendWebhookIsSignedByEverySecretWhileOneReplacesAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.deps.WebhookSecrets = []string{"whsec_YW5vdGhlci1zZWNyZXQtdGhhdC1pcy1sb25nLWVub3VnaA==", secret}
	b.register(b.deps)

	b.do("send_webhook", b.step("w", "ada", "send_webhook", `{"url": "`+b.world.WebhookURL("crm")+`"}`))

	hook := b.only(world.KindWebhook)
	require.True(t, *hook.Verified)
	require.Len(t, strings.Split(hook.Headers["webhook-signature"], " "), 2)
}

func TestValuesInAWebhookStayInTheirPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": `", "admin": true, "x": "\` + "\n<", "scheduling_pages": 3.0, "teams": []any{"a", "b"}})

	b.do("send_webhook", b.step("w", "ada", "send_webhook", `{
		"url": "`+b.world.WebhookURL("crm")+`?user={{ user.first_name | url_encode }}", "method": "PUT",
		"headers": {"X-Team": "{{ user.teams | first }}"},
		"body": {"name": "{{ user.first_name }}", "{{ user.id }}": 1, "deep": [{"pages": "{{ user.scheduling_pages }}", "teams": "{{ user.teams | join: '+' }}"}, true, null, 1.5]}}`))

	hook := b.only(world.KindWebhook)
	require.Equal(t, "PUT", hook.Method)
	require.Equal(t, "/webhook/crm?user=%22%2C+%22admin%22%3A+true%2C+%22x%22%3A+%22%5C%0A%3C", hook.Path)
	require.Equal(t, "a", hook.Headers["x-team"])
	var body map[string]any
	require.NoError(t, json.Unmarshal(hook.Body, &body))
	require.Equal(t, map[string]any{
		"name": "\", \"admin\": true, \"x\": \"\\\n<", "{{ user.id }}": 1.0,
		"deep": []any{map[string]any{"pages": "3", "teams": "a+b"}, true, nil, 1.5},
	}, body)
}

func TestSendWebhookGetsWithoutABody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)

	b.do("send_webhook", b.step("w", "ada", "send_webhook", `{"url": "`+b.world.WebhookURL("crm")+`?id={{ user.id }}", "method": "{{ 'GET' }}", "body": {"a": 1}}`))

	hook := b.only(world.KindWebhook)
	require.Equal(t, "GET", hook.Method)
	require.Equal(t, "/webhook/crm?id=ada", hook.Path)
	require.Empty(t, hook.Body)
	require.True(t, *hook.Verified)
}

func TestLaterStepsUseTheAnswerToAWebhook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.publish("w", `[
		{"id": "lookup", "action": "send_webhook", "with": {"url": "`+b.world.WebhookURL("lookup")+`"}},
		{"id": "save", "action": "set_property", "with": {"property": "job_title", "value": "{{ steps.lookup.status }} {{ steps.lookup.body.title }} {{ steps.lookup.body.tags[1] }}"}},
		{"id": "rest", "delay": "1d"}]`)
	enrollment := b.enroll("w", "ada")
	b.world.Fail(world.Fault{Path: "/webhook/lookup", Status: 201, Body: `{"title": "Lead", "tags": ["x", "y"]}`})

	_, err := b.try("send_webhook", workflows.StepInput{EnrollmentID: enrollment, Step: "lookup"})
	require.NoError(t, err)
	_, err = b.try("set_property", workflows.StepInput{EnrollmentID: enrollment, Step: "save"})
	require.NoError(t, err)

	require.Equal(t, "201 Lead y", b.value("ada", "job_title"))
}

func TestAnswersToWebhooksAreJudged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	for i, tt := range []struct {
		name   string
		fault  world.Fault
		class  string // "" where trying again cannot help
		after  time.Duration
		errors string
	}{
		{"not found", world.Fault{Status: 404, Body: "no such hook"}, "", 0, "status 404 Not Found: no such hook"},
		{"gone", world.Fault{Status: 410}, "", 0, "status 410 Gone"},
		{"a redirect", world.Fault{Status: 302}, "", 0, "status 302 Found"},
		{"not allowed", world.Fault{Status: 401, Body: "Bearer ya29.secret-token"}, "", 0, "status 401 Unauthorized: [redacted]"},
		{"unavailable", world.Fault{Status: 503}, "status", 0, "status 503 Service Unavailable"},
		{"unavailable for a while", world.Fault{Status: 503, RetryAfter: "90"}, "status", 90 * time.Second, "status 503 Service Unavailable"},
		{"too many", world.Fault{Status: 429, RetryAfter: "86400"}, "status", time.Hour, "status 429 Too Many Requests"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := b.in(t)
			name := fmt.Sprintf("w%d", i)
			tt.fault.Path = "/webhook/" + name
			enrollment := b.step(name, "ada", "send_webhook", `{"url": "`+b.world.WebhookURL(name)+`"}`)
			b.world.Fail(tt.fault)
			if tt.class == "" {
				b.failsForGood("send_webhook", enrollment, tt.errors)
				return
			}

			app := b.fails("send_webhook", enrollment)

			require.False(t, app.NonRetryable())
			require.Equal(t, tt.class, app.Type())
			require.Equal(t, tt.after, app.NextRetryDelay())
			v := b.visit(enrollment, "it")
			require.Equal(t, automation.StepRunning, v.Status)
			require.Equal(t, "send webhook: "+tt.errors, v.Error)
			b.renew() // what asked to wait is left alone until then
			b.do("send_webhook", enrollment)
		})
	}
}

func TestAnswersToWebhooksAreKeptAsFarAsTheyAreJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	for i, tt := range []struct {
		name, body string
		want       map[string]any
	}{
		{"ten megabytes", `{"a": "` + strings.Repeat("x", 10<<20) + `"}`, map[string]any{"status": 200.0}},
		{"no JSON", "<html>", map[string]any{"status": 200.0}},
		{"nothing", "", map[string]any{"status": 200.0}},
		{"a text", `"x"`, map[string]any{"status": 200.0, "body": "x"}},
		{"null", `null`, map[string]any{"status": 200.0, "body": nil}},
		{"a character that cannot be stored", `{"a\u0000": ["b\u0000c", {"d": "\u0000"}], "e": "\ud800"}`, map[string]any{
			"status": 200.0, "body": map[string]any{"a": []any{"bc", map[string]any{"d": ""}}, "e": "\uFFFD"},
		}},
		{"a number that is too large", `{"a": 1e999}`, map[string]any{"status": 200.0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := b.in(t)
			name := fmt.Sprintf("w%d", i)
			enrollment := b.step(name, "ada", "send_webhook", `{"url": "`+b.world.WebhookURL(name)+`"}`)
			b.world.Fail(world.Fault{Path: "/webhook/" + name, Status: 200, Body: tt.body})
			require.Equal(t, tt.want, b.do("send_webhook", enrollment).Output)
		})
	}
}

func TestSendWebhookFailsForGoodWhereValuesMakeNoRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": "a\r\nX-Admin: 1", "job_title": "BREW", "last_name": strings.Repeat("x", 3000)})
	url := b.world.WebhookURL("crm")
	for name, tt := range map[string]struct{ with, message string }{
		"header": {`{"url": "` + url + `", "headers": {"X-Name": "{{ user.first_name }}"}}`, "value of header X-Name holds a control character"},
		"method": {`{"url": "` + url + `", "method": "{{ user.job_title }}"}`, "the method is GET, POST, PUT, PATCH or DELETE"},
		"url":    {`{"url": "` + url + `/{{ user.first_name }}"}`, "url cannot be parsed"},
		"long":   {`{"url": "` + url + `/{{ user.last_name }}"}`, "url is longer than 2048 characters"},
	} {
		b.failsForGood("send_webhook", b.step(name, "ada", "send_webhook", tt.with), tt.message)
	}
	require.Empty(t, b.world.Outbox())
}

func TestSendWebhookReachesNoPrivateAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.failsForGood("send_webhook", b.step("w", "ada", "send_webhook", `{"url": "https://127.0.0.1/x"}`), "destination is not allowed")
}

func TestSendWebhookIsCheckedAtPublication(t *testing.T) {
	t.Parallel()
	inHost := problem("/url", "template-in-host", "the scheme and the host of an address must not be templates")
	for url, want := range map[string]automation.Problems{
		"":                                              problem("/url", "required", "url is required, unless a connection is named"),
		"ftp://example.com/":                            problem("/url", "invalid-url", "url must begin with https:// or http://"),
		"https://":                                      problem("/url", "invalid-url", "url has no host"),
		"https://user:password@example.com/":            problem("/url", "invalid-url", "url must not hold a user or password"),
		"https://2130706433/":                           problem("/url", "invalid-url", "host is a number in disguise"),
		"ftp://example.com/{{ user.id }}":               problem("/url", "invalid-url", "url must begin with https:// or http://"),
		"{{ user.id }}":                                 inHost,
		"{{ user.id }}://example.com/":                  inHost,
		"https://{{ user.id }}":                         inHost,
		"https://{{ user.id }}/hook":                    inHost,
		"https://{{ user.id }}.example.com/hook":        inHost,
		"https://exa{{ user.id }}mple.com/hook":         inHost,
		"https://example.com{{ user.id }}":              inHost,
		"https://example.com{% if true %}/{% endif %}":  inHost,
		"https://example.com:{{ user.id }}/hook":        inHost,
		"HTTPS://EXAMPLE.COM{{ user.id }}/hook":         inHost,
		"https://example.com@{{ user.id }}/hook":        inHost,
		"https://example.com/{{ user.id }}":             nil,
		"https://example.com?user={{ user.id }}":        nil,
		"https://example.com:8443/#{{ user.id }}":       nil,
		"HTTPS://EXAMPLE.COM/hook/{{ user.id }}":        nil,
		"https://example.com/{% if true %}a{% endif %}": nil,
	} {
		require.Equal(t, want, check(t, "send_webhook", map[string]any{"url": url}), url)
	}
	require.Equal(t, automation.Problems{
		{Pointer: "/url", Code: "template-in-host", Message: "the scheme and the host of an address must not be templates"},
		{Pointer: "/method", Code: "invalid-method", Message: "the method is GET, POST, PUT, PATCH or DELETE"},
		{Pointer: "/headers", Code: "invalid-header", Message: "header webhook-id cannot be set"},
	}, check(t, "send_webhook", `{"url": "{{ user.id }}", "method": "get", "headers": {"webhook-id": "x"}}`))
}

func TestABrokenConnectionIsATransientFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	enrollment := b.step("w", "ada", "send_webhook", `{"url": "`+b.world.WebhookURL("cut")+`"}`)
	b.world.Fail(world.Fault{Path: "/webhook/cut", Drop: true})

	app := b.fails("send_webhook", enrollment)

	require.False(t, app.NonRetryable())
	require.Equal(t, "connect", app.Type())
	b.do("send_webhook", enrollment)
}

func TestAHangingReceiverIsATransientFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	enrollment := b.step("w", "ada", "send_webhook", `{"url": "`+b.world.WebhookURL("slow")+`"}`)
	b.world.Fail(world.Fault{Path: "/webhook/slow", Hang: true})
	b.deps.Webhook = webhook.New(connect.NewHTTPClient(connect.Guard{
		AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(b.world.HTTPAddr())}, Timeout: 50 * time.Millisecond,
	}))
	b.register(b.deps)

	app := b.fails("send_webhook", enrollment)

	require.False(t, app.NonRetryable())
	require.Equal(t, "timeout", app.Type())
	require.Equal(t, "send webhook: no answer in time", b.visit(enrollment, "it").Error)
}
