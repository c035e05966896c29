package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABadUserIsRefused(t *testing.T) {
	t.Parallel()
	declare := func(s *service) {
		s.must(201, "PUT", "/v1/properties/birthday", `{"type":"date"}`)
		s.must(201, "PUT", "/v1/properties/plan", `{"type":"enum","options":["free","team"]}`)
		s.must(201, "PUT", "/v1/properties/vip", `{"type":"bool"}`)
		s.must(201, "PUT", "/v1/properties/mentors", `{"type":"users"}`)
	}
	id := func(name, path string) badInput {
		return badInput{name: name, request: "PUT /v1/users/" + path, body: `{}`, status: 422, slug: "invalid-user-id", places: []string{"/id invalid-user-id"}}
	}
	value := func(name, property, value, code string) badInput {
		return badInput{
			name: name, given: declare, request: "PATCH /v1/users/u_1", body: `{"properties":{` + quoted(property) + `:` + value + `}}`,
			status: 422, slug: code, places: []string{"/properties/" + property + " " + code},
		}
	}
	refused(t, []badInput{
		id("B41 an id of 129 bytes", strings.Repeat("a", 129)),
		id("B41 an id of 256 bytes", strings.Repeat("a", 256)),
		id("B41 an id of 1,000 bytes", strings.Repeat("a", 1000)),
		id("B41 an id that climbs", "..%2f"),
		id("B41 an id of two lines", "a%0ab"),
		id("B41 an id with a delete", "a%7fb"),
		{name: "B41 an id of 1,025 bytes", request: "PUT /v1/users/" + strings.Repeat("a", 1025), body: `{}`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		value("B63 a text for a number", "age", `"12"`, "wrong-type"),
		value("B63 another text for a number", "age", `"`+canary+`"`, "wrong-type"),
		value("B63 an empty text for a number", "age", `""`, "wrong-type"),
		value("B63 a truth for a number", "age", `true`, "wrong-type"),
		value("B63 a list for a number", "age", `[]`, "wrong-type"),
		value("B63 an object for a number", "age", `{"`+canary+`":1}`, "wrong-type"),
		value("B63 a number for a text", "first_name", `12`, "wrong-type"),
		value("B63 a list for a text", "first_name", `["`+canary+`"]`, "wrong-type"),
		value("B63 a text for a truth", "vip", `"true"`, "wrong-type"),
		value("B63 a text for a list", "teams", `"`+canary+`"`, "wrong-type"),
		value("B63 a list of numbers", "teams", `[1]`, "wrong-type"),
		value("B63 a list with an empty text", "teams", `[""]`, "wrong-type"),
		value("B63 a list in a list", "mentors", `[["u_1"]]`, "wrong-type"),
		value("B63 a value outside the options", "plan", `"enterprise"`, "wrong-type"),
		value("B64 the 29th of February of a common year", "birthday", `"2027-02-29"`, "wrong-type"),
		value("B64 an instant for a date", "birthday", `"2027-02-28T00:00:00Z"`, "wrong-type"),
		value("B64 no date at all", "birthday", `"`+canary+`"`, "wrong-type"),
		value("B65 an instant without a zone", "last_active_at", `"2027-03-14T02:30:00"`, "wrong-type"),
		value("a time zone that does not exist", "time_zone", `"Europe/Atlantis"`, "wrong-type"),
		value("B67 a text of 65,537 bytes", "first_name", `"`+canary+strings.Repeat("x", 65_537-len(canary))+`"`, "value-too-long"),
		value("B68 an unknown property", "colour", `"`+canary+`"`, "unknown-property"),
		value("B68 a property in the wrong case", "Age", `36`, "unknown-property"),
		value("B62 an empty name", "", `1`, "unknown-property"),
		value("B62 a name of 129 characters", strings.Repeat("n", 129), `1`, "unknown-property"),
		value("B62 a name that looks like code", `"; drop table users; --`, `1`, "unknown-property"),
		value("B62 a name that looks like a path", `a.$b`, `1`, "unknown-property"),
		value("B71 an address without a dot", "email", `"a@b"`, "invalid-email"),
		value("B71 an address in quotes", "email", `"\"x y\"@b.c"`, "invalid-email"),
		value("B71 an address of a number", "email", `"a@[127.0.0.1]"`, "invalid-email"),
		value("B71 an address of 255 characters", "email", `"`+strings.Repeat("a", 64)+"@"+strings.Repeat(strings.Repeat("b", 62)+".", 3)+"c"+`"`, "invalid-email"),
		value("B71 an address with a header behind it", "email", `"a@b.c\r\nBcc:x@b.c"`, "invalid-email"),
		value("B71 an address with a line behind it", "email", `"a@b.c\n"`, "invalid-email"),
		value("B71 two addresses", "email", `"a@b.c,d@e.f"`, "invalid-email"),
		value("B71 an address with a name", "email", `"`+canary+` <a@b.c>"`, "invalid-email"),
		{
			name: "several faults at once, in a new user", request: "PUT /v1/users/u_2", body: `{"properties":{"age":"x","colour":1,"email":"` + canary + `"}}`,
			status: 422, slug: "wrong-type", places: []string{"/properties/age wrong-type", "/properties/colour unknown-property", "/properties/email invalid-email"},
		},
		{name: "B58 a batch of 1,001 users", request: "POST /v1/users/batch", body: `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"id":"u_2"},`, 1001), ",") + `]}`, status: 413, slug: "batch-too-large"},
		{name: "a user of a batch without an id", request: "POST /v1/users/batch", body: `{"items":[{"properties":{}}]}`, status: 400, slug: "schema-violation", places: []string{"/items/0 schema-violation"}},
	})
}

func TestABadPropertyIsRefused(t *testing.T) {
	t.Parallel()
	bad := func(name, property, body, slug string, places ...string) badInput {
		return badInput{name: name, request: "PUT /v1/properties/" + property, body: body, status: 422, slug: slug, places: places}
	}
	conflict := func(name, request, body string, given func(s *service)) badInput {
		return badInput{name: name, request: request, body: body, given: given, status: 409, slug: "in-use"}
	}
	refused(t, []badInput{
		bad("B62 a name of 129 characters", strings.Repeat("n", 128)+"x", `{"type":"string"}`, "invalid-name", "/name invalid-name"),
		bad("B62 a name with a dot", "a.b", `{"type":"string"}`, "invalid-name", "/name invalid-name"),
		bad("B62 a name with a capital letter", "Age", `{"type":"string"}`, "invalid-name", "/name invalid-name"),
		bad("B62 a name that looks like code", "%22;%20drop%20table%20users;%20--", `{"type":"string"}`, "invalid-name", "/name invalid-name"),
		bad("an unknown type", "colour", `{"type":"colour"}`, "unknown-type", "/type unknown-type"),
		bad("no type", "colour", `{"type":""}`, "unknown-type", "/type unknown-type"),
		bad("options that are not taken", "colour", `{"type":"string","options":["red"]}`, "options-not-taken", "/options options-not-taken"),
		bad("an option twice, and an empty one", "colour", `{"type":"enum","options":["red","red",""]}`, "invalid-option", "/options/1 invalid-option", "/options/2 invalid-option"),
		bad("a label of 201 bytes", "colour", `{"type":"string","label":"`+strings.Repeat("x", 201)+`"}`, "too-long", "/label too-long"),
		{name: "no type at all", request: "PUT /v1/properties/colour", body: `{}`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "a type that is no text", request: "PUT /v1/properties/colour", body: `{"type":1}`, status: 400, slug: "schema-violation", places: []string{"/type schema-violation"}},
		conflict("another type for a built-in one", "PUT /v1/properties/email", `{"type":"number"}`, nil),
		conflict("another type for one with values", "PUT /v1/properties/age", `{"type":"string"}`, nil),
		conflict("another type for one that a workflow uses", "PUT /v1/properties/colour", `{"type":"number"}`, usesColour),
		conflict("the deletion of a built-in one", "DELETE /v1/properties/email", "", nil),
		conflict("the deletion of one with values", "DELETE /v1/properties/age", "", nil),
		conflict("the deletion of one that a workflow uses", "DELETE /v1/properties/colour", "", usesColour),
	})
}

func usesColour(s *service) {
	s.must(201, "PUT", "/v1/properties/colour", `{"type":"string"}`)
	s.must(201, "PUT", "/v1/workflows/coloured", `{
		"name": "coloured", "triggers": [{"filter": {"property": "colour", "op": "known"}}], "steps": [{"id": "wait", "delay": "1h"}]
	}`)
	s.must(200, "POST", "/v1/workflows/coloured/publish", "")
}

func TestOddButGoodUsersAreTaken(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	for path, id := range map[string]string{
		strings.Repeat("a", 128):         strings.Repeat("a", 128),
		"%F0%9F%90%A2":                   "🐢",
		"with%20spaces":                  "with spaces",
		"..":                             "..",
		"a+b":                            "a+b",
		"a+b%2Cc":                        "a+b,c",
		"a%2Bb%3Ac":                      "a+b:c",
		"100%25":                         "100%",
		"%27;%20drop%20table%20users;--": "'; drop table users;--",
		"a%3Fb%23c":                      "a?b#c",
		"batch":                          "batch",
		"a%5Cb":                          `a\b`,
	} {
		a := s.must(201, "PUT", "/v1/users/"+path, `{"properties":{"first_name":"`+"x"+`"}}`)
		require.Equal(t, id, a.object()["id"], path)
		require.Equal(t, id, s.must(200, "GET", "/v1/users/"+path, "").object()["id"], path)
		s.must(204, "DELETE", "/v1/users/"+path, "")
	}
}

func TestNullClearsAPropertyOnce(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(200, "PATCH", "/v1/users/u_1", `{"properties":{"age":null}}`)
	s.must(200, "PATCH", "/v1/users/u_1", `{"properties":{"age":null}}`)
	u := s.must(200, "GET", "/v1/users/u_1", "").object()
	require.NotContains(t, u["properties"], "age")
	changes, _ := s.get("/v1/users/u_1/history").items()
	require.Equal(t, "age", changes[0]["property"])
	require.InDelta(t, 36, changes[0]["old"], 0)
	require.Nil(t, changes[0]["new"])
	require.NotEqual(t, "age", changes[1]["property"], "cleared once")
}
