package activities_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/filter"
)

func TestSendEmailSendsOneMail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	enrollment := b.step("w", "ada", "send_email", `{
		"to": "{{ user.email }}", "cc": ["manager", "audit@example.com"], "subject": "Welcome, {{ user.first_name }}",
		"body": "Hello {{ user.first_name }} & co", "html": "<p>Hello {{ user.first_name }}</p>"}`)

	v := b.do("send_email", enrollment)

	mail := b.only(world.KindEmail)
	require.Equal(t, "rollcall@example.com", mail.From)
	require.Equal(t, []string{"ada@example.com", "audit@example.com", "bob@example.com"}, mail.To)
	require.Equal(t, "<ada@example.com>", mail.Headers["to"])
	require.Equal(t, "<audit@example.com>, <bob@example.com>", mail.Headers["cc"])
	require.Equal(t, "Welcome, Ada", mail.Subject)
	require.Equal(t, "Hello Ada & co", mail.Text)
	require.Equal(t, "<p>Hello Ada</p>", mail.HTML)
	require.Equal(t, automation.EffectKey(enrollment, "it", 1)+"@example.com", mail.MessageID)
	require.Equal(t, automation.EffectKey(enrollment, "it", 1), mail.Headers["x-rollcall-key"])
	require.Equal(t, "mailed 3 recipient(s)", v.What)
	require.Equal(t, map[string]any{"recipients": 3.0}, v.Output)
}

func TestSendEmailReachesEveryKindOfRecipient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, to string
		want     []string
	}{
		{"an address", `"x@example.com"`, []string{"x@example.com"}},
		{"several addresses", `["x@example.com", "y@example.com"]`, []string{"x@example.com", "y@example.com"}},
		{"several addresses in one text", `"x@example.com, y@example.com"`, []string{"x@example.com", "y@example.com"}},
		{"a user", `"cleo"`, []string{"cleo@example.com"}},
		{"a user with the prefix", `"user:cleo"`, []string{"cleo@example.com"}},
		{"the manager", `"manager"`, []string{"bob@example.com"}},
		{"a team", `"team:support"`, []string{"cleo@example.com", "dan@example.com"}},
		{"a property with an address", `"property:email"`, []string{"ada@example.com"}},
		{"a property with a user", `"property:buddy"`, []string{"cleo@example.com"}},
		{"a property with several users", `["property:watchers", "x@example.com"]`, []string{"bob@example.com", "dan@example.com", "x@example.com"}},
		{"one address twice", `["bob@example.com", "manager"]`, []string{"bob@example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			people(b)
			b.declare(property("buddy", filter.User), property("watchers", filter.Users))
			b.user("ada", properties{"buddy": "cleo", "watchers": []any{"dan", "bob"}})
			b.do("send_email", b.step("w", "ada", "send_email", `{"to": `+tt.to+`, "subject": "s", "body": "b"}`))
			require.ElementsMatch(t, tt.want, b.only(world.KindEmail).To)
		})
	}
}

func TestSendEmailNamesASenderAndWhereAnswersGo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	b.do("send_email", b.step("w", "ada", "send_email", `{"to": "ada", "subject": "s", "body": "b",
		"from_name": "{{ user.first_name }}'s \"Team\"", "reply_to": ["manager", "hr@example.com"]}`))
	mail := b.only(world.KindEmail)
	require.Equal(t, "rollcall@example.com", mail.From)
	require.Equal(t, `"Ada's \"Team\"" <rollcall@example.com>`, mail.Headers["from"])
	require.Equal(t, "<hr@example.com>, <bob@example.com>", mail.Headers["reply-to"])
	require.Equal(t, []string{"ada@example.com"}, mail.To)

	b.user("ada", properties{"first_name": "Ada\r\nBcc: mallory@example.com"})
	b.failsForGood("send_email", b.step("name", "ada", "send_email", `{"to": "ada", "subject": "s", "body": "b", "from_name": "{{ user.first_name }}"}`), "name of the sender holds a line break")
	b.failsForGood("send_email", b.step("reply", "ada", "send_email", `{"to": "ada", "subject": "s", "body": "b", "reply_to": "x@example.com\r\nBcc: y@example.com"}`), "address holds a line break")
	b.failsForGood("send_email", b.step("nobody", "ada", "send_email", `{"to": "ada", "subject": "s", "body": "b", "reply_to": "finn"}`), `user "finn" has no email address`)
	b.only(world.KindEmail)
}

func TestSendEmailFailsForGoodWhereNobodyCanBeReached(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	b.user("ada", properties{"job_title": "team:support"})
	for i, tt := range []struct{ name, to, message string }{
		{"an unknown user", `"user:zoe"`, `there is no user "zoe" to send to`},
		{"a name that is no address", `"zoe"`, "address must hold one @"},
		{"a user without an address", `"finn"`, `user "finn" has no email address`},
		{"a team without members", `"team:nobody"`, `team "nobody" has no active members to send to`},
		{"a property without a value", `"property:phone"`, `the user has no phone to send to`},
		{"a property that names a team", `"property:job_title"`, "address must hold one @"},
		{"an address with a name", `"Cleo <cleo@example.com>"`, "address has no valid"},
		{"an address with a line break", `"cleo@example.com\r\nBcc: mallory@example.com"`, "address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := b.in(t)
			b.failsForGood("send_email", b.step(fmt.Sprintf("w%d", i), "ada", "send_email", `{"to": `+tt.to+`, "subject": "s", "body": "b"}`), tt.message)
		})
	}
	t.Cleanup(func() { require.Empty(t, b.world.Outbox()) })
}

func TestValuesInAMailCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"email": "ada@example.com", "first_name": `<script>alert("1")</script>`, "teams": []any{"<b>", "'c'"}})

	b.do("send_email", b.step("w", "ada", "send_email", `{"to": "ada", "subject": "{{ user.first_name }}", "body": "{{ user.first_name }}",
		"html": "<p>{{ user.first_name }}</p>{% for t in user.teams %}<i>{{ t }}</i>{% endfor %}{% assign x = user.first_name | upcase %}{{ x }}"}`))

	mail := b.only(world.KindEmail)
	require.Equal(t, `<p>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;</p><i>&#39;c&#39;</i><i>&lt;b&gt;</i>&lt;SCRIPT&gt;ALERT(&#34;1&#34;)&lt;/SCRIPT&gt;`, mail.HTML)
	require.Equal(t, `<script>alert("1")</script>`, mail.Text)
	require.Equal(t, `<script>alert("1")</script>`, mail.Subject)
}

func TestValuesInAMailCannotInjectHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"email": "ada@example.com", "first_name": "Ada\r\nBcc: mallory@example.com\r\n\r\nbody", "job_title": "ada@example.com\nmallory@example.com"})

	b.failsForGood("send_email", b.step("subject", "ada", "send_email", `{"to": "ada", "subject": "Hi {{ user.first_name }}", "body": "b"}`), "subject holds a line break")
	b.failsForGood("send_email", b.step("to", "ada", "send_email", `{"to": "{{ user.job_title }}", "subject": "s", "body": "b"}`), "address holds a line break")
	b.failsForGood("send_email", b.step("cc", "ada", "send_email", `{"to": "ada", "cc": "{{ user.job_title }}", "subject": "s", "body": "b"}`), "address holds a line break")
	require.Empty(t, b.world.Outbox())

	b.do("send_email", b.step("body", "ada", "send_email", `{"to": "ada", "subject": "s", "body": "{{ user.first_name }}"}`))
	mail := b.only(world.KindEmail)
	require.Equal(t, []string{"ada@example.com"}, mail.To)
	require.NotContains(t, mail.Headers, "bcc")
	require.Equal(t, "Ada\nBcc: mallory@example.com\n\nbody\n", mail.Text)
}

func TestRefusalOfTheMailServerIsJudged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	enrollment := b.step("w", "ada", "send_email", `{"to": "ada", "subject": "s", "body": "b"}`)

	b.world.Fail(world.Fault{Path: "smtp", Status: 451, Body: "try again later"})
	app := b.fails("send_email", enrollment)
	require.False(t, app.NonRetryable())
	require.Equal(t, "rejected", app.Type())
	require.Equal(t, "it failed (rejected 451), the timeline says more", app.Message())
	v := b.visit(enrollment, "it")
	require.Equal(t, automation.StepRunning, v.Status)
	require.Contains(t, v.Error, "send mail: mail server answered 451")
	require.Nil(t, v.FinishedAt)
	require.Equal(t, 1, v.Attempts)

	v = b.do("send_email", enrollment)
	require.Equal(t, automation.StepDone, v.Status)
	require.Empty(t, v.Error)
	require.Equal(t, 2, v.Attempts)
	require.Equal(t, automation.EffectKey(enrollment, "it", 1)+"@example.com", b.only(world.KindEmail).MessageID)

	b.world.Fail(world.Fault{Path: "smtp", Status: 550, Body: "no such mailbox"})
	b.failsForGood("send_email", b.step("w2", "ada", "send_email", `{"to": "ada", "subject": "s", "body": "b"}`), "mail server answered 550")
}

func TestAnActionWhoseConnectorIsNotConfiguredFailsForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	b.register(activities.Deps{DB: b.db})
	for kind, tt := range map[string]struct{ with, message string }{
		"send_email":    {`{"to": "ada", "subject": "s", "body": "b"}`, "mail is not configured"},
		"send_slack":    {`{"to": "#people", "text": "x"}`, "slack is not configured"},
		"send_webhook":  {`{"url": "https://example.com/"}`, "webhooks are not configured"},
		"add_sheet_row": {`{"spreadsheet": "s", "values": {"A": "1"}}`, "google sheets is not configured"},
		"update_sheet_row": {
			`{"spreadsheet": "s", "lookup": {"column": "Id", "value": "1"}, "values": {"A": "1"}}`,
			"google sheets is not configured",
		},
	} {
		b.failsForGood(kind, b.step(kind, "ada", kind, tt.with), tt.message)
	}
}

func TestSendEmailIsCheckedAtPublication(t *testing.T) {
	t.Parallel()
	require.Equal(t, automation.Problems{
		{Pointer: "/to", Code: "required", Message: "to is required"},
		{Pointer: "/subject", Code: "required", Message: "subject is required"},
		{Pointer: "", Code: "required", Message: "body or html is required"},
	}, check(t, "send_email", `{}`))
	require.Equal(t, problem("/cc", "wrong-type", "must be a list, is true or false"), check(t, "send_email", `{"to": "ada", "cc": true, "subject": "s", "body": "b"}`))
	require.Empty(t, check(t, "send_email", `{"to": ["ada", "{{ user.email }}", "property:manager"], "subject": "s", "html": "<p>", "reply_to": "property:{{ user.phone }}", "from_name": "{{ user.first_name }}"}`))
	require.Equal(t, automation.Problems{
		{Pointer: "/to", Code: "unknown-property", Message: `there is no property "nmae"`},
		{Pointer: "/cc", Code: "invalid-value", Message: `the property "super_admin" names nobody: it is a bool`},
		{Pointer: "/reply_to", Code: "unknown-property", Message: `there is no property ""`},
		{Pointer: "/from_name", Code: "invalid-value", Message: "name of the sender must not look like an address"},
	}, check(t, "send_email", `{"to": "ada, property:nmae", "cc": ["property:super_admin"], "reply_to": "property:", "subject": "s", "body": "b", "from_name": "boss@example.com"}`))
}
