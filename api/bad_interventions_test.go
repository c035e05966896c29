package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

const nobodys = "01890a5d-ac96-774b-bcce-b302099a8057"

func TestABadInterventionIsRefused(t *testing.T) {
	t.Parallel()
	var rows []badInput
	for _, verb := range []string{"skip", "retry", "jump", "unenroll"} {
		row := func(name, request, body string, status int, slug string, places ...string) {
			rows = append(rows, badInput{name: verb + ": " + name, request: request, body: body, status: status, slug: slug, places: places})
		}
		at := func(id string) string { return "POST /v1/enrollments/" + id + "/" + verb }
		good := map[bool]string{true: `{"step":"tell"}`, false: ""}[verb == "jump"]
		row("B33 an id that is none", at("none"), good, 404, "not-found")
		row("B33 an id that is nobody's", at(nobodys), good, 404, "not-found")
		row("B10 an id that cannot be stored", at("%00"), good, 404, "not-found")
		row("B25 read", "GET /v1/enrollments/"+nobodys+"/"+verb, "", 405, "method-not-allowed")
		rows[len(rows)-1].allow = "POST"
		row("B15 null", at(nobodys), "null", 400, "schema-violation", "schema-violation")
		row("B15 a list", at(nobodys), "[]", 400, "schema-violation", "schema-violation")
		row("B2 a body that ends too early", at(nobodys), `{"reason":"`+canary, 400, "malformed-json")
		row("B4 a member twice", at(nobodys), `{"by":"a","by":"`+canary+`"}`, 400, "duplicate-member")
		row("B9 bytes that are not UTF-8", at(nobodys), "{\"by\":\"\xff\"}", 400, "invalid-utf8")
		row("B10 the character U+0000", at(nobodys), `{"by":"\u0000"}`, 400, "nul-character")
		row("B20 YAML", at(nobodys), "reason: x", 415, "unsupported-media-type")
		rows[len(rows)-1].headers = []string{"Content-Type: application/yaml"}
		also := map[bool][]string{true: {"schema-violation"}}[verb == "jump"] // no step
		row("B6 another member", at(nobodys), `{"force":true}`, 400, "unknown-field", append([]string{"/force unknown-field"}, also...)...)
		row("B15 numbers for texts", at(nobodys), `{"reason":1,"by":{}}`, 400, "schema-violation", append([]string{"/by schema-violation", "/reason schema-violation"}, also...)...)
		row("too long texts", at(nobodys), `{"reason":"`+strings.Repeat("x", 201)+`","by":"`+strings.Repeat("x", 201)+`"}`, 400, "schema-violation", append([]string{"/by schema-violation", "/reason schema-violation"}, also...)...)
	}
	rows = append(rows,
		badInput{name: "jump: no body", request: "POST /v1/enrollments/" + nobodys + "/jump", status: 400, slug: "malformed-json"},
		badInput{name: "jump: a step that is a number", request: "POST /v1/enrollments/" + nobodys + "/jump", body: `{"step":1}`, status: 400, slug: "schema-violation", places: []string{"/step schema-violation"}},
		badInput{name: "jump: null for a step", request: "POST /v1/enrollments/" + nobodys + "/jump", body: `{"step":null}`, status: 400, slug: "schema-violation", places: []string{"/step schema-violation"}},
	)
	refused(t, rows)
}

func TestAnInterventionThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	ends := func(status automation.EnrollmentStatus) func(s *service, id string) {
		return func(s *service, id string) {
			s.t.Helper()
			_, _, err := s.db.EndEnrollment(s.t.Context(), postgres.End{ID: id, Status: status, Reason: "as the test wants"})
			require.NoError(s.t, err)
		}
	}
	begins := func(s *service, id string) {
		s.t.Helper()
		_, err := s.db.BeginVisit(s.t.Context(), postgres.VisitRef{EnrollmentID: id, Step: "tell", Visit: 1}, "notify")
		require.NoError(s.t, err)
	}
	for _, c := range []struct {
		name       string
		given      func(s *service, id string)
		verb, body string
		status     int
		slug       string
		places     []string
	}{
		{name: "skipped before it begins", verb: "skip", status: 409, slug: "conflict"},
		{name: "tried again before it begins", verb: "retry", status: 409, slug: "conflict"},
		{name: "tried again while it waits", given: (*service).waits, verb: "retry", status: 409, slug: "conflict"},
		{name: "tried again while its action runs", given: begins, verb: "retry", status: 409, slug: "conflict"},
		{name: "skipped while its action runs", given: begins, verb: "skip", status: 409, slug: "conflict"},
		{name: "moved to a step that is not there", given: (*service).waits, verb: "jump", body: `{"step":"nowhere"}`, status: 422, slug: "unknown-step", places: []string{"/step unknown-step"}},
		{name: "moved to no step", verb: "jump", body: `{"step":""}`, status: 422, slug: "unknown-step", places: []string{"/step unknown-step"}},
		{name: "moved to a step with a long name", verb: "jump", body: `{"step":"` + strings.Repeat("x", 5000) + `"}`, status: 422, slug: "unknown-step", places: []string{"/step unknown-step"}},
		{name: "moved to a step that is not there after it failed", given: (*service).fails, verb: "jump", body: `{"step":"'; drop table visits; --"}`, status: 422, slug: "unknown-step", places: []string{"/step unknown-step"}},
		{name: "B81 skipped after its end", given: ends(automation.Completed), verb: "skip", status: 409, slug: "already-finished"},
		{name: "B81 tried again after its end", given: ends(automation.Completed), verb: "retry", status: 409, slug: "already-finished"},
		{name: "B81 moved after its end", given: ends(automation.Unenrolled), verb: "jump", body: `{"step":"tell"}`, status: 409, slug: "already-finished"},
		{name: "B81 taken out after its end", given: ends(automation.Completed), verb: "unenroll", status: 409, slug: "already-finished"},
		{name: "B80 taken out twice", given: ends(automation.Unenrolled), verb: "unenroll", status: 409, slug: "already-finished"},
		{name: "B81 taken out after it failed", given: (*service).fails, verb: "unenroll", status: 409, slug: "already-finished"},
		{name: "skipped where it did not fail at a step", given: ends(automation.Failed), verb: "skip", status: 409, slug: "conflict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t).seed()
			id := s.enroll("waiting", "u_1")
			if c.given != nil {
				c.given(s, id)
			}
			before := s.stored()
			p := s.do("POST", "/v1/enrollments/"+id+"/"+c.verb, c.body).wants(c.status, c.slug, c.places...)
			require.LessOrEqual(t, len(p.Detail), 200)
			require.Equal(t, before, s.stored())
		})
	}
}

func TestAnEnrollmentThatIsHeldTakesNoIntervention(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.guarded(2)[1]
	before := s.stored()
	for verb, body := range map[string]string{"skip": "", "retry": "", "jump": `{"step":"delay_1"}`} {
		s.do("POST", "/v1/enrollments/"+id+"/"+verb, body).wants(409, "conflict")
	}
	require.Equal(t, before, s.stored())
}

func TestABadRevivalIsRefused(t *testing.T) {
	t.Parallel()
	var rows []badInput
	for _, verb := range []string{"retry", "skip"} {
		request := "POST /v1/workflows/waiting/failed/" + verb
		failing := func(s *service) { s.fails(s.enroll("waiting", "u_1")) }
		bad := func(name, body string, status int, slug string, places ...string) {
			rows = append(rows, badInput{name: verb + ": " + name, request: request, body: body, status: status, slug: slug, places: places})
		}
		bad("B15 null", "null", 400, "schema-violation", "schema-violation")
		rows[len(rows)-1].given = failing // of one that would be tried, if it were taken for nothing
		bad("B15 null for a list", `{"enrollments":null}`, 422, "required", "/enrollments required")
		rows[len(rows)-1].given = failing
		bad("B15 a list", "[]", 400, "schema-violation", "schema-violation")
		bad("B15 a text for a list", `{"enrollments":"`+canary+`"}`, 400, "schema-violation", "/enrollments schema-violation")
		bad("B15 an object for a list", `{"enrollments":{}}`, 400, "schema-violation", "/enrollments schema-violation")
		bad("B15 a number for an id", `{"enrollments":["x",1]}`, 400, "schema-violation", "/enrollments/1 schema-violation")
		bad("B15 null for an id", `{"enrollments":[null]}`, 400, "schema-violation", "/enrollments/0 schema-violation")
		bad("B58 1,001 ids", some(strings.Split(strings.Repeat("x ", 1000), " ")...), 400, "schema-violation", "/enrollments schema-violation")
		bad("B15 a number for a step", `{"step":1}`, 400, "schema-violation", "/step schema-violation")
		bad("B6 another member", `{"ids":[]}`, 400, "unknown-field", "/ids unknown-field")
		bad("too long texts", `{"reason":"`+strings.Repeat("x", 201)+`","by":"`+strings.Repeat("x", 201)+`"}`, 400, "schema-violation", "/by schema-violation", "/reason schema-violation")
		bad("B2 a body that ends too early", `{"step":"`+canary, 400, "malformed-json")
		bad("B10 the character U+0000", `{"enrollments":["\u0000"]}`, 400, "nul-character")
		rows = append(rows,
			badInput{name: verb + ": B33 an unknown workflow", request: "POST /v1/workflows/none/failed/" + verb, status: 404, slug: "not-found"},
			badInput{name: verb + ": B33 an unknown workflow, with ids", request: "POST /v1/workflows/none/failed/" + verb, body: some(nobodys), status: 404, slug: "not-found"},
			badInput{name: verb + ": B10 a workflow that cannot be stored", request: "POST /v1/workflows/%00/failed/" + verb, status: 404, slug: "not-found"},
			badInput{name: verb + ": B25 read", request: "GET /v1/workflows/waiting/failed/" + verb, status: 405, slug: "method-not-allowed", allow: "POST"},
		)
	}
	refused(t, rows)
}

func TestAPublicationWithBadWishesIsRefused(t *testing.T) {
	t.Parallel()
	const publish = "POST /v1/workflows/waiting/publish"
	var rows []badInput
	bad := func(name, request, body string, status int, slug string, places ...string) {
		rows = append(rows, badInput{name: name, request: request, body: body, status: status, slug: slug, places: places})
	}
	inFlight := func(s *service) {
		s.waits(s.enroll("waiting", "u_1"))
		s.must(200, "PUT", "/v1/workflows/waiting", moved)
	}
	for _, request := range []string{publish, publish + "?dry_run=true"} {
		bad(request+" migrates to a step that is not there", request, `{"in_flight":"migrate","mapping":{"settle":"nowhere"}}`, 422, "unknown-step", "/mapping/settle unknown-step")
		rows[len(rows)-1].given = inFlight
		bad(request+" migrates from a step that never was", request, `{"in_flight":"migrate","mapping":{"setle":"pause"}}`, 422, "unknown-step", "/mapping/setle unknown-step")
		rows[len(rows)-1].given = inFlight
		bad(request+" migrates from nowhere to nowhere", request, `{"in_flight":"migrate","mapping":{"a/b":"","":"'; drop table visits; --"}}`, 422, "unknown-step",
			"/mapping/ unknown-step", "/mapping/ unknown-step", "/mapping/a~1b unknown-step", "/mapping/a~1b unknown-step")
		rows[len(rows)-1].given = inFlight
		bad(request+" with null for a mapping's step", request, `{"in_flight":"migrate","mapping":{"settle":null}}`, 400, "schema-violation", "/mapping/settle schema-violation")
		bad(request+" with a list for a mapping", request, `{"mapping":["settle"]}`, 400, "schema-violation", "/mapping schema-violation")
		bad(request+" with a number for a mapping's step", request, `{"mapping":{"settle":1}}`, 400, "schema-violation", "/mapping/settle schema-violation")
		bad(request+" with an unknown choice", request, `{"in_flight":"`+canary+`"}`, 400, "schema-violation", "/in_flight schema-violation")
		bad(request+" with a number for a choice", request, `{"in_flight":1,"existing":true}`, 400, "schema-violation", "/existing schema-violation", "/in_flight schema-violation")
		bad(request+" with too long a name", request, `{"by":"`+strings.Repeat("x", 201)+`"}`, 400, "schema-violation", "/by schema-violation")
		bad(request+" with a rate of 0", request, `{"rate":0}`, 400, "schema-violation", "/rate schema-violation")
		bad(request+" with a rate of 5,001", request, `{"rate":5001}`, 400, "schema-violation", "/rate schema-violation")
		bad(request+" with null", request, `null`, 400, "schema-violation", "schema-violation")
		bad(request+" with another member", request, `{"dry_run":true}`, 400, "unknown-field", "/dry_run unknown-field")
	}
	bad("a dry run that is no truth", publish+"?dry_run=maybe", "", 400, "schema-violation", "schema-violation")
	bad("a dry run that says nothing", publish+"?dry_run=", "", 400, "schema-violation", "schema-violation")
	bad("a dry run that is only named", publish+"?dry_run", "", 400, "schema-violation", "schema-violation")
	bad("a dry run in another case", publish+"?Dry_Run=true", "", 400, "schema-violation", "schema-violation")
	bad("B33 a dry run of an unknown workflow", "POST /v1/workflows/none/publish?dry_run=true", "", 404, "not-found")
	refused(t, rows)
}

func TestABadRequestToAWorkflowIsRefused(t *testing.T) {
	t.Parallel()
	var rows []badInput
	bad := func(name, request, body string, status int, slug string, places ...string) {
		rows = append(rows, badInput{name: name, request: request, body: body, status: status, slug: slug, places: places})
	}
	const resume, archive, enroll = "POST /v1/workflows/waiting/resume", "POST /v1/workflows/waiting/archive", "POST /v1/workflows/waiting/enrollments"
	paused := func(s *service) { s.must(200, "POST", "/v1/workflows/waiting/pause", "") }
	for _, c := range []struct{ name, body, slug, place string }{
		{"a rate of 0", `{"rate":0}`, "schema-violation", "/rate schema-violation"},
		{"a negative rate", `{"rate":-1}`, "schema-violation", "/rate schema-violation"},
		{"a rate of 5,001", `{"rate":5001}`, "schema-violation", "/rate schema-violation"},
		{"half a rate more", `{"rate":1.5}`, "schema-violation", "/rate schema-violation"},
		{"a rate that is a text", `{"rate":"100"}`, "schema-violation", "/rate schema-violation"},
		{"null", `null`, "schema-violation", "schema-violation"},
		{"another member", `{"speed":1}`, "unknown-field", "/speed unknown-field"},
	} {
		bad("a resumption with "+c.name, resume, c.body, 400, c.slug, c.place)
		rows[len(rows)-1].given = paused
	}
	for _, c := range []struct{ name, body, slug, place string }{
		{"an unknown choice", `{"enrollments":"` + canary + `"}`, "schema-violation", "/enrollments schema-violation"},
		{"no choice", `{"enrollments":""}`, "schema-violation", "/enrollments schema-violation"},
		{"ids", `{"enrollments":["` + nobodys + `"]}`, "schema-violation", "/enrollments schema-violation"},
		{"null", `null`, "schema-violation", "schema-violation"},
		{"another member", `{"unenroll":true}`, "unknown-field", "/unenroll unknown-field"},
	} {
		bad("an archiving with "+c.name, archive, c.body, 400, c.slug, c.place)
	}
	bad("time that is skipped where it is not allowed", enroll, `{"user_id":"u_1","fast_forward":true}`, 422, "fast-forward-unavailable")
	bad("time that is skipped for an unknown user", enroll, `{"user_id":"nobody","fast_forward":true}`, 422, "fast-forward-unavailable")
	bad("a text for a truth", enroll, `{"user_id":"u_1","fast_forward":"true"}`, 400, "schema-violation", "/fast_forward schema-violation")
	for _, verb := range []string{"approve", "reject"} {
		bad("B15 null for those to "+verb, "POST "+held+"/"+verb, `{"enrollments":null}`, 422, "required", "/enrollments required")
		rows[len(rows)-1].given = func(s *service) {
			s.must(201, "PUT", "/v1/users/u_2", `{}`)
			s.must(201, "PUT", "/v1/workflows/guarded", `{"guard": {"max_per_hour": 1}, "triggers": [{"manual": true}], "steps": [{"delay": "1h"}]}`)
			s.must(200, "POST", "/v1/workflows/guarded/publish", "")
			s.enroll("guarded", "u_1")
			s.enroll("guarded", "u_2")
		}
	}
	bad("an empty filter", "GET /v1/users?filter=", "", 400, "schema-violation", "schema-violation")
	bad("a filter that is only named", "GET /v1/users?filter", "", 400, "schema-violation", "schema-violation")
	bad("an empty instant", "GET /v1/workflows/waiting/explain?user=u_1&at=", "", 400, "schema-violation", "schema-violation")
	refused(t, rows)
}
