package simulate

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"go.temporal.io/sdk/testsuite"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// maxText is how many bytes of rendered effects a simulation keeps.
const maxText = 8 << 20

// world is what the database would hold: one user, and one enrollment with its visits. The activities
// come one at a time, and between them what happens to the user.
type world struct {
	actions *activities.Set
	version *postgres.Published
	schema  automation.Properties
	env     *testsuite.TestWorkflowEnvironment

	start, end time.Time
	bounded    bool      // the end was asked for
	facts      []fact    // that are still to come, in order
	alarm      time.Time // when to look whether time alone has changed something; zero: never

	mu         sync.Mutex
	enrollment automation.Enrollment
	user       automation.User
	past       *filter.Past
	changed    []postgres.Item // what the running activity changed, to be judged after it

	visits  map[string]*visit         // the last one of each step
	outputs map[string]map[string]any // what templates see of the steps that are over
	results map[string]map[string]any // what branches see of them, with how they went
	current *visit                    // the one that was entered last
	follow  string                    // the step that follows it, as far as it is known
	gotos   map[string]int            // how often each goto was passed

	waitingUntil time.Time // when the wait ends, or ended, that comes before the next action; zero: there is none
	finished     time.Time // when a step was last done

	status   automation.EnrollmentStatus // "" while it is live
	reason   string
	endedAt  time.Time
	touched  time.Time // when something last happened
	timeline []automation.SimulatedStep
	text     int   // bytes of it
	failed   error // why the simulation cannot go on
}

// visit is one entry of a step.
type visit struct {
	step   string
	number int
	status automation.StepStatus
	began  time.Time
	until  time.Time // of a wait; zero: nobody knows
	known  bool      // until is decided, if only to be open
	shown  string
	output map[string]any
	entry  int // its position in the timeline
}

func newWorld(actions *activities.Set, version *postgres.Published, schema automation.Properties, in *Input) *world {
	w := &world{
		actions: actions, version: version, schema: schema,
		start: in.Start, end: in.Start.AddDate(automation.MaxSimulatedYears, 0, 0), touched: in.Start,
		visits: map[string]*visit{}, outputs: map[string]map[string]any{}, results: map[string]map[string]any{}, gotos: map[string]int{}, follow: version.Program.Start, timeline: []automation.SimulatedStep{},
		past: &filter.Past{
			Changes: map[string][]filter.Change{}, Events: map[string][]filter.Event{},
			Workflows: map[string]filter.Passage{version.Name: {Enrolled: true, Active: true}},
		},
	}
	if !in.Until.IsZero() {
		w.end, w.bounded = in.Until, true
	}
	properties := postgres.Complete(in.User.Properties)
	properties["created_at"] = w.start.Format(time.RFC3339Nano)
	w.user = automation.User{ID: in.User.ID, Properties: properties, CreatedAt: w.start, UpdatedAt: w.start}
	w.remember(automation.Diff(nil, properties, w.start, "api"), automation.CreationEvents(&w.user))
	w.facts = w.order(in)
	w.enrollment = automation.Enrollment{
		ID: "simulation", Workflow: version.Name, Version: version.Number, UserID: w.user.ID, Status: automation.Active,
		CreatedAt: w.start, Ordinal: 1, TemporalWorkflowID: automation.TemporalWorkflowID(version.Name, w.user.ID, 1),
	}
	return w
}

// now is the virtual time, in the resolution of the database.
func (w *world) now() time.Time { return instant(w.env.Now()) }

// live reports whether the enrollment has not ended. It is asked before every step: it is the gate.
func (w *world) live() bool { return w.status == "" && w.failed == nil }

// ends records the end of the enrollment. The first one stands.
func (w *world) ends(status automation.EnrollmentStatus, reason string) {
	if w.status != "" {
		return
	}
	w.status, w.reason, w.endedAt = status, reason, w.now()
	if v := w.waiting(); v != nil && status == automation.Unenrolled {
		w.over(v, automation.StepStopped, "taken out: "+reason)
	}
}

// abort gives the simulation up.
func (w *world) abort(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.giveUp(err)
}

func (w *world) giveUp(err error) {
	if w.failed == nil {
		w.failed = err
	}
}

// waiting is the visit in which the enrollment waits; nil where it does not.
func (w *world) waiting() *visit {
	if w.current != nil && w.current.status == automation.StepWaiting {
		return w.current
	}
	return nil
}

// enter begins the visit of a step, behind the gotos that led to it.
func (w *world) enter(step string, number int) *visit {
	if v := w.waiting(); v != nil { // a delay, which says nothing when it is over
		v.status = automation.StepDone
		w.settle(v)
	}
	w.pass(step)
	v := &visit{step: step, number: number, status: automation.StepRunning, began: w.now()}
	w.current, w.visits[step], w.follow, w.enrollment.Step = v, v, "", step
	return v
}

// pass notes the gotos on the way to a step; "" is the end.
func (w *world) pass(step string) {
	for w.follow != step && w.live() {
		n, ok := w.version.Program.Node(w.follow)
		if !ok || n.Kind != automation.GotoStep {
			return
		}
		w.gotos[n.ID]++
		count := w.gotos[n.ID]
		what := "goes to " + n.To
		switch {
		case n.Times > 0 && count > n.Times:
			what = "goes on, it went to " + n.To + " " + automation.Often(n.Times)
		case n.Times > 0:
			what = fmt.Sprintf("goes to %s (%d of %d)", n.To, count, n.Times)
		}
		w.add(automation.SimulatedStep{Step: n.ID, Visit: count, Kind: string(n.Kind), What: what})
		w.follow = n.Leads(count)
	}
}

// add adds an entry to the timeline, and returns its position.
func (w *world) add(e automation.SimulatedStep) int {
	e.At = w.now()
	e.Local = w.version.Shown(e.At, w.user.Properties)
	w.timeline = append(w.timeline, e)
	w.text += len(e.What) + len(e.With)
	switch {
	case len(w.timeline) > automation.MaxSimulatedSteps:
		w.giveUp(tooLong("the user goes through more than %d steps until %s; say until when to look", automation.MaxSimulatedSteps, e.Local))
	case w.text > maxText:
		w.giveUp(tooLong("the effects come to more than %d MiB until %s; say until when to look", maxText>>20, e.Local))
	}
	return len(w.timeline) - 1
}

// done records that a step was done, with what later steps see of it.
func (w *world) done(v *visit, status automation.StepStatus, output map[string]any) {
	v.status, v.output, w.finished = status, plain(output), w.now()
	w.timeline[v.entry].Output = v.output
	w.settle(v)
}

// settle makes a visit that is over known to later steps.
func (w *world) settle(v *visit) {
	if v.output != nil {
		w.outputs[v.step] = v.output
	}
	result := maps.Clone(v.output)
	if result == nil {
		result = map[string]any{}
	}
	if result[filter.Outcome] == nil {
		result[filter.Outcome] = string(v.status)
	}
	w.results[v.step] = result
}

// over records the end of a wait.
func (w *world) over(v *visit, status automation.StepStatus, how string) {
	e := &w.timeline[v.entry]
	e.What, e.FinishedAt = e.What+": "+how, w.now()
	v.status = status
}

// plain is an output as it comes back from the database.
func plain(output map[string]any) map[string]any {
	if output == nil {
		return nil
	}
	var same map[string]any
	text, err := json.Marshal(output)
	if err == nil {
		err = json.Unmarshal(text, &same)
	}
	if err != nil {
		panic(fmt.Sprintf("simulate: an output is no JSON: %s", err))
	}
	return same
}
