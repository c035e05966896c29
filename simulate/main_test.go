package simulate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/filter"
	"rollcall/holidays"
	"rollcall/postgres"
	"rollcall/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulator is one without a database: it knows the built-in properties and a few of its own.
func simulator() *simulate.Simulator {
	actions := activities.New(activities.Deps{})
	c := postgres.Config{Catalog: actions.Catalog(), Holidays: holidays.Of}
	return simulate.New(actions, func(_ context.Context, d *automation.Document) (*postgres.Published, automation.Properties, error) {
		p, err := c.Prepare(d, schema())
		return p, schema(), err
	})
}

func schema() automation.Properties {
	schema := automation.Properties{}
	for _, p := range append(automation.BuiltInProperties(),
		automation.Property{Name: "score", Type: filter.Number},
		automation.Property{Name: "plan", Type: filter.Enum},
		automation.Property{Name: "renewal", Type: filter.Date},
	) {
		schema[p.Name] = p
	}
	return schema
}

type properties = map[string]any

var monday = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

func day(n int) time.Time { return monday.AddDate(0, 0, n) }

// trial is a workflow, from the inside of its document, and what happens.
type trial struct {
	head    string // instead of a manual trigger
	steps   string
	user    properties
	start   time.Time // monday if left out
	until   time.Time
	events  []automation.SimulatedEvent
	changes []automation.SimulatedChange
}

func document(tb testing.TB, text string) *automation.Document {
	tb.Helper()
	converted, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(tb, err)
	d, err := automation.ParseDocument(converted)
	require.NoError(tb, err)
	return d
}

func (c trial) input(tb testing.TB) simulate.Input {
	tb.Helper()
	if c.head == "" {
		c.head = "triggers: [{ manual: true }]"
	}
	if c.start.IsZero() {
		c.start = monday
	}
	return simulate.Input{
		Document: document(tb, "name: w\n"+c.head+"\nsteps:\n"+c.steps),
		User:     automation.SimulatedUser{ID: "u_1", Properties: c.user},
		Start:    c.start, Until: c.until, Events: c.events, Changes: c.changes,
	}
}

func (c trial) run(tb testing.TB) *simulate.Result {
	tb.Helper()
	r, err := simulator().Run(tb.Context(), c.input(tb))
	require.NoError(tb, err)
	return r
}

// told is a result as people read it.
func told(r *simulate.Result) string {
	var s strings.Builder
	for _, e := range r.Timeline {
		fmt.Fprintf(&s, "%s  %s %d %s: %s", e.Local, e.Step, e.Visit, e.Kind, e.What)
		if e.Output != nil {
			text, _ := json.Marshal(e.Output)
			fmt.Fprintf(&s, " -> %s", text)
		}
		s.WriteByte('\n')
	}
	fmt.Fprintf(&s, "%s %s", r.EndedAt.Format(time.RFC3339), r.Status)
	if r.Step != "" {
		fmt.Fprintf(&s, " at %s", r.Step)
	}
	if r.Reason != "" {
		fmt.Fprintf(&s, ": %s", r.Reason)
	}
	s.WriteByte('\n')
	return s.String()
}
