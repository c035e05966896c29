package automation

import (
	"fmt"

	"rollcall/strictjson"
)

// ParseDocument reads a document from its JSON text. It checks shape only: unknown and ill-typed
// members are problems, meaning is judged by Validate. The error is an *InvalidError, or a
// *strictjson.SyntaxError where the text is not JSON at all.
func ParseDocument(text []byte) (*Document, error) {
	v, err := strictjson.Parse(text)
	if err != nil {
		return nil, err
	}
	var d Document
	var problems Problems
	strictjson.Decode(v, "", &d, &problems)
	d.nameSteps()
	return &d, Invalid("the workflow", problems)
}

// nameSteps gives every step without an id one that is made of its kind and its position among
// the steps of that kind, so that it stays the same when steps of other kinds come and go. A step
// whose kind makes no id is named as a step.
func (d *Document) nameSteps() {
	taken := map[string]bool{}
	walkSteps(d.Steps, "/steps", func(s *Step, _ string) { taken[s.ID] = true })
	counts := map[string]int{}
	walkSteps(d.Steps, "/steps", func(s *Step, _ string) {
		if s.ID != "" {
			return
		}
		kind := string(s.Kind())
		if s.Action != "" {
			kind = s.Action
		}
		if !stepSlug.MatchString(kind + "_500") {
			kind = "step"
		}
		for s.ID == "" || taken[s.ID] {
			counts[kind]++
			s.ID = fmt.Sprintf("%s_%d", kind, counts[kind])
		}
		taken[s.ID] = true
	})
}

// walkSteps visits every step in document order, before the steps inside it.
func walkSteps(steps []Step, pointer string, visit func(s *Step, pointer string)) {
	for i := range steps {
		at := strictjson.Index(pointer, i)
		visit(&steps[i], at)
		for _, in := range steps[i].inner() {
			walkSteps(in.steps, at+in.pointer, visit)
		}
	}
}
