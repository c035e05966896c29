package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// instants checks that members are RFC 3339 in UTC and about now, and removes them.
func instants(t *testing.T, object map[string]any, names ...string) {
	t.Helper()
	for _, name := range names {
		text, _ := object[name].(string)
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`, text, name)
		at, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), at, time.Minute, name)
		delete(object, name)
	}
}

func TestAUserIsCreatedChangedReadAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	created := s.must(201, "PUT", "/v1/users/u_7", `{"properties":{"first_name":"Ada","teams":["support","sales","support"],"manager":"u_1"}}`)
	require.Equal(t, "application/json", created.header.Get("Content-Type"))
	u := created.object()
	instants(t, u, "created_at", "updated_at")
	instants(t, u["properties"].(map[string]any), "created_at")
	require.Equal(t, map[string]any{
		"id": "u_7",
		"properties": map[string]any{
			"first_name": "Ada", "teams": []any{"sales", "support"}, "manager": "u_1", "status": "active",
		},
	}, u)

	patched := s.must(200, "PATCH", "/v1/users/u_7", `{"properties":{"first_name":"Grace","teams":null,"super_admin":true}}`).object()
	instants(t, patched["properties"].(map[string]any), "created_at")
	require.Equal(t, map[string]any{"first_name": "Grace", "manager": "u_1", "status": "active", "super_admin": true}, patched["properties"])

	put := s.must(200, "PUT", "/v1/users/u_7", `{"properties":{"last_name":"Hopper"}}`).object()
	instants(t, put["properties"].(map[string]any), "created_at")
	require.Equal(t, map[string]any{"last_name": "Hopper", "status": "active"}, put["properties"], "what is not given is cleared")

	require.Equal(t, s.must(200, "PATCH", "/v1/users/u_7", `{}`).body, s.must(200, "GET", "/v1/users/u_7", "").body)

	gone := s.must(204, "DELETE", "/v1/users/u_7", "")
	require.Empty(t, gone.body)
	s.get("/v1/users/u_7").wants(404, "not-found")
	s.get("/v1/users/u_7/history").wants(404, "not-found")
}

func TestPuttingAUserTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.must(201, "PUT", "/v1/users/u_7", `{"properties":{"first_name":"Ada"}}`)
	before := s.stored()
	second := s.must(200, "PUT", "/v1/users/u_7", `{"properties":{"first_name":"Ada"}}`)
	require.JSONEq(t, string(first.body), string(second.body))
	require.Equal(t, before, s.stored())
}

func TestUsersAreListedByIDInPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 205 {
		s.must(201, "PUT", fmt.Sprintf("/v1/users/u_%03d", i), `{}`)
	}
	for _, page := range []struct {
		query string
		size  int
	}{{"", 50}, {"?page_size=0", 50}, {"?page_size=7", 7}, {"?page_size=200", 200}, {"?page_size=100000", 200}} {
		items, next := s.get("/v1/users" + page.query).items()
		require.Len(t, items, page.size, page.query)
		require.Equal(t, "u_000", items[0]["id"])
		require.NotEmpty(t, next)
	}
	var ids []any
	for query := "?page_size=41"; ; {
		items, next := s.get("/v1/users" + query).items()
		ids = append(ids, column(items, "id")...)
		if next == "" {
			require.Len(t, items, 41, "the last page is full, and nothing follows it")
			break
		}
		query = "?page_size=41&page_token=" + next
	}
	require.Len(t, ids, 205)
	require.Equal(t, "u_000", ids[0])
	require.Equal(t, "u_204", ids[204])
	require.IsIncreasing(t, texts(ids))
}

func texts(values []any) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i], _ = v.(string)
	}
	return list
}

func TestAListOfNothingIsEmpty(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/v1/users", "/v1/workflows", "/v1/enrollments", "/v1/notifications"} {
		require.JSONEq(t, `{"items":[],"next":null}`, string(s.get(path).body), path)
	}
}

func TestABatchOfUsersCreatesAndChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/users/u_1", `{"properties":{"first_name":"Ada","last_name":"Lovelace"}}`)
	a := s.must(200, "POST", "/v1/users/batch", `{"items":[
		{"id":"u_1","properties":{"first_name":"Augusta"}},
		{"id":"u_2","properties":{"first_name":"Grace"}},
		{"id":"u_3","properties":{"colour":"red","first_name":5}},
		{"id":"","properties":{}},
		{"id":"u_4"}
	]}`)
	require.JSONEq(t, `{"items":[
		{"id":"u_1","status":"updated"},
		{"id":"u_2","status":"created"},
		{"id":"u_3","status":"refused","errors":[
			{"pointer":"/items/2/properties/colour","code":"unknown-property","message":"there is no property \"colour\"; declare it with PUT /v1/properties/{name}"},
			{"pointer":"/items/2/properties/first_name","code":"wrong-type","message":"first_name must be a text"}
		]},
		{"id":"","status":"refused","errors":[{"pointer":"/items/3/id","code":"invalid-user-id","message":"a user id must not be empty"}]},
		{"id":"u_4","status":"created"}
	]}`, string(a.body))
	u := s.get("/v1/users/u_1").object()["properties"].(map[string]any)
	require.Equal(t, "Augusta", u["first_name"])
	require.Equal(t, "Lovelace", u["last_name"], "what is not given stays")
	s.get("/v1/users/u_3").wants(404, "not-found")
}

func TestAHistoryIsListedNewestFirstInPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/users/u_1", `{"properties":{"scheduling_pages":0}}`)
	s.must(201, "PUT", "/v1/users/u_2", `{"properties":{"scheduling_pages":100}}`)
	for i := range 6 {
		s.must(200, "PATCH", "/v1/users/u_1", fmt.Sprintf(`{"properties":{"scheduling_pages":%d}}`, i+1))
	}
	items, next := s.get("/v1/users/u_1/history?page_size=4").items()
	require.Equal(t, []any{6.0, 5.0, 4.0, 3.0}, column(items, "new"))
	instants(t, items[0], "at")
	require.Equal(t, map[string]any{"property": "scheduling_pages", "old": 5.0, "new": 6.0, "source": "api"}, items[0])

	items, next = s.get("/v1/users/u_1/history?page_size=4&page_token=" + next).items()
	require.Equal(t, []any{2.0, 1.0}, column(items, "new")[:2])
	require.Len(t, items, 4)
	require.NotEmpty(t, next)

	items, next = s.get("/v1/users/u_1/history?page_size=4&page_token=" + next).items()
	require.Len(t, items, 1, "created_at, status and the first value")
	require.Nil(t, items[0]["old"])
	require.Empty(t, next)
}

func TestAPropertyIsDeclaredChangedAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.must(201, "PUT", "/v1/properties/plan", `{"type":"enum","options":["free","team"]}`)
	require.JSONEq(t, `{"name":"plan","label":"plan","type":"enum","options":["free","team"],"group":"custom","built_in":false}`, string(a.body))
	a = s.must(200, "PUT", "/v1/properties/plan", `{"type":"enum","options":["free","team","all"],"label":"Plan","group":"billing"}`)
	require.JSONEq(t, `{"name":"plan","label":"Plan","type":"enum","options":["free","team","all"],"group":"billing","built_in":false}`, string(a.body))
	require.JSONEq(t, string(a.body), string(s.get("/v1/properties/plan").body))
	s.must(200, "PUT", "/v1/properties/plan", `{"type":"string"}`)
	s.must(204, "DELETE", "/v1/properties/plan", "")
	s.get("/v1/properties/plan").wants(404, "not-found")

	a = s.must(200, "PUT", "/v1/properties/seats", `{"type":"multi_enum","options":["sales"],"label":"Seats","group":"access"}`)
	require.Equal(t, true, a.object()["built_in"])
	s.do("PUT", "/v1/users/u_1", `{"properties":{"seats":["core"]}}`).wants(422, "wrong-type", "/properties/seats wrong-type")
	s.must(201, "PUT", "/v1/users/u_1", `{"properties":{"seats":["sales"]}}`)
}

func TestPropertiesAreListedByGroup(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/properties/zodiac", `{"type":"string","group":"access"}`)
	items, next := s.get("/v1/properties").items()
	require.Empty(t, next)
	names := strings.Join(texts(column(items, "name")), " ")
	require.True(t, strings.HasPrefix(names, "access permission_sets seats status super_admin zodiac availability calendar_status "), names)
	require.Len(t, items, 28)
	for _, p := range items {
		require.NotEmpty(t, p["label"])
		require.NotEmpty(t, p["type"])
	}
}

func TestAWriteAnswersJSONWhateverIsAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, accept := range []string{"text/html", "application/xml", "*/*", "text/html,application/xhtml+xml;q=0.9", "application/cbor", ";;"} {
		a := s.do("PUT", "/v1/users/u_1", `{}`, "Accept: "+accept)
		require.Equal(t, "application/json", a.header.Get("Content-Type"), accept)
		require.Equal(t, "u_1", a.object()["id"])
		require.Equal(t, http.StatusNotFound, s.do("GET", "/v1/users/u_2", "", "Accept: "+accept).problem().Status)
	}
}
