package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/connect"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
	"rollcall/secrets"
)

// connectionsAPI answers as the API does about connections.
func connectionsAPI(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/connections", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items": [{"name": "office", "kind": "smtp", "settings": {}, "configured": ["password"], "created_at": "2027-01-04T08:00:00Z", "updated_at": "2027-01-04T08:00:00Z"},
			{"name": "crm", "kind": "webhook", "settings": {}, "configured": [], "disabled_at": "2027-01-04T08:00:00Z", "disabled_reason": "gone", "created_at": "2027-01-04T08:00:00Z", "updated_at": "2027-01-04T08:00:00Z"}]}`)
	})
	mux.HandleFunc("PUT /v1/connections/office", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(text), `"settings":{"address":"mail.example.com:587"}`) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"errors": [{"pointer": "/settings/server", "code": "unknown-field", "message": "there is no such field"}]}`)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"name": "office", "kind": "smtp"}`)
	})
	mux.HandleFunc("POST /v1/connections/office/test", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok": true, "what": "logged in", "took_ms": 12}`)
	})
	mux.HandleFunc("POST /v1/connections/crm/test", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok": false, "what": "x", "error": "status 410 Gone", "took_ms": 12}`)
	})
	mux.HandleFunc("DELETE /v1/connections/office", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("DELETE /v1/connections/crm", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"detail": "needed by version 1 of workflow w"}`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestConnectionsAreKeptFromTheCommandLine(t *testing.T) {
	t.Parallel()
	env := environment(map[string]string{"ROLLCALL_API": connectionsAPI(t).URL})
	good := file(t, "office.yaml", "kind: smtp\nsettings: { address: \"mail.example.com:587\" }\n")
	bad := file(t, "bad.yaml", "kind: smtp\nsettings: { server: \"mail.example.com:587\" }\n")
	for _, tt := range []struct {
		args      string
		want, err string
	}{
		{"list", "office  smtp     password  2027-01-04 08:00  enabled\ncrm     webhook            2027-01-04 08:00  disabled: gone\n", ""},
		{"put office " + good, "the connection office (smtp) is saved\n", ""},
		{"put office " + bad, bad + ": /settings/server unknown-field there is no such field\n", "there is a problem"},
		{"test office", "office works: logged in in 12 ms\n", ""},
		{"test crm", "", "status 410 Gone"},
		{"delete office", "", ""},
		{"delete crm", "", "needed by version 1 of workflow w"},
	} {
		var out strings.Builder
		err := run(t.Context(), append([]string{"connection"}, strings.Fields(tt.args)...), env, &out, io.Discard)
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err, tt.args)
		} else {
			require.NoError(t, err, tt.args)
		}
		require.Contains(t, out.String(), tt.want)
	}
}

func TestKeysOfSecretsAreMadeRotatedAndUsed(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	keys := filepath.Join(t.TempDir(), "keyset.json")
	env := environment(map[string]string{"DATABASE_URL": url, "ROLLCALL_SECRETS_KEYSET_FILE": keys})
	rollcall := func(args ...string) (string, error) {
		var out strings.Builder
		err := run(t.Context(), append([]string{"secrets"}, args...), env, &out, io.Discard)
		return out.String(), err
	}
	_, err := rollcall("new", keys)
	require.NoError(t, err)
	info, err := os.Stat(keys)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = rollcall("new", keys)
	require.ErrorIs(t, err, os.ErrExist, "a keyset is never written over")
	printed, err := rollcall("new")
	require.NoError(t, err)
	_, err = secrets.Parse(printed)
	require.NoError(t, err)

	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	connections := func() *activities.Connections {
		text, err := os.ReadFile(keys)
		require.NoError(t, err)
		box, err := secrets.Parse(string(text))
		require.NoError(t, err)
		return activities.NewConnections(db, box, activities.Outgoing{Client: connect.NewHTTPClient(connect.Guard{})})
	}
	_, _, err = connections().Put(t.Context(), "chat", automation.ConnectionDraft{Kind: "slack", Settings: map[string]any{}, Secrets: map[string]any{"token": "xoxb-1"}}, "")
	require.NoError(t, err)
	before, err := db.Connection(t.Context(), "chat")
	require.NoError(t, err)

	out, err := rollcall("rotate", keys)
	require.NoError(t, err)
	require.Contains(t, out, "has 2 keys now")
	out, err = rollcall("reseal")
	require.NoError(t, err)
	require.Equal(t, "1 connections were sealed anew\n", out)

	after, err := db.Connection(t.Context(), "chat")
	require.NoError(t, err)
	require.NotEqual(t, before.Sealed, after.Sealed)
	_, _, err = connections().Put(t.Context(), "chat", automation.ConnectionDraft{Kind: "slack", Settings: map[string]any{}}, "")
	require.NoError(t, err, "the token is read with the new key")
	require.NoError(t, os.WriteFile(keys, []byte(printed), 0o600))
	_, err = rollcall("reseal")
	require.ErrorIs(t, err, secrets.ErrSealed)
	env = environment(map[string]string{"DATABASE_URL": url})
	_, err = rollcall("reseal")
	require.ErrorIs(t, err, activities.ErrNoKeyset)
}
