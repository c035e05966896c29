package filter

import "cmp"

// Answer is what one condition answered, and why.
type Answer struct {
	Pointer  string `json:"pointer"`            // where the condition stands in the filter
	Property string `json:"property,omitempty"` // the property of the user or of the event that it asks about
	Event    string `json:"event,omitempty"`    // the event that it counts
	Workflow string `json:"workflow,omitempty"` // the workflow that it asks about
	Step     string `json:"step,omitempty"`     // the step that it asks about; then Property is the output
	Op       Op     `json:"op"`
	Result   bool   `json:"result"`
	Seen     any    `json:"seen"` // the value it saw, or how many events; null when there was none
}

// Match answers the filter. It stops as soon as the answer is certain.
func (f *Filter) Match(s Subject) bool {
	s.Now = s.Now.Truncate(Resolution)
	return f.root.match(&s)
}

func (n *node) match(s *Subject) bool {
	switch {
	case n.tree.Condition != nil:
		result, _ := n.leaf.answer(s)
		return result
	case n.tree.Not != nil:
		return !n.children[0].match(s)
	case len(n.tree.Any) > 0:
		for i := range n.children {
			if n.children[i].match(s) {
				return true
			}
		}
		return false
	default:
		for i := range n.children {
			if !n.children[i].match(s) {
				return false
			}
		}
		return true
	}
}

// Trace answers the filter like Match and tells what each of its conditions answered, all of them.
func (f *Filter) Trace(s Subject) (bool, []Answer) {
	s.Now = s.Now.Truncate(Resolution)
	var answers []Answer
	result := f.root.trace(&s, &answers)
	return result, answers
}

func (n *node) trace(s *Subject, answers *[]Answer) bool {
	if n.tree.Condition != nil {
		l := &n.leaf
		result, seen := l.answer(s)
		*answers = append(*answers, Answer{l.Pointer, cmp.Or(l.Property, l.EventProperty, l.Output), l.Event, l.Workflow, l.Step, l.Op, result, seen})
		return result
	}
	held := 0
	for i := range n.children {
		if n.children[i].trace(s, answers) {
			held++
		}
	}
	switch {
	case n.tree.Not != nil:
		return held == 0
	case len(n.tree.Any) > 0:
		return held > 0
	default:
		return held == len(n.children)
	}
}

// Walk hands the tree to an encoder of another language, bottom up: leaf for each condition, all, any
// and not for what is above them.
func Walk[T any](f *Filter, leaf func(*Leaf) T, all, any func([]T) T, not func(T) T) T {
	var walk func(n *node) T
	walk = func(n *node) T {
		if n.tree.Condition != nil {
			return leaf(&n.leaf)
		}
		parts := make([]T, len(n.children))
		for i := range n.children {
			parts[i] = walk(&n.children[i])
		}
		switch {
		case n.tree.Not != nil:
			return not(parts[0])
		case len(n.tree.Any) > 0:
			return any(parts)
		default:
			return all(parts)
		}
	}
	return walk(&f.root)
}
