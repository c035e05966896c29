package api_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// then is the query for an instant.
func then(at time.Time) string { return "&at=" + url.QueryEscape(at.Format(time.RFC3339Nano)) }

// explain asks why a user was or was not enrolled in the workflow of adults.
func (s *service) explain(query string) map[string]any {
	s.t.Helper()
	return s.must(200, "GET", "/v1/workflows/adults/explain?user="+query, "").object()
}

func TestAnExplanationTellsWhyAUserIsEnrolled(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10)
	s.must(200, "POST", "/v1/workflows/adults/publish", "")
	s.must(200, "PATCH", "/v1/users/u_10", `{"properties":{"age":18}}`)
	s.pumpAll()
	enrollments, _ := s.get("/v1/enrollments?user=u_10").items()
	require.Len(t, enrollments, 1)
	id := enrollments[0]["id"]

	x := s.explain("u_10")
	reason, _ := x["reason"].(string)
	require.Regexp(t, `^enrolled since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC by filter, in version 1$`, reason)
	delete(x, "reason")
	instants(t, x, "at")
	decision, trigger, again := x["decision"].(map[string]any), x["triggers"].([]any)[0].(map[string]any), x["again"].(map[string]any)
	instants(t, decision, "at")
	instants(t, trigger, "since")
	instants(t, again, "last_enrolled")
	require.Equal(t, map[string]any{
		"user": "u_10", "workflow": "adults", "version": 1.0, "verdict": "enrolled", "enrollment": id,
		"decision": map[string]any{"workflow": "adults", "version": 1.0, "user_id": "u_10", "trigger": 0.0, "outcome": "enrolled", "enrollment_id": id},
		"triggers": []any{map[string]any{
			"trigger": 0.0, "kind": "filter", "matched": true,
			"trace": []any{map[string]any{"pointer": "", "property": "age", "op": "at_least", "result": true, "seen": 18.0}},
		}},
		"again": map[string]any{"rule": "never", "allowed": false},
	}, x)
}

func TestAnExplanationOfThePastSeesWhatWasThen(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10)
	s.must(200, "POST", "/v1/workflows/adults/publish", "")
	young := time.Now()
	s.must(200, "PATCH", "/v1/users/u_10", `{"properties":{"age":18}}`)
	s.pumpAll()
	grown := time.Now()
	enrollments, _ := s.get("/v1/enrollments?user=u_10").items()
	id := enrollments[0]["id"].(string)
	s.must(200, "POST", "/v1/enrollments/"+id+"/unenroll", `{"reason":"left the company"}`)
	gone := time.Now()
	s.must(200, "PATCH", "/v1/users/u_10", `{"properties":{"age":null}}`)
	s.must(200, "PUT", "/v1/workflows/adults", over(60))
	s.must(200, "POST", "/v1/workflows/adults/publish", "")

	for _, c := range []struct {
		at      time.Time
		version float64
		verdict string
		reason  string
		matched bool
		seen    any
	}{
		{young, 1, "not_enrolled", `^no trigger matched: trigger 0 \(filter\) did not hold: not age at_least \(seen: 10\)$`, false, 10.0},
		{grown, 1, "enrolled", `^enrolled since .* by filter, in version 1$`, true, 18.0},
		{gone, 1, "enrolled", `^enrolled at .* by filter, in version 1, unenrolled at .*: left the company$`, true, 18.0},
		{time.Now(), 2, "enrolled", `^enrolled at .* by filter, in version 1, unenrolled at .*: left the company$`, false, nil},
	} {
		x := s.explain("u_10" + then(c.at))
		require.Equal(t, c.at.UTC().Format(time.RFC3339Nano), x["at"])
		require.Equal(t, []any{c.version, c.verdict}, []any{x["version"], x["verdict"]}, c.reason)
		require.Regexp(t, c.reason, x["reason"])
		trigger := x["triggers"].([]any)[0].(map[string]any)
		require.Equal(t, c.matched, trigger["matched"], c.reason)
		require.Equal(t, c.seen, trigger["trace"].([]any)[0].(map[string]any)["seen"], c.reason)
	}
}

func TestAnExplanationOfATimeBeforeEverythingSaysSo(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := start(t)
	s.must(201, "PUT", "/v1/users/u_1", `{}`)
	s.ages(10)
	draft := time.Now()
	s.must(200, "POST", "/v1/workflows/adults/publish", "")
	for _, c := range []struct {
		query, reason string
	}{
		{"u_10" + then(began), "the user did not exist"},
		{"u_10" + then(time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)), "the user did not exist"},
		{"u_10" + then(draft), "no version was live"},
	} {
		x := s.explain(c.query)
		instantOr(t, x)
		require.Equal(t, map[string]any{
			"user": "u_10", "workflow": "adults", "verdict": "not_enrolled", "reason": c.reason, "triggers": []any{},
		}, x, c.query)
	}
	require.Equal(t, "no version was live", s.explain("u_1" + then(draft.In(time.FixedZone("", 9000))))["reason"], "an instant of another zone")
}

// instantOr takes out of an explanation what says nothing where no version was live.
func instantOr(t *testing.T, x map[string]any) {
	t.Helper()
	require.Regexp(t, `^\d{4}-.*Z$`, x["at"])
	require.Contains(t, x, "again")
	delete(x, "at")
	delete(x, "again")
}

func TestAnExplanationTellsOfEventsConditionsAndRefusals(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/adults", `{
		"triggers": [{"event": "login", "where": {"event_property": "from", "op": "equals", "value": "Oslo"}}, {"manual": true}],
		"enroll": {"again": {"after": "30d"}, "unless": {"property": "status", "op": "any_of", "value": ["deactivated"]}},
		"unenroll": {"when": {"property": "age", "op": "less_than", "value": 18}}, "steps": [{"delay": "1h"}]
	}`)
	s.must(200, "POST", "/v1/workflows/adults/publish", "")
	x := s.explain("u_1")
	require.Equal(t, "no trigger matched: trigger 0 heard no event", x["reason"])
	require.Equal(t, []any{
		map[string]any{"trigger": 0.0, "kind": "event", "matched": false, "trace": []any{}},
		map[string]any{"trigger": 1.0, "kind": "manual", "matched": false, "trace": []any{}},
	}, x["triggers"])
	require.Equal(t, map[string]any{"matched": false, "trace": []any{map[string]any{"pointer": "", "property": "status", "op": "any_of", "result": false, "seen": "active"}}}, x["unless"])
	require.Equal(t, map[string]any{"matched": false, "trace": []any{map[string]any{"pointer": "", "property": "age", "op": "less_than", "result": false, "seen": 36.0}}}, x["when"])
	require.Equal(t, map[string]any{"rule": map[string]any{"after": "30d"}, "allowed": true}, x["again"])

	s.must(202, "POST", "/v1/events", `{"id":"e_1","name":"login","user_id":"u_1","properties":{"from":"Rome"}}`)
	s.pumpAll()
	x = s.explain("u_1")
	require.Equal(t, `no trigger matched: trigger 0 (event) did not hold: not from equals (seen: "Rome")`, x["reason"])
	require.Equal(t, "e_1", x["triggers"].([]any)[0].(map[string]any)["event"].(map[string]any)["id"])

	s.must(200, "PATCH", "/v1/users/u_1", `{"properties":{"status":"deactivated"}}`)
	s.must(202, "POST", "/v1/events", `{"id":"e_2","name":"login","user_id":"u_1","properties":{"from":"Oslo"}}`)
	s.pumpAll()
	x = s.explain("u_1")
	require.Regexp(t, `^refused at .* UTC: suppressed: enroll.unless holds$`, x["reason"])
	require.Equal(t, []any{"not_enrolled", true, true}, []any{x["verdict"], x["triggers"].([]any)[0].(map[string]any)["matched"], x["unless"].(map[string]any)["matched"]})
	require.Equal(t, "refused", x["decision"].(map[string]any)["outcome"])
	require.NotContains(t, x, "enrollment")
}

func TestABadExplanationIsRefused(t *testing.T) {
	t.Parallel()
	bad := func(name, query string, status int, slug string, places ...string) badInput {
		return badInput{name: name, request: "GET /v1/workflows/waiting/explain" + query, status: status, slug: slug, places: places}
	}
	refused(t, []badInput{
		bad("nobody", "", 400, "schema-violation", "schema-violation"),
		bad("an empty user", "?user=", 400, "schema-violation", "schema-violation"),
		bad("B78 an unknown user", "?user=nobody", 422, "unknown-user"),
		bad("B78 a user that nobody can be", "?user=a%2Fb", 422, "unknown-user"),
		bad("B78 a user that looks like code", "?user=%27%3B%20drop%20table%20users%3B--", 422, "unknown-user"),
		bad("B10 a user that cannot be stored", "?user=%00", 400, "schema-violation"),
		bad("B9 a user that is not UTF-8", "?user=%ff", 400, "schema-violation"),
		bad("B53 no time at all", "?user=u_1&at="+canary, 400, "schema-violation", "schema-violation"),
		bad("B55 a date", "?user=u_1&at=2026-11-21", 400, "schema-violation", "schema-violation"),
		bad("B55 no zone", "?user=u_1&at=2026-11-21T10:00:00", 400, "schema-violation", "schema-violation"),
		bad("B55 a zone that became a space", "?user=u_1&at=2026-01-21T10:00:00+01:00", 400, "schema-violation", "schema-violation"),
		bad("B56 a leap second", "?user=u_1&at=2016-12-31T23:59:60Z", 400, "schema-violation", "schema-violation"),
		bad("B53 the year 10000", "?user=u_1&at=10000-01-01T00:00:00Z", 400, "schema-violation", "schema-violation"),
		bad("B53 date math", "?user=u_1&at=now-1d", 400, "schema-violation", "schema-violation"),
		bad("two hours ahead", "?user=u_1"+then(time.Now().Add(2*time.Hour)), 422, "timestamp-in-future", "/at timestamp-in-future"),
		bad("the year 9999", "?user=u_1&at=9999-12-31T23:59:59Z", 422, "timestamp-in-future", "/at timestamp-in-future"),
		bad("another parameter", "?user=u_1&version=1", 400, "schema-violation", "schema-violation"),
		{name: "a user who was deleted", request: "GET /v1/workflows/waiting/explain?user=u_1", given: func(s *service) { s.must(204, "DELETE", "/v1/users/u_1", "") }, status: 422, slug: "unknown-user"},
		{name: "B33 an unknown workflow", request: "GET /v1/workflows/none/explain?user=u_1", status: 404, slug: "not-found"},
		{name: "B33 an unknown workflow and user", request: "GET /v1/workflows/none/explain?user=nobody", status: 404, slug: "not-found"},
		{name: "B10 a workflow that cannot be stored", request: "GET /v1/workflows/%00/explain?user=u_1", status: 404, slug: "not-found"},
		{name: "B25 written", request: "POST /v1/workflows/waiting/explain?user=u_1", status: 405, slug: "method-not-allowed", allow: "GET"},
	})
}

func TestAnExplanationChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10, 20)
	s.must(200, "POST", "/v1/workflows/adults/publish", "")
	before := s.stored()
	require.True(t, strings.HasPrefix(s.explain("u_20")["reason"].(string), "trigger 0 (filter) held already when version 1 was published at "))
	s.explain("u_10")
	require.Equal(t, before, s.stored())
}

func TestTheFirstInstantThereIsIsNotNow(t *testing.T) {
	t.Parallel()
	s := start(t).ages(20)
	s.must(200, "POST", "/v1/workflows/adults/publish", "")
	x := s.explain("u_20&at=0001-01-01T00:00:00Z")
	require.Equal(t, []any{"0001-01-01T00:00:00Z", "not_enrolled"}, []any{x["at"], x["verdict"]})
	require.NotContains(t, x, "version", "none was live then")
}
