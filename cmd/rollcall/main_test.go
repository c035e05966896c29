package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestReadmeListsEveryVariable(t *testing.T) {
	t.Parallel()
	variable := regexp.MustCompile(`\b(?:ROLLCALL_[A-Z_]+|DATABASE_URL)\b`)
	names := func(file string) []string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		found := variable.FindAllString(string(text), -1)
		slices.Sort(found)
		return slices.Compact(found)
	}
	require.Equal(t, names("config.go"), names("../../README.md"))
}

func TestConfigurationNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	base := map[string]string{"DATABASE_URL": "postgres://x"}
	for name, c := range map[string]struct{ variable, value, want string }{
		"no database":     {"DATABASE_URL", "", "DATABASE_URL is required"},
		"short key":       {"ROLLCALL_API_KEYS", "short", "ROLLCALL_API_KEYS: a key has at least 16 characters"},
		"no boolean":      {"ROLLCALL_ALLOW_HTTP", "maybe", "ROLLCALL_ALLOW_HTTP must be true or false"},
		"no network":      {"ROLLCALL_ALLOW_NETWORKS", "10.0.0.1", `ROLLCALL_ALLOW_NETWORKS: "10.0.0.1" is not a network such as 10.1.0.0/16`},
		"no level":        {"ROLLCALL_LOG_LEVEL", "loud", "ROLLCALL_LOG_LEVEL must be debug, info, warn or error"},
		"no such keyfile": {"ROLLCALL_GOOGLE_CREDENTIALS_FILE", "/nowhere", "ROLLCALL_GOOGLE_CREDENTIALS_FILE: open /nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := map[string]string{}
			for k, v := range base {
				values[k] = v
			}
			values[c.variable] = c.value

			_, err := configFromEnv(environment(values), io.Discard)

			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestKeysAreMadeListedAndRevoked(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	rollcall := func(args ...string) string {
		var out strings.Builder
		require.NoError(t, run(t.Context(), append([]string{"key"}, args...), environment(map[string]string{"DATABASE_URL": url}), &out, io.Discard))
		return out.String()
	}
	text := strings.TrimSpace(rollcall("create", "--name", "crm", "--scopes", "users:read,events:write", "--days", "90"))
	id, _, ok := automation.ParseKeyText(text)
	require.True(t, ok)
	require.Regexp(t, id+` +crm +until .* never +users:read events:write`, rollcall("list"))
	require.Contains(t, rollcall("revoke", id), "is revoked")
	require.Regexp(t, id+` +crm +revoked`, rollcall("list"))
	err := run(t.Context(), []string{"key", "create", "--name", "x", "--scopes", "root"}, environment(map[string]string{"DATABASE_URL": url}), io.Discard, io.Discard)
	require.ErrorContains(t, err, `there is no scope "root"`)
}

func TestServeRefusesAnOldSchemaAndNamesTheCommand(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	require.NoError(t, postgres.Migrate(t.Context(), url), "doing it again is harmless")
	behind(t, url)

	err = run(t.Context(), []string{"serve"}, environment(map[string]string{"DATABASE_URL": url, "ROLLCALL_LISTEN": "127.0.0.1:0"}), io.Discard, io.Discard)

	require.ErrorContains(t, err, "run `rollcall migrate`")
}

func TestHelpNamesTheCommands(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"--help"}, environment(nil), &out, io.Discard))
	for _, name := range []string{"serve", "worker", "migrate", "health"} {
		require.Contains(t, out.String(), name)
	}
}

// behind makes a database look as if an older binary had migrated it.
func behind(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), `update schema_version set version = version - 1`)
	require.NoError(t, err)
}
