package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const held = "/v1/workflows/guarded/held"

// guarded publishes a workflow whose guard lets one user an hour through, and enrolls n of a crowd in
// it. It returns the ids of the enrollments in their order; all but the first are held.
func (s *service) guarded(n int) []string {
	s.t.Helper()
	s.must(201, "PUT", "/v1/properties/age", `{"type":"number"}`)
	s.crowd(n)
	s.must(201, "PUT", "/v1/workflows/guarded", `{"guard": {"max_per_hour": 1}, "triggers": [{"manual": true}], "steps": [{"delay": "1h"}]}`)
	s.must(200, "POST", "/v1/workflows/guarded/publish", "")
	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.enroll("guarded", fmt.Sprintf("c_%02d", i))
	}
	return ids
}

// some is a body that names enrollments.
func some(ids ...string) string {
	return `{"enrollments":["` + strings.Join(ids, `","`) + `"]}`
}

func (s *service) statusesOf(ids []string) []string {
	s.t.Helper()
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i], _ = s.must(200, "GET", "/v1/enrollments/"+id, "").object()["status"].(string)
	}
	return list
}

func TestARequestThatTheGuardHoldsAnswersAHeldEnrollment(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := s.guarded(1)
	s.must(201, "PUT", "/v1/users/u_1", `{}`)
	e := s.must(201, "POST", "/v1/workflows/guarded/enrollments", `{"user_id":"u_1"}`).object()
	require.Equal(t, []any{"held", "manual", "u_1"}, []any{e["status"], e["trigger"], e["user_id"]})
	require.Equal(t, []string{"pending"}, s.statusesOf(ids))
	decisions, _ := s.get("/v1/workflows/guarded/decisions?user=u_1").items()
	require.Equal(t, []any{"held", "held: the guard lets no more through this hour"}, []any{decisions[0]["outcome"], decisions[0]["reason"]})
	s.do("POST", "/v1/workflows/guarded/enrollments", `{"user_id":"u_1"}`).wants(409, "already-enrolled")
}

func TestWhatIsHeldIsListedInItsOrder(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := s.guarded(4)
	list := s.must(200, "GET", held, "").object()
	require.InDelta(t, 3, list["count"], 0)
	items := []map[string]any{}
	for _, item := range list["items"].([]any) {
		items = append(items, item.(map[string]any))
	}
	require.Equal(t, []any{ids[1], ids[2], ids[3]}, column(items, "id"))
	require.Equal(t, []any{"held", "held", "held"}, column(items, "status"))
	require.Equal(t, map[string]any{"pending": 1.0, "held": 3.0}, s.get("/v1/workflows/guarded").object()["enrollments"])
	filtered, _ := s.get("/v1/enrollments?workflow=guarded&status=held").items()
	require.Len(t, filtered, 3)
}

func TestFiftyAtMostOfWhatIsHeldAreListed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.guarded(53)
	list := s.must(200, "GET", held, "").object()
	require.InDelta(t, 52, list["count"], 0)
	require.Len(t, list["items"], 50)
}

func TestNothingIsHeldWhereNoGuardIs(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.enroll("waiting", "u_1")
	require.JSONEq(t, `{"count":0,"items":[]}`, string(s.must(200, "GET", "/v1/workflows/waiting/held", "").body))
	before := s.stored()
	for _, verb := range []string{"approve", "reject"} {
		require.JSONEq(t, `{"count":0}`, string(s.must(200, "POST", "/v1/workflows/waiting/held/"+verb, "").body))
	}
	require.Equal(t, before["enrollments"], s.stored()["enrollments"])
}

func TestApprovalLetsEnrollmentsBegin(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := s.guarded(6)
	require.JSONEq(t, `{"count":2}`, string(s.must(200, "POST", held+"/approve", some(ids[2], ids[4], ids[2])).body))
	require.Equal(t, []string{"pending", "held", "pending", "held", "pending", "held"}, s.statusesOf(ids))
	require.JSONEq(t, `{"count":0}`, string(s.must(200, "POST", held+"/approve", some(ids[2], ids[4])).body), "decided once")
	for _, body := range []string{`{"enrollments":[]}`, some(ids[0])} {
		require.JSONEq(t, `{"count":0}`, string(s.must(200, "POST", held+"/approve", body).body), body)
	}
	require.JSONEq(t, `{"count":3}`, string(s.must(200, "POST", held+"/approve", "").body), "no body is all")
	require.Equal(t, map[string]any{"pending": 6.0}, s.get("/v1/workflows/guarded").object()["enrollments"])
	require.JSONEq(t, `{"count":0,"items":[]}`, string(s.get(held).body))
}

func TestARejectedUserCountsAsNeverEnrolled(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := s.guarded(4)
	require.JSONEq(t, `{"count":1}`, string(s.must(200, "POST", held+"/reject", some(ids[1])).body))
	require.JSONEq(t, `{"count":2}`, string(s.must(200, "POST", held+"/reject", `{}`).body), "an empty object is all")
	e := s.get("/v1/enrollments/" + ids[1]).object()
	instants(t, e, "ended_at")
	require.Equal(t, []any{"unenrolled", "not approved"}, []any{e["status"], e["reason"]})
	require.Equal(t, "pending", s.statusesOf(ids)[0])
	s.pumpAll()

	e = s.must(201, "POST", "/v1/workflows/guarded/enrollments", `{"user_id":"c_01"}`).object()
	require.Equal(t, []any{"held", 2.0, "guarded/c_01/2"}, []any{e["status"], e["ordinal"], e["temporal_workflow_id"]}, "though the workflow enrolls once")
	x := s.get("/v1/workflows/guarded/explain?user=c_02").object()
	require.Equal(t, []any{"not_enrolled", true}, []any{x["verdict"], x["again"].(map[string]any)["allowed"]})
}

func TestAnEnrollmentOfAnotherWorkflowIsNotDecided(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := s.guarded(2)
	s.must(201, "PUT", "/v1/workflows/other", `{"triggers": [{"manual": true}], "steps": [{"delay": "1h"}]}`)
	before := s.stored()["enrollments"]
	for _, verb := range []string{"approve", "reject"} {
		for _, body := range []string{"", some(ids[1])} {
			require.JSONEq(t, `{"count":0}`, string(s.must(200, "POST", "/v1/workflows/other/held/"+verb, body).body))
		}
		for _, id := range []string{canary, "", "'; drop table enrollments; --", strings.ToUpper(ids[1]), "01890a5d-ac96-774b-bcce-b302099a8057", "{" + ids[1] + "}"} {
			require.JSONEq(t, `{"count":0}`, string(s.must(200, "POST", held+"/"+verb, some(id)).body), id)
		}
	}
	require.Equal(t, before, s.stored()["enrollments"])
}

func TestAThousandEnrollmentsAreDecidedAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := s.guarded(2)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", i)
	}
	many[999] = ids[1]
	require.JSONEq(t, `{"count":1}`, string(s.must(200, "POST", held+"/approve", some(many...)).body))
}

func TestABadDecisionIsRefused(t *testing.T) {
	t.Parallel()
	var rows []badInput
	for _, verb := range []string{"approve", "reject"} {
		request := "POST " + held + "/" + verb
		given := func(s *service) {
			s.must(201, "PUT", "/v1/users/u_2", `{}`)
			s.must(201, "PUT", "/v1/workflows/guarded", `{"guard": {"max_per_hour": 1}, "triggers": [{"manual": true}], "steps": [{"delay": "1h"}]}`)
			s.must(200, "POST", "/v1/workflows/guarded/publish", "")
			s.enroll("guarded", "u_1")
			s.enroll("guarded", "u_2")
		}
		bad := func(name, body, slug string, places ...string) badInput {
			return badInput{name: verb + ": " + name, request: request, body: body, status: 400, slug: slug, places: places}
		}
		unread := []badInput{
			bad("B15 null", "null", "schema-violation", "schema-violation"),
			bad("B15 a list", "[]", "schema-violation", "schema-violation"),
			bad("B15 a text for a list", `{"enrollments":"`+canary+`"}`, "schema-violation", "/enrollments schema-violation"),
			bad("B15 a number for an id", `{"enrollments":["x",1]}`, "schema-violation", "/enrollments/1 schema-violation"),
			bad("B58 1,001 ids", some(strings.Split(strings.Repeat("x ", 1000), " ")...), "schema-violation", "/enrollments schema-violation"),
			bad("B6 another member", `{"ids":[],"enrollment":"`+canary+`"}`, "unknown-field", "/enrollment unknown-field", "/ids unknown-field"),
			bad("B2 a body that ends too early", `{"enrollments":["`+canary, "malformed-json"),
			bad("B4 a member twice", `{"enrollments":[],"enrollments":["`+canary+`"]}`, "duplicate-member"),
			bad("B10 the character U+0000", `{"enrollments":["\u0000"]}`, "nul-character"),
			bad("B9 bytes that are not UTF-8", "{\"enrollments\":[\"\xff\"]}", "invalid-utf8"),
		}
		unread[0].given = given // of one that would decide something, if it were taken for nothing
		rows = append(rows, unread...)
		rows = append(rows,
			badInput{name: verb + ": B33 an unknown workflow", request: "POST /v1/workflows/none/held/" + verb, status: 404, slug: "not-found"},
			badInput{name: verb + ": B33 an unknown workflow, with ids", request: "POST /v1/workflows/none/held/" + verb, body: some("x"), status: 404, slug: "not-found"},
			badInput{name: verb + ": B10 a workflow that cannot be stored", request: "POST /v1/workflows/%00/held/" + verb, status: 404, slug: "not-found"},
			badInput{name: verb + ": B25 read", request: "GET " + held + "/" + verb, status: 405, slug: "method-not-allowed", allow: "POST"},
		)
	}
	rows = append(rows, badInput{name: "B33 what is held of an unknown workflow", request: "GET /v1/workflows/none/held", status: 404, slug: "not-found"})
	refused(t, rows)
}

func TestASuppressedUserIsNotEnrolledOnRequest(t *testing.T) {
	t.Parallel()
	suppressing := func(head string) func(s *service) {
		return func(s *service) {
			s.must(201, "PUT", "/v1/workflows/choosy", `{`+head+`, "triggers": [{"manual": true}], "steps": [{"delay": "1h"}]}`)
			s.must(200, "POST", "/v1/workflows/choosy/publish", "")
		}
	}
	const adult = `{"property": "age", "op": "at_least", "value": 18}`
	row := func(name, head, refusal string) badInput {
		return badInput{
			name: name, given: suppressing(head), request: "POST /v1/workflows/choosy/enrollments", body: `{"user_id":"u_1"}`,
			status: 409, slug: "suppressed", refusal: refusal,
		}
	}
	refused(t, []badInput{
		row("by enroll.unless", `"enroll": {"unless": `+adult+`}`, "suppressed: enroll.unless holds"),
		row("by unenroll.when", `"unenroll": {"when": `+adult+`}`, "unenroll.when holds"),
		row("by the past", `"enroll": {"unless": {"event": "user.created", "op": "at_least", "count": 1}}`, "suppressed: enroll.unless holds"),
		row("by another workflow", `"enroll": {"unless": {"workflow": "choosy", "op": "never_enrolled"}}`, "suppressed: enroll.unless holds"),
		row("by a date", `"enroll": {"unless": {"property": "created_at", "op": "after", "value": "now-1d"}}`, "suppressed: enroll.unless holds"),
	})
}
