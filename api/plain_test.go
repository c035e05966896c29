package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"rollcall/api"
)

func TestHealthTellsWhatAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) {
		d.Temporal = func(context.Context) error { return errors.New("dial tcp 127.0.0.1:7233: " + canary) }
	})
	require.JSONEq(t, `{"status":"ok"}`, string(s.must(200, "GET", "/healthz", "").body))
	require.JSONEq(t, `{"postgres":"ok","temporal":"does not answer"}`, string(s.must(200, "GET", "/readyz", "").body))
	require.JSONEq(t, `{"postgres":"ok","temporal":"ok"}`, string(start(t).must(200, "GET", "/readyz", "").body))
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	s.must(201, "PUT", "/v1/workflows/x", definition(`[{"event": "login"}]`, someSteps))
	s.must(200, "POST", "/v1/workflows/x/publish", "")
	s.pumpAll()
	before := s.must(200, "GET", "/metrics", "")
	s.must(202, "POST", "/v1/events", `{"name":"login","user_id":"u_1"}`)
	s.pumpAll()
	a := s.must(200, "GET", "/metrics", "")
	require.Contains(t, a.header.Get("Content-Type"), "text/plain")
	require.Contains(t, string(before.body), "\nrollcall_enrollments_total 0\n")
	require.Contains(t, string(a.body), "\nrollcall_enrollments_total 1\n")
}

func TestAWorkerServesHealthAndNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) { d.HealthOnly = true })
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/v1/users": 404, "/openapi.json": 404, "/docs": 404, "/": 404} {
		require.Equal(t, status, s.get(path).status, path)
	}
	s.do("PUT", "/v1/users/u_1", `{}`).wants(404, "not-found")
}

func TestTheDocumentationLoadsNothingFromOutside(t *testing.T) {
	t.Parallel()
	s := start(t)
	page := s.must(200, "GET", "/docs", "")
	require.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
	require.Equal(t, "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'", page.header.Get("Content-Security-Policy"))
	require.NotRegexp(t, `https?:|//[a-z]`, string(page.body))
	require.NotContains(t, string(page.body), "<script>", "no script stands in the page itself")
	assets := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(string(page.body), -1)
	require.Len(t, assets, 4)
	for _, asset := range assets {
		require.True(t, strings.HasPrefix(asset[1], "/docs/"), asset[1])
		a := s.must(200, "GET", asset[1], "")
		require.NotEmpty(t, a.body)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	}
	script := s.must(200, "GET", "/docs/start.js", "")
	require.Contains(t, string(script.body), `url: "/openapi.json"`)
	require.NotRegexp(t, `https?:`, string(script.body))

	home := s.get("/")
	require.Equal(t, 302, home.status)
	require.Equal(t, "/docs", home.header.Get("Location"))
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.must(200, "GET", "/openapi.json", "")
	var document struct {
		OpenAPI string `json:"openapi"`
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string   `json:"operationId"`
			Summary     string   `json:"summary"`
			Tags        []string `json:"tags"`
			Responses   map[string]struct {
				Content map[string]any `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(a.body, &document))
	require.Regexp(t, `^3\.1\.`, document.OpenAPI)
	require.Equal(t, "Rollcall", document.Info.Title)
	require.Equal(t, "1.2.3", document.Info.Version)

	parameter := regexp.MustCompile(`:(\w+)`)
	router, ok := s.handler.(*gin.Engine)
	require.True(t, ok)
	routes, ids := 0, map[string]bool{}
	for _, r := range router.Routes() {
		if !strings.HasPrefix(r.Path, "/v1/") {
			continue
		}
		routes++
		o, documented := document.Paths[parameter.ReplaceAllString(r.Path, "{$1}")][strings.ToLower(r.Method)]
		require.True(t, documented, "%s %s", r.Method, r.Path)
		require.NotEmpty(t, o.Summary)
		require.Len(t, o.Tags, 1)
		require.False(t, ids[o.OperationID], o.OperationID)
		ids[o.OperationID] = true
		require.Contains(t, o.Responses["404"].Content, "application/problem+json", o.OperationID)
	}
	require.Positive(t, routes)
	operations := 0
	for _, methods := range document.Paths {
		operations += len(methods)
	}
	require.Equal(t, routes, operations, "nothing is documented that is not there")
}

func TestEveryReferenceOfTheDocumentLeadsSomewhere(t *testing.T) {
	t.Parallel()
	text := start(t).get("/openapi.json").body
	var document map[string]any
	require.NoError(t, json.Unmarshal(text, &document))
	references := regexp.MustCompile(`"\$ref":\s*"#/([^"]+)"`).FindAllSubmatch(text, -1)
	require.NotEmpty(t, references)
	for _, r := range references {
		var place any = document
		for name := range strings.SplitSeq(string(r[1]), "/") {
			object, _ := place.(map[string]any)
			place = object[name]
		}
		require.NotNil(t, place, "%s", r[1])
	}
}

func TestTheCatalogueDescribesEveryAction(t *testing.T) {
	t.Parallel()
	items, next := start(t).get("/v1/actions").items()
	require.Empty(t, next)
	fields := map[string][]string{}
	for _, action := range items {
		require.NotEmpty(t, action["title"])
		require.NotEmpty(t, action["description"])
		schema, _ := action["schema"].(map[string]any)
		require.Equal(t, "object", schema["type"], action["kind"])
		require.Equal(t, false, schema["additionalProperties"], action["kind"])
		properties, _ := schema["properties"].(map[string]any)
		names := []string{}
		for name, field := range properties {
			names = append(names, name)
			require.NotEmpty(t, field.(map[string]any)["description"], "%s of %s", name, action["kind"])
		}
		slices.Sort(names)
		kind, _ := action["kind"].(string)
		fields[kind] = names
		required, _ := schema["required"].([]any)
		for _, name := range required {
			require.Contains(t, names, name)
		}
	}
	require.Equal(t, map[string][]string{
		"add_sheet_row":    {"connection", "sheet", "spreadsheet", "values"},
		"add_to_team":      {"team"},
		"call":             {"at_most", "connection", "headers", "inputs", "url"},
		"create_task":      {"assignee", "due", "text", "title"},
		"enroll":           {"workflow"},
		"format":           {"outputs"},
		"notify":           {"text", "to"},
		"remove_from_team": {"team"},
		"unenroll":         {"reason", "workflow"},
		"send_email":       {"body", "cc", "connection", "from_name", "html", "reply_to", "subject", "to"},
		"send_slack":       {"blocks", "connection", "text", "to"},
		"send_webhook":     {"body", "connection", "headers", "method", "url"},
		"set_property":     {"append", "clear", "copy", "increment", "property", "remove", "value"},
		"update_sheet_row": {"connection", "if_missing", "lookup", "sheet", "spreadsheet", "values"},
	}, fields)
}

func TestTheCatalogueDescribesEveryTriggerAndEvent(t *testing.T) {
	t.Parallel()
	var out struct {
		Items  []map[string]any    `json:"items"`
		Events []map[string]string `json:"events"`
	}
	start(t).must(200, "GET", "/v1/triggers", "").into(&out)
	require.Equal(t, []any{"event", "webhook", "filter", "schedule", "manual"}, column(out.Items, "kind"))
	for _, kind := range out.Items {
		require.NotEmpty(t, kind["title"])
		require.NotEmpty(t, kind["description"])
	}
	names := []string{}
	for _, event := range out.Events {
		names = append(names, event["name"])
		require.NotEmpty(t, event["description"])
	}
	require.ElementsMatch(t, []string{
		"user.created", "user.updated", "user.deactivated", "user.reactivated", "user.deleted", "user.permission_sets_changed",
		"user.teams_changed", "user.seats_changed", "user.email_disconnected", "user.calendar_disconnected", "user.invite_bounced", "property.changed",
	}, names)
}

func TestEveryAnswerHasTheIDOfItsRequest(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := map[string]bool{}
	for _, path := range []string{"/healthz", "/v1/users", "/v1/users/nobody", "/nothing", "/docs"} {
		id := s.get(path).header.Get("X-Request-Id")
		require.Regexp(t, requestID, id, path)
		require.False(t, ids[id])
		ids[id] = true
	}
}

func TestAPanicIsAnsweredWithoutItsReason(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *api.Deps) { d.Temporal = func(context.Context) error { panic(canary) } })
	s.get("/readyz").wants(http.StatusInternalServerError, "internal")
	require.Equal(t, 200, s.get("/healthz").status)
}

func TestTheSchemaOfWorkflowsIsThereForEditorsWithoutAKey(t *testing.T) {
	t.Parallel()
	a := locked(t).must(200, "GET", "/schema/workflow.json", "")
	require.Equal(t, "application/schema+json", a.header.Get("Content-Type"))
	require.Equal(t, "https://json-schema.org/draft/2020-12/schema", a.object()["$schema"])
	golden, err := os.ReadFile("../docs/workflow.schema.json")
	require.NoError(t, err)
	require.Equal(t, string(golden), string(a.body))
}
