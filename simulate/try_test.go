package simulate_test
import ("testing";"rollcall/automation")
func TestTry(t *testing.T) {
	c := trial{head: `
time_zone: Europe/Warsaw
triggers: [{ event: user.created }]
unenroll: { when: { property: status, op: any_of, value: [deactivated] } }`, steps: `
  - { id: hello, action: send_webhook, with: { url: "https://example.com/x", body: { name: "{{ user.first_name }} {{ event.name }}" } } }
  - { id: count, action: set_property, with: { property: score, increment: 1 } }
  - { id: settle, delay: { until: { at: "09:00", on: [monday] } } }
  - { id: reply, wait_for: { event: survey.completed, at_most: 7d } }
  - id: answered
    branch:
      - if: { step: reply, op: equals, value: happened }
        steps:
          - { id: say, action: notify, with: { to: manager, text: "{{ steps.reply.event.score }} {{ steps.count.new }}" } }
      - else: true
        steps: [{ goto: count, at_most: 2 }]
  - { id: lot, split: [{ weight: 1, steps: [] }, { weight: 2, steps: [] }] }
  - { id: plans, branch_on: { property: plan }, cases: [{ is: [pro, team], steps: [] }, { else: true, steps: [] }] }
  - { id: renew, delay: { until: { property: renewal, offset: -2d, at: "10:00" } } }
  - { id: out, exit: { reason: enough } }
`, user: properties{"first_name":"Ada", "plan": "PRO", "renewal": "2027-06-01"},
	events: []automation.SimulatedEvent{{At: day(9), Name: "survey.completed", Properties: properties{"score": 9.0}}},
	changes: []automation.SimulatedChange{{At: day(20), Properties: properties{"renewal": "2027-05-01"}}},
	}
	t.Log("\n"+told(c.run(t)))
}
