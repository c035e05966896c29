package automation

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"rollcall/filter"
	"rollcall/strictjson"
)

// calendar validates when actions may start and which days are off.
func (v *validator) calendar(d *Document) {
	v.country(d.Holidays, "/holidays")
	d.DaysOff.Validate("/days_off", &v.Problems)
	if weekdays := (&Hours{}); len(d.DaysOff) > 0 && !weekdays.everOpen(d.DaysOff) {
		v.Add("/days_off", "hours-never-open", "the days off leave ten years without a business day")
	}
	if d.Hours != nil {
		d.Hours.Validate("/hours", &v.Problems, d.DaysOff)
		v.country(d.Hours.Holidays, "/hours/holidays")
	}
}

func (v *validator) country(code, at string) {
	if code != "" && code != NoHolidays && !CheckCountry(code) {
		v.Add(at, "unknown-country", "the holidays of %q are not known; known are %s, and %q", code, strings.Join(HolidayCountries, ", "), NoHolidays)
	}
}

// NoHolidays stands, as a country, for one without holidays.
const NoHolidays = "none"

func (v *validator) stepID(s *Step, at string) {
	if !stepSlug.MatchString(s.ID) {
		v.Add(at+"/id", "invalid-name", "a step id is 1 to 64 letters, digits, - and _")
	}
	if first, taken := v.ids[s.ID]; taken {
		v.Add(at+"/id", "duplicate-step-id", "the id %q is also that of the step at %s", s.ID, first)
		return
	}
	v.ids[s.ID] = at
}

// step validates a step without those inside it.
func (v *validator) step(s *Step, at string) {
	if len(s.Title) > 200 {
		v.Add(at+"/title", "too-long", "a title has at most 200 bytes")
	}
	v.companions(s, at)
	switch s.Kind() {
	case ActionStep:
		v.action(s, at)
	case DelayStep:
		s.Delay.Validate(at+"/delay", &v.Problems, v.properties)
	case WaitStep:
		v.waitFor(s.WaitFor, at+"/wait_for")
	case BranchStep:
		v.branch(s.Branch, at+"/branch")
	case BranchOnStep:
		v.branchOn(s, at)
	case SplitStep:
		v.split(s.Split, at+"/split")
	case GotoStep:
		v.jump(s, at)
	case ExitStep:
		if len(s.Exit.Reason) > 200 {
			v.Add(at+"/exit/reason", "too-long", "a reason has at most 200 bytes")
		}
	default:
		v.Add(at, "unknown-step-type",
			`a step has exactly one of "action", "delay", "wait_for", "branch", "branch_on", "split", "goto" and "exit"`)
	}
}

// companions refuses members that belong to another kind of step.
func (v *validator) companions(s *Step, at string) {
	for _, m := range []struct {
		name  string
		set   bool
		taken bool
		by    string
	}{
		{"with", s.With != nil, s.Action != "", "an action"},
		{"cases", s.Cases != nil, s.BranchOn != nil, `a "branch_on"`},
		{"at_most", s.AtMost != 0, s.Goto != "", `a "goto"`},
		{"on_error", s.OnError != nil, s.Action != "" || s.Delay != nil, "an action or a delay"},
		{"due_within", s.DueWithin != nil, s.Action != "", "an action"},
	} {
		if m.set && !m.taken {
			v.Add(at+"/"+m.name, "unknown-field", "only %s has %q", m.by, m.name)
		}
	}
	if d := s.DueWithin; d != nil {
		if d.Within <= 0 {
			v.Add(at+"/due_within", "delay-out-of-range", "an action is due within more than no time")
		}
		if d.Else != LateSkip && d.Else != LateFail && d.Else != LateDo {
			v.Add(at+"/due_within/else", "due-within-invalid", `must be "skip", "fail" or "do"`)
		}
	}
}

func (v *validator) action(s *Step, at string) {
	kind, known := v.catalog.Find(s.Action)
	if !known {
		v.Add(at+"/action", "unknown-action", "there is no action %q; known are %s", s.Action, strings.Join(v.catalog.Kinds(), ", "))
		return
	}
	with := s.With
	if with == nil {
		with = map[string]any{}
	}
	v.Join(at+"/with", kind.Check(with, v.properties))
	v.spokenOf(with, at+"/with")
	if name, _ := with["connection"].(string); name != "" && kind.Connection != "" && v.catalog.ConnectionKind != nil {
		v.connection(name, kind.Connection, at+"/with/connection")
	}
}

var (
	templateCode = regexp.MustCompile(`(?s)\{[{%].*?[%}]\}`)
	stepName     = regexp.MustCompile(`\bsteps(?:\.|\[\s*["'])([a-zA-Z0-9_-]+)`)
)

// spokenOf wants the steps to exist whose outputs templates speak of.
func (v *validator) spokenOf(value any, at string) {
	switch value := value.(type) {
	case string:
		if strings.Contains(value, "{% raw") {
			return // what is no template cannot be told apart here
		}
		for _, code := range templateCode.FindAllString(value, -1) {
			for _, name := range stepName.FindAllStringSubmatch(code, -1) {
				if !v.knows(name[1]) {
					v.Add(at, "unknown-step", "the template asks for steps.%s, and there is no such step", name[1])
				}
			}
		}
	case []any:
		for i, item := range value {
			v.spokenOf(item, strictjson.Index(at, i))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			v.spokenOf(value[name], strictjson.Field(at, name))
		}
	}
}

// connection wants a connection of a kind.
func (v *validator) connection(name, kind, at string) {
	switch is, known := v.catalog.ConnectionKind(name); {
	case !known:
		v.Add(at, "unknown-connection", "there is no connection %q", name)
	case is != kind:
		v.Add(at, "wrong-connection", "the connection %q is of the kind %s, and the step needs one of the kind %s", name, is, kind)
	}
}

func (v *validator) waitFor(w *WaitFor, pointer string) {
	if w.AtMost != nil && *w.AtMost <= 0 {
		v.Add(pointer+"/at_most", "delay-out-of-range", "must be more than no time")
	}
	if w.Any == nil {
		v.awaited(w.one(), pointer)
		return
	}
	if w.one() != (Awaited{}) {
		v.Add(pointer, "wait-invalid", `"any" stands alone, but for "at_most"`)
	}
	if len(w.Any) == 0 || len(w.Any) > MaxArms {
		v.Add(pointer+"/any", "wait-invalid", "a step waits for 1 to %d things", MaxArms)
	}
	for i, a := range w.Any {
		v.awaited(a, strictjson.Index(pointer+"/any", i))
	}
}

func (v *validator) awaited(a Awaited, at string) {
	if !exactlyOne(a.Event != "", a.Webhook != "", a.Filter != nil) {
		v.Add(at, "wait-invalid", `a step waits for exactly one of "event", "webhook" and "filter", or for "any" of several`)
		return
	}
	if a.Webhook != "" {
		v.hook(a.Webhook, at+"/webhook")
	}
	if a.Event != "" {
		v.eventName(a.Event, at+"/event")
		if a.Event == EventUserDeleted || a.Event == EventUserCreated {
			v.Add(at+"/event", "wait-invalid", "nobody who is enrolled can wait for this event")
		}
	}
	if a.Where != nil && a.Hears() == "" {
		v.Add(at+"/where", "where-not-taken", `only an event and a webhook have a "where"`)
	} else if a.Where != nil {
		v.filter(a.Where, at+"/where", true)
	}
	if a.Filter != nil {
		v.filter(a.Filter, at+"/filter", false)
	}
}

// knows reports whether a step can be asked about. It may not have been reached: then it gave nothing.
func (v *validator) knows(id string) bool { return v.ids[id] != "" }

func (v *validator) branch(arms []Arm, pointer string) {
	if len(arms) > MaxArms {
		v.Add(pointer, "too-many-branches", "a branch has at most %d arms", MaxArms)
		return
	}
	if len(arms) == 0 || !arms[len(arms)-1].Else {
		v.Add(pointer, "else-missing", `the last arm of a branch is { "else": true, "steps": [] }`)
	}
	scope := v.properties.Scope(true, v.zone)
	scope.Steps = v.knows
	for i, arm := range arms {
		at := strictjson.Index(pointer, i)
		switch {
		case (arm.If != nil) == arm.Else:
			v.Add(at, "arm-invalid", `an arm has exactly one of "if" and "else"`)
		case arm.Else && i < len(arms)-1:
			v.Add(at+"/else", "else-not-last", "the else is the last arm")
		case arm.If != nil:
			v.filterIn(arm.If, at+"/if", scope)
		}
	}
}

func (v *validator) branchOn(s *Step, at string) {
	b := s.BranchOn
	set := 0
	for _, text := range []string{b.Property, b.Value, b.Step} {
		if text != "" {
			set++
		}
	}
	if set != 1 {
		v.Add(at+"/branch_on", "branch-on-invalid", `needs exactly one of "property", "value" and "step"`)
	}
	if b.Output != "" && b.Step == "" {
		v.Add(at+"/branch_on/output", "unknown-field", `only a step has an "output"`)
	}
	if _, known := v.properties[b.Property]; b.Property != "" && !known {
		v.Add(at+"/branch_on/property", "unknown-property", "there is no property %q", b.Property)
	}
	if b.Step != "" && !v.knows(b.Step) {
		v.Add(at+"/branch_on/step", "unknown-step", "there is no step %q", b.Step)
	}
	v.spokenOf(b.Value, at+"/branch_on/value")
	if b.Value != "" && v.catalog.CheckTemplate != nil {
		v.Join(at+"/branch_on/value", v.catalog.CheckTemplate(b.Value, v.properties))
	}
	v.cases(s.Cases, at+"/cases")
}

func (v *validator) cases(cases []Case, pointer string) {
	if len(cases) > MaxCases+1 {
		v.Add(pointer, "too-many-branches", "a step has at most %d cases and an else", MaxCases)
		return
	}
	if len(cases) == 0 || !cases[len(cases)-1].Else {
		v.Add(pointer, "else-missing", `the last case is { "else": true, "steps": [] }`)
	}
	first := map[string]string{}
	for i, c := range cases {
		at := strictjson.Index(pointer, i)
		switch {
		case (len(c.Is) > 0) == c.Else:
			v.Add(at, "arm-invalid", `a case has exactly one of "is" and "else"`)
		case c.Else && i < len(cases)-1:
			v.Add(at+"/else", "else-not-last", "the else is the last case")
		}
		for _, value := range c.Is {
			if before, taken := first[filter.Fold(value)]; taken {
				v.Add(at+"/is", "case-repeated", "this value takes the case at %s already", before)
			}
			first[filter.Fold(value)] = at
		}
	}
}

func (v *validator) split(parts []Part, pointer string) {
	if len(parts) < 2 || len(parts) > MaxParts {
		v.Add(pointer, "split-invalid", "a split has 2 to %d parts", MaxParts)
	}
	for i, p := range parts {
		if p.Weight < 1 || p.Weight > 1_000_000 {
			v.Add(strictjson.Index(pointer, i)+"/weight", "split-invalid", "a weight is a whole number from 1 to 1000000")
		}
	}
}

func (v *validator) jump(s *Step, at string) {
	if !v.knows(s.Goto) {
		v.Add(at+"/goto", "unknown-step", "there is no step %q", s.Goto)
	}
	if s.AtMost < 0 || s.AtMost > MaxTimes {
		v.Add(at+"/at_most", "out-of-range", "must be from 1 to %d", MaxTimes)
	}
}

// flow finds steps that nobody can reach, and loops that nothing ends.
func (v *validator) flow(d *Document, p *Program) {
	reached := map[string]bool{}
	p.walk(p.Start, reached, (*Node).exits)
	v.unreachable(d.Steps, "/steps", reached)
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Kind != GotoStep || n.Times > 0 || !reached[n.ID] {
			continue
		}
		again := map[string]bool{}
		p.walk(n.To, again, v.atOnce(d))
		if again[n.ID] {
			v.Add(v.ids[n.ID]+"/goto", "endless-loop", `this loop has no end and nothing to wait for; give the goto an "at_most", or wait inside the loop`)
		}
	}
}

// unreachable reports the first step of each list that nobody can reach.
func (v *validator) unreachable(steps []Step, pointer string, reached map[string]bool) {
	for i := range steps {
		at := strictjson.Index(pointer, i)
		if !reached[steps[i].ID] {
			v.Add(at, "unreachable-step", "no enrollment can reach this step: the one before it always ends or leads elsewhere")
			return
		}
		for _, in := range steps[i].inner() {
			v.unreachable(in.steps, at+in.pointer, reached)
		}
	}
}

// exits lists where a step can lead.
func (n *Node) exits() []string {
	exits := append([]string{n.To}, n.Arms...)
	if n.Rescue != nil {
		exits = append(exits, *n.Rescue)
	}
	if len(n.Arms) == 0 && (n.Kind != GotoStep || n.Times > 0) {
		exits = append(exits, n.Next)
	}
	return exits
}

// atOnce lists where a step can lead without end and without time that passes.
func (v *validator) atOnce(d *Document) func(n *Node) []string {
	return func(n *Node) []string {
		step, _ := d.Step(n.ID)
		switch {
		case n.Kind == DelayStep && step.Delay.Waits(), n.Kind == WaitStep && step.WaitFor.waits():
			return nil
		case n.Kind == GotoStep && n.Times > 0:
			return []string{n.Next}
		}
		return n.exits()
	}
}

// waits reports whether the step never goes on at once: a condition may hold already.
func (w *WaitFor) waits() bool {
	for _, a := range w.Awaits() {
		if a.Filter != nil {
			return false
		}
	}
	return true
}

// walk marks every step that can be reached from one.
func (p *Program) walk(from string, reached map[string]bool, exits func(n *Node) []string) {
	n, ok := p.Node(from)
	if !ok || reached[from] {
		return
	}
	reached[from] = true
	for _, next := range exits(n) {
		p.walk(next, reached, exits)
	}
}
