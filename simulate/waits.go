package simulate

import (
	"time"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/workflows"
)

// beginDelay stands for the record of a delay: its end is decided once, and again when what it depends
// on has changed.
func (w *world) beginDelay(in workflows.DelayInput) (workflows.DelayResult, error) {
	if !w.live() {
		return workflows.DelayResult{Outcome: workflows.Ended}, nil
	}
	v, again := w.visits[in.Step], true
	if v == nil || v.number != in.Visit {
		v, again = w.enter(in.Step, in.Visit), false
	}
	if !v.known {
		wait := postgres.Wait{Until: in.Until}
		if in.Until.IsZero() {
			var err error
			if wait, err = w.version.Resolve(in.Step, v.began, w.now(), w.user.Properties); err != nil {
				return workflows.DelayResult{}, w.fails(v, string(automation.DelayStep), err)
			}
		} else {
			wait.Shown = w.version.Shown(in.Until, w.user.Properties)
		}
		if wait.Leave != "" {
			v.entry = w.add(automation.SimulatedStep{Step: in.Step, Visit: in.Visit, Kind: string(automation.DelayStep), What: "ends here: " + wait.Leave})
			return workflows.DelayResult{Outcome: workflows.Leave, Reason: wait.Leave}, nil
		}
		v.until, v.shown, v.known, v.status = wait.Until, wait.Shown, true, automation.StepWaiting
		v.entry = w.add(automation.SimulatedStep{
			Step: in.Step, Visit: in.Visit, Kind: string(automation.DelayStep), What: w.waitsUntil(wait, again), Until: wait.Until, Shown: wait.Shown,
		})
	}
	w.waitingUntil, w.follow = v.until, w.node(in.Step).Next
	return workflows.DelayResult{Outcome: workflows.Done, Until: v.until, Shown: v.shown}, nil
}

// waitsUntil says how long a delay is.
func (w *world) waitsUntil(wait postgres.Wait, again bool) string {
	what := "waits until " + wait.Shown
	if again {
		what = "now " + what
	}
	if !wait.Until.IsZero() && !wait.Until.After(w.now()) {
		what = "goes on at once: " + wait.Shown + " has come"
	}
	return what
}

// beginWait stands for the record that something is waited for: a condition that holds already has
// happened.
func (w *world) beginWait(in workflows.WaitInput) (workflows.WaitResult, error) {
	if !w.live() {
		return workflows.WaitResult{Outcome: workflows.Ended}, nil
	}
	v := w.visits[in.Step]
	if v != nil && v.number == in.Visit {
		return w.stands(v), nil
	}
	n := w.node(in.Step)
	v = w.enter(in.Step, in.Visit)
	v.status = automation.StepWaiting
	entry := automation.SimulatedStep{Step: in.Step, Visit: in.Visit, Kind: string(automation.WaitStep), What: "waits for " + n.Rule}
	if in.AtMost != nil {
		v.until = w.now().Add(time.Duration(*in.AtMost))
		v.shown = w.version.Shown(v.until, w.user.Properties)
		entry.Until, entry.Shown = v.until, v.shown
	}
	v.entry, w.waitingUntil, w.follow = w.add(entry), v.until, n.Next
	awaits := w.inhabitant().Awaits
	if which := postgres.Holding(awaits, w.subject()); which >= 0 {
		w.happened(v, which, nil, "happened already")
		return w.stands(v), nil
	}
	w.look(w.version.NextTurn(w.subject(), awaits))
	return w.stands(v), nil
}

// endWait stands for the question how a wait stands.
func (w *world) endWait(in workflows.WaitInput) (workflows.WaitResult, error) {
	if !w.live() {
		return workflows.WaitResult{Outcome: workflows.Ended}, nil
	}
	v := w.visits[in.Step]
	if in.TimedUp && v.output == nil {
		w.over(v, automation.StepDone, "timed out")
		w.done(v, automation.StepDone, map[string]any{filter.Outcome: automation.OutcomeTimedOut})
	}
	return w.stands(v), nil
}

// happened ends a wait.
func (w *world) happened(v *visit, which int, e *automation.Event, how string) {
	if e != nil {
		how = e.Name + " " + how
	}
	w.over(v, automation.StepDone, how)
	w.done(v, automation.StepDone, postgres.Met(which, e))
}

// stands is how a wait stands.
func (w *world) stands(v *visit) workflows.WaitResult {
	r := workflows.WaitResult{Outcome: workflows.Done, Until: v.until, Shown: v.shown}
	if v.output != nil {
		r.Over, r.Until, r.Shown = true, time.Time{}, ""
		w.waitingUntil = time.Time{}
		r.Came, _ = v.output[filter.Outcome].(string)
	}
	return r
}
