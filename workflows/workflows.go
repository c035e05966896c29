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
	BeginWaitActivity        = "begin_wait"
	EndWaitActivity          = "end_wait"
	TakeBranchActivity       = "take_branch"
	EndCallActivity          = "end_call"
	AttendActivity           = "attend"
	NoteFailureActivity      = "note_failure"
	FinishEnrollmentActivity = "finish_enrollment"
)

// What is sent to a running enrollment.
const (
	UnenrollUpdate = "unenroll" // ends a wait at once; the argument is the reason
	ResumeSignal   = "resume"   // its definition is not paused any more
	WakeSignal     = "wake"     // something is different for it: the database knows what
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

	Left   string `json:"left,omitempty"`   // the step that was left last, where it always leads to the same one
	Inside bool   `json:"inside,omitempty"` // it is in the step already: that is entered again as the same visit

	Attended int64 `json:"attended,omitempty"` // the last intervention that was followed
	Nudged   bool  `json:"nudged,omitempty"`   // there may be another one
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
	Done    Outcome = "done"
	Ended   Outcome = "ended"   // the enrollment is not live any more: nothing was done
	Kept    Outcome = "kept"    // the definition is paused: nothing was done
	Shut    Outcome = "shut"    // outside of the hours of the definition: nothing was done
	Pending Outcome = "pending" // it has begun, and its answer is given later
	Leave   Outcome = "leave"   // the rule of the step ends the enrollment here
)

// StepInput names the visit of a step that an activity is to carry out.
type StepInput struct {
	EnrollmentID string `json:"enrollment_id"`
	Step         string `json:"step"`
	Visit        int    `json:"visit"`
	Last         bool   `json:"last,omitempty"` // the enrollment completes with this step

	At    time.Time `json:"at,omitzero"`     // now, by the clock of the workflow
	Hours bool      `json:"hours,omitempty"` // actions start at certain hours only
	Timed bool      `json:"timed,omitempty"` // the step says how late it may begin

	Attended int64 `json:"attended,omitempty"` // the last intervention that was followed

	Kind automation.StepKind `json:"kind,omitempty"` // of a branch
}

// ActionResult is what an action's activity returns.
type ActionResult struct {
	Outcome   Outcome `json:"outcome"`
	Completed bool    `json:"completed,omitempty"` // the enrollment was completed with the step

	Until time.Time `json:"until,omitzero"` // when the hours of the definition let it begin, or the answer is too late
	Shown string    `json:"shown,omitempty"`
}

// DelayInput asks to record a delay.
type DelayInput struct {
	StepInput
	Until time.Time `json:"until,omitzero"` // of a delay that is no more than an amount, if it begins now
}

// DelayResult is the instant recorded for a delay.
type DelayResult struct {
	Outcome Outcome   `json:"outcome"`
	Until   time.Time `json:"until,omitzero"` // zero: until it is known
	Shown   string    `json:"shown"`          // the instant in the definition's zone, for people
	Reason  string    `json:"reason,omitempty"`
}

// WaitInput asks to record that something is waited for, or what came of that.
type WaitInput struct {
	StepInput
	AtMost  *automation.Duration `json:"at_most,omitempty"`
	TimedUp bool                 `json:"timed_up,omitempty"` // the time is up
}

// WaitResult is how a wait stands.
type WaitResult struct {
	Outcome Outcome   `json:"outcome"`
	Over    bool      `json:"over,omitempty"` // it happened, or the time is up
	Until   time.Time `json:"until,omitzero"` // zero: for ever
	Shown   string    `json:"shown,omitempty"`
	Came    string    `json:"came,omitempty"` // "happened" or "timed_out", for who reads the history
}

// AttendInput asks what is wanted of an enrollment besides its program.
type AttendInput struct {
	EnrollmentID string    `json:"enrollment_id"`
	Followed     int64     `json:"followed"` // the last intervention that was followed
	Step         string    `json:"step"`     // that it is in, or enters next
	Visit        int       `json:"visit,omitempty"`
	Inside       bool      `json:"inside,omitempty"`
	After        string    `json:"after,omitempty"` // see automation.Place
	At           time.Time `json:"at,omitzero"`
}

// Wanted is the next thing that is wanted of an enrollment.
type Wanted struct {
	Outcome Outcome             `json:"outcome"`
	ID      int64               `json:"id,omitempty"` // of the intervention; 0: nothing is wanted
	Kind    string              `json:"kind,omitempty"`
	Landing automation.Landing  `json:"landing,omitzero"`  // of a jump and of a migration
	Program *automation.Program `json:"program,omitempty"` // of a migration: the version it goes on in
}

// The kinds of interventions.
const (
	SkipWanted    = "skip"    // the step it is in is over
	RetryWanted   = "retry"   // the action is tried again now
	JumpWanted    = "jump"    // it goes on elsewhere
	MigrateWanted = "migrate" // it goes on in another version
)

// FailureInput asks to record that a step failed for good and the enrollment goes on.
type FailureInput struct {
	StepInput
	Error string `json:"error"`
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
	Step         string                      `json:"step,omitempty"`     // where it stood
	At           time.Time                   `json:"at,omitzero"`        // now, by the clock of the workflow
	Attended     int64                       `json:"attended,omitempty"` // the last intervention that was followed
	Visits       map[string]int              `json:"visits,omitempty"`   // of one that failed: how often it entered each step
}
