package activities_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
)

func TestSendSlackPostsToEveryKindOfRecipient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, to, channel, email string }{
		{"a channel", "#people", "#people", ""},
		{"a channel by its id", "C0123456", "C0123456", ""},
		{"an address", "x@example.com", "", "x@example.com"},
		{"a user of Rollcall", "cleo", "", "cleo@example.com"},
		{"a user with the prefix", "user:cleo", "", "cleo@example.com"},
		{"a user of a template", "{{ user.manager }}", "", "bob@example.com"},
		{"the manager", "manager", "", "bob@example.com"},
		{"a property with a user", "property:manager", "", "bob@example.com"},
		{"a property with a channel", "property:job_title", "#adas", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			people(b)
			b.user("ada", properties{"job_title": "#adas"})

			v := b.do("send_slack", b.step("w", "ada", "send_slack", map[string]any{"to": tt.to, "text": "Hello {{ user.first_name }}"}))

			message := b.only(world.KindSlack)
			require.Equal(t, tt.email, message.Email)
			if tt.channel != "" {
				require.Equal(t, tt.channel, message.Channel)
				require.Equal(t, "posted to "+tt.to, v.What)
			}
			require.Equal(t, "Hello Ada", message.Text)
			require.Equal(t, map[string]any{"ts": message.TS}, v.Output)
		})
	}
}

func TestValuesInASlackMessageCannotMention(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": "<!channel>", "last_name": "<https://example.com|bank> & co"})

	b.do("send_slack", b.step("w", "ada", "send_slack", `{"to": "#people", "text": "<!here> {{ user.first_name }} {{ user.last_name | upcase }}"}`))

	require.Equal(t, "<!here> &lt;!channel&gt; &lt;HTTPS://EXAMPLE.COM|BANK&gt; &amp; CO", b.only(world.KindSlack).Text)
}

func TestBlocksOfASlackMessageAreRenderedAndEscaped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("ada", properties{"first_name": "<!channel>", "last_name": `"}}, {"type": "evil`})

	b.do("send_slack", b.step("w", "ada", "send_slack", `{"to": "#people", "text": "new: {{ user.first_name }}", "blocks": [
		{"type": "header", "text": {"type": "plain_text", "text": "New colleague", "emoji": true}},
		{"type": "section", "fields": [{"type": "mrkdwn", "text": "<!here> *{{ user.first_name }}*"}, {"type": "mrkdwn", "text": "{{ user.last_name }}"}]},
		{"type": "divider"}]}`))

	message := b.only(world.KindSlack)
	require.Equal(t, "new: &lt;!channel&gt;", message.Text)
	require.JSONEq(t, `[
		{"type": "header", "text": {"type": "plain_text", "text": "New colleague", "emoji": true}},
		{"type": "section", "fields": [{"type": "mrkdwn", "text": "<!here> *&lt;!channel&gt;*"}, {"type": "mrkdwn", "text": "\"}}, {\"type\": \"evil"}]},
		{"type": "divider"}]`, string(message.Blocks))
}

func TestSendSlackFailsForGoodWhereItIsNotOneRecipient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	for name, tt := range map[string]struct{ to, message string }{
		"team":    {"team:support", "a message goes to one channel or person, not 2"},
		"two":     {"#people, #it", "a message goes to one channel or person, not 2"},
		"nobody":  {"team:nobody", `team "nobody" has no active members to send to`},
		"unknown": {"user:zoe", `there is no user "zoe" to send to`},
		"silent":  {"finn", `user "finn" has no email address to be found by in slack`},
	} {
		b.failsForGood("send_slack", b.step(name, "ada", "send_slack", map[string]any{"to": tt.to, "text": "x"}), tt.message)
	}
	require.Empty(t, b.world.Outbox())
}

func TestRefusalOfSlackIsJudged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	b.world.Fail(world.Fault{Path: "/slack/api/", Status: 200, Body: `{"ok": false, "error": "invalid_auth"}`})
	b.failsForGood("send_slack", b.step("auth", "ada", "send_slack", `{"to": "#people", "text": "x"}`), "slack answered invalid_auth")

	b.world.Fail(world.Fault{Path: "/slack/api/", Status: 200, Body: `{"ok": false, "error": "users_not_found"}`})
	b.failsForGood("send_slack", b.step("nobody", "ada", "send_slack", `{"to": "x@example.com", "text": "x"}`), "users_not_found")

	enrollment := b.step("busy", "ada", "send_slack", `{"to": "#people", "text": "x"}`)
	b.world.Fail(world.Fault{Path: "/slack/api/", Status: 429, RetryAfter: "37"})
	app := b.fails("send_slack", enrollment)
	require.False(t, app.NonRetryable())
	require.Equal(t, "status", app.Type())
	require.Equal(t, 37*time.Second, app.NextRetryDelay())
	require.Equal(t, automation.StepRunning, b.visit(enrollment, "it").Status)
	require.Contains(t, b.visit(enrollment, "it").Error, "429")

	app = b.fails("send_slack", enrollment)
	require.False(t, app.NonRetryable())
	require.Equal(t, "busy", app.Type())
	require.GreaterOrEqual(t, app.NextRetryDelay(), 30*time.Second)
	require.Contains(t, b.visit(enrollment, "it").Error, "the receiver asked to wait; next try in ")

	b.renew()
	b.do("send_slack", enrollment)
	require.Equal(t, "x", b.only(world.KindSlack).Text)
}

func TestSendSlackIsCheckedAtPublication(t *testing.T) {
	t.Parallel()
	require.Equal(t, automation.Problems{
		{Pointer: "/to", Code: "required", Message: "to is required"},
		{Pointer: "/text", Code: "required", Message: "text is required"},
	}, check(t, "send_slack", `{}`))
	require.Equal(t, problem("/to", "wrong-type", "must be a text, is a list"), check(t, "send_slack", `{"to": ["#a"], "text": "x"}`))
	require.Equal(t, problem("/to", "unknown-property", `there is no property "nmae"`), check(t, "send_slack", `{"to": "property:nmae", "text": "x"}`))
	require.Equal(t, problem("/text", "required", "text is required"), check(t, "send_slack", `{"to": "#a", "blocks": [{"type": "divider"}]}`))
	for blocks, want := range map[string]automation.Problems{
		`[{"type": "divider"}, {"text": "x"}]`: problem("/blocks/1/type", "required", "a block must have a type"),
		`[{"type": 7}]`:                        problem("/blocks/0/type", "required", "a block must have a type"),
		`[null]`:                               problem("/blocks/0/type", "required", "a block must have a type"),
		`[{"type": "{{ user.id }}"}]`:          problem("/blocks/0/type", "invalid-value", "the type of a block must not be a template"),
		`["divider"]`:                          problem("/blocks/0", "wrong-type", "must be an object, is a text"),
		`{"type": "divider"}`:                  problem("/blocks", "wrong-type", "must be a list, is an object"),
		`[{"type": "x", "text": ["{{ user.nmae }}"]}]`:                 problem("/blocks/0/text/0", "unknown-property", "the template asks for user.nmae, and there is no such property"),
		"[" + strings.Repeat(`{"type": "x"}, `, 50) + `{"type": "x"}]`: problem("/blocks", "too-many", "a message has at most 50 blocks"),
		"[" + strings.Repeat(`{"type": "x"}, `, 49) + `{"type": "x"}]`: nil,
	} {
		require.Equal(t, want, check(t, "send_slack", `{"to": "#a", "text": "x", "blocks": `+blocks+`}`), blocks)
	}
}
