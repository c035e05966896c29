package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/api"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
	"rollcall/simulate"
	"rollcall/triggers"
)

// server is an API over a database of its own.
func server(t *testing.T) func(string) string {
	t.Helper()
	actions := activities.New(activities.Deps{})
	db, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.New(t), Catalog: actions.Catalog()})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	metrics := triggers.NewMetrics(registry)
	starter := triggers.NewStarter(triggers.StarterConfig{DB: db, Log: log, Metrics: metrics})
	handler := api.New(api.Deps{
		DB: db, Catalog: actions.Catalog(), Metrics: registry, Log: log,
		Pump: triggers.NewPump(db, starter, log, metrics), Starter: starter, Scheduler: triggers.NewScheduler(db, starter, log),
		Simulate: simulate.New(actions, db.Prepare).Run, Keys: []string{"a key that is long"},
	})
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return environment(map[string]string{"ROLLCALL_API": s.URL + "/", "ROLLCALL_API_KEY": "a key that is long"})
}

// file writes a file into a folder of its own.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const follow = `
name: follow-up
time_zone: Europe/Warsaw
triggers: [{ event: signed_up }]
unenroll: { when: { property: status, op: equals, value: deactivated } }
steps:
  - { id: hello, action: notify, with: { to: u_2, text: "Hello, {{ user.first_name }} from {{ event.plan }}" } }
  - { id: settle, delay: 1d }
  - { id: hello_again, goto: hello, at_most: 1 }
  - { id: reply, wait_for: { event: answered, at_most: 2w } }
`

const adaFile = "id: u_1\nproperties: { first_name: Ada }\n"

func TestSimulatePrintsATable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := run(t.Context(), []string{
		"simulate", file(t, "w.yaml", follow), "--user", file(t, "ada.yaml", adaFile), "--start", "2027-03-27T09:00:00+01:00",
		"--at", `+0 signed_up {"plan": "pro"}`, "--at", "2027-04-02T09:00:00Z ignored", "--change", `+5d {"status": "deactivated"}`,
	}, server(t), &out, io.Discard)

	require.NoError(t, err)
	require.Equal(t, `TIME                           STEP             WHAT
Sat 27 Mar 2027 09:00:00 CET   hello            notify {"to":["u_2"],"text":"Hello, Ada from pro"}
Sat 27 Mar 2027 09:00:00 CET   settle           waits until Sun 28 Mar 2027 10:00:00 CEST
Sun 28 Mar 2027 10:00:00 CEST  hello_again      goes to hello (1 of 1)
Sun 28 Mar 2027 10:00:00 CEST  hello (2)        notify {"to":["u_2"],"text":"Hello, Ada from pro"}
Sun 28 Mar 2027 10:00:00 CEST  settle (2)       waits until Mon 29 Mar 2027 10:00:00 CEST
Mon 29 Mar 2027 10:00:00 CEST  hello_again (2)  goes on, it went to hello once
Mon 29 Mar 2027 10:00:00 CEST  reply            waits for answered, at most 2w: taken out: unenroll.when holds

2027-04-01T08:00:00Z unenrolled: unenroll.when holds
`, out.String())
}

func TestSimulatePrintsTheAnswerAsJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := run(t.Context(), []string{
		"simulate", file(t, "w.json", `{"name":"w","triggers":[{"manual":true}],"steps":[{"id":"end","exit":{}}]}`),
		"--user", file(t, "ada.json", `{"id":"u_1"}`), "--start", "2027-03-27T09:00:00Z", "--json",
	}, server(t), &out, io.Discard)
	require.NoError(t, err)
	require.JSONEq(t, `{"status":"completed","ended_at":"2027-03-27T09:00:00Z","timeline":[
		{"at":"2027-03-27T09:00:00Z","local":"Sat 27 Mar 2027 09:00:00 UTC","step":"end","visit":1,"kind":"exit","what":"ends here"}]}`, out.String())
	require.True(t, json.Valid(out.Bytes()))
}

func TestSimulateFails(t *testing.T) {
	t.Parallel()
	ada := file(t, "ada.yaml", adaFile)
	good := file(t, "w.yaml", follow)
	bad := file(t, "bad.yaml", "name: w\ntriggers: []\nsteps: [{ id: act, action: send_fax }]\n")
	unread := file(t, "unread.yaml", "name: w\ncolour: red\n")
	strange := file(t, "strange.yaml", "id: u_1\nproperties: { colour: red }\n")
	fails := file(t, "fails.yaml", "name: w\ntriggers: [{ manual: true }]\nsteps: [{ id: mail, action: send_email, with: { to: '{{ user.email }}', subject: x, body: y } }]\n")
	environment := server(t)
	for name, c := range map[string]struct {
		args []string
		want string
		out  string
	}{
		"with the problems of the workflow": {
			[]string{bad, "--user", ada},
			"there are 2 problems",
			bad + ": /triggers no-trigger a workflow has at least one trigger; { \"manual\": true } enrolls on request only\n" + bad + ": /steps/0/action unknown-action ",
		},
		"with problems of its form":     {[]string{unread, "--user", ada}, "there is a problem", unread + ": /colour unknown-field "},
		"with the problems of the user": {[]string{good, "--user", strange}, "there is a problem", strange + ": /properties/colour unknown-property "},
		"with an event that is refused": {[]string{good, "--user", ada, "--at", "+1d user.created"}, "there is a problem", "/events/0/name event-invalid "},
		"when the enrollment fails":     {[]string{fails, "--user", ada}, "the enrollment fails: step mail: ", "mail  failed: "},
		"without a user":                {[]string{good}, `required flag(s) "user" not set`, ""},
		"without such a file":           {[]string{"/nowhere.yaml", "--user", ada}, "open /nowhere.yaml", ""},
		"with a user that is a list":    {[]string{good, "--user", file(t, "list.yaml", "- a\n")}, "holds no object in YAML or JSON", ""},
		"with a bad start":              {[]string{good, "--user", ada, "--start", "monday"}, `--start: "monday" is no instant`, ""},
		"with a bad event":              {[]string{good, "--user", ada, "--at", "+2x login"}, `--at "+2x login": "2x" is not an amount of time`, ""},
		"with bad properties":           {[]string{good, "--user", ada, "--at", "+2d login [1]"}, "the properties must be an object in JSON", ""},
		"with properties that are null": {[]string{good, "--user", ada, "--at", "+2d login null"}, "the properties must be an object in JSON", ""},
		"with a bad change":             {[]string{good, "--user", ada, "--change", "later {}"}, `--change "later {}": "later" is no instant`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), append([]string{"simulate"}, c.args...), environment, &out, io.Discard)
			require.ErrorContains(t, err, c.want)
			require.Contains(t, out.String(), c.out)
		})
	}
}

func TestGraphDrawsWithoutAServer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"graph", file(t, "w.yaml", follow)}, environment(nil), &out, io.Discard))
	require.Equal(t, `flowchart TD
  start(["follow-up<br/>signed_up"])
  start --> n1
  n1["hello<br/>notify"]
  n1 --> n2
  n2(["settle<br/>wait 1d"])
  n2 --> n3
  n3[/"hello_again<br/>go to hello"/]
  n3 -.->|"at most once"| n1
  n3 -->|"then"| n4
  n4(["reply<br/>wait for answered, at most 2w"])
  n4 --> done
  done(["end"])
`, out.String())
}

func TestGraphListsProblems(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := file(t, "w.yaml", "name: w\nsteps: [{ id: a, goto: b }]\n")
	err := run(t.Context(), []string{"graph", w}, environment(nil), &out, io.Discard)
	require.ErrorContains(t, err, "there is a problem")
	require.Equal(t, w+": /steps/0/goto unknown-step there is no step \"b\"\n", out.String())
}

// TestTheManualShowsWhatIsPrinted runs the example of the page for authors.
func TestTheManualShowsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/writing-workflows.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(page), "## Try it first\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(section, -1)
	require.Len(t, blocks, 3, "a workflow, a user, a command with what it prints")
	command, want, _ := strings.Cut(blocks[2][1], "\n")
	args := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(strings.TrimPrefix(command, "$ rollcall "), -1)
	for i, arg := range args {
		args[i] = strings.Trim(arg, "'")
	}
	args[1], args[3] = file(t, args[1], blocks[0][1]), file(t, args[3], blocks[1][1])

	var out bytes.Buffer
	require.NoError(t, run(t.Context(), args, server(t), &out, io.Discard))

	require.Equal(t, want, out.String())
}
