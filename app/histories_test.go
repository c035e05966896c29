package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	workflowpb "go.temporal.io/api/workflow/v1"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

// Each test here shows a path of the interpreter that no other test takes to its end, for the sake of its
// history.

// flow publishes a definition of these steps and lets a user begin.
func (s *service) flow(steps string) automation.Enrollment {
	s.t.Helper()
	s.publish("name: flow\ntriggers: [{ event: signed_up }]\nsteps:\n" + steps)
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	s.until("it has begun", func() bool {
		list := s.enrollments("flow", "u_1")
		return len(list) > 0 && list[0].StartedAt != nil
	})
	return s.enrollments("flow", "u_1")[0]
}

// steer asks for an intervention.
func (s *service) steer(e automation.Enrollment, verb string) {
	s.t.Helper()
	s.must("POST", "/v1/enrollments/"+e.ID+"/"+verb, map[string]any{"by": "ada"})
}

// wantEvents waits until the history of the last run of a Temporal workflow is so long.
func (s *service) wantEvents(workflowID string, atLeast int64) {
	s.t.Helper()
	s.until("its history has grown", func() bool { return s.historyLength(workflowID) >= atLeast })
}

func (s *service) historyLength(workflowID string) int64 {
	s.t.Helper()
	return s.describe(workflowID, "").HistoryLength
}

// signals sends a signal so many times.
func (s *service) signals(workflowID, name string, n int) {
	s.t.Helper()
	var group sync.WaitGroup
	for sender := range 16 {
		group.Go(func() {
			for i := sender; i < n; i += 16 {
				if err := s.temporal.SignalWorkflow(s.ctx, workflowID, "", name, nil); err != nil {
					s.t.Errorf("signal: %s", err)
					return
				}
			}
		})
	}
	group.Wait()
}

// suggested is the length at which Temporal suggests to continue as new.
const suggested = 4096

// keepContinued records the first run of a Temporal workflow, behind which there is another one.
func (s *service) keepContinued(workflowID, name string) {
	s.t.Helper()
	first := s.describe(workflowID, "").FirstRunId
	s.until("it goes on in a new run", func() bool { return s.describe(workflowID, "").Execution.RunId != first })
	s.keepRun(workflowID, first, name)
}

// describe is what Temporal knows of a run, the last one where none is named.
func (s *service) describe(workflowID, runID string) *workflowpb.WorkflowExecutionInfo {
	s.t.Helper()
	d, err := s.temporal.DescribeWorkflowExecution(s.ctx, workflowID, runID)
	require.NoError(s.t, err)
	return d.WorkflowExecutionInfo
}

// endedElsewhere ends enrollments behind the back of Temporal.
const endedElsewhere = `update enrollments set status = 'unenrolled', ended_at = now()`

// recordingCalls starts a service in which a user is at a step that calls a receiver.
func recordingCalls(t *testing.T) (*service, *receiver, automation.Enrollment) {
	t.Helper()
	s := recording(t)
	r := s.receiver()
	s.allow(r.Server)
	return s, r, s.flow(fmt.Sprintf("  - { id: call, action: send_webhook, with: { url: %q } }\n"+
		"  - { id: tell, action: notify, with: { to: u_1, text: through } }", r.URL))
}

func TestHistoryOfALongWaitInANewRun(t *testing.T) {
	t.Parallel()
	s := recording(t)
	e := s.flow("  - { id: wait, delay: 30d }\n  - { id: tell, action: notify, with: { to: u_1, text: through } }")
	s.signals(e.TemporalWorkflowID, workflows.WakeSignal, 520)
	s.keepContinued(e.TemporalWorkflowID, "waits_in_a_new_run")
	s.steer(e, "skip")
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "waited_in_a_new_run")
}

func TestHistoryThatIsCrowdedBetweenSteps(t *testing.T) {
	t.Parallel()
	s, r, e := recordingCalls(t)
	s.wantRequest(r)
	r.answers <- http.StatusServiceUnavailable
	s.wantRequest(r) // the later try
	s.signals(e.TemporalWorkflowID, workflows.WakeSignal, suggested)
	r.answers <- http.StatusOK
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepContinued(e.TemporalWorkflowID, "crowded_between_steps")
	s.keepHistory(e.TemporalWorkflowID, "went_on_in_a_new_run")
}

func TestHistoryThatIsCrowdedInAPause(t *testing.T) {
	t.Parallel()
	s := recording(t)
	e := s.flow("  - { id: wait, delay: 2s }\n  - { id: tell, action: notify, with: { to: u_1, text: through } }")
	s.must("POST", "/v1/workflows/flow/pause", nil)
	s.until("it is held", func() bool { return len(s.steps(e.ID)) == 2 })
	s.signals(e.TemporalWorkflowID, workflows.WakeSignal, suggested)
	s.keepContinued(e.TemporalWorkflowID, "crowded_in_a_pause")
	s.must("POST", "/v1/workflows/flow/resume", nil)
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "resumed_in_a_new_run")
}

func TestHistoryOfALongBackfill(t *testing.T) {
	t.Parallel()
	s := recording(t)
	s.crowd(60, "in", "driver")
	run := s.backfill("slow", s.titled("slow", "driver"), 2)
	id := run["temporal_workflow_id"].(string)
	s.signals(id, workflows.ResumeSignal, suggested)
	s.keepContinued(id, "backfill_in_a_new_run")
}

func TestHistoryOfALongFiring(t *testing.T) {
	t.Parallel()
	s := recording(t)
	s.crowd(30, "in", "driver")
	s.publish(s.scheduled("fires", inSixHours(), "driver"))
	run := s.must("POST", "/v1/workflows/fires/runs", map[string]any{"trigger": 0})
	id, path := run["temporal_workflow_id"].(string), "/v1/workflows/fires/runs/"+run["id"].(string)
	s.must("POST", path+"/pause", nil)
	s.until("Temporal shows the pause", func() bool { return strings.Contains(s.details(id), "paused") })
	s.signals(id, workflows.ResumeSignal, suggested)
	s.keepContinued(id, "firing_in_a_new_run")
	s.must("POST", path+"/resume", nil)
	s.wantFiring("fires", postgres.RunCompleted)
	s.keepHistory(id, "firing_by_hand")
}

func TestHistoryOfARuleThatLeadsOut(t *testing.T) {
	t.Parallel()
	s := recording(t)
	e := s.flow("  - { id: tell, action: notify, with: { to: u_1, text: hello } }\n" +
		"  - { id: wait, title: Until the first day, delay: { until: { property: last_active_at, if_missing: exit } } }")
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "left_by_rule")
}

func TestHistoryOfALateAction(t *testing.T) {
	t.Parallel()
	s := recording(t)
	e := s.flow("  - { id: wait, delay: 1s }\n  - { id: tell, action: notify, with: { to: u_1, text: late }, due_within: 1s }")
	s.must("POST", "/v1/workflows/flow/pause", nil)
	s.until("it is late", func() bool { return time.Since(e.CreatedAt) > 4*time.Second })
	s.must("POST", "/v1/workflows/flow/resume", nil)
	s.wantStatus("flow", "u_1", automation.Completed)
	require.Equal(t, []string{"wait 1 done", "tell 1 skipped"}, s.steps(e.ID))
	s.keepHistory(e.TemporalWorkflowID, "late")
}

func TestHistoryOfARetryWhileItRests(t *testing.T) {
	t.Parallel()
	s, r, e := recordingCalls(t)
	s.wantRequest(r)
	r.answers <- http.StatusServiceUnavailable
	s.wantEvents(e.TemporalWorkflowID, 6)
	s.steer(e, "retry")
	s.wantRequest(r)
	r.answers <- http.StatusOK
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "retried_at_once")
}

func TestHistoryOfAnActionThatIsGivenUp(t *testing.T) {
	t.Parallel()
	s, r, e := recordingCalls(t)
	for range 2 { // at first, and after the rest
		s.wantRequest(r)
		r.answers <- http.StatusServiceUnavailable
	}
	s.steer(e, "skip")
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "given_up")
}

func TestHistoryOfASlowFirstTry(t *testing.T) {
	t.Parallel()
	s, r, e := recordingCalls(t)
	s.wantRequest(r) // gets no answer in time
	s.wantRequest(r)
	r.answers <- http.StatusOK
	r.answers <- http.StatusOK
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "slow")
}

func TestHistoryOfAnEnrollmentThatBeginsAnew(t *testing.T) {
	t.Parallel()
	s, r, e := recordingCalls(t)
	s.wantRequest(r)
	r.answers <- http.StatusNotFound
	s.wantStatus("flow", "u_1", automation.Failed)
	s.steer(e, "retry")
	s.wantRequest(r)
	r.answers <- http.StatusOK
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "begun_anew")
}

func TestHistoryOfEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *service, e automation.Enrollment){
		"unenrolled_in_a_wait": func(s *service, e automation.Enrollment) { s.steer(e, "unenroll") },
		"canceled": func(s *service, e automation.Enrollment) {
			require.NoError(s.t, s.temporal.CancelWorkflow(s.ctx, e.TemporalWorkflowID, ""))
		},
		"ended_elsewhere": func(s *service, e automation.Enrollment) { // the word of it never came
			s.exec(endedElsewhere)
			s.signals(e.TemporalWorkflowID, workflows.WakeSignal, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := recording(t)
			e := s.flow("  - { id: reply, wait_for: { event: never } }\n  - { id: tell, action: notify, with: { to: u_1, text: through } }")
			s.wantStep("flow", "u_1", "reply")
			s.wantEvents(e.TemporalWorkflowID, 5)
			end(s, e)
			s.keepHistory(e.TemporalWorkflowID, name)
		})
	}
}

// TestHistoryOfStepsThatFindTheEnrollmentEnded records what each kind of step does where the database
// says, when the step would begin, that the enrollment has ended.
func TestHistoryOfStepsThatFindTheEnrollmentEnded(t *testing.T) {
	t.Parallel()
	for kind, step := range map[string]string{
		"action": "{ id: next, action: notify, with: { to: u_1, text: through } }",
		"delay":  "{ id: next, delay: 1h }",
		"wait":   "{ id: next, wait_for: { event: never } }",
		"branch": "{ id: next, branch: [{ else: true }] }",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := recording(t)
			e := s.flow("  - { id: first, delay: 2s }\n  - " + step)
			s.exec(endedElsewhere)
			s.keepHistory(e.TemporalWorkflowID, "ended_before_"+kind)
		})
	}
}

func TestHistoryOfACallWhoseAnswerComesToNothing(t *testing.T) {
	t.Parallel()
	s := recording(t)
	o := s.office(pendingCall)
	s.publishCall(o, "1s", "")
	e := s.wantStatus("badge", "u_1", automation.Failed)
	s.keepHistory(e.TemporalWorkflowID, "unanswered")
}

func TestHistoryOfACallThatFindsTheEnrollmentEnded(t *testing.T) {
	t.Parallel()
	s := recording(t)
	o := s.office(pendingCall)
	s.publishCall(o, "3s", "")
	e := s.wantPending("u_1")
	s.exec(endedElsewhere)
	s.keepHistory(e.TemporalWorkflowID, "ended_before_answer")
}

// TestHistoryOfWhatIsWantedBetweenSteps lets a delay end, and something be wanted, while no worker is
// there: the next one hears of both at once.
func TestHistoryOfWhatIsWantedBetweenSteps(t *testing.T) {
	t.Parallel()
	const delay = "name: flow\ntriggers: [{ event: signed_up }]\nsteps:\n  - { id: wait, delay: 6s }"
	for name, want := range map[string]func(s *service, e automation.Enrollment){
		"migrated_to_the_end": func(s *service, _ automation.Enrollment) {
			s.must("PUT", "/v1/workflows/flow", delay)
			s.must("POST", "/v1/workflows/flow/publish", map[string]any{"in_flight": "migrate"})
		},
		"ended_between_steps": func(s *service, e automation.Enrollment) {
			s.exec(endedElsewhere)
			s.signals(e.TemporalWorkflowID, workflows.WakeSignal, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := recording(t)
			e := s.flow("  - { id: wait, delay: 6s }\n  - { id: tell, action: notify, with: { to: u_1, text: through } }")
			s.wantEvents(e.TemporalWorkflowID, 6)
			s.withWorker(false)
			length := s.historyLength(e.TemporalWorkflowID)
			s.wantEvents(e.TemporalWorkflowID, length+2) // the end of the delay, and a task
			want(s, e)
			s.wantEvents(e.TemporalWorkflowID, length+3) // a signal
			s.withWorker(true)
			s.keepHistory(e.TemporalWorkflowID, name)
		})
	}
}

// withWorker starts the service anew, with a worker in it or without.
func (s *service) withWorker(there bool) {
	s.t.Helper()
	s.stop()
	s.config.Worker = there
	s.run()
}

// TestHistoryOfAWaitThatIsEnteredAgainTooLate lets a migration leave the enrollment in a wait whose time is
// up when a worker hears of it.
func TestHistoryOfAWaitThatIsEnteredAgainTooLate(t *testing.T) {
	t.Parallel()
	s := recording(t)
	const wait = "  - { id: reply, title: The reply, wait_for: { event: never, at_most: 8s } }"
	const tell = "\n  - { id: tell, title: Tell, action: notify, with: { to: u_1, text: through } }"
	e := s.flow(wait)
	s.wantEvents(e.TemporalWorkflowID, 6)
	s.withWorker(false)
	length := s.historyLength(e.TemporalWorkflowID)
	s.must("PUT", "/v1/workflows/flow", "name: flow\ntriggers: [{ event: signed_up }]\nsteps:\n"+wait+tell)
	s.must("POST", "/v1/workflows/flow/publish", map[string]any{"in_flight": "migrate"})
	s.wantEvents(e.TemporalWorkflowID, length+3) // a signal, a task, the end of the time
	s.withWorker(true)
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "migrated_too_late")
}

func TestHistoryOfASkipToTheEnd(t *testing.T) {
	t.Parallel()
	s := recording(t)
	e := s.flow("  - { id: wait, delay: 1h }")
	s.steer(e, "skip")
	s.wantStatus("flow", "u_1", automation.Completed)
	s.keepHistory(e.TemporalWorkflowID, "skipped_to_the_end")
}
