package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

// passed is what a simulation and a real run have in common: a visit of a step.
type passed struct {
	what   string // step, visit and kind
	output map[string]any
	after  time.Duration // the first step
}

// visits are the entries of a timeline, in their order, without those that only a simulation has.
func visits(t *testing.T, timeline any, began string) []passed {
	t.Helper()
	var list []passed
	var first time.Time
	for _, entry := range timeline.([]any) {
		e := entry.(map[string]any)
		if e["kind"] == "goto" || e["kind"] == "exit" {
			continue
		}
		at, err := time.Parse(time.RFC3339, e[began].(string))
		require.NoError(t, err)
		if first.IsZero() {
			first = at
		}
		output, _ := e["output"].(map[string]any)
		if e["kind"] == "send_webhook" {
			output = map[string]any{"status": output["status"]} // what the receiver says more, nobody can foresee
		}
		list = append(list, passed{fmt.Sprintf("%s %v %s", e["step"], e["visit"], e["kind"]), output, at.Sub(first)})
	}
	return list
}

func TestASimulationIsWhatReallyHappens(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.declare(number("score"))
	document := fmt.Sprintf(`
name: everything
time_zone: Europe/Warsaw
triggers: [{ event: user.created }]
steps:
  - { id: hello, action: send_webhook, with: { url: "http://%s/webhook/hello", body: { name: "{{ user.first_name }}" } } }
  - { id: settle, delay: 2s }
  - id: lot
    split:
      - { weight: 1, steps: [{ id: heads, action: set_property, with: { property: job_title, value: heads } }] }
      - { weight: 1, steps: [{ id: tails, action: set_property, with: { property: job_title, value: tails } }] }
  - { id: count, action: set_property, with: { property: score, increment: 1 } }
  - { id: reply, wait_for: { event: never.comes, at_most: 1s } }
  - id: asked
    branch:
      - if: { all: [{ property: score, op: at_least, value: 3 }, { step: reply, op: equals, value: timed_out }] }
        steps: [{ id: thrice, action: notify, with: { to: "{{ user.id }}", text: "{{ steps.count.old }} and {{ steps.count.new }}" } }]
      - else: true
        steps: [{ id: again, goto: count, at_most: 5 }]
  - { id: title, branch_on: { property: job_title }, cases: [{ is: heads, steps: [{ id: a, delay: 1s }] }, { else: true, steps: [{ id: b, delay: 1s }] }] }
  - { id: bye, action: send_webhook, with: { url: "http://%[1]s/webhook/bye", body: { score: "{{ user.score }}" } } }
  - { id: end, exit: { reason: all seen } }
`, s.world.HTTPAddr())
	s.publish(document)
	users, user := []string{"u_1", "u_2", "u_3"}, properties{"first_name": "Ada"}
	foreseen := map[string]map[string]any{}
	for _, id := range users {
		foreseen[id] = s.must("POST", "/v1/workflows/everything/simulate", map[string]any{"user": map[string]any{"id": id, "properties": user}})
	}
	require.Empty(t, s.world.Outbox(), "nothing leaves")
	for _, id := range users {
		require.Empty(t, s.enrollments("everything", id))
		s.put(id, user)
	}
	for _, id := range users {
		e := s.wantStatus("everything", id, automation.Completed)
		really := visits(t, s.must("GET", "/v1/enrollments/"+e.ID, nil)["timeline"], "started_at")
		simulated := visits(t, foreseen[id]["timeline"], "at")

		require.Equal(t, []any{"completed", "all seen"}, []any{foreseen[id]["status"], foreseen[id]["reason"]})
		require.Equal(t, "all seen", e.Reason)
		require.GreaterOrEqual(t, len(really), 15)
		require.Len(t, simulated, len(really))
		for i, real := range really {
			require.Equal(t, real.what, simulated[i].what)
			if real.what != "thrice 1 notify" { // whom it reaches, nobody knows before
				require.Equal(t, real.output, simulated[i].output, real.what)
			}
			require.GreaterOrEqual(t, real.after, simulated[i].after-50*time.Millisecond, real.what)
			require.InDelta(t, simulated[i].after.Seconds(), real.after.Seconds(), 10, real.what)
		}
	}
}
