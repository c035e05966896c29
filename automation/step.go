package automation

import (
	"encoding/json"
	"strings"

	"rollcall/filter"
	"rollcall/strictjson"
)

// Step is one node of a workflow: exactly one of Action, Delay, WaitFor, Branch, BranchOn, Split, Goto
// and Exit is set.
type Step struct {
	ID    string `json:"id,omitempty"`    // unique in the workflow; given by position when left out
	Title string `json:"title,omitempty"` // what people read

	Action string         `json:"action,omitempty"` // the kind of action
	With   map[string]any `json:"with,omitempty"`   // what the action needs; texts are Liquid templates

	Delay   *Delay   `json:"delay,omitempty"`    // waits for time
	WaitFor *WaitFor `json:"wait_for,omitempty"` // waits for something to happen

	Branch   []Arm     `json:"branch,omitempty"`    // the first arm whose filter holds is taken
	BranchOn *BranchOn `json:"branch_on,omitempty"` // the first case is taken that is the value
	Cases    []Case    `json:"cases,omitempty"`     // of a BranchOn
	Split    []Part    `json:"split,omitempty"`     // one part is taken by chance, for each user always the same

	Goto   string `json:"goto,omitempty"`    // the step with which the flow goes on
	AtMost int    `json:"at_most,omitempty"` // of a Goto: how often, then it goes on after it; 0: always

	Exit *Exit `json:"exit,omitempty"` // ends the enrollment here

	OnError   *OnError   `json:"on_error,omitempty"`   // what follows when the step fails for good
	DueWithin *DueWithin `json:"due_within,omitempty"` // what becomes of an action that comes late
}

// Arm is one way out of a branch; the last one is the else.
type Arm struct {
	If    *filter.Tree `json:"if,omitempty"`
	Else  bool         `json:"else,omitempty"`
	Steps []Step       `json:"steps,omitempty"` // then the flow goes on after the branch
}

// BranchOn is a value that decides where the flow goes on: exactly one of Property, Value and Step is
// set. A value that is a list is each of its members.
type BranchOn struct {
	Property string `json:"property,omitempty"` // a property of the user
	Value    string `json:"value,omitempty"`    // a Liquid template
	Step     string `json:"step,omitempty"`     // an earlier step
	Output   string `json:"output,omitempty"`   // which of its outputs; "" is its outcome
}

// Case is one way out of a BranchOn; the last one is the else.
type Case struct {
	Is    Values `json:"is,omitempty"` // the values that take it, compared without regard to case
	Else  bool   `json:"else,omitempty"`
	Steps []Step `json:"steps,omitempty"`
}

// Values are texts, of which a document may write a single one without a list.
type Values []string

// DecodeJSON reads a text, a number, a truth or a list of them.
func (vs *Values) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	for _, item := range items {
		text, ok := filter.LooseText(item)
		if !ok {
			p.Add(pointer, "wrong-type", "a case is a text, a number, true or false, or a list of them")
			return
		}
		*vs = append(*vs, text)
	}
}

// Part is one way out of a split.
type Part struct {
	Weight int    `json:"weight"` // in proportion to the others
	Steps  []Step `json:"steps,omitempty"`
}

// Exit ends an enrollment.
type Exit struct {
	Reason string `json:"reason,omitempty"` // stands in the enrollment when it has ended
}

// WaitFor waits until something happens that was not so when the step was entered, or time is up. It
// gives the output outcome, "happened" or "timed_out"; which, the position of what happened; and event,
// the properties of the event.
type WaitFor struct {
	Event   string       `json:"event,omitempty"`   // an event of the user that is received after the step was entered
	Webhook string       `json:"webhook,omitempty"` // or the name of a hook: a delivery to it that names the user
	Where   *filter.Tree `json:"where,omitempty"`   // asked of the user, and of the event, at that moment
	Filter  *filter.Tree `json:"filter,omitempty"`  // holds for the user, from the beginning or later
	Any     []Awaited    `json:"any,omitempty"`     // or the first of several
	AtMost  *Duration    `json:"at_most,omitempty"` // how long; left out: for ever
}

// Awaited is one thing to wait for: exactly one of Event, Webhook and Filter is set.
type Awaited struct {
	Event   string       `json:"event,omitempty"`
	Webhook string       `json:"webhook,omitempty"`
	Where   *filter.Tree `json:"where,omitempty"`
	Filter  *filter.Tree `json:"filter,omitempty"`
}

// Hears is the name of the event that is waited for; "" where a condition is.
func (a Awaited) Hears() string { return heardAs(a.Event, a.Webhook) }

// one is the one thing that is waited for where there are not several.
func (w *WaitFor) one() Awaited { return Awaited{w.Event, w.Webhook, w.Where, w.Filter} }

// Awaits lists what is waited for.
func (w *WaitFor) Awaits() []Awaited {
	if len(w.Any) > 0 {
		return w.Any
	}
	return []Awaited{w.one()}
}

// String says what is waited for.
func (w *WaitFor) String() string {
	var parts []string
	for _, a := range w.Awaits() {
		what := a.Event
		switch {
		case a.Webhook != "":
			what = "webhook " + a.Webhook
		case a.Event == "":
			what = "a condition to hold"
		}
		if a.Where != nil && a.Hears() != "" {
			what += " of a certain kind"
		}
		parts = append(parts, what)
	}
	text := strings.Join(parts, " or ")
	if w.AtMost != nil {
		text += ", at most " + w.AtMost.String()
	}
	return text
}

// The outcomes of a wait, and of a step that failed and whose enrollment went on.
const (
	OutcomeHappened = "happened"
	OutcomeTimedOut = "timed_out"
	OutcomeSkipped  = "skipped" // by an operator, or because it came too late
	OutcomeFailed   = "failed"
	OutcomeDone     = "done"
)

// OnError is what follows when a step fails for good. The zero value is that the enrollment fails.
type OnError struct {
	Continue bool
	Steps    []Step // then the flow goes on after the step that failed
}

// DecodeJSON reads "stop", "continue" or a list of steps.
func (o *OnError) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	switch v := v.(type) {
	case string:
		if v == "stop" || v == "continue" {
			o.Continue = v == "continue"
			return
		}
	case []any:
		strictjson.Decode(v, pointer, &o.Steps, p)
		if len(v) > 0 {
			return
		}
	}
	p.Add(pointer, "on-error-invalid", `must be "stop", "continue" or a list of steps`)
}

// MarshalJSON writes the form that DecodeJSON reads.
func (o OnError) MarshalJSON() ([]byte, error) {
	switch {
	case len(o.Steps) > 0:
		return json.Marshal(o.Steps)
	case o.Continue:
		return json.Marshal("continue")
	default:
		return json.Marshal("stop")
	}
}

// DueWithin is how late an action may begin, counted from when it was to, and what becomes of it else.
type DueWithin struct {
	Within Duration `json:"within"`
	Else   Late     `json:"else,omitempty"`
}

// Late is what becomes of an action that comes too late.
type Late string

// What may become of it.
const (
	LateSkip Late = "skip" // it is left out, the default
	LateFail Late = "fail" // the step fails
	LateDo   Late = "do"   // it is done all the same, and the timeline says how late
)

// DecodeJSON reads "2h" or {"within": "2h", "else": "fail"}.
func (d *DueWithin) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	if members, ok := v.(map[string]any); ok {
		type plain DueWithin
		strictjson.Decode(members, pointer, (*plain)(d), p)
	} else {
		d.Within.DecodeJSON(v, pointer, p)
	}
	if d.Else == "" {
		d.Else = LateSkip
	}
}

// StepKind is what kind of step a node is.
type StepKind string

// The closed set of step kinds.
const (
	ActionStep   StepKind = "action"
	DelayStep    StepKind = "delay"
	WaitStep     StepKind = "wait_for"
	BranchStep   StepKind = "branch"
	BranchOnStep StepKind = "branch_on"
	SplitStep    StepKind = "split"
	GotoStep     StepKind = "goto"
	ExitStep     StepKind = "exit"
)

// Kind names the kind of step; "" when the step is of none or of several kinds.
func (s Step) Kind() StepKind {
	var kind StepKind
	kinds := 0
	for _, k := range []struct {
		kind StepKind
		set  bool
	}{
		{ActionStep, s.Action != ""},
		{DelayStep, s.Delay != nil},
		{WaitStep, s.WaitFor != nil},
		{BranchStep, s.Branch != nil},
		{BranchOnStep, s.BranchOn != nil},
		{SplitStep, s.Split != nil},
		{GotoStep, s.Goto != ""},
		{ExitStep, s.Exit != nil},
	} {
		if k.set {
			kind = k.kind
			kinds++
		}
	}
	if kinds != 1 {
		return ""
	}
	return kind
}

// inner lists the lists of steps inside a step, with where they stand below it: those of its ways out
// and, last, those that follow an error.
func (s *Step) inner() []innerSteps {
	var all []innerSteps
	for i := range s.Branch {
		all = append(all, innerSteps{strictjson.Index("/branch", i) + "/steps", s.Branch[i].Steps})
	}
	for i := range s.Cases {
		all = append(all, innerSteps{strictjson.Index("/cases", i) + "/steps", s.Cases[i].Steps})
	}
	for i := range s.Split {
		all = append(all, innerSteps{strictjson.Index("/split", i) + "/steps", s.Split[i].Steps})
	}
	if s.OnError != nil && len(s.OnError.Steps) > 0 {
		all = append(all, innerSteps{onError, s.OnError.Steps})
	}
	return all
}

const onError = "/on_error"

type innerSteps struct {
	pointer string
	steps   []Step
}
