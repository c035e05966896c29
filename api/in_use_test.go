package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// uses is every way in which a version can need the property named spot, whose type is its key. The
// place is where the first problem would be if the property were gone.
var uses = []struct {
	name, kind, head, triggers, steps string
	place                             string
}{
	{name: "a trigger's filter", kind: "string", triggers: `{"filter": {"property": "spot", "op": "known"}}`, place: "/triggers/0/filter/property"},
	{name: "deep in a trigger's filter", kind: "number", triggers: `{"filter": {"any": [{"not": {"property": "spot", "op": "at_least", "value": 1}}]}}`, place: "/triggers/0/filter/any/0/not/property"},
	{name: "the second trigger's filter", kind: "bool", triggers: `{"manual": true}, {"filter": {"property": "spot", "op": "equals", "value": true}}`, place: "/triggers/1/filter/property"},
	{name: "a trigger's where", kind: "string", triggers: `{"event": "login", "where": {"property": "spot", "op": "known"}}`, place: "/triggers/0/where/property"},
	{name: "enroll.unless", kind: "string", head: `"enroll": {"unless": {"property": "spot", "op": "known"}}`, place: "/enroll/unless/property"},
	{name: "unenroll.when", kind: "string", head: `"unenroll": {"when": {"property": "spot", "op": "known"}}`, place: "/unenroll/when/property"},
	{name: "a branch", kind: "string", steps: `{"id": "ask", "branch": [{"if": {"property": "spot", "op": "known"}}, {"else": true}]}`, place: "/steps/0/branch/0/if/property"},
	{name: "another date to compare with", kind: "date", head: `"enroll": {"unless": {"property": "hire_date", "op": "after", "value": {"property": "spot"}}}`, place: "/enroll/unless/value"},
	{name: "one of two dates to compare with", kind: "date", head: `"unenroll": {"when": {"property": "hire_date", "op": "between", "value": ["2026-01-01", {"property": "spot"}]}}`, place: "/unenroll/when/value"},
	{name: "another instant to compare with", kind: "datetime", triggers: `{"filter": {"property": "last_active_at", "op": "before", "value": {"property": "spot"}}}`, place: "/triggers/0/filter/value"},
	{name: "another number to compare with", kind: "number", head: `"enroll": {"unless": {"property": "scheduling_pages", "op": "at_least", "value": {"property": "spot"}}}`, place: "/enroll/unless/value"},
	{name: "a date in each user's own zone", kind: "date", head: `"enroll": {"unless": {"property": "spot", "op": "on", "value": "now/d", "time_zone": "user"}}`, place: "/enroll/unless/property"},
	{name: "date math in each user's own zone", kind: "datetime", head: `"time_zone": "user", "unenroll": {"when": {"property": "spot", "op": "before", "value": "now/d-7d"}}`, place: "/unenroll/when/property"},
	{name: "an anniversary", kind: "date", triggers: `{"filter": {"property": "spot", "of": "anniversary", "op": "on", "value": "now/d"}}`, place: "/triggers/0/filter/property"},
	{name: "when it changed", kind: "string", head: `"enroll": {"unless": {"property": "spot", "of": "changed_at", "op": "after", "value": "now-7d"}}`, place: "/enroll/unless/property"},
	{name: "whether it ever was", kind: "string", head: `"unenroll": {"when": {"property": "spot", "ever": true, "op": "equals", "value": "x"}}`, place: "/unenroll/when/property"},
	{name: "a date that a schedule follows", kind: "date", triggers: `{"schedule": {"property": "spot", "yearly": true, "at": "09:00"}}`, place: "/triggers/0/schedule/property"},
	{name: "whom a schedule concerns", kind: "string", triggers: `{"schedule": {"every": "day", "at": "09:00"}, "where": {"property": "spot", "op": "known"}}`, place: "/triggers/0/where/property"},
	{name: "an action that sets it", kind: "string", steps: `{"id": "set", "action": "set_property", "with": {"property": "spot", "value": "x"}}`, place: "/steps/0/with/property"},
	{name: "an action that copies it", kind: "string", steps: `{"id": "set", "action": "set_property", "with": {"property": "first_name", "copy": "spot"}}`, place: "/steps/0/with/copy"},
	{name: "a template", kind: "string", steps: `{"id": "tell", "action": "notify", "with": {"to": "{{ user.id }}", "text": "{{ user.spot }}"}}`, place: "/steps/0/with/text"},
}

// using is a definition that needs the property.
func using(head, triggers, steps string) string {
	if head != "" {
		head += ", "
	}
	if triggers == "" {
		triggers = `{"manual": true}`
	}
	if steps == "" {
		steps = `{"id": "wait", "delay": "1h"}`
	}
	return `{` + head + `"triggers": [` + triggers + `], "steps": [` + steps + `]}`
}

func TestAPropertyThatALiveVersionNeedsStays(t *testing.T) {
	t.Parallel()
	for _, use := range uses {
		t.Run(use.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.must(201, "PUT", "/v1/properties/spot", `{"type":"`+use.kind+`"}`)
			s.must(201, "PUT", "/v1/workflows/needy", using(use.head, use.triggers, use.steps))
			s.must(200, "POST", "/v1/workflows/needy/publish", "")
			s.must(200, "PUT", "/v1/workflows/needy", using("", "", "")) // the draft counts for nothing
			before := s.stored()
			for _, a := range []answer{
				s.do("DELETE", "/v1/properties/spot", ""),
				s.do("PUT", "/v1/properties/spot", `{"type":"users"}`),
			} {
				p := a.wants(409, "in-use")
				require.Equal(t, "needed by version 1 of workflow needy at "+use.place+": in use", p.Detail)
			}
			require.Equal(t, before, s.stored())
			require.Equal(t, use.kind, s.get("/v1/properties/spot").object()["type"])
			s.must(200, "PUT", "/v1/properties/spot", `{"type":"`+use.kind+`","label":"Spot"}`)

			s.must(200, "POST", "/v1/workflows/needy/archive", "")
			s.must(200, "PUT", "/v1/properties/spot", `{"type":"users"}`)
			s.must(204, "DELETE", "/v1/properties/spot", "")
		})
	}
}

func TestAPropertyThatOnlyAnEnrollmentNeedsStaysAsLongAsThat(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/properties/spot", `{"type":"date"}`)
	s.must(201, "PUT", "/v1/workflows/needy", using(`"unenroll": {"when": {"property": "hire_date", "op": "after", "value": {"property": "spot"}}}`, "", ""))
	s.must(200, "POST", "/v1/workflows/needy/publish", "")
	id := s.enroll("needy", "u_1")
	s.must(200, "PUT", "/v1/workflows/needy", using("", "", ""))
	s.must(200, "POST", "/v1/workflows/needy/publish", "")
	s.pumpAll()
	for _, a := range []answer{s.do("DELETE", "/v1/properties/spot", ""), s.do("PUT", "/v1/properties/spot", `{"type":"datetime"}`)} {
		require.Contains(t, a.wants(409, "in-use").Detail, "needed by version 1 of workflow needy at /unenroll/when/value")
	}
	s.must(200, "POST", "/v1/enrollments/"+id+"/unenroll", "")
	s.pumpAll()
	s.must(204, "DELETE", "/v1/properties/spot", "")
}

func TestThePropertyThatNamesZonesIsBuiltIn(t *testing.T) {
	t.Parallel()
	refused(t, []badInput{
		{name: "retyped", request: "PUT /v1/properties/time_zone", body: `{"type":"enum"}`, given: usesOwnZones, status: 409, slug: "in-use"},
		{name: "deleted", request: "DELETE /v1/properties/time_zone", given: usesOwnZones, status: 409, slug: "in-use"},
		{name: "options that a filter does not name", request: "PUT /v1/properties/plan", body: `{"type":"enum","options":["free"]}`, given: usesOwnZones, status: 409, slug: "in-use"},
	})
}

func usesOwnZones(s *service) {
	s.must(201, "PUT", "/v1/properties/plan", `{"type":"enum","options":["free","team"]}`)
	s.must(201, "PUT", "/v1/workflows/needy", using(`"time_zone": "user", "enroll": {"unless": {"any": [{"property": "plan", "op": "any_of", "value": ["team"]}, {"property": "created_at", "op": "on", "value": "now/d"}]}}`, "", ""))
	s.must(200, "POST", "/v1/workflows/needy/publish", "")
}
