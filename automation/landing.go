package automation

// Landing is where an enrollment goes on in another version.
type Landing struct {
	Step  string `json:"step"`            // "": it has come to its end
	Stays bool   `json:"stays,omitempty"` // it is in the step already: nothing begins anew
}

// Place is where an enrollment stands in a version.
type Place struct {
	Step   string // that it is in, or enters next
	Inside bool   // it is in it: it waits, or its action is being tried
	After  string // the step that it has just left, where that one always leads to Step; "" where not
}

// Land finds where an enrollment that stands in this version goes on in another one: behind the step that
// it has just left, where the other one has that, else at the step that its own is mapped to, else at the
// one of the same id, else at the first that follows in this version and that is mapped or in the other.
func (p *Program) Land(to *Program, at Place, mapping map[string]string) Landing {
	if left, ok := to.Node(at.After); ok && !at.Inside && len(left.Arms) == 0 && left.Kind != GotoStep && left.Kind != ExitStep {
		return Landing{Step: left.Next}
	}
	seen := map[string]bool{}
	for step := at.Step; step != "" && !seen[step]; {
		seen[step] = true
		if target, mapped := mapping[step]; mapped {
			return Landing{Step: target}
		}
		old, _ := p.Node(step)
		if same, ok := to.Node(step); ok {
			return Landing{Step: step, Stays: at.Inside && step == at.Step && old != nil && same.Kind == old.Kind && same.Action == old.Action}
		}
		if old == nil {
			break
		}
		step = old.Next
		if old.Kind == GotoStep && old.Times == 0 {
			step = old.To
		}
	}
	return Landing{}
}
