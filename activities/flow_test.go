package activities_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/workflows"
)

// office is a Monday in which the clocks of workflows run ahead of ours.
var office = time.Date(2040, 1, 2, 0, 0, 0, 0, time.UTC)

// bothKinds are an action whose effect is in our database, and one whose effect is outside.
func bothKinds(b *bench) map[string]string {
	return map[string]string{"notify": everyAction(b)["notify"], "send_webhook": everyAction(b)["send_webhook"]}
}

// tries carries out an attempt of the step "it" at an instant, as an action with hours or with a time by
// which it is due.
func (b *bench) tries(kind, enrollment string, at time.Time) workflows.ActionResult {
	b.Helper()
	result, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it", At: at, Hours: true, Timed: true})
	require.NoError(b, err)
	return result
}

// effects counts what was done to the world.
func (b *bench) effects() int {
	b.Helper()
	return len(b.world.Outbox()) + b.count(`select count(*) from notifications`)
}

func TestActionsBeginAtTheirHoursOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"time_zone": "Asia/Tokyo"})
	b.user("bob", nil)
	const members = `"triggers": [{"manual": true}]`
	for kind, with := range bothKinds(b) {
		for zone, c := range map[string]struct{ closed, opens, shown string }{
			"Europe/Warsaw": {"19:00", "08:00", "Tue 3 Jan 2040 09 CET"},
			"user":          {"09:00", "00:00", "Tue 3 Jan 2040 09 JST"},
		} {
			name := strings.ToLower(strings.ReplaceAll(kind+zone, "/", "-"))
			b.publish(name, `[{"id": "it", "action": "`+kind+`", "with": `+with+`}, {"id": "rest", "delay": "1d"}]`,
				members, `"time_zone": "`+zone+`"`, `"hours": {"windows": [{"from": "09:00", "to": "17:00"}]}`)
			enrollment := b.enroll(name, "ada")
			before := b.effects()
			closed, err := time.ParseDuration(strings.Replace(c.closed, ":", "h", 1) + "m")
			require.NoError(t, err)
			opens, err := time.ParseDuration(strings.Replace(c.opens, ":", "h", 1) + "m")
			require.NoError(t, err)
			until := office.Add(24*time.Hour + opens)
			held := b.tries(kind, enrollment, office.Add(closed))
			require.Equal(t, workflows.Shut, held.Outcome)
			require.WithinRange(t, held.Until, until, until.Add(5*time.Minute), "not all at once")
			require.Equal(t, c.shown, held.Shown[:17]+held.Shown[len(held.Shown)-4:])
			require.Equal(t, held, b.tries(kind, enrollment, office.Add(closed)), "as often as it is asked")
			until = held.Until
			v := b.visit(enrollment, "it")
			require.Equal(t, []any{automation.StepHeld, kind, 0}, []any{v.Status, v.Kind, v.Attempts})
			require.Equal(t, until, v.Until.UTC())
			e := b.enrollment(enrollment)
			require.Equal(t, []any{automation.Active, "it", until}, []any{e.Status, e.Step, e.WaitingUntil.UTC()})
			require.Equal(t, before, b.effects())

			require.Equal(t, workflows.ActionResult{Outcome: workflows.Done}, b.tries(kind, enrollment, until))
			require.Equal(t, before+1, b.effects())
			require.Equal(t, workflows.ActionResult{Outcome: workflows.Done}, b.tries(kind, enrollment, office.Add(closed)), "what is done is done")
			v = b.visit(enrollment, "it")
			require.Equal(t, []any{automation.StepDone, 1}, []any{v.Status, v.Attempts})
			require.Equal(t, before+1, b.effects())
		}
	}
}

func TestPauseWhileAnActionIsOutsideOfItsHours(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	evening, morning := office.Add(20*time.Hour), office.Add(33*time.Hour)
	for kind, with := range bothKinds(b) {
		for _, ends := range []string{"before", "after"} {
			name := kind + "_" + ends
			b.publish(name, `[{"id": "it", "action": "`+kind+`", "with": `+with+`}, {"id": "rest", "delay": "1d"}]`,
				`"triggers": [{"manual": true}]`, `"hours": {"windows": [{"from": "09:00", "to": "17:00"}]}`)
			enrollment := b.enroll(name, "ada")
			resumed := func() (commands int) {
				_, err := b.db.Resume(t.Context(), name, 0)
				require.NoError(t, err)
				return b.count(`select count(*) from commands where kind = 'resume' and enrollment_id = $1`, enrollment)
			}
			require.Equal(t, workflows.Shut, b.tries(kind, enrollment, evening).Outcome)
			_, err := b.db.Pause(t.Context(), name)
			require.NoError(t, err)
			if ends == "before" {
				require.Zero(t, resumed(), "who waits for the hours wakes by itself")
			} else {
				require.Equal(t, workflows.Shut, b.tries(kind, enrollment, evening).Outcome, "the hours come first")
				require.Equal(t, workflows.Kept, b.tries(kind, enrollment, morning).Outcome)
				v := b.visit(enrollment, "it")
				require.Equal(t, []any{automation.StepHeld, (*time.Time)(nil)}, []any{v.Status, v.Until})
				require.Equal(t, 1, resumed())
			}
			require.Equal(t, workflows.Done, b.tries(kind, enrollment, morning).Outcome)
		}
	}
}

func TestRetriesKeepToTheHours(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.publish("w", `[{"id": "it", "action": "send_webhook", "with": {"url": "`+b.world.WebhookURL("x")+`"}}, {"id": "rest", "delay": "1d"}]`,
		`"triggers": [{"manual": true}]`, `"hours": {"windows": [{"from": "09:00", "to": "17:00"}]}`)
	enrollment := b.enroll("w", "ada")
	b.world.Fail(world.Fault{Path: "/webhook/x", Status: 503, Times: 1})
	_, err := b.try("send_webhook", workflows.StepInput{EnrollmentID: enrollment, Step: "it", At: office.Add(16*time.Hour + 59*time.Minute), Hours: true})
	require.Error(t, err)

	require.Equal(t, workflows.Shut, b.tries("send_webhook", enrollment, office.Add(17*time.Hour)).Outcome)

	v := b.visit(enrollment, "it")
	require.Equal(t, []any{automation.StepHeld, 1}, []any{v.Status, v.Attempts})
	require.Empty(t, b.world.Outbox())
	require.Equal(t, workflows.Done, b.tries("send_webhook", enrollment, office.Add(33*time.Hour)).Outcome)
	v = b.visit(enrollment, "it")
	require.Equal(t, []any{automation.StepDone, 2, ""}, []any{v.Status, v.Attempts, v.Error})
	require.Equal(t, automation.EffectKey(enrollment, "it", 1), b.only("webhook").WebhookID)
}

func TestActionThatComesTooLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	const late = "3h0m0s late, due within 2h"
	for kind, with := range bothKinds(b) {
		for form, due := range map[string]string{"short": `"2h"`, "skip": `{"within": "2h"}`, "fail": `{"within": "2h", "else": "fail"}`, "do": `{"within": "2h", "else": "do"}`} {
			for _, by := range []time.Duration{2 * time.Hour, 3 * time.Hour} {
				name := fmt.Sprintf("%s_%s_%d", kind, form, by/time.Hour)
				b.publish(name, `[{"id": "settle", "delay": "1d"}, {"id": "it", "action": "`+kind+`", "with": `+with+`, "due_within": `+due+`}, {"id": "rest", "delay": "1d"}]`)
				enrollment := b.enroll(name, "ada")
				b.settle(enrollment, office.Add(24*time.Hour))
				before := b.effects()
				at := office.Add(24*time.Hour + by)

				result, err := b.try(kind, workflows.StepInput{EnrollmentID: enrollment, Step: "it", At: at, Timed: true})

				v := b.visit(enrollment, "it")
				if by > 2*time.Hour && form == "fail" {
					require.Error(t, err)
					require.Equal(t, automation.StepFailed, v.Status)
					require.Contains(t, v.Error, late)
					require.Equal(t, before, b.effects())
					continue
				}
				require.NoError(t, err)
				require.Equal(t, workflows.ActionResult{Outcome: workflows.Done}, result)
				switch {
				case by <= 2*time.Hour:
					require.Equal(t, automation.StepDone, v.Status)
					require.NotContains(t, v.What, "late")
				case form == "do":
					require.Equal(t, automation.StepDone, v.Status)
					require.Contains(t, v.What, " · "+late)
				default:
					require.Equal(t, []any{automation.StepSkipped, late, "skipped"}, []any{v.Status, v.What, v.Output["outcome"]})
					require.Equal(t, before, b.effects())
					require.Equal(t, workflows.Done, b.tries(kind, enrollment, at).Outcome, "when the answer got lost")
					require.Equal(t, v, b.visit(enrollment, "it"))
					continue
				}
				require.Equal(t, before+1, b.effects())
			}
		}
	}
}

// settle waits in the delay before the step until an instant.
func (b *bench) settle(enrollment string, until time.Time) {
	b.Helper()
	_, err := b.activity.ExecuteActivity(workflows.BeginDelayActivity, workflows.DelayInput{
		StepInput: workflows.StepInput{EnrollmentID: enrollment, Step: "settle", Visit: 1, At: until.Add(-24 * time.Hour)}, Until: until,
	})
	require.NoError(b, err)
}

func TestRetriesCountAsLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.publish("w", `[{"id": "settle", "delay": "1d"}, {"id": "it", "action": "send_webhook", "with": {"url": "`+b.world.WebhookURL("x")+`"}, "due_within": "2h"}, {"id": "rest", "delay": "1d"}]`)
	enrollment := b.enroll("w", "ada")
	due := office.Add(24 * time.Hour)
	b.settle(enrollment, due)
	b.world.Fail(world.Fault{Path: "/webhook/x", Status: 503, Times: 10})
	for _, by := range []time.Duration{time.Second, time.Hour, 2 * time.Hour} {
		_, err := b.try("send_webhook", workflows.StepInput{EnrollmentID: enrollment, Step: "it", At: due.Add(by), Timed: true})
		require.ErrorContains(t, err, "503")
	}

	require.Equal(t, workflows.Done, b.tries("send_webhook", enrollment, due.Add(2*time.Hour+time.Second)).Outcome)

	v := b.visit(enrollment, "it")
	require.Equal(t, []any{automation.StepSkipped, "2h0m1s late, due within 2h", 4}, []any{v.Status, v.What, v.Attempts})
	require.Empty(t, b.world.Outbox())
}

func TestTimeOutsideOfTheHoursDoesNotMakeAnActionLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.publish("w", `[{"id": "settle", "delay": "1d"}, {"id": "it", "action": "notify", "with": {"to": "ada", "text": "x"}, "due_within": "2h"}, {"id": "rest", "delay": "1d"}]`,
		`"triggers": [{"manual": true}]`, `"hours": {"windows": [{"from": "09:00", "to": "17:00"}]}`)
	for by, want := range map[time.Duration]automation.StepStatus{time.Hour: automation.StepDone, 3 * time.Hour: automation.StepSkipped} {
		enrollment := b.enroll("w", "ada")
		b.settle(enrollment, office.Add(20*time.Hour))
		require.Equal(t, workflows.Shut, b.tries("notify", enrollment, office.Add(20*time.Hour)).Outcome)
		require.Equal(t, workflows.Done, b.tries("notify", enrollment, office.Add(33*time.Hour+by)).Outcome)
		require.Equal(t, want, b.visit(enrollment, "it").Status, "counted from the opening")
		_, _, err := b.db.Unenroll(t.Context(), enrollment, "", "")
		require.NoError(t, err)
	}
}

// branch takes the way out of a step.
func (b *bench) branch(kind automation.StepKind, enrollment, step string) int {
	b.Helper()
	encoded, err := b.activity.ExecuteActivity(workflows.TakeBranchActivity, workflows.StepInput{EnrollmentID: enrollment, Step: step, Visit: 1, Kind: kind})
	require.NoError(b, err)
	var taken workflows.BranchResult
	require.NoError(b, encoded.Get(&taken))
	require.Equal(b, workflows.Done, taken.Outcome)
	return taken.Arm
}

func TestLaterStepsSeeWhatFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)
	b.publish("w", `[
		{"id": "it", "action": "notify", "with": {"to": "nobody", "text": "x"}, "on_error": "continue"},
		{"id": "by", "branch_on": {"step": "it"}, "cases": [{"is": "done"}, {"is": "Failed"}, {"else": true}]},
		{"id": "why", "branch_on": {"step": "it", "output": "error"}, "cases": [{"is": "it"}, {"else": true}]},
		{"id": "if", "branch": [{"if": {"step": "it", "op": "equals", "value": "failed"}}, {"else": true}]},
		{"id": "tell", "action": "notify", "with": {"to": "ada", "text": "{{ steps.it.outcome }}: {{ steps.it.error }}"}},
		{"id": "rest", "delay": "1d"}]`)
	enrollment := b.enroll("w", "ada")
	failed := b.fails("notify", enrollment)
	_, err := b.activity.ExecuteActivity(workflows.NoteFailureActivity, workflows.FailureInput{
		StepInput: workflows.StepInput{EnrollmentID: enrollment, Step: "it", Visit: 1}, Error: failed.Message(),
	})
	require.NoError(t, err)

	v := b.visit(enrollment, "it")
	require.Equal(t, []any{automation.StepFailed, "notify", properties{"outcome": "failed", "error": v.Error}}, []any{v.Status, v.Kind, v.Output})
	require.Equal(t, 1, b.branch(automation.BranchOnStep, enrollment, "by"))
	require.Equal(t, 1, b.branch(automation.BranchOnStep, enrollment, "why"))
	require.Equal(t, 0, b.branch(automation.BranchStep, enrollment, "if"))
	_, err = b.try("notify", workflows.StepInput{EnrollmentID: enrollment, Step: "tell"})
	require.NoError(t, err)
	list, err := b.db.Notifications(t.Context(), "ada", 0, 1)
	require.NoError(t, err)
	require.Equal(t, "failed: "+v.Error, list[0].Text)
	require.Contains(t, v.Error, "nobody")
	require.NotContains(t, failed.Message(), "nobody", "Temporal knows the kind of the failure only")
	require.Equal(t, automation.Active, b.enrollment(enrollment).Status)
}

func TestCaseIsTakenThatIsTheValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.declare(property("level", filter.Number), property("vip", filter.Bool), property("tags", filter.MultiEnum, "red", "green", "blue"), property("from", filter.Date))
	const cases = `"cases": [{"is": ["ŁÓDŹ", "Berlin"]}, {"is": 7}, {"is": true}, {"is": "green"}, {"is": "2027-03-01"}, {"is": "done"}, {"is": "200"}, {"else": true}]`
	const other = 7
	for i, c := range []struct {
		on   string
		user properties
		want int
	}{
		{`{"property": "city"}`, properties{"city": "łódź"}, 0},
		{`{"property": "city"}`, properties{"city": "BERLIN"}, 0},
		{`{"property": "city"}`, properties{"city": "Berlin "}, other},
		{`{"property": "city"}`, properties{}, other},
		{`{"property": "level"}`, properties{"level": 7.0}, 1},
		{`{"property": "level"}`, properties{"level": 7.5}, other},
		{`{"property": "vip"}`, properties{"vip": true}, 2},
		{`{"property": "vip"}`, properties{"vip": false}, other},
		{`{"property": "tags"}`, properties{"tags": []any{"red", "green"}}, 3},
		{`{"property": "tags"}`, properties{"tags": []any{"red"}}, other},
		{`{"property": "tags"}`, properties{"tags": []any{}}, other},
		{`{"property": "from"}`, properties{"from": "2027-03-01"}, 4},
		{`{"value": "{{ user.city | downcase | append: 'lin' }}"}`, properties{"city": "BER"}, 0},
		{`{"value": "{{ user.level | plus: 3 }}"}`, properties{"level": 4.0}, 1},
		{`{"value": "{{ user.nothing }}"}`, properties{}, other},
		{`{"step": "it"}`, properties{}, 5},
		{`{"step": "it", "output": "status"}`, properties{}, 6},
		{`{"step": "it", "output": "nothing"}`, properties{}, other},
		{`{"step": "never"}`, properties{}, other},
	} {
		name, user := fmt.Sprintf("w_%d", i), fmt.Sprintf("u_%d", i)
		if c.user["city"] != nil || strings.Contains(c.on, "city") {
			b.declare(property("city", filter.String))
		}
		if strings.Contains(c.on, "nothing }}") {
			b.declare(property("nothing", filter.String))
		}
		b.user(user, c.user)
		b.publish(name, `[{"id": "it", "action": "send_webhook", "with": {"url": "`+b.world.WebhookURL("x")+`"}},
			{"id": "by", "branch_on": `+c.on+`, `+cases+`}, {"id": "never", "delay": "1d"}]`)
		enrollment := b.enroll(name, user)
		if strings.Contains(c.on, `"it"`) {
			b.do("send_webhook", enrollment)
		}
		require.Equal(t, c.want, b.branch(automation.BranchOnStep, enrollment, "by"), "%s of %v", c.on, c.user)
	}
}

func TestSplitIsInProportionAndSticky(t *testing.T) {
	t.Parallel()
	const users = 10_000
	document, err := automation.ParseDocument([]byte(`{"name": "w", "triggers": [{"manual": true}], "steps": [
		{"id": "a", "split": [{"weight": 1}, {"weight": 3}, {"weight": 6}]}, {"id": "b", "split": [{"weight": 500}, {"weight": 500}]}]}`))
	require.NoError(t, err)
	set := activities.New(activities.Deps{})
	part := func(step, user, workflow, enrollment string) int {
		gate := &postgres.Gate{User: automation.User{ID: user}, Enrollment: automation.Enrollment{ID: enrollment, Workflow: workflow}}
		part, err := set.Choose(automation.SplitStep, step, postgres.Choice{Gate: gate, Version: &postgres.Published{Document: document}})
		require.NoError(t, err)
		return part
	}
	counts, both, elsewhere := [3]int{}, [3][2]int{}, 0
	for i := range users {
		user := fmt.Sprintf("u_%d", i)
		a, b := part("a", user, "w", "e_1"), part("b", user, "w", "e_1")
		counts[a]++
		both[a][b]++
		require.Equal(t, a, part("a", user, "w", "e_2"), "whichever enrollment it is")
		if part("a", user, "another", "e_1") == a {
			elsewhere++
		}
	}
	for i, weight := range []int{1, 3, 6} {
		share := users * weight / 10
		require.InDelta(t, share, counts[i], 200)
		require.InDelta(t, share/2, both[i][0], 150, "one split says nothing about another one")
	}
	require.InDelta(t, users*(1+9+36)/100, elsewhere, 250, "nor about that of another workflow")
}
