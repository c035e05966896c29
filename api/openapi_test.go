package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// openAPI is the document that describes the API.
type openAPI struct{ root map[string]any }

func (s *service) openAPI() openAPI {
	s.t.Helper()
	return openAPI{s.must(200, "GET", "/openapi.json", "").object()}
}

// at goes down by names; nil where there is nothing.
func at(v any, names ...string) any {
	for _, name := range names {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// resolve follows the references of a schema.
func (o openAPI) resolve(schema any) map[string]any {
	s, _ := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		return o.resolve(at(o.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))
	}
	return s
}

// answer is the schema of the answer to an operation, such as "post /v1/events 202".
func (o openAPI) answer(operation string) any {
	method, rest, _ := strings.Cut(operation, " ")
	path, status, _ := strings.Cut(rest, " ")
	return at(o.root, "paths", path, method, "responses", status, "content", "application/json", "schema")
}

// faults tells where a value does not have the form that a schema describes.
func (o openAPI) faults(schema, v any, place string) (list []string) {
	s := o.resolve(schema)
	if s == nil {
		return []string{place + ": there is no schema"}
	}
	if choices, ok := s["oneOf"].([]any); ok {
		fits := func(choice any) bool { return len(o.faults(choice, v, place)) == 0 }
		if !slices.ContainsFunc(choices, fits) {
			return []string{fmt.Sprintf("%s: %v is none of the choices", place, v)}
		}
		return nil
	}
	if kind := s["type"]; kind != nil && !isOf(kind, v) {
		return []string{fmt.Sprintf("%s: %v is not %v", place, v, kind)}
	}
	if options, ok := s["enum"].([]any); ok && !slices.Contains(options, v) {
		list = append(list, fmt.Sprintf("%s: %v is not among %v", place, v, options))
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			list = append(list, o.faults(s["items"], item, fmt.Sprint(place, "/", i))...)
		}
	case map[string]any:
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, has := v[name.(string)]; !has {
				list = append(list, fmt.Sprint(place, "/", name, ": is missing"))
			}
		}
		for name, member := range v {
			known, ok := at(s, "properties", name).(map[string]any)
			switch {
			case ok:
				list = append(list, o.faults(known, member, place+"/"+name)...)
			case s["additionalProperties"] == false:
				list = append(list, place+"/"+name+": is not described")
			}
		}
	}
	return list
}

// isOf reports whether a value is of a type, or of one of several.
func isOf(kind, v any) bool {
	if several, ok := kind.([]any); ok {
		return slices.ContainsFunc(several, func(kind any) bool { return isOf(kind, v) })
	}
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == float64(int64(v))
	case []any:
		return kind == "array"
	default:
		return kind == "object"
	}
}

// document is the description of the API, which is the same for every service.
var document struct {
	once sync.Once
	openAPI
}

// described checks that a success stands in the description of the operation.
func (s *service) described(request *http.Request, status int) {
	s.t.Helper()
	path := request.URL.EscapedPath()
	if !strings.HasPrefix(path, "/v1/") {
		return
	}
	document.once.Do(func() {
		recorder := httptest.NewRecorder()
		s.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(s.t.Context(), "GET", "/openapi.json", nil))
		require.NoError(s.t, json.Unmarshal(recorder.Body.Bytes(), &document.root))
	})
	method := strings.ToLower(request.Method)
	for template, operations := range document.root["paths"].(map[string]any) {
		responses, _ := at(operations, method, "responses").(map[string]any)
		if responses != nil && fits(template, path) {
			require.Contains(s.t, responses, strconv.Itoa(status), "%s %s", method, template)
			return
		}
	}
	require.Fail(s.t, "not described", "%s %s", method, path)
}

// fits reports whether a path is one of those that a template stands for.
func fits(template, path string) bool {
	parts, given := strings.Split(template, "/"), strings.Split(path, "/")
	if len(parts) != len(given) {
		return false
	}
	for i, part := range parts {
		if part != given[i] && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}

func TestEveryProblemIsDescribedByTheOneSchema(t *testing.T) {
	t.Parallel()
	o := start(t).openAPI()
	problems := 0
	for path, methods := range o.root["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			for status, response := range at(operation, "responses").(map[string]any) {
				if status[0] == '2' {
					continue
				}
				problems++
				require.Equal(t, map[string]any{"application/problem+json": map[string]any{
					"schema": map[string]any{"$ref": "#/components/schemas/ProblemDetails"},
				}}, at(response, "content"), "%s %s %s", method, path, status)
			}
		}
	}
	require.Greater(t, problems, 100)
}

func TestAnswersHaveTheFormThatIsDescribed(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.openAPI()
	check := func(operation string, a answer) {
		t.Helper()
		var v any
		require.NoError(t, json.Unmarshal(a.body, &v))
		require.Empty(t, o.faults(o.answer(operation), v, ""), "%s: %s", operation, a.body)
	}
	const workflow = "/v1/workflows/{name}"
	ids := s.guarded(3)
	check("get /v1/users/{id} 200", s.get("/v1/users/c_00"))
	check("get "+workflow+"/held 200", s.get(held))
	check("get /v1/enrollments/{id} 200", s.get("/v1/enrollments/"+ids[1]))
	check("post "+workflow+"/held/approve 200", s.must(200, "POST", held+"/approve", some(ids[1])))
	check("post "+workflow+"/held/reject 200", s.must(200, "POST", held+"/reject", ""))
	check("get /v1/users 200", s.get(usersFor(`{"property":"age","op":"known"}`)+"&page_size=2"))

	s.must(201, "PUT", "/v1/workflows/adults", `{
		"triggers": [{"filter": {"property": "age", "op": "at_least", "value": 18}}, {"event": "login"}, {"manual": true}],
		"enroll": {"again": {"after": "30d"}, "unless": {"property": "teams", "op": "any_of", "value": ["x"]}},
		"unenroll": {"when": {"event": "logout", "op": "at_least", "count": 1}}, "steps": [{"delay": "1h"}]
	}`)
	check("post "+workflow+"/preview 200", s.must(200, "POST", preview, ""))
	published := s.must(200, "POST", "/v1/workflows/adults/publish", `{"existing":"enroll"}`)
	check("post "+workflow+"/publish 200", published)
	check("post "+workflow+"/preview 200", s.must(200, "POST", preview, ""))
	run := "/v1/workflows/adults/runs/" + at(published.object(), "run", "id").(string)
	check("post "+workflow+"/runs/{run}/pause 200", s.must(200, "POST", run+"/pause", ""))
	check("post "+workflow+"/runs/{run}/resume 200", s.must(200, "POST", run+"/resume", ""))
	s.carry(at(published.object(), "run", "id").(string))
	check("get "+workflow+"/runs/{run} 200", s.get(run))
	check("get "+workflow+"/runs 200", s.get("/v1/workflows/adults/runs"))
	check("get "+workflow+"/decisions 200", s.get("/v1/workflows/adults/decisions?user=c_00"))
	s.must(202, "POST", "/v1/events", `{"name":"login","user_id":"c_00"}`)
	s.pumpAll()
	check("get "+workflow+"/explain 200", s.get("/v1/workflows/adults/explain?user=c_00"))
	s.must(200, "PATCH", "/v1/users/c_01", `{"properties":{"age":null}}`)
	check("get "+workflow+"/explain 200", s.get("/v1/workflows/guarded/explain?user=c_01&at=2020-01-01T00:00:00Z"))
	second := s.backfill("adults", "")["id"].(string)
	check("post "+workflow+"/runs/{run}/abort 200", s.must(200, "POST", "/v1/workflows/adults/runs/"+second+"/abort", ""))
}

func TestAnswersAboutRunningEnrollmentsHaveTheFormThatIsDescribed(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.openAPI()
	check := func(operation, body string) map[string]any {
		t.Helper()
		method, rest, _ := strings.Cut(operation, " ")
		path, status, _ := strings.Cut(rest, " ")
		template, _, _ := strings.Cut(path, "?")
		for given, name := range map[string]string{"/v1/workflows/waiting": "/v1/workflows/{name}", "/v1/users/u_1": "/v1/users/{id}"} {
			template = strings.Replace(template, given, name, 1)
		}
		if parts := strings.Split(template, "/"); parts[2] == "enrollments" {
			parts[3] = "{id}"
			template = strings.Join(parts, "/")
		}
		a := s.do(method, path, body)
		require.Equal(t, status, strconv.Itoa(a.status), "%s: %s", operation, a.body)
		require.Empty(t, o.faults(o.answer(strings.ToLower(method)+" "+template+" "+status), any(a.object()), ""), "%s: %s", operation, a.body)
		return a.object()
	}
	const workflow, users = "/v1/workflows/waiting", "/v1/users/u_1"
	check("PUT "+users+" 201", `{"properties":{"first_name":"Ada"}}`)
	check("PUT "+users+" 200", `{"properties":{"first_name":"Grace"}}`)
	check("POST /v1/events 202", `{"name":"login","user_id":"u_1"}`)
	check("PUT "+workflow+" 201", waiting)
	check("POST "+workflow+"/publish 200", "")
	id := check("POST "+workflow+"/enrollments 201", `{"user_id":"u_1"}`)["id"].(string)
	s.waits(id)
	check("POST /v1/enrollments/"+id+"/skip 200", `{"by":"ada"}`)
	check("POST /v1/enrollments/"+id+"/jump 200", `{"step":"tell"}`)
	check("PUT "+workflow+" 200", moved)
	check("POST "+workflow+"/publish?dry_run=true 200", `{"in_flight":"migrate"}`)
	check("POST "+workflow+"/publish 200", `{"in_flight":"migrate","mapping":{"settle":"pause"}}`)
	s.fails(id)
	check("POST /v1/enrollments/"+id+"/retry 200", "")
	s.fails(id)
	check("POST "+workflow+"/failed/skip 200", "")
	check("POST "+workflow+"/pause 200", "")
	check("POST "+workflow+"/resume 200", `{"rate":1}`)
	check("POST /v1/enrollments/"+id+"/unenroll 200", `{"reason":"left"}`)
	check("GET /v1/enrollments/"+id+" 200", "")
	check("POST "+workflow+"/archive 200", `{"enrollments":"unenroll"}`)
}

func TestRequestsAreDescribedAsTheyAreTaken(t *testing.T) {
	t.Parallel()
	o := start(t).openAPI()
	const workflow = "/v1/workflows/{name}"
	for _, c := range []struct {
		path    string
		members []string
	}{
		{workflow + "/resume", []string{"rate"}},
		{workflow + "/archive", []string{"enrollments"}},
		{workflow + "/failed/retry", []string{"by", "enrollments", "reason", "step"}},
		{workflow + "/failed/skip", []string{"by", "enrollments", "reason", "step"}},
		{"/v1/enrollments/{id}/retry", []string{"by", "reason"}},
		{"/v1/enrollments/{id}/skip", []string{"by", "reason"}},
		{"/v1/enrollments/{id}/unenroll", []string{"by", "reason"}},
		{workflow + "/preview", []string{"filter", "workflow"}},
		{workflow + "/publish", []string{"by", "existing", "in_flight", "mapping", "rate"}},
		{workflow + "/runs", []string{"trigger"}},
		{workflow + "/held/approve", []string{"enrollments"}},
		{workflow + "/held/reject", []string{"enrollments"}},
	} {
		body := at(o.root, "paths", c.path, "post", "requestBody")
		require.NotEqual(t, true, at(body, "required"), "%s takes no body too", c.path)
		content, _ := at(body, "content").(map[string]any)
		require.Len(t, content, 1, c.path)
		schema := o.resolve(at(content, "application/json", "schema"))
		require.Equal(t, []any{"object", false}, []any{schema["type"], schema["additionalProperties"]}, c.path)
		require.Empty(t, schema["required"], c.path)
		names := []string{}
		for name, member := range schema["properties"].(map[string]any) {
			names = append(names, name)
			require.NotEmpty(t, at(member, "description"), "%s of %s", name, c.path)
		}
		slices.Sort(names)
		require.Equal(t, c.members, names, c.path)
	}
	rate := o.resolve(at(o.root, "paths", workflow+"/publish", "post", "requestBody", "content", "application/json", "schema"))
	require.Equal(t, []any{1.0, 5000.0}, []any{at(rate, "properties", "rate", "minimum"), at(rate, "properties", "rate", "maximum")})

	for _, c := range []struct {
		path       string
		parameters map[string]bool // by name, whether it is required
	}{
		{"/v1/users", map[string]bool{"filter": false, "page_size": false, "page_token": false}},
		{workflow + "/explain", map[string]bool{"name": true, "user": true, "at": false}},
		{workflow + "/runs", map[string]bool{"name": true, "page_size": false, "page_token": false}},
		{workflow + "/runs/{run}", map[string]bool{"name": true, "run": true}},
		{workflow + "/held", map[string]bool{"name": true}},
	} {
		parameters := map[string]bool{}
		for _, p := range at(o.root, "paths", c.path, "get", "parameters").([]any) {
			parameters[at(p, "name").(string)] = at(p, "required") == true
		}
		require.Equal(t, c.parameters, parameters, c.path)
	}
}

func TestOnlyTheBodiesThatAreTakenAreDescribed(t *testing.T) {
	t.Parallel()
	o := start(t).openAPI()
	bodies := map[string][]string{}
	for path, methods := range o.root["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			content, _ := at(operation, "requestBody", "content").(map[string]any)
			types := slices.Sorted(maps.Keys(content))
			if key := strings.Join(types, " "); key != "" && key != "application/json" {
				bodies[key] = append(bodies[key], method+" "+path)
			}
		}
	}
	for _, list := range bodies {
		slices.Sort(list)
	}
	require.Equal(t, map[string][]string{
		"application/json application/yaml": {"post /v1/workflows/validate", "put /v1/workflows/{name}"},
	}, bodies)
}

func TestStatusesAreDescribed(t *testing.T) {
	t.Parallel()
	o := start(t).openAPI()
	statuses := func(path, method string) (list []string) {
		for status := range at(o.root, "paths", path, method, "responses").(map[string]any) {
			if status[0] == '2' {
				list = append(list, status)
			}
		}
		slices.Sort(list)
		return list
	}
	const workflow = "/v1/workflows/{name}"
	for _, c := range []struct {
		path, method string
		want         []string
	}{
		{"/v1/users/{id}", "put", []string{"200", "201"}},
		{"/v1/users/{id}", "patch", []string{"200"}},
		{"/v1/users/{id}", "delete", []string{"204"}},
		{"/v1/users/batch", "post", []string{"200"}},
		{"/v1/properties/{name}", "put", []string{"200", "201"}},
		{"/v1/events", "post", []string{"202"}},
		{"/v1/events/batch", "post", []string{"202"}},
		{workflow, "put", []string{"200", "201"}},
		{workflow, "delete", []string{"204"}},
		{workflow + "/runs", "post", []string{"201"}},
		{workflow + "/enrollments", "post", []string{"201"}},
		{workflow + "/publish", "post", []string{"200"}},
	} {
		require.Equal(t, c.want, statuses(c.path, c.method), "%s %s", c.method, c.path)
	}
	for _, method := range []string{"put", "delete"} {
		require.NotNil(t, at(o.root, "paths", workflow, method, "responses", "412"))
	}
	created := at(o.root, "paths", workflow, "put", "responses", "201")
	require.Equal(t, "Created", at(created, "description"))
	require.Equal(t, at(o.root, "paths", workflow, "put", "responses", "200", "content"), at(created, "content"))
	require.NotNil(t, at(created, "headers", "ETag"))
}
