package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rollcall/api"
	"rollcall/automation"
	"rollcall/postgres"
)

// planCommand tells what applying files would change.
func planCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	return &cobra.Command{
		Use: "plan FILE...", Short: "Show what applying workflows would change, and whom it concerns", Args: cobra.MinimumNArgs(1),
		Long: "Show what applying workflows would change, and whom it concerns. Nothing is saved. " + whereRemote,
		RunE: func(cmd *cobra.Command, args []string) error {
			plans, err := c.plan(cmd.Context(), args, stdout)
			if err != nil {
				return err
			}
			return printPlans(plans, stdout)
		},
	}
}

// applyCommand saves and publishes files.
func applyCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	var how struct {
		draft              bool
		existing, inFlight string
	}
	cmd := &cobra.Command{
		Use: "apply FILE...", Short: "Save workflows and publish them, where they have changed", Args: cobra.MinimumNArgs(1),
		Long: "Save workflows and publish them, where they have changed. Where one of the files cannot work, nothing is saved. " + whereRemote,
		RunE: func(cmd *cobra.Command, args []string) error {
			plans, err := c.plan(cmd.Context(), args, stdout)
			if err != nil {
				return err
			}
			for i := range plans {
				p := &plans[i]
				if p.change == unchanged {
					fmt.Fprintf(stdout, "%s is live as it is\n", p.document.Name)
					continue
				}
				path := workflowPath(p.document.Name)
				if err := c.do(cmd.Context(), http.MethodPut, path, p.plain, nil); err != nil {
					return listed(err, stdout, map[string]string{"": p.file})
				}
				if how.draft {
					fmt.Fprintf(stdout, "%s is saved as a draft\n", p.document.Name)
					continue
				}
				var done postgres.Publication
				if err := c.post(cmd.Context(), path+"/publish", map[string]any{"existing": how.existing, "in_flight": how.inFlight}, &done); err != nil {
					return listed(err, stdout, map[string]string{"": p.file})
				}
				fmt.Fprintf(stdout, "%s is live as version %d\n", p.document.Name, done.Version)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&how.draft, "draft", false, "save only; publish nothing")
	f.StringVar(&how.existing, "existing", "skip", "users for whom a filter trigger holds already: skip or enroll")
	f.StringVar(&how.inFlight, "in-flight", "finish", "enrollments that run: finish on their version, or migrate")
	return cmd
}

// What applying a file comes to.
const (
	isNew     = "new"
	changed   = "changed"
	unchanged = "unchanged"
)

// plan is what applying a file would change.
type plan struct {
	file     string
	plain    map[string]any
	document *automation.Document

	change  string
	live    int // the version that is; 0: none
	running int // enrollments
	preview *postgres.Preview
	next    []api.NextRun
}

// plan looks at every file before any of them is applied. It prints all problems of all of them.
func (r remote) plan(ctx context.Context, files []string, stdout io.Writer) ([]plan, error) {
	plans := make([]plan, len(files))
	bad := 0
	for i, file := range files {
		p := &plans[i]
		p.file = file
		err := r.look(ctx, p)
		if _, invalid := errors.AsType[*automation.InvalidError](err); invalid {
			bad++
			_ = listed(err, stdout, map[string]string{"": file}) // told together
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if bad > 0 {
		return nil, fmt.Errorf("%d of %d files cannot work", bad, len(files))
	}
	return plans, nil
}

func (r remote) look(ctx context.Context, p *plan) (err error) {
	if p.plain, p.document, err = readWorkflow(p.file); err != nil {
		return err
	}
	if p.document.Name == "" {
		return errors.New("the workflow has no name")
	}
	var judged struct {
		Problems automation.Problems `json:"problems"`
		NextRuns []api.NextRun       `json:"next_runs"`
	}
	if err := r.post(ctx, "/v1/workflows/validate", p.plain, &judged); err != nil {
		return err
	}
	if err := automation.Invalid("the workflow", judged.Problems); err != nil {
		return err
	}
	p.next = judged.NextRuns
	path := workflowPath(p.document.Name)
	var now api.Workflow
	err = r.get(ctx, path, &now)
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status == http.StatusNotFound {
		p.change = isNew
		return nil
	}
	if err != nil {
		return err
	}
	p.live = now.LiveVersion
	for _, status := range []automation.EnrollmentStatus{automation.Held, automation.Pending, automation.Active} {
		p.running += now.Enrollments[status]
	}
	_, hash, err := p.document.Normal()
	if err != nil {
		return err
	}
	p.change = changed
	if p.live > 0 {
		var version automation.Version
		if err := r.get(ctx, fmt.Sprintf("%s/versions/%d", path, p.live), &version); err != nil {
			return err
		}
		if version.Hash == hash {
			p.change = unchanged
		}
	}
	return r.post(ctx, path+"/preview", map[string]any{"workflow": p.plain}, &p.preview)
}

func workflowPath(name string) string { return "/v1/workflows/" + url.PathEscape(name) }

func printPlans(plans []plan, stdout io.Writer) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WORKFLOW\tCHANGE\tUSERS NOW\tRUNNING\tNEXT")
	for i := range plans {
		p := &plans[i]
		change, users, next := p.change, "-", "-"
		if p.change == changed && p.live > 0 {
			change += fmt.Sprintf(" since version %d", p.live)
		}
		if p.preview != nil {
			users = strconv.Itoa(p.preview.Matching)
			if live := p.preview.Live; live != nil && p.change == changed {
				users += fmt.Sprintf(" (+%d -%d)", live.Added, live.Removed)
			}
		}
		if len(p.next) > 0 {
			next = p.next[0].Local
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", p.document.Name, change, users, p.running, next)
	}
	return table.Flush()
}
