package api_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/api"
)

func TestBadJSONIsRefusedByItsFault(t *testing.T) {
	t.Parallel()
	const event = "POST /v1/events"
	user := "PUT /v1/users/u_2"
	in := func(value string) string { return `{"properties": {"first_name": ` + value + `}}` }
	refused(t, []badInput{
		{name: "B1 an empty body", request: event, status: 400, slug: "malformed-json"},
		{name: "B1 an empty definition", request: "PUT /v1/workflows/x", status: 400, slug: "malformed-json"},
		{name: "B1 nothing but spaces", request: event, body: " \n", status: 400, slug: "malformed-json"},
		{name: "B2 a body that ends too early", request: event, body: `{"name":"` + canary + `",`, status: 400, slug: "malformed-json"},
		{name: "B2 a text without end", request: event, body: `{"name":"` + canary, status: 400, slug: "malformed-json"},
		{name: "B2 no JSON at all", request: event, body: canary, status: 400, slug: "malformed-json"},
		{name: "B2 a comma too many", request: event, body: `{"name":"login","user_id":"u_1",}`, status: 400, slug: "malformed-json"},
		{name: "B2 a definition that ends too early", request: "PUT /v1/workflows/x", body: `{"name":"x",`, status: 400, slug: "malformed-json"},
		{name: "B3 two documents", request: event, body: `{"name":"login","user_id":"u_1"} {"name":"` + canary + `"}`, status: 400, slug: "malformed-json"},
		{name: "B3 two documents in a definition", request: "PUT /v1/workflows/x", body: waiting + waiting, status: 400, slug: "malformed-json"},
		{name: "B4 a member twice", request: event, body: `{"name":"login","user_id":"u_1","name":"` + canary + `"}`, status: 400, slug: "duplicate-member"},
		{name: "B4 a member twice in a definition", request: "PUT /v1/workflows/x", body: `{"name":"x","name":"y"}`, status: 400, slug: "duplicate-member"},
		{name: "B5 a member in the wrong case", request: event, body: `{"Name":"` + canary + `","user_id":"u_1"}`, status: 400, slug: "unknown-field", places: []string{"/Name unknown-field", "schema-violation"}},
		{name: "B5 an optional member in the wrong case", request: event, body: `{"name":"login","user_id":"u_1","ID":"` + canary + `"}`, status: 400, slug: "unknown-field", places: []string{"/ID unknown-field"}},
		{name: "B5 a member of a user in the wrong case", request: user, body: `{"Properties": {"first_name": "` + canary + `"}}`, status: 400, slug: "unknown-field", places: []string{"/Properties unknown-field"}},
		{name: "B5 a member of a definition in the wrong case", request: "PUT /v1/workflows/x", body: `{"Name":"x","triggers":[{"manual":true}],"steps":[{"delay":"1h"}]}`, status: 422, slug: "definition-invalid", places: []string{"/Name unknown-field"}},
		{name: "B6 an unknown member", request: event, body: `{"name":"login","user_id":"u_1","` + canary[:3] + `":"` + canary + `"}`, status: 400, slug: "unknown-field", places: []string{"/can unknown-field"}},
		{name: "B6 an unknown member of an item", request: "POST /v1/events/batch", body: `{"items":[{"name":"login","user_id":"u_1"},{"name":"login","user_id":"u_1","colour":1}]}`, status: 400, slug: "unknown-field", places: []string{"/items/1/colour unknown-field"}},
		{name: "B6 an unknown member with a dot and a slash", request: user, body: `{"a.b/c~d":1}`, status: 400, slug: "unknown-field", places: []string{"/a.b~1c~0d unknown-field"}},
		{name: "B6 an unknown member of a definition", request: "PUT /v1/workflows/x", body: `{"name":"x","colour":1,"triggers":[{"manual":true}],"steps":[{"delay":"1h"}]}`, status: 422, slug: "definition-invalid", places: []string{"/colour unknown-field"}},
		{name: "B7 a read-only member", request: user, body: `{"id":"u_2","created_at":"2026-01-01T00:00:00Z"}`, status: 400, slug: "unknown-field", places: []string{"/created_at unknown-field", "/id unknown-field"}},
		{name: "B7 a read-only property", request: user, body: `{"properties":{"created_at":"2026-01-01T00:00:00Z"}}`, status: 422, slug: "read-only-field", places: []string{"/properties/created_at read-only-field"}},
		{name: "B9 half a surrogate pair", request: user, body: in(`"` + canary + `\ud800"`), status: 400, slug: "invalid-utf8"},
		{name: "B9 bytes that are not UTF-8", request: user, body: in("\"" + canary + "\xff\""), status: 400, slug: "invalid-utf8"},
		{name: "B10 the character U+0000", request: user, body: in(`"` + canary + `\u0000"`), status: 400, slug: "nul-character"},
		{name: "B10 the character U+0000 in a name", request: user, body: `{"properties": {"a\u0000": "` + canary + `"}}`, status: 400, slug: "nul-character"},
		{name: "B11 arrays 33 deep", request: user, body: strings.Repeat("[", 33) + strings.Repeat("]", 33), status: 400, slug: "json-too-deep"},
		{name: "B11 arrays 10,001 deep", request: user, body: strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), status: 400, slug: "json-too-deep"},
		{name: "B11 arrays 33 deep in a definition", request: "PUT /v1/workflows/x", body: strings.Repeat("[", 33) + strings.Repeat("]", 33), status: 400, slug: "json-too-deep"},
		{name: "B12 NaN", request: user, body: in("NaN"), status: 400, slug: "malformed-json"},
		{name: "B12 Infinity", request: user, body: in("-Infinity"), status: 400, slug: "malformed-json"},
		{name: "B12 1e400", request: user, body: in("1e400"), status: 400, slug: "malformed-json"},
		{name: "B14 1.0 for an integer", request: "GET /v1/users?page_size=1.0", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B15 a text where an object is expected", request: user, body: `"` + canary + `"`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B15 a list where an object is expected", request: user, body: `{"properties":["` + canary + `"]}`, status: 400, slug: "schema-violation", places: []string{"/properties schema-violation"}},
		{name: "B15 null where an object is expected", request: event, body: `null`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B15 a text where a definition is expected", request: "PUT /v1/workflows/x", body: `"` + canary + `"`, status: 422, slug: "definition-invalid", places: []string{"wrong-type"}},
		{name: "B16 a byte order mark", request: event, body: "\ufeff" + `{"name":"login","user_id":"u_1"}`, status: 400, slug: "malformed-json"},
	})
}

func TestBadTransportIsRefusedBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	const good = `{"name":"login","user_id":"u_1"}`
	refused(t, []badInput{
		{name: "B19 a compressed body", request: "POST /v1/events", body: good, headers: []string{"Content-Encoding: gzip"}, status: 415, slug: "unsupported-encoding"},
		{name: "B20 text", request: "POST /v1/events", body: good, headers: []string{"Content-Type: text/plain"}, status: 415, slug: "unsupported-media-type"},
		{name: "B20 XML", request: "POST /v1/events", body: good, headers: []string{"Content-Type: application/xml"}, status: 415, slug: "unsupported-media-type"},
		{name: "B20 a form", request: "POST /v1/events", body: good, headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415, slug: "unsupported-media-type"},
		{name: "B20 no type", request: "POST /v1/events", body: good, headers: []string{"Content-Type: "}, status: 415, slug: "unsupported-media-type"},
		{name: "B20 a type that is none", request: "POST /v1/events", body: good, headers: []string{"Content-Type: ;;"}, status: 415, slug: "unsupported-media-type"},
		{name: "B20 YAML where no definition is taken", request: "POST /v1/events", body: "name: login", headers: []string{"Content-Type: application/yaml"}, status: 415, slug: "unsupported-media-type"},
		{name: "B20 text for a definition", request: "PUT /v1/workflows/x", body: waiting, headers: []string{"Content-Type: text/plain"}, status: 415, slug: "unsupported-media-type"},
		{name: "B21 another charset", request: "POST /v1/events", body: good, headers: []string{"Content-Type: application/json; charset=utf-16"}, status: 415, slug: "unsupported-media-type"},
		{name: "B23 an address of 16 KiB", request: "GET /v1/users/" + strings.Repeat("a", 16<<10), status: 414, slug: "uri-too-long"},
		{name: "B25 a method that the resource does not take", request: "PATCH /v1/workflows/waiting", status: 405, slug: "method-not-allowed", allow: "GET, PUT, DELETE"},
		{name: "B25 a method that nothing takes", request: "BREW /v1/actions", status: 405, slug: "method-not-allowed", allow: "GET"},
		{name: "B26 a path that climbs", request: "GET /v1/users/..%2f..%2fadmin", status: 404, slug: "not-found"},
		{name: "B26 two slashes", request: "GET //v1/users", status: 404, slug: "not-found"},
		{name: "B26 two slashes inside", request: "GET /v1//users", status: 404, slug: "not-found"},
		{name: "B26 a slash at the end", request: "GET /v1/users/", status: 404, slug: "not-found"},
		{name: "B26 a slash at the end of an id", request: "GET /v1/users/u_1/", status: 404, slug: "not-found"},
		{name: "B26 nothing there", request: "GET /v2/users", status: 404, slug: "not-found"},
		{name: "B42 a negative page size", request: "GET /v1/users?page_size=-1", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B42 a page size that is no number", request: "GET /v1/users?page_size=abc", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B42 a page size beyond 64 bits", request: "GET /v1/users?page_size=99999999999999999999", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "an unknown query parameter", request: "GET /v1/users?pagesize=1", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "a query parameter in the wrong case", request: "GET /v1/users?Page_Size=1", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "a query parameter where none is taken", request: "PUT /v1/users/u_2?dry_run=true", body: `{}`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "a value outside an enum", request: "GET /v1/enrollments?status=" + canary, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "a query that cannot be read", request: "GET /v1/enrollments?user=%zz", status: 400, slug: "schema-violation"},
	})
}

func TestABadPageTokenIsRefused(t *testing.T) {
	t.Parallel()
	const place = "invalid-page-token"
	refused(t, []badInput{
		{name: "not base64", request: "GET /v1/users?page_token=" + canary + "*", status: 400, slug: place},
		{name: "not JSON", request: "GET /v1/users?page_token=Y2FuYXJ5", status: 400, slug: place},
		{name: "of another list", request: "GET /v1/users?page_token=NQ", status: 400, slug: place},                                                                                             // 5
		{name: "with a text that cannot be stored, of users", request: "GET /v1/users?page_token=Ilx1MDAwMCI", status: 400, slug: place},                                                        // "\u0000"
		{name: "with a text that cannot be stored, of workflows", request: "GET /v1/workflows?page_token=Ilx1MDAwMCI", status: 400, slug: place},                                                // "\u0000"
		{name: "without an id", request: "GET /v1/enrollments?page_token=e30", status: 400, slug: place},                                                                                        // {}
		{name: "with an id that is none", request: "GET /v1/enrollments?page_token=eyJDcmVhdGVkQXQiOiIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIklEIjoieCJ9", status: 400, slug: place},                     // {"CreatedAt":"2026-01-01T00:00:00Z","ID":"x"}
		{name: "without an id, of runs", request: "GET /v1/workflows/waiting/runs?page_token=e30", status: 400, slug: place},                                                                    // {}
		{name: "with an id that is none, of runs", request: "GET /v1/workflows/waiting/runs?page_token=eyJDcmVhdGVkQXQiOiIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIklEIjoieCJ9", status: 400, slug: place}, // {"CreatedAt":"2026-01-01T00:00:00Z","ID":"x"}
		{name: "beyond 64 bits, of a history", request: "GET /v1/users/u_1/history?page_token=OTk5OTk5OTk5OTk5OTk5OTk5OTk5", status: 400, slug: place},                                          // 99999999999999999999
		{name: "beyond 64 bits, of notifications", request: "GET /v1/notifications?page_token=OTk5OTk5OTk5OTk5OTk5OTk5OTk5", status: 400, slug: place},                                          // 99999999999999999999
	})
}

func TestTextThatCannotBeStoredIsNobodysName(t *testing.T) {
	t.Parallel()
	rows := []badInput{
		{name: "B41 in the id of a new user", request: "PUT /v1/users/%00", body: `{}`, status: 422, slug: "invalid-user-id", places: []string{"/id invalid-user-id"}},
		{name: "B41 bytes that are not UTF-8 in the id of a new user", request: "PUT /v1/users/%ff", body: `{}`, status: 422, slug: "invalid-user-id", places: []string{"/id invalid-user-id"}},
		{name: "B41 in the id of a user to change", request: "PATCH /v1/users/%00", body: `{}`, status: 422, slug: "invalid-user-id", places: []string{"/id invalid-user-id"}},
		{name: "in the name of a new property", request: "PUT /v1/properties/a%00", body: `{"type":"string"}`, status: 422, slug: "invalid-name", places: []string{"/name invalid-name"}},
		{name: "in the name of a new workflow", request: "PUT /v1/workflows/a%00", body: strings.Replace(waiting, `"name": "waiting",`, "", 1), status: 422, slug: "definition-invalid", places: []string{"/name invalid-name"}},
		{name: "in the body of an enrollment", request: "POST /v1/workflows/waiting/enrollments", body: `{"user_id":"\u0000"}`, status: 400, slug: "nul-character"},
	}
	for _, request := range []string{
		"GET /v1/users/%00", "GET /v1/users/%ff", "DELETE /v1/users/%00", "GET /v1/users/%00/history",
		"GET /v1/properties/%ff", "DELETE /v1/properties/%00", "GET /v1/workflows/%00", "DELETE /v1/workflows/%ff",
		"POST /v1/workflows/%00/publish", "POST /v1/workflows/%00/pause", "POST /v1/workflows/%00/archive",
		"GET /v1/workflows/%00/versions", "GET /v1/workflows/%00/versions/1", "GET /v1/enrollments/%00", "POST /v1/enrollments/%00/unenroll",
		"GET /v1/workflows/%00/decisions?user=u_1", "POST /v1/workflows/%ff/preview", "GET /v1/workflows/%00/explain?user=u_1",
		"GET /v1/workflows/%00/runs", "GET /v1/workflows/waiting/runs/%00", "POST /v1/workflows/waiting/runs/%ff/pause",
		"GET /v1/workflows/%00/held", "POST /v1/workflows/%ff/held/approve", "POST /v1/workflows/%00/held/reject",
	} {
		rows = append(rows, badInput{name: request, request: request, status: 404, slug: "not-found"})
	}
	for _, request := range []string{
		"GET /v1/enrollments?user=%00", "GET /v1/enrollments?workflow=%ff", "GET /v1/notifications?user=%00",
		"GET /v1/workflows/waiting/decisions?user=%00", "GET /v1/workflows/waiting/explain?user=%00", "GET /v1/workflows/waiting/explain?user=u_1&at=%00",
		"GET /v1/users?filter=%00", "GET /v1/workflows/waiting/runs?page_token=%ff",
	} {
		rows = append(rows, badInput{name: request, request: request, status: 400, slug: "schema-violation"})
	}
	refused(t, rows)
}

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	t.Parallel()
	var rows []badInput
	for _, request := range []string{
		"GET /v1/users/nobody", "PATCH /v1/users/nobody", "DELETE /v1/users/nobody", "GET /v1/users/nobody/history",
		"GET /v1/properties/none", "DELETE /v1/properties/none", "GET /v1/workflows/none", "DELETE /v1/workflows/none",
		"POST /v1/workflows/none/publish", "POST /v1/workflows/none/pause", "POST /v1/workflows/none/resume",
		"POST /v1/workflows/none/archive", "GET /v1/workflows/none/versions", "GET /v1/workflows/waiting/versions/2",
		"GET /v1/workflows/waiting/versions/2147483647", "GET /v1/workflows/none/versions/1", "GET /v1/workflows/none/decisions?user=u_1", "GET /v1/enrollments/none",
		"GET /v1/enrollments/01890a5d-ac96-774b-bcce-b302099a8057", "POST /v1/enrollments/none/unenroll",
		"POST /v1/enrollments/01890a5d-ac96-774b-bcce-b302099a8057/unenroll",
		"POST /v1/workflows/none/preview", "GET /v1/workflows/none/explain?user=u_1", "GET /v1/workflows/none/runs", "GET /v1/workflows/waiting/runs/none",
		"GET /v1/workflows/waiting/runs/01890a5d-ac96-774b-bcce-b302099a8057", "POST /v1/workflows/waiting/runs/none/pause", "POST /v1/workflows/waiting/runs/none/resume",
		"POST /v1/workflows/waiting/runs/01890a5d-ac96-774b-bcce-b302099a8057/abort", "GET /v1/workflows/none/held",
		"POST /v1/workflows/none/held/approve", "POST /v1/workflows/none/held/reject",
	} {
		row := badInput{name: "B33 " + request, request: request, status: 404, slug: "not-found"}
		if strings.HasPrefix(request, "PATCH") {
			row.body = `{"properties":{"first_name":"` + canary + `"}}`
		}
		rows = append(rows, row)
	}
	rows = append(rows,
		badInput{name: "B33 a version that is no number", request: "GET /v1/workflows/waiting/versions/x", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		badInput{name: "B33 the version 0", request: "GET /v1/workflows/waiting/versions/0", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		badInput{name: "B33 a version beyond 32 bits", request: "GET /v1/workflows/waiting/versions/2147483648", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		badInput{name: "B33 the decisions about nobody", request: "GET /v1/workflows/waiting/decisions", status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
	)
	refused(t, rows)
}

func TestWithoutAKeyNobodyCalls(t *testing.T) {
	t.Parallel()
	wantsKey := func(name, request string, headers ...string) badInput {
		return badInput{name: name, request: request, headers: headers, status: 401, slug: "unauthenticated"}
	}
	refused(t, []badInput{
		wantsKey("B27 no key", "GET /v1/users", "Authorization: "),
		wantsKey("B27 no key, nothing there", "GET /v1/nothing", "Authorization: "),
		wantsKey("B27 no key, an address in disguise", "GET /%76%31/users", "Authorization: "),
		wantsKey("B27 no key for the metrics", "GET /metrics", "Authorization: "),
		wantsKey("B28 another key", "GET /v1/users", "Authorization: Bearer "+canary),
		wantsKey("B28 half a key", "GET /v1/users", "Authorization: Bearer correct"),
		wantsKey("B28 no key after the scheme", "GET /v1/users", "Authorization: Bearer "),
		wantsKey("B28 another scheme", "GET /v1/users", "Authorization: Basic correct-horse"),
		wantsKey("B28 a key of 10 KiB", "GET /v1/users", "Authorization: Bearer "+strings.Repeat("x", 10<<10)),
		wantsKey("B29 the key in the query", "GET /v1/users?api_key=correct-horse", "Authorization: "),
	}, func(d *api.Deps) { d.Keys = []string{"correct-horse", "battery-staple"} })
}

func TestEachConfiguredKeyOpensTheAPI(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) { d.Keys = []string{"correct-horse", "battery-staple"} })
	require.Equal(t, 200, s.do("GET", "/v1/users", "", "Authorization: Bearer battery-staple").status)
	require.Equal(t, 200, s.do("GET", "/metrics", "", "Authorization: Bearer correct-horse").status)
	require.Equal(t, "Bearer", s.do("GET", "/v1/users", "", "Authorization: ").header.Get("WWW-Authenticate"))
	for _, open := range []string{"/healthz", "/readyz", "/openapi.json", "/docs"} {
		require.Equal(t, 200, s.do("GET", open, "", "Authorization: ").status, open)
	}
}

func TestABodyOfExactlyTheLimitIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	limits := []struct {
		name, method, path, body string
		headers                  []string
		limit, status            int
	}{
		{"a batch of users", "POST", "/v1/users/batch", `{"items":[]}`, nil, 1 << 20, 200},
		{"a definition", "PUT", "/v1/workflows/waiting", waiting, nil, 512 << 10, 200},
		{"a definition in YAML", "PUT", "/v1/workflows/welcome", "name: welcome\ntriggers: [{manual: true}]\nsteps: [{delay: 1h}]\n", []string{"Content-Type: application/yaml"}, 512 << 10, 201},
	}
	for _, l := range limits {
		full := l.body + strings.Repeat(" ", l.limit-len(l.body))
		for _, chunked := range []bool{false, true} {
			send := func(body string) answer {
				request := httptest.NewRequestWithContext(t.Context(), l.method, l.path, strings.NewReader(body))
				if chunked {
					request.ContentLength = -1
				}
				return s.send(request, l.headers...)
			}
			over := send(full + " ")
			over.wants(413, "payload-too-large")
			a := send(full)
			require.Equal(t, l.status, a.status, "%s: %s", l.name, a.body)
			l.status = 200
		}
	}
}

func TestABodyThatBreaksOffIsTheCallersFault(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	before := s.stored()
	body := io.MultiReader(strings.NewReader(`{"name":"`+canary), brokenReader{})
	request := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/events", body)
	request.ContentLength = 400
	s.send(request).wants(400, "malformed-json")
	require.Equal(t, before, s.stored())
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the connection was lost") }
