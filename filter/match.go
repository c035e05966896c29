package filter

// Subject is what a filter is asked about. Values are those of decoded JSON.
type Subject struct {
	User  map[string]any // the properties of the user
	Event map[string]any // the properties of the event, where there is one
}

// Leaf is what one condition answered, and why.
type Leaf struct {
	Pointer  string `json:"pointer"`  // where the condition stands in the filter
	Property string `json:"property"` // the property it asks about
	Op       Op     `json:"op"`
	Result   bool   `json:"result"`
	Seen     any    `json:"seen"` // the value it saw; null when there was none
}

// Match answers the filter. It stops as soon as the answer is certain.
func (f *Filter) Match(s Subject) bool { return f.root.match(s) }

func (n *node) match(s Subject) bool {
	switch {
	case n.tree.Condition != nil:
		result, _ := n.leaf.match(s)
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
func (f *Filter) Trace(s Subject) (bool, []Leaf) {
	var leaves []Leaf
	result := f.root.trace(s, &leaves)
	return result, leaves
}

func (n *node) trace(s Subject, leaves *[]Leaf) bool {
	if n.tree.Condition != nil {
		result, seen := n.leaf.match(s)
		c := n.leaf.Condition
		*leaves = append(*leaves, Leaf{n.pointer, c.Property + c.EventProperty, c.Op, result, seen})
		return result
	}
	held := 0
	for i := range n.children {
		if n.children[i].trace(s, leaves) {
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
