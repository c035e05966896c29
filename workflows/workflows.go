// Package workflows is the durable part of Rollcall: the Temporal workflow that carries one user
// through one version. It is replayed, so it is pure: what it needs done it names here, and the
// activities package does it.
//
// Floor 1. An identifier with Workflow in it is Temporal's thing; Rollcall's own is a definition.
package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"

	"rollcall/automation"
)

// TaskQueue is where all of Rollcall's work is queued.
const TaskQueue = "rollcall"

// The names under which the workflow reaches the activities that are not actions. An action's
// activity has the name of its kind.
const (
	BeginDelayActivity       = "begin_delay"
	TakeBranchActivity       = "take_branch"
	FinishEnrollmentActivity = "finish_enrollment"
)

// What is sent to a running enrollment.
const (
	UnenrollUpdate = "unenroll" // ends a wait at once; the argument is the reason
	ResumeSignal   = "resume"   // its definition is not paused any more
)

// The search attributes of an enrollment in Temporal.
var (
	WorkflowAttribute = temporal.NewSearchAttributeKeyKeyword("RollcallWorkflow")
	VersionAttribute  = temporal.NewSearchAttributeKeyInt64("RollcallVersion")
	UserAttribute     = temporal.NewSearchAttributeKeyKeyword("RollcallUser")
	StepAttribute     = temporal.NewSearchAttributeKeyKeyword("RollcallStep")
)

// FailedForGood is the type of the application error of an action that must not be tried again.
const FailedForGood = "action_failed"

// EnrollmentInput is what an enrollment starts with, and what it carries over when it continues
// as new.
type EnrollmentInput struct {
	EnrollmentID string             `json:"enrollment_id"`
	UserID       string             `json:"user_id"`
	Program      automation.Program `json:"program"`
	At           *Position          `json:"at,omitempty"` // nil: at the beginning
}

// Position is where an enrollment stands.
type Position struct {
	Step   string         `json:"step"`   // the step to enter next
	Visits map[string]int `json:"visits"` // how often each step was entered
}

// EnrollmentResult is how an enrollment ended.
type EnrollmentResult struct {
	Status automation.EnrollmentStatus `json:"status"`
	Reason string                      `json:"reason,omitempty"`
}

// Outcome is what became of a step that asked to begin.
type Outcome string

// The outcomes.
const (
	Done  Outcome = "done"
	Ended Outcome = "ended" // the enrollment is not live any more: nothing was done
	Kept  Outcome = "kept"  // the definition is paused: nothing was done
)

// StepInput names the visit of a step that an activity is to carry out.
type StepInput struct {
	EnrollmentID string `json:"enrollment_id"`
	Step         string `json:"step"`
	Visit        int    `json:"visit"`
	Last         bool   `json:"last,omitempty"` // the enrollment completes with this step
}

// ActionResult is what an action's activity returns.
type ActionResult struct {
	Outcome   Outcome `json:"outcome"`
	Completed bool    `json:"completed,omitempty"` // the enrollment was completed with the step
}

// DelayInput asks to record a delay.
type DelayInput struct {
	StepInput
	Until time.Time `json:"until"`
}

// DelayResult is the instant recorded for a delay.
type DelayResult struct {
	Outcome Outcome   `json:"outcome"`
	Until   time.Time `json:"until"`
	Shown   string    `json:"shown"` // the instant in the definition's zone, for people
}

// BranchResult is the arm that an enrollment takes.
type BranchResult struct {
	Outcome Outcome `json:"outcome"`
	Arm     int     `json:"arm"`
}

// FinishInput asks to record the end of an enrollment.
type FinishInput struct {
	EnrollmentID string                      `json:"enrollment_id"`
	Status       automation.EnrollmentStatus `json:"status,omitempty"` // none: only read how it ended
	Reason       string                      `json:"reason,omitempty"`
	Step         string                      `json:"step,omitempty"` // where it stood
}
