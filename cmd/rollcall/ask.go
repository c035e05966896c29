package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rollcall/automation"
	"rollcall/postgres"
)

// explainCommand tells why a user was or was not enrolled.
func explainCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	at := ""
	cmd := &cobra.Command{
		Use: "explain WORKFLOW USER", Short: "Tell why a user was or was not enrolled", Args: cobra.ExactArgs(2),
		Long: "Tell why a user was or was not enrolled, now or at an instant. " + whereRemote,
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"user": {args[1]}}
			if at != "" {
				query.Set("at", at)
			}
			var e explained
			if err := c.get(cmd.Context(), workflowPath(args[0])+"/explain?"+query.Encode(), &e); err != nil {
				return err
			}
			return printExplanation(&e, stdout)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "the instant, such as 2027-01-04T09:00:00Z; now if left out")
	return cmd
}

// explained is what is shown of an explanation.
type explained struct {
	Verdict, Reason string
	Triggers        []postgres.ExplainedTrigger
	Unless, When    *postgres.ExplainedFilter
}

func printExplanation(e *explained, stdout io.Writer) error {
	fmt.Fprintf(stdout, "%s: %s\n", strings.ReplaceAll(e.Verdict, "_", " "), printable(e.Reason))
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	show := func(what string, f postgres.ExplainedFilter) {
		fmt.Fprintf(table, "%s\t%s\t\n", what, yesOrNo(f.Matched))
		for _, a := range f.Trace {
			about := strings.TrimSpace(strings.Join([]string{a.Property, a.Event, a.Workflow, string(a.Op)}, " "))
			fmt.Fprintf(table, "  %s\t%s\tsaw %s\n", printable(strings.Join(strings.Fields(about), " ")), yesOrNo(a.Result), printable(fmt.Sprint(a.Seen)))
		}
	}
	for _, t := range e.Triggers {
		show(fmt.Sprintf("trigger %d (%s)", t.Trigger, t.Kind), t.ExplainedFilter)
	}
	if e.Unless != nil {
		show("enroll.unless", *e.Unless)
	}
	if e.When != nil {
		show("unenroll.when", *e.When)
	}
	return table.Flush()
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// enrollCommand enrolls a user on request.
func enrollCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	return &cobra.Command{
		Use: "enroll WORKFLOW USER", Short: "Enroll a user on request", Args: cobra.ExactArgs(2),
		Long: "Enroll a user on request; who must stay out stays out. " + whereRemote,
		RunE: func(cmd *cobra.Command, args []string) error {
			var e automation.Enrollment
			if err := c.post(cmd.Context(), workflowPath(args[0])+"/enrollments", map[string]any{"user_id": args[1]}, &e); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s is %s in %s: %s\n", e.UserID, e.Status, e.Workflow, e.ID)
			return nil
		},
	}
}

// eventsCommand sends events.
func eventsCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	id := ""
	send := &cobra.Command{
		Use: "send NAME USER [PROPERTIES]", Short: "Send an event; its properties are JSON", Args: cobra.RangeArgs(2, 3),
		Long: "Send an event; its properties are JSON. " + whereRemote, Example: `  rollcall events send survey.completed u_1 '{"score": 9}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			event := map[string]any{"name": args[0], "user_id": args[1]}
			if id != "" {
				event["id"] = id
			}
			if len(args) > 2 {
				var properties map[string]any
				if err := json.Unmarshal([]byte(args[2]), &properties); err != nil || properties == nil {
					return errors.New("the properties must be an object in JSON")
				}
				event["properties"] = properties
			}
			var sent struct{ ID, Status string }
			if err := c.post(cmd.Context(), "/v1/events", event, &sent); err != nil {
				return listed(err, stdout, nil)
			}
			fmt.Fprintf(stdout, "%s: %s\n", sent.Status, sent.ID)
			return nil
		},
	}
	send.Flags().StringVar(&id, "id", "", "what it is known by: of those with the same one, one counts")
	root := &cobra.Command{Use: "events", Short: "Send events"}
	root.AddCommand(send)
	return root
}
