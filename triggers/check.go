package triggers

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"rollcall/automation"
	"rollcall/postgres"
)

// checkAll finds live enrollments whose Temporal workflow is gone or closed: somebody terminated it,
// or Temporal lost its data. They would block their users for ever.
func (s *Starter) checkAll(ctx context.Context) {
	every(ctx, time.Minute, nil, func() {
		if err := s.Check(ctx, checkAfter); err != nil && ctx.Err() == nil {
			s.log.Warn("check of enrollments that stand still", "error", err)
		}
		if err := s.CheckRuns(ctx, checkAfter); err != nil && ctx.Err() == nil {
			s.log.Warn("check of runs that stand still", "error", err)
		}
	})
}

// Check asks Temporal about enrollments that stood still for longer than age, at most a hundred, and
// ends those that it does not carry any more as failed.
func (s *Starter) Check(ctx context.Context, age time.Duration) error {
	orders, err := s.db.ToCheck(ctx, 100, age)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if err := s.check(ctx, o); err != nil {
			return fmt.Errorf("enrollment %s: %w", o.ID, err)
		}
	}
	return nil
}

func (s *Starter) check(ctx context.Context, o postgres.Order) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	found, err := s.temporal.DescribeWorkflowExecution(ctx, automation.TemporalWorkflowID(o.Definition, o.UserID, o.Ordinal), "")
	var reason string
	switch {
	case isGone(err):
		reason = "lost: Temporal does not know it"
	case err != nil:
		return err
	case found.WorkflowExecutionInfo.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		reason = "lost: its Temporal workflow was closed as " + found.WorkflowExecutionInfo.Status.String()
	default:
		return nil
	}
	_, _, err = s.db.EndEnrollment(ctx, postgres.End{ID: o.ID, Status: automation.Failed, Reason: reason})
	s.log.Error("enrollment lost in temporal", "enrollment_id", o.ID, "reason", reason, "error", err)
	return err
}
