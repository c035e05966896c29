package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"rollcall/api"
	"rollcall/automation"
)

// runsCommand shows the runs of a workflow: backfills and firings of schedules.
func runsCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	watch := false
	cmd := &cobra.Command{
		Use: "runs WORKFLOW", Short: "Show the runs of a workflow, newest first", Args: cobra.ExactArgs(1),
		Long: "Show the runs of a workflow: backfills and firings of its schedules. " + whereRemote,
		RunE: func(cmd *cobra.Command, args []string) error {
			if watch {
				return c.watch(cmd.Context(), args[0], stdout)
			}
			return c.list(cmd.Context(), args[0], stdout)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show the progress of the newest run until it has ended")
	return cmd
}

func (r remote) runs(ctx context.Context, workflow string) ([]api.RunOut, error) {
	var page struct{ Items []api.RunOut }
	err := r.get(ctx, "/v1/workflows/"+url.PathEscape(workflow)+"/runs", &page)
	return page.Items, err
}

func (r remote) list(ctx context.Context, workflow string, stdout io.Writer) error {
	runs, err := r.runs(ctx, workflow)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tFIRING\tVERSION\tSTATUS\tMATCHED\tENROLLED\tSTARTED\tHELD\tSKIPPED")
	for i := range runs {
		run := &runs[i]
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\n",
			run.Kind, firingOf(run), run.Version, run.Status, run.Matched, run.Enrolled, run.Started, run.Held, skipped(run))
	}
	return table.Flush()
}

// firingOf is what the run is of: a local time, or the moment it was made.
func firingOf(run *api.RunOut) string {
	switch {
	case run.Nominal == nil:
		return run.CreatedAt.UTC().Format("2006-01-02T15:04Z")
	case run.ByHand:
		return *run.Nominal + " (by hand)"
	default:
		return *run.Nominal
	}
}

func skipped(run *api.RunOut) int {
	sum := 0
	for _, n := range run.Skipped {
		sum += n
	}
	return sum
}

// watch shows the newest run until it has ended and what it enrolled has begun.
func (r remote) watch(ctx context.Context, workflow string, stdout io.Writer) error {
	runs, err := r.runs(ctx, workflow)
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return fmt.Errorf("%s has no runs: %w", workflow, automation.ErrNotFound)
	}
	run := &runs[0]
	bar := progressbar.NewOptions(run.Matched*2, progressbar.OptionSetWriter(stdout), progressbar.OptionSetWidth(40),
		progressbar.OptionSetDescription(workflow+" "+firingOf(run)), progressbar.OptionThrottle(0), progressbar.OptionSetPredictTime(false))
	for {
		bar.Describe(fmt.Sprintf("%s %s: %d of %d decided, %d started", workflow, firingOf(run), run.Enrolled+run.Held+skipped(run), run.Matched, run.Started))
		// Half of the way is to decide, the other half is to start.
		if err := bar.Set(run.Enrolled + run.Held + skipped(run) + run.Started + run.Held + skipped(run)); err != nil {
			return fmt.Errorf("draw progress: %w", err)
		}
		if run.EndedAt != nil && run.Started >= run.Enrolled {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
		if err := r.get(ctx, "/v1/workflows/"+url.PathEscape(workflow)+"/runs/"+url.PathEscape(run.ID), run); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "\n%s: %d enrolled, %d held\n", run.Status, run.Enrolled, run.Held)
	reasons := make([]string, 0, len(run.Skipped))
	for reason := range run.Skipped {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		fmt.Fprintf(stdout, "%d not: %s\n", run.Skipped[reason], reason)
	}
	return nil
}
