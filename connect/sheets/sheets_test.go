package sheets_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
	"rollcall/connect/sheets"
)

func TestAppendRowMapsColumnsToCells(t *testing.T) {
	t.Parallel()
	g := google(t)
	g.header = []any{"Name", "Team", "Joined"}
	got, err := g.client(t).AppendRow(t.Context(), "abc", "My 'sheet'", []sheets.Column{
		{Name: "Joined", Value: "=1+2"}, {Name: "Name", Value: "Ada"},
	})
	require.NoError(t, err)
	require.Equal(t, "Team!A7:C7", got)
	require.Equal(t, []string{
		"POST /token",
		"GET /v4/spreadsheets/abc/values/'My ''sheet'''!1:1",
		"POST /v4/spreadsheets/abc/values/'My ''sheet'''!A1:append RAW INSERT_ROWS [[\"Ada\",null,\"=1+2\"]]",
	}, g.requests())
}

func TestAppendRowWritesTheColumnsOfAnEmptySheet(t *testing.T) {
	t.Parallel()
	g := google(t)
	_, err := g.client(t).AppendRow(t.Context(), "abc", "", []sheets.Column{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}})
	require.NoError(t, err)
	require.Equal(t, []string{
		"POST /token",
		"GET /v4/spreadsheets/abc/values/1:1",
		"PUT /v4/spreadsheets/abc/values/A1 RAW  [[\"b\",\"a\"]]",
		"POST /v4/spreadsheets/abc/values/A1:append RAW INSERT_ROWS [[\"1\",\"2\"]]",
	}, g.requests())
}

func TestAppendRowNamesAMissingColumn(t *testing.T) {
	t.Parallel()
	g := google(t)
	g.header = []any{"Name", "", 7}
	_, err := g.client(t).AppendRow(t.Context(), "abc", "Team", []sheets.Column{{Name: "Nmae", Value: "Ada"}, {Name: "7", Value: "x"}})
	require.EqualError(t, err, `append row: sheet has no column "Nmae"; it has Name, 7`)
	require.True(t, connect.IsPermanent(err))
	require.Equal(t, connect.Invalid, connect.Class(err))
	require.Len(t, g.requests(), 2)
}

func TestAppendRowRefusesBadRows(t *testing.T) {
	t.Parallel()
	g := google(t)
	for _, c := range []struct {
		spreadsheet string
		row         []sheets.Column
	}{
		{"", []sheets.Column{{Name: "a"}}},
		{"a/b", []sheets.Column{{Name: "a"}}},
		{"abc", nil},
		{"abc", []sheets.Column{{Name: " "}}},
		{"abc", []sheets.Column{{Name: "a"}, {Name: "a "}}},
	} {
		_, err := g.client(t).AppendRow(t.Context(), c.spreadsheet, "", c.row)
		require.True(t, connect.IsPermanent(err))
	}
	require.Empty(t, g.requests())
}

func TestAppendRowJudgesAnswers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		permanent bool
		class     string
	}{
		302: {true, connect.Status}, 400: {true, connect.Status}, 401: {true, connect.Auth},
		403: {true, connect.Auth}, 404: {true, connect.Status},
		429: {false, connect.Status}, 500: {false, connect.Status}, 503: {false, connect.Status},
	} {
		for _, at := range []string{"token", "api"} {
			t.Run(fmt.Sprint(at, status), func(t *testing.T) {
				t.Parallel()
				g := google(t)
				g.fail(at, status)
				_, err := g.client(t).AppendRow(t.Context(), "abc", "Team", []sheets.Column{{Name: "a"}})
				require.Error(t, err)
				require.Equal(t, want.permanent, connect.IsPermanent(err))
				require.Equal(t, status, connect.StatusCode(err))
				if at == "api" {
					require.Equal(t, want.class, connect.Class(err))
				} else if want.permanent {
					require.Equal(t, connect.Auth, connect.Class(err))
				}
				require.Contains(t, err.Error(), "The reason why")
				wait, ok := connect.RetryAfter(err)
				require.Equal(t, !want.permanent, ok)
				if ok {
					require.Equal(t, 60*time.Second, wait)
				}
			})
		}
	}
}

func TestTokensAreKeptAndReplacedOnceRefused(t *testing.T) {
	t.Parallel()
	g := google(t)
	g.header = []any{"a"}
	c := g.client(t)
	row := []sheets.Column{{Name: "a", Value: "1"}}
	for range 2 {
		_, err := c.AppendRow(t.Context(), "abc", "", row)
		require.NoError(t, err)
	}
	g.revoke()
	_, err := c.AppendRow(t.Context(), "abc", "", row)
	require.NoError(t, err)
	require.Equal(t, 2, g.tokens())
}

func TestTokensAreFetchedThroughTheGuard(t *testing.T) {
	t.Parallel()
	g := google(t)
	client, err := sheets.New(t.Context(), sheets.Config{Endpoint: g.server.URL, CredentialsJSON: g.credentials(t)},
		connect.NewHTTPClient(connect.Guard{}))
	require.NoError(t, err)
	_, err = client.AppendRow(t.Context(), "abc", "", []sheets.Column{{Name: "a"}})
	require.Equal(t, connect.Blocked, connect.Class(err))
	require.True(t, connect.IsPermanent(err))
	require.Empty(t, g.requests())
}

func TestNewRefusesBadCredentials(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"", "{", `{"type":"authorized_user"}`, `{"type":"service_account","client_email":"a@b.test","private_key":"secret"}`,
	} {
		_, err := sheets.New(t.Context(), sheets.Config{CredentialsJSON: []byte(file)}, http.DefaultClient)
		require.True(t, connect.IsPermanent(err), file)
		require.NotContains(t, err.Error(), "secret")
	}
}

// key is one for all tests, as making one takes longer than any of them.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// fakeGoogle answers as the token endpoint and the Sheets API do.
type fakeGoogle struct {
	server *httptest.Server
	header []any
	column []any

	mu      sync.Mutex
	log     []string
	issued  int
	valid   string
	failAt  string
	failing int
}

func google(t *testing.T) *fakeGoogle {
	t.Helper()
	g := &fakeGoogle{}
	g.server = httptest.NewServer(g)
	t.Cleanup(g.server.Close)
	return g
}

func (g *fakeGoogle) client(t *testing.T) *sheets.Client {
	t.Helper()
	addr := netip.MustParseAddrPort(g.server.Listener.Addr().String())
	c, err := sheets.New(t.Context(), sheets.Config{Endpoint: g.server.URL, CredentialsJSON: g.credentials(t)},
		connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{addr}}))
	require.NoError(t, err)
	return c
}

func (g *fakeGoogle) credentials(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key())
	require.NoError(t, err)
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "rollcall@project.test", "token_uri": g.server.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	require.NoError(t, err)
	return file
}

func (g *fakeGoogle) requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.log...)
}

func (g *fakeGoogle) tokens() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.issued
}

func (g *fakeGoogle) revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.valid = ""
}

func (g *fakeGoogle) fail(at string, status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failAt, g.failing = at, status
}

func (g *fakeGoogle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	line := r.Method + " " + r.URL.Path
	if r.Method != http.MethodGet && r.URL.Path != "/token" {
		var body struct {
			Values, Data     json.RawMessage
			ValueInputOption string
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		q := r.URL.Query()
		line += " " + q.Get("valueInputOption") + body.ValueInputOption + " " + q.Get("insertDataOption") + " " + string(body.Values) + string(body.Data)
	}
	column := r.URL.Query().Get("majorDimension") == "COLUMNS"
	if column {
		line += " " + r.URL.RawQuery
	}
	g.log = append(g.log, line)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	token := r.URL.Path == "/token"
	switch {
	case g.failing != 0 && token == (g.failAt == "token") && (g.failAt != "column" || column):
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(g.failing)
		_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":"The reason why.","status":"SOMETHING"}}`, g.failing)
	case token:
		g.issued++
		g.valid = fmt.Sprint("Bearer t", g.issued)
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","expires_in":3599,"token_type":"Bearer"}`, g.issued)
	case r.Header.Get("Authorization") != g.valid:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}`)
	case column && g.column == nil:
		_, _ = io.WriteString(w, `{}`)
	case column:
		_ = json.NewEncoder(w).Encode(map[string]any{"values": [][]any{g.column}})
	case strings.HasSuffix(r.URL.Path, ":batchUpdate"):
		_, _ = io.WriteString(w, `{"spreadsheetId":"abc","totalUpdatedRows":1,"responses":[{"spreadsheetId":"abc","updatedRange":"'My ''sheet'''!C7","updatedRows":1}]}`)
	case r.Method == http.MethodGet && g.header == nil:
		_, _ = io.WriteString(w, `{"range":"Team!A1:Z1","majorDimension":"ROWS"}`)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(map[string]any{"range": "Team!A1:Z1", "majorDimension": "ROWS", "values": [][]any{g.header}})
	case r.Method == http.MethodPut:
		_, _ = io.WriteString(w, `{"spreadsheetId":"abc","updatedRange":"Team!A1:B1","updatedRows":1}`)
	default:
		_, _ = io.WriteString(w, `{"spreadsheetId":"abc","tableRange":"Team!A1:C6","updates":{"spreadsheetId":"abc","updatedRange":"Team!A7:C7","updatedRows":1}}`)
	}
}
