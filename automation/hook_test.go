package automation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/strictjson"
)

func schemaOfHooks() automation.Properties {
	return automation.Properties{
		"email":  {Name: "email", Type: filter.String},
		"grade":  {Name: "grade", Type: filter.Enum},
		"number": {Name: "number", Type: filter.Number},
		"born":   {Name: "born", Type: filter.Date},
	}
}

func TestCheckHook(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 101 {
		many[strings.Repeat("x", i+1)] = "/x"
	}
	for _, tt := range []struct {
		name, hook string
		mapping    automation.Mapping
		want       []string
	}{
		{"by id", "payroll", automation.Mapping{User: automation.HookUser{ID: "/employee/id"}, Create: true, Properties: map[string]string{"all": ""}}, nil},
		{"by a text", "p-1_x", automation.Mapping{User: automation.HookUser{Property: "email", Is: "/mail"}, EventID: "/id", OccurredAt: "/at"}, nil},
		{"by a number", "p", automation.Mapping{User: automation.HookUser{Property: "number", Is: "/n"}}, nil},
		{"by nothing", "p", automation.Mapping{}, []string{"/user hook-user-invalid"}},
		{"by both", "p", automation.Mapping{User: automation.HookUser{ID: "/id", Property: "email", Is: "/mail"}}, []string{"/user hook-user-invalid"}},
		{"by half a property", "p", automation.Mapping{User: automation.HookUser{Property: "email"}}, []string{"/user hook-user-invalid"}},
		{"by the other half", "p", automation.Mapping{User: automation.HookUser{Is: "/mail"}}, []string{"/user hook-user-invalid"}},
		{"by a date", "p", automation.Mapping{User: automation.HookUser{Property: "born", Is: "/d"}}, []string{"/user/property wrong-type"}},
		{"by an unknown property", "p", automation.Mapping{User: automation.HookUser{Property: "x", Is: "/d"}}, []string{"/user/property unknown-property"}},
		{"creates by a property", "p", automation.Mapping{User: automation.HookUser{Property: "email", Is: "/d"}, Create: true}, []string{"/create create-not-taken"}},
		{"is no pointer", "P", automation.Mapping{User: automation.HookUser{ID: "id"}, EventID: "$.id", OccurredAt: "at", Properties: map[string]string{"": "/a", "a/b": "x"}}, []string{
			"/name invalid-name", "/user/id pointer-invalid", "/properties/ invalid-name", "/properties/a~1b pointer-invalid", "/event_id pointer-invalid", "/occurred_at pointer-invalid",
		}},
		{"looks like a token", "rch_x", automation.Mapping{User: automation.HookUser{ID: "/id"}}, []string{"/name invalid-name"}},
		{"maps too much", "p", automation.Mapping{User: automation.HookUser{ID: "/id"}, Properties: many}, []string{"/properties too-many-properties"}},
		{"is too long", "p", automation.Mapping{User: automation.HookUser{ID: "/" + strings.Repeat("x", 1024)}, Properties: map[string]string{strings.Repeat("x", 129): "/x"}}, []string{
			"/user/id too-long", "/properties/" + strings.Repeat("x", 129) + " invalid-name",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := automation.Hook{Name: tt.hook, Mapping: tt.mapping}
			var got []string
			for _, p := range h.Check(schemaOfHooks()) {
				got = append(got, p.Pointer+" "+p.Code)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestReadDelivery(t *testing.T) {
	t.Parallel()
	at := func(text string) *time.Time {
		v, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return &v
	}
	byID := automation.Mapping{User: automation.HookUser{ID: "/u"}, EventID: "/id", OccurredAt: "/at", Properties: map[string]string{"a": "/a/0", "all": "/a", "b": "/b"}}
	whole := automation.Mapping{User: automation.HookUser{ID: "/u"}}
	byNumber := automation.Mapping{User: automation.HookUser{Property: "number", Is: "/n"}, Properties: map[string]string{"b": "/b"}}
	byText := automation.Mapping{User: automation.HookUser{Property: "email", Is: "/n"}, Properties: map[string]string{"b": "/b"}}
	none := map[string]any{}
	for _, tt := range []struct {
		name, body string
		mapping    automation.Mapping
		want       automation.Delivery
		problems   []string
	}{
		{"everything", `{"u":"u_1","id":"e_1","at":"2026-11-22T10:00:00+01:00","a":[1,null]}`, byID, automation.Delivery{User: "u_1", ID: "e_1", OccurredAt: at("2026-11-22T09:00:00Z"), Properties: map[string]any{"a": 1.0, "all": []any{1.0, nil}}}, nil},
		{"numbers", `{"u":4711,"id":-7,"at":1763805600.25}`, byID, automation.Delivery{User: "4711", ID: "-7", OccurredAt: at("2025-11-22T10:00:00.25Z"), Properties: none}, nil},
		{"nothing that is not needed", `{"u":"u_1","id":null,"at":"","b":null}`, byID, automation.Delivery{User: "u_1", Properties: map[string]any{"b": nil}}, nil},
		{"the whole body", `{"u":"u_1","x":{"y":1}}`, whole, automation.Delivery{User: "u_1", Properties: map[string]any{"u": "u_1", "x": map[string]any{"y": 1.0}}}, nil},
		{"a list", `["u_1"]`, automation.Mapping{User: automation.HookUser{ID: "/0"}}, automation.Delivery{User: "u_1", Properties: none}, nil},
		{"no user", `{}`, whole, automation.Delivery{Properties: none}, []string{"/u required"}},
		{"an empty user", `{"u":""}`, whole, automation.Delivery{Properties: map[string]any{"u": ""}}, []string{"/u required"}},
		{"not even an object", `5`, whole, automation.Delivery{Properties: none}, []string{"/u required"}},
		{"wrong types", `{"u":true,"id":[],"at":"yesterday"}`, byID, automation.Delivery{Properties: none}, []string{"/u wrong-type", "/id wrong-type", "/at invalid-date"}},
		{"numbers that are not exact", `{"u":9007199254740992,"id":1.5,"at":1e300}`, byID, automation.Delivery{Properties: none}, []string{"/u wrong-type", "/id wrong-type", "/at invalid-date"}},
		{"by a number", `{"n":7}`, byNumber, automation.Delivery{Is: 7.0, Properties: none}, nil},
		{"by a text for a number", `{"n":"7"}`, byNumber, automation.Delivery{Properties: none}, []string{"/n wrong-type"}},
		{"by a number for a text", `{"n":7}`, byText, automation.Delivery{Properties: none}, []string{"/n wrong-type"}},
		{"by nothing", `{"n":null}`, byText, automation.Delivery{Properties: none}, []string{"/n required"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body, err := strictjson.Parse([]byte(tt.body))
			require.NoError(t, err)
			d, problems := tt.mapping.Read(body, schemaOfHooks())
			var got []string
			for _, p := range problems {
				got = append(got, p.Pointer+" "+p.Code)
			}
			require.Equal(t, tt.problems, got)
			require.Equal(t, tt.want, d)
		})
	}
}

func TestEventsOfHooks(t *testing.T) {
	t.Parallel()
	require.Equal(t, "webhook.payroll", automation.HookEvent("payroll"))
	hook, ok := automation.HookOf("webhook.payroll")
	require.True(t, ok)
	require.Equal(t, "payroll", hook)
	for _, name := range []string{"webhook.", "webhook.Pay Roll", "webhooks.x", "login", ""} {
		_, ok = automation.HookOf(name)
		require.False(t, ok, name)
	}
	_, free := automation.CheckEventName("webhook.payroll")
	require.False(t, free, "nobody sends them")
	_, counted := automation.CheckCountedEvent("webhook.payroll")
	require.True(t, counted, "filters ask about them")

	id, ok := automation.HookEventID("payroll", "e_1")
	require.True(t, ok)
	require.Equal(t, "webhook.payroll/e_1", id)
	for _, bad := range []string{"", strings.Repeat("x", 256), "\xff"} {
		_, ok = automation.HookEventID("payroll", bad)
		require.False(t, ok, bad)
	}
}

func TestTokensOfHooks(t *testing.T) {
	t.Parallel()
	text, digest := automation.HookTokens.New([32]byte{1, 2, 3})
	require.Regexp(t, `^rch_[A-Za-z0-9_-]{43}$`, text)
	again, ok := automation.HookTokens.Digest(text)
	require.True(t, ok)
	require.Equal(t, digest, again)
	other, _ := automation.HookTokens.New([32]byte{1, 2, 4})
	differs, _ := automation.HookTokens.Digest(other)
	require.NotEqual(t, digest, differs)
	for _, bad := range []string{"", "payroll", "rch_", text[:46], text + "x", "RCH_" + text[4:], text[:46] + "/", text[:46] + "9", text[:20] + "\x00" + text[21:]} {
		_, ok = automation.HookTokens.Digest(bad)
		require.False(t, ok, bad)
	}
}

func TestHooksThatThereAreNotAreFound(t *testing.T) {
	t.Parallel()
	d, err := automation.ParseDocument([]byte(`{
		"name": "a", "triggers": [{"webhook": "payroll"}, {"webhook": "gone"}, {"event": "webhook.gone"}],
		"steps": [{"wait_for": {"webhook": "gone"}}, {"wait_for": {"any": [{"event": "webhook.gone"}, {"webhook": "payroll"}]}}]
	}`))
	require.NoError(t, err)
	known := catalog()
	require.Empty(t, d.Validate(known, properties()), "where hooks are not known, any may be")
	known.HasHook = func(name string) bool { return name == "payroll" }
	const message = `there is no hook "gone"; make it with PUT /v1/hooks/{name}`
	require.Equal(t, automation.Problems{
		{Pointer: "/triggers/1/webhook", Code: "unknown-hook", Message: message},
		{Pointer: "/triggers/2/event", Code: "unknown-hook", Message: message},
		{Pointer: "/steps/0/wait_for/webhook", Code: "unknown-hook", Message: message},
		{Pointer: "/steps/1/wait_for/any/0/event", Code: "unknown-hook", Message: message},
	}, d.Validate(known, properties()))
	require.Equal(t, "webhook", d.Triggers[0].Kind())
	require.Equal(t, "webhook.payroll", d.Triggers[0].Hears())
}
