package automation

import (
	"encoding/json"
	"math"
)

// What another system says that was called by a step.
const (
	CallSucceeded = "success"
	CallFailedOn  = "fail_continue" // it failed, and the flow goes on
	CallFailed    = "fail"          // the step fails
	CallPending   = "pending"       // the answer is given later
)

// MaxCallOutputs is how many bytes the outputs of an answer have at most, as JSON.
const MaxCallOutputs = 4 << 10

// CallAnswer is the answer of a system that a step called.
type CallAnswer struct {
	Status  string         `json:"status" enum:"success,fail_continue,fail" doc:"success and fail_continue let the flow go on, with the outcome done or failed; with fail the step fails."`
	Outputs map[string]any `json:"outputs,omitempty" doc:"What later steps see of the step. At most 4 KiB."`
	Error   string         `json:"error,omitempty" maxLength:"4000" doc:"Why it failed."`
}

// OutputSize is how many bytes the outputs have as JSON, at most MaxCallOutputs of which are kept.
func (a *CallAnswer) OutputSize() int {
	text, err := json.Marshal(a.Outputs)
	if err != nil {
		return math.MaxInt // no JSON, so it never came as such
	}
	return len(text)
}
