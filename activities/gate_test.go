package activities_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/workflows"
)

// everyAction are params with which each kind of action would do something.
func everyAction(b *bench) map[string]string {
	return map[string]string{
		"add_sheet_row": `{"spreadsheet": "staff", "values": {"Id": "{{ user.id }}"}}`,
		"notify":        `{"to": "{{ user.id }}", "text": "x"}`,
		"send_email":    `{"to": "ada@example.com", "subject": "s", "body": "b"}`,
		"send_slack":    `{"to": "#people", "text": "x"}`,
		"send_webhook":  `{"url": "` + b.world.WebhookURL("x") + `"}`,
		"set_property":  `{"property": "job_title", "value": "Lead"}`,
	}
}

// nothingDone is sure that no action had an effect.
func (b *bench) nothingDone() {
	b.Helper()
	require.Empty(b, b.world.Outbox())
	require.Zero(b, b.count(`select count(*) from notifications`))
	require.Zero(b, b.count(`select count(*) from changes where source <> 'api'`))
}

func TestNothingIsDoneForAnEnrollmentThatHasEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t).withSheets()
	b.user("ada", nil)
	for kind, with := range everyAction(b) {
		enrollment := b.step(kind, "ada", kind, with)
		_, _, err := b.db.Unenroll(t.Context(), enrollment, "on request", "")
		require.NoError(t, err)

		result, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it"})

		require.NoError(t, err, kind)
		require.Equal(t, workflows.ActionResult{Outcome: workflows.Ended}, result, kind)
		require.Zero(t, b.count(`select count(*) from visits where enrollment_id = $1`, enrollment), kind)
		require.Equal(t, automation.Unenrolled, b.enrollment(enrollment).Status, kind)
	}
	b.nothingDone()
}

func TestNothingIsDoneWhileTheWorkflowIsPaused(t *testing.T) {
	t.Parallel()
	b := newBench(t).withSheets()
	b.user("ada", nil)
	for kind, with := range everyAction(b) {
		enrollment := b.step(kind, "ada", kind, with)
		_, err := b.db.Pause(t.Context(), kind)
		require.NoError(t, err)

		for range 2 {
			result, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it"})
			require.NoError(t, err, kind)
			require.Equal(t, workflows.ActionResult{Outcome: workflows.Kept}, result, kind)
		}

		v := b.visit(enrollment, "it")
		require.Equal(t, automation.StepHeld, v.Status, kind)
		require.Equal(t, kind, v.Kind)
		require.Zero(t, v.Attempts, kind)
		require.Equal(t, automation.Pending, b.enrollment(enrollment).Status, kind)
	}
	b.nothingDone()
	for kind := range everyAction(b) {
		_, err := b.db.Resume(t.Context(), kind, 0)
		require.NoError(t, err)
		list, err := b.db.Commands(t.Context(), 100)
		require.NoError(t, err)
		enrollment := list[len(list)-1].EnrollmentID
		v := b.do(kind, enrollment)
		require.Equal(t, automation.StepDone, v.Status, kind)
		require.Equal(t, 1, v.Attempts, kind)
	}
	require.Len(t, b.world.Outbox(), 4)
}

func TestAVisitThatIsDoneIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := newBench(t).withSheets()
	b.user("ada", nil)
	for kind, with := range everyAction(b) {
		enrollment := b.step(kind, "ada", kind, with)
		first := b.do(kind, enrollment)
		require.Equal(t, first, b.do(kind, enrollment), kind)
		require.Equal(t, 1, first.Attempts, kind)
	}
	require.Len(t, b.world.Outbox(), 4)
	require.Equal(t, 1, b.count(`select count(*) from notifications`))
	require.Equal(t, 1, b.count(`select count(*) from changes where source <> 'api'`))
}

// TestAPauseDoesNotHoldWhatIsDone: the worker that did a step was killed before it could say so, and the
// one that asks again comes into a pause. Nobody would tell it of the resumption.
func TestAPauseDoesNotHoldWhatIsDone(t *testing.T) {
	t.Parallel()
	b := newBench(t).withSheets()
	b.user("ada", nil)
	for kind, with := range everyAction(b) {
		enrollment := b.step(kind, "ada", kind, with)
		done, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it"})
		require.NoError(t, err, kind)
		_, err = b.db.Pause(t.Context(), kind)
		require.NoError(t, err)

		again, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it"})

		require.NoError(t, err, kind)
		require.Equal(t, done, again, kind)
	}
}

func TestTheLastOutsideActionCompletesTheEnrollment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish("w", `[{"id": "it", "action": "send_webhook", "with": {"url": "`+b.world.WebhookURL("x")+`"}}]`)
	b.user("ada", nil)
	enrollment := b.enroll("w", "ada")
	last := workflows.StepInput{EnrollmentID: enrollment, Step: "it", Last: true}

	result, err := b.try("send_webhook", last)
	require.NoError(t, err)
	require.Equal(t, workflows.ActionResult{Outcome: workflows.Done, Completed: true}, result)
	require.Equal(t, automation.Completed, b.enrollment(enrollment).Status)

	result, err = b.try("send_webhook", last)
	require.NoError(t, err)
	require.Equal(t, workflows.ActionResult{Outcome: workflows.Ended}, result)
	require.Len(t, b.world.Outbox(), 1)
}

// attempts are the attempts that were counted, by kind and result.
func (b *bench) attempts() map[string]float64 {
	b.Helper()
	families, err := b.metrics.Gather()
	require.NoError(b, err)
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "rollcall_action_attempts_total" {
			for _, m := range f.GetMetric() {
				counts[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return counts
}

func TestAttemptsAreCountedAndErrorsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	enrollment := b.step("w", "ada", "send_webhook", `{"url": "`+b.world.WebhookURL("x")+`"}`)
	b.world.Fail(world.Fault{Path: "/webhook/x", Status: 503, Times: 2, Body: strings.Repeat("ä", 5000)})

	require.False(t, b.fails("send_webhook", enrollment).NonRetryable())
	require.Equal(t, 1, b.visit(enrollment, "it").Attempts)
	require.False(t, b.fails("send_webhook", enrollment).NonRetryable())
	v := b.visit(enrollment, "it")
	require.Equal(t, 2, v.Attempts)
	require.Equal(t, "send_webhook", v.Kind)
	require.True(t, strings.HasPrefix(v.Error, "send webhook: status 503 Service Unavailable: ää"))
	require.Less(t, len(v.Error), 1000)
	require.Equal(t, "it", b.enrollment(enrollment).Step)

	v = b.do("send_webhook", enrollment)
	require.Equal(t, 3, v.Attempts)
	require.Empty(t, v.Error)
	require.Equal(t, map[string]float64{"send_webhook done": 1, "send_webhook failed": 2}, b.attempts())
}

func TestLatenessIsObservedOnceForTheStepBehindADelay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	for i, kind := range []string{"send_webhook", "set_property"} {
		b.publish(kind, `[{"id": "settle", "delay": "1d"}, {"id": "it", "action": "`+kind+`", "with": `+everyAction(b)[kind]+`}, {"id": "rest", "delay": "1d"}]`)
		enrollment := b.enroll(kind, "ada")
		settle := workflows.StepInput{EnrollmentID: enrollment, Step: "settle", Visit: 1}
		_, err := b.activity.ExecuteActivity(workflows.BeginDelayActivity, workflows.DelayInput{StepInput: settle, Until: time.Now().Add(-30 * time.Second)})
		require.NoError(t, err)
		b.do(kind, enrollment)
		b.do(kind, enrollment)
		require.Equal(t, automation.StepDone, b.visit(enrollment, "settle").Status)

		families, err := b.metrics.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "rollcall_delay_lateness_seconds" {
				h := f.GetMetric()[0].GetHistogram()
				require.Equal(t, uint64(i+1), h.GetSampleCount())
				require.InDelta(t, 30*float64(i+1), h.GetSampleSum(), 20)
			}
		}
	}
}

func TestActionsInsideAreCountedToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.do("set_property", b.step("w1", "ada", "set_property", `{"property": "job_title", "value": "Lead"}`))
	b.failsForGood("notify", b.step("w2", "ada", "notify", `{"to": "zoe", "text": "x"}`), "zoe")
	require.Equal(t, map[string]float64{"set_property done": 1, "notify failed": 1}, b.attempts())
}

func TestAnEnrollmentStaysOnItsVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	old := b.step("w", "ada", "set_property", `{"property": "job_title", "value": "version {{ workflow.version }}, old"}`)
	b.publish("w", `[{"id": "it", "action": "set_property", "with": {"property": "job_title", "value": "version {{ workflow.version }}, new"}}, {"id": "rest", "delay": "1d"}]`)

	b.do("set_property", old)
	require.Equal(t, "version 1, old", b.value("ada", "job_title"))

	_, _, err := b.db.Unenroll(t.Context(), old, "", "")
	require.NoError(t, err)
	b.do("set_property", b.enroll("w", "ada"))
	require.Equal(t, "version 2, new", b.value("ada", "job_title"))
}

func TestAStepThatTheVersionDoesNotHaveFailsForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	enrollment := b.step("w", "ada", "send_webhook", `{"url": "`+b.world.WebhookURL("x")+`"}`)

	_, err := b.try("send_webhook", workflows.StepInput{EnrollmentID: enrollment, Step: "other"})

	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable())
	require.Equal(t, "it failed (not found), the timeline says more", app.Message())
	require.Equal(t, "step other: not found", b.visit(enrollment, "other").Error)
	require.Empty(t, b.world.Outbox())
}

func TestADelayIsRecordedOnceAndShownInItsZone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"time_zone": "Asia/Tokyo"})
	steps := `[{"id": "settle", "delay": "1d"}, {"id": "it", "action": "notify", "with": {"to": "ada", "text": "x"}}]`
	until := time.Date(2027, 3, 27, 23, 30, 0, 0, time.UTC)
	for zone, shown := range map[string]string{
		"Europe/Warsaw": "Sun 28 Mar 2027 00:30:00 CET", "user": "Sun 28 Mar 2027 08:30:00 JST", "UTC": "Sat 27 Mar 2027 23:30:00 UTC",
	} {
		name := strings.ToLower(strings.ReplaceAll(zone, "/", "-"))
		b.publish(name, steps, `"triggers": [{"manual": true}]`, `"time_zone": "`+zone+`"`)
		in := workflows.StepInput{EnrollmentID: b.enroll(name, "ada"), Step: "settle", Visit: 1}
		for _, asked := range []time.Time{until, until.Add(time.Hour)} {
			encoded, err := b.activity.ExecuteActivity(workflows.BeginDelayActivity, workflows.DelayInput{StepInput: in, Until: asked})
			require.NoError(t, err)
			var wait workflows.DelayResult
			require.NoError(t, encoded.Get(&wait))
			require.Equal(t, workflows.DelayResult{Outcome: workflows.Done, Until: until, Shown: shown}, wait)
		}
		require.Equal(t, automation.StepWaiting, b.visit(in.EnrollmentID, "settle").Status)
		_, _, err := b.db.Unenroll(t.Context(), in.EnrollmentID, "", "")
		require.NoError(t, err)
		encoded, err := b.activity.ExecuteActivity(workflows.BeginDelayActivity, workflows.DelayInput{StepInput: in, Until: until})
		require.NoError(t, err)
		var wait workflows.DelayResult
		require.NoError(t, encoded.Get(&wait))
		require.Equal(t, workflows.Ended, wait.Outcome)
	}
}

func TestABranchIsDecidedOnceBehindTheGate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"job_title": "Lead"})
	b.publish("w", `[{"id": "it", "branch": [
		{"if": {"property": "job_title", "op": "equals", "value": "Lead"}, "steps": [{"id": "lead", "exit": {}}]}, {"else": true}]}, {"id": "rest", "delay": "1d"}]`)
	enrollment := b.enroll("w", "ada")
	take := func() workflows.BranchResult {
		t.Helper()
		encoded, err := b.activity.ExecuteActivity(workflows.TakeBranchActivity, workflows.StepInput{EnrollmentID: enrollment, Step: "it", Visit: 1})
		require.NoError(t, err)
		var taken workflows.BranchResult
		require.NoError(t, encoded.Get(&taken))
		return taken
	}
	_, err := b.db.Pause(t.Context(), "w")
	require.NoError(t, err)
	require.Equal(t, workflows.BranchResult{Outcome: workflows.Kept}, take())
	_, err = b.db.Resume(t.Context(), "w", 0)
	require.NoError(t, err)
	require.Equal(t, workflows.BranchResult{Outcome: workflows.Done, Arm: 0}, take())
	b.user("ada", properties{"job_title": nil})
	require.Equal(t, workflows.BranchResult{Outcome: workflows.Done, Arm: 0}, take(), "as recorded")
	_, _, err = b.db.Unenroll(t.Context(), enrollment, "", "")
	require.NoError(t, err)
	require.Equal(t, workflows.BranchResult{Outcome: workflows.Ended}, take())
}

func TestTheFirstEndOfAnEnrollmentStands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	enrollment := b.step("w", "ada", "notify", `{"to": "ada", "text": "x"}`)
	finish := func(in workflows.FinishInput) workflows.EnrollmentResult {
		t.Helper()
		encoded, err := b.activity.ExecuteActivity(workflows.FinishEnrollmentActivity, in)
		require.NoError(t, err)
		var result workflows.EnrollmentResult
		require.NoError(t, encoded.Get(&result))
		return result
	}
	failed := workflows.EnrollmentResult{Status: automation.Failed, Reason: "step it: no"}
	require.Equal(t, failed, finish(workflows.FinishInput{EnrollmentID: enrollment, Status: automation.Failed, Reason: "step it: no"}))
	require.Equal(t, workflows.EnrollmentResult{Status: automation.Failed}, finish(workflows.FinishInput{EnrollmentID: enrollment, Status: automation.Completed}))
	require.Equal(t, "step it: no", b.enrollment(enrollment).Reason)
	require.Equal(t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "the enrollment is unknown"},
		finish(workflows.FinishInput{EnrollmentID: "0190b7a0-0000-7000-8000-000000000000", Status: automation.Completed}))
}
