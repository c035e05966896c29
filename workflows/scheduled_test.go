package workflows_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"rollcall/workflows"
)

// firing is a schedule that fires at nine: it opens runs, each of which takes some steps.
type firing struct {
	t       *testing.T
	env     *testsuite.TestWorkflowEnvironment
	opens   []string                       // what the database answers
	answers map[string][]workflows.RunStep // by run, one after the other, the last one for ever

	mu     sync.Mutex
	opened []workflows.ScheduledInput
	failed int      // how many more openings fail
	asked  []string // the run of each step
	after  func(step int)
}

var nine = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

func newFiring(t *testing.T, runs ...string) *firing {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(silent{})
	f := &firing{t: t, env: suite.NewTestWorkflowEnvironment(), opens: runs, answers: map[string][]workflows.RunStep{}}
	f.env.SetTestTimeout(20 * time.Second)
	f.env.SetStartTime(nine.Add(20 * time.Millisecond))
	f.env.RegisterWorkflow(workflows.ScheduledEnrollment)
	f.env.RegisterActivityWithOptions(f.open, activity.RegisterOptions{Name: workflows.OpenRunsActivity})
	f.env.RegisterActivityWithOptions(f.step, activity.RegisterOptions{Name: workflows.StepRunActivity})
	return f
}

func (f *firing) open(_ context.Context, in workflows.ScheduledInput) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened = append(f.opened, in)
	if f.failed > 0 {
		f.failed--
		return nil, errors.New("the database is away")
	}
	return f.opens, nil
}

func (f *firing) step(_ context.Context, in workflows.RunInput) (workflows.RunStep, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, in.RunID)
	if f.after != nil {
		f.after(len(f.asked))
	}
	answers := f.answers[in.RunID]
	if len(answers) == 0 {
		return workflows.RunStep{Ended: true, Shown: "all of " + in.RunID}, nil
	}
	if len(answers) > 1 {
		f.answers[in.RunID] = answers[1:]
	}
	return answers[0], nil
}

// run starts the workflow as a schedule does.
func (f *firing) run(in workflows.ScheduledInput) error {
	f.env.ExecuteWorkflow(workflows.ScheduledEnrollment, in)
	require.True(f.t, f.env.IsWorkflowCompleted())
	return f.env.GetWorkflowError()
}

func (f *firing) wantEnd(in workflows.ScheduledInput, shown string) {
	f.t.Helper()
	require.NoError(f.t, f.run(in))
	var result string
	require.NoError(f.t, f.env.GetWorkflowResult(&result))
	require.Equal(f.t, shown, result)
}

// next is the input with which the workflow continues as new.
func (f *firing) next(err error) (in workflows.ScheduledInput) {
	f.t.Helper()
	var next *workflow.ContinueAsNewError
	require.ErrorAs(f.t, err, &next)
	require.Equal(f.t, "ScheduledEnrollment", next.WorkflowType.Name)
	require.NoError(f.t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	return in
}

var welcomeDaily = workflows.ScheduledInput{Definition: "welcome", Trigger: 2}

func TestScheduleThatWakesForNothingEndsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFiring(t)

	f.wantEnd(welcomeDaily, "Nothing is due: the firing has a run already.")

	require.Equal(t, []workflows.ScheduledInput{welcomeDaily}, f.opened)
	require.Empty(t, f.asked)
}

func TestScheduleSaysWhenItWoke(t *testing.T) {
	t.Parallel()
	f := newFiring(t, "r_1")
	started := temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")
	require.NoError(t, f.env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(started.ValueSet(nine))))

	f.wantEnd(welcomeDaily, "all of r_1")

	require.Len(t, f.opened, 1)
	require.True(t, f.opened[0].Woken.Equal(nine), f.opened[0].Woken)
	require.Equal(t, []any{"welcome", 2}, []any{f.opened[0].Definition, f.opened[0].Trigger})
}

func TestFiringsThatAreDueAreCarriedOutOneAfterTheOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ runs, asked []string }{
		"one":   {[]string{"r_1"}, []string{"r_1", "r_1"}},
		"three": {[]string{"r_1", "r_2", "r_3"}, []string{"r_1", "r_1", "r_2", "r_3", "r_3", "r_3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiring(t, c.runs...)
			f.answers["r_1"] = []workflows.RunStep{waits(0), over}
			f.answers["r_3"] = []workflows.RunStep{waits(time.Second), waits(0), over}

			f.wantEnd(welcomeDaily, "all")

			require.Equal(t, c.asked, f.asked)
			require.Len(t, f.opened, 1)
		})
	}
}

func TestRunThatTheScheduleIsGivenNeedsNoOpening(t *testing.T) {
	t.Parallel()
	f := newFiring(t)

	f.wantEnd(workflows.ScheduledInput{RunIDs: []string{"r_7"}}, "all of r_7")

	require.Empty(t, f.opened)
	require.Equal(t, []string{"r_7"}, f.asked)
}

func TestOpeningThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFiring(t, "r_1")
	f.failed = 5

	f.wantEnd(welcomeDaily, "all of r_1")

	require.Len(t, f.opened, 6)
	require.Equal(t, nine.Add(20*time.Millisecond+31*time.Second), f.env.Now().UTC())
}

func TestFiringThatIsPausedGoesOnWhenItIsTold(t *testing.T) {
	t.Parallel()
	f := newFiring(t, "r_1", "r_2")
	f.answers["r_1"] = []workflows.RunStep{paused, over}
	f.env.RegisterDelayedCallback(func() { f.env.SignalWorkflow(workflows.ResumeSignal, nil) }, 30*24*time.Hour)

	f.wantEnd(welcomeDaily, "all of r_2")

	require.Equal(t, []string{"r_1", "r_1", "r_2"}, f.asked)
	require.Equal(t, nine.Add(20*time.Millisecond+30*24*time.Hour), f.env.Now().UTC())
}

func TestLongFiringContinuesAsNewWithTheRunsThatAreLeft(t *testing.T) {
	t.Parallel()
	f := newFiring(t, "r_1", "r_2", "r_3")
	f.answers["r_2"] = []workflows.RunStep{waits(0), waits(0), waits(0)}
	f.after = func(step int) { f.env.SetContinueAsNewSuggested(step >= 3) }

	in := f.next(f.run(welcomeDaily))

	require.Equal(t, []string{"r_1", "r_2", "r_2"}, f.asked)
	require.Equal(t, workflows.ScheduledInput{Definition: "welcome", Trigger: 2, RunIDs: []string{"r_2", "r_3"}}, in)
	rest := newFiring(t, "opened again")
	rest.wantEnd(in, "all of r_3")
	require.Empty(t, rest.opened)
	require.Equal(t, []string{"r_2", "r_3"}, rest.asked)
}

func TestWordToGoOnIsNotLostWhenAFiringContinuesAsNew(t *testing.T) {
	t.Parallel()
	f := newFiring(t, "r_1")
	f.answers["r_1"] = []workflows.RunStep{paused}
	f.env.SetContinueAsNewSuggested(true)
	for range 3 { // more than it takes
		f.env.RegisterDelayedCallback(func() { f.env.SignalWorkflow(workflows.ResumeSignal, nil) }, time.Minute)
	}

	in := f.next(f.run(welcomeDaily))

	require.Equal(t, []string{"r_1"}, in.RunIDs)
	require.Equal(t, []string{"r_1"}, f.asked, "the next one asks the database first")
}

func TestFiringThatEndsDoesNotContinueAsNew(t *testing.T) {
	t.Parallel()
	f := newFiring(t, "r_1", "r_2")
	f.env.SetContinueAsNewSuggested(true)

	f.wantEnd(welcomeDaily, "all of r_2")

	require.Equal(t, []string{"r_1", "r_2"}, slices.Compact(f.asked))
}

// TestRecordedFiringReplays replays what app's tests wrote with -record.
func TestRecordedFiringReplays(t *testing.T) {
	t.Parallel()
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(workflows.ScheduledEnrollment, workflow.RegisterOptions{Name: "ScheduledEnrollment"})

	require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(silent{}, "testdata/scheduled/firing.json"))
}

// TestReplayFindsAFiringThatOpensNothing is the positive control of the test above.
func TestReplayFindsAFiringThatOpensNothing(t *testing.T) {
	t.Parallel()
	replayer := worker.NewWorkflowReplayer()
	hasty := func(ctx workflow.Context, in workflows.ScheduledInput) (string, error) {
		in.RunIDs = []string{"r_1"}
		return workflows.ScheduledEnrollment(ctx, in)
	}
	replayer.RegisterWorkflowWithOptions(hasty, workflow.RegisterOptions{Name: "ScheduledEnrollment"})

	err := replayer.ReplayWorkflowHistoryFromJSONFile(silent{}, "testdata/scheduled/firing.json")

	require.ErrorContains(t, err, "TMPRL1100")
}
