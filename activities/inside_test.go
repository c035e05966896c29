package activities_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

func TestTeamsAreJoinedAndLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u", properties{"teams": []any{"sales"}, "main_team": "sales"})
	b.do("add_to_team", b.step("join", "u", "add_to_team", `{"team": "support"}`))
	require.Equal(t, []any{"sales", "support"}, b.value("u", "teams"))
	v := b.do("remove_from_team", b.step("leave", "u", "remove_from_team", `{"team": "{{ user.main_team }}"}`))
	require.Equal(t, "removed from sales", v.What)
	require.Equal(t, []any{"support"}, b.value("u", "teams"))
	require.Nil(t, b.value("u", "main_team"), "nobody's main team is one that he is not in")
	v = b.do("remove_from_team", b.step("again", "u", "remove_from_team", `{"team": "sales"}`))
	require.Equal(t, map[string]any{"changed": false}, v.Output)
}

func TestTaskIsGivenOnceAndCanBeDone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("boss", nil)
	b.user("u", properties{"first_name": "Ada", "manager": "boss"})
	id := b.step("w", "u", "create_task", `{"title": "Order a laptop for {{ user.first_name }}", "assignee": "manager", "due": "3d"}`)
	for range 2 {
		_, err := b.try("create_task", workflows.StepInput{EnrollmentID: id, Step: "it"})
		require.NoError(t, err)
	}
	open := true
	tasks, err := b.db.Tasks(t.Context(), postgres.TaskQuery{Assignee: "boss", Open: &open, Limit: 10})
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.Equal(t, []string{"Order a laptop for Ada", "boss", "u", id}, []string{tasks[0].Title, tasks[0].Assignee, tasks[0].UserID, *tasks[0].EnrollmentID})
	require.WithinDuration(t, time.Now().Add(72*time.Hour), *tasks[0].DueAt, time.Minute)
	done, err := b.db.SetTaskDone(t.Context(), tasks[0].ID, true)
	require.NoError(t, err)
	require.NotNil(t, done.DoneAt)
	tasks, err = b.db.Tasks(t.Context(), postgres.TaskQuery{Open: &open, Limit: 10})
	require.NoError(t, err)
	require.Empty(t, tasks)
}

func TestTaskOnADateIsDueAtItsEndByTheClocksOfTheWorkflow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u", nil)
	b.publish("w", `[{"id": "it", "action": "create_task", "with": {"title": "x", "due": "2027-01-04"}}, {"id": "rest", "delay": "1d"}]`,
		`"triggers": [{"manual": true}]`, `"time_zone": "Europe/Warsaw"`)
	b.do("create_task", b.enroll("w", "u"))
	tasks, err := b.db.Tasks(t.Context(), postgres.TaskQuery{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, "2027-01-04T23:00:00Z", tasks[0].DueAt.UTC().Format(time.RFC3339))
	for name, with := range map[string]string{
		"nobody": `{"title": "x", "assignee": "u_none"}`, "a team": `{"title": "x", "assignee": "team:none"}`, "a word": `{"title": "x", "due": "{{ 'soon' }}"}`,
	} {
		require.Error(t, b.fails("create_task", b.step("w"+strings.ReplaceAll(name, " ", "_"), "u", "create_task", with)))
	}
}

func TestWorkflowsEnrollAndUnenrollInOneAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u", nil)
	b.publish("other", `[{"id": "rest", "delay": "1d"}]`)
	first := b.step("in", "u", "enroll", `{"workflow": "other"}`)
	v := b.do("enroll", first)
	list, err := b.db.Enrollments(t.Context(), postgres.EnrollmentQuery{Workflow: "other", Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, map[string]any{"enrolled": true, "enrollment": list[0].ID}, v.Output)
	_, err = b.try("enroll", workflows.StepInput{EnrollmentID: first, Step: "it"})
	require.NoError(t, err, "asked again, nothing happens")
	v = b.do("enroll", b.step("in2", "u", "enroll", `{"workflow": "other"}`))
	require.Equal(t, map[string]any{"enrolled": false, "reason": "already enrolled"}, v.Output)

	v = b.do("unenroll", b.step("out", "u", "unenroll", `{"workflow": "other", "reason": "moved"}`))

	require.Equal(t, "unenrolled from other", v.What)
	e, err := b.db.Enrollment(t.Context(), list[0].ID)
	require.NoError(t, err)
	require.Equal(t, []any{automation.Unenrolled, "moved"}, []any{e.Status, e.Reason})
	v = b.do("unenroll", b.step("out2", "u", "unenroll", `{"workflow": "other"}`))
	require.Equal(t, map[string]any{"unenrolled": false}, v.Output)
	b.failsForGood("enroll", b.step("lost", "u", "enroll", `{"workflow": "nowhere"}`), "not found")
	b.failsForGood("unenroll", b.step("self", "u", "unenroll", `{"workflow": "self"}`), "exit")
}

func TestWorkflowsThatEnrollInOneAnotherEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u", nil)
	step := func(to string) string {
		return `[{"id": "it", "action": "enroll", "with": {"workflow": "` + to + `"}}, {"id": "rest", "delay": 0}]`
	}
	b.publish("ping", step("pong"))
	b.publish("pong", step("ping"))
	name, id := "ping", b.enroll("ping", "u")
	for turns := 0; ; turns++ {
		require.Less(t, turns, 20)
		v := b.do("enroll", id)
		_, _, err := b.db.EndEnrollment(t.Context(), postgres.End{ID: id, Status: automation.Completed})
		require.NoError(t, err)
		if v.Output["enrolled"] == false {
			require.Contains(t, v.Output["reason"], "loop")
			return
		}
		name = map[string]string{"ping": "pong", "pong": "ping"}[name]
		id = v.Output["enrollment"].(string)
	}
}

func TestFormattedTextsAreOutputs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u", properties{"first_name": "ada"})
	v := b.do("format", b.step("w", "u", "format", `{"outputs": {"name": "{{ user.first_name | capitalize }}", "id": "{{ user.id }}"}}`))
	require.Equal(t, map[string]any{"name": "Ada", "id": "u"}, v.Output)
	require.Equal(t, "formatted id, name", v.What)
}
