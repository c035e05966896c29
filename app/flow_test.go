package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/workflows"
)

// steps is what the timeline of an enrollment says, a line each: step, visit, status and what.
func (s *service) steps(id string) []string {
	s.t.Helper()
	timeline, err := s.db.Timeline(s.ctx, id)
	require.NoError(s.t, err)
	var lines []string
	for _, v := range timeline {
		lines = append(lines, fmt.Sprintf("%s %d %s", v.Step, v.Visit, v.Status))
	}
	return lines
}

// outputOf is what a step of an enrollment gave.
func (s *service) outputOf(id, step string) map[string]any {
	s.t.Helper()
	timeline, err := s.db.Timeline(s.ctx, id)
	require.NoError(s.t, err)
	for _, v := range timeline {
		if v.Step == step {
			return v.Output
		}
	}
	require.Fail(s.t, "no such step", step)
	return nil
}

func TestWaitEndsWhenTheEventComesAndLaterStepsSeeIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(`
name: survey
triggers: [{ event: signed_up }]
steps:
  - id: reply
    wait_for: { event: survey.completed, where: { event_property: score, op: at_least, value: 5 }, at_most: 1h }
  - id: answered
    branch:
      - if: { step: reply, op: equals, value: happened }
        steps: [{ id: thank, action: notify, with: { to: u_1, text: "score {{ steps.reply.event.score }}" } }]
      - else: true
        steps: [{ id: nudge, action: notify, with: { to: u_1, text: "no answer" } }]
`)
	s.put("u_1", properties{})
	s.must("POST", "/v1/events", map[string]any{"name": "survey.completed", "user_id": "u_1", "properties": map[string]any{"score": 9}})
	s.event("signed_up", "u_1")
	e := s.wantStep("survey", "u_1", "reply")
	require.WithinDuration(t, time.Now().Add(time.Hour), *e.WaitingUntil, time.Minute)
	s.must("POST", "/v1/events", map[string]any{"name": "survey.completed", "user_id": "u_1", "properties": map[string]any{"score": 2}})
	s.must("POST", "/v1/events", map[string]any{"name": "survey.completed", "user_id": "u_1", "properties": map[string]any{"score": 7}})
	began := time.Now()

	e = s.wantStatus("survey", "u_1", automation.Completed)

	require.Less(t, time.Since(began), 30*time.Second, "it does not wait for an hour")
	require.Equal(t, []string{"reply 1 done", "answered 1 done", "thank 1 done"}, s.steps(e.ID))
	require.Equal(t, "happened", s.outputOf(e.ID, "reply")["outcome"])
	list := s.must("GET", "/v1/notifications?user=u_1", nil)["items"].([]any)
	require.Equal(t, "score 7", list[0].(map[string]any)["text"])
	s.keepHistory(e.TemporalWorkflowID, "wait_for")
}

func TestWaitThatTimesOut(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(`
name: patient
triggers: [{ event: signed_up }]
steps:
  - { id: either, wait_for: { any: [{ event: survey.completed }, { filter: { property: job_title, op: equals, value: lead } }], at_most: 1s } }
  - { id: by_outcome, branch_on: { step: either }, cases: [{ is: timed_out, steps: [{ id: late, exit: { reason: nobody came } }] }, { else: true }] }
  - { id: end, exit: { reason: somebody came } }
`)
	s.put("u_late", properties{})
	s.put("u_lead", properties{"job_title": "Lead"})
	s.put("u_soon", properties{})
	for _, user := range []string{"u_late", "u_lead", "u_soon"} {
		s.event("signed_up", user)
	}
	s.patch("u_soon", properties{"job_title": "lead"})

	require.Equal(t, "nobody came", s.wantStatus("patient", "u_late", automation.Completed).Reason)
	require.Equal(t, "somebody came", s.wantStatus("patient", "u_lead", automation.Completed).Reason)
	require.Equal(t, "somebody came", s.wantStatus("patient", "u_soon", automation.Completed).Reason)
	s.keepHistory(s.enrollments("patient", "u_late")[0].TemporalWorkflowID, "timed_out")
}

func TestDelayFollowsTheDateOnTheRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(`
name: onboarding
triggers: [{ event: signed_up }]
steps:
  - { id: settle, delay: { until: { property: last_active_at, offset: 1h } } }
  - { id: end, exit: { reason: the day came } }
`)
	s.put("u_1", properties{"last_active_at": time.Now().UTC().Format(time.RFC3339)})
	s.event("signed_up", "u_1")
	e := s.wantStep("onboarding", "u_1", "settle")
	require.WithinDuration(t, time.Now().Add(time.Hour), *e.WaitingUntil, time.Minute)

	s.patch("u_1", properties{"last_active_at": time.Now().UTC().Add(time.Hour).Format(time.RFC3339)})
	s.until("the delay has moved", func() bool {
		until := s.enrollments("onboarding", "u_1")[0].WaitingUntil
		return until != nil && until.After(time.Now().Add(90*time.Minute))
	})
	s.patch("u_1", properties{"last_active_at": time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)})

	e = s.wantStatus("onboarding", "u_1", automation.Completed)
	require.Equal(t, "the day came", e.Reason)
	s.keepHistory(e.TemporalWorkflowID, "delay_follows")
}

func TestLoopSplitAndCases(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.declare(number("rounds"))
	s.publish(`
name: loops
triggers: [{ event: signed_up }]
steps:
  - { id: count, action: set_property, with: { property: rounds, increment: 1 } }
  - { id: half, split: [{ weight: 1, steps: [{ id: heads, delay: 0 }] }, { weight: 1, steps: [{ id: tails, delay: 0 }] }] }
  - { id: again, goto: count, at_most: 2 }
  - { id: where, branch_on: { value: "{{ user.job_title | downcase }}" }, cases: [{ is: [lead, head], steps: [{ exit: { reason: leads } }] }, { else: true }] }
  - { exit: { reason: does not lead } }
`)
	s.put("u_1", properties{"job_title": "Head"})
	s.event("signed_up", "u_1")
	e := s.wantStatus("loops", "u_1", automation.Completed)
	require.Equal(t, "leads", e.Reason)
	require.InDelta(t, 3.0, s.must("GET", "/v1/users/u_1", nil)["properties"].(map[string]any)["rounds"], 0)
	timeline, err := s.db.Timeline(s.ctx, e.ID)
	require.NoError(t, err)
	sides := map[string]int{}
	for _, v := range timeline {
		if v.Step == "heads" || v.Step == "tails" {
			sides[v.Step]++
		}
	}
	require.Len(t, sides, 1, "a user always takes the same part")
	s.keepHistory(e.TemporalWorkflowID, "loop")
}

func TestErrorIsHandledBySteps(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(fmt.Sprintf(`
name: careful
triggers: [{ event: signed_up }]
steps:
  - id: call
    action: send_webhook
    with: { url: "http://%[1]s/webhook/gone" }
    on_error:
      - { id: tell, action: notify, with: { to: u_1, text: "{{ steps.call.error }}" } }
  - { id: more, action: send_webhook, with: { url: "http://%[1]s/webhook/gone" }, on_error: continue }
  - { id: end, branch: [{ if: { step: more, op: equals, value: failed }, steps: [{ exit: { reason: both failed } }] }, { else: true }] }
`, s.world.HTTPAddr()))
	s.world.Fail(world.Fault{Path: "/webhook/gone", Times: 2, Status: 404})
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")

	e := s.wantStatus("careful", "u_1", automation.Completed)

	require.Equal(t, "both failed", e.Reason)
	require.Equal(t, []string{"call 1 failed", "tell 1 done", "more 1 failed", "end 1 done"}, s.steps(e.ID))
	list := s.must("GET", "/v1/notifications?user=u_1", nil)["items"].([]any)
	require.Contains(t, list[0].(map[string]any)["text"], "404")
	s.keepHistory(e.TemporalWorkflowID, "rescued")
}

func TestFailedEnrollmentIsTriedAgainFromItsStep(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.hook("again", everyEvent, "0s"))
	s.world.Fail(world.Fault{Path: "/webhook/second", Times: 2, Status: 404})
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	e := s.wantStatus("again", "u_1", automation.Failed)

	s.must("POST", "/v1/enrollments/"+e.ID+"/retry", map[string]any{"by": "ada", "reason": "the receiver is back"})
	s.until("it has failed once more", func() bool {
		list, err := s.db.Interventions(s.ctx, e.ID)
		require.NoError(t, err)
		return len(list) == 1 && s.enrollments("again", "u_1")[0].Status == automation.Failed
	})
	answer := s.must("POST", "/v1/workflows/again/failed/retry", map[string]any{"by": "ada"})

	require.InDelta(t, 1.0, answer["count"], 0, "%v", answer)
	done := s.wantStatus("again", "u_1", automation.Completed)
	require.Equal(t, e.ID, done.ID)
	require.Len(t, s.items("webhook"), 2, "the first one was not repeated")
	require.Equal(t, automation.EffectKey(e.ID, "second", 1), s.items("webhook")[1].WebhookID)
	var result workflows.EnrollmentResult
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, e.TemporalWorkflowID, "").Get(s.ctx, &result))
	require.Equal(t, automation.Completed, result.Status)
}

func TestOperatorSkipsAWaitAndJumps(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(`
name: steered
triggers: [{ event: signed_up }]
steps:
  - { id: first, delay: 30d }
  - { id: second, wait_for: { event: never } }
  - { id: third, delay: 30d }
  - { id: end, exit: { reason: through } }
`)
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	e := s.wantStep("steered", "u_1", "first")
	path := "/v1/enrollments/" + e.ID
	s.must("POST", path+"/skip", map[string]any{"by": "ada", "reason": "in a hurry"})
	s.wantStep("steered", "u_1", "second")
	s.must("POST", path+"/skip", nil)
	s.wantStep("steered", "u_1", "third")
	status, _ := s.call("POST", path+"/jump", map[string]any{"step": "nowhere"})
	require.Equal(t, 422, status)
	s.must("POST", path+"/jump", map[string]any{"step": "first"})
	s.wantStep("steered", "u_1", "first")
	s.must("POST", path+"/jump", map[string]any{"step": "end"})

	done := s.wantStatus("steered", "u_1", automation.Completed)

	require.Equal(t, "through", done.Reason)
	require.Equal(t, []string{"first 1 skipped", "second 1 skipped", "third 1 skipped", "first 2 skipped"}, s.steps(e.ID))
	list := s.must("GET", path, nil)["interventions"].([]any)
	require.Len(t, list, 4)
	first := list[0].(map[string]any)
	require.Equal(t, []any{"skip", "first", "ada", "in a hurry", "done"}, []any{first["kind"], first["step"], first["by"], first["reason"], first["outcome"]})
	s.keepHistory(e.TemporalWorkflowID, "steered")
}

func TestRunningEnrollmentsMigrate(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish("name: moves\ntriggers: [{ event: signed_up }]\nsteps: [{ id: rest, delay: 30d }, { id: old, delay: 30d }, { id: end, exit: { reason: of the first } }]")
	for _, user := range []string{"u_rest", "u_old"} {
		s.put(user, properties{})
		s.event("signed_up", user)
		s.wantStep("moves", user, "rest")
	}
	s.must("POST", "/v1/enrollments/"+s.enrollments("moves", "u_old")[0].ID+"/skip", nil)
	s.wantStep("moves", "u_old", "old")
	s.must("PUT", "/v1/workflows/moves", "name: moves\ntriggers: [{ event: signed_up }]\nsteps: [{ id: rest, delay: 1s }, { id: fresh, delay: 0 }, { id: end, exit: { reason: of the second } }]")

	foreseen := s.must("POST", "/v1/workflows/moves/publish?dry_run=true", map[string]any{"in_flight": "migrate"})
	require.Equal(t, []any{
		map[string]any{"version": 1.0, "step": "old", "waits": true, "count": 1.0, "then": "moves", "to": "end"},
		map[string]any{"version": 1.0, "step": "rest", "waits": true, "count": 1.0, "then": "stays"},
	}, foreseen["in_flight"])
	require.InDelta(t, 1.0, s.must("GET", "/v1/workflows/moves", nil)["live_version"], 0)
	published := s.must("POST", "/v1/workflows/moves/publish", map[string]any{"in_flight": "migrate", "mapping": map[string]any{"old": "fresh"}, "by": "ada"})
	require.Len(t, published["in_flight"], 2)

	for _, user := range []string{"u_rest", "u_old"} {
		e := s.wantStatus("moves", user, automation.Completed)
		require.Equal(t, []any{"of the second", 2}, []any{e.Reason, e.Version}, user)
		require.Contains(t, s.steps(e.ID), "fresh 1 done")
	}
	s.keepHistory(s.enrollments("moves", "u_rest")[0].TemporalWorkflowID, "migrated")
}

func TestActionsKeepToTheHours(t *testing.T) {
	t.Parallel()
	s := start(t)
	now := time.Now().UTC()
	closed := now.Add(2 * time.Hour)
	s.publish(fmt.Sprintf(`
name: hours
triggers: [{ event: signed_up }]
hours: { windows: [{ from: "%s", to: "%s" }] }
steps:
  - { id: passes, delay: 1s }
  - { id: held, action: notify, with: { to: u_1, text: hello } }
`, closed.Format("15:04"), closed.Add(time.Hour).Format("15:04")))
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	e := s.wantStep("hours", "u_1", "held")
	require.True(t, e.WaitingUntil.After(now.Add(30*time.Minute)), "%s", e.WaitingUntil)
	require.Equal(t, []string{"passes 1 done", "held 1 held"}, s.steps(e.ID))
	s.must("POST", "/v1/enrollments/"+e.ID+"/skip", nil)
	e = s.wantStatus("hours", "u_1", automation.Completed)
	require.Equal(t, []string{"passes 1 done", "held 1 skipped"}, s.steps(e.ID))
	s.keepHistory(e.TemporalWorkflowID, "hours")
}

func TestFastForwardedMonthTakesSeconds(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(`
name: month
triggers: [{ manual: true }]
hours: { windows: [{ days: [monday], from: "09:00", to: "10:00" }] }
steps:
  - { id: wait, delay: 30d }
  - { id: reply, wait_for: { event: never, at_most: 5d } }
  - { id: tell, action: notify, with: { to: u_1, text: "{{ now | date: '%H' }}" } }
`)
	s.put("u_1", properties{})
	began := time.Now()
	s.must("POST", "/v1/workflows/month/enrollments", map[string]any{"user_id": "u_1", "fast_forward": true})
	e := s.wantStatus("month", "u_1", automation.Completed)
	t.Logf("a month took %s", time.Since(began))
	timeline, err := s.db.Timeline(s.ctx, e.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"wait 1 done", "reply 1 done", "tell 1 done"}, s.steps(e.ID))
	last := timeline[len(timeline)-1]
	require.True(t, last.FinishedAt.After(began.Add(35*24*time.Hour)), "%s", last.FinishedAt)
	require.Equal(t, time.Monday, last.FinishedAt.Weekday())
	list := s.must("GET", "/v1/notifications?user=u_1", nil)["items"].([]any)
	require.Equal(t, "09", list[0].(map[string]any)["text"])
}
