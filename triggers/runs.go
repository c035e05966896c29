package triggers

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"rollcall/postgres"
	"rollcall/workflows"
)

// tellRuns hands runs to Temporal, and the word to go on to those that wait for it.
func (s *Starter) tellRuns(ctx context.Context) {
	runs, err := s.db.RunsToTell(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("read of runs", "error", err)
	}
	for _, r := range runs {
		if err := s.tellRun(ctx, r); err != nil && ctx.Err() == nil {
			s.log.Warn("run, will be told again", "run", r.ID, "error", err)
		}
	}
}

func (s *Starter) tellRun(ctx context.Context, r postgres.RunOrder) error {
	calling, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var err error
	if r.Start {
		options := client.StartWorkflowOptions{
			ID:                                       r.TemporalWorkflowID,
			TaskQueue:                                workflows.TaskQueue,
			WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
			TypedSearchAttributes:                    ofWorkflow(r.Definition),
		}
		if r.Kind == "schedule" {
			options.StaticSummary = "Scheduled enrollment of " + r.Title
			_, err = s.temporal.ExecuteWorkflow(calling, options, workflows.ScheduledEnrollment, workflows.ScheduledInput{RunIDs: []string{r.ID}})
		} else {
			options.StaticSummary = "Backfill of " + r.Title
			_, err = s.temporal.ExecuteWorkflow(calling, options, workflows.Backfill, workflows.RunInput{RunID: r.ID})
		}
		if _, started := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); started {
			err = nil
		}
	} else if err = s.temporal.SignalWorkflow(calling, r.TemporalWorkflowID, "", workflows.ResumeSignal, nil); isGone(err) {
		return s.db.RunLost(ctx, r)
	}
	if err != nil {
		return err
	}
	return s.db.RunTold(ctx, r)
}

// ofWorkflow are the search attributes of what belongs to a workflow and to no single enrollment.
func ofWorkflow(definition string) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(workflows.WorkflowAttribute.ValueSet(definition))
}

// CheckRuns gives runs that stood still for longer than an age, and that Temporal does not carry any
// more, to it once more.
func (s *Starter) CheckRuns(ctx context.Context, age time.Duration) error {
	runs, err := s.db.StillRuns(ctx, age)
	if err != nil {
		return err
	}
	for _, r := range runs {
		calling, cancel := context.WithTimeout(ctx, startLimit)
		found, err := s.temporal.DescribeWorkflowExecution(calling, r.TemporalWorkflowID, "")
		cancel()
		if err != nil && !isGone(err) {
			return err
		}
		if err == nil && found.WorkflowExecutionInfo.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			continue
		}
		s.log.Error("run lost in temporal, it goes on in a new workflow", "run", r.ID)
		if err := s.db.RunLost(ctx, r); err != nil {
			return err
		}
	}
	return nil
}
