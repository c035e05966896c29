package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// badFilters are definitions with filters, guards and conditions to leave that could not be published.
func badFilters() []badDefinition {
	head := func(name, head string, places ...string) badDefinition {
		return badDefinition{name: name, body: `{"name": "x", ` + head + `, "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`, places: places}
	}
	filter := func(name, tree string, places ...string) badDefinition {
		for i, p := range places {
			places[i] = "/enroll/unless" + p
		}
		return head(name, `"enroll": {"unless": `+tree+`}`, places...)
	}
	date := func(name, member string, places ...string) badDefinition {
		return filter(name, `{"property": "hire_date", `+member+`}`, places...)
	}
	event := func(name, member string, places ...string) badDefinition {
		return filter(name, `{"event": "login", `+member+`}`, places...)
	}
	guard := func(name, guard string, places ...string) badDefinition {
		return head(name, `"guard": `+guard, places...)
	}
	const atlantis = `"time_zone": "Europe/Atlantis"`
	const known = `{"property": "age", "op": "known"}`
	long := strings.Repeat("x", 17<<10)
	return []badDefinition{
		head("an unknown property in enroll.unless", `"enroll": {"unless": {"property": "colour", "op": "known"}}`, "/enroll/unless/property unknown-property"),
		head("an unknown property in unenroll.when", `"unenroll": {"when": {"any": [`+known+`, {"property": "colour", "op": "known"}]}}`, "/unenroll/when/any/1/property unknown-property"),
		head("an event where there is none, in enroll.unless", `"enroll": {"unless": {"event_property": "plan", "op": "known"}}`, "/enroll/unless/event_property no-event"),
		head("an event where there is none, in unenroll.when", `"unenroll": {"when": {"event_property": "plan", "op": "known"}}`, "/unenroll/when/event_property no-event"),
		head("B15 a text for a filter", `"enroll": {"unless": "nobody"}, "unenroll": {"when": []}`, "/enroll/unless wrong-type", "/unenroll/when wrong-type"),
		head("leaving when a trigger stops that cannot", `"unenroll": {"when_trigger_stops": true}`, "/unenroll/when_trigger_stops trigger-missing"),
		head("B6 an unknown member of unenroll", `"unenroll": {"if": {}}`, "/unenroll/if unknown-field"),
		head("an unknown zone of a filter and of the workflow", `"time_zone": "Mars/Olympus", "enroll": {"unless": {"all": [{"property": "hire_date", "op": "on", "value": "now/d", `+atlantis+`}], `+atlantis+`}}`,
			"/enroll/unless/all/0/time_zone unknown-time-zone", "/enroll/unless/time_zone unknown-time-zone", "/time_zone unknown-time-zone"),
		date("an unknown zone of a condition", `"op": "before", "value": "now", `+atlantis, "/time_zone unknown-time-zone"),
		date("a zone that climbs", `"op": "before", "value": "now", "time_zone": "../../../etc/passwd"`, "/time_zone unknown-time-zone"),
		date("a zone that depends on the machine, in a filter", `"op": "before", "value": "now", "time_zone": "Local"`, "/time_zone unknown-time-zone"),
		date("a zone in the wrong case", `"op": "before", "value": "now", "time_zone": "europe/warsaw"`, "/time_zone unknown-time-zone"),
		date("a zone that is no text", `"op": "before", "value": "now", "time_zone": 5`, "/time_zone wrong-type"),
		date("B64 the 29th of February of a common year in a filter", `"op": "on", "value": "2027-02-29"`, "/value operand-invalid"),
		date("date math that is none", `"op": "before", "value": "now-30x"`, "/value operand-invalid"),
		date("date math beyond a hundred years", `"op": "before", "value": "now-99999999d"`, "/value operand-invalid"),
		date("on an instant", `"op": "on", "value": "now"`, "/value operand-invalid"),
		date("between in reverse", `"op": "between", "value": ["2027-01-02", "2027-01-01"]`, "/value operand-invalid"),
		date("a list of one for between", `"op": "between", "value": ["2027-01-02"]`, "/value operand-invalid"),
		date("another property that is unknown", `"op": "after", "value": {"property": "end_date"}`, "/value operand-invalid"),
		date("another property of another type", `"op": "after", "value": {"property": "age"}`, "/value operand-invalid"),
		date("an aspect that is none", `"of": "created_at", "op": "known"`, "/of condition-invalid"),
		date("an aspect and ever", `"of": "changed_at", "ever": true, "op": "known"`, "/ever condition-invalid"),
		date("a count of a property", `"op": "known", "count": 1, "within": "1d", "where": `+known, "/count condition-invalid", "/where condition-invalid", "/within condition-invalid"),
		filter("an anniversary of a text", `{"property": "first_name", "of": "anniversary", "op": "on", "value": "now/d"}`, "/of condition-invalid"),
		filter("texts of 17 KiB together", `{"property": "first_name", "op": "contains", "value": "`+long+`"}`, "/value operand-invalid"),
		filter("1,001 operands", `{"property": "age", "op": "equals", "value": [`+strings.Repeat("1,", 1000)+`1]}`, "/value operand-invalid"),
		filter("an empty text that everything contains", `{"property": "first_name", "op": "contains", "value": ""}`, "/value operand-invalid"),
		filter("a condition about two things", `{"property": "age", "event": "login", "op": "known"}`, " condition-invalid"),
		event("no count", `"op": "at_least"`, " operand-invalid"),
		event("at least none", `"op": "at_least", "count": 0`, "/count operand-invalid"),
		event("more than can be counted", `"op": "at_most", "count": 10001`, "/count operand-invalid"),
		event("B14 half an event", `"op": "at_least", "count": 0.5`, "/count wrong-type"),
		event("another question about an event", `"op": "equals", "count": 1`, "/op operator-type-mismatch"),
		event("within no time", `"op": "at_least", "count": 1, "within": "soon"`, "/within operand-invalid"),
		event("within more than a hundred years", `"op": "at_least", "count": 1, "within": "99999999999w"`, "/within operand-invalid"),
		event("a property of the user in its where", `"op": "at_least", "count": 1, "where": `+known, "/where condition-invalid"),
		filter("an event that the system does not emit, counted", `{"event": "user.renamed", "op": "at_least", "count": 1}`, "/event unknown-event"),
		filter("another question about a workflow", `{"workflow": "x", "op": "at_least", "count": 1}`, "/count condition-invalid", "/op operator-type-mismatch"),
		guard("a guard that guards nothing", `{}`, "/guard guard-invalid"),
		guard("a guard of less than nothing", `{"max_per_hour": -1}`, "/guard/max_per_hour guard-invalid"),
		guard("B14 a guard of half a user", `{"max_per_hour": 0.5, "max_share": "5%"}`, "/guard/max_per_hour wrong-type"),
		guard("a share that is a number", `{"max_share": 0.2}`, "/guard/max_share share-invalid"),
		guard("a share of nobody", `{"max_share": "0%"}`, "/guard/max_share share-invalid"),
		guard("a share of more than all", `{"max_share": "101%"}`, "/guard/max_share share-invalid"),
		guard("a share without a sign", `{"max_share": "20"}`, "/guard/max_share share-invalid"),
		guard("B6 an unknown member of a guard", `{"max_per_day": 1}`, "/guard/max_per_day unknown-field"),
	}
}

func TestValuesOfTenMegabytesAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	huge := canary + strings.Repeat("x", 10<<20)
	filter := `{"property":"first_name","op":"equals","value":"` + huge + `"}`
	before := s.stored()
	for _, request := range []struct{ method, path, body string }{
		{"PUT", "/v1/users/u_2", `{"properties":{"first_name":"` + huge + `"}}`},
		{"PATCH", "/v1/users/u_1", `{"properties":{"` + huge + `":1}}`},
		{"POST", "/v1/users/batch", `{"items":[{"id":"u_2","properties":{"first_name":"` + huge + `"}}]}`},
		{"POST", "/v1/events", `{"name":"login","user_id":"u_1","properties":{"from":"` + huge + `"}}`},
		{"PUT", "/v1/properties/age", `{"type":"enum","options":["` + huge + `"]}`},
		{"PUT", "/v1/workflows/x", definition(`[{"filter": `+filter+`}]`, someSteps)},
		{"PUT", "/v1/workflows/x", `{"enroll":{"unless":` + filter + `},"triggers":` + someTriggers + `,"steps":` + someSteps + `}`},
		{"POST", "/v1/workflows/validate", definition(`[{"filter": `+filter+`}]`, someSteps)},
		{"POST", "/v1/workflows/waiting/preview", `{"filter":` + filter + `}`},
		{"POST", "/v1/workflows/waiting/publish", `{"existing":"` + huge + `"}`},
		{"POST", "/v1/workflows/waiting/held/approve", some(huge)},
		{"POST", "/v1/workflows/waiting/held/reject", some(huge)},
		{"POST", "/v1/workflows/waiting/enrollments", `{"user_id":"` + huge + `"}`},
	} {
		for _, chunked := range []bool{false, true} {
			r := httptest.NewRequestWithContext(t.Context(), request.method, request.path, strings.NewReader(request.body))
			if chunked {
				r.ContentLength = -1
			}
			s.send(r).wants(413, "payload-too-large")
		}
	}
	s.get(usersFor(filter)).wants(414, "uri-too-long")
	require.Equal(t, before, s.stored())
}

func TestAnUnknownTimeZoneIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(200, "PATCH", "/v1/users/u_1", `{"properties":{"time_zone":"Pacific/Apia"}}`)
	before := s.stored()
	for _, zone := range []string{"Europe/Atlantis", "Local", "user", "../etc/passwd"} {
		a := s.do("PATCH", "/v1/users/u_1", `{"properties":{"time_zone":`+quoted(zone)+`}}`)
		a.wants(422, "wrong-type", "/properties/time_zone wrong-type")
	}
	s.do("POST", "/v1/workflows/waiting/preview", `{"workflow":{"time_zone":"Europe/Atlantis","triggers":`+someTriggers+`,"steps":`+someSteps+`}}`).
		wants(422, "definition-invalid", "/workflow/time_zone unknown-time-zone")
	s.do("POST", "/v1/workflows/waiting/preview", `{"filter":{"time_zone":"Europe/Atlantis","not":{"property":"age","op":"known"}}}`).
		wants(422, "unknown-time-zone", "/filter/time_zone unknown-time-zone")
	require.Equal(t, before, s.stored())
}
