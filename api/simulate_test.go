package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	simulation = "/v1/workflows/adults/simulate"
	ada        = `"user":{"id":"u_1","properties":{"age":30,"first_name":"Ada"}},"start":"2027-03-01T10:00:00+01:00"`
	greets     = `"triggers":[{"manual":true}],"time_zone":"Europe/Warsaw","steps":[
		{"id":"call","action":"send_webhook","with":{"url":"https://example.com/x","body":{"name":"{{ user.first_name }}"}}},
		{"id":"settle","delay":"3d"},{"id":"reply","wait_for":{"event":"reply"}},{"id":"end","exit":{"reason":"done"}}]`
)

func TestASimulationTellsWhatWouldHappenAndStoresNothing(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10)
	before := s.stored()

	a := s.must(200, "POST", simulation, `{"workflow":{`+greets+`},`+ada+`,"events":[{"at":"2027-03-07T08:00:00Z","name":"reply","properties":{"score":9}}]}`)

	require.JSONEq(t, `{
		"status": "completed", "reason": "done", "ended_at": "2027-03-07T08:00:00Z",
		"timeline": [
			{"at":"2027-03-01T09:00:00Z","local":"Mon 1 Mar 2027 10:00:00 CET","step":"call","visit":1,"kind":"send_webhook",
			 "what":"send_webhook {\"url\":\"https://example.com/x\",\"body\":{\"name\":\"Ada\"}}",
			 "with":{"url":"https://example.com/x","body":{"name":"Ada"}},"output":{"status":200}},
			{"at":"2027-03-01T09:00:00Z","local":"Mon 1 Mar 2027 10:00:00 CET","step":"settle","visit":1,"kind":"delay",
			 "what":"waits until Thu 4 Mar 2027 10:00:00 CET","until":"2027-03-04T09:00:00Z","shown":"Thu 4 Mar 2027 10:00:00 CET"},
			{"at":"2027-03-04T09:00:00Z","local":"Thu 4 Mar 2027 10:00:00 CET","step":"reply","visit":1,"kind":"wait_for",
			 "what":"waits for reply: reply happened Sun 7 Mar 2027 09:00:00 CET","finished_at":"2027-03-07T08:00:00Z",
			 "output":{"outcome":"happened","which":0,"event":{"id":"event_1","name":"reply","occurred_at":"2027-03-07T08:00:00Z","score":9}}},
			{"at":"2027-03-07T08:00:00Z","local":"Sun 7 Mar 2027 09:00:00 CET","step":"end","visit":1,"kind":"exit","what":"ends here: done"}
		]}`, string(a.body))
	o := s.openAPI()
	var v any
	require.NoError(t, json.Unmarshal(a.body, &v))
	require.Empty(t, o.faults(o.answer("post /v1/workflows/{name}/simulate 200"), v, ""))
	require.Equal(t, before, s.stored())
}

func TestTheSavedDraftIsSimulatedWhereNoneIsGiven(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10)
	s.must(200, "PUT", "/v1/workflows/adults", `{`+greets+`}`)
	for until, want := range map[string][]any{
		"":                                {"waiting", "reply", "waits for reply"},
		`,"until":"2027-03-02T00:00:00Z"`: {"active", "settle", nil},
		`,"changes":[{"at":"2027-03-01T12:00:00Z","properties":{"age":null}}]`: {"waiting", "reply", "waits for reply"},
	} {
		r := s.must(200, "POST", simulation, `{`+ada+until+`}`).object()
		require.Equal(t, want, []any{r["status"], r["step"], r["reason"]}, until)
	}
}

func TestASimulationWithoutAStartBeginsNow(t *testing.T) {
	t.Parallel()
	s := start(t).ages(10)
	r := s.must(200, "POST", simulation, `{"workflow":{`+greets+`},"user":{"id":"u_1"}}`).object()
	require.Equal(t, "waiting", r["status"])
}

func TestABadSimulationIsRefused(t *testing.T) {
	t.Parallel()
	with := func(member string) string { return `{"workflow":{` + greets + `},` + ada + `,` + member + `}` }
	bad := func(name, body, slug string, places ...string) badInput {
		return badInput{name: name, request: "POST " + strings.Replace(simulation, "adults", "waiting", 1), body: body, status: 422, slug: slug, places: places}
	}
	unread := func(name, body, slug string, places ...string) badInput {
		b := bad(name, body, slug, places...)
		b.status = 400
		return b
	}
	known := strings.Replace(ada, `"age":30,`, "", 1)
	ok := strings.ReplaceAll(with(`"x":1`), ada, known)
	events := `"events":[` + strings.TrimSuffix(strings.Repeat(`{"at":"2027-03-07T08:00:00Z","name":"reply"},`, 1001), ",") + `]`
	rows := []badInput{
		bad("a bad definition", `{"workflow":{"triggers":[],"steps":[{"id":"act","action":"send_fax"}]},`+known+`}`, "definition-invalid", "/workflow/steps/0/action unknown-action", "/workflow/triggers no-trigger"),
		bad("a definition of another workflow", `{"workflow":{"name":"other",`+greets+`},`+known+`}`, "definition-invalid", "/workflow/name name-differs"),
		bad("a bad user", `{"workflow":{`+greets+`},"user":{"id":"a/b","properties":{"colour":"`+canary+`","first_name":1}}}`, "invalid-user-id",
			"/user/id invalid-user-id", "/user/properties/colour unknown-property", "/user/properties/first_name wrong-type"),
		bad("a bad event", strings.Replace(ok, `"x":1`, `"events":[{"at":"2057-03-07T08:00:00Z","name":""}]`, 1), "out-of-range", "/events/0/at out-of-range", "/events/0/name event-invalid"),
		bad("a change before the start", strings.Replace(ok, `"x":1`, `"changes":[{"at":"2026-03-07T08:00:00Z","properties":{}}]`, 1), "out-of-range", "/changes/0/at out-of-range"),
		bad("an end before the start", strings.Replace(ok, `"x":1`, `"until":"2026-03-07T08:00:00Z"`, 1), "out-of-range", "/until out-of-range"),
		bad("too many events", strings.Replace(ok, `"x":1`, events, 1), "too-many", "/events too-many"),
		bad("a loop without end", `{"workflow":{"triggers":[{"manual":true}],"steps":[{"id":"a","delay":"4w"},{"goto":"a"}]},`+known+`}`, "simulation-too-long", "simulation-too-long"),
		unread("nothing", "", "malformed-json"),
		unread("no user", `{}`, "schema-violation", "schema-violation"),
		unread("an unknown member", ok, "unknown-field", "/x unknown-field"),
		unread("an unknown member of an event", strings.Replace(ok, `"x":1`, `"events":[{"at":"2027-03-07T08:00:00Z","name":"reply","colour":1}]`, 1), "unknown-field", "/events/0/colour unknown-field"),
		unread("an event without an instant", strings.Replace(ok, `"x":1`, `"events":[{"name":"reply"}]`, 1), "schema-violation", "/events/0 schema-violation"),
		unread("an instant without a zone", strings.Replace(ok, `"x":1`, `"until":"2027-03-07"`, 1), "schema-violation", "/until schema-violation"),
		unread("properties that are a list", `{"user":{"id":"u_1","properties":[]}}`, "schema-violation", "/user/properties schema-violation"),
		{name: "B33 an unknown workflow", request: "POST /v1/workflows/none/simulate", body: `{` + known + `}`, status: 404, slug: "not-found"},
		{name: "a large body", request: "POST /v1/workflows/waiting/simulate", body: fmt.Sprintf(`{%s,"x":%q}`, known, strings.Repeat("x", 1<<20)), status: 413, slug: "payload-too-large"},
	}
	refused(t, rows)
}
