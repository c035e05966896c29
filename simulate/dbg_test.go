package simulate_test
import ("testing";"rollcall/automation")
func TestDbg(t *testing.T) {
	c := trial{steps: `
  - { id: reply, wait_for: { event: survey.completed, at_most: 7d } }
`, 
	events: []automation.SimulatedEvent{{At: day(2), Name: "survey.completed", Properties: properties{"score": 9.0}}},
	}
	t.Log("\n"+told(c.run(t)))
}
