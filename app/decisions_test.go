package app_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

// decisions lists what the API says was decided about a user, oldest first: the outcome and, where
// there is one, the reason.
func (s *service) decisions(definition, user string) []string {
	s.t.Helper()
	s.settled()
	items := s.must("GET", "/v1/workflows/"+definition+"/decisions?user="+user, nil)["items"].([]any)
	list := make([]string, len(items))
	for i, item := range items {
		d := item.(map[string]any)
		require.Equal(s.t, definition, d["workflow"])
		require.Equal(s.t, user, d["user_id"])
		text := d["outcome"].(string)
		if reason, ok := d["reason"]; ok {
			text += ": " + reason.(string)
		}
		require.Equal(s.t, text == "enrolled", d["enrollment_id"] != nil, "only an enrollment has an id")
		list[len(items)-1-i] = text
	}
	return list
}

// wantRefused asks for an enrollment that is refused. What was said before is
// evaluated first: a request is decided at once and would overtake an event.
func (s *service) wantRefused(definition, user, slug string) {
	s.t.Helper()
	s.settled()
	status, problem := s.call("POST", "/v1/workflows/"+definition+"/enrollments", map[string]any{"user_id": user})
	require.Equal(s.t, http.StatusConflict, status)
	require.Equal(s.t, "urn:rollcall:problem/"+slug, problem["type"])
}

func TestWhoWasInOnceIsNotEnrolledAgainUnlessTheWorkflowSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("once", "triggers: [{ event: signed_up }]", "30d"))
	s.put("u_1", properties{})
	require.Empty(t, s.decisions("once", "u_1"), "no trigger matched")

	s.event("signed_up", "u_1")
	e := s.inDelay("once", "u_1")
	s.event("signed_up", "u_1")
	s.wantRefused("once", "u_1", "already-enrolled")
	s.must("POST", "/v1/enrollments/"+e.ID+"/unenroll", nil)
	s.event("signed_up", "u_1")

	const inside = "refused: already enrolled"
	require.Equal(t, []string{"enrolled", inside, inside, "refused: enrolled before, and the workflow enrolls once"}, s.decisions("once", "u_1"))
	s.wantRefused("once", "u_1", "enrolls-once")
	require.Len(t, s.enrollments("once", "u_1"), 1)
	status, _ := s.call("GET", "/v1/workflows/nothing/decisions?user=u_1", nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestWhoWasInAShortWhileAgoWaits(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.once("rest", "triggers: [{ event: signed_up }]\nenroll: { again: { after: 4s } }"))
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	first := s.wantStatus("rest", "u_1", automation.Completed)

	s.event("signed_up", "u_1")
	require.Equal(t, []string{"enrolled", "refused: enrolled too recently"}, s.decisions("rest", "u_1"))
	s.until("four seconds are over", func() bool { return time.Since(first.CreatedAt) > 4*time.Second })
	s.event("signed_up", "u_1")

	require.Equal(t, []string{"enrolled", "refused: enrolled too recently", "enrolled"}, s.decisions("rest", "u_1"))
	second := s.wantStatus("rest", "u_1", automation.Completed)
	require.Equal(t, "rest/u_1/2", second.TemporalWorkflowID)
	require.Len(t, s.webhooksOf("/webhook/rest", "u_1"), 2)
}

func TestWhoIsSuppressedIsLetInNeitherByATriggerNorOnRequest(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.once("barred", `
triggers: [{ event: signed_up }, { filter: { property: job_title, op: equals, value: driver } }]
enroll: { again: every_trigger, unless: { property: language, op: equals, value: xx } }
unenroll: { when: { property: phone, op: known } }
`))
	s.put("u_1", properties{"language": "xx", "job_title": "driver"})
	s.event("signed_up", "u_1")
	s.wantRefused("barred", "u_1", "suppressed")
	s.patch("u_1", properties{"language": "en", "phone": "+48 1"})
	s.event("signed_up", "u_1")
	s.wantRefused("barred", "u_1", "suppressed")
	s.patch("u_1", properties{"phone": nil})
	s.event("signed_up", "u_1")

	const unless, when = "refused: " + becauseUnless, "refused: " + becauseWhen
	require.Equal(t, []string{unless, unless, unless, when, when, "enrolled"}, s.decisions("barred", "u_1"))
	s.wantStatus("barred", "u_1", automation.Completed)
	require.Len(t, s.webhooksOf("/webhook/barred", "u_1"), 1)
}

// explain asks for an explanation at an instant.
func (s *service) explain(definition, user string, at time.Time) map[string]any {
	s.t.Helper()
	query := url.Values{"user": {user}, "at": {at.UTC().Format(time.RFC3339Nano)}}
	return s.must("GET", "/v1/workflows/"+definition+"/explain?"+query.Encode(), nil)
}

func TestExplanationFollowsTheUserThroughAChange(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("why", `
triggers: [{ filter: { all: [{ property: main_team, op: equals, value: support }, { event: login, op: at_least, count: 1, within: 7d }] } }]
unenroll: { when: { property: main_team, op: equals, value: sales } }
`, "30d"))
	instant := func() time.Time {
		s.settled()
		return time.Now()
	}
	unborn := instant()
	s.put("u_1", properties{"main_team": "board"})
	s.event("login", "u_1")
	before := instant()
	s.patch("u_1", properties{"main_team": "support"})
	s.inDelay("why", "u_1")
	inside := instant()
	s.patch("u_1", properties{"main_team": "sales"})
	s.wantStatus("why", "u_1", automation.Unenrolled)
	after := instant()

	x := s.explain("why", "u_1", unborn)
	require.Equal(t, "not_enrolled", x["verdict"])
	require.Equal(t, "the user did not exist", x["reason"])
	require.Equal(t, 1.0, x["version"])

	x = s.explain("why", "u_1", before)
	require.Equal(t, "not_enrolled", x["verdict"])
	require.Equal(t, `no trigger matched: trigger 0 (filter) did not hold: not main_team equals (seen: "board")`, x["reason"])
	trigger := x["triggers"].([]any)[0].(map[string]any)
	require.Equal(t, false, trigger["matched"])
	team, login := trigger["trace"].([]any)[0].(map[string]any), trigger["trace"].([]any)[1].(map[string]any)
	require.Equal(t, []any{false, "board"}, []any{team["result"], team["seen"]})
	require.Equal(t, []any{true, 1.0}, []any{login["result"], login["seen"]})
	require.Equal(t, false, x["when"].(map[string]any)["matched"])

	x = s.explain("why", "u_1", inside)
	require.Equal(t, "enrolled", x["verdict"])
	require.Contains(t, x["reason"], "by filter, in version 1")
	require.Equal(t, s.enrollments("why", "u_1")[0].ID, x["enrollment"])
	trigger = x["triggers"].([]any)[0].(map[string]any)
	require.Equal(t, true, trigger["matched"])
	require.Equal(t, "support", trigger["trace"].([]any)[0].(map[string]any)["seen"])
	require.Equal(t, false, x["again"].(map[string]any)["allowed"])

	x = s.explain("why", "u_1", after)
	require.Contains(t, x["reason"], "unenrolled at ")
	require.Contains(t, x["reason"], becauseWhen)
	require.Equal(t, true, x["when"].(map[string]any)["matched"])
	require.Equal(t, "sales", x["triggers"].([]any)[0].(map[string]any)["trace"].([]any)[0].(map[string]any)["seen"])
}
