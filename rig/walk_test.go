package rig

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/api"
	"rollcall/app"
	"rollcall/automation"
	"rollcall/filter"
)

// winding is a program with every kind of step.
func winding() []Step {
	return []Step{
		{ID: "count", Kind: increment, Adds: "c"},
		{ID: "mark", Kind: format},
		{ID: "reply", Kind: waitFor, Awaits: "x", For: time.Second},
		{ID: "again", Kind: jump, To: "count", AtMost: 1},
		{ID: "heard", Kind: branch, If: Question{Wait: "reply"}, Arms: [][]Step{
			{{ID: "thank", Kind: webhook, Tells: "reply.outcome"}},
			{{ID: "stop", Kind: exit}},
		}},
		{ID: "many", Kind: branch, If: Question{Counter: "c", Least: 4}, Arms: [][]Step{
			{{ID: "lot", Kind: webhook, Tells: "mark.tag"}},
			{{ID: "few", Kind: branch, If: Question{Event: true, Least: 5}, Arms: [][]Step{{{ID: "large", Kind: webhook}}, {}}}},
		}},
		{ID: "part", Kind: split, Arms: [][]Step{{{ID: "left", Kind: webhook}}, {{ID: "right", Kind: webhook}}}},
		{ID: "fail", Kind: webhook, Fails: true, Rescue: []Step{{ID: "mend", Kind: webhook}}},
	}
}

func TestTheOracleFollowsThePath(t *testing.T) {
	t.Parallel()
	const round = "count mark reply count:2 mark:2 reply:2 heard "
	for _, c := range []struct {
		name            string
		number, counted int
		outcomes        []string // of the visits of the wait
		arm             int
		path            string
		whole           bool
	}{
		{"a wait that is not over", 0, 0, []string{"timed_out"}, 0, "count mark reply count:2 mark:2 reply:2", false},
		{"an exit, by the last outcome of two", 0, 0, []string{"happened", "timed_out"}, 0, strings.TrimSpace(round), true},
		{"a counter that is large enough", 3, 2, []string{"timed_out", "happened"}, 1, round + "thank/happened many lot/3-ada part right fail/refused mend", true},
		{"a counter that is not, and a number that is", 5, 1, []string{"happened", "happened"}, 0, round + "thank/happened many few large part left fail/refused mend", true},
		{"an arm without steps", 4, 0, []string{"happened", "happened"}, 0, round + "thank/happened many few part left fail/refused mend", true},
		{"a split that is not decided", 4, 0, []string{"happened", "happened"}, -1, round + "thank/happened many few part", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outcome := func(_ string, visit int) string { return append(c.outcomes, "")[visit-1] }

			calls, whole := link(winding()).walk(facts{"ada", c.number, c.counted, outcome, func(string, int) int { return c.arm }})

			require.Equal(t, c.path, written(calls))
			require.Equal(t, c.whole, whole)
		})
	}
}

// written is a path in words: the steps, the visit where it is not the first, and what is called.
func written(calls []call) string {
	var words []string
	for _, c := range calls {
		word := c.ID
		if c.visit > 1 {
			word = fmt.Sprintf("%s:%d", c.ID, c.visit)
		}
		words = append(words, word+c.tells)
	}
	return strings.Join(words, " ")
}

// TestWhatIsDrawnCanBePublished holds many seeds against the validation of definitions.
func TestWhatIsDrawnCanBePublished(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for seed := range uint64(25) {
		programs := append(append(Fixed(), NewRounds([]int{0, 61})), Drawn(seed, 4)...)
		schema := automation.Properties{
			"tier": {Name: "tier", Type: filter.String}, "away": {Name: "away", Type: filter.Bool}, "crew": {Name: "crew", Type: filter.Bool},
		}
		for _, name := range Counters(programs) {
			schema[name] = automation.Property{Name: name, Type: filter.Number}
		}
		for _, p := range programs {
			for version := range versions {
				document := p.Document("127.0.0.1:80", version+1)
				d, err := api.ParseYAML([]byte(document))
				require.NoError(t, err, document)
				require.Empty(t, d.Validate(app.Catalog(), schema), document)
				for _, n := range link(p.Steps(version + 1)).nodes {
					kinds[n.Kind] = true
				}
			}
		}
	}
	require.Len(t, kinds, 10, "each kind of step is drawn: %v", kinds)
}

func TestASeedIsAProgram(t *testing.T) {
	t.Parallel()
	one, again, other := Drawn(7, 3), Drawn(7, 3), Drawn(8, 3)
	require.Equal(t, one, again)
	require.NotEqual(t, one, other)
}
