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
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"rollcall/workflows"
)

// stepping answers the steps of a run one after the other, the last one for ever, and remembers when
// each was asked.
type stepping struct {
	mu      sync.Mutex
	t       *testing.T
	env     *testsuite.TestWorkflowEnvironment
	answers []any // a workflows.RunStep or an error
	asked   []time.Duration
	began   time.Time
}

func newStepping(t *testing.T, answers ...any) *stepping {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(silent{})
	s := &stepping{t: t, env: suite.NewTestWorkflowEnvironment(), answers: answers}
	s.began = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	s.env.SetTestTimeout(20 * time.Second)
	s.env.SetStartTime(s.began)
	s.env.RegisterWorkflow(workflows.Backfill)
	s.env.RegisterActivityWithOptions(s.step, activity.RegisterOptions{Name: workflows.StepRunActivity})
	return s
}

func (s *stepping) step(_ context.Context, in workflows.RunInput) (workflows.RunStep, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, s.env.Now().Sub(s.began))
	if in.RunID != "r_1" {
		return workflows.RunStep{}, errors.New("another run")
	}
	answer := s.answers[min(len(s.asked), len(s.answers))-1]
	if err, failed := answer.(error); failed {
		return workflows.RunStep{}, err
	}
	return answer.(workflows.RunStep), nil
}

// resume sends the word to go on at a time after the beginning.
func (s *stepping) resume(after time.Duration) {
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.ResumeSignal, nil) }, after)
}

// run runs the backfill and returns its error.
func (s *stepping) run() error {
	s.env.ExecuteWorkflow(workflows.Backfill, workflows.RunInput{RunID: "r_1"})
	require.True(s.t, s.env.IsWorkflowCompleted())
	return s.env.GetWorkflowError()
}

// wantEnd runs the backfill to its end.
func (s *stepping) wantEnd(shown string) {
	s.t.Helper()
	require.NoError(s.t, s.run())
	var result string
	require.NoError(s.t, s.env.GetWorkflowResult(&result))
	require.Equal(s.t, shown, result)
}

func waits(d time.Duration) workflows.RunStep { return workflows.RunStep{Wait: d, Shown: "some"} }

var (
	paused = workflows.RunStep{Paused: true, Shown: "paused"}
	over   = workflows.RunStep{Ended: true, Shown: "all"}
)

func TestBackfillKeepsToTheWaitBetweenItsSteps(t *testing.T) {
	t.Parallel()
	s := newStepping(t, waits(time.Second), waits(0), waits(700*time.Millisecond), over)

	s.wantEnd("all")

	require.Equal(t, []time.Duration{0, time.Second, time.Second, 1700 * time.Millisecond}, s.asked)
}

func TestBackfillOfNobodyEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStepping(t, over)

	s.wantEnd("all")

	require.Len(t, s.asked, 1)
}

func TestPausedBackfillAsksNothingUntilItIsToldToGoOn(t *testing.T) {
	t.Parallel()
	s := newStepping(t, waits(time.Second), paused, waits(time.Second), over)
	s.resume(30 * 24 * time.Hour)

	s.wantEnd("all")

	month := 30 * 24 * time.Hour
	require.Equal(t, []time.Duration{0, time.Second, month, month + time.Second}, s.asked)
}

func TestWordToGoOnThatCameTooEarlyDoesNotEndThePause(t *testing.T) {
	t.Parallel()
	s := newStepping(t, waits(time.Minute), paused, paused, over)
	s.resume(time.Second)
	s.resume(time.Hour)

	s.wantEnd("all")

	require.Equal(t, []time.Duration{0, time.Minute, time.Minute, time.Hour}, s.asked, "it asks again, and goes on to wait")
}

func TestFailingStepIsTriedAgainUntilItWorks(t *testing.T) {
	t.Parallel()
	busy := errors.New("the database is away")
	s := newStepping(t, busy, busy, busy, busy, busy, over)

	s.wantEnd("all")

	require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second}, s.asked)
}

func TestBackfillThatIsPausedCanBeCanceled(t *testing.T) {
	t.Parallel()
	s := newStepping(t, waits(time.Second), waits(time.Hour))
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Minute)

	require.Error(t, s.run())

	require.Less(t, s.env.Now().Sub(s.began), time.Hour)
}

func TestLongBackfillContinuesAsNewAndLosesNoWord(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]workflows.RunStep{"after a wait": waits(time.Second), "after a pause": paused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStepping(t, step)
			s.env.SetContinueAsNewSuggested(true)
			s.resume(time.Second / 2)
			s.resume(time.Second / 2) // one more than it takes

			err := s.run()

			next, ok := errors.AsType[*workflow.ContinueAsNewError](err)
			require.True(t, ok, err)
			require.Equal(t, "Backfill", next.WorkflowType.Name)
			var in workflows.RunInput
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
			require.Equal(t, workflows.RunInput{RunID: "r_1"}, in)
			require.Len(t, s.asked, 1, "what it was told, the next run learns from the database with its first step")
		})
	}
}

func TestBackfillThatHasEndedDoesNotContinueAsNew(t *testing.T) {
	t.Parallel()
	s := newStepping(t, over)
	s.env.SetContinueAsNewSuggested(true)

	s.wantEnd("all")
}
