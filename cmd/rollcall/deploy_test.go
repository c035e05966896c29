package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	watched = `name: watched
triggers: [{ filter: { property: job_title, op: equals, value: lead } }]
steps: [{ id: tell, action: notify, with: { to: "{{ user.id }}", text: hello } }]
`
	weekly = `name: weekly
triggers: [{ schedule: { every: week, on: [monday], at: "09:00" } }]
steps: [{ id: tell, action: notify, with: { to: "{{ user.id }}", text: hello } }]
`
)

func TestPlanAndApply(t *testing.T) {
	t.Parallel()
	env := server(t)
	rollcall := func(args ...string) (string, error) {
		var out strings.Builder
		err := run(t.Context(), args, env, &out, io.Discard)
		return out.String(), err
	}
	must := func(args ...string) string {
		out, err := rollcall(args...)
		require.NoError(t, err, "%v: %s", args, out)
		return out
	}
	one, two := file(t, "watched.yaml", watched), file(t, "weekly.yaml", weekly)
	put := remoteOf(env)
	for id, title := range map[string]string{"u_1": "lead", "u_2": "lead", "u_3": "clerk"} {
		require.NoError(t, put.do(t.Context(), "PUT", "/v1/users/"+id, map[string]any{"properties": map[string]any{"job_title": title}}, nil))
	}

	out := must("plan", one, two)
	require.Regexp(t, `(?m)^watched +new +- +0 +-$`, out)
	require.Regexp(t, `(?m)^weekly +new +- +0 +\d{4}-\d\d-\d\dT09:00`, out)
	require.Equal(t, "watched is live as version 1\nweekly is live as version 1\n", must("apply", one, two))
	require.Regexp(t, `(?m)^watched +unchanged +2 +0`, must("plan", one))
	require.Equal(t, "watched is live as it is\n", must("apply", one))
	require.Regexp(t, `^u_3 is pending in watched: `, must("enroll", "watched", "u_3"))

	wider := file(t, "watched.yaml", strings.Replace(watched, "value: lead", "value: [lead, clerk]", 1))
	require.Regexp(t, `(?m)^watched +changed since version 1 +3 \(\+1 -0\) +1`, must("plan", wider))
	require.Equal(t, "watched is saved as a draft\n", must("apply", "--draft", wider))
	require.Equal(t, "watched is live as version 2\n", must("apply", "--in-flight", "migrate", wider))

	// One bad file keeps the others from being applied.
	bad := file(t, "bad.yaml", strings.Replace(weekly, "notify", "shout", 1))
	other := file(t, "other.yaml", strings.Replace(weekly, "weekly", "other", 1))
	out, err := rollcall("apply", other, bad)
	require.ErrorContains(t, err, "1 of 2 files cannot work")
	require.Contains(t, out, bad+": /steps/0/action unknown-action")
	_, err = rollcall("explain", "other", "u_1")
	require.ErrorContains(t, err, "404")
	_, err = rollcall("apply", wider+".missing")
	require.ErrorContains(t, err, "no such file")
	_, err = rollcall("apply", "--existing", "all", file(t, "w.yaml", strings.Replace(weekly, "on: [monday]", "on: [tuesday]", 1)))
	require.Error(t, err)
}

func TestEventsAndExplanations(t *testing.T) {
	t.Parallel()
	env := server(t)
	rollcall := func(args ...string) (string, error) {
		var out strings.Builder
		err := run(t.Context(), args, env, &out, io.Discard)
		return out.String(), err
	}
	put := remoteOf(env)
	require.NoError(t, put.do(t.Context(), "PUT", "/v1/users/u_1", map[string]any{"properties": map[string]any{"job_title": "clerk"}}, nil))
	out, err := rollcall("apply", file(t, "watched.yaml", watched))
	require.NoError(t, err, out)

	out, err = rollcall("events", "send", "survey.completed", "u_1", `{"score": 9}`, "--id", "e_1")
	require.NoError(t, err)
	require.Equal(t, "accepted: e_1\n", out)
	out, err = rollcall("events", "send", "survey.completed", "u_1", `{"score": 9}`, "--id", "e_1")
	require.NoError(t, err)
	require.Equal(t, "duplicate: e_1\n", out)
	_, err = rollcall("events", "send", "survey.completed", "u_1", `null`)
	require.ErrorContains(t, err, "must be an object in JSON")
	_, err = rollcall("events", "send", "survey.completed", "nobody")
	require.ErrorContains(t, err, "there is no such user")

	out, err = rollcall("explain", "watched", "u_1")
	require.NoError(t, err)
	require.Regexp(t, `^not enrolled: `, out)
	require.Regexp(t, `(?m)^trigger 0 \(filter\) +no`, out)
	require.Regexp(t, `(?m)^  job_title equals +no +saw clerk`, out)
	_, err = rollcall("explain", "watched", "u_1", "--at", "yesterday")
	require.Error(t, err)
	_, err = rollcall("enroll", "nothing", "u_1")
	require.ErrorContains(t, err, "404")
}
