package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"rollcall/api"
	"rollcall/automation"
)

// trial is what the flags of a simulation say.
type trial struct {
	user            string
	start, until    string
	events, changes []string
	json            bool
}

// simulateCommand tries a workflow out that stands in a file.
func simulateCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	c := remoteOf(getenv)
	var t trial
	cmd := &cobra.Command{
		Use: "simulate FILE --user FILE", Short: "Show what a workflow would do to a user, and when", Args: cobra.ExactArgs(1),
		Long: "Show what a workflow would do to a user, and when. Nothing is saved and nothing leaves. The workflow is YAML or JSON; " +
			"so is the user, {\"id\", \"properties\"}. " + whereRemote,
		Example: `  rollcall simulate welcome.yaml --user ada.yaml --start 2027-01-04T09:00:00+01:00 \
    --at '+2d survey.completed {"score": 9}' --change '+5d {"status": "deactivated"}'`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.simulate(cmd.Context(), args[0], t, stdout) },
	}
	f := cmd.Flags()
	f.StringVar(&t.user, "user", "", "the file with the user")
	f.StringVar(&t.start, "start", "", "when the user is enrolled, such as 2027-01-04T09:00:00Z; now if left out")
	f.StringVar(&t.until, "until", "", "when to stop looking: an instant, or +90d after the start")
	f.StringArrayVar(&t.events, "at", nil, "an event: an instant, or +2d after the start; a name; and, if it has some, its properties as JSON")
	f.StringArrayVar(&t.changes, "change", nil, "a change of the user: an instant, or +2d after the start, and properties as JSON; null clears one")
	f.BoolVar(&t.json, "json", false, "print the answer of the API")
	_ = cmd.MarkFlagRequired("user")
	return cmd
}

// graphCommand draws a workflow that stands in a file.
func graphCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "graph FILE", Short: "Draw the flow of a workflow as a Mermaid flowchart; no server is asked", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var chart string
			_, document, err := readWorkflow(args[0])
			if err == nil {
				chart, err = document.Mermaid()
			}
			if err != nil {
				return listed(err, stdout, map[string]string{"": args[0]})
			}
			_, err = io.WriteString(stdout, chart)
			return err
		},
	}
}

// simulate asks the API and prints what it answers.
func (r remote) simulate(ctx context.Context, file string, t trial, stdout io.Writer) error {
	workflow, document, err := readWorkflow(file)
	if err != nil {
		return listed(err, stdout, map[string]string{"": file})
	}
	if document.Name == "" {
		return fmt.Errorf("%s: the workflow has no name", file)
	}
	body, err := t.body(workflow)
	if err != nil {
		return err
	}
	var answer json.RawMessage
	if err := r.post(ctx, "/v1/workflows/"+url.PathEscape(document.Name)+"/simulate", body, &answer); err != nil {
		return listed(err, stdout, map[string]string{"/workflow": file, "/user": t.user})
	}
	var result automation.Simulated
	if err := json.Unmarshal(answer, &result); err != nil {
		return fmt.Errorf("read the answer of the API: %w", err)
	}
	if t.json {
		fmt.Fprintf(stdout, "%s\n", bytes.TrimSpace(answer))
	} else if err := printSimulated(&result, stdout); err != nil {
		return err
	}
	if result.Status == automation.Failed {
		return fmt.Errorf("the enrollment fails: %s", result.Reason)
	}
	return nil
}

// body is the request for a simulation.
func (t trial) body(workflow map[string]any) (map[string]any, error) {
	user, err := readObject(t.user)
	if err != nil {
		return nil, err
	}
	start := time.Now().UTC().Truncate(time.Second)
	if t.start != "" {
		if start, err = instantOf(t.start, start); err != nil {
			return nil, fmt.Errorf("--start: %w", err)
		}
	}
	body := map[string]any{"workflow": workflow, "user": user, "start": start}
	if t.until != "" {
		if body["until"], err = instantOf(t.until, start); err != nil {
			return nil, fmt.Errorf("--until: %w", err)
		}
	}
	events, changes := []any{}, []any{}
	for _, text := range t.events {
		event, err := factOf(text, start, true)
		if err != nil {
			return nil, fmt.Errorf("--at %q: %w", text, err)
		}
		events = append(events, event)
	}
	for _, text := range t.changes {
		change, err := factOf(text, start, false)
		if err != nil {
			return nil, fmt.Errorf("--change %q: %w", text, err)
		}
		changes = append(changes, change)
	}
	body["events"], body["changes"] = events, changes
	return body, nil
}

// readWorkflow reads a definition, as it stands and as it is understood.
func readWorkflow(file string) (map[string]any, *automation.Document, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	document, err := api.ParseYAML(text)
	if err != nil {
		return nil, nil, err
	}
	plain, err := objectIn(text, file)
	return plain, document, err
}

func readObject(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return objectIn(text, file)
}

// objectIn reads an object from YAML, of which JSON is a part.
func objectIn(text []byte, file string) (map[string]any, error) {
	var object map[string]any
	if err := yaml.Unmarshal(text, &object); err != nil || object == nil {
		return nil, fmt.Errorf("%s holds no object in YAML or JSON", file)
	}
	return object, nil
}

// factOf reads an instant, a name where there is to be one, and properties.
func factOf(text string, start time.Time, named bool) (map[string]any, error) {
	when, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	at, err := instantOf(when, start)
	if err != nil {
		return nil, err
	}
	fact, properties := map[string]any{"at": at}, map[string]any{}
	if named {
		fact["name"], rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		if err := json.Unmarshal([]byte(rest), &properties); err != nil || properties == nil {
			return nil, errors.New("the properties must be an object in JSON")
		}
	}
	fact["properties"] = properties
	return fact, nil
}

// instantOf reads an instant, or an amount of time after another one.
func instantOf(text string, start time.Time) (time.Time, error) {
	if after, relative := strings.CutPrefix(text, "+"); relative {
		d, err := automation.ParseDuration(after)
		return start.Add(time.Duration(d)), err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no instant such as 2027-01-04T09:00:00Z and no amount of time such as +2d", text)
	}
	return at, nil
}

// listed prints the problems of an error, each on a line of its own with its place, and returns an error
// that says how many there are. The files stand for the members of the request that they were.
func listed(err error, stdout io.Writer, files map[string]string) error {
	invalid, ok := errors.AsType[*automation.InvalidError](err)
	if !ok {
		return err
	}
	for _, p := range invalid.Problems {
		place := p.Pointer
		for member, file := range files {
			if rest, inside := strings.CutPrefix(p.Pointer, member); inside && (rest == "" || rest[0] == '/') {
				place = file + ": " + rest
			}
		}
		fmt.Fprintln(stdout, strings.TrimSpace(place+" "+p.Code+" "+printable(p.Message)))
	}
	if n := len(invalid.Problems); n > 1 {
		return fmt.Errorf("there are %d problems", n)
	}
	return errors.New("there is a problem")
}

// printSimulated prints the timeline of a simulation as a table.
func printSimulated(r *automation.Simulated, stdout io.Writer) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tSTEP\tWHAT")
	for i := range r.Timeline {
		e := &r.Timeline[i]
		step := e.Step
		if e.Visit > 1 {
			step = fmt.Sprintf("%s (%d)", step, e.Visit)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", e.Local, step, printable(e.What))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	end := string(r.Status)
	if r.Step != "" {
		end += " at " + r.Step
	}
	if r.Reason != "" {
		end += ": " + printable(r.Reason)
	}
	fmt.Fprintf(stdout, "\n%s %s\n", r.EndedAt.UTC().Format(time.RFC3339), end)
	return nil
}

// printable keeps a text on its line, and from doing anything to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
