package triggers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

const (
	lookEvery = 5 * time.Second // how often Temporal's schedules are compared with ours
	// firingGrace is how long a firing is left to Temporal before it is carried out without its waking.
	firingGrace = 10 * time.Second
	lookLimit   = 10 * time.Second // for one call about a schedule
)

// Scheduler keeps Temporal's schedules as the schedule triggers of the live versions say, and sees to
// it that each firing has its run, whether Temporal woke for it or not.
type Scheduler struct {
	db      *postgres.DB
	starter *Starter
	log     *slog.Logger
	wake    chan struct{}
}

// NewScheduler returns a scheduler that tells Temporal by way of the starter's client.
func NewScheduler(db *postgres.DB, s *Starter, log *slog.Logger) *Scheduler {
	return &Scheduler{db: db, starter: s, log: log, wake: make(chan struct{}, 1)}
}

// Wake tells the scheduler that a definition was published, paused, resumed or archived. It never
// blocks.
func (s *Scheduler) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run keeps the schedules until the context ends. Several schedulers do no harm.
func (s *Scheduler) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() {
		every(ctx, lookEvery, s.wake, func() {
			if err := s.Look(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("look at the schedules in temporal", "error", err)
			}
		})
	})
	defer group.Wait()
	every(ctx, lookEvery, nil, func() {
		if err := s.Account(ctx, time.Now().Add(-firingGrace)); err != nil && ctx.Err() == nil {
			s.log.Warn("accounting for firings", "error", err)
		}
	})
}

// Account makes a run of every firing that was due by an instant and has none.
func (s *Scheduler) Account(ctx context.Context, by time.Time) error {
	due, err := s.db.DueSchedules(ctx, by)
	if err != nil {
		return err
	}
	var failed error
	for _, r := range due {
		opened, err := s.db.OpenDue(ctx, r.Definition, r.Trigger, by, "")
		failed = errors.Join(failed, err)
		if opened > 0 {
			s.log.Warn("firings that temporal did not wake for", "workflow", r.Definition, "trigger", r.Trigger, "firings", opened)
			s.starter.Wake()
		}
	}
	return failed
}

// Look brings Temporal's schedules to what they should be: those that are missing or were edited are
// repaired, those that nobody needs are deleted. Those that an operator paused stay so.
func (s *Scheduler) Look(ctx context.Context) error {
	states, err := s.db.Schedules(ctx, "")
	if err != nil {
		return err
	}
	var failed error
	for i := range states {
		if err := s.keep(ctx, &states[i]); err != nil {
			failed = errors.Join(failed, fmt.Errorf("schedule %s: %w", ScheduleID(states[i].ScheduleRef), err))
		}
	}
	gone, err := s.db.GoneSchedules(ctx)
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, r := range gone {
		calling, cancel := context.WithTimeout(ctx, lookLimit)
		err := s.handle(calling, r).Delete(calling)
		cancel()
		if err == nil || isGone(err) {
			err = s.db.ForgetSchedule(ctx, r)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// ScheduleID is the id of the Temporal Schedule of a trigger.
func ScheduleID(r postgres.ScheduleRef) string {
	return fmt.Sprintf("rollcall/%s/%d", r.Definition, r.Trigger)
}

func (s *Scheduler) handle(ctx context.Context, r postgres.ScheduleRef) client.ScheduleHandle {
	return s.starter.temporal.ScheduleClient().GetHandle(ctx, ScheduleID(r))
}

// keep compares one schedule with what it should be.
func (s *Scheduler) keep(ctx context.Context, state *postgres.ScheduleState) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	version, err := s.db.Published(ctx, state.Definition, state.Version)
	if err != nil {
		return err
	}
	want := wanted(version, state)
	handle := s.handle(ctx, state.ScheduleRef)
	found, err := handle.Describe(ctx)
	switch {
	case isGone(err):
		if err := s.create(ctx, want); err != nil {
			return err
		}
	case err != nil:
		return err
	case state.Told != want.hash() || state.ToldAt == nil || !state.ToldAt.Equal(changed(found)):
		if err := handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: want.update}); err != nil {
			return err
		}
	default:
		return s.seen(ctx, state, found)
	}
	if found, err = handle.Describe(ctx); err != nil {
		return err
	}
	if err := s.db.ScheduleTold(ctx, state.ScheduleRef, want.hash(), changed(found)); err != nil {
		return err
	}
	return s.seen(ctx, state, found)
}

func (s *Scheduler) create(ctx context.Context, w *want) error {
	_, err := s.starter.temporal.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: w.id, Spec: w.spec, Action: w.action, Overlap: overlap, CatchupWindow: postgres.CatchUp,
		Note: w.note(), Paused: w.paused, Memo: w.memo,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return nil // another process was faster
	}
	return err
}

// seen records how the schedule stands, where that is news.
func (s *Scheduler) seen(ctx context.Context, state *postgres.ScheduleState, found *client.ScheduleDescription) error {
	paused, note := found.Schedule.State.Paused, found.Schedule.State.Note
	if paused == state.Paused && note == state.Note {
		return nil
	}
	return s.db.ScheduleSeen(ctx, state.ScheduleRef, paused, note)
}

// changed is when a schedule was last created or updated, by Temporal's clock.
func changed(d *client.ScheduleDescription) time.Time {
	at := d.Info.LastUpdateAt
	if at.IsZero() {
		at = d.Info.CreatedAt
	}
	return at.UTC().Truncate(time.Microsecond)
}

const overlap = enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL

// want is what a Temporal Schedule should be.
type want struct {
	id     string
	words  string
	paused bool // with its workflow
	spec   client.ScheduleSpec
	action *client.ScheduleWorkflowAction
	memo   map[string]any
}

func wanted(v *postgres.Published, state *postgres.ScheduleState) *want {
	schedule, zone := v.Triggers[state.Trigger].Schedule, v.Document.Zone()
	id := ScheduleID(state.ScheduleRef)
	return &want{
		id: id, words: schedule.String() + " · " + v.Document.DisplayTitle(), paused: state.Status == automation.Paused,
		spec: specOf(schedule, zone),
		action: &client.ScheduleWorkflowAction{
			ID: id, TaskQueue: workflows.TaskQueue, Workflow: workflows.ScheduledEnrollment,
			Args:                  []any{workflows.ScheduledInput{Definition: state.Definition, Trigger: state.Trigger}},
			TypedSearchAttributes: ofWorkflow(state.Definition),
		},
		memo: map[string]any{"workflow": state.Definition, "trigger": state.Trigger}, // which an update cannot change
	}
}

// specOf wakes whenever the schedule fires, and now and then more often. It stays the same within a
// year.
func specOf(s *automation.Schedule, zone *time.Location) client.ScheduleSpec {
	spec := client.ScheduleSpec{TimeZoneName: s.Zone(zone).String()}
	for _, c := range s.Calendars() {
		calendar := client.ScheduleCalendarSpec{
			Hour: ranges(c.Hour), Minute: ranges(c.Minute),
			Month: ranges(c.Months...), DayOfMonth: ranges(c.DaysOfMonth...), DayOfWeek: ranges(c.DaysOfWeek...),
			Comment: s.String(),
		}
		if c.Year != 0 {
			calendar.Year = ranges(c.Year)
		}
		spec.Calendars = append(spec.Calendars, calendar)
	}
	thisYear := time.Date(time.Now().UTC().Year(), time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, i := range s.Intervals(thisYear, zone) {
		spec.Intervals = append(spec.Intervals, client.ScheduleIntervalSpec{Every: i.Every, Offset: i.Offset})
	}
	return spec
}

// ranges are values of a calendar. None of them must be nil: an empty list is no value, nil is every.
func ranges(values ...int) []client.ScheduleRange {
	var list []client.ScheduleRange
	for _, v := range values {
		list = append(list, client.ScheduleRange{Start: v})
	}
	return list
}

func (w *want) note() string {
	if w.paused {
		return postgres.PausedNote
	}
	return w.words
}

// hash tells what a schedule should be from what it should have been.
func (w *want) hash() string {
	text, err := json.Marshal([]any{w.words, w.paused, w.spec, w.action.Args, w.memo})
	if err != nil {
		panic(fmt.Sprintf("triggers: write schedule: %s", err)) // plain data
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// update brings a schedule that exists to what it should be. Who paused it by hand, resumes it.
func (w *want) update(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
	schedule := in.Description.Schedule
	schedule.Spec, schedule.Action = &w.spec, w.action
	schedule.Policy = &client.SchedulePolicies{Overlap: overlap, CatchupWindow: postgres.CatchUp}
	state := schedule.State
	if state == nil {
		state = &client.ScheduleState{}
	}
	switch {
	case state.Paused && state.Note != postgres.PausedNote:
	case w.paused:
		state.Paused, state.Note = true, postgres.PausedNote
	default:
		state.Paused, state.Note = false, w.words
	}
	schedule.State = state
	return &client.ScheduleUpdate{Schedule: &schedule}, nil
}
