package activities

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Format computes texts for later steps.
type Format struct{}

// FormatParams is the "with" of a format step.
type FormatParams struct {
	Outputs map[string]string `json:"outputs" doc:"What later steps read as steps.<id>.<name>: name → template."`
}

// Kind names the action.
func (FormatParams) Kind() string { return "format" }

// About describes the action.
func (FormatParams) About() (title, description string) {
	return "Format texts", "Computes texts from templates, for later steps to use."
}

// FirstTry is short: nothing leaves.
func (FormatParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (FormatParams) Gives() map[string]string {
	return map[string]string{"<name>": "Each of the texts, by its name."}
}

// outputName is what templates can speak of.
var outputName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// maxOutputs is how many texts one step computes.
const maxOutputs = 50

// Check wants outputs with names that templates can speak of.
func (p FormatParams) Check(c *Checking) {
	if len(p.Outputs) == 0 || len(p.Outputs) > maxOutputs {
		c.Add("/outputs", "required", "1 to %d outputs are required", maxOutputs)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Outputs)) {
		if !outputName.MatchString(name) || name == "outcome" || name == "error" {
			c.Add("/outputs/"+name, "invalid-name", "an output is 1 to 64 characters of a-z, 0-9 and _, begins with a letter, and is not outcome or error")
		}
	}
}

// Foresee says what later steps will read.
func (p FormatParams) Foresee() map[string]any { return p.values() }

func (p FormatParams) values() map[string]any {
	values := make(map[string]any, len(p.Outputs))
	for name, text := range p.Outputs {
		values[name] = cut(text)
	}
	return values
}

// Do returns the texts.
func (*Format) Do(_ context.Context, c Call[FormatParams]) (Output, error) {
	values := c.Params.values()
	return Output{What: "formatted " + strings.Join(slices.Sorted(maps.Keys(values)), ", "), Values: values}, nil
}
