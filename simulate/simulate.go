// Package simulate tries a workflow out: it runs the workflow function of production through years of
// virtual time in milliseconds, with a user who need not exist, and tells what would happen. Nothing
// leaves and nothing is stored.
//
// Floor 3. What it does not share with production are the tables: activities.go, waits.go and facts.go
// do in memory what postgres does in the database, with the same pure functions.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

const patience = 10 * time.Second

// Input is what is tried out.
type Input = automation.Simulation

// Result is what came of it.
type Result = automation.Simulated

// Simulator tries workflows out.
type Simulator struct {
	actions *activities.Set
	prepare Prepare
	slots   chan struct{} // as many simulations at once as there are processors
	limit   time.Duration // how long one may take by our own clock
}

// Prepare makes a document ready to use, and returns the properties that users have. It returns an
// *InvalidError for a document that could not be published.
type Prepare func(ctx context.Context, d *automation.Document) (*postgres.Published, automation.Properties, error)

// New returns a simulator of these actions. They are never done, so they need no connectors.
func New(actions *activities.Set, prepare Prepare) *Simulator {
	return &Simulator{actions, prepare, make(chan struct{}, runtime.GOMAXPROCS(0)), patience}
}

// Run tries a workflow out. It returns an *InvalidError for a document that could not be published, for a
// user, events and changes that would not be taken, and for a simulation that goes on for too long.
func (s *Simulator) Run(ctx context.Context, in Input) (*Result, error) {
	version, schema, err := s.prepare(ctx, in.Document)
	if err != nil {
		return nil, err
	}
	if in.Start.IsZero() {
		in.Start = time.Now()
	}
	normal, err := check(&in, schema)
	if err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w := newWorld(s.actions, version, schema, normal)
	if reason := w.enroll(); reason != "" {
		return &Result{Status: automation.SimulatedNotEnrolled, Reason: reason, EndedAt: w.start, Timeline: []automation.SimulatedStep{}}, nil
	}
	return w.run(ctx, s.limit)
}

// run carries the enrollment through the workflow function.
func (w *world) run(ctx context.Context, limit time.Duration) (*Result, error) {
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(silent{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience})
	env.SetTestTimeout(2 * patience) // never comes: what is given up earlier comes to its end by itself
	env.SetStartTime(w.start)
	env.SetWorkflowRunTimeout(w.end.Sub(w.start))
	env.RegisterWorkflow(workflows.Enrollment)
	w.env = env
	w.register()
	w.begin()

	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("simulate %s: %v", w.version.Name, r)
			}
		}()
		env.ExecuteWorkflow(workflows.Enrollment, workflows.EnrollmentInput{
			EnrollmentID: w.enrollment.ID, UserID: w.enrollment.UserID, Program: w.version.Program,
		})
		done <- env.GetWorkflowError()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return w.result(err)
	case <-timer.C:
		err := tooLong("it takes more than %s to simulate this", limit)
		w.abort(err) // what still runs comes to its end by itself
		return nil, err
	case <-ctx.Done():
		w.abort(ctx.Err())
		return nil, ctx.Err()
	}
}

// result is what the simulation came to once the workflow function has returned, or its time is up.
func (w *world) result(err error) (*Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return nil, w.failed
	}
	r := &Result{Status: w.status, Reason: w.reason, EndedAt: w.endedAt, Timeline: w.timeline}
	if w.status != "" && err == nil {
		return r, nil
	}
	if _, timeIsUp := errors.AsType[*temporal.TimeoutError](err); !timeIsUp {
		return nil, fmt.Errorf("simulate %s: the workflow function broke: %w", w.version.Name, err)
	}
	r.Step, r.EndedAt = w.enrollment.Step, w.touched
	if v := w.waiting(); v != nil && v.until.IsZero() {
		r.Status, r.Reason = automation.SimulatedWaiting, w.timeline[v.entry].What
		return r, nil
	}
	if w.bounded {
		r.Status = automation.Active
		return r, nil
	}
	return nil, tooLong("the user is still at step %s after %d years; say until when to look", r.Step, automation.MaxSimulatedYears)
}

func tooLong(format string, args ...any) error {
	var p automation.Problems
	p.Add("", "simulation-too-long", format, args...)
	return automation.Invalid("the simulation", p)
}

// register makes known what stands for the activities.
func (w *world) register() {
	register(w, workflows.BeginDelayActivity, w.beginDelay)
	register(w, workflows.BeginWaitActivity, w.beginWait)
	register(w, workflows.EndWaitActivity, w.endWait)
	register(w, workflows.TakeBranchActivity, w.takeBranch)
	register(w, workflows.AttendActivity, w.attend)
	register(w, workflows.NoteFailureActivity, w.noteFailure)
	register(w, workflows.FinishEnrollmentActivity, w.finish)
	for _, kind := range w.actions.Catalog().Kinds() {
		register(w, kind, func(in workflows.StepInput) (workflows.ActionResult, error) { return w.act(kind, in) })
	}
}

// register makes one of them known; one happens at a time.
func register[I, O any](w *world, name string, do func(in I) (O, error)) {
	w.env.RegisterActivityWithOptions(func(_ context.Context, in I) (O, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.touched = w.now()
		return do(in)
	}, activity.RegisterOptions{Name: name})
}

// silent is a logger that keeps quiet.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
