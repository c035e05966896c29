package triggers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

const (
	startLimit = 5 * time.Second // for one call to Temporal
	lostAfter  = 2 * time.Second // when an order that was not handed over counts as lost
	// unbegunAfter is when an enrollment that Temporal took, and whose first step has not begun,
	// is handed over once more. That is harmless where Temporal has it still.
	unbegunAfter = 2 * time.Minute
	updateLimit  = 2 * time.Second        // for a worker to answer an unenrollment
	checkAfter   = 10 * time.Minute       // when an enrollment that stands still is asked about in Temporal
	markEvery    = 500 * time.Millisecond // by then the first steps of most have begun
)

// Starter tells Temporal what PostgreSQL decided: starts, resumptions and unenrollments. What a
// crash keeps it from telling, its sweep tells later.
type Starter struct {
	db       *postgres.DB
	temporal client.Client
	log      *slog.Logger
	metrics  *Metrics
	eager    bool
	orders   chan postgres.Order
	handed   chan postgres.Order
	wake     chan struct{}
	parallel int

	mu     sync.Mutex
	queued map[attempt]bool // orders that wait or are being started here
}

// attempt is one attempt to carry an enrollment through.
type attempt struct {
	id string
	n  int
}

func attemptOf(o postgres.Order) attempt { return attempt{o.ID, o.Attempt} }

// StarterConfig is what NewStarter needs.
type StarterConfig struct {
	DB       *postgres.DB
	Temporal client.Client
	Log      *slog.Logger
	Metrics  *Metrics
	Eager    bool // a worker in this process takes the first task at once
	Parallel int  // starts at the same time; 0: 32
}

// NewStarter returns a starter.
func NewStarter(c StarterConfig) *Starter {
	if c.Parallel == 0 {
		c.Parallel = 32
	}
	return &Starter{
		db: c.DB, temporal: c.Temporal, log: c.Log, metrics: c.Metrics, eager: c.Eager, parallel: c.Parallel,
		orders: make(chan postgres.Order, 4096), handed: make(chan postgres.Order, 4096), wake: make(chan struct{}, 1),
		queued: map[attempt]bool{},
	}
}

// Start takes orders that were just committed. Those that wait here already are left out, and
// those that do not fit are left to the sweep.
func (s *Starter) Start(orders []postgres.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range orders {
		if s.queued[attemptOf(o)] {
			continue
		}
		select {
		case s.orders <- o:
			s.queued[attemptOf(o)] = true
		default:
			return
		}
	}
}

// settled forgets an order that waits no more. One that was handed over stays known until that is
// recorded, so that a sweep in between does not take it for lost.
func (s *Starter) settled(orders ...postgres.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range orders {
		delete(s.queued, attemptOf(o))
	}
}

// Wake tells the starter that there are commands. It never blocks.
func (s *Starter) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run starts and tells until the context ends.
func (s *Starter) Run(ctx context.Context) {
	var group sync.WaitGroup
	for range s.parallel {
		group.Go(func() { s.startAll(ctx) })
	}
	group.Go(func() { s.markAll(ctx) })
	group.Go(func() { s.tellAll(ctx) })
	group.Go(func() { s.sweepAll(ctx) })
	group.Go(func() { s.checkAll(ctx) })
	group.Go(func() { s.startRuns(ctx) })
	group.Wait()
}

func (s *Starter) startAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-s.orders:
			s.start(ctx, o)
		}
	}
}

func (s *Starter) start(ctx context.Context, o postgres.Order) {
	began := time.Now()
	if err := s.Hand(ctx, o, single); err != nil {
		s.settled(o)
		if ctx.Err() == nil {
			s.log.Warn("start of an enrollment, will be tried again", "enrollment_id", o.ID, "error", err)
		}
		return
	}
	s.metrics.startedIn(time.Since(began))
	select {
	case s.handed <- o:
	case <-ctx.Done():
	}
}

// Hand starts the Temporal workflow of an order. One that exists already is success.
func (s *Starter) Hand(ctx context.Context, o postgres.Order, l lane) error {
	version, err := s.db.Published(ctx, o.Definition, o.Version)
	if err != nil {
		return err
	}
	in := workflows.EnrollmentInput{EnrollmentID: o.ID, UserID: o.UserID, Program: version.Program}
	again := enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	if o.Attempt > 0 { // the run that failed is closed
		at, err := s.db.PositionOf(ctx, o.ID)
		if err != nil {
			return err
		}
		in.At = &workflows.Position{Step: at.Step, Visits: at.Visits, Attended: at.Attended}
		again = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	}
	// What was sent is waited for though the process stops: an eager start brings its first task along.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startLimit)
	defer cancel()
	if o.FastForward {
		ctx = WithTimeSkipping(ctx)
	}
	_, err = s.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       automation.TemporalWorkflowID(o.Definition, o.UserID, o.Ordinal),
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDReusePolicy:                    again,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         s.eager,
		Priority:                                 temporal.Priority{PriorityKey: l.priority()},
		StaticSummary:                            version.Document.DisplayTitle() + " · " + o.UserID,
		StaticDetails:                            version.Outline,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.WorkflowAttribute.ValueSet(o.Definition),
			workflows.VersionAttribute.ValueSet(int64(o.Version)),
			workflows.UserAttribute.ValueSet(o.UserID),
		),
	}, workflows.Enrollment, in)
	_, started := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err)
	if started && o.Attempt > 0 {
		// Either this attempt, which will be seen to begin, or the run that failed, about to close.
		return fmt.Errorf("start %s anew: %w", o.ID, errStillOpen)
	}
	if started {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", o.ID, err)
	}
	return nil
}

var errStillOpen = errors.New("a run of it is open in temporal")

// lane is one of the two ways in which orders reach Temporal: those of runs do not keep the others back.
type lane int

const (
	single lane = iota
	bulk
)

// priority is that of the tasks of an enrollment in Temporal: 3 is what all have, 4 comes after it.
func (l lane) priority() int {
	if l == bulk {
		return 4
	}
	return 3
}

// markAll records now and then which orders Temporal took, many at a time.
func (s *Starter) markAll(ctx context.Context) {
	every(ctx, markEvery, nil, func() {
		var orders []postgres.Order
		for more := true; more; {
			select {
			case o := <-s.handed:
				orders = append(orders, o)
			default:
				more = false
			}
		}
		if len(orders) == 0 {
			return
		}
		if err := s.db.MarkHanded(ctx, orders); err != nil && ctx.Err() == nil {
			s.log.Warn("record of starts, they will be tried again", "starts", len(orders), "error", err)
		}
		s.settled(orders...)
	})
}

// sweepAll finds the orders that got lost between a commit and Temporal.
func (s *Starter) sweepAll(ctx context.Context) {
	every(ctx, time.Second, nil, func() {
		orders, err := s.db.ToStart(ctx, 500, lostAfter, unbegunAfter)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("sweep of starts", "error", err)
		}
		s.Start(orders)
	})
}

// tellAll carries out commands.
func (s *Starter) tellAll(ctx context.Context) {
	every(ctx, 500*time.Millisecond, s.wake, func() {
		s.tellRuns(ctx)
		commands, err := s.db.Commands(ctx, 200)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("read of commands", "error", err)
		}
		var group sync.WaitGroup
		slots := make(chan struct{}, s.parallel)
		for _, c := range commands {
			slots <- struct{}{}
			group.Go(func() {
				s.carryOut(ctx, c)
				<-slots
			})
		}
		group.Wait()
	})
}

func (s *Starter) carryOut(ctx context.Context, c postgres.Command) {
	err := s.tell(ctx, c)
	if err == nil {
		err = s.db.CommandDone(ctx, c.ID)
	} else if err := s.db.CommandFailed(ctx, c.ID); err != nil && ctx.Err() == nil {
		s.log.Warn("record of a command", "error", err)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("command, will be tried again", "command", c.Kind, "enrollment_id", c.EnrollmentID, "error", err)
	}
}

// tell carries out one command. A workflow that does not run any more needs not be told.
func (s *Starter) tell(ctx context.Context, c postgres.Command) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var err error
	switch c.Kind {
	case "resume":
		err = s.temporal.SignalWorkflow(ctx, c.TemporalWorkflowID, "", workflows.ResumeSignal, nil)
	case "wake":
		err = s.temporal.SignalWorkflow(ctx, c.TemporalWorkflowID, "", workflows.WakeSignal, nil)
	default:
		if err = s.unenroll(ctx, c); err != nil && !isGone(err) {
			// No worker answers. A cancellation is kept by the server until one does.
			err = s.temporal.CancelWorkflow(ctx, c.TemporalWorkflowID, "")
		}
	}
	if isGone(err) && (c.Kind != "wake" || !c.Live) { // else it is about to begin
		return nil
	}
	return err
}

func (s *Starter) unenroll(ctx context.Context, c postgres.Command) error {
	ctx, cancel := context.WithTimeout(ctx, updateLimit)
	defer cancel()
	handle, err := s.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: c.TemporalWorkflowID, UpdateID: fmt.Sprintf("unenroll-%d", c.ID), UpdateName: workflows.UnenrollUpdate,
		Args: []any{c.Reason}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return handle.Get(ctx, nil)
}

func isGone(err error) bool {
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	return gone
}

// every calls f at once, then after each interval and each wake-up, until the context ends.
func every(ctx context.Context, interval time.Duration, wake <-chan struct{}, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-ticker.C:
		}
	}
}
