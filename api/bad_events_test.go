package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABadEventIsRefused(t *testing.T) {
	t.Parallel()
	event := func(name string) string { return `{"name":` + quoted(name) + `,"user_id":"u_1"}` }
	at := func(time string) string { return `{"name":"login","user_id":"u_1","occurred_at":"` + time + `"}` }
	bad := func(name, body, code, place string) badInput {
		return badInput{name: name, request: "POST /v1/events", body: body, status: 422, slug: code, places: []string{place + " " + code}}
	}
	shape := func(name, body string, place string) badInput {
		return badInput{name: name, request: "POST /v1/events", body: body, status: 400, slug: "schema-violation", places: []string{strings.TrimSpace(place + " schema-violation")}}
	}
	refused(t, []badInput{
		shape("B46 no name", `{"user_id":"u_1"}`, ""),
		bad("B46 an empty name", event(""), "event-invalid", "/name"),
		bad("B46 a name of 257 characters", event(strings.Repeat("n", 257)), "event-invalid", "/name"),
		bad("B46 a reserved name", event("$login"), "event-invalid", "/name"),
		bad("B46 a name of the system, about users", event("user.created"), "event-invalid", "/name"),
		bad("B46 a name of the system, about properties", event("property.changed"), "event-invalid", "/name"),
		shape("B46 a name that is no text", `{"name":5,"user_id":"u_1"}`, "/name"),
		{name: "B47 an unknown user", request: "POST /v1/events", body: `{"name":"login","user_id":"nobody"}`, status: 422, slug: "unknown-user"},
		bad("B47 no user id", `{"name":"login","user_id":""}`, "invalid-user-id", "/user_id"),
		bad("B47 a user id that nobody can have", `{"name":"login","user_id":"a/b"}`, "invalid-user-id", "/user_id"),
		bad("an event id of 256 bytes", `{"id":"`+strings.Repeat("i", 256)+`","name":"login","user_id":"u_1"}`, "event-invalid", "/id"),
		bad("B53 the year 1970", at("1970-01-01T00:00:00Z"), "timestamp-too-old", "/occurred_at"),
		bad("B53 the year 1", at("0001-01-01T00:00:00Z"), "timestamp-too-old", "/occurred_at"),
		bad("B53 a day ahead", at(time.Now().Add(24*time.Hour).Format(time.RFC3339)), "timestamp-in-future", "/occurred_at"),
		bad("B53 the year 9999", at("9999-12-31T23:59:59Z"), "timestamp-in-future", "/occurred_at"),
		shape("B53 the year 10000", at("10000-01-01T00:00:00Z"), "/occurred_at"),
		shape("B55 no zone", at("2026-11-21T10:00:00"), "/occurred_at"),
		shape("B55 a date", at("2026-11-21"), "/occurred_at"),
		shape("B55 no time at all", at(canary), "/occurred_at"),
		shape("B55 a number", `{"name":"login","user_id":"u_1","occurred_at":1700000000}`, "/occurred_at"),
		shape("B56 a leap second", at("2026-12-31T23:59:60Z"), "/occurred_at"),
		{name: "B60 properties of 33 KiB", request: "POST /v1/events", body: `{"name":"login","user_id":"u_1","properties":{"text":"` + canary + strings.Repeat("x", 33<<10) + `"}}`, status: 413, slug: "payload-too-large", places: []string{"/properties payload-too-large"}},
		{name: "several faults at once", request: "POST /v1/events", body: `{"id":"` + strings.Repeat("i", 256) + `","name":"","user_id":"","occurred_at":"1970-01-01T00:00:00Z"}`, status: 422, slug: "event-invalid", places: []string{"/id event-invalid", "/name event-invalid", "/occurred_at timestamp-too-old", "/user_id invalid-user-id"}},
		{name: "B58 a batch of 1,001 events", request: "POST /v1/events/batch", body: `{"items":[` + strings.TrimSuffix(strings.Repeat(event("login")+",", 1001), ",") + `]}`, status: 413, slug: "batch-too-large"},
		{name: "B58 a batch without items", request: "POST /v1/events/batch", body: `{}`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
		{name: "B58 a batch that is a list", request: "POST /v1/events/batch", body: `[]`, status: 400, slug: "schema-violation", places: []string{"schema-violation"}},
	})
}

func TestABatchOfEventsAnswersForEachItem(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	big := `{"text":"` + strings.Repeat("x", 33<<10) + `"}`
	a := s.must(202, "POST", "/v1/events/batch", `{"items":[
		{"id":"e_1","name":"login","user_id":"u_1"},
		{"id":"e_2","name":"user.created","user_id":"u_1"},
		{"id":"e_3","name":"login","user_id":"nobody"},
		{"id":"e_1","name":"login","user_id":"u_1"},
		{"id":"e_4","name":"login","user_id":"u_1","properties":`+big+`},
		{"id":"e_5","name":"login","user_id":"u_1","occurred_at":"1970-01-01T00:00:00Z"},
		{"id":"e_6","name":"login","user_id":"u_1","properties":{"from":"Oslo"}}
	]}`)
	type place struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	type item struct {
		ID     string  `json:"id"`
		Status string  `json:"status"`
		Errors []place `json:"errors"`
	}
	var out struct {
		Items []item `json:"items"`
	}
	a.into(&out)
	require.Equal(t, []item{
		{"e_1", "accepted", nil},
		{"e_2", "refused", []place{{"/items/1/name", "event-invalid", `names that begin with "user.", "property." or "$" are the system's own`}}},
		{"e_3", "refused", []place{{"/items/2", "unknown-user", `"nobody": there is no such user`}}},
		{"e_1", "duplicate", nil},
		{"e_4", "refused", []place{{"/items/4/properties", "payload-too-large", "the properties of an event have at most 32 KiB"}}},
		{"e_5", "refused", []place{{"/items/5/occurred_at", "timestamp-too-old", "an event is at most five years old"}}},
		{"e_6", "accepted", nil},
	}, out.Items)
	require.Equal(t, 2, s.sent())
}

func TestABatchOf999GoodEventsAndABadOneStoresTheGoodOnes(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	items := make([]string, 1000)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":"e_%d","name":"login","user_id":"u_1"}`, i)
	}
	items[500] = `{"id":"e_500","name":"login","user_id":"nobody"}`
	answers := results(s.must(202, "POST", "/v1/events/batch", `{"items":[`+strings.Join(items, ",")+`]}`))
	require.Len(t, answers, 1000)
	require.Equal(t, "refused", answers[500]["status"])
	require.Equal(t, "accepted", answers[999]["status"])
	require.Equal(t, 999, s.sent())
}

func TestABatchOfNothingIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	require.JSONEq(t, `{"items":[]}`, string(s.must(202, "POST", "/v1/events/batch", `{"items":[]}`).body))
	require.JSONEq(t, `{"items":[]}`, string(s.must(200, "POST", "/v1/users/batch", `{"items":[]}`).body))
}

func TestTheSizeOfAnEventIsThatOfWhatWasSent(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	// {"text":"…"} around it, and each of these characters counts once.
	fits := strings.Repeat("<&>", (32<<10-len(`{"text":""}`))/3)
	s.must(202, "POST", "/v1/events", `{"name":"login","user_id":"u_1","properties":{"text":"`+fits+`"}}`)
	a := s.do("POST", "/v1/events", `{"name":"login","user_id":"u_1","properties":{"text":"`+fits+`xxxx"}}`)
	a.wants(413, "payload-too-large", "/properties payload-too-large")
}

func TestOddButGoodEventsAreTaken(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	for name, body := range map[string]string{
		"B14 a zero with a sign":        `{"name":"login","user_id":"u_1","properties":{"n":-0}}`,
		"B54 thirty days old":           `{"name":"login","user_id":"u_1","occurred_at":"` + time.Now().Add(-30*24*time.Hour).Format(time.RFC3339) + `"}`,
		"B55 another zone":              `{"name":"login","user_id":"u_1","occurred_at":"` + time.Now().In(time.FixedZone("", 9000)).Format(time.RFC3339Nano) + `"}`,
		"B62 names that look like code": `{"name":"'; drop table users; --","user_id":"u_1","properties":{"a.b":1,"$where":2,"\"; drop table events; --":3}}`,
		"a name of 256 bytes":           `{"name":"` + strings.Repeat("n", 256) + `","user_id":"u_1"}`,
		"an id of 255 bytes":            `{"id":"` + strings.Repeat("i", 255) + `","name":"login","user_id":"u_1"}`,
		"nulls for what is optional":    `{"id":null,"name":"login","user_id":"u_1","occurred_at":null,"properties":null}`,
		"a name that is nearly taken":   `{"name":"users.created","user_id":"u_1"}`,
		"another charset's name":        `{"name":"żółw 🐢","user_id":"u_1"}`,
	} {
		require.Equal(t, 202, s.do("POST", "/v1/events", body).status, name)
	}
	require.Equal(t, 202, s.do("POST", "/v1/events", `{"name":"login","user_id":"u_1"}`, "Content-Type: Application/JSON; Charset=UTF-8", "Content-Encoding: identity").status)
	require.Equal(t, 10, s.sent())
}
