package automation

import (
	"encoding/json"
	"time"
)

// Limits of a simulation.
const (
	MaxSimulatedFacts = 1000 // events and changes together
	MaxSimulatedSteps = 10_000
	MaxSimulatedYears = 10
)

// Simulation is what a workflow is tried out with: a user who is enrolled at the start, and what happens
// to them then.
type Simulation struct {
	Document *Document         `json:"-"`
	User     SimulatedUser     `json:"user" doc:"Who is enrolled. Nobody of this id need exist."`
	Start    time.Time         `json:"start,omitzero" doc:"When they are enrolled; now if left out."`
	Until    time.Time         `json:"until,omitzero" doc:"When to stop looking; ten years after the start if left out."`
	Events   []SimulatedEvent  `json:"events,omitempty" doc:"What happens to them. One at the start enrolls, where a trigger listens to it; earlier ones are their past."`
	Changes  []SimulatedChange `json:"changes,omitempty" doc:"How they change after the start; events and changes together are at most 1,000."`
}

// SimulatedUser is a user as of the start of a simulation.
type SimulatedUser struct {
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitempty" doc:"Values by property."`
}

// SimulatedEvent is an event in a simulation.
type SimulatedEvent struct {
	At         time.Time      `json:"at"`
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties,omitempty"`
}

// SimulatedChange is a change of a user in a simulation; null clears a property.
type SimulatedChange struct {
	At         time.Time      `json:"at"`
	Properties map[string]any `json:"properties"`
}

// The statuses of a simulation that are none of an enrollment.
const (
	SimulatedWaiting     EnrollmentStatus = "waiting"      // for ever, as nothing more happens
	SimulatedNotEnrolled EnrollmentStatus = "not_enrolled" // a condition keeps the user out
)

// Simulated is what a simulation came to.
type Simulated struct {
	Status   EnrollmentStatus `json:"status" enum:"completed,unenrolled,failed,waiting,active,not_enrolled" doc:"How the enrollment ended; waiting: it waits for ever; active: it goes on after \"until\"; not_enrolled: a condition keeps the user out."`
	Reason   string           `json:"reason,omitempty" doc:"Why."`
	Step     string           `json:"step,omitempty" doc:"Where it stands, while it has not ended."`
	EndedAt  time.Time        `json:"ended_at" doc:"When it ended, or the last thing happened."`
	Timeline []SimulatedStep  `json:"timeline" doc:"What it did, oldest first."`
}

// SimulatedStep is an entry of a simulation's timeline.
type SimulatedStep struct {
	At         time.Time       `json:"at"`
	Local      string          `json:"local" doc:"The same instant in the zone of the workflow or of the user, for people."`
	Step       string          `json:"step"`
	Visit      int             `json:"visit,omitempty" doc:"Counts how often the step was entered, from 1."`
	Kind       string          `json:"kind" doc:"The kind of action or of step; \"hours\" where an action is held until it may start."`
	What       string          `json:"what" doc:"What it did, in words; of an action the effect as rendered."`
	Until      time.Time       `json:"until,omitzero" doc:"Of a wait: when it ends at the latest."`
	Shown      string          `json:"shown,omitempty" doc:"The same instant, for people."`
	FinishedAt time.Time       `json:"finished_at,omitzero" doc:"When something that was waited for happened, or the wait was over."`
	With       json.RawMessage `json:"with,omitempty" doc:"What an action does it with, as rendered."`
	Output     map[string]any  `json:"output,omitempty" doc:"What later steps can use."`
	Error      string          `json:"error,omitempty" doc:"Why the step failed."`
}
