package workflows_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"rollcall/workflows"
)

func histories(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, folder := range []string{"histories", "scheduled"} {
		found, err := filepath.Glob("testdata/" + folder + "/*.json*")
		require.NoError(t, err)
		require.NotEmpty(t, found)
		files = append(files, found...)
	}
	return files
}

func TestRecordedHistoriesReplay(t *testing.T) {
	t.Parallel()
	for _, file := range histories(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(workflows.Enrollment, workflow.RegisterOptions{Name: "Enrollment"})
			replayer.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: "Backfill"})
			replayer.RegisterWorkflowWithOptions(workflows.ScheduledEnrollment, workflow.RegisterOptions{Name: "ScheduledEnrollment"})

			require.NoError(t, replayer.ReplayWorkflowHistory(silent{}, read(t, file)))
		})
	}
}

// TestReplayFindsAReorderedInterpreter is the positive control of the test above.
func TestReplayFindsAReorderedInterpreter(t *testing.T) {
	t.Parallel()
	reordered := func(ctx workflow.Context, in workflows.EnrollmentInput) (workflows.EnrollmentResult, error) {
		in.Program.Start = in.Program.Nodes[1].ID // begins with the second step
		return workflows.Enrollment(ctx, in)
	}
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(reordered, workflow.RegisterOptions{Name: "Enrollment"})

	err := replayer.ReplayWorkflowHistoryFromJSONFile(silent{}, "testdata/histories/welcome.json")

	require.ErrorContains(t, err, "TMPRL1100")
}

// TestReplayFindsABackfillThatDoesNotWait is the positive control for histories of runs.
func TestReplayFindsABackfillThatDoesNotWait(t *testing.T) {
	t.Parallel()
	hasty := func(ctx workflow.Context, in workflows.RunInput) (string, error) {
		options := workflow.ActivityOptions{StartToCloseTimeout: time.Minute}
		var step workflows.RunStep
		for !step.Ended {
			err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), workflows.StepRunActivity, in).Get(ctx, &step)
			if err != nil {
				return "", err
			}
		}
		return step.Shown, nil
	}
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(hasty, workflow.RegisterOptions{Name: "Backfill"})

	err := replayer.ReplayWorkflowHistoryFromJSONFile(silent{}, "testdata/histories/backfill.json")

	require.ErrorContains(t, err, "TMPRL1100")
}
