package activities_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/workflows"
)

func TestTemplatesSpeakOfUserEventStepsEnrollmentAndWorkflow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": "Ada", "scheduling_pages": 3.0, "super_admin": true, "teams": []any{"support", "sales"}})
	b.publish("w", `[
		{"id": "first", "action": "set_property", "with": {"property": "job_title", "value": "Lead"}},
		{"id": "it", "action": "notify", "with": {"to": "ada", "text": "`+strings.Join([]string{
		"{{ user.id }} {{ user.first_name }} {{ user.scheduling_pages }} {{ user.super_admin }} {{ user.teams | join: ',' }} {{ user.teams.size }} {{ user.job_title }} [{{ user.last_name }}]",
		"{{ event.id }} {{ event.name }} {{ event.occurred_at }} {{ event.amount }} {{ event.properties.amount }} {{ event.plan.name }} {{ event.properties.name }}",
		"{{ steps.first.changed }} {{ steps.first.new }} [{{ steps.first.old }}] [{{ steps.rest.new }}]",
		"{{ enrollment.id }} {{ enrollment.temporal_workflow_id }} {{ enrollment.trigger }}",
		"{{ workflow.name }} {{ workflow.title }} {{ workflow.version }}",
	}, `\n`)+`"}},
		{"id": "rest", "delay": "1d"}]`, `"triggers": [{"event": "bought"}]`, `"title": "What was bought"`)
	_, err := b.db.AppendEvents(t.Context(), []automation.Event{{
		ID: "e_1", Name: "bought", UserID: "ada", OccurredAt: time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC),
		Properties: properties{"amount": 12.5, "plan": map[string]any{"name": "gold"}, "name": "not the event's"},
	}})
	require.NoError(t, err)
	enrollment := b.evaluate(0)[0]
	_, err = b.try("set_property", workflows.StepInput{EnrollmentID: enrollment, Step: "first"})
	require.NoError(t, err)

	b.do("notify", enrollment)

	list, err := b.db.Notifications(t.Context(), "ada", 0, 10)
	require.NoError(t, err)
	require.Equal(t, "ada Ada 3 true sales,support 2 Lead []\n"+
		"e_1 bought 2027-01-04T09:00:00Z 12.5 12.5 gold not the event's\n"+
		"true Lead [] []\n"+
		enrollment+" w/ada/1 event\n"+
		"w What was bought 1", list[0].Text)
}

func TestTemplatesSpeakOfTheTimeInTheirZone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"time_zone": "Asia/Tokyo"})
	b.user("bob", nil)
	for i, tt := range []struct{ zone, user, want string }{
		{"Europe/Warsaw", "ada", "Europe/Warsaw"}, {"user", "ada", "Asia/Tokyo"}, {"user", "bob", "UTC"}, {"UTC", "ada", "UTC"},
	} {
		name := fmt.Sprintf("w%d", i)
		b.publish(name, `[{"id": "it", "action": "set_property", "with": {"property": "job_title", "value": "{{ now | date: '%Y-%m-%d %z' }}"}}, {"id": "rest", "delay": "1d"}]`,
			`"triggers": [{"manual": true}]`, `"time_zone": "`+tt.zone+`"`)
		zone, err := time.LoadLocation(tt.want)
		require.NoError(t, err)
		before := time.Now().In(zone).Format("2006-01-02 -0700")
		b.do("set_property", b.enroll(name, tt.user))
		after := time.Now().In(zone).Format("2006-01-02 -0700")
		require.Contains(t, []any{before, after}, b.value(tt.user, "job_title"), tt)
	}
}

func TestTemplatesInAPropertyAreText(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": "{{ 7 | times: 7 }}", "last_name": "{% for i in (1..9) %}x{% endfor %}"})

	b.do("notify", b.step("w", "ada", "notify", `{"to": "ada", "text": "{{ user.first_name }} {{ user.last_name | upcase }}"}`))

	list, err := b.db.Notifications(t.Context(), "ada", 0, 10)
	require.NoError(t, err)
	require.Equal(t, "{{ 7 | times: 7 }} {% FOR I IN (1..9) %}X{% ENDFOR %}", list[0].Text)
}

func TestTemplatesLoopOverWhatChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"job_title": "Dev", "phone": "1"})
	b.evaluate(0)
	b.publish("w", `[{"id": "it", "action": "notify", "with": {"to": "ada",
		"text": "{% for p in event.changed %}{{ forloop.index }}. {{ p }} was “{{ event.old[p] }}” and is “{{ event.new[p] }}”. {% endfor %}"}}, {"id": "rest", "delay": "1d"}]`,
		`"triggers": [{"event": "user.updated"}]`)
	b.user("ada", properties{"job_title": "Lead", "phone": nil, "last_name": "L."})

	b.do("notify", b.evaluate(0)[0])

	list, err := b.db.Notifications(t.Context(), "ada", 0, 10)
	require.NoError(t, err)
	require.Equal(t, "1. job_title was “Dev” and is “Lead”. 2. last_name was “” and is “L.”. 3. phone was “1” and is “”. ", list[0].Text)
}

func TestATemplateThatCannotBeRenderedFailsForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": "Ada", "job_title": strings.Repeat("x", 60<<10)})
	for name, tt := range map[string]struct{ template, message string }{
		"zero":  {"{{ 1 | divided_by: 0 }}", `template of text: line 1: error applying filter "divided_by" ("division by zero")`},
		"type":  {"{{ user.first_name | date: '%Y' }}", "template of text: line 1: can't convert a value to type time.Time"},
		"panic": {"{{ user.first_name | slice: 2, -5 }}", "template of text: runtime error: slice bounds out of range"},
		"long":  {"{{ user.job_title }}{{ user.job_title }}{{ user.job_title }}{{ user.job_title }}{{ user.job_title }}", "template of text: the text is longer than 262144 bytes"},
		"empty": {"{{ user.last_name }}", "text is required"},
	} {
		b.failsForGood("notify", b.step(name, "ada", "notify", map[string]any{"to": "ada", "text": tt.template}), tt.message)
	}
}

func TestRenderedTextsCanBeStored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", nil)

	b.do("set_property", b.step("w", "ada", "set_property", `{"property": "job_title", "value": "{{ 'a%00b%ffc' | url_decode }}"}`))

	require.Equal(t, "ab\uFFFDc", b.value("ada", "job_title"))
}

func TestTemplatesAreCheckedAtPublication(t *testing.T) {
	t.Parallel()
	const prefix = "the template does not parse: "
	for _, tt := range []struct{ name, template, code, message string }{
		{"an unknown property", "{{ user.nmae }}", "unknown-property", "the template asks for user.nmae, and there is no such property"},
		{"an unknown property in a condition", "{% if user.nmae == 'x' %}{% endif %}", "unknown-property", "the template asks for user.nmae, and there is no such property"},
		{"an unknown property in a clause", "{% if true %}{% elsif user.nmae %}{% endif %}", "unknown-property", "the template asks for user.nmae, and there is no such property"},
		{"an unknown property in a loop", "{% for t in user.team %}{% endfor %}", "unknown-property", "the template asks for user.team, and there is no such property"},
		{"an unknown property in an assignment", "{% assign x = user.nmae | upcase %}", "unknown-property", "the template asks for user.nmae, and there is no such property"},
		{"an unknown variable", "{{ usr.first_name }}", "unknown-variable", "the template asks for usr, and there is no such variable; there are enrollment, event, now, steps, user, workflow"},
		{"an unknown variable in brackets", "{{ user[nmae] }}", "unknown-variable", "the template asks for nmae"},
		{"an unknown variable in an argument", "{{ 'a' | append: nmae, other: 1 }}", "unknown-variable", "the template asks for nmae"},
		{"an unknown variable in a loop", "{% for t in team limit: 2 reversed %}{{ forloop.index }}{{ t }}{% endfor %}", "unknown-variable", "the template asks for team"},
		{"an unknown variable in a clause", "{% case event.plan %}{% when gold %}{% endcase %}", "unknown-variable", "the template asks for gold"},
		{"an unknown variable in a condition", "{% unless true and user.id contains nmae %}{% endunless %}", "unknown-variable", "the template asks for nmae"},
		{"an unknown variable in an assignment", "{% assign x = nmae %}{{ x }}", "unknown-variable", "the template asks for nmae"},
		{"a block that is not ended", "{% if user.id %}", "template-invalid", prefix + `line 1: unterminated "if" block`},
		{"a block that is not begun", "{% endif %}", "template-invalid", prefix + "line 1: endif not inside"},
		{"no expression", "{{ | }}", "template-invalid", prefix + `line 1: syntax error in "|"`},
		{"braces that are not closed", "Hi {{ user.first_name }", "template-invalid", prefix + `a "{{" or "{%" is not closed`},
		{"a tag that is not closed", "{% if true", "template-invalid", prefix + `a "{{" or "{%" is not closed`},
		{"an unknown tag", "{% iff true %}", "template-invalid", prefix + `line 1: undefined tag "iff"`},
		{"an unknown filter", "{{ user.id | upcsae }}", "template-invalid", prefix + `there is no filter "upcsae"`},
		{"an unknown filter in a tag", "{% assign x = 'a' | upcase | bogus: 1 %}", "template-invalid", prefix + `there is no filter "bogus"`},
		{"the filter that goes round the escaping", "{{ user.id | safe }}", "template-invalid", prefix + `there is no filter "safe"`},
		{"include", "{% include 'secrets.txt' %}", "template-invalid", prefix + `line 1: undefined tag "include"`},
		{"render", "{% render 'secrets.txt' %}", "template-invalid", prefix + `line 1: undefined tag "render"`},
		{"the tag of the meter", "{% pay -1000000 %}", "template-invalid", prefix + `line 1: undefined tag "pay"`},
		{"a number that is too large", "{{ 99999999999999999999 }}", "template-invalid", prefix + `strconv.ParseInt: parsing "99999999999999999999": value out of range`},
		{"an endless range", "{% for i in (1..10000000000) %}{% endfor %}", "template-invalid", prefix + "the bounds of a range are numbers from 0 to 1000 that are written out, such as (1..10)"},
		{"a long range", "{% for i in (1..1001) %}{% endfor %}", "template-invalid", prefix + "the range (1..1001) must count up to 1000 at most"},
		{"a range that counts down", "{{ (3..1) | join }}", "template-invalid", prefix + "the range (3..1) must count up to 1000 at most"},
		{"a range up to a property", "{% for i in (1..user.scheduling_pages) %}{% endfor %}", "template-invalid", prefix + "the bounds of a range are numbers"},
		{"a range up to a variable", "{% assign n = 9999999999 %}{% for i in (1..n) %}{% endfor %}", "template-invalid", prefix + "the bounds of a range are numbers"},
		{"a range of texts", `{% for i in ("1".."9999999999") %}{% endfor %}`, "template-invalid", prefix + "the bounds of a range are numbers"},
		{"a range in an output", "{{ (1..1000000000) | join | size }}", "template-invalid", prefix + "the bounds of a range are numbers"},
		{"a range behind a quote", `{{ "\"" | append: '"' }}{% for i in (1..99999) %}"{% endfor %}`, "template-invalid", prefix + "the bounds of a range are numbers"},
		{"a range in a clause", "{% case 1 %}{% when (1..99999) %}{% endcase %}", "template-invalid", prefix + "the bounds of a range are numbers"},
		{"a range among good ones", "{% for i in (1..3) %}{% for j in (1..i) %}{% endfor %}{% endfor %}", "template-invalid", prefix + "the bounds of a range are numbers"},
		{"a source that is too long", "{{ user.id }}" + strings.Repeat("x", 64<<10), "template-invalid", prefix + "a template has at most 65536 bytes"},

		{"braces in raw text", "{% raw %}{{ user.nmae | bogus }} {{ (1..99999) {% endraw %}", "", ""},
		{"braces in a comment", "{% comment %}{{ user.nmae | bogus }}{% endcomment %}", "", ""},
		{"a property in a text", "{{ 'ask user.nmae (1..n) | bogus' }}", "", ""},
		{"a property of something else", "{{ event.user.nmae }} {{ steps.superuser.nmae }}", "", ""},
		{"the longest range", "{% for i in (0 .. 1000) %}{{ i }}{% endfor %}", "", ""},
		{"every tag", "{% assign a = 1 %}{% capture b %}x{% endcapture %}{% case a %}{% when 1 or 2 %}{% else %}{% endcase %}" +
			"{% unless a %}{% endunless %}{% for i in user.teams limit:2 offset:1 reversed %}{% cycle 'x', 'y' %}{% continue %}{% else %}{% endfor %}", "", ""},
		{"variables of its own", "{% assign a-b = 'x' | upcase %}{% capture c %}{{ a-b }}{% endcapture %}{% for d in user.teams offset:continue %}{{ d }}{{ c | default: nil, allow_false: true }}{{ event.plan['x y'].z[0] }}{% endfor %}", "", ""},
		{"trimmed tags", "{%- if user.id -%} {{- user.first_name | default: 'there' -}} {%- endif -%}", "", ""},
		{"no template", "{ user.nmae } % }}", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			problems := check(t, "notify", map[string]any{"to": "ada", "text": "x" + tt.template})
			if tt.code == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.Equal(t, "/text", problems[0].Pointer)
			require.Equal(t, tt.code, problems[0].Code)
			require.Contains(t, problems[0].Message, tt.message)
		})
	}
}
