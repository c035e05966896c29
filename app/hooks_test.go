package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func TestDeliveryToAHookEnrollsAndTheNextOneEndsTheWait(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.put("u_1", properties{"email": "ada@example.com"})
	hook := s.must("PUT", "/v1/hooks/payroll", map[string]any{
		"user": map[string]any{"property": "email", "is": "/employee/mail"}, "properties": map[string]any{"net": "/net"}, "event_id": "/id",
	})["path"].(string)
	s.publish(`
name: paid
triggers: [{ webhook: payroll, where: { event_property: net, op: at_least, value: 100 } }]
steps:
  - { id: again, wait_for: { webhook: payroll, where: { event_property: net, op: less_than, value: 100 }, at_most: 1h } }
  - { id: tell, action: notify, with: { to: u_1, text: "{{ event.net }}, then {{ steps.again.event.net }}" } }
`)
	deliver := func(id string, net int) int {
		status, answer := s.call("POST", hook, map[string]any{"employee": map[string]any{"mail": "ada@example.com"}, "net": net, "id": id})
		require.Contains(t, []int{200, 202}, status, answer)
		return status
	}
	require.Equal(t, 202, deliver("e_1", 120))
	e := s.wantStep("paid", "u_1", "again")
	require.Equal(t, "webhook", e.Trigger)
	require.Equal(t, 200, deliver("e_1", 50), "it came before")
	require.Equal(t, 202, deliver("e_2", 200))
	require.Equal(t, 202, deliver("e_3", 80))
	s.wantStatus("paid", "u_1", automation.Completed)
	list := s.must("GET", "/v1/notifications?user=u_1", nil)["items"].([]any)
	require.Equal(t, "120, then 80", list[0].(map[string]any)["text"])
}
