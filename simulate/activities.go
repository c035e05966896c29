package simulate

import (
	"cmp"
	"maps"
	"time"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/workflows"
)

// act stands for an action: it renders what would be done.
func (w *world) act(kind string, in workflows.StepInput) (workflows.ActionResult, error) {
	if !w.live() {
		return workflows.ActionResult{Outcome: workflows.Ended}, nil
	}
	ref := w.refOf(in)
	v := w.visits[in.Step]
	if v == nil || v.number != in.Visit {
		v = w.enter(in.Step, in.Visit)
	}
	if in.Hours {
		shut, err := w.version.Shut(ref, w.user.Properties)
		if err != nil {
			return workflows.ActionResult{}, w.fails(v, kind, err)
		}
		if shut != nil {
			w.waitingUntil, v.until = shut.Until, shut.Until
			w.add(automation.SimulatedStep{
				Step: in.Step, Visit: in.Visit, Kind: "hours", What: "held until " + shut.Shown + ", outside of the hours", Until: shut.Until, Shown: shut.Shown,
			})
			return workflows.ActionResult{Outcome: workflows.Shut, Until: shut.Until, Shown: shut.Shown}, nil
		}
	}
	gate := w.gate(ref)
	did, err := w.actions.Rehearse(kind, w.version, gate, ref, w.changeUser)
	if err != nil {
		return workflows.ActionResult{}, w.fails(v, kind, err)
	}
	status, what := automation.StepDone, did.What
	if did.Skipped {
		status, what = automation.StepSkipped, "left out: "+did.What
	}
	v.entry = w.add(automation.SimulatedStep{Step: in.Step, Visit: in.Visit, Kind: kind, What: what, With: did.With})
	w.done(v, status, did.Values)
	n, _ := w.version.Program.Node(in.Step)
	w.follow = n.Next
	if in.Last {
		w.pass("")
		w.ends(automation.Completed, "")
	}
	w.judgeChanges()
	return workflows.ActionResult{Outcome: workflows.Done, Completed: in.Last && w.status == automation.Completed}, nil
}

// fails records that a step fails for good, and returns that.
func (w *world) fails(v *visit, kind string, err error) error {
	failed := activities.Failure(err)
	v.status = automation.StepFailed
	w.settle(v)
	v.entry = w.add(automation.SimulatedStep{Step: v.step, Visit: v.number, Kind: kind, What: "failed: " + err.Error(), Error: err.Error()})
	return failed
}

func (w *world) refOf(in workflows.StepInput) postgres.VisitRef {
	return postgres.VisitRef{EnrollmentID: w.enrollment.ID, Step: in.Step, Visit: in.Visit, At: w.now(), Hours: in.Hours, Timed: in.Timed}
}

// gate is what a step may know that is let in.
func (w *world) gate(ref postgres.VisitRef) *postgres.Gate {
	g := &postgres.Gate{Enrollment: w.enrollment, User: w.user, Outputs: maps.Clone(w.outputs), Attempts: 1, Now: ref.At}
	if ref.Timed {
		due := w.start
		for _, at := range []time.Time{w.finished, w.waitingUntil} {
			if !at.IsZero() {
				due = at
			}
		}
		g.Late = ref.At.Sub(due)
	}
	w.waitingUntil = time.Time{}
	return g
}

// takeBranch stands for the decision of a branch.
func (w *world) takeBranch(in workflows.StepInput) (workflows.BranchResult, error) {
	if !w.live() {
		return workflows.BranchResult{Outcome: workflows.Ended}, nil
	}
	v := w.enter(in.Step, in.Visit)
	kind := cmp.Or(in.Kind, automation.BranchStep)
	subject := w.subject()
	subject.Steps = w.results
	if e := w.enrollment.Event; e != nil {
		subject.Event = e.Properties
	}
	arm, err := w.actions.Choose(kind, in.Step, postgres.Choice{Gate: w.gate(w.refOf(in)), Version: w.version, Subject: subject})
	if err != nil {
		return workflows.BranchResult{}, w.fails(v, string(kind), err)
	}
	step, _ := w.version.Document.Step(in.Step)
	v.entry = w.add(automation.SimulatedStep{Step: in.Step, Visit: in.Visit, Kind: string(kind), What: "takes " + step.WayOut(arm)})
	w.done(v, automation.StepDone, w.version.Taken(arm))
	n, _ := w.version.Program.Node(in.Step)
	w.follow = n.Arms[arm]
	return workflows.BranchResult{Outcome: workflows.Done, Arm: arm}, nil
}

// noteFailure stands for the record that the flow goes on behind a step that failed.
func (w *world) noteFailure(in workflows.FailureInput) (struct{}, error) {
	v, n := w.visits[in.Step], w.node(in.Step)
	if v != nil && n != nil && n.Rescue != nil {
		w.done(v, automation.StepFailed, map[string]any{filter.Outcome: automation.OutcomeFailed, "error": in.Error})
		w.timeline[v.entry].What += "; the flow goes on"
		w.follow = *n.Rescue
	}
	return struct{}{}, nil
}

func (w *world) node(id string) *automation.Node {
	n, _ := w.version.Program.Node(id)
	return n
}

// attend stands for the question what is wanted of the enrollment: there are no operators here, so it is
// no more than that it goes on.
func (w *world) attend(workflows.AttendInput) (workflows.Wanted, error) {
	if !w.live() {
		return workflows.Wanted{Outcome: workflows.Ended}, nil
	}
	return workflows.Wanted{Outcome: workflows.Done}, nil
}

// finish stands for the record of the end.
func (w *world) finish(in workflows.FinishInput) (workflows.EnrollmentResult, error) {
	if w.live() && in.Status == automation.Completed {
		w.exits(in)
	}
	w.ends(cmp.Or(in.Status, automation.Unenrolled), in.Reason)
	return workflows.EnrollmentResult{Status: w.status, Reason: w.reason}, nil
}

// exits notes the exit with which the flow ended, or the gotos that led to its end.
func (w *world) exits(in workflows.FinishInput) {
	w.pass(in.Step)
	if n := w.node(in.Step); n != nil && n.Kind == automation.ExitStep {
		what := "ends here"
		if n.Reason != "" {
			what += ": " + n.Reason
		}
		w.add(automation.SimulatedStep{Step: n.ID, Visit: 1, Kind: string(n.Kind), What: what})
		w.enrollment.Step = n.ID
	}
}
