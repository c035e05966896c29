package automation

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/filter"
)

// Version is an immutable published snapshot of a definition.
type Version struct {
	Workflow    string          `json:"workflow"` // the definition's name
	Number      int             `json:"number"`   // counts from 1
	Hash        string          `json:"hash"`     // of the document's normal form
	Document    json.RawMessage `json:"document"`
	PublishedAt time.Time       `json:"published_at"`
}

// Normal returns the document's normal form, which is JSON with the members in a fixed order, and
// its hash. Documents of equal meaning that differ in spacing or order have the same.
func (d *Document) Normal() (text []byte, hash string, err error) {
	text, err = json.Marshal(d)
	if err != nil {
		return nil, "", fmt.Errorf("write normal form of %s: %w", d.Name, err)
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:16]), nil
}

// Program is a version as the interpreter runs it: a graph of steps. It travels by value in the
// input of each enrollment, so a running enrollment never sees another version.
type Program struct {
	Definition string `json:"definition"`
	Version    int    `json:"version"`
	Title      string `json:"title"`
	TimeZone   string `json:"time_zone,omitempty"`
	Hours      bool   `json:"hours,omitempty"` // actions start at certain hours only
	Start      string `json:"start"`
	Nodes      []Node `json:"nodes"`
}

// Node is one step of a program.
type Node struct {
	ID       string        `json:"id"`
	Kind     StepKind      `json:"kind"`
	Title    string        `json:"title,omitempty"`
	Action   string        `json:"action,omitempty"`    // the action's kind, which is the activity's name
	FirstTry time.Duration `json:"first_try,omitempty"` // see ActionKind.FirstTry
	Delay    Duration      `json:"delay,omitempty"`     // of a delay that is no more than an amount
	Rule     string        `json:"rule,omitempty"`      // any other delay, and what is waited for, in words
	AtMost   *Duration     `json:"at_most,omitempty"`   // how long something is waited for; nil: for ever
	Arms     []string      `json:"arms,omitempty"`      // where each way out of a branch leads; "" is the end
	To       string        `json:"to,omitempty"`        // where a goto leads
	Times    int           `json:"times,omitempty"`     // how often it does, then the flow goes on after it; 0: always
	Rescue   *string       `json:"rescue,omitempty"`    // where the flow goes on when the step fails for good; nil: the enrollment fails
	Next     string        `json:"next,omitempty"`      // the step that follows; "" is the end
	Reason   string        `json:"reason,omitempty"`
	Timed    bool          `json:"timed,omitempty"`   // it says how late it may begin
	Follows  bool          `json:"follows,omitempty"` // of a delay: its end moves with the user
}

// Leads is where a goto leads that is entered for the nth time.
func (n *Node) Leads(visit int) string {
	if n.Times == 0 || visit <= n.Times {
		return n.To
	}
	return n.Next
}

// Node finds a step by its id.
func (p *Program) Node(id string) (*Node, bool) {
	for i := range p.Nodes {
		if p.Nodes[i].ID == id {
			return &p.Nodes[i], true
		}
	}
	return nil, false
}

// Compile turns a validated document into the program of one of its versions.
func (d *Document) Compile(number int, catalog Catalog) Program {
	p := Program{Definition: d.Name, Version: number, Title: d.DisplayTitle(), TimeZone: d.TimeZone, Hours: d.Hours != nil}
	p.Start = p.link(d.Steps, "", catalog)
	return p
}

// outlined is how many steps an outline lists.
const outlined = 60

// Outline lists the steps in Markdown, the first sixty of them, for people who look at an enrollment.
func (p *Program) Outline() string {
	var s strings.Builder
	for i, n := range p.Nodes {
		if i == outlined {
			fmt.Fprintf(&s, "- … and %d more\n", len(p.Nodes)-outlined)
			break
		}
		what := string(n.Kind)
		switch n.Kind {
		case ActionStep:
			what = n.Action
		case DelayStep:
			what = "wait " + cmp.Or(n.Rule, n.Delay.String())
		case WaitStep:
			what = "wait for " + n.Rule
		case GotoStep:
			what = "go to " + n.To
		}
		fmt.Fprintf(&s, "- **%s** %s\n", n.ID, what)
	}
	return s.String()
}

// link adds the nodes of a list of steps that goes on at next, and returns where it begins.
func (p *Program) link(steps []Step, next string, catalog Catalog) string {
	for i, s := range steps {
		after := next
		if i+1 < len(steps) {
			after = steps[i+1].ID
		}
		n := Node{ID: s.ID, Kind: s.Kind(), Title: s.Title, Action: s.Action, Next: after}
		if kind, ok := catalog.Find(s.Action); ok {
			n.FirstTry = kind.FirstTry
		}
		n.describe(&s, p.TimeZone)
		at := len(p.Nodes)
		p.Nodes = append(p.Nodes, n)
		if s.OnError != nil && s.OnError.Continue {
			p.Nodes[at].Rescue = &after
		}
		for _, in := range s.inner() {
			first := p.link(in.steps, after, catalog)
			if in.pointer == onError {
				p.Nodes[at].Rescue = &first
			} else {
				p.Nodes[at].Arms = append(p.Nodes[at].Arms, first)
			}
		}
	}
	if len(steps) == 0 {
		return next
	}
	return steps[0].ID
}

// describe fills in what a node takes from its own step alone.
func (n *Node) describe(s *Step, zone string) {
	switch n.Timed = s.DueWithin != nil; n.Kind {
	case DelayStep:
		if s.Delay.Plain() {
			n.Delay = s.Delay.For
		} else {
			n.Rule, n.Follows = s.Delay.String(), s.Delay.Reads() != "" || zone == filter.OwnZone
		}
	case WaitStep:
		n.Rule, n.AtMost = s.WaitFor.String(), s.WaitFor.AtMost
	case GotoStep:
		n.To, n.Times = s.Goto, s.AtMost
	case ExitStep:
		n.Reason, n.Next = s.Exit.Reason, ""
	}
}

// DisplayTitle is the title, or the name where there is none.
func (d *Document) DisplayTitle() string {
	if d.Title == "" {
		return d.Name
	}
	return d.Title
}

// Zone is where the document reads and shows local times; UTC where each user has their own.
func (d *Document) Zone() *time.Location {
	if zone, err := filter.LoadZone(d.TimeZone); err == nil {
		return zone
	}
	return time.UTC
}

// Step finds a step of the document by its id, in arms too.
func (d *Document) Step(id string) (*Step, bool) {
	var found *Step
	walkSteps(d.Steps, "", func(s *Step, _ string) {
		if s.ID == id && found == nil {
			found = s
		}
	})
	return found, found != nil
}

// Filters lists every filter of the document: of triggers, wheres, conditions to enroll and to leave,
// and arms.
func (d *Document) Filters() []*filter.Tree {
	var trees []*filter.Tree
	for _, t := range []*filter.Tree{d.Enroll.Unless, d.Unenroll.When} {
		if t != nil {
			trees = append(trees, t)
		}
	}
	for _, t := range d.Triggers {
		if t.Filter != nil {
			trees = append(trees, t.Filter)
		}
		if t.Where != nil {
			trees = append(trees, t.Where)
		}
	}
	walkSteps(d.Steps, "", func(s *Step, _ string) {
		for _, arm := range s.Branch {
			if arm.If != nil {
				trees = append(trees, arm.If)
			}
		}
		if s.WaitFor == nil {
			return
		}
		for _, a := range s.WaitFor.Awaits() {
			for _, t := range []*filter.Tree{a.Where, a.Filter} {
				if t != nil {
					trees = append(trees, t)
				}
			}
		}
	})
	return trees
}

// Actions lists the kinds of actions that the document names.
func (d *Document) Actions() []string {
	var kinds []string
	walkSteps(d.Steps, "", func(s *Step, _ string) {
		if s.Action != "" && !slices.Contains(kinds, s.Action) {
			kinds = append(kinds, s.Action)
		}
	})
	return kinds
}
