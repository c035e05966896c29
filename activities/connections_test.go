package activities_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/connect"
	"rollcall/devstack/world"
	"rollcall/secrets"
	"rollcall/workflows"
)

// connected is a bench whose only ways out are named ones, and the keyset that seals them.
func connected(t *testing.T) (*bench, *activities.Connections, string) {
	t.Helper()
	b := newBench(t)
	keyset, err := secrets.New()
	require.NoError(t, err)
	c := b.connections(keyset)
	b.deps = activities.Deps{DB: b.db, Connections: c, Metrics: b.deps.Metrics}
	b.register(b.deps)
	return b, c, keyset
}

func (b *bench) connections(keyset string) *activities.Connections {
	b.Helper()
	box, err := secrets.Parse(keyset)
	require.NoError(b, err)
	guard := connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(b.world.HTTPAddr()), netip.MustParseAddrPort(b.world.SMTPAddr())}}
	return activities.NewConnections(b.db, box, activities.Outgoing{Client: connect.NewHTTPClient(guard), DialMail: connect.NewDialer(guard).DialContext})
}

func (b *bench) put(c *activities.Connections, name, draft string) {
	b.Helper()
	_, _, err := c.Put(b.Context(), name, drafted(b.T, draft), "tests")
	require.NoError(b, err)
}

func drafted(t *testing.T, text string) automation.ConnectionDraft {
	t.Helper()
	var d automation.ConnectionDraft
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	return d
}

func (b *bench) drafts() map[string]string {
	credentials := string(b.world.GoogleCredentials())
	return map[string]string{
		"office": `{"kind": "smtp", "settings": {"address": "` + b.world.SMTPAddr() + `", "from": "HR <hr@example.com>", "tls": "none"}}`,
		"chat":   `{"kind": "slack", "settings": {"api_url": "` + b.world.SlackURL() + `"}, "secrets": {"token": "xoxb-canary-token"}}`,
		"sheets": `{"kind": "google", "settings": {"endpoint": "` + b.world.SheetsURL() + `"}, "secrets": {"credentials": ` + credentials + `}}`,
		"crm": `{"kind": "webhook", "settings": {"url": "` + b.world.WebhookURL("crm") + `", "headers": {"X-Tenant": "7", "authorization": "a setting"}},
			"secrets": {"signing": "` + secret + `", "headers": {"Authorization": "Bearer canary-bearer"}}}`,
	}
}

func TestStepsUseTheConnectionsThatTheyName(t *testing.T) {
	t.Parallel()
	b, c, _ := connected(t)
	b.user("ada", properties{"email": "ada@example.com"})
	for name, draft := range b.drafts() {
		b.put(c, name, draft)
		result, err := c.Test(t.Context(), name)
		require.NoError(t, err)
		require.True(t, result.OK, "%s: %s", name, result.Error)
	}
	require.Len(t, b.world.Outbox(), 1, "the test of a webhook is an event that says so; the others send nothing")
	require.JSONEq(t, `{"type": "rollcall.test", "data": {}}`, string(b.only("webhook").Body))
	b.publish("w", `[
		{"id": "mail", "action": "send_email", "with": {"connection": "office", "to": "ada", "subject": "Hi", "body": "x"}},
		{"id": "slack", "action": "send_slack", "with": {"connection": "chat", "to": "#people", "text": "x"}},
		{"id": "row", "action": "add_sheet_row", "with": {"connection": "sheets", "spreadsheet": "s", "values": {"Id": "{{ user.id }}"}}},
		{"id": "again", "action": "update_sheet_row", "with": {"spreadsheet": "s", "lookup": {"column": "Id", "value": "nobody"}, "values": {"X": "1"}, "if_missing": "skip"}},
		{"id": "hook", "action": "send_webhook", "with": {"connection": "crm", "url": "/users/{{ user.id }}?x=1", "headers": {"authorization": "mine", "X-Own": "1"}, "body": {"a": 1}}},
		{"id": "rest", "delay": "1d"}]`)
	id := b.enroll("w", "ada")

	for _, step := range [][2]string{{"send_email", "mail"}, {"send_slack", "slack"}, {"add_sheet_row", "row"}, {"send_webhook", "hook"}} {
		_, err := b.try(step[0], workflows.StepInput{EnrollmentID: id, Step: step[1]})
		require.NoError(t, err, step[0])
	}

	require.Equal(t, "hr@example.com", b.sent("email")[0].From)
	require.Len(t, b.sent("slack"), 1)
	require.Len(t, b.sent("sheet_row"), 1)
	var hook world.Item
	for _, item := range b.sent("webhook") {
		if item.Path != "/webhook/crm" {
			hook = item
		}
	}
	require.Equal(t, "/webhook/crm/users/ada?x=1", hook.Path)
	require.True(t, *hook.Verified)
	require.Equal(t, []string{"Bearer canary-bearer", "7", "1"}, []string{hook.Headers["authorization"], hook.Headers["x-tenant"], hook.Headers["x-own"]})
}

func TestWhereAConnectionIsMissingTheStepFailsAndSaysSo(t *testing.T) {
	t.Parallel()
	b, c, _ := connected(t)
	b.user("ada", properties{"email": "ada@example.com"})
	mail := func(name string) string {
		return b.step(name, "ada", "send_email", map[string]any{"to": "ada", "subject": "Hi", "body": "x"})
	}
	b.failsForGood("send_email", mail("w1"), "there is no connection of the kind smtp")
	b.put(c, "office", b.drafts()["office"])
	b.do("send_email", mail("w2"))
	b.put(c, "another", strings.Replace(b.drafts()["office"], "hr@", "other@", 1))
	b.do("send_email", mail("w3"))
	for _, item := range b.sent("email") {
		require.Equal(t, "hr@example.com", item.From, "a second one changes nothing for who uses the first")
	}
}

func TestAddressesStayUnderThatOfTheirConnection(t *testing.T) {
	t.Parallel()
	b, c, _ := connected(t)
	b.put(c, "crm", b.drafts()["crm"])
	b.user("ada", nil)
	base := b.world.WebhookURL("crm")
	for i, tt := range []struct{ address, want string }{
		{"", "/webhook/crm"},
		{"a", "/webhook/crm/a"},
		{"/a/../b", ""},
		{"/a/%2e%2E/b", ""},
		{"/a/..%2fb", ""},
		{"/..a/b", "/webhook/crm/..a/b"},
		{base + "/x", "/webhook/crm/x"},
		{base + "?q=..", "/webhook/crm?q=.."},
		{base + "x", ""},
		{b.world.WebhookURL("other"), ""},
		{"//evil.example/", "/webhook/crm/evil.example/"},
		{"https://evil.example/", ""},
		{"HTTPS://evil.example/", ""},
		{"search?next=https://x.example", "/webhook/crm/search?next=https://x.example"},
		{"/a/%252e%252e/b", ""},
		{"/..;x=1/b", ""},
	} {
		name := "w" + string(rune('a'+i))
		enrollment := b.step(name, "ada", "send_webhook", map[string]any{"connection": "crm", "url": tt.address, "body": name})
		_, err := b.try("send_webhook", workflows.StepInput{EnrollmentID: enrollment, Step: "it"})
		if tt.want == "" {
			require.Error(t, err)
			require.Contains(t, b.visit(enrollment, "it").Error, "that of the connection, "+base)
			continue
		}
		require.NoError(t, err, tt.address)
		last := b.world.Outbox()
		require.Equal(t, tt.want, last[len(last)-1].Path)
	}
}

func TestWhatIsSecretDoesNotComeBackInAnAnswer(t *testing.T) {
	t.Parallel()
	b, c, _ := connected(t)
	b.put(c, "crm", strings.Replace(b.drafts()["crm"], `"Authorization": "Bearer canary-bearer"`, `"X-Key-Of-Ours": "canary-value"`, 1))
	b.user("ada", nil)
	b.world.Fail(world.Fault{Path: "/webhook/crm", Status: 200, Body: `{"you sent": "canary-value"}`})
	v := b.do("send_webhook", b.step("w1", "ada", "send_webhook", map[string]any{"connection": "crm"}))
	require.Equal(t, map[string]any{"status": 200.0, "body": map[string]any{"you sent": "[redacted]"}}, v.Output)
	b.world.Fail(world.Fault{Path: "/webhook/crm", Status: 400, Body: `what is canary-value`})
	b.failsForGood("send_webhook", b.step("w2", "ada", "send_webhook", map[string]any{"connection": "crm"}), "status 400 Bad Request: what is [redacted]")
}

func TestAReceiverThatIsGoneDisablesItsConnection(t *testing.T) {
	t.Parallel()
	b, c, _ := connected(t)
	b.put(c, "crm", b.drafts()["crm"])
	b.user("ada", nil)
	post := func(name string) string {
		return b.step(name, "ada", "send_webhook", map[string]any{"connection": "crm"})
	}
	b.world.Fail(world.Fault{Path: "/webhook/crm", Status: 410})
	b.failsForGood("send_webhook", b.step("w0", "ada", "send_webhook", map[string]any{"connection": "crm", "url": "people/ada"}), "status 410 Gone")
	b.do("send_webhook", b.step("w00", "ada", "send_webhook", map[string]any{"connection": "crm", "url": "people/bo"}))
	b.world.Fail(world.Fault{Path: "/webhook/crm", Status: 410})
	b.failsForGood("send_webhook", post("w1"), "status 410 Gone")

	b.failsForGood("send_webhook", post("w2"), `the connection "crm" is disabled: the receiver answered 410 Gone`)

	require.Len(t, b.world.Outbox(), 1, "nothing more went out")
	kept, err := b.db.Connection(t.Context(), "crm")
	require.NoError(t, err)
	require.NotNil(t, kept.DisabledAt)
	b.put(c, "crm", b.drafts()["crm"])
	b.do("send_webhook", post("w3"))
}

func TestSecretsStayUnlessTheyAreGivenOrTheConnectionLeadsElsewhere(t *testing.T) {
	t.Parallel()
	_, c, _ := connected(t)
	put := func(draft string) (*automation.Connection, error) {
		saved, _, err := c.Put(t.Context(), "office", drafted(t, draft), "")
		return saved, err
	}
	saved, err := put(`{"kind": "smtp", "settings": {"address": "mail.example.com:587", "from": "a@example.com", "username": "u"}, "secrets": {"password": "hunter22"}}`)
	require.NoError(t, err)
	require.Equal(t, []string{"password"}, saved.Configured)
	saved, err = put(`{"kind": "smtp", "settings": {"address": "mail.example.com:587", "from": "b@example.com", "username": "u"}}`)
	require.NoError(t, err)
	require.Equal(t, []string{"password"}, saved.Configured)

	_, err = put(`{"kind": "smtp", "settings": {"address": "evil.example.com:587", "from": "b@example.com", "username": "u"}}`)

	var invalid *automation.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, automation.Problems{{Pointer: "/secrets/password", Code: "required", Message: "it leads somewhere else now, so this has to be given again"}}, invalid.Problems)
	_, err = put(`{"kind": "smtp", "settings": {"address": "mail.example.com:587", "from": "b@example.com", "username": "u", "tls": "none"}}`)
	require.ErrorAs(t, err, &invalid, "in the clear, anybody on the way could read it")
	_, err = put(`{"kind": "slack", "settings": {}, "secrets": {"token": "xoxb-1"}}`)
	require.ErrorIs(t, err, automation.ErrConflict)
	saved, err = put(`{"kind": "smtp", "settings": {"address": "mail.example.com:587", "from": "b@example.com"}, "secrets": {"password": null}}`)
	require.NoError(t, err)
	require.Empty(t, saved.Configured)
}

func TestSecretsAreSealedAndBoundToTheirConnection(t *testing.T) {
	t.Parallel()
	b, c, keyset := connected(t)
	for name, draft := range b.drafts() {
		b.put(c, name, draft)
	}
	var dump string
	b.row([]any{&dump}, `select string_agg(c::text || encode(coalesce(sealed, ''), 'escape'), ' ') from connections c`)
	for _, canary := range []string{"canary", "whsec_", "PRIVATE KEY", "xoxb"} {
		require.NotContains(t, dump, canary)
	}

	// A new key: what was sealed before opens still, and is sealed anew.
	box, err := secrets.Parse(keyset)
	require.NoError(t, err)
	rotated, err := box.Rotated()
	require.NoError(t, err)
	renewed := b.connections(rotated)
	n, err := renewed.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, n, "of those that have secrets")
	n, err = renewed.Reseal(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	result, err := renewed.Test(t.Context(), "chat")
	require.NoError(t, err)
	require.True(t, result.OK, result.Error)
	result, err = b.connections(keyset).Test(t.Context(), "chat")
	require.NoError(t, err)
	require.Contains(t, result.Error, "sealed with a key that is not in the keyset")

	// Secrets that somebody moved from one connection to another open nothing.
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), `update connections set sealed = (select sealed from connections where name = 'crm'), revision = revision + 1 where name = 'chat'`)
	require.NoError(t, err)
	result, err = renewed.Test(t.Context(), "chat")
	require.NoError(t, err)
	require.False(t, result.OK)
	require.Contains(t, result.Error, "or for something else")

	// Steps wait for a process that has the keys, and who gives all secrets anew needs no old key.
	b.deps.Connections = renewed
	b.register(b.deps)
	b.user("ada", nil)
	app := b.fails("send_slack", b.step("w", "ada", "send_slack", map[string]any{"connection": "chat", "to": "#people", "text": "x"}))
	require.False(t, app.NonRetryable())
	b.put(renewed, "chat", b.drafts()["chat"])

	// Without keys there can be no secrets.
	require.ErrorIs(t, activities.NewConnections(b.db, nil, activities.Outgoing{}).Ready(t.Context()), activities.ErrNoKeyset)
	_, _, err = activities.NewConnections(b.db, nil, activities.Outgoing{Client: connect.NewHTTPClient(connect.Guard{})}).Put(t.Context(), "new", drafted(t, `{"kind": "slack", "settings": {}, "secrets": {"token": "x"}}`), "")
	require.ErrorIs(t, err, activities.ErrNoKeyset)
}

func TestAConnectionIsTestedAsItIs(t *testing.T) {
	t.Parallel()
	b, c, _ := connected(t)
	for name, draft := range b.drafts() {
		b.put(c, name, draft)
	}
	b.world.Fail(world.Fault{Path: "/slack/api/auth.test", Status: 200, Body: `{"ok": false, "error": "invalid_auth"}`})
	b.world.Fail(world.Fault{Path: "/google/token", Status: 400, Body: `{"error": "invalid_grant"}`})
	b.world.Fail(world.Fault{Path: "/webhook/crm", Status: 401, Body: "who are you, Bearer canary-bearer"})
	for name, want := range map[string]string{"chat": "invalid_auth", "sheets": "invalid_grant", "crm": "status 401 Unauthorized"} {
		result, err := c.Test(t.Context(), name)
		require.NoError(t, err)
		require.False(t, result.OK, name)
		require.Contains(t, result.Error, want)
		require.NotContains(t, result.Error, "canary")
	}
	_, err := c.Test(t.Context(), "nobody")
	require.ErrorIs(t, err, automation.ErrNotFound)
}
