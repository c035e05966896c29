package triggers_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

const loop = "refused: loop: too many enrollments caused one another"

// after is a filter that starts to hold each time when a user leaves a workflow.
func after(workflow string) string {
	return fmt.Sprintf(`{"all": [{"workflow": %q, "op": "enrolled"}, {"not": {"workflow": %q, "op": "active"}}]}`, workflow, workflow)
}

func TestWorkflowsThatStartEachOtherComeToAnEnd(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("a", `"triggers": [{"manual": true}, {"filter": `+after("b")+`}]`+again)
	b.publish("b", whenever(after("a")))
	b.put("u_1", nil)
	b.enroll("a", "u_1")
	turns := 0
	for ; turns < 3*postgres.MaxDepth; turns++ {
		b.drain()
		live := b.texts(`select definition from enrollments where ended_at is null`)
		if len(live) == 0 {
			break
		}
		require.Len(t, live, 1, "they take turns")
		b.finish(live[0], "u_1")
	}

	require.Equal(t, postgres.MaxDepth, turns)
	half := slices.Repeat([]string{"enrolled"}, postgres.MaxDepth/2)
	require.Equal(t, append(slices.Clone(half), loop), b.outcomes("a", "u_1"))
	require.Equal(t, half, b.outcomes("b", "u_1"))
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Completed: postgres.MaxDepth / 2}, b.counts("a"))
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Completed: postgres.MaxDepth / 2}, b.counts("b"))

	b.enroll("a", "u_1") // what people begin counts from nothing
	b.drain()
	b.finish("a", "u_1")
	b.drain()
	require.Equal(t, []string{"b"}, b.texts(`select definition from enrollments where ended_at is null`))
}

func TestWorkflowThatStartsItselfComesToAnEnd(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("a", `"triggers": [{"manual": true}, {"filter": `+after("a")+`}]`+again)
	b.put("u_1", nil)
	b.enroll("a", "u_1")
	for range 3 * postgres.MaxDepth {
		b.drain()
		b.finish("a", "u_1")
	}
	require.Len(t, b.passages("a", "u_1"), postgres.MaxDepth)
	outcomes := b.outcomes("a", "u_1")
	require.Equal(t, loop, outcomes[len(outcomes)-1])
}

func TestWorkflowsThatEnterAndLeaveByEachOtherComeToRest(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("a", `"triggers": [{"manual": true}, {"filter": {"not": {"workflow": "b", "op": "active"}}}], "enroll": {"again": "every_trigger", "unless": {"workflow": "b", "op": "active"}}`)
	b.publish("b", whenever(`{"workflow": "a", "op": "active"}`)+`, "unenroll": {"when": {"not": {"workflow": "a", "op": "active"}}}`)
	b.put("u_1", nil)

	b.settle()

	require.Zero(t, b.count(`select count(*) from work_items`))
	require.LessOrEqual(t, len(b.passages("a", "u_1"))+len(b.passages("b", "u_1")), postgres.MaxDepth+2)
	require.Contains(t, append(b.outcomes("a", "u_1"), b.outcomes("b", "u_1")...), loop)
}

func TestConditionOnTheOwnWorkflowTakesOutAtOnceAndComesToRest(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("a", `"triggers": [{"filter": `+titled+`}], "unenroll": {"when": {"workflow": "a", "op": "active"}}`)
	b.put("u_1", map[string]any{"job_title": "Lead"})

	b.settle()

	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("a", "u_1"))
}
