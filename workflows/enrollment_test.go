package workflows_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"rollcall/automation"
	"rollcall/workflows"
)

// doing is a world in which every step does what the test says, and which remembers what was asked.
type doing struct {
	mu      sync.Mutex
	asked   []string // step ids, in order
	actions map[string]func(in workflows.StepInput, attempt int) (workflows.ActionResult, error)
	arm     int
	ended   []workflows.FinishInput
}

func (d *doing) act(_ context.Context, in workflows.StepInput) (workflows.ActionResult, error) {
	d.mu.Lock()
	d.asked = append(d.asked, in.Step)
	attempt := 0
	for _, step := range d.asked {
		if step == in.Step {
			attempt++
		}
	}
	do := d.actions[in.Step]
	d.mu.Unlock()
	if do == nil {
		return workflows.ActionResult{Outcome: workflows.Done, Completed: in.Last}, nil
	}
	return do(in, attempt)
}

func newEnvironment(t *testing.T, d *doing) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(silent{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	env.SetStartTime(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	env.RegisterWorkflow(workflows.Enrollment)
	env.RegisterActivityWithOptions(d.act, activity.RegisterOptions{Name: "send_webhook"})
	env.RegisterActivityWithOptions(func(_ context.Context, in workflows.DelayInput) (workflows.DelayResult, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked = append(d.asked, in.Step)
		return workflows.DelayResult{Outcome: workflows.Done, Until: in.Until, Shown: in.Until.String()}, nil
	}, activity.RegisterOptions{Name: workflows.BeginDelayActivity})
	env.RegisterActivityWithOptions(func(_ context.Context, in workflows.StepInput) (workflows.BranchResult, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked = append(d.asked, in.Step)
		return workflows.BranchResult{Outcome: workflows.Done, Arm: d.arm}, nil
	}, activity.RegisterOptions{Name: workflows.TakeBranchActivity})
	env.RegisterActivityWithOptions(func(_ context.Context, in workflows.FinishInput) (workflows.EnrollmentResult, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ended = append(d.ended, in)
		if in.Status == "" { // only asks how it ended
			return workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "on request"}, nil
		}
		return workflows.EnrollmentResult{Status: in.Status, Reason: in.Reason}, nil
	}, activity.RegisterOptions{Name: workflows.FinishEnrollmentActivity})
	return env
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

func program(t *testing.T, steps string) workflows.EnrollmentInput {
	t.Helper()
	d, err := automation.ParseDocument([]byte(`{"name": "w", "triggers": [{"manual": true}], "steps": ` + steps + `}`))
	require.NoError(t, err)
	catalog := automation.Catalog{Actions: []automation.ActionKind{{Kind: "send_webhook", FirstTry: time.Second}}}
	return workflows.EnrollmentInput{EnrollmentID: "e_1", UserID: "u_1", Program: d.Compile(1, catalog)}
}

func run(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.EnrollmentInput) workflows.EnrollmentResult {
	t.Helper()
	env.ExecuteWorkflow(workflows.Enrollment, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	var result workflows.EnrollmentResult
	require.NoError(t, env.GetWorkflowResult(&result))
	return result
}

const welcome = `[
	{"id": "hello", "action": "send_webhook"},
	{"id": "settle", "delay": "3d"},
	{"id": "team", "branch": [
		{"if": {"property": "teams", "op": "known"}, "steps": [{"id": "a", "action": "send_webhook"}]},
		{"else": true, "steps": [{"id": "b", "action": "send_webhook"}, {"id": "out", "exit": {"reason": "no team"}}]}]},
	{"id": "last", "action": "send_webhook"}]`

func TestEnrollmentWalksThroughItsSteps(t *testing.T) {
	t.Parallel()
	d := &doing{}
	env := newEnvironment(t, d)
	began := env.Now()

	result := run(t, env, program(t, welcome))

	require.Equal(t, automation.Completed, result.Status)
	require.Equal(t, []string{"hello", "settle", "team", "a", "last"}, d.asked)
	require.GreaterOrEqual(t, env.Now().Sub(began), 72*time.Hour)
	require.Empty(t, d.ended, "the last action records the end itself")
}

func TestEnrollmentTakesTheElseAndExits(t *testing.T) {
	t.Parallel()
	d := &doing{arm: 1}

	result := run(t, newEnvironment(t, d), program(t, welcome))

	require.Equal(t, workflows.EnrollmentResult{Status: automation.Completed, Reason: "no team"}, result)
	require.Equal(t, []string{"hello", "settle", "team", "b"}, d.asked)
}

func TestTransientFailureIsTriedAgainUntilItWorks(t *testing.T) {
	t.Parallel()
	d := &doing{}
	d.actions = map[string]func(workflows.StepInput, int) (workflows.ActionResult, error){
		"a": func(in workflows.StepInput, attempt int) (workflows.ActionResult, error) {
			require.Equal(t, 1, in.Visit)
			if attempt < 4 {
				return workflows.ActionResult{}, temporal.NewApplicationError("busy", "status")
			}
			return workflows.ActionResult{Outcome: workflows.Done, Completed: in.Last}, nil
		},
	}
	env := newEnvironment(t, d)
	began := env.Now()

	result := run(t, env, program(t, `[{"id": "a", "action": "send_webhook"}]`))

	require.Equal(t, automation.Completed, result.Status)
	require.Equal(t, []string{"a", "a", "a", "a"}, d.asked)
	require.GreaterOrEqual(t, env.Now().Sub(began), 25*time.Second, "5 s, then 5 s and 15 s")
}

func TestRetryAfterIsHonouredAfterTheFirstTry(t *testing.T) {
	t.Parallel()
	d := &doing{}
	d.actions = map[string]func(workflows.StepInput, int) (workflows.ActionResult, error){
		"a": func(in workflows.StepInput, attempt int) (workflows.ActionResult, error) {
			if attempt == 1 {
				return workflows.ActionResult{}, temporal.NewApplicationErrorWithOptions("busy", "status", temporal.ApplicationErrorOptions{NextRetryDelay: 10 * time.Minute})
			}
			return workflows.ActionResult{Outcome: workflows.Done, Completed: in.Last}, nil
		},
	}
	env := newEnvironment(t, d)
	began := env.Now()

	run(t, env, program(t, `[{"id": "a", "action": "send_webhook"}]`))

	require.GreaterOrEqual(t, env.Now().Sub(began), 10*time.Minute)
}

func TestPermanentFailureEndsTheEnrollmentAsFailed(t *testing.T) {
	t.Parallel()
	d := &doing{}
	d.actions = map[string]func(workflows.StepInput, int) (workflows.ActionResult, error){
		"a": func(workflows.StepInput, int) (workflows.ActionResult, error) {
			return workflows.ActionResult{}, temporal.NewNonRetryableApplicationError("no such channel", workflows.FailedForGood, errors.New("x"))
		},
	}

	result := run(t, newEnvironment(t, d), program(t, `[{"id": "a", "action": "send_webhook"}, {"id": "b", "action": "send_webhook"}]`))

	require.Equal(t, workflows.EnrollmentResult{Status: automation.Failed, Reason: "step a: no such channel"}, result)
	require.Equal(t, []string{"a"}, d.asked)
}

func TestUnenrollmentEndsADelayAtOnce(t *testing.T) {
	t.Parallel()
	d := &doing{}
	env := newEnvironment(t, d)
	began := env.Now()
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflowNoRejection(workflows.UnenrollUpdate, "1", t, "on request")
	}, time.Hour)

	result := run(t, env, program(t, welcome))

	require.Equal(t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "on request"}, result)
	require.Equal(t, []string{"hello", "settle"}, d.asked)
	require.Less(t, env.Now().Sub(began), 2*time.Hour)
}

func TestCancellationInTemporalIsAnUnenrollment(t *testing.T) {
	t.Parallel()
	d := &doing{}
	env := newEnvironment(t, d)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)

	result := run(t, env, program(t, welcome))

	require.Equal(t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "canceled in Temporal"}, result)
}

func TestPausedEnrollmentWaitsForTheResumption(t *testing.T) {
	t.Parallel()
	d := &doing{}
	d.actions = map[string]func(workflows.StepInput, int) (workflows.ActionResult, error){
		"a": func(in workflows.StepInput, attempt int) (workflows.ActionResult, error) {
			if attempt == 1 {
				return workflows.ActionResult{Outcome: workflows.Kept}, nil
			}
			return workflows.ActionResult{Outcome: workflows.Done, Completed: in.Last}, nil
		},
	}
	env := newEnvironment(t, d)
	began := env.Now()
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.ResumeSignal, nil) }, 48*time.Hour)

	result := run(t, env, program(t, `[{"id": "a", "action": "send_webhook"}]`))

	require.Equal(t, automation.Completed, result.Status)
	require.GreaterOrEqual(t, env.Now().Sub(began), 48*time.Hour)
}

func TestHeldEnrollmentCanBeUnenrolled(t *testing.T) {
	t.Parallel()
	d := &doing{}
	d.actions = map[string]func(workflows.StepInput, int) (workflows.ActionResult, error){
		"a": func(workflows.StepInput, int) (workflows.ActionResult, error) {
			return workflows.ActionResult{Outcome: workflows.Kept}, nil
		},
	}
	env := newEnvironment(t, d)
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflowNoRejection(workflows.UnenrollUpdate, "1", t, "left the company")
	}, time.Hour)

	result := run(t, env, program(t, `[{"id": "a", "action": "send_webhook"}]`))

	require.Equal(t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "left the company"}, result)
}

func TestEnrollmentThatEndedInTheDatabaseDoesNothingMore(t *testing.T) {
	t.Parallel()
	d := &doing{}
	d.actions = map[string]func(workflows.StepInput, int) (workflows.ActionResult, error){
		"hello": func(workflows.StepInput, int) (workflows.ActionResult, error) {
			return workflows.ActionResult{Outcome: workflows.Ended}, nil
		},
	}

	result := run(t, newEnvironment(t, d), program(t, welcome))

	require.Equal(t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "on request"}, result)
	require.Equal(t, []string{"hello"}, d.asked)
}

func TestEnrollmentContinuesAsNewWhenTheHistoryIsLong(t *testing.T) {
	t.Parallel()
	d := &doing{}
	env := newEnvironment(t, d)
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, time.Hour)

	env.ExecuteWorkflow(workflows.Enrollment, program(t, welcome))

	again, ok := errors.AsType[*workflow.ContinueAsNewError](env.GetWorkflowError())
	require.True(t, ok)
	var in workflows.EnrollmentInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Equal(t, &workflows.Position{Step: "team", Left: "settle", Visits: map[string]int{"hello": 1, "settle": 1}}, in.At)
	require.Equal(t, []string{"hello", "settle"}, d.asked)
	require.Empty(t, d.ended)
}

func TestEnrollmentGoesOnWhereItContinuedAsNew(t *testing.T) {
	t.Parallel()
	d := &doing{}
	in := program(t, welcome)
	in.At = &workflows.Position{Step: "team", Visits: map[string]int{"hello": 1, "settle": 1, "team": 3}}

	result := run(t, newEnvironment(t, d), in)

	require.Equal(t, automation.Completed, result.Status)
	require.Equal(t, []string{"team", "a", "last"}, d.asked)
}
