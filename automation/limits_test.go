package automation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func repeated(n int, item string) string {
	return strings.Repeat(item+",", n-1) + item
}

func document(triggers, steps string) string {
	return `{"name": "a", "triggers": [` + triggers + `], "steps": [` + steps + `]}`
}

func TestDocumentsHaveLimits(t *testing.T) {
	t.Parallel()
	const manual, log, arm = `{"manual": true}`, `{"action": "log"}`, `{"if": {"property": "team", "op": "known"}}`
	const waits, day, window = `{"event": "reply"}`, `"12-24"`, `{"from": "09:00", "to": "17:00"}`
	head := func(member string) string {
		return `{"name": "a", "triggers": [` + manual + `], "steps": [` + log + `], ` + member + `}`
	}
	cases := func(n int) string {
		var list strings.Builder
		for i := range n {
			fmt.Fprintf(&list, `{"is": %d}, `, i)
		}
		return `{"branch_on": {"property": "team"}, "cases": [` + list.String() + `{"else": true}]}`
	}
	split := func(parts int) string { return `{"split": [` + repeated(parts, `{"weight": 1}`) + `]}` }
	wait := func(things int) string { return `{"wait_for": {"any": [` + repeated(things, waits) + `]}}` }
	again := func(times int) string {
		return log + fmt.Sprintf(`, {"goto": "log_1", "at_most": %d}`, times)
	}
	branch := func(arms int) string { return `{"branch": [` + repeated(arms-1, arm) + `, {"else": true}]}` }
	for _, tt := range []struct {
		name, text string
		want       automation.Problems
	}{
		{"50 triggers are taken", document(repeated(50, manual), log), nil},
		{"51 triggers are too many", document(repeated(51, manual), log), automation.Problems{
			{Pointer: "/triggers", Code: "too-many-triggers", Message: "a workflow has at most 50 triggers"},
		}},
		{"500 steps are taken", document(manual, repeated(500, log)), nil},
		{"501 steps are too many", document(manual, repeated(501, log)), automation.Problems{
			{Pointer: "/steps", Code: "too-many-steps", Message: "a workflow has at most 500 steps, this one has 501"},
		}},
		{"steps in arms count", document(manual, `{"branch": [{"else": true, "steps": [`+repeated(500, log)+`]}]}`), automation.Problems{
			{Pointer: "/steps", Code: "too-many-steps", Message: "a workflow has at most 500 steps, this one has 501"},
		}},
		{"steps whose titles come to too much", document(manual, repeated(400, `{"action": "log", "title": "`+strings.Repeat("x", 150)+`"}`)), automation.Problems{
			{Pointer: "/steps", Code: "workflow-too-large", Message: "the steps with their ids and titles come to more than 64 KiB; shorten them or use fewer steps"},
		}},
		{"50 arms are taken", document(manual, branch(50)), nil},
		{"51 arms are too many", document(manual, branch(51)), automation.Problems{
			{Pointer: "/steps/0/branch", Code: "too-many-branches", Message: "a branch has at most 50 arms"},
		}},
		{"250 cases and an else are taken", document(manual, cases(250)), nil},
		{"251 cases are too many", document(manual, cases(251)), automation.Problems{
			{Pointer: "/steps/0/cases", Code: "too-many-branches", Message: "a step has at most 250 cases and an else"},
		}},
		{"20 parts are taken", document(manual, split(20)), nil},
		{"21 parts are too many", document(manual, split(21)), automation.Problems{
			{Pointer: "/steps/0/split", Code: "split-invalid", Message: "a split has 2 to 20 parts"},
		}},
		{"50 things are waited for", document(manual, wait(50)), nil},
		{"51 things are too many to wait for", document(manual, wait(51)), automation.Problems{
			{Pointer: "/steps/0/wait_for/any", Code: "wait-invalid", Message: "a step waits for 1 to 50 things"},
		}},
		{"10,000 times are taken", document(manual, again(10_000)), nil},
		{"10,001 times are too many", document(manual, again(10_001)), automation.Problems{
			{Pointer: "/steps/1/at_most", Code: "out-of-range", Message: "must be from 1 to 10000"},
		}},
		{"steps in cases, parts and after errors count", document(manual, `{"branch_on": {"property": "team"}, "cases": [{"else": true, "steps": [`+repeated(200, log)+`]}]},
			{"split": [{"weight": 1, "steps": [`+repeated(100, log)+`]}, {"weight": 1, "steps": [`+repeated(100, log)+`]}]},
			{"action": "log", "on_error": [`+repeated(98, log)+`]}`), automation.Problems{
			{Pointer: "/steps", Code: "too-many-steps", Message: "a workflow has at most 500 steps, this one has 501"},
		}},
		{"100 windows are taken", head(`"hours": {"windows": [` + repeated(100, window) + `]}`), nil},
		{"101 windows are too many", head(`"hours": {"windows": [` + repeated(101, window) + `]}`), automation.Problems{
			{Pointer: "/hours/windows", Code: "too-many-windows", Message: "hours have at most 100 windows"},
		}},
		{"500 days off are taken", head(`"days_off": [` + repeated(500, day) + `], "hours": {"except": [` + repeated(500, day) + `]}`), nil},
		{"501 days off are too many", head(`"days_off": [` + repeated(501, day) + `], "hours": {"except": [` + repeated(501, day) + `]}`), automation.Problems{
			{Pointer: "/days_off", Code: "too-many-days", Message: "a list of days off has at most 500 days"},
			{Pointer: "/hours/except", Code: "too-many-days", Message: "a list of days off has at most 500 days"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := judge(t, tt.text)
			require.Equal(t, tt.want, problems)
		})
	}
}

func TestAtMost100ProblemsAreReported(t *testing.T) {
	t.Parallel()
	_, problems := judge(t, document(`{"manual": true}`, repeated(120, `{"action": "fax"}`)))
	require.Len(t, problems, 100)
	require.Equal(t, "/steps/99/action", problems[99].Pointer)
}

func TestANegativeAgainIsRefused(t *testing.T) {
	t.Parallel()
	d := parse(t, document(`{"manual": true}`, `{"action": "log"}`))
	d.Enroll.Again.After = automation.Duration(-time.Hour)
	require.Equal(t, automation.Problems{
		{Pointer: "/enroll/again/after", Code: "delay-out-of-range", Message: "must not be negative"},
	}, d.Validate(catalog(), properties()))
}

func TestFiltersAreReadInTheZoneOfTheDocument(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Europe/Warsaw", parse(t, `{"name": "a", "time_zone": "Europe/Warsaw", "triggers": [{"manual": true}], "steps": [{"action": "log"}]}`).Zone().String())
	require.Equal(t, "UTC", parse(t, `{"name": "a", "time_zone": "user", "triggers": [{"manual": true}], "steps": [{"action": "log"}]}`).Zone().String())
	require.Equal(t, "UTC", parse(t, document(`{"manual": true}`, `{"action": "log"}`)).Zone().String())
}

func TestParseDocumentSaysHowManyProblemsThereAre(t *testing.T) {
	t.Parallel()
	_, err := automation.ParseDocument([]byte(`{"name": 1}`))
	require.ErrorIs(t, err, automation.ErrInvalid)
	require.EqualError(t, err, "the workflow is not acceptable: /name: must be a text, is a number")
	_, err = automation.ParseDocument([]byte(`{"name": 1, "title": 2, "steps": 3}`))
	require.EqualError(t, err, "the workflow is not acceptable: /name: must be a text, is a number (and 2 more)")
}

func TestNoProblemsAreNoError(t *testing.T) {
	t.Parallel()
	require.NoError(t, automation.Invalid("the workflow", nil))
}

func TestStepsAreFoundInArms(t *testing.T) {
	t.Parallel()
	d := parse(t, document(`{"manual": true}`, `{"id": "which", "branch": [{"else": true, "steps": [{"id": "ring", "action": "log"}]}]}, {"id": "last", "action": "beep", "with": {"to": "x"}}, {"action": "log"}`))
	step, ok := d.Step("ring")
	require.True(t, ok)
	require.Equal(t, "log", step.Action)
	_, ok = d.Step("nobody")
	require.False(t, ok)
	require.Equal(t, []string{"log", "beep"}, d.Actions())
}

func TestFiltersAreListed(t *testing.T) {
	t.Parallel()
	d := parse(t, document(
		`{"filter": {"property": "team", "op": "known"}}, {"event": "x", "where": {"property": "title", "op": "known"}}`,
		`{"branch": [{"if": {"property": "hired", "op": "known"}, "steps": [{"branch": [{"if": {"property": "seen_at", "op": "known"}}, {"else": true}]}]}, {"else": true}]}`))
	var names []string
	for _, f := range d.Filters() {
		names = append(names, f.Condition.Property)
	}
	require.Equal(t, []string{"team", "title", "hired", "seen_at"}, names)
}

func TestTriggersKnowTheirKind(t *testing.T) {
	t.Parallel()
	d := parse(t, document(`{"filter": {"property": "team", "op": "known"}}, {"event": "x"}, {"manual": true}`, `{"action": "log"}`))
	require.Equal(t, "filter event manual", fmt.Sprint(d.Triggers[0].Kind(), " ", d.Triggers[1].Kind(), " ", d.Triggers[2].Kind()))
}

func TestOutlineOfALongWorkflowIsCutShort(t *testing.T) {
	t.Parallel()
	d, err := automation.ParseDocument([]byte(document(`{"manual": true}`, repeated(62, `{"action": "log"}`))))
	require.NoError(t, err)
	p := d.Compile(1, automation.Catalog{})
	outline := p.Outline()
	require.Equal(t, 61, strings.Count(outline, "\n"))
	require.Contains(t, outline, "- **log_60** log\n- … and 2 more\n")
}
