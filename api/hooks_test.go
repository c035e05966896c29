package api_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/api"
	"rollcall/automation"
)

const payroll = "/v1/hooks/payroll"

// hook makes a hook and returns where to deliver.
func (s *service) hook(name, mapping string) (path string) {
	s.t.Helper()
	path, _ = s.must(201, "PUT", "/v1/hooks/"+name, mapping).object()["path"].(string)
	require.Regexp(s.t, `^/v1/hooks/rch_[A-Za-z0-9_-]{43}$`, path)
	return path
}

// delivered is the stored event of an id: user, name and properties.
func (s *service) delivered(id string) (user, name string, properties map[string]any) {
	s.t.Helper()
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), `select user_id, name, properties from events where id = $1`, id).Scan(&user, &name, &properties))
	return user, name, properties
}

func TestAHookIsMadeChangedAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	made := s.must(201, "PUT", payroll, `{"user":{"id":"/employee"},"properties":{"grade":"/grade"}}`).object()
	token := made["token"].(string)
	require.Equal(t, "/v1/hooks/"+token, made["path"])
	require.Equal(t, "webhook.payroll", made["event"])
	require.Equal(t, map[string]any{"id": "/employee"}, made["user"])

	changed := s.must(200, "PUT", payroll, `{"user":{"property":"email","is":"/mail"},"event_id":"/id"}`)
	read := s.get(payroll)
	require.JSONEq(t, string(changed.body), string(read.body))
	items, next := s.get("/v1/hooks").items()
	require.Len(t, items, 1)
	require.Empty(t, next)
	for _, a := range []answer{changed, read, s.get("/v1/hooks")} {
		require.NotContains(t, string(a.body), token[4:], "a token is shown once")
	}
	s.get("/v1/hooks/none").wants(404, "not-found")
	s.do("POST", "/v1/hooks/none/rotate", "").wants(404, "not-found")
	s.do("DELETE", "/v1/hooks/none", "").wants(404, "not-found")
	s.must(204, "DELETE", payroll, "")
	s.do("POST", "/v1/hooks/"+token, `{"mail":"x"}`).wants(404, "not-found")
}

func TestABadHookIsRefused(t *testing.T) {
	t.Parallel()
	put := func(name, hook, body string, status int, slug string, places ...string) badInput {
		return badInput{name: name, request: "PUT /v1/hooks/" + hook, body: body, status: status, slug: slug, places: places}
	}
	refused(t, []badInput{
		put("a name in capitals", "Payroll", `{"user":{"id":"/id"}}`, 422, "invalid-name", "/name invalid-name"),
		put("a name that looks like a token", "rch_payroll", `{"user":{"id":"/id"}}`, 422, "invalid-name", "/name invalid-name"),
		put("a name of 65 characters", strings.Repeat("x", 65), `{"user":{"id":"/id"}}`, 422, "invalid-name", "/name invalid-name"),
		put("no user", "p", `{}`, 400, "schema-violation", "schema-violation"),
		put("a user by nothing", "p", `{"user":{}}`, 422, "hook-user-invalid", "/user hook-user-invalid"),
		put("a user by two things", "p", `{"user":{"id":"/a","property":"email","is":"/b"}}`, 422, "hook-user-invalid", "/user hook-user-invalid"),
		put("an unknown property", "p", `{"user":{"property":"`+canary[:6]+`","is":"/b"}}`, 422, "unknown-property", "/user/property unknown-property"),
		put("a property of another type", "p", `{"user":{"property":"super_admin","is":"/b"}}`, 422, "wrong-type", "/user/property wrong-type"),
		put("a user who cannot be created", "p", `{"user":{"property":"email","is":"/b"},"create":true}`, 422, "create-not-taken", "/create create-not-taken"),
		put("no pointer", "p", `{"user":{"id":"employee.id"},"event_id":"x"}`, 422, "pointer-invalid", "/event_id pointer-invalid", "/user/id pointer-invalid"),
		put("an unknown member", "p", `{"user":{"id":"/a"},"secret":"`+canary+`"}`, 400, "unknown-field", "/secret unknown-field"),
		put("a member twice", "p", `{"user":{"id":"/a"},"user":{"id":"/b"}}`, 400, "duplicate-member"),
	})
}

func TestDeliveriesAreMapped(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(200, "PATCH", "/v1/users/u_1", `{"properties":{"email":"ada@example.com"}}`)
	s.must(201, "PUT", "/v1/users/4711", `{}`)
	for _, tt := range []struct {
		name, mapping, body string
		user                string
		properties          map[string]any
	}{
		{"the whole body", `{"user":{"id":"/user"}}`, `{"user":"u_1","pay":{"net":[1,null]}}`, "u_1", map[string]any{"user": "u_1", "pay": map[string]any{"net": []any{1.0, nil}}}},
		{"a list", `{"user":{"id":"/0"}}`, `["u_1"]`, "u_1", map[string]any{}},
		{"chosen properties", `{"user":{"id":"/employee/id"},"properties":{"net":"/pay/net/0","all":"","none":"/none"}}`, `{"employee":{"id":4711},"pay":{"net":[1]}}`, "4711", map[string]any{"net": 1.0, "all": map[string]any{"employee": map[string]any{"id": 4711.0}, "pay": map[string]any{"net": []any{1.0}}}}},
		{"a user by an address", `{"user":{"property":"email","is":"/m~1ail"},"properties":{"x":"/x"}}`, `{"m/ail":"ada@example.com"}`, "u_1", map[string]any{}},
		{"a user by a number", `{"user":{"property":"age","is":"/n"},"properties":{"x":"/x"}}`, `{"n":36,"x":"y"}`, "u_1", map[string]any{"x": "y"}},
	} {
		path := s.hook("h-"+strings.ReplaceAll(tt.name, " ", "-"), tt.mapping)
		a := s.must(202, "POST", path, tt.body, "Authorization:")
		require.Equal(t, "accepted", a.object()["status"], tt.name)
		user, name, properties := s.delivered(a.object()["id"].(string))
		require.Equal(t, []any{tt.user, "webhook.h-" + strings.ReplaceAll(tt.name, " ", "-"), tt.properties}, []any{user, name, properties}, tt.name)
	}
	at := func(path, body string) (at time.Time) {
		id := s.must(202, "POST", path, body).object()["id"]
		require.NoError(t, s.conn.QueryRow(t.Context(), `select occurred_at from events where id = $1`, id).Scan(&at))
		return at.UTC()
	}
	path := s.hook("timed", `{"user":{"id":"/user"},"occurred_at":"/at"}`)
	require.Equal(t, time.Date(2025, 11, 22, 9, 0, 0, 0, time.UTC), at(path, `{"user":"u_1","at":"2025-11-22T10:00:00+01:00"}`))
	require.Equal(t, time.Unix(1763805600, 0).UTC(), at(path, `{"user":"u_1","at":1763805600}`))
	require.WithinDuration(t, time.Now(), at(path, `{"user":"u_1"}`), time.Minute)
}

func TestABadDeliveryIsRefusedAndNothingIsStored(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/users/u_2", `{"properties":{"age":36}}`)
	byID := s.hook("by-id", `{"user":{"id":"/user"},"event_id":"/id","occurred_at":"/at"}`)
	creates := s.hook("creates", `{"user":{"id":"/user"},"create":true}`)
	byAge := s.hook("by-age", `{"user":{"property":"age","is":"/age"}}`)
	before := s.stored()
	big := `{"user":"u_1","text":"` + strings.Repeat("x", 33<<10) + `"}`
	for _, tt := range []struct {
		name, path, body string
		headers          []string
		status           int
		slug             string
		places           []string
	}{
		{"nothing", byID, ``, nil, 400, "malformed-json", nil},
		{"no JSON", byID, `{"user":` + canary, nil, 400, "malformed-json", nil},
		{"a member twice", byID, `{"user":"u_1","user":"u_2"}`, nil, 400, "duplicate-member", nil},
		{"NUL", byID, `{"user":"u_1\u0000"}`, nil, 400, "nul-character", nil},
		{"deep", byID, strings.Repeat("[", 40) + strings.Repeat("]", 40), nil, 400, "json-too-deep", nil},
		{"invalid UTF-8", byID, "{\"user\":\"\xff\"}", nil, 400, "invalid-utf8", nil},
		{"a form", byID, `user=u_1`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported-media-type", nil},
		{"compressed", byID, `{}`, []string{"Content-Encoding: gzip"}, 415, "unsupported-encoding", nil},
		{"over a megabyte", byID, `{"user":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "payload-too-large", nil},
		{"properties of 33 KiB", byID, big, nil, 413, "payload-too-large", []string{"payload-too-large"}},
		{"properties of 33 KiB of nobody yet", creates, strings.Replace(big, "u_1", "u_9", 1), nil, 413, "payload-too-large", []string{"payload-too-large"}},
		{"no user", byID, `{"usr":"` + canary + `"}`, nil, 422, "required", []string{"/user required"}},
		{"a user that is none", byID, `{"user":["` + canary + `"]}`, nil, 422, "wrong-type", []string{"/user wrong-type"}},
		{"an id that nobody can have", creates, `{"user":"a/b"}`, nil, 422, "invalid-user-id", []string{"/user invalid-user-id"}},
		{"an unknown user", byID, `{"user":"u_9"}`, nil, 422, "unknown-user", nil},
		{"an unknown value", byAge, `{"age":99}`, nil, 422, "unknown-user", nil},
		{"a value of two users", byAge, `{"age":36}`, nil, 422, "ambiguous-user", []string{"/age ambiguous-user"}},
		{"a value of another type", byAge, `{"age":"36"}`, nil, 422, "wrong-type", []string{"/age wrong-type"}},
		{"an id that is too long", byID, `{"user":"u_1","id":"` + strings.Repeat("x", 256) + `"}`, nil, 422, "event-invalid", []string{"/id event-invalid"}},
		{"an id that is none", byID, `{"user":"u_1","id":{"` + canary + `":1}}`, nil, 422, "wrong-type", []string{"/id wrong-type"}},
		{"a header of 256 characters", byID, `{"user":"u_1"}`, []string{"webhook-id: " + strings.Repeat("x", 256)}, 400, "invalid-idempotency-key", nil},
		{"a header that cannot be seen", byID, `{"user":"u_1"}`, []string{"Idempotency-Key: a b"}, 400, "invalid-idempotency-key", nil},
		{"no time", byID, `{"user":"u_1","at":"` + canary + `"}`, nil, 422, "invalid-date", []string{"/at invalid-date"}},
		{"the year 1970", byID, `{"user":"u_1","at":0}`, nil, 422, "timestamp-too-old", []string{"/at timestamp-too-old"}},
		{"the year 9999", byID, `{"user":"u_1","at":"9999-01-01T00:00:00Z"}`, nil, 422, "timestamp-in-future", []string{"/at timestamp-in-future"}},
		{"several faults", byID, `{"id":[],"at":1}`, nil, 422, "required", []string{"/at timestamp-too-old", "/id wrong-type", "/user required"}},
		{"an address with a query", byID + "?x=1", `{"user":"u_1"}`, nil, 400, "schema-violation", []string{"schema-violation"}},
	} {
		a := s.do("POST", tt.path, tt.body, tt.headers...)
		require.Equal(t, tt.status, a.status, "%s: %s", tt.name, a.body)
		a.wants(tt.status, tt.slug, tt.places...)
		require.Equal(t, before, s.stored(), tt.name)
	}
}

func TestADeliveryOfAnUnknownUserCreatesOneWhereTheHookSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := s.hook("payroll", `{"user":{"id":"/user"},"create":true,"event_id":"/id"}`)
	s.must(201, "PUT", "/v1/workflows/both", `{"triggers":[{"event":"user.created"}],"steps":[{"delay":"1h"}]}`)
	s.must(200, "POST", "/v1/workflows/both/publish", "")
	s.must(202, "POST", path, `{"user":"u_new","id":1}`)
	s.must(200, "POST", path, `{"user":"u_new","id":1}`)
	require.Equal(t, "u_new", s.get("/v1/users/u_new").object()["id"])
	changes, _ := s.get("/v1/users/u_new/history").items()
	require.Equal(t, "webhook.payroll", changes[0]["source"])
	require.Equal(t, 1, s.sent())
	s.pumpAll()
	items, _ := s.get("/v1/enrollments?user=u_new").items()
	require.Equal(t, []any{"both"}, column(items, "workflow"))
}

func TestADeliveryThatIsRepeatedCountsOnce(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/users/u_2", `{}`)
	path := s.hook("payroll", `{"user":{"id":"/user"},"event_id":"/id"}`)
	other := s.hook("other", `{"user":{"id":"/user"},"event_id":"/id"}`)
	const body = `{"user":"u_1"}`
	for _, tt := range []struct {
		name, body, id string
		headers        []string
	}{
		{"by what the body says", `{"user":"u_1","id":"e_1"}`, "e_1", []string{"webhook-id: w_0", "Idempotency-Key: k_0"}},
		{"by a number in the body", `{"user":"u_1","id":12}`, "12", nil},
		{"by webhook-id", body, "w_1", []string{"webhook-id: w_1", "Idempotency-Key: k_0"}},
		{"by Idempotency-Key", body, "k_1", []string{"Idempotency-Key: k_1"}},
	} {
		before := s.sent()
		first := s.must(202, "POST", path, tt.body, tt.headers...)
		require.JSONEq(t, fmt.Sprintf(`{"id":"webhook.payroll/%s","status":"accepted"}`, tt.id), string(first.body), tt.name)
		for range 2 {
			again := s.must(200, "POST", path, tt.body, tt.headers...)
			require.JSONEq(t, fmt.Sprintf(`{"id":"webhook.payroll/%s","status":"duplicate"}`, tt.id), string(again.body), tt.name)
		}
		require.Equal(t, before+1, s.sent(), tt.name)
		s.must(202, "POST", other, tt.body, tt.headers...) // ids are those of one hook
		s.do("POST", path, strings.Replace(tt.body, "u_1", "u_2", 1), tt.headers...).wants(422, "event-id-taken")
	}
	before := s.sent()
	for range 2 {
		s.must(202, "POST", path, body)
	}
	require.Equal(t, before+2, s.sent(), "nothing tells them apart, so each counts")
}

func TestAThousandDeliveriesOfOneThingAreOneEvent(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := s.hook("payroll", `{"user":{"id":"/user"},"create":true}`)
	var group sync.WaitGroup
	statuses := make(chan int, 1000)
	for range 1000 {
		group.Go(func() { statuses <- s.do("POST", path, `{"user":"u_1"}`, "webhook-id: w_1").status })
	}
	group.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	require.Equal(t, map[int]int{202: 1, 200: 999}, counts)
	require.Equal(t, 1, s.sent())
	require.Equal(t, 1, s.count("users"))
}

func TestTokensOfAHookRotate(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	first := s.hook("payroll", `{"user":{"id":"/user"}}`)
	rotate := func(body string, headers ...string) string {
		return s.must(200, "POST", payroll+"/rotate", body, headers...).object()["path"].(string)
	}
	taken := func(path string) bool { return s.do("POST", path, `{"user":"u_1"}`).status == 202 }
	second := rotate("", "Idempotency-Key: r_1")
	require.NotEqual(t, first, second)
	require.True(t, taken(first))
	require.True(t, taken(second))
	until, err := time.Parse(time.RFC3339, s.get(payroll).object()["previous_until"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), until, time.Minute)
	third := rotate(`{"at_once":true}`, "Idempotency-Key: r_1")
	require.NotEqual(t, second, third, "a token is not kept to be answered again")
	require.False(t, taken(first))
	require.False(t, taken(second))
	require.True(t, taken(third))
	require.Zero(t, s.count("idempotency"))
}

func TestAHookThatIsUsedStays(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.hook("payroll", `{"user":{"id":"/user"}}`)
	s.hook("payroll2", `{"user":{"id":"/user"}}`)
	const users = `{"triggers":[{"webhook":"payroll"}],"steps":[{"wait_for":{"any":[{"event":"login"},{"event":"webhook.payroll2"}]}}]}`
	const others = `{"triggers":[{"manual":true}],"steps":[{"delay":"1h"}]}`
	s.must(201, "PUT", "/v1/workflows/needy", users)
	require.Equal(t, "needed by the draft of workflow needy at /triggers/0/webhook: in use", s.do("DELETE", payroll, "").wants(409, "in-use").Detail)
	s.must(200, "POST", "/v1/workflows/needy/publish", "")
	s.must(200, "PUT", "/v1/workflows/needy", others)
	require.Equal(t, "needed by version 1 of workflow needy at /triggers/0/webhook: in use", s.do("DELETE", payroll, "").wants(409, "in-use").Detail)
	require.Equal(t, "needed by version 1 of workflow needy at /steps/0/wait_for/any/1/event: in use", s.do("DELETE", "/v1/hooks/payroll2", "").wants(409, "in-use").Detail)
	s.must(200, "POST", "/v1/workflows/needy/publish", "")
	s.must(204, "DELETE", payroll, "")
	s.must(204, "DELETE", "/v1/hooks/payroll2", "")

	p := s.do("PUT", "/v1/workflows/needy", users).wants(422, "definition-invalid", "/triggers/0/webhook unknown-hook", "/steps/0/wait_for/any/1/event unknown-hook")
	require.Equal(t, `there is no hook "payroll"; make it with PUT /v1/hooks/{name}`, p.Errors[0].Message)
	valid := s.must(200, "POST", "/v1/workflows/validate", strings.Replace(users, "{", `{"name":"x",`, 1)).object()
	require.Equal(t, false, valid["valid"])
}

func TestAHookMustExistWhenAWorkflowIsPublished(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.hook("payroll", `{"user":{"id":"/user"}}`)
	s.must(201, "PUT", "/v1/workflows/w", `{"triggers":[{"webhook":"payroll"}],"steps":[{"delay":"1h"}]}`)
	_, err := s.conn.Exec(t.Context(), `delete from hooks`)
	require.NoError(t, err)
	s.do("POST", "/v1/workflows/w/publish", "").wants(422, "definition-invalid", "/triggers/0/webhook unknown-hook")
	s.do("POST", "/v1/workflows/w/publish?dry_run=true", "").wants(422, "definition-invalid", "/triggers/0/webhook unknown-hook")
}

func TestOnlyDeliveriesBecomeEventsOfHooks(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.hook("payroll", `{"user":{"id":"/user"}}`)
	s.do("POST", "/v1/events", `{"name":"webhook.payroll","user_id":"u_1"}`).wants(422, "event-invalid", "/name event-invalid")
	items := results(s.must(202, "POST", "/v1/events/batch", `{"items":[{"name":"webhook.x","user_id":"u_1"}]}`))
	require.Equal(t, []any{"refused"}, column(items, "status"))
	require.Zero(t, s.sent())
}

func TestADeliveryEnrollsAndEndsWaits(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	path := s.hook("payroll", `{"user":{"id":"/user"},"properties":{"grade":"/grade"}}`)
	s.must(201, "PUT", "/v1/workflows/paid", `{
		"enroll":{"again":"every_trigger"},
		"triggers":[{"webhook":"payroll","where":{"event_property":"grade","op":"equals","value":"A"}}],
		"steps":[{"id":"tell","action":"notify","with":{"to":"u_1","text":"{{ event.grade }} by {{ enrollment.trigger }}"}}]
	}`)
	s.must(200, "POST", "/v1/workflows/paid/publish", "")
	s.must(202, "POST", path, `{"user":"u_1","grade":"B"}`)
	s.pumpAll()
	require.Zero(t, s.count("enrollments"))
	explained := s.get("/v1/workflows/paid/explain?user=u_1").object()
	require.Contains(t, explained["reason"], "trigger 0 (webhook) did not hold")
	s.must(202, "POST", path, `{"user":"u_1","grade":"A"}`)
	s.pumpAll()
	items, _ := s.get("/v1/enrollments?workflow=paid").items()
	require.Len(t, items, 1)
	require.Equal(t, "webhook", items[0]["trigger"])
	require.Equal(t, "webhook.payroll", at(items[0], "event", "name"))
	require.Equal(t, map[string]any{"grade": "A"}, at(items[0], "event", "properties"))
	explained = s.get("/v1/workflows/paid/explain?user=u_1").object()
	require.Equal(t, "enrolled", explained["verdict"])
	require.Contains(t, explained["reason"], "by webhook")
	trigger := explained["triggers"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"webhook", true, "webhook.payroll"}, []any{trigger["kind"], trigger["matched"], at(trigger, "event", "name")})

	simulated := s.must(200, "POST", "/v1/workflows/paid/simulate", `{
		"workflow":{"triggers":[{"webhook":"payroll"}],"steps":[{"id":"again","wait_for":{"webhook":"payroll"}},{"id":"tell","action":"notify","with":{"to":"u_1","text":"{{ enrollment.trigger }} {{ steps.again.event.n }}"}}]},
		"user":{"id":"u_1"},"start":"2027-01-04T09:00:00Z",
		"events":[{"at":"2027-01-04T09:00:00Z","name":"webhook.payroll","properties":{"n":1}},{"at":"2027-01-05T09:00:00Z","name":"webhook.payroll","properties":{"n":2}}]
	}`).object()
	require.Equal(t, "completed", simulated["status"])
	timeline := simulated["timeline"].([]any)
	require.Contains(t, at(timeline[len(timeline)-1], "what"), "webhook 2")
}

func TestADeliveryNeedsItsTokenAndNothingElse(t *testing.T) {
	t.Parallel()
	s := locked(t)
	all := s.as(automation.Scopes()...)
	all.must(201, "PUT", "/v1/users/u_1", `{}`)
	path := all.hook("payroll", `{"user":{"id":"/user"}}`)
	require.Equal(t, "test", all.get(payroll).object()["created_by"])
	s.must(202, "POST", path, `{"user":"u_1"}`)
	require.NotEmpty(t, all.get(payroll).object()["last_used_at"])
	s.do("POST", path, `{"user":"u_1"}`, "Authorization: Bearer nonsense")
	for method, body := range map[string]string{"GET": "", "PUT": "{}", "DELETE": ""} {
		s.do(method, path, body).wants(401, "unauthenticated")
	}
	s.do("POST", path+"/rotate", "").wants(401, "unauthenticated")
	s.do("POST", payroll+"/rotate", "").wants(401, "unauthenticated")
	require.Equal(t, 404, all.get(path).status, "the token is no name")

	for scope, want := range map[automation.Scope][4]int{
		automation.WorkflowsRead: {200, 403, 403, 403}, automation.EventsWrite: {403, 403, 403, 403}, automation.ConnectionsWrite: {403, 403, 403, 404},
	} {
		one := s.as(scope)
		require.Equal(t, want, [4]int{
			one.get(payroll).status, one.do("PUT", payroll, `{"user":{"id":"/user"}}`).status,
			one.do("POST", payroll+"/rotate", "").status, one.do("DELETE", "/v1/hooks/none", "").status,
		}, scope)
	}
	sends := s.as(automation.ConnectionsWrite, automation.EventsWrite)
	sends.must(200, "PUT", payroll, `{"user":{"id":"/user"}}`)
	require.Contains(t, sends.do("PUT", payroll, `{"user":{"id":"/user"},"create":true}`).wants(403, "insufficient-scope").Detail, "users:write")
}

func TestGuessingTokensIsSlowedDown(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	path := s.hook("payroll", `{"user":{"id":"/user"}}`)
	nowhere := s.do("POST", "/nothing/at/all", `{}`).problem()
	other := []byte(path)
	other[30] ^= 1
	guess := func(i int) answer {
		address := []string{string(other), payroll, "/v1/hooks/rch_x", "/v1/hooks/%00"}[i%4]
		return s.do("POST", address, `{"user":"u_1"}`, fmt.Sprint("X-Forwarded-For: 10.0.0.", i))
	}
	for i := range 10 {
		p := guess(i).wants(404, "not-found")
		p.Instance = nowhere.Instance
		require.Equal(t, nowhere, p, "nothing tells whether there is such a hook")
	}
	a := guess(10)
	for i := 11; a.status == 404 && i < 100; i++ { // one more for each six seconds that this takes
		a = guess(i)
	}
	a.wants(429, "rate-limited")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	s.must(202, "POST", path, `{"user":"u_1"}`)
}

func TestDeliveriesAreLimitedForEachHook(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) { d.RateLimit = 0.01 })
	var paths []string
	for _, name := range []string{"one", "two"} {
		_, token, err := s.db.PutHook(t.Context(), name, automation.Mapping{User: automation.HookUser{ID: "/user"}, Create: true}, "")
		require.NoError(t, err)
		paths = append(paths, "/v1/hooks/"+token)
	}
	var last answer
	for range 3 {
		last = s.do("POST", paths[0], `{"user":"u_1"}`)
	}
	last.wants(429, "rate-limited")
	require.Equal(t, 202, s.do("POST", paths[1], `{"user":"u_1"}`).status, "another hook has its own")
}

func TestTokensOfHooksAreNotLogged(t *testing.T) {
	t.Parallel()
	var log locker
	s := start(t, func(d *api.Deps) {
		d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}).seed()
	path := s.hook("payroll", `{"user":{"id":"/user"}}`)
	next := s.must(200, "POST", payroll+"/rotate", "").object()["path"].(string)
	wrong := path[:len(path)-3] + "xxx"
	for _, address := range []string{path, next, wrong, path + "/", path + "/rotate", path + "?x=1"} {
		for _, method := range []string{"POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			for _, body := range []string{`{"user":"u_1"}`, `{"user":"u_9"}`, `{`} {
				s.do(method, address, body, "Idempotency-Key: k_"+method)
			}
		}
	}
	_, err := s.conn.Exec(t.Context(), `alter table hooks rename to away`)
	require.NoError(t, err)
	s.do("POST", path, `{"user":"u_1"}`).wants(500, "internal")
	text := log.String()
	require.Contains(t, text, "internal error")
	require.Contains(t, text, "path=/v1/hooks/:hook")
	for _, address := range []string{path, next, wrong} {
		require.NotContains(t, text, strings.TrimPrefix(address, "/v1/hooks/rch_")[:20])
		var kept int
		require.NoError(t, s.conn.QueryRow(t.Context(), `select count(*) from idempotency i where strpos(i::text, $1) > 0`, address[14:]).Scan(&kept))
		require.Zero(t, kept)
	}
}

// locker is a log that several write to.
type locker struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locker) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locker) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestHooksAreDescribed(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	o := s.openAPI()
	check := func(operation string, a answer) answer {
		t.Helper()
		require.Empty(t, o.faults(o.answer(operation), any(a.object()), ""), "%s: %s", operation, a.body)
		return a
	}
	const one = "/v1/hooks/{hook}"
	path := check("put "+one+" 201", s.must(201, "PUT", payroll, `{"user":{"id":"/user"},"properties":{"a":"/a"}}`)).object()["path"].(string)
	check("put "+one+" 200", s.must(200, "PUT", payroll, `{"user":{"id":"/user"}}`))
	check("post "+one+" 202", s.must(202, "POST", path, `{"user":"u_1"}`, "webhook-id: w"))
	check("post "+one+" 200", s.must(200, "POST", path, `{"user":"u_1"}`, "webhook-id: w"))
	check("post "+one+"/rotate 200", s.must(200, "POST", payroll+"/rotate", ""))
	check("get "+one+" 200", s.get(payroll))
	check("get /v1/hooks 200", s.get("/v1/hooks"))
	require.Equal(t, http.StatusNoContent, s.do("DELETE", payroll, "").status)
}
