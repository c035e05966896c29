package automation

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollcall/filter"
)

// maxLabel is how many characters of a condition stand in a label.
const maxLabel = 60

// Mermaid draws the flow of a document as a Mermaid flowchart. It returns an *InvalidError where it is
// open which step leads where; everything else that may be wrong with the document does not matter.
func (d *Document) Mermaid() (string, error) {
	if err := d.checkFlow(); err != nil {
		return "", err
	}
	program := d.Compile(0, Catalog{})
	c := chart{document: d, names: map[string]string{"": "done"}}
	for i, n := range program.Nodes {
		c.names[n.ID] = "n" + strconv.Itoa(i+1)
	}
	c.line("flowchart TD")
	c.line(`  start(["%s"])`, c.entrance())
	c.edge("start", "", program.Start)
	for i := range program.Nodes {
		c.node(&program.Nodes[i])
	}
	if c.ends {
		c.line(`  done(["end"])`)
	}
	return c.text.String(), nil
}

// checkFlow judges what decides which step leads where.
func (d *Document) checkFlow() error {
	v := validator{ids: map[string]string{}}
	if len(d.Steps) == 0 {
		v.Add("/steps", "empty-graph", "a workflow has at least one step")
	}
	walkSteps(d.Steps, "/steps", func(s *Step, at string) {
		v.stepID(s, at)
		if s.Kind() == "" {
			v.step(s, at)
		}
	})
	walkSteps(d.Steps, "/steps", func(s *Step, at string) {
		if s.Goto != "" && !v.knows(s.Goto) {
			v.Add(at+"/goto", "unknown-step", "there is no step %q", s.Goto)
		}
	})
	return Invalid("the workflow", v.Problems)
}

// chart is a flowchart that is being written.
type chart struct {
	document *Document
	names    map[string]string // of the nodes, by step
	text     strings.Builder
	ends     bool // something leads to the end
}

func (c *chart) line(format string, args ...any) {
	fmt.Fprintf(&c.text, format+"\n", args...)
}

// edge draws an arrow; the text is escaped already.
func (c *chart) edge(from, label, to string) { c.arrow(from, "-->", label, to) }

func (c *chart) arrow(from, arrow, label, to string) {
	c.ends = c.ends || to == ""
	if label != "" {
		label = `|"` + label + `"|`
	}
	c.line("  %s %s%s %s", from, arrow, label, c.names[to])
}

// entrance is the label of where users come in.
func (c *chart) entrance() string {
	lines := []string{mermaidText(c.document.DisplayTitle())}
	for _, t := range c.document.Triggers {
		text := "on request"
		switch {
		case t.Event != "":
			text = t.Event
		case t.Webhook != "":
			text = "webhook " + t.Webhook
		case t.Filter != nil:
			text = "when " + brief(t.Filter)
		case t.Schedule != nil:
			text = t.Schedule.String()
		}
		if t.Where != nil {
			text += ", if " + brief(t.Where)
		}
		lines = append(lines, mermaidText(text))
	}
	return strings.Join(lines, "<br/>")
}

// node draws a step and the arrows that leave it.
func (c *chart) node(n *Node) {
	step, _ := c.document.Step(n.ID)
	name := c.names[n.ID]
	label := mermaidText(cmp.Or(n.Title, n.ID))
	shape := `["%s"]`
	switch n.Kind {
	case ActionStep:
		label += "<br/>" + mermaidText(n.Action)
	case DelayStep:
		shape, label = `(["%s"])`, label+"<br/>"+mermaidText("wait "+cmp.Or(n.Rule, n.Delay.String()))
	case WaitStep:
		shape, label = `(["%s"])`, label+"<br/>"+mermaidText("wait for "+n.Rule)
	case BranchStep:
		shape = `{"%s"}`
	case BranchOnStep:
		shape, label = `{"%s"}`, label+"<br/>"+mermaidText(step.BranchOn.String())
	case SplitStep:
		shape, label = `{"%s"}`, label+"<br/>by chance"
	case GotoStep:
		shape, label = `[/"%s"/]`, label+"<br/>"+mermaidText("go to "+n.To)
	case ExitStep:
		shape = `(["%s"])`
		if n.Reason != "" {
			label += "<br/>" + mermaidText(n.Reason)
		}
	}
	c.line("  %s"+shape, name, label)
	c.exits(n, step)
}

// exits draws the arrows that leave a step.
func (c *chart) exits(n *Node, step *Step) {
	name := c.names[n.ID]
	switch {
	case n.Kind == ExitStep:
	case len(n.Arms) > 0:
		for i, to := range n.Arms {
			c.edge(name, mermaidText(step.wayOut(i)), to)
		}
	case n.Kind == GotoStep && n.Times > 0:
		c.arrow(name, "-.->", "at most "+Often(n.Times), n.To)
		c.edge(name, "then", n.Next)
	case n.Kind == GotoStep:
		c.arrow(name, "-.->", "always", n.To)
	default:
		c.edge(name, "", n.Next)
	}
	if n.Rescue != nil {
		c.arrow(name, "-.->", "on error", *n.Rescue)
	}
}

// Often is a number of times in words: "once", "3 times".
func Often(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// String says what decides a branch.
func (b *BranchOn) String() string {
	switch {
	case b.Property != "":
		return b.Property
	case b.Step != "" && b.Output != "":
		return b.Step + "." + b.Output
	case b.Step != "":
		return "outcome of " + b.Step
	default:
		return b.Value
	}
}

// WayOut says which way a branch takes, in words, such as "arm 1 of 3: teams any of support".
func (s *Step) WayOut(i int) string {
	switch way := s.wayOut(i); {
	case way == otherwise:
		return "the else"
	case len(s.Branch) > 0:
		return fmt.Sprintf("arm %d of %d: %s", i+1, len(s.Branch), way)
	case len(s.Split) > 0:
		return fmt.Sprintf("part %d of %d: %s", i+1, len(s.Split), way)
	default:
		return "the case " + way
	}
}

const otherwise = "else"

// wayOut is the condition, the values or the share of a way out of a branch.
func (s *Step) wayOut(i int) string {
	switch {
	case i < len(s.Branch) && s.Branch[i].If != nil:
		return brief(s.Branch[i].If)
	case i < len(s.Cases) && !s.Cases[i].Else:
		return shorten(strings.Join(s.Cases[i].Is, ", "))
	case i < len(s.Split):
		total := 0
		for _, p := range s.Split {
			total += p.Weight
		}
		share := 100 * float64(s.Split[i].Weight) / float64(max(total, 1))
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(share, 'f', 2, 64), "0"), ".") + "%"
	}
	return otherwise
}

// brief says in few words what a filter asks.
func brief(t *filter.Tree) string { return shorten(t.String()) }

func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxLabel {
		return text
	}
	return strings.TrimSpace(string([]rune(text)[:maxLabel-1])) + "…"
}

// apart is a space that nobody sees.
const apart = "#8203;"

// mermaidText makes any text a label that stands in quotes. Mermaid reads markup, its own directives and
// entities in labels; whatever could be one of them is written as the number of its character.
func mermaidText(text string) string {
	var s strings.Builder
	runes := []rune(strings.Join(strings.Fields(strings.ReplaceAll(text, "ﬂ", "fl")), " ")) // the ligature stands for an entity in Mermaid
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	wordy := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	numbering := len(runes) > 0 && unicode.IsDigit(runes[0]) // "1. First" would be a list
	for i, r := range runes {
		plain := wordy(r)
		switch {
		case r > unicode.MaxLatin1:
			plain = unicode.IsPrint(r)
		case r == '.' || r == ')':
			plain = !numbering && !strings.HasSuffix(strings.ToLower(string(runes[max(0, i-3):i])), "www")
			numbering = false
		case r == '-' || r == '+' || r == '=':
			plain = i > 0
		case r == '_':
			plain = wordy(at(i-1)) && wordy(at(i+1))
		case strings.ContainsRune(" ,'?(/", r):
			plain = true
		}
		numbering = numbering && unicode.IsDigit(r)
		switch {
		case plain:
			s.WriteRune(r)
		case unicode.IsControl(r) || r == utf8.RuneError:
			s.WriteRune(' ')
		default:
			fmt.Fprintf(&s, "#%d;", r)
			if r == '$' || r == '\\' || r == ':' && strings.HasPrefix(string(runes[i+1:]), "fa-") {
				s.WriteString(apart) // Mermaid looks for formulas, line breaks and icons after it has read the numbers
			}
		}
	}
	return s.String()
}
