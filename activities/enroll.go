package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/postgres"
)

// Enroll enrolls the user in another workflow, exactly once.
type Enroll struct{}

// EnrollParams is the "with" of an enroll step.
type EnrollParams struct {
	Workflow string `json:"workflow" doc:"The workflow to enroll in. Its rules for enrolling hold; what they refuse is an output, not an error."`
}

// Kind names the action.
func (EnrollParams) Kind() string { return "enroll" }

// About describes the action.
func (EnrollParams) About() (title, description string) {
	return "Enroll in another workflow", "Enrolls the user in another workflow, and goes on at once."
}

// FirstTry is short: our own database.
func (EnrollParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (EnrollParams) Gives() map[string]string {
	return map[string]string{
		"enrolled":   "Whether the user was enrolled.",
		"enrollment": "The id of the enrollment, where the user was enrolled.",
		"reason":     "Why not, where the user was not.",
	}
}

// Check wants a workflow.
func (p EnrollParams) Check(c *Checking) { checkWorkflow(c, p.Workflow) }

// DoInside enrolls in the transaction that records the visit.
func (*Enroll) DoInside(ctx context.Context, tx *postgres.Inside, c Call[EnrollParams]) (Output, error) {
	id, refused, err := tx.Enroll(ctx, c.Params.Workflow)
	if errors.Is(err, automation.ErrNotFound) || errors.Is(err, automation.ErrNotActive) {
		return Output{}, connect.Permanent(fmt.Errorf("workflow %s: %w", c.Params.Workflow, err))
	}
	if err != nil {
		return Output{}, err
	}
	if refused != "" {
		return Output{What: "not enrolled in " + c.Params.Workflow + ": " + refused, Values: map[string]any{"enrolled": false, "reason": refused}}, nil
	}
	return Output{What: "enrolled in " + c.Params.Workflow, Values: map[string]any{"enrolled": true, "enrollment": id}}, nil
}

// Unenroll takes the user out of another workflow, exactly once.
type Unenroll struct{}

// UnenrollParams is the "with" of an unenroll step.
type UnenrollParams struct {
	Workflow string `json:"workflow" doc:"The workflow that the user leaves."`
	Reason   string `json:"reason,omitempty" doc:"Why; it stands in the enrollment that ends."`
}

// Kind names the action.
func (UnenrollParams) Kind() string { return "unenroll" }

// About describes the action.
func (UnenrollParams) About() (title, description string) {
	return "Unenroll from another workflow", "Takes the user out of another workflow at once, in the middle of a delay too."
}

// FirstTry is short: our own database.
func (UnenrollParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (UnenrollParams) Gives() map[string]string {
	return map[string]string{"unenrolled": "Whether the user was in it."}
}

// Check wants a workflow.
func (p UnenrollParams) Check(c *Checking) { checkWorkflow(c, p.Workflow) }

// DoInside ends the enrollment in the transaction that records the visit.
func (*Unenroll) DoInside(ctx context.Context, tx *postgres.Inside, c Call[UnenrollParams]) (Output, error) {
	if c.Params.Workflow == c.Enrollment.Workflow {
		return Output{}, connect.Permanent(errors.New("a workflow ends its own enrollment by an exit"))
	}
	reason := c.Params.Reason
	if reason == "" {
		reason = "by the workflow " + c.Enrollment.Workflow
	}
	left, err := tx.Unenroll(ctx, c.Params.Workflow, cut(reason))
	if err != nil {
		return Output{}, err
	}
	if !left {
		return Output{What: "was not in " + c.Params.Workflow, Values: map[string]any{"unenrolled": false}}, nil
	}
	return Output{What: "unenrolled from " + c.Params.Workflow, Values: map[string]any{"unenrolled": true}}, nil
}

// checkWorkflow wants the name of a workflow. It may be published later than this one.
func checkWorkflow(c *Checking, name string) {
	c.Require("workflow", name)
	if name != "" && c.Settled(name) && !automation.IsName(name) {
		c.Add("/workflow", "invalid-name", "%q is no name of a workflow", name)
	}
}
