package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/api"
	"rollcall/automation"
	"rollcall/postgres"
)

// waits lets an enrollment wait in the delay with which it begins.
func (s *service) waits(id string) {
	s.t.Helper()
	_, err := s.db.BeginDelay(s.t.Context(), postgres.VisitRef{EnrollmentID: id, Step: "settle", Visit: 1}, time.Now().Add(time.Hour))
	require.NoError(s.t, err)
}

// tries lets the action of an enrollment fail, to be tried again.
func (s *service) tries(id string) {
	s.t.Helper()
	ref := postgres.VisitRef{EnrollmentID: id, Step: "tell", Visit: 1}
	_, err := s.db.BeginVisit(s.t.Context(), ref, "notify")
	require.NoError(s.t, err)
	require.NoError(s.t, s.db.FailVisit(s.t.Context(), ref, postgres.Failure{Kind: "notify", Text: "503", Retry: true}))
}

// fails lets an enrollment fail at its action, in the run of Temporal that goes on.
func (s *service) fails(id string) {
	s.t.Helper()
	ref := postgres.VisitRef{EnrollmentID: id, Step: "tell", Visit: 1}
	position, err := s.db.PositionOf(s.t.Context(), id)
	require.NoError(s.t, err)
	if position != nil {
		ref.Attended = position.Attended
	}
	_, err = s.db.BeginVisit(s.t.Context(), ref, "notify")
	require.NoError(s.t, err)
	require.NoError(s.t, s.db.FailVisit(s.t.Context(), ref, postgres.Failure{Kind: "notify", Text: "404"}))
	_, _, err = s.db.EndEnrollment(s.t.Context(), postgres.End{ID: id, Status: automation.Failed, Step: "tell", Reason: "step tell: 404", Attended: ref.Attended})
	require.NoError(s.t, err)
}

// failing enrolls so many users in the workflow that waits, and lets them fail.
func (s *service) failing(n int) []string {
	s.t.Helper()
	s.crowd(n)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.enroll("waiting", fmt.Sprintf("c_%02d", i))
		s.fails(ids[i])
	}
	return ids
}

// interventions are those of an enrollment, without what no test can know.
func (s *service) interventions(id string) (list []map[string]any) {
	s.t.Helper()
	all, _ := s.must(200, "GET", "/v1/enrollments/"+id, "").object()["interventions"].([]any)
	for _, v := range all {
		i := v.(map[string]any)
		instants(s.t, i, "at")
		require.IsType(s.t, 0.0, i["id"])
		delete(i, "id")
		list = append(list, i)
	}
	return list
}

func TestAWaitIsSkippedOnRequest(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	id := s.enroll("waiting", "u_1")
	s.waits(id)
	e := s.must(200, "POST", "/v1/enrollments/"+id+"/skip", `{"reason":"in a hurry","by":"ada"}`).object()
	require.Equal(t, []any{id, "active", "settle"}, []any{e["id"], e["status"], e["step"]}, "it is told, and has not gone on yet")
	require.Equal(t, []map[string]any{{"kind": "skip", "step": "settle", "by": "ada", "reason": "in a hurry"}}, s.interventions(id))
	commands, err := s.db.Commands(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, commands, 1, "Temporal is to be told")
}

func TestAnActionThatIsTriedAgainIsTriedNowOrSkipped(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	id := s.enroll("waiting", "u_1")
	s.tries(id)
	for _, verb := range []string{"retry", "skip"} {
		s.must(200, "POST", "/v1/enrollments/"+id+"/"+verb, "")
	}
	require.Equal(t, []map[string]any{{"kind": "retry", "step": "tell"}, {"kind": "skip", "step": "tell"}}, s.interventions(id))
}

func TestAnEnrollmentThatFailedBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb, body string
		want       map[string]any
		position   string
	}{
		{"retry", "", map[string]any{"kind": "retry", "step": "tell", "outcome": "done"}, "tell"},
		{"skip", `{"by":"ada"}`, map[string]any{"kind": "skip", "step": "tell", "by": "ada", "outcome": "done"}, ""},
		{"jump", `{"step":"settle","reason":"from the start"}`, map[string]any{"kind": "jump", "step": "tell", "target": "settle", "reason": "from the start", "outcome": "done"}, "settle"},
	} {
		t.Run(c.verb, func(t *testing.T) {
			t.Parallel()
			s := start(t).seed()
			id := s.enroll("waiting", "u_1")
			s.fails(id)
			e := s.must(200, "POST", "/v1/enrollments/"+id+"/"+c.verb, c.body).object()
			require.Equal(t, []any{id, "pending", nil, nil}, []any{e["id"], e["status"], e["reason"], e["ended_at"]})
			require.Equal(t, []map[string]any{c.want}, s.interventions(id))
			at, err := s.db.PositionOf(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, c.position, at.Step)
			s.do("POST", "/v1/enrollments/"+id+"/retry", "").wants(409, "conflict")
		})
	}
}

func TestEnrollmentsThatFailedBeginAnewTogether(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	ids := s.failing(5)
	const retry, skip = "/v1/workflows/waiting/failed/retry", "/v1/workflows/waiting/failed/skip"
	none := `{"count":0,"refused":[]}`
	require.JSONEq(t, none, string(s.must(200, "POST", retry, `{"step":"settle"}`).body), "none failed there")
	require.JSONEq(t, none, string(s.must(200, "POST", retry, `{"enrollments":[]}`).body), "none is named")
	require.JSONEq(t, none, string(s.must(200, "POST", retry, some(canary, "'; drop table enrollments; --", strings.ToUpper(ids[0]))).body))
	require.JSONEq(t, `{"count":1,"refused":[]}`, string(s.must(200, "POST", retry, some(ids[1], ids[1])).body))
	require.JSONEq(t, none, string(s.must(200, "POST", retry, some(ids[1])).body), "it does not fail any more")
	require.JSONEq(t, `{"count":2,"refused":[]}`, string(s.must(200, "POST", skip, `{"enrollments":["`+ids[0]+`","`+ids[2]+`"],"step":"tell","by":"ada","reason":"not needed"}`).body))
	require.Equal(t, []map[string]any{{"kind": "skip", "step": "tell", "by": "ada", "reason": "not needed", "outcome": "done"}}, s.interventions(ids[0]))
	require.JSONEq(t, `{"count":2,"refused":[]}`, string(s.must(200, "POST", retry, "").body), "no body is all")
	require.Equal(t, []string{"pending", "pending", "pending", "pending", "pending"}, s.statusesOf(ids))
	require.JSONEq(t, none, string(s.must(200, "POST", "/v1/workflows/waiting/failed/skip", `{}`).body))
}

func TestOneWhoWasEnrolledAnewMeanwhileDoesNotBeginAnew(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(200, "PUT", "/v1/workflows/waiting", strings.Replace(waiting, `"steps"`, `"enroll": {"again": "every_trigger"}, "steps"`, 1))
	s.must(200, "POST", "/v1/workflows/waiting/publish", "")
	ids := s.failing(2)
	again := s.enroll("waiting", "c_00")
	s.do("POST", "/v1/enrollments/"+ids[0]+"/retry", "").wants(409, "already-enrolled")
	out := s.must(200, "POST", "/v1/workflows/waiting/failed/retry", "").object()
	require.Equal(t, []any{1.0, []any{map[string]any{"id": ids[0], "reason": "the user is already enrolled"}}}, []any{out["count"], out["refused"]})
	require.Equal(t, []string{"failed", "pending", "pending"}, s.statusesOf([]string{ids[0], ids[1], again}))
	require.Empty(t, s.interventions(ids[0]))
}

// moved is the workflow that waits, in a version without its delay.
const moved = `{
	"name": "waiting", "triggers": [{"manual": true}],
	"steps": [{"id": "pause", "delay": "1d"}, {"id": "tell", "action": "notify", "with": {"to": "{{ user.id }}", "text": "Hello"}}]
}`

func TestADryRunForetellsAPublicationAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.crowd(2)
	first, second := s.enroll("waiting", "u_1"), s.enroll("waiting", "c_00")
	s.waits(first)
	s.enroll("waiting", "c_01")
	s.tries(second)
	s.must(200, "PUT", "/v1/workflows/waiting", moved)
	before := s.stored()
	const publish = "/v1/workflows/waiting/publish"
	stands := func(then, to string, i int) map[string]any {
		g := []map[string]any{
			{"version": 1.0, "waits": false, "count": 1.0}, {"version": 1.0, "step": "settle", "waits": true, "count": 1.0}, {"version": 1.0, "step": "tell", "waits": false, "count": 1.0},
		}[i]
		g["then"] = then
		if to != "" {
			g["to"] = to
		}
		return g
	}
	for _, c := range []struct {
		body string
		want []any
	}{
		{"", []any{stands("finishes", "", 0), stands("finishes", "", 1), stands("finishes", "", 2)}},
		{`{"in_flight":"finish"}`, []any{stands("finishes", "", 0), stands("finishes", "", 1), stands("finishes", "", 2)}},
		{`{"in_flight":"migrate"}`, []any{stands("moves", "tell", 0), stands("moves", "tell", 1), stands("stays", "", 2)}},
		{`{"in_flight":"migrate","mapping":{"settle":"pause"}}`, []any{stands("moves", "pause", 0), stands("moves", "pause", 1), stands("stays", "", 2)}},
	} {
		out := s.must(200, "POST", publish+"?dry_run=true", c.body).object()
		require.Equal(t, c.want, out["in_flight"], c.body)
		require.Equal(t, []any{"waiting", 2.0, true}, []any{out["workflow"], out["version"], out["changed"]}, c.body)
	}
	require.Equal(t, before, s.stored())
	out := s.must(200, "POST", publish, `{"in_flight":"migrate","mapping":{"settle":"pause"},"by":"ada"}`).object()
	require.Equal(t, []any{stands("moves", "pause", 0), stands("moves", "pause", 1), stands("stays", "", 2)}, out["in_flight"])
	require.Equal(t, []map[string]any{{"kind": "migrate", "step": "settle", "version": 2.0, "by": "ada"}}, s.interventions(first))
	require.Equal(t, 3, s.count("interventions"))
	out = s.must(200, "POST", publish+"?dry_run=false", "").object()
	require.Equal(t, false, out["changed"])
}

func TestAResumptionAtARateSpreadsWhatWasHeld(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{"": 0, `{}`: 0, `{"rate":null}`: 0, `{"rate":1}`: 2 * time.Second, `{"rate":2}`: time.Second, `{"rate":5000}`: 0} {
		t.Run("rate "+body, func(t *testing.T) {
			t.Parallel()
			s := start(t).seed()
			s.crowd(3)
			s.must(200, "POST", "/v1/workflows/waiting/pause", "")
			for i := range 3 {
				ref := postgres.VisitRef{EnrollmentID: s.enroll("waiting", fmt.Sprintf("c_%02d", i)), Step: "tell", Visit: 1}
				_, err := s.db.BeginVisit(t.Context(), ref, "notify")
				require.ErrorIs(t, err, postgres.ErrPaused)
			}
			require.Equal(t, "live", s.must(200, "POST", "/v1/workflows/waiting/resume", body).object()["status"])
			var first, last time.Time
			require.NoError(t, s.conn.QueryRow(t.Context(), `select min(not_before), max(not_before) from commands where kind = 'resume'`).Scan(&first, &last))
			require.Equal(t, want, last.Sub(first))
			require.Equal(t, 3, s.count("commands"))
			s.must(200, "POST", "/v1/workflows/waiting/resume", body)
			require.Equal(t, 3, s.count("commands"), "nothing is held any more")
		})
	}
}

func TestAnArchivedWorkflowFinishesOrIsEmptied(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.crowd(1)
	ids := []string{s.enroll("waiting", "u_1"), s.enroll("waiting", "c_00")}
	s.waits(ids[0])
	for _, body := range []string{"", `{}`, `{"enrollments":null}`, `{"enrollments":"finish"}`} {
		require.Equal(t, "archived", s.must(200, "POST", "/v1/workflows/waiting/archive", body).object()["status"])
		require.Equal(t, []string{"active", "pending"}, s.statusesOf(ids), body)
	}
	w := s.must(200, "POST", "/v1/workflows/waiting/archive", `{"enrollments":"unenroll"}`).object()
	require.Equal(t, []any{"archived", map[string]any{"unenrolled": 2.0}}, []any{w["status"], w["enrollments"]})
	for _, id := range ids {
		e := s.get("/v1/enrollments/" + id).object()
		instants(t, e, "ended_at")
		require.Equal(t, []any{"unenrolled", "the workflow was archived"}, []any{e["status"], e["reason"]})
	}
	require.Equal(t, 2, s.count("commands"), "Temporal is to be told")
}

func TestTimeIsSkippedWhereTheServerAllowsIt(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) { d.FastForward = true }).seed()
	s.crowd(1)
	e := s.must(201, "POST", "/v1/workflows/waiting/enrollments", `{"user_id":"u_1","fast_forward":true}`).object()
	require.Equal(t, []any{"pending", "u_1"}, []any{e["status"], e["user_id"]})
	s.must(201, "POST", "/v1/workflows/waiting/enrollments", `{"user_id":"c_00","fast_forward":null}`)
	var fast []string
	rows, err := s.conn.Query(t.Context(), `select user_id from enrollments where fast_forward`)
	require.NoError(t, err)
	for rows.Next() {
		var user string
		require.NoError(t, rows.Scan(&user))
		fast = append(fast, user)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"u_1"}, fast)
	s.do("POST", "/v1/workflows/waiting/enrollments", `{"user_id":"u_1","fast_forward":true}`).wants(409, "already-enrolled")
}

func TestTheLawOfSuppressionHoldsForTimeThatIsSkippedToo(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) { d.FastForward = true }).seed()
	s.must(201, "PUT", "/v1/workflows/choosy", `{"enroll": {"unless": {"property": "age", "op": "at_least", "value": 18}}, "triggers": [{"manual": true}], "steps": [{"delay": "1h"}]}`)
	s.must(200, "POST", "/v1/workflows/choosy/publish", "")
	s.do("POST", "/v1/workflows/choosy/enrollments", `{"user_id":"u_1","fast_forward":true}`).wants(409, "suppressed")
}

// A worker that dies, or a signal that comes at the last moment, lets Temporal ask the end of a run anew.
func TestTheEndOfARunThatFailedDoesNotEndTheOneThatGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	id := s.failing(1)[0]
	s.must(200, "POST", "/v1/enrollments/"+id+"/retry", "")
	at, err := s.db.PositionOf(t.Context(), id)
	require.NoError(t, err)
	require.Positive(t, at.Attended)

	for _, status := range []automation.EnrollmentStatus{automation.Failed, automation.Completed, automation.Unenrolled, ""} {
		now, _, err := s.db.EndEnrollment(t.Context(), postgres.End{ID: id, Status: status, Step: "tell", Reason: "said again"})
		require.NoError(t, err)
		require.Equal(t, automation.Pending, now)
	}
	now, _, err := s.db.EndEnrollment(t.Context(), postgres.End{ID: id, Status: automation.Completed, Attended: at.Attended})
	require.NoError(t, err)
	require.Equal(t, automation.Completed, now)
}
