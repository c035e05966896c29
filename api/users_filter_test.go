package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// usersFor is the address of the users for whom a filter holds.
func usersFor(filter string) string { return "/v1/users?filter=" + url.QueryEscape(filter) }

func TestUsersAreListedByFilterInPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/properties/age", `{"type":"number"}`)
	s.crowd(60)
	even := []string{}
	for i := 0; i < 60; i += 2 {
		even = append(even, fmt.Sprintf("c_%02d", i))
		s.must(200, "PATCH", "/v1/users/"+even[len(even)-1], `{"properties":{"teams":["support"]}}`)
	}
	filter := usersFor(`{"property":"teams","op":"any_of","value":["support"]}`)
	for _, size := range []int{1, 7, 10, 29, 30, 31} {
		var ids []any
		for query := fmt.Sprintf("%s&page_size=%d", filter, size); ; {
			items, next := s.get(query).items()
			ids = append(ids, column(items, "id")...)
			if next == "" {
				break
			}
			require.Len(t, items, size)
			query = fmt.Sprintf("%s&page_size=%d&page_token=%s", filter, size, next)
		}
		require.Equal(t, even, texts(ids), "pages of %d", size)
	}
	first, next := s.get(filter + "&page_size=2").items()
	require.Equal(t, s.get("/v1/users/c_00").object(), first[0], "as one that is read alone")
	others, _ := s.get(usersFor(`{"property":"age","op":"at_most","value":25}`) + "&page_token=" + next).items()
	require.Equal(t, []any{"c_03", "c_04", "c_05"}, column(others, "id"), "a token is a place, whatever the filter")
}

func TestUsersAreListedByFiltersOfAllForms(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(201, "PUT", "/v1/properties/end_date", `{"type":"date"}`)
	s.must(201, "PUT", "/v1/users/u_1", `{"properties":{"first_name":"Ada 100%","hire_date":"2026-01-10","end_date":"2026-01-10","time_zone":"Pacific/Kiritimati","last_active_at":"2026-01-01T12:00:00Z"}}`)
	s.must(201, "PUT", "/v1/users/u_2", `{"properties":{"first_name":"Grace","hire_date":"2026-01-11","end_date":"2026-01-10","teams":["a","b"]}}`)
	s.must(200, "PATCH", "/v1/users/u_2", `{"properties":{"first_name":"Żaneta"}}`)
	s.must(202, "POST", "/v1/events", `{"name":"login","user_id":"u_2","properties":{"from":"Oslo"}}`)
	s.must(201, "PUT", "/v1/workflows/waiting", waiting)
	s.must(200, "POST", "/v1/workflows/waiting/publish", "")
	s.enroll("waiting", "u_1")
	for filter, want := range map[string][]any{
		`{"property":"first_name","op":"contains","value":"%"}`:                                                                            {"u_1"},
		`{"property":"first_name","op":"starts_with","value":"ŻA"}`:                                                                        {"u_2"},
		`{"property":"first_name","ever":true,"op":"equals","value":"grace"}`:                                                              {"u_2"},
		`{"property":"first_name","of":"changed_at","op":"after","value":"now-1d"}`:                                                        {"u_1", "u_2"},
		`{"property":"hire_date","op":"on","value":{"property":"end_date"}}`:                                                               {"u_1"},
		`{"property":"hire_date","of":"anniversary","op":"on","value":"2031-01-11"}`:                                                       {"u_2"},
		`{"property":"last_active_at","op":"on","value":"2026-01-02","time_zone":"user"}`:                                                  {"u_1"},
		`{"property":"last_active_at","op":"on","value":"2026-01-02"}`:                                                                     {},
		`{"property":"teams","op":"exactly","value":["b","a"]}`:                                                                            {"u_2"},
		`{"property":"teams","op":"none_of","value":["c"],"if_empty":true}`:                                                                {"u_1", "u_2"},
		`{"not":{"property":"teams","op":"known"}}`:                                                                                        {"u_1"},
		`{"event":"login","op":"at_least","count":1,"within":"1d","where":{"event_property":"from","op":"equals","value":"oslo"}}`:         {"u_2"},
		`{"event":"login","op":"at_most","count":0}`:                                                                                       {"u_1"},
		`{"workflow":"waiting","op":"active"}`:                                                                                             {"u_1"},
		`{"workflow":"waiting","op":"never_enrolled"}`:                                                                                     {"u_2"},
		`{"workflow":"none","op":"completed"}`:                                                                                             {},
		`{"time_zone":"Asia/Tokyo","any":[{"property":"hire_date","op":"before","value":"now/d-1d"},{"workflow":"none","op":"enrolled"}]}`: {"u_1", "u_2"},
	} {
		items, next := s.get(usersFor(filter)).items()
		require.Equal(t, want, column(items, "id"), filter)
		require.Empty(t, next)
	}
}

func TestABadFilterOfUsersIsRefused(t *testing.T) {
	t.Parallel()
	unread := func(name, filter, slug string) badInput {
		return badInput{name: name, request: "GET " + usersFor(filter), status: 400, slug: slug}
	}
	bad := func(name, filter, slug string, places ...string) badInput {
		return badInput{name: name, request: "GET " + usersFor(filter), status: 422, slug: slug, places: places}
	}
	const known = `{"property":"age","op":"known"}`
	refused(t, []badInput{
		unread("B2 a filter that ends too early", `{"property":"`+canary, "malformed-json"),
		unread("B2 no JSON", canary, "malformed-json"),
		unread("B2 nothing but a space", " ", "malformed-json"),
		unread("B3 two filters", known+known, "malformed-json"),
		unread("B4 a member twice", `{"op":"known","op":"`+canary+`"}`, "duplicate-member"),
		unread("B9 half a surrogate pair", `{"property":"first_name","op":"equals","value":"`+canary+`\ud800"}`, "invalid-utf8"),
		unread("B10 the character U+0000", `{"property":"first_name","op":"equals","value":"`+canary+`\u0000"}`, "nul-character"),
		unread("B11 33 levels", strings.Repeat("[", 33)+strings.Repeat("]", 33), "json-too-deep"),
		unread("B12 NaN", `{"property":"age","op":"equals","value":NaN}`, "malformed-json"),
		unread("B16 a byte order mark", "\ufeff"+known, "malformed-json"),
		bad("B15 null", "null", "wrong-type", "wrong-type"),
		bad("B15 a list", "["+known+"]", "wrong-type", "wrong-type"),
		bad("B15 a text", `"age"`, "wrong-type", "wrong-type"),
		bad("D27 an unknown property", `{"property":"colour","op":"known"}`, "unknown-property", "/property unknown-property"),
		bad("D28 an operator of another type", `{"property":"age","op":"contains","value":"3"}`, "operator-type-mismatch", "/op operator-type-mismatch"),
		bad("D30 nothing", `{}`, "condition-invalid", "condition-invalid"),
		bad("D30 all of nothing", `{"all":[]}`, "empty-group", "empty-group"),
		bad("D30 nine levels", strings.Repeat(`{"not":`, 8)+known+strings.Repeat(`}`, 8), "filter-too-complex", strings.Repeat("/not", 8)+" filter-too-complex"),
		bad("D32 a property named like code", `{"property":"'; DROP TABLE users; --","op":"known"}`, "unknown-property", "/property unknown-property"),
		bad("an event where there is none", `{"event_property":"plan","op":"known"}`, "no-event", "/event_property no-event"),
		bad("an unknown time zone", `{"property":"hire_date","op":"on","value":"now/d","time_zone":"Europe/Atlantis"}`, "unknown-time-zone", "/time_zone unknown-time-zone"),
		bad("several faults", `{"all":[{"property":"colour","op":"known"},{"workflow":"waiting","op":"known"}]}`, "unknown-property", "/all/0/property unknown-property", "/all/1/op operator-type-mismatch"),
		{name: "B10 a filter that cannot be stored", request: "GET /v1/users?filter=%00", status: 400, slug: "schema-violation"},
		{name: "B9 a filter that is not UTF-8", request: "GET /v1/users?filter=%22%ff%22", status: 400, slug: "schema-violation"},
		{name: "B23 a filter of 9 KiB", request: "GET " + usersFor(`{"property":"first_name","op":"equals","value":"`+strings.Repeat("x", 9<<10)+`"}`), status: 414, slug: "uri-too-long"},
		{name: "a page that is none", request: "GET " + usersFor(known) + "&page_token=" + canary, status: 400, slug: "invalid-page-token"},
	})
}
