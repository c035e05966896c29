package activities_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/postgres"
)

// badInput is a step that an author should not have written, or a value that a user should not have.
type badInput struct {
	name, kind string
	with       any    // of the step
	code       string // of the problem when the workflow is saved; "": it is taken
	run        string // what the error says when the step is carried out all the same; "": it is done
	rendered   string // what the params become then; "" does not matter
}

// textOf is the "with" of a notify step.
func textOf(text string) map[string]any { return map[string]any{"to": "ada", "text": text} }

// badInputs are the rows that concern templates and actions.
func badInputs() []badInput {
	const invalid = "template-invalid"
	hook := func(with string) string { return `{"url": "https://example.com/", ` + with + `}` }
	body := func(text string, n int) map[string]any {
		list := make([]any, n)
		for i := range list {
			list[i] = text
		}
		return map[string]any{"url": "https://example.com/", "body": list}
	}
	return []badInput{
		{"B97 a range without end", "notify", textOf("{% for i in (1..10000000000) %}{% endfor %}"), invalid, "numbers from 0 to 1000", ""},
		{"B97 a range without end, through a variable", "notify", textOf("{% assign n = event.n %}{% for i in (1..n) %}x{% endfor %}"), invalid, "numbers from 0 to 1000", ""},
		{"loops in loops", "notify", textOf(strings.Repeat("{% for i in (1..1000) %}", 4) + strings.Repeat("{% endfor %}", 4)), "", "does more than is allowed", ""},
		{"a table without end", "notify", textOf("{% tablerow i in (1..99999) %}{% endtablerow %}"), invalid, "numbers from 0 to 1000", ""},
		{"tables in tables", "notify", textOf("{% tablerow i in (1..1000) %}{% tablerow j in (1..1000) cols:1 %}x{% endtablerow %}{% endtablerow %}"), "", "longer than 262144 bytes", ""},
		{"cycles that do not end", "notify", textOf("{% for i in (1..1000) %}{% for j in (1..1000) %}{% cycle 'x', '" + strings.Repeat("y", 1000) + "' %}{% endfor %}{% endfor %}"), "", "longer than 262144 bytes", ""},
		{"B98 a text that doubles itself", "notify", textOf("{% assign s = 'ab' %}" + strings.Repeat("{% assign s = s | append: s %}", 40) + "{{ s }}"), "", "longer than 262144 bytes", ""},
		{"B98 a text that doubles itself in captures", "notify", textOf("{% assign s = 'ab' %}" + strings.Repeat("{% capture s %}{{ s }}{{ s }}{% endcapture %}", 40) + "{{ s }}"), "", "does more than is allowed", ""},
		{"a filter with a huge result", "notify", textOf("{{ user.last_name | replace: '', user.last_name }}"), "", "does more than is allowed", ""},
		{"a filter that splits into too much", "notify", textOf("{{ user.last_name | append: user.last_name | split: '' | size }}"), "", "longer than 262144 bytes", ""},
		{"a wide field of a date", "notify", textOf("{{ now | date: '%999999999Y' }}"), "", "does more than is allowed", ""},
		{"a wide field of a date, from data", "notify", textOf("{{ now | date: event.format }}"), "", "does more than is allowed", ""},
		{"a source that is too long", "notify", textOf("{{ user.id }}" + strings.Repeat("x", 64<<10)), invalid, "at most 65536 bytes", ""},
		{"tags that nest as deep as a source is long", "notify", textOf(strings.Repeat("{% if true %}", 2600) + "x" + strings.Repeat("{% endif %}", 2600)), "", "", `{"to":["ada"],"text":"x"}`},
		{"brackets that nest as deep as a source is long", "notify", textOf("x{{ user" + strings.Repeat("[user", 9000) + strings.Repeat("]", 9000) + " }}"), "", "", `{"to":["ada"],"text":"x"}`},
		{"thousands of texts in one step", "send_webhook", body("{{ user.last_name }}", 2000), "", "template of body: the texts of the step are longer than 1048576 bytes together", ""},
		{"thousands of loops in one step", "send_webhook", body("{% for a in (1..1000) %}{% for b in (1..100) %}{% endfor %}{% endfor %}", 2000), "", "template of body: the template does more than is allowed", ""},
		{"include", "notify", textOf("{% include '/etc/passwd' %}"), invalid, `undefined tag "include"`, ""},
		{"render", "notify", textOf("{% render '/etc/passwd' %}"), invalid, `undefined tag "render"`, ""},
		{"a tag that is not closed", "notify", textOf("Hello {{ user.first_name"), invalid, "is not closed", ""},
		{"a filter that there is not", "notify", textOf("{{ user.first_name | shout }}"), invalid, `there is no filter "shout"`, ""},
		{"a filter on nothing it can take", "notify", textOf("{{ user.first_name | date: '%Y' }}"), "", "can't convert a value to type time.Time", ""},
		{"a division by nothing", "notify", textOf("{{ 1 | divided_by: 0 }}"), "", "division by zero", ""},
		{"a number that is too large", "notify", textOf("{{ 99999999999999999999 }}"), invalid, "out of range", ""},

		{"B102 a property that there is not", "notify", textOf("Hello {{ user.nmae }}"), "unknown-property", "", `{"to":["ada"],"text":"Hello "}`},
		{"B102 a variable that there is not", "notify", textOf("Hello {{ usr.first_name }}"), "unknown-variable", "", `{"to":["ada"],"text":"Hello "}`},
		{"B102 a value that is not there", "notify", textOf("{{ user.phone }}"), "", "/text: text is required", ""},
		{"B102 a value that is not there, with a default", "notify", textOf("{{ user.phone | default: 'no phone' }}"), "", "", `{"to":["ada"],"text":"no phone"}`},
		{"B100 a value with template marks", "notify", textOf("Hello {{ user.first_name }}"), "", "", `{"to":["ada"],"text":"Hello {{ 7 | times: 7 }}<script>"}`},
		{"a value with a character that cannot be stored", "notify", textOf("{{ 'a%00b%ff' | url_decode }}"), "", "", `{"to":["ada"],"text":"ab` + "\uFFFD" + `"}`},
		{"a recipient that is left empty", "notify", `{"to": "{{ user.phone }}", "text": "x"}`, "", "/to: to is required", ""},

		{"D14 an action that there is not", "send_fax", `{}`, "unknown-action", `action send_fax`, ""},
		{"a member that there is not", "notify", `{"to": "ada", "text": "x", "txet": "y"}`, "unknown-field", `unknown field "txet"`, ""},
		{"a member of another type", "notify", `{"to": "ada", "text": 7}`, "wrong-type", "/text: must be a text", ""},
		{"D39 a template in the host", "send_webhook", `{"url": "https://{{ user.first_name }}/"}`, "template-in-host", "url", ""},
		{"a scheme that is no web's", "send_webhook", `{"url": "file:///etc/passwd"}`, "invalid-url", "must begin with https:// or http://", ""},
		{"a header that is ours", "send_webhook", hook(`"headers": {"Webhook-Signature": "x"}`), "invalid-header", "cannot be set", ""},
		{"a header whose value has a line break", "send_webhook", hook(`"headers": {"X-Name": "a\r\nX-Admin: 1"}`), "invalid-header", "holds a control character", ""},
		{"a header whose value gets a line break", "send_webhook", hook(`"headers": {"X-Name": "{{ event.lines }}"}`), "", "holds a control character", ""},
		{"a method that there is not", "send_webhook", hook(`"method": "BREW"`), "invalid-method", "GET, POST", ""},
		{"D42 a mail to nobody", "send_email", `{"to": "", "subject": "s", "body": "b"}`, "required", "/to: to is required", ""},
		{"a mail without a text", "send_email", `{"to": "ada", "subject": "s"}`, "required", "body or html is required", ""},
		{"a mail whose texts all come to nothing", "send_email", `{"to": "ada", "subject": "{{ user.phone }}", "body": "{{ user.phone }}"}`, "", "/subject: subject is required", ""},
		{"a message to nobody", "send_slack", `{"text": "x"}`, "required", "/to: to is required", ""},
		{"a row without values", "add_sheet_row", `{"spreadsheet": "s", "values": {}}`, "required", "values is required", ""},
		{"a property that is set and cleared", "set_property", `{"property": "phone", "value": "1", "clear": true}`, "mode-invalid", "exactly one of", ""},
		{"a property of the system", "set_property", `{"property": "created_at", "value": "2027-01-04"}`, "read-only-field", "", ""},
		{"a task that is due some time", "create_task", `{"title": "x", "due": "soon"}`, "invalid-date", "a task is due after", ""},
		{"a workflow whose name is none", "enroll", `{"workflow": "../w"}`, "invalid-name", "is no name of a workflow", ""},
		{"an output that templates cannot name", "format", `{"outputs": {"a b": "x"}}`, "invalid-name", "an output is 1 to 64 characters", ""},
		{"an output that would hide the outcome", "format", `{"outputs": {"outcome": "x"}}`, "invalid-name", "not outcome or error", ""},
	}
}

// TestBadInputs tries each when the workflow is saved, and again where it has come to be carried out.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	actions := activities.New(activities.Deps{})
	for _, row := range badInputs() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			document, err := automation.ParseDocument([]byte(`{"name": "w", "triggers": [{"event": "x"}], "steps": [
				{"id": "it", "action": "` + row.kind + `", "with": ` + text(t, row.with) + `}]}`))
			require.NoError(t, err)
			began := time.Now()
			problems := document.Validate(catalog(), schemaOfUsers())
			if row.code == "" {
				require.Empty(t, problems)
			} else {
				require.NotEmpty(t, problems)
				require.Equal(t, row.code, problems[0].Code)
				require.True(t, strings.HasPrefix(problems[0].Pointer, "/steps/0/"), "%s leads to the step", problems[0].Pointer)
			}

			done, err := rehearsed(actions, row.kind, document)

			require.Less(t, time.Since(began), 15*time.Second) // with the race detector, on a busy machine
			if row.run != "" {
				require.ErrorContains(t, err, row.run)
				require.NotContains(t, err.Error(), "<script>", "it tells no value")
				require.Less(t, len(err.Error()), 70<<10)
				return
			}
			require.NoError(t, err)
			if row.rendered != "" {
				require.JSONEq(t, row.rendered, string(done.With))
			}
		})
	}
}

// rehearsed carries out the step "it" for a user with odd values, up to its effect.
func rehearsed(actions *activities.Set, kind string, document *automation.Document) (activities.Rehearsed, error) {
	gate := &postgres.Gate{
		User: automation.User{ID: "ada", Properties: properties{
			"first_name": "{{ 7 | times: 7 }}<script>", "last_name": strings.Repeat("x", 60<<10),
		}},
		Enrollment: automation.Enrollment{ID: "e", Workflow: "w", Event: &automation.Event{Properties: properties{
			"n": 1e10, "format": "%999999999Y", "lines": "a\r\nX-Admin: 1",
		}}},
		Now: time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC),
	}
	version := &postgres.Published{Name: "w", Number: 1, Document: document}
	return actions.Rehearse(kind, version, gate, postgres.VisitRef{EnrollmentID: "e", Step: "it", Visit: 1}, func(compute activities.Computing) ([]automation.Change, error) {
		_, err := compute(&gate.User, schemaOfUsers())
		return nil, err
	})
}

// TestBadValuesStayWhatTheyAre carries them to where they could do harm.
func TestBadValuesStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	values := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `{{ 7 | times: 7 }}{% for i in (1..9) %}`, `<!channel> <@U1> <https://evil.example|bank>`,
		`", "admin": true, "x": "`, `\u0022},{`, `=HYPERLINK("https://evil.example")`, `+1`, `-1+2`, `@SUM(A1)`, "=1+2", `'; drop table users; --`, "ada\u202Egnp.exe", "𝔸da 🏳️‍🌈",
	}
	markup := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")
	mrkdwn := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	b := newBench(t).withSheets()
	for i, value := range values {
		user := fmt.Sprintf("u%d", i)
		b.user(user, properties{"first_name": value, "email": "ada@example.com"})
		name := func(kind string) string { return fmt.Sprintf("%s_%d", kind, i) }

		b.do("send_email", b.step(name("mail"), user, "send_email", `{"to": "{{ user.email }}", "subject": "Hi {{ user.first_name }}!", "body": "{{ user.first_name }}", "html": "<p title=\"{{ user.first_name }}\">{{ user.first_name }}</p>"}`))
		b.do("send_slack", b.step(name("slack"), user, "send_slack", `{"to": "#people", "text": "<!here> {{ user.first_name }}"}`))
		b.do("send_webhook", b.step(name("hook"), user, "send_webhook", `{"url": "`+b.world.WebhookURL("crm")+`", "body": {"name": "{{ user.first_name }}", "list": ["{{ user.first_name }}"]}}`))
		b.do("add_sheet_row", b.step(name("row"), user, "add_sheet_row", `{"spreadsheet": "staff", "values": {"Name": "{{ user.first_name }}"}}`))

		mails, messages, hooks, rows := b.sent(world.KindEmail), b.sent(world.KindSlack), b.sent(world.KindWebhook), b.sent(world.KindSheetRow)
		require.Equal(t, "Hi "+value+"!", mails[i].Subject)
		require.Equal(t, []string{"ada@example.com"}, mails[i].To)
		require.Equal(t, `<p title="`+markup.Replace(value)+`">`+markup.Replace(value)+`</p>`, strings.TrimSpace(mails[i].HTML))
		require.Equal(t, "<!here> "+mrkdwn.Replace(value), messages[i].Text)
		var sent any
		require.NoError(t, json.Unmarshal(hooks[i].Body, &sent))
		require.Equal(t, map[string]any{"name": value, "list": []any{value}}, sent)
		require.Equal(t, value, rows[i].Values["Name"], "a cell is text, never a formula")
	}
}

func TestAnErrorOfATemplateNamesTheStepAndNoValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": "secret-name", "phone": "secret-phone"})
	b.publish("w", `[{"id": "it", "title": "Greet", "action": "notify", "with": {"to": "ada", "text": "{{ user.first_name | date: user.phone }}"}}, {"id": "rest", "delay": "1d"}]`)
	enrollment := b.enroll("w", "ada")

	b.failsForGood("notify", enrollment, "template of text: line 1: can't convert a value to type time.Time")

	v := b.visit(enrollment, "it") // the entry of the step in the timeline
	require.NotContains(t, v.Error, "secret")
}
