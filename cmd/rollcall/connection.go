package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rollcall/automation"
)

// connectionCommand keeps the named ways out. It is a client of the API.
func connectionCommand(getenv func(string) string, stdin io.Reader, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	root := &cobra.Command{
		Use: "connection", Short: "Keep connections: mail servers, Slack, Google and webhooks with their secrets",
		Long: "Keep connections: mail servers, Slack, Google and webhooks with their secrets. " + whereRemote,
	}
	root.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the connections", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return c.connections(cmd.Context(), stdout) },
		},
		&cobra.Command{
			Use: "put NAME FILE", Short: "Create a connection or change it", Args: cobra.ExactArgs(2),
			Long: "Create a connection or change it. The file is YAML or JSON, {\"kind\", \"settings\", \"secrets\"}; \"-\" is the standard input. Secrets that are left out stay as they are.",
			Example: `  rollcall connection put office - <<EOF
  kind: smtp
  settings: { address: "smtp.example.com:587", from: Rollcall <rollcall@example.com>, username: rollcall }
  secrets: { password: "${SMTP_PASSWORD}" }
  EOF`,
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.putConnection(cmd.Context(), args[0], args[1], stdin, stdout)
			},
		},
		&cobra.Command{
			Use: "test NAME", Short: "Try a connection", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				var result automation.ConnectionTest
				if err := c.post(cmd.Context(), connectionPath(args[0])+"/test", map[string]any{}, &result); err != nil {
					return err
				}
				if !result.OK {
					return errors.New(printable(result.Error))
				}
				fmt.Fprintf(stdout, "%s works: %s in %d ms\n", args[0], result.What, result.Millis)
				return nil
			},
		},
		&cobra.Command{
			Use: "delete NAME", Short: "Delete a connection that no version in use names", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.do(cmd.Context(), http.MethodDelete, connectionPath(args[0]), nil, nil)
			},
		},
	)
	return root
}

func connectionPath(name string) string { return "/v1/connections/" + url.PathEscape(name) }

func (r remote) connections(ctx context.Context, stdout io.Writer) error {
	var page struct{ Items []automation.Connection }
	if err := r.get(ctx, "/v1/connections", &page); err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tKIND\tSECRETS\tCHANGED\tSTATE")
	for i := range page.Items {
		c := &page.Items[i]
		state := "enabled"
		if c.DisabledAt != nil {
			state = "disabled: " + printable(c.DisabledReason)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Name, c.Kind, strings.Join(c.Configured, " "), c.UpdatedAt.Format("2006-01-02 15:04"), state)
	}
	return table.Flush()
}

func (r remote) putConnection(ctx context.Context, name, file string, stdin io.Reader, stdout io.Writer) error {
	draft, err := readObjectFrom(file, stdin)
	if err != nil {
		return err
	}
	var saved automation.Connection
	if err := r.do(ctx, http.MethodPut, connectionPath(name), draft, &saved); err != nil {
		return listed(err, stdout, map[string]string{"": file})
	}
	fmt.Fprintf(stdout, "the connection %s (%s) is saved\n", saved.Name, saved.Kind)
	return nil
}

// readObjectFrom reads an object from a file; "-" is the standard input.
func readObjectFrom(file string, stdin io.Reader) (map[string]any, error) {
	if file != "-" {
		return readObject(file)
	}
	text, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
	if err != nil {
		return nil, err
	}
	return objectIn(text, "the standard input")
}
