package automation

import (
	"fmt"
	"time"
)

// EnrollmentStatus is where an enrollment stands.
type EnrollmentStatus string

// The statuses. Held, Pending and Active are live: a user has at most one live enrollment in a
// definition.
const (
	Held       EnrollmentStatus = "held"       // waits for an operator's approval
	Pending    EnrollmentStatus = "pending"    // accepted, no step begun
	Active     EnrollmentStatus = "active"     // some step begun
	Completed  EnrollmentStatus = "completed"  // ran to its end
	Unenrolled EnrollmentStatus = "unenrolled" // taken out before its end
	Failed     EnrollmentStatus = "failed"     // a step failed for good
)

// Live reports whether the enrollment has not ended.
func (s EnrollmentStatus) Live() bool { return s == Held || s == Pending || s == Active }

// Enrollment is one passage of one user through one version of a definition.
type Enrollment struct {
	ID                 string           `json:"id"`
	Workflow           string           `json:"workflow"` // the definition's name
	Version            int              `json:"version"`
	UserID             string           `json:"user_id"`
	Status             EnrollmentStatus `json:"status"`
	Step               string           `json:"step,omitempty"`          // the step it stands at
	WaitingUntil       *time.Time       `json:"waiting_until,omitempty"` // when its delay ends
	Reason             string           `json:"reason,omitempty"`        // why it ended
	Trigger            string           `json:"trigger"`                 // what enrolled: "event", "webhook", "filter", "schedule", "manual"
	Event              *Event           `json:"event,omitempty"`         // the event that enrolled, if one did
	CreatedAt          time.Time        `json:"created_at"`
	StartedAt          *time.Time       `json:"started_at,omitempty"` // when its first step began
	EndedAt            *time.Time       `json:"ended_at,omitempty"`
	HeldUntil          *time.Time       `json:"held_until,omitempty"` // when one that was held was approved or rejected
	TemporalWorkflowID string           `json:"temporal_workflow_id"`
	Ordinal            int              `json:"ordinal"` // counts this user's enrollments in the definition from 1
}

// TemporalWorkflowID spells the id of the enrollment's Temporal workflow: readable, unique for ever.
func TemporalWorkflowID(definition, userID string, ordinal int) string {
	return fmt.Sprintf("%s/%s/%d", definition, userID, ordinal)
}

// StepStatus is how far one visit of a step came.
type StepStatus string

// The statuses of a visit.
const (
	StepRunning StepStatus = "running"
	StepWaiting StepStatus = "waiting"
	StepHeld    StepStatus = "held" // kept back while the workflow is paused, or outside of its hours
	StepDone    StepStatus = "done"
	StepFailed  StepStatus = "failed"
	StepSkipped StepStatus = "skipped" // by an operator, or because it came too late
	StepStopped StepStatus = "stopped" // the enrollment ended while the step ran or waited
)

// Visit is one entry of an enrollment's timeline: one step, entered once.
type Visit struct {
	Step       string         `json:"step"`
	Visit      int            `json:"visit"` // counts how often the enrollment entered the step, from 1
	Kind       string         `json:"kind"`  // the action's kind, or the kind of step
	Status     StepStatus     `json:"status"`
	What       string         `json:"what,omitempty"` // what was done, in words
	Attempts   int            `json:"attempts"`       // how often it was tried
	Until      *time.Time     `json:"until,omitempty"`
	Shown      string         `json:"shown,omitempty"`  // that instant by the clocks of the workflow's zone, or of the user's
	Output     map[string]any `json:"output,omitempty"` // what later steps can use
	Error      string         `json:"error,omitempty"`
	StartedAt  time.Time      `json:"started_at"`
	FinishedAt *time.Time     `json:"finished_at,omitempty"`
}
