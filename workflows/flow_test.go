package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"pgregory.net/rapid"

	"rollcall/automation"
	"rollcall/workflows"
)

// ledger is what the database is to one enrollment: small enough to see through. Its steps do what the
// test says, and it remembers what it was asked.
type ledger struct {
	mu    sync.Mutex
	tb    require.TestingT
	env   *testsuite.TestWorkflowEnvironment
	began time.Time
	skew  time.Duration // how long the runs before this one took

	actions map[string]func(in workflows.StepInput) (workflows.ActionResult, error)
	delays  map[string]func(in workflows.DelayInput) (workflows.DelayResult, error) // of those with a rule
	came    map[string]bool                                                         // what was waited for has happened
	arms    map[string]func(visit int) int
	wanted  []workflows.Wanted // interventions, in the order of their ids

	asked    []string // "step visit", in order
	until    map[string]time.Time
	outcomes map[string]string // of waits, and of what was skipped, by "step visit"
	attended []workflows.AttendInput
	given    []int64 // the ids of interventions that were answered
	failed   []workflows.FailureInput
	ended    []workflows.FinishInput
	runs     int
}

func newLedger(tb require.TestingT) *ledger {
	return &ledger{
		tb: tb, began: time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC),
		actions: map[string]func(workflows.StepInput) (workflows.ActionResult, error){},
		delays:  map[string]func(workflows.DelayInput) (workflows.DelayResult, error){},
		came:    map[string]bool{}, arms: map[string]func(int) int{}, until: map[string]time.Time{}, outcomes: map[string]string{},
	}
}

// next makes the environment of the next run.
func (l *ledger) next() {
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(silent{})
	if l.env != nil {
		l.skew = l.passed()
	}
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	env.SetStartTime(l.began.Add(l.skew))
	env.RegisterWorkflow(workflows.Enrollment)
	for name, f := range map[string]any{
		"send_webhook":                     l.act,
		workflows.BeginDelayActivity:       l.beginDelay,
		workflows.BeginWaitActivity:        l.beginWait,
		workflows.EndWaitActivity:          l.endWait,
		workflows.TakeBranchActivity:       l.takeBranch,
		workflows.AttendActivity:           l.attend,
		workflows.NoteFailureActivity:      l.noteFailure,
		workflows.FinishEnrollmentActivity: l.finish,
	} {
		env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	l.env = env
	l.runs++
}

// passed is how long the enrollment has run.
func (l *ledger) passed() time.Duration { return l.env.Now().Sub(l.began) }

// ask notes that a step was asked for; again is said of a visit that was asked for before.
func (l *ledger) ask(in workflows.StepInput) (visit string, again bool) {
	visit = fmt.Sprintf("%s %d", in.Step, in.Visit)
	again = slices.Contains(l.asked, visit)
	l.asked = append(l.asked, visit)
	return visit, again
}

func (l *ledger) act(_ context.Context, in workflows.StepInput) (workflows.ActionResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ask(in)
	if do := l.actions[in.Step]; do != nil {
		return do(in)
	}
	return workflows.ActionResult{Outcome: workflows.Done, Completed: in.Last}, nil
}

func (l *ledger) beginDelay(_ context.Context, in workflows.DelayInput) (workflows.DelayResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	visit, again := l.ask(in.StepInput)
	if do := l.delays[in.Step]; do != nil {
		return do(in)
	}
	if !again {
		l.until[visit] = in.Until
	}
	return workflows.DelayResult{Outcome: workflows.Done, Until: l.until[visit]}, nil
}

func (l *ledger) beginWait(_ context.Context, in workflows.WaitInput) (workflows.WaitResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	visit, again := l.ask(in.StepInput)
	if !again && in.AtMost != nil {
		l.until[visit] = in.At.Add(time.Duration(*in.AtMost))
	}
	return l.stands(visit), nil
}

func (l *ledger) endWait(_ context.Context, in workflows.WaitInput) (workflows.WaitResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	visit := fmt.Sprintf("%s %d", in.Step, in.Visit)
	switch {
	case l.outcomes[visit] != "":
	case l.came[visit]:
		l.outcomes[visit] = automation.OutcomeHappened
	case in.TimedUp:
		l.outcomes[visit] = automation.OutcomeTimedOut
	}
	return l.stands(visit), nil
}

func (l *ledger) stands(visit string) workflows.WaitResult {
	return workflows.WaitResult{Outcome: workflows.Done, Over: l.outcomes[visit] != "", Came: l.outcomes[visit], Until: l.until[visit]}
}

func (l *ledger) takeBranch(_ context.Context, in workflows.StepInput) (workflows.BranchResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ask(in)
	arm := 0
	if choose := l.arms[in.Step]; choose != nil {
		arm = choose(in.Visit)
	}
	if arm < 0 {
		return workflows.BranchResult{Outcome: workflows.Kept}, nil
	}
	return workflows.BranchResult{Outcome: workflows.Done, Arm: arm}, nil
}

func (l *ledger) attend(_ context.Context, in workflows.AttendInput) (workflows.Wanted, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attended = append(l.attended, in)
	for _, w := range l.wanted {
		if w.ID <= in.Followed {
			continue
		}
		if !in.Inside && (w.Kind == workflows.SkipWanted || w.Kind == workflows.RetryWanted) {
			continue // it had gone on
		}
		w.Outcome = workflows.Done
		if w.Kind == workflows.MigrateWanted && w.Landing.Stays {
			w.Landing.Stays = in.Inside
		}
		if in.Inside && w.Kind != workflows.RetryWanted && !w.Landing.Stays {
			l.outcomes[fmt.Sprintf("%s %d", in.Step, in.Visit)] = automation.OutcomeSkipped
		}
		l.given = append(l.given, w.ID)
		return w, nil
	}
	return workflows.Wanted{Outcome: workflows.Done}, nil
}

func (l *ledger) noteFailure(_ context.Context, in workflows.FailureInput) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, in)
	return nil
}

func (l *ledger) finish(_ context.Context, in workflows.FinishInput) (workflows.EnrollmentResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, in)
	return workflows.EnrollmentResult{Status: in.Status, Reason: in.Reason}, nil
}

// want lets an operator want something of the enrollment, so long after its beginning.
func (l *ledger) want(after time.Duration, w workflows.Wanted) {
	l.at(after, func() {
		l.set(func() { l.wanted = append(l.wanted, w) })
		l.nudge()
	})
}

// set changes what the steps do.
func (l *ledger) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// at calls f so long after the beginning of the run.
func (l *ledger) at(after time.Duration, f func()) { l.env.RegisterDelayedCallback(f, after) }

func (l *ledger) nudge() { l.env.SignalWorkflow(workflows.WakeSignal, nil) }

// run runs the enrollment to its end, or to where it continues as new.
func (l *ledger) run(in workflows.EnrollmentInput) (result workflows.EnrollmentResult, again *workflows.EnrollmentInput) {
	l.env.ExecuteWorkflow(workflows.Enrollment, in)
	require.True(l.tb, l.env.IsWorkflowCompleted())
	err := l.env.GetWorkflowError()
	if next, ok := errors.AsType[*workflow.ContinueAsNewError](err); ok {
		again = &workflows.EnrollmentInput{}
		require.NoError(l.tb, converter.GetDefaultDataConverter().FromPayloads(next.Input, again))
		return result, again
	}
	require.NoError(l.tb, err)
	require.NoError(l.tb, l.env.GetWorkflowResult(&result))
	return result, nil
}

// ends runs an enrollment to its end, which is not in another run.
func (l *ledger) ends(in workflows.EnrollmentInput) workflows.EnrollmentResult {
	result, again := l.run(in)
	require.Nil(l.tb, again)
	return result
}

func (l *ledger) completes(t *testing.T, in workflows.EnrollmentInput, reason string) {
	t.Helper()
	require.Equal(t, workflows.EnrollmentResult{Status: automation.Completed, Reason: reason}, l.ends(in))
}

// flow compiles steps.
func flow(t require.TestingT, version int, steps string) workflows.EnrollmentInput {
	d, err := automation.ParseDocument([]byte(`{"name": "w", "triggers": [{"manual": true}], "steps": [` + steps + `]}`))
	require.NoError(t, err)
	catalog := automation.Catalog{Actions: []automation.ActionKind{{Kind: "send_webhook", FirstTry: time.Second}}}
	return workflows.EnrollmentInput{EnrollmentID: "e_1", UserID: "u_1", Program: d.Compile(version, catalog)}
}

// does is an action with that id.
func does(id string) string { return fmt.Sprintf(`{"id": %q, "action": "send_webhook"}`, id) }

// leaves is an exit that says why.
func leaves(reason string) string {
	return fmt.Sprintf(`{"id": %q, "exit": {"reason": %q}}`, "exit_"+reason, reason)
}

func busy(workflows.StepInput) (workflows.ActionResult, error) {
	return workflows.ActionResult{}, temporal.NewApplicationError("busy", "status")
}

func hopeless(workflows.StepInput) (workflows.ActionResult, error) {
	return workflows.ActionResult{}, temporal.NewNonRetryableApplicationError("no such channel", workflows.FailedForGood, nil)
}

const day = 24 * time.Hour

func TestEveryControlStepLeadsOn(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	l.arms["by_value"] = func(int) int { return 1 }
	l.arms["half"] = func(int) int { return 1 }
	l.at(2*day, func() {
		l.set(func() { l.came["reply 1"] = true })
		l.nudge()
	})

	l.completes(t, flow(t, 1, `
		{"id": "if", "branch": [{"if": {"property": "x", "op": "known"}, "steps": [`+does("a")+`]}, {"else": true}]},
		{"id": "by_value", "branch_on": {"property": "x"}, "cases": [{"is": "1", "steps": [`+does("one")+`]}, {"is": "2", "steps": [`+does("two")+`]}, {"else": true}]},
		{"id": "half", "split": [{"weight": 1, "steps": [`+does("heads")+`]}, {"weight": 1}]},
		{"id": "rest", "delay": "1d"},
		{"id": "reply", "wait_for": {"event": "replied", "at_most": "10d"}},
		{"id": "silence", "wait_for": {"event": "replied", "at_most": "10d"}},
		{"id": "over", "goto": "last"},
		`+does("never")+`,
		{"id": "last", "exit": {"reason": "through"}}`), "through")

	require.Equal(t, []string{"if 1", "a 1", "by_value 1", "two 1", "half 1", "rest 1", "reply 1", "silence 1"}, l.asked)
	require.Equal(t, map[string]string{"reply 1": "happened", "silence 1": "timed_out"}, l.outcomes)
	require.InDelta(t, 12*day, l.passed(), float64(time.Minute))
	require.Equal(t, []workflows.FinishInput{{
		EnrollmentID: "e_1", Status: automation.Completed, Reason: "through", Step: "last", At: l.env.Now().UTC(),
	}}, l.ended)
}

func TestGotoGoesBackAsOftenAsItMay(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	l.completes(t, flow(t, 1, does("a")+`, {"id": "inner", "goto": "a", "at_most": 2}, `+does("b")+`, {"id": "outer", "goto": "a", "at_most": 1}, {"id": "rest", "delay": 0}`), "")
	require.Equal(t, []string{"a 1", "a 2", "a 3", "b 1", "a 4", "b 2", "rest 1"}, l.asked, "at most is counted over the whole enrollment")
}

func TestDelayWithARuleIsAskedAgainWhenItMoves(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	due := time.Time{} // until it is known
	l.delays["hired"] = func(workflows.DelayInput) (workflows.DelayResult, error) {
		return workflows.DelayResult{Outcome: workflows.Done, Until: due}, nil
	}
	moves := func(after, to time.Duration) {
		l.at(after, func() {
			l.set(func() { due = l.began.Add(to) })
			l.nudge()
		})
	}
	moves(100*day, 300*day)
	moves(200*day, 250*day)
	l.completes(t, flow(t, 1, `{"id": "hired", "delay": {"until": {"property": "hire_date", "if_missing": "wait"}}}`), "")
	require.Equal(t, slices.Repeat([]string{"hired 1"}, 4), l.asked, "and once more when it is over")
	require.Equal(t, 250*day, l.passed())
}

func TestDelayWhoseRuleEndsTheEnrollment(t *testing.T) {
	t.Parallel()
	const steps = `{"id": "hired", "delay": {"until": {"property": "hire_date"}}, "on_error": [{"id": "sorry", "exit": {"reason": "rescued"}}]}, {"id": "b", "action": "send_webhook"}`
	for name, c := range map[string]struct {
		result workflows.DelayResult
		err    error
		want   string
	}{
		"leaves":  {workflows.DelayResult{Outcome: workflows.Leave, Reason: "hire_date is empty"}, nil, "hire_date is empty"},
		"fails":   {workflows.DelayResult{}, temporal.NewNonRetryableApplicationError("no date", workflows.FailedForGood, nil), "rescued"},
		"is done": {workflows.DelayResult{Outcome: workflows.Done, Until: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.next()
			l.delays["hired"] = func(workflows.DelayInput) (workflows.DelayResult, error) { return c.result, c.err }
			l.completes(t, flow(t, 1, steps), c.want)
			require.Equal(t, c.want == "rescued", len(l.failed) == 1)
		})
	}
}

func TestFailureForGoodIsRescued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		onError string
		asked   []string
		result  workflows.EnrollmentResult
	}{
		"stop":     {`, "on_error": "stop"`, []string{"a 1"}, workflows.EnrollmentResult{Status: automation.Failed, Reason: "step a: no such channel"}},
		"continue": {`, "on_error": "continue"`, []string{"a 1", "b 1"}, workflows.EnrollmentResult{Status: automation.Completed}},
		"steps":    {`, "on_error": [` + does("sorry") + `]`, []string{"a 1", "sorry 1", "b 1"}, workflows.EnrollmentResult{Status: automation.Completed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.next()
			l.actions["a"] = hopeless
			require.Equal(t, c.result, l.ends(flow(t, 1, `{"id": "a", "action": "send_webhook"`+c.onError+`}, `+does("b"))))
			require.Equal(t, c.asked, l.asked)
			if name == "stop" {
				require.Empty(t, l.failed)
				return
			}
			require.Len(t, l.failed, 1)
			require.Equal(t, []any{"a", 1, "no such channel"}, []any{l.failed[0].Step, l.failed[0].Visit, l.failed[0].Error})
		})
	}
}

func TestActionThatIsRescuedAndLastIsNotTheEndOfTheEnrollmentBeforeItIsDone(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	l.actions["a"] = func(in workflows.StepInput) (workflows.ActionResult, error) {
		require.False(t, in.Last, "what follows an error follows")
		return hopeless(in)
	}
	l.completes(t, flow(t, 1, `{"id": "a", "action": "send_webhook", "on_error": [{"id": "sorry", "exit": {"reason": "sorry"}}]}`), "sorry")
}

func TestActionIsHeldUntilTheHoursBegin(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	l.actions["a"] = func(in workflows.StepInput) (workflows.ActionResult, error) {
		if at := l.began.Add(14 * time.Hour); in.At.Before(at) {
			return workflows.ActionResult{Outcome: workflows.Shut, Until: at, Shown: "tonight"}, nil
		}
		return workflows.ActionResult{Outcome: workflows.Done}, nil
	}
	l.at(time.Hour, l.nudge) // there is nothing
	l.completes(t, flow(t, 1, does("a")+`, {"id": "rest", "delay": 0}`), "")
	require.Equal(t, []string{"a 1", "a 1", "a 1", "rest 1"}, l.asked)
	require.Equal(t, 14*time.Hour, l.passed())
}

func TestChainOf500Steps(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	var steps []string
	for i := range 500 {
		steps = append(steps, does(fmt.Sprintf("s_%d", i)))
	}
	l.completes(t, flow(t, 1, strings.Join(steps, ", ")), "")
	require.Len(t, l.asked, 500)
	require.Empty(t, l.ended, "the last one ended it")
}

func TestDelayOfFiveYears(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	for year := range 4 {
		l.at(time.Duration(year+1)*365*day, l.nudge)
	}
	l.completes(t, flow(t, 1, `{"id": "long", "delay": "5y"}`), "")
	require.Equal(t, 5*365*day, l.passed())
	require.Equal(t, slices.Repeat([]string{"long 1"}, 5), l.asked)
}

// A thousand rounds are more than one run may have. Around each end of a run an operator skips the rest
// of the delay, which must never get lost.
func TestLoopOfAThousandRoundsGoesThroughManyRuns(t *testing.T) {
	t.Parallel()
	const rounds, perRun = 1000, 100
	l := newLedger(t)
	in := flow(t, 1, does("a")+`, {"id": "hour", "delay": "1h"}, {"id": "again", "goto": "a", "at_most": 999}, {"id": "end", "exit": {"reason": "dizzy"}}`)
	for {
		l.next()
		id := int64(l.runs * 10)
		l.want((perRun-1)*time.Hour+30*time.Minute, workflows.Wanted{ID: id, Kind: workflows.SkipWanted})
		l.at((perRun-1)*time.Hour+30*time.Minute, func() { l.env.SetContinueAsNewSuggested(true) })
		l.want((perRun-1)*time.Hour+30*time.Minute, workflows.Wanted{ID: id + 1, Kind: workflows.JumpWanted, Landing: automation.Landing{Step: "again"}})
		result, again := l.run(in)
		if again == nil {
			require.Equal(t, workflows.EnrollmentResult{Status: automation.Completed, Reason: "dizzy"}, result)
			break
		}
		require.Equal(t, l.count("a"), again.At.Visits["a"])
		require.Empty(t, l.ended)
		in = *again
	}
	require.Equal(t, rounds, l.count("a"))
	require.Greater(t, l.runs, 9)
	require.Len(t, slices.Compact(slices.Clone(l.given)), len(l.given), "each is followed once")
	require.Len(t, l.given, 2*(l.runs-1))
}

// count is how often a step was asked for.
func (l *ledger) count(step string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, visit := range l.asked {
		if strings.HasPrefix(visit, step+" ") {
			n++
		}
	}
	return n
}

func TestWaitWithoutEndGoesOnInARunWhoseHistoryIsShort(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]string{
		"a wait":                     `{"id": "x", "wait_for": {"event": "replied"}}`,
		"a long delay":               `{"id": "x", "delay": "100d"}`,
		"an action outside of hours": does("x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.actions["x"] = func(workflows.StepInput) (workflows.ActionResult, error) {
				return workflows.ActionResult{Outcome: workflows.Shut, Until: l.began.Add(90 * day)}, nil
			}
			l.next()
			l.at(time.Hour, l.nudge) // there is nothing, and the history is short
			l.at(2*time.Hour, func() { l.env.SetCurrentHistoryLength(501); l.nudge() })
			_, again := l.run(flow(t, 1, does("before")+`, `+step+`, {"id": "end", "exit": {"reason": "through"}}`))
			require.NotNil(t, again)
			require.Equal(t, &workflows.Position{Step: "x", Inside: true, Visits: map[string]int{"before": 1, "x": 0}}, again.At)
			require.Equal(t, 2*time.Hour, l.passed())

			// What is wanted of it meanwhile finds it in the step.
			l.next()
			again.At.Nudged = true
			l.wanted = append(l.wanted, workflows.Wanted{ID: 5, Kind: workflows.SkipWanted})
			l.completes(t, *again, "through")
			require.Equal(t, []int64{5}, l.given)
			last := l.attended[len(l.attended)-2]
			require.Equal(t, []any{"x", 1, true}, []any{last.Step, last.Visit, last.Inside})
			require.Equal(t, "skipped", l.outcomes["x 1"])
		})
	}
}

func TestPauseThatLastsThroughManyWakingsGoesOnInAnotherRun(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	kept := true
	l.actions["x"] = func(in workflows.StepInput) (workflows.ActionResult, error) {
		if kept {
			return workflows.ActionResult{Outcome: workflows.Kept}, nil
		}
		return workflows.ActionResult{Outcome: workflows.Done, Completed: in.Last}, nil
	}
	l.next()
	l.at(time.Hour, func() { l.env.SetContinueAsNewSuggested(true); l.nudge() })
	_, again := l.run(flow(t, 1, does("x")))
	require.NotNil(t, again)
	l.next()
	l.at(time.Hour, func() {
		l.set(func() { kept = false })
		l.env.SignalWorkflow(workflows.ResumeSignal, nil)
	})
	l.completes(t, *again, "")
	require.Equal(t, []string{"x 1", "x 1", "x 1", "x 1"}, l.asked)
}

// situations are the ways in which an enrollment can be in step x for long.
var situations = map[string]struct {
	step string
	act  func(in workflows.StepInput) (workflows.ActionResult, error)
	arm  int
}{
	"action that is tried": {step: does("x"), act: busy},
	"rest before it is tried again": {step: does("x"), act: func(workflows.StepInput) (workflows.ActionResult, error) {
		return workflows.ActionResult{}, temporal.NewApplicationErrorWithOptions("busy", "status", temporal.ApplicationErrorOptions{NextRetryDelay: 40 * day})
	}},
	"delay":             {step: `{"id": "x", "delay": "40d"}`},
	"delay without end": {step: `{"id": "x", "delay": {"until": {"property": "hire_date", "if_missing": "wait"}}}`},
	"wait":              {step: `{"id": "x", "wait_for": {"event": "replied"}}`},
	"wait for a while":  {step: `{"id": "x", "wait_for": {"event": "replied", "at_most": "40d"}}`},
	"hours": {step: does("x"), act: func(workflows.StepInput) (workflows.ActionResult, error) {
		return workflows.ActionResult{Outcome: workflows.Shut, Until: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
	}},
	"pause": {step: does("x"), act: func(workflows.StepInput) (workflows.ActionResult, error) {
		return workflows.ActionResult{Outcome: workflows.Kept}, nil
	}},
	"pause before a branch": {step: `{"id": "x", "branch": [{"if": {"property": "x", "op": "known"}, "steps": [{"id": "inner", "delay": "1d"}]}, {"else": true}]}`, arm: -1},
}

// in brings an enrollment into a situation.
func in(l *ledger, name string) (steps string) {
	s := situations[name]
	l.next()
	if s.act != nil {
		l.actions["x"] = s.act
	}
	l.arms["x"] = func(int) int { return s.arm }
	l.delays["x"] = func(in workflows.DelayInput) (workflows.DelayResult, error) {
		return workflows.DelayResult{Outcome: workflows.Done, Until: in.Until}, nil
	}
	return does("before") + `, ` + s.step + `, ` + leaves("next") + `, ` + leaves("jumped") + `, ` + leaves("end")
}

func TestOperatorGetsAnEnrollmentOutOfEverySituation(t *testing.T) {
	t.Parallel()
	const after = 10 * time.Hour // the test environment tries no action for longer than twelve
	second := func(t *testing.T, steps string) *automation.Program {
		t.Helper()
		program := flow(t, 2, steps).Program
		return &program
	}
	for name, s := range situations {
		for kind, c := range map[string]struct {
			wanted func(t *testing.T, w *workflows.Wanted)
			reason string
			asked  bool // the step is entered again
		}{
			"skip":      {func(_ *testing.T, w *workflows.Wanted) { w.Kind = workflows.SkipWanted }, "next", false},
			"jump":      {func(_ *testing.T, w *workflows.Wanted) { w.Kind, w.Landing.Step = workflows.JumpWanted, "exit_jumped" }, "jumped", false},
			"to itself": {func(_ *testing.T, w *workflows.Wanted) { w.Kind, w.Landing.Step = workflows.JumpWanted, "x" }, "next", true},
			"moves": {func(t *testing.T, w *workflows.Wanted) {
				t.Helper()
				w.Kind, w.Landing.Step, w.Program = workflows.MigrateWanted, "exit_second", second(t, leaves("second"))
			}, "second", false},
			"has come to its end": {func(t *testing.T, w *workflows.Wanted) {
				t.Helper()
				w.Kind, w.Program = workflows.MigrateWanted, second(t, does("other"))
			}, "", false},
			"stays": {func(t *testing.T, w *workflows.Wanted) {
				t.Helper()
				w.Kind, w.Program = workflows.MigrateWanted, second(t, s.step+`, `+leaves("second"))
				w.Landing = automation.Landing{Step: "x", Stays: true}
			}, "second", true},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				l := newLedger(t)
				program := flow(t, 1, in(l, name))
				l.at(time.Hour, l.nudge) // there is nothing
				w := workflows.Wanted{ID: 7}
				c.wanted(t, &w)
				before := 0
				l.at(after-time.Minute, func() { before = l.count("x") })
				l.want(after, w)
				l.at(after+time.Hour, l.nudge)
				if c.asked { // and skipped then, at last
					l.want(after+2*time.Hour, workflows.Wanted{ID: 8, Kind: workflows.SkipWanted})
				}

				l.completes(t, program, c.reason)

				require.Equal(t, 1, strings.Count(fmt.Sprint(l.given), "7"), "it is followed once")
				require.Positive(t, before)
				if c.asked {
					require.Greater(t, l.count("x"), before)
					visit := map[bool]string{true: "x 1", false: "x 2"}[kind == "stays"]
					require.Contains(t, l.asked, visit)
					require.Equal(t, kind == "to itself", slices.Contains(l.asked, "x 2"))
					require.Equal(t, "skipped", l.outcomes[visit])
				} else {
					require.Equal(t, before, l.count("x"))
				}
				require.Empty(t, l.failed)
			})
		}
	}
}

func TestActionThatFailsIsTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"action that is tried", "rest before it is tried again"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			program := flow(t, 1, in(l, name))
			l.want(10*time.Hour, workflows.Wanted{ID: 1, Kind: workflows.RetryWanted})
			l.at(10*time.Hour-time.Minute, func() { l.set(func() { l.actions["x"] = nil }) })
			l.completes(t, program, "next")
			require.Equal(t, "x 1", l.asked[len(l.asked)-1], "it is the same visit")
			require.InDelta(t, 10*time.Hour, l.passed(), float64(time.Second))
		})
	}
}

// What is wanted at the same moment is followed in its order, by an enrollment that may stay in its step
// meanwhile.
func TestWhatIsWantedAtOnceIsFollowedInOrder(t *testing.T) {
	t.Parallel()
	second := flow(t, 2, `{"id": "x", "delay": "40d"}, {"id": "y", "delay": "1d"}, `+leaves("second")).Program
	stays := workflows.Wanted{ID: 1, Kind: workflows.MigrateWanted, Program: &second, Landing: automation.Landing{Step: "x", Stays: true}}
	for name, c := range map[string]struct {
		then   []workflows.Wanted
		asked  []string
		passed time.Duration
	}{
		"migrate and skip":           {[]workflows.Wanted{{ID: 2, Kind: workflows.SkipWanted}}, []string{"x 1", "y 1"}, 26 * time.Hour},
		"migrate and skip twice":     {[]workflows.Wanted{{ID: 2, Kind: workflows.SkipWanted}, {ID: 3, Kind: workflows.SkipWanted}}, []string{"x 1", "y 1"}, 26 * time.Hour},
		"migrate twice and skip":     {[]workflows.Wanted{{ID: 2, Kind: workflows.MigrateWanted, Program: &second, Landing: stays.Landing}, {ID: 3, Kind: workflows.SkipWanted}}, []string{"x 1", "y 1"}, 26 * time.Hour},
		"migrate and jump to itself": {[]workflows.Wanted{{ID: 2, Kind: workflows.JumpWanted, Landing: automation.Landing{Step: "x"}}}, []string{"x 1", "x 2", "y 1"}, 2*time.Hour + 41*day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.next()
			l.at(2*time.Hour, func() {
				l.set(func() { l.wanted = append([]workflows.Wanted{stays}, c.then...) })
				l.nudge()
			})
			l.completes(t, flow(t, 1, `{"id": "x", "delay": "40d"}`), "second")
			require.Equal(t, c.asked, l.asked)
			require.Equal(t, c.passed, l.passed())
		})
	}
}

func TestUnenrollmentAtAnyMomentEndsTheEnrollment(t *testing.T) {
	t.Parallel()
	names := slices.Sorted(maps.Keys(situations))
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(t)
		program := flow(t, 1, in(l, rapid.SampledFrom(names).Draw(t, "situation")))
		// At seconds at which no step begins: what has begun when the answer is given may still be asked for.
		minutes := rapid.IntRange(1, 12*60).Draw(t, "minutes")
		after := time.Duration(minutes)*time.Minute + 7*time.Second
		if rapid.Bool().Draw(t, "nudged") {
			l.at(time.Duration(rapid.IntRange(0, minutes-1).Draw(t, "at"))*time.Minute+31*time.Second, l.nudge)
		}
		asked := -1
		l.at(after, func() {
			l.env.UpdateWorkflow(workflows.UnenrollUpdate, "1", &answered{func() { asked = l.count("x") }}, "on request")
		})

		result := l.ends(program)

		require.Equal(t, workflows.EnrollmentResult{Status: automation.Unenrolled, Reason: "on request"}, result)
		require.Equal(t, asked, l.count("x"), "nothing begins after the answer")
		require.InDelta(t, after, l.passed(), float64(time.Second))
	})
}

// answered calls done when an update is answered.
type answered struct{ done func() }

func (a *answered) Accept()             {}
func (a *answered) Reject(err error)    { panic(err) }
func (a *answered) Complete(any, error) { a.done() }

func TestRunThatEndsBetweenTwoStepsSaysWhichItLeft(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.next()
	l.at(time.Hour-time.Second, func() { l.env.SetContinueAsNewSuggested(true) })
	_, again := l.run(flow(t, 1, `{"id": "a", "delay": "1h"}, {"id": "b", "delay": "1h"}`))
	require.NotNil(t, again)
	l.next()
	again.At.Nudged = true
	l.completes(t, *again, "")
	require.Equal(t, []any{"b", "a", false}, []any{l.attended[0].Step, l.attended[0].After, l.attended[0].Inside})
}
