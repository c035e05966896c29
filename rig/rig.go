// Package rig is the judge of the crash test: what a run of Rollcall under faults leaves behind, and
// the invariants that it is held against. It knows the workflows of the test, plans the faults from a
// seed, and judges evidence; it starts nothing and reads no database. The tests of this package do.
//
// It stands beside the floors: nothing imports it, and of Rollcall it knows the domain alone.
package rig

import (
	"time"

	"rollcall/automation"
)

// Evidence is what a run left behind, once all is quiet.
type Evidence struct {
	Programs    []*Program
	Acks        []Ack                     // what clients were told, in the order in which they were
	Hooks       []Hook                    // what reached the receiver, in order
	Events      []Event                   // the records of PostgreSQL, in the order of their moments
	Changes     []Change                  //
	Versions    []Version                 //
	Runs        []Run                     // firings of schedules
	Decisions   []Decision                // in the order in which they were made
	Enrollments []Enrollment              // by user, definition and ordinal
	Visits      []Visit                   // of each enrollment in the order in which they began
	Counters    map[string]map[string]int // numbers on the record, by user and property
	Items       int                       // work that nobody did
	Commands    int                       //
	Running     map[string]bool           // Temporal's answer about each enrollment that it knows, by workflow id
	Open        []string                  // workflow ids that Temporal lists as running
	Crashes     []Span                    // when PostgreSQL ended other than in order, or might have
	Ends        []OrderlyEnd              // of processes that were asked to end
	Due         []time.Time               // when the schedule was to fire
	Crew        int                       // how many users it concerns
	At          time.Time                 // when all this was collected
	Spaced      map[string]bool           // users who order only when the order before has come to its end
}

// What a client did.
const (
	SentEvent  = "event"
	Changed    = "change"
	Unenrolled = "unenroll"
	Paused     = "pause"
	Resumed    = "resume"
	Published  = "publish"
	Requested  = "request" // with a key
)

// Ack is one thing that a client did until it had an answer that stands: a 2xx or a 4xx.
type Ack struct {
	Kind     string
	User     string    // of events and changes
	Name     string    // of the event, property or definition
	Subject  string    // id of the event or enrollment, or the key of the request
	Value    any       // that the property was given; of an event its number; of a request the id that was answered
	Began    time.Time // first attempt
	At       time.Time // the answer
	Attempts int       // before the answer came; all but the last one may have taken effect, or still may
	Status   int       // of HTTP

	Repeated  bool     // an event whose id was acknowledged before, or a request whose key was
	Duplicate bool     // the answer said so
	Open      bool     // nobody knows yet whether it is carried out
	InFlight  []string // of an unenrollment: the steps that ran; nil where the answer was lost
	Shown     string   // of an unenrollment: the status that a read right afterwards showed
}

// Span is a time from one moment to another.
type Span struct{ From, Until time.Time }

// OrderlyEnd is how a process ended that was asked to.
type OrderlyEnd struct {
	Process string
	Took    time.Duration
}

// Hook is one request that reached the receiver.
type Hook struct {
	ID   string // webhook-id
	Path string
	At   time.Time
}

// Event is a row of events.
type Event struct {
	Moment         int64
	ID, User, Name string
	At             time.Time // received
	Number         int       // that it brought
}

// Change is a row of changes.
type Change struct {
	Moment         int64
	User, Property string
	Old, New       any
	At             time.Time
	Source         string
}

// Version is a row of versions.
type Version struct {
	Definition string
	Number     int
	From       time.Time
	Until      time.Time // zero: it is live
}

// Decision is a row of decisions.
type Decision struct {
	Definition, User string
	Version          int
	At               time.Time
	Outcome, Reason  string
	Enrollment       string // "" where it was refused
	Trigger          int    // -1 for a request
}

// Run is a row of runs: a firing.
type Run struct {
	ID, Definition    string
	Trigger           int
	Nominal, Status   string
	Due               time.Time
	Matched, Enrolled int
}

// Enrollment is a row of the ledger.
type Enrollment struct {
	ID, Definition, User string
	Version, Ordinal     int
	Status               string
	Event                string // id of the event that enrolled, if one did
	Created              time.Time
	Started, Ended       time.Time // zero: not
	Handed               bool      // Temporal took it, as far as that was recorded
	Run                  string    // that enrolled, if one did
}

// WorkflowID is the enrollment's in Temporal.
func (e *Enrollment) WorkflowID() string {
	return automation.TemporalWorkflowID(e.Definition, e.User, e.Ordinal)
}

// Live says that it has not ended.
func (e *Enrollment) Live() bool { return e.Ended.IsZero() }

// Visit is a row of visits.
type Visit struct {
	Enrollment, Step  string
	Visit             int
	Kind, Status      string
	Moment            int64 // of a wait: what happens from there on counts
	Started, Finished time.Time
	Until             time.Time
	Outcome           string // of a wait
	EventID           string // that ended it
	Arm               int    // that was taken of a branch or split; -1: none
}
