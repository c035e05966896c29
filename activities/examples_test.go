package activities_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/postgres"
	"rollcall/workflows"
)

// scenario is what an example of an action meets, and what is to come of it. Ada goes through it, who
// is in support, and whose manager is Bob.
type scenario struct {
	before  func(b *bench)                // what there is before
	again   func(b *bench)                // what changes before Ada goes through it once more; nil: she does not
	effects func(b *bench, visit visitOf) // what came of it the first time
}

// visitOf is the visit of the step that the example is about.
type visitOf = automation.Visit

func scenarios() map[string]scenario {
	nothing := func(*bench) {}
	mentoring := func(b *bench) { b.publish("mentoring", `[{"id": "rest", "delay": "1d"}]`) }
	return map[string]scenario{
		"add_sheet_row": {before: withSheets, effects: func(b *bench, _ visitOf) {
			row := b.only(world.KindSheetRow)
			require.Equal(b, map[string]string{"Id": "ada", "Name": "Ada", "Note": "=1+2 is text"}, row.Values)
			require.Equal(b, "People", row.Sheet)
		}},
		"update_sheet_row": {before: withSheets, again: func(b *bench) { b.user("ada", properties{"first_name": "Ada L."}) }, effects: func(b *bench, v visitOf) {
			require.Equal(b, map[string]any{"found": false, "range": "People!A2:B2", "row": 2.0}, v.Output)
			rows := b.sent(world.KindSheetRow)
			require.Len(b, rows, 2)
			require.Equal(b, map[string]string{"Id": "ada", "Name": "Ada"}, rows[0].Values)
			require.Equal(b, map[string]string{"Id": "ada", "Name": "Ada L."}, rows[1].Values)
		}},
		"add_to_team": {again: nothing, effects: func(b *bench, v visitOf) {
			require.Equal(b, []any{"sales"}, b.value("ada", "teams"))
			require.Equal(b, true, v.Output["changed"])
		}},
		"remove_from_team": {again: nothing, effects: func(b *bench, v visitOf) {
			require.Nil(b, b.value("ada", "main_team"))
			require.Equal(b, map[string]any{"changed": true}, v.Output)
		}},
		"create_task": {effects: func(b *bench, v visitOf) {
			require.Equal(b, "bob", v.Output["assignee"])
			require.Equal(b, 1, b.count(`select count(*) from tasks where title = 'Order a laptop for Ada' and assignee = 'bob' and due_at > now() + interval '2 days'`))
		}},
		"enroll": {before: mentoring, again: nothing, effects: func(b *bench, v visitOf) {
			id, _ := v.Output["enrollment"].(string)
			require.Equal(b, "mentoring", b.enrollment(id).Workflow)
		}},
		"unenroll": {before: func(b *bench) { mentoring(b); b.enroll("mentoring", "ada") }, again: nothing, effects: func(b *bench, v visitOf) {
			require.Equal(b, map[string]any{"unenrolled": true}, v.Output)
			require.Equal(b, 1, b.count(`select count(*) from enrollments where definition = 'mentoring' and status = 'unenrolled' and reason = 'leaves the company'`))
		}},
		"format": {effects: func(b *bench, v visitOf) {
			require.Equal(b, map[string]any{"full": "Ada (no last name)", "initial": "A"}, v.Output)
			require.Equal(b, 1, b.count(`select count(*) from notifications where text = 'Sign as Ada (no last name) (A).'`))
		}},
		"notify": {effects: func(b *bench, v visitOf) {
			require.Equal(b, map[string]any{"users": []any{"bob", "cleo", "dan"}}, v.Output)
			require.Equal(b, 3, b.count(`select count(*) from notifications where text = 'How is Ada doing?'`))
		}},
		"send_email": {effects: func(b *bench, _ visitOf) {
			mail := b.only(world.KindEmail)
			require.Equal(b, []string{"ada@example.com", "bob@example.com"}, mail.To)
			require.Equal(b, "Welcome, Ada!", mail.Subject)
			require.Contains(b, mail.HTML, "<b>Ada</b>")
		}},
		"send_slack": {effects: func(b *bench, v visitOf) {
			message := b.only(world.KindSlack)
			require.Equal(b, "#people", message.Channel)
			require.Equal(b, "Please welcome *Ada*!", message.Text)
			require.Equal(b, message.TS, v.Output["ts"])
		}},
		"send_webhook": {effects: func(b *bench, _ visitOf) {
			hook := b.only(world.KindWebhook)
			require.JSONEq(b, `{"name": "Ada", "mail": "ada@example.com"}`, string(hook.Body))
			require.Equal(b, "Warsaw", hook.Headers["x-site"])
			require.True(b, *hook.Verified)
			require.Equal(b, 1, b.count(`select count(*) from notifications where text = 'Your badge is printed (200).'`))
		}},
		"call": {
			before: func(b *bench) {
				b.world.Fail(world.Fault{Path: "/webhook/", Status: 200, Body: `{"status": "success", "outputs": {"login": "ada"}}`})
			},
			again: func(b *bench) {
				b.world.Fail(world.Fault{Path: "/webhook/", Status: 200, Body: `{"status": "fail_continue", "error": "there is one"}`})
			},
			effects: func(b *bench, v visitOf) {
				require.Equal(b, map[string]any{"status": "success", "login": "ada"}, v.Output)
				require.Equal(b, 1, b.count(`select count(*) from notifications where text = 'Your account is ada.'`))
			},
		},
		"set_property": {again: nothing, effects: func(b *bench, v visitOf) {
			require.Equal(b, "Trainee in support", b.value("ada", "job_title"))
			require.Equal(b, true, v.Output["changed"])
		}},
	}
}

func withSheets(b *bench) { b.withSheets() }

// TestExamplesOfActionsDoWhatTheirPagesSay carries out the examples against a real database and the
// world. What a page says about outputs is what the runs gave.
func TestExamplesOfActionsDoWhatTheirPagesSay(t *testing.T) {
	t.Parallel()
	all := scenarios()
	require.Equal(t, catalog().Kinds(), slices.Sorted(maps.Keys(all)), "every action has an example that is run")
	for kind, s := range all {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			people(b)
			if s.before != nil {
				s.before(b)
			}
			d := b.example(kind)
			first := b.goThrough(d, kind)
			outputs := maps.Clone(first.Output)
			if s.again != nil {
				s.again(b)
				maps.Copy(outputs, b.goThrough(d, kind).Output)
			}
			s.effects(b, first)
			delete(outputs, "outcome") // every step has one
			wantOutputs(t, kind, outputs)
		})
	}
}

// wantOutputs compares the outputs that an action says it has with those that it gave.
func wantOutputs(t *testing.T, kind string, given map[string]any) {
	t.Helper()
	described, _ := catalog().Find(kind)
	names := maps.Clone(described.Outputs)
	free := names["<name>"] != ""
	delete(names, "<name>")
	for name := range names {
		require.Contains(t, given, name, "the page has an output that no run gave")
		delete(given, name)
	}
	if free {
		require.NotEmpty(t, given)
	} else {
		require.Empty(t, given, "the page lacks an output")
	}
}

// example publishes the example of an action, whose receivers are the world.
func (b *bench) example(kind string) *automation.Document {
	b.Helper()
	text := exampleOf(b.T, kind)
	shown, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(b, err)
	d, err := automation.ParseDocument(shown)
	require.NoError(b, err)
	require.Empty(b, d.Validate(catalog(), schemaOfUsers()))
	require.Contains(b, d.Actions(), kind)
	moved, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(text, "https://", "http://"+b.world.HTTPAddr()+"/webhook/")))
	require.NoError(b, err)
	d, err = automation.ParseDocument(moved)
	require.NoError(b, err)
	_, _, err = b.db.SaveDraft(b.Context(), d, "")
	require.NoError(b, err)
	_, err = b.db.Publish(b.Context(), d.Name, postgres.Existing{}, postgres.Migration{})
	require.NoError(b, err)
	return d
}

// goThrough takes Ada through the actions of an example, as Temporal does, to the end. It returns the
// visit of the one that it is about.
func (b *bench) goThrough(d *automation.Document, kind string) (about automation.Visit) {
	b.Helper()
	enrollment := b.enroll(d.Name, "ada")
	for _, step := range d.Steps {
		if step.Action == "" {
			continue // it only waits or leads somewhere
		}
		result, err := b.try(step.Action, workflows.StepInput{EnrollmentID: enrollment, Step: step.ID})
		require.NoError(b, err)
		require.Equal(b, workflows.Done, result.Outcome)
		if step.Action == kind {
			about = b.visit(enrollment, step.ID)
			require.Equal(b, automation.StepDone, about.Status)
		}
	}
	_, _, err := b.db.EndEnrollment(b.Context(), postgres.End{ID: enrollment, Status: automation.Completed})
	require.NoError(b, err)
	return about
}
