package rig

import (
	"fmt"
	"strings"

	"rollcall/automation"
)

// graph is the steps of a version with what follows each.
type graph struct {
	first string
	nodes map[string]*node
}

type node struct {
	*Step
	next   string // "" is the end
	arms   []string
	rescue string
}

func link(steps []Step) *graph {
	g := &graph{nodes: map[string]*node{}}
	g.first = g.link(steps, "")
	return g
}

// link adds steps behind which another one follows, and returns the first of them.
func (g *graph) link(steps []Step, after string) (first string) {
	for i := len(steps) - 1; i >= 0; i-- {
		n := &node{Step: &steps[i], next: after}
		for _, arm := range n.Arms {
			n.arms = append(n.arms, g.link(arm, after))
		}
		if n.Rescue != nil {
			n.rescue = g.link(n.Rescue, after)
		}
		g.nodes[n.ID] = n
		after = n.ID
	}
	return after
}

// call is one visit that an enrollment has to make.
type call struct {
	*Step
	visit int
	tells string // what is appended to the path that it calls
}

// kept says that the timeline's entry is committed with what the step decides or does in PostgreSQL, so
// that no crash takes it away.
func (c call) kept() bool {
	switch c.Kind {
	case increment, enroll, branch, split, waitFor:
		return true
	}
	return false
}

// facts is what the oracle is told about an enrollment, because it depends on time or chance.
type facts struct {
	user    string
	number  int                                 // in the event that enrolled
	counted int                                 // the program's counter before
	outcome func(step string, visit int) string // of a wait; "" while it is not over
	arm     func(step string, visit int) int    // of a split; -1 while none is taken
}

// walk is the oracle: the visits that an enrollment has to make, in order. It ends early where a fact is
// not there yet, and says whether it came to the end.
func (g *graph) walk(f facts) (path []call, whole bool) {
	w := walker{g, f, map[string]int{}}
	for at := g.first; at != ""; {
		n := g.nodes[at]
		w.visits[at]++
		switch n.Kind {
		case jump:
			if at = n.next; w.visits[n.ID] <= n.AtMost {
				at = n.To
			}
			continue
		case exit:
			return path, true
		}
		path = append(path, call{n.Step, w.visits[at], w.told(n)})
		if at, whole = w.leave(n); !whole {
			return path, false
		}
	}
	return path, true
}

// walker is where the oracle stands.
type walker struct {
	*graph
	facts
	visits map[string]int
}

// leave is the step that follows another one; not known where that depends on a fact that is not there.
func (w *walker) leave(n *node) (next string, known bool) {
	switch {
	case n.Adds != "":
		w.counted++
	case n.Fails:
		return n.rescue, true
	case n.Kind == waitFor:
		return n.next, w.heard(n.ID) != ""
	case n.Arms != nil:
		arm := w.takes(n)
		if arm < 0 {
			return "", false
		}
		return n.arms[arm], true
	}
	return n.next, true
}

// heard is the outcome of a wait, as of its last visit.
func (w *walker) heard(step string) string { return w.outcome(step, w.visits[step]) }

// takes is the arm that is taken of a branch or split; -1 where it is not known yet.
func (w *walker) takes(n *node) int {
	if n.Kind == split {
		return w.arm(n.ID, w.visits[n.ID])
	}
	if w.holds(n.If) {
		return 0
	}
	return 1
}

// holds answers the question of a branch.
func (w *walker) holds(q Question) bool {
	switch {
	case q.Event:
		return w.number >= q.Least
	case q.Counter != "":
		return w.counted >= q.Least
	default:
		return w.heard(q.Wait) == automation.OutcomeHappened
	}
}

// told is what is appended to the path that a step calls.
func (w *walker) told(n *node) string {
	step, _, _ := strings.Cut(n.Tells, ".")
	switch {
	case n.Fails:
		return "/" + RefusedPath
	case step == "":
		return ""
	case w.nodes[step].Kind == waitFor:
		return "/" + w.heard(step)
	default:
		return fmt.Sprintf("/%d-%s", w.number, w.user)
	}
}
