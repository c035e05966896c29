package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

const smtp = `{"kind": "smtp", "settings": {"address": "mail.example.com:587", "from": "HR <hr@example.com>", "username": "hr"}, "secrets": {"password": "canary-password"}}`

func TestAConnectionIsKeptWithoutItsSecretsEverComingBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.must(201, "PUT", "/v1/connections/office", smtp)
	require.NotContains(t, string(a.body), "canary")
	require.Equal(t, []any{"password"}, a.object()["configured"])
	s.must(200, "PUT", "/v1/connections/office", `{"kind": "smtp", "settings": {"address": "mail.example.com:587", "from": "x@example.com", "username": "hr"}}`)

	for _, path := range []string{"/v1/connections", "/v1/connections/office"} {
		a := s.must(200, "GET", path, "")
		require.NotContains(t, string(a.body), "canary")
		require.Contains(t, string(a.body), "x@example.com")
	}
	items, _ := s.get("/v1/connection-kinds").items()
	require.Equal(t, []any{"google", "slack", "smtp", "webhook"}, column(items, "kind"))
	s.must(204, "DELETE", "/v1/connections/office", "")
	s.must(404, "GET", "/v1/connections/office", "")
}

func TestAConnectionThatAWorkflowNamesStays(t *testing.T) {
	t.Parallel()
	s := start(t)
	document := `{"triggers": [{"manual": true}], "steps": [{"id": "a", "branch": [{"else": true, "steps": [
		{"id": "mail", "action": "send_email", "with": {"connection": "office", "to": "a@example.com", "subject": "x", "body": "x"}}]}]}]}`
	a := s.do("PUT", "/v1/workflows/w", document)
	require.Equal(t, 422, a.status)
	require.Contains(t, string(a.body), `{"pointer":"/steps/0/branch/0/steps/0/with/connection","code":"unknown-connection","message":"there is no connection \"office\""}`)
	s.must(201, "PUT", "/v1/connections/office", `{"kind": "slack", "settings": {}, "secrets": {"token": "xoxb-1"}}`)
	a = s.do("PUT", "/v1/workflows/w", document)
	require.Contains(t, string(a.body), `"code":"wrong-connection"`)
	s.must(204, "DELETE", "/v1/connections/office", "")
	s.must(201, "PUT", "/v1/connections/office", smtp)
	s.must(201, "PUT", "/v1/workflows/w", document)
	s.must(200, "POST", "/v1/workflows/w/publish", "{}")

	a = s.do("DELETE", "/v1/connections/office", "")

	require.Equal(t, 409, a.status)
	require.Contains(t, a.object()["detail"], "version 1 of workflow w at /steps/0/branch/0/steps/0/with/connection")
	s.must(200, "GET", "/v1/connections/office", "")
	s.must(200, "POST", "/v1/workflows/w/archive", "")
	s.must(204, "DELETE", "/v1/connections/office", "")
}

func TestBadConnectionsAreRefusedAndNothingIsStored(t *testing.T) {
	t.Parallel()
	s := start(t)
	before := s.stored()
	for name, tt := range map[string]struct {
		path, body, want string
		status           int
	}{
		"unknown kind":      {"/v1/connections/a", `{"kind": "fax", "settings": {}}`, "a connection is one of google, slack, smtp, webhook", 422},
		"no kind":           {"/v1/connections/a", `{"settings": {}}`, "required property kind", 400},
		"bad name":          {"/v1/connections/A%20B", smtp, "a name is 1 to 64 characters", 422},
		"unknown setting":   {"/v1/connections/a", strings.Replace(smtp, `"from"`, `"form"`, 1), "/settings/form", 422},
		"unknown secret":    {"/v1/connections/a", strings.Replace(smtp, `"password"`, `"pasword"`, 1), "/secrets/pasword", 422},
		"no port":           {"/v1/connections/a", strings.Replace(smtp, `:587`, ``, 1), "host:port", 422},
		"bad encryption":    {"/v1/connections/a", strings.Replace(smtp, `"username": "hr"`, `"tls": "some"`, 1), "smtp encryption", 422},
		"bad sender":        {"/v1/connections/a", strings.Replace(smtp, `HR <hr@example.com>`, `HR`, 1), "address", 422},
		"slack of nothing":  {"/v1/connections/a", `{"kind": "slack", "settings": {}}`, "slack needs a token", 422},
		"no google keys":    {"/v1/connections/a", `{"kind": "google", "settings": {}, "secrets": {"credentials": {"type": "user"}}}`, "service account", 422},
		"a short secret":    {"/v1/connections/a", `{"kind": "webhook", "settings": {"url": "https://example.com/"}, "secrets": {"signing": "whsec_c2hvcnQ="}}`, "/settings", 422},
		"a numeric host":    {"/v1/connections/a", `{"kind": "webhook", "settings": {"url": "https://2130706433/"}}`, "/settings", 422},
		"an address's user": {"/v1/connections/a", `{"kind": "webhook", "settings": {"url": "https://canary-user:canary@example.com/"}}`, "/settings", 422},
		"a query":           {"/v1/connections/a", `{"kind": "webhook", "settings": {"url": "https://example.com/?x=1"}}`, "ends before its query", 422},
		"a header in two":   {"/v1/connections/a", `{"kind": "webhook", "settings": {"url": "https://example.com/", "headers": {"X": "a\nb"}}}`, "/settings", 422},
		"a list of secrets": {"/v1/connections/a", `{"kind": "webhook", "settings": {"url": "https://example.com/"}, "secrets": ["canary"]}`, "/secrets", 400},
		"a NUL":             {"/v1/connections/a", `{"kind": "slack", "settings": {}, "secrets": {"token": "x\u0000"}}`, "", 400},
	} {
		a := s.do("PUT", tt.path, tt.body)
		require.Equal(t, tt.status, a.status, "%s: %s", name, a.body)
		require.Contains(t, string(a.body), tt.want, name)
		require.NotContains(t, string(a.body), "canary", name)
	}
	s.must(404, "POST", "/v1/connections/nobody/test", "")
	s.must(404, "DELETE", "/v1/connections/nobody", "")
	require.Equal(t, before, s.stored())
}

func TestATestOfAConnectionDoesNotReachPrivateNetworks(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/connections/crm", `{"kind": "webhook", "settings": {"url": "https://127.0.0.1/"}}`)
	a := s.must(200, "POST", "/v1/connections/crm/test", "")
	require.Equal(t, false, a.object()["ok"])
	require.Contains(t, a.object()["error"], "destination is not allowed")
}

func TestConnectionsNeedTheirScope(t *testing.T) {
	t.Parallel()
	s := locked(t)
	reader, writer := s.as(automation.WorkflowsRead), s.as(automation.ConnectionsWrite)
	require.Equal(t, 403, reader.do("PUT", "/v1/connections/office", smtp).status)
	writer.must(201, "PUT", "/v1/connections/office", smtp)
	require.Equal(t, 200, reader.get("/v1/connections").status)
	require.Equal(t, 403, reader.do("POST", "/v1/connections/office/test", "").status)
	require.Equal(t, 403, reader.do("DELETE", "/v1/connections/office", "").status)
	require.Equal(t, 403, writer.get("/v1/users").status)
}
