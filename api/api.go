// Package api is Rollcall's HTTP interface: gin with huma, all operations on one screen, a file per
// resource, one table of errors.
//
// Floor 3. A handler decodes, calls the domain and answers; what it knows of actions is the catalog
// that it is given.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/triggers"
)

// Deps is what the API works with.
type Deps struct {
	DB        *postgres.DB
	Catalog   automation.Catalog
	Pump      *triggers.Pump                  // woken after each change
	Starter   *triggers.Starter               // woken after each command
	Scheduler *triggers.Scheduler             // woken when definitions change
	Temporal  func(ctx context.Context) error // nil when Temporal answers
	Metrics   prometheus.Gatherer
	Keys      []string // bearer keys that may do everything, besides those in the database
	UI        string   // what a Temporal workflow id is appended to for its page in the Web UI; "": no links
	Log       *slog.Logger
	Version   string

	Decode      http.Handler // makes payloads of Temporal readable; nil: nothing does
	RequireKeys bool         // nobody may call without a key
	RateLimit   float64      // requests a second of one key; 0: any number
	FastForward bool         // enrollments may be asked for whose waits Temporal skips

	// Connections changes and tries them.
	Connections Connections
	// Simulate tries a workflow out.
	Simulate func(ctx context.Context, trial automation.Simulation) (*automation.Simulated, error)

	HealthOnly bool // serves health and metrics, and no operation
}

// server holds what handlers need.
type server struct {
	Deps
	huma.API
}

var problemsOnce sync.Once

// New returns the handler of the whole API.
func New(d Deps) http.Handler {
	problemsOnce.Do(useProblems)
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.HandleMethodNotAllowed = true
	router.RedirectTrailingSlash = false
	router.UseRawPath = true          // so that an id may hold what else divides the path
	router.UnescapePathValues = false // checkAddress does, without making spaces of plus signs
	_ = router.SetTrustedProxies(nil)
	s := &server{Deps: d}
	router.Use(s.observe, s.newGate().authenticate, checkAddress, checkBody, s.idempotent)
	router.NoRoute(func(c *gin.Context) {
		sendProblem(c, newProblem(http.StatusNotFound, "not-found", "there is nothing here"))
	})
	router.NoMethod(func(c *gin.Context) {
		sendProblem(c, newProblem(http.StatusMethodNotAllowed, "method-not-allowed", "this resource does not take that method"))
	})
	s.health(router)
	if d.HealthOnly {
		return router
	}
	s.API = humagin.New(router, config(d.Version))
	s.OpenAPI().Components.Schemas.RegisterTypeAlias(reflect.TypeFor[automation.Again](), reflect.TypeFor[againRule]())
	s.routes()
	s.correctBodies()
	s.docs(router)
	s.codecRoutes(router)
	return router
}

func config(version string) huma.Config {
	c := huma.DefaultConfig("Rollcall", version)
	c.Info.Description = "User-based workflows for an organisation. Times are RFC 3339 UTC; lists are {\"items\", \"next\"}; errors are RFC 9457 problems."
	c.DocsPath, c.SchemasPath = "", ""
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Formats = map[string]huma.Format{
		"application/json": {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
		"json":             {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
	}
	c.DefaultFormat = "application/json"
	return c
}

// routes is every operation of the API.
func (s *server) routes() {
	const users, properties, events, workflows, enrollments, catalogue = "Users", "Properties", "Events", "Workflows", "Enrollments", "Catalogue"
	const keys, hooks, connections = "Keys", "Hooks", "Connections"

	operation(s, users, "GET", "/v1/users", "list-users", "List users", s.listUsers)
	operation(s, users, "POST", "/v1/users/batch", "write-users", "Create or change many users", s.writeUsers)
	operation(s, users, "GET", "/v1/users/{id}", "get-user", "Read a user", s.getUser)
	operation(s, users, "PUT", "/v1/users/{id}", "put-user", "Create a user or replace its properties", s.putUser, createdOrChanged)
	operation(s, users, "PATCH", "/v1/users/{id}", "patch-user", "Change properties of a user; null clears one", s.patchUser)
	operation(s, users, "DELETE", "/v1/users/{id}", "delete-user", "Delete a user and what is known about it", s.deleteUser)
	operation(s, users, "GET", "/v1/users/{id}/history", "get-user-history", "List what changed about a user, newest first", s.userHistory)

	operation(s, properties, "GET", "/v1/properties", "list-properties", "List the properties that users have", s.listProperties)
	operation(s, properties, "GET", "/v1/properties/{name}", "get-property", "Read a property", s.getProperty)
	operation(s, properties, "PUT", "/v1/properties/{name}", "put-property", "Declare a property or change it", s.putProperty, createdOrChanged)
	operation(s, properties, "DELETE", "/v1/properties/{name}", "delete-property", "Delete a property that nothing uses", s.deleteProperty)

	operation(s, events, "POST", "/v1/events", "send-event", "Send one event", s.sendEvent, taken)
	operation(s, events, "POST", "/v1/events/batch", "send-events", "Send up to 1,000 events", s.sendEvents, taken)

	operation(s, hooks, "GET", "/v1/hooks", "list-hooks", "List the incoming webhooks", s.listHooks)
	operation(s, hooks, "GET", "/v1/hooks/{hook}", "get-hook", "Read an incoming webhook", s.getHook)
	operation(s, hooks, "PUT", "/v1/hooks/{hook}", "put-hook", "Make an incoming webhook, or change what its deliveries mean", s.putHook, createdOrChanged, grants)
	operation(s, hooks, "DELETE", "/v1/hooks/{hook}", "delete-hook", "Delete an incoming webhook that no workflow uses", s.deleteHook)
	operation(s, hooks, "POST", "/v1/hooks/{hook}/rotate", "rotate-hook", "Give an incoming webhook a new token; the old one is good for another 24 hours", s.rotateHook, grants)
	operation(s, hooks, "POST", "/v1/hooks/{hook}", "deliver", "Deliver to an incoming webhook, by its token", s.deliver, delivered)

	operation(s, workflows, "GET", "/v1/workflows", "list-workflows", "List workflows", s.listWorkflows)
	operation(s, workflows, "POST", "/v1/workflows/validate", "validate-workflow", "Tell all problems of a definition", s.validateWorkflow, definitionBody)
	operation(s, workflows, "GET", "/v1/workflows/{name}", "get-workflow", "Read a workflow", s.getWorkflow)
	operation(s, workflows, "PUT", "/v1/workflows/{name}", "put-workflow", "Save the draft of a workflow, as JSON or YAML", s.putWorkflow, definitionBody, createdOrChanged, replaces)
	operation(s, workflows, "DELETE", "/v1/workflows/{name}", "delete-workflow", "Delete a workflow that was never published", s.deleteWorkflow, replaces)
	operation(s, workflows, "POST", "/v1/workflows/{name}/publish", "publish-workflow", "Make the draft the version that enrolls", s.publishWorkflow)
	operation(s, workflows, "POST", "/v1/workflows/{name}/pause", "pause-workflow", "Keep actions from starting; nothing is dropped", s.pauseWorkflow)
	operation(s, workflows, "POST", "/v1/workflows/{name}/resume", "resume-workflow", "End a pause", s.resumeWorkflow)
	operation(s, workflows, "POST", "/v1/workflows/{name}/archive", "archive-workflow", "Enroll nobody any more; what runs finishes or is taken out", s.archiveWorkflow)
	operation(s, workflows, "GET", "/v1/workflows/{name}/versions", "list-versions", "List the versions of a workflow, newest first", s.listVersions)
	operation(s, workflows, "GET", "/v1/workflows/{name}/versions/{n}", "get-version", "Read one version", s.getVersion)
	operation(s, workflows, "POST", "/v1/workflows/{name}/preview", "preview-workflow", "Count whom a workflow or a filter concerns now", s.previewWorkflow, definitionSize)
	operation(s, workflows, "POST", "/v1/workflows/{name}/simulate", "simulate-workflow", "Try a workflow out: what would happen to a user, and when", s.simulateWorkflow)
	operation(s, workflows, "GET", "/v1/workflows/{name}/explain", "explain-workflow", "Tell why a user was or was not enrolled, now or then", s.explainWorkflow)
	operation(s, workflows, "GET", "/v1/workflows/{name}/decisions", "list-decisions", "List why a user was or was not enrolled", s.listDecisions)

	operation(s, workflows, "GET", "/v1/workflows/{name}/runs", "list-runs", "List the runs that enroll many users, newest first", s.listRuns)
	operation(s, workflows, "POST", "/v1/workflows/{name}/runs", "run-now", "Let a schedule fire by hand, at once", s.runNow, created)
	operation(s, workflows, "GET", "/v1/workflows/{name}/runs/{run}", "get-run", "Read a run", s.getRun)
	operation(s, workflows, "POST", "/v1/workflows/{name}/runs/{run}/pause", "pause-run", "Let a run wait", s.setRun(postgres.RunPaused))
	operation(s, workflows, "POST", "/v1/workflows/{name}/runs/{run}/resume", "resume-run", "Let a run go on", s.setRun(postgres.RunRunning))
	operation(s, workflows, "POST", "/v1/workflows/{name}/runs/{run}/abort", "abort-run", "End a run; who is enrolled stays so", s.setRun(postgres.RunAborted))
	operation(s, workflows, "GET", "/v1/workflows/{name}/held", "list-held", "Count the enrollments that the guard holds", s.listHeld)
	operation(s, workflows, "POST", "/v1/workflows/{name}/held/approve", "approve-held", "Let enrollments that are held begin", s.decideHeld(s.DB.Approve))
	operation(s, workflows, "POST", "/v1/workflows/{name}/held/reject", "reject-held", "End enrollments that are held, as if they had never been", s.decideHeld(s.DB.Reject))

	operation(s, enrollments, "POST", "/v1/workflows/{name}/enrollments", "enroll-user", "Enroll a user on request", s.enrollUser, created)
	operation(s, enrollments, "GET", "/v1/enrollments", "list-enrollments", "List enrollments, newest first", s.listEnrollments)
	operation(s, enrollments, "GET", "/v1/enrollments/{id}", "get-enrollment", "Read an enrollment with its timeline", s.getEnrollment)
	operation(s, enrollments, "POST", "/v1/enrollments/{id}/unenroll", "unenroll", "Take a user out; no action starts afterwards", s.unenroll)
	operation(s, enrollments, "POST", "/v1/enrollments/{id}/skip", "skip", "End the wait that it is in, or pass the step that failed", s.intervene(postgres.SkipStep))
	operation(s, enrollments, "POST", "/v1/enrollments/{id}/retry", "retry", "Try the step that failed once more", s.intervene(postgres.RetryStep))
	operation(s, enrollments, "POST", "/v1/enrollments/{id}/jump", "jump", "Go on at another step", s.jump)
	operation(s, enrollments, "POST", "/v1/workflows/{name}/failed/retry", "retry-failed", "Try the steps once more at which enrollments failed", s.revive(postgres.RetryStep))
	operation(s, enrollments, "POST", "/v1/workflows/{name}/failed/skip", "skip-failed", "Pass the steps at which enrollments failed", s.revive(postgres.SkipStep))
	operation(s, enrollments, "GET", "/v1/tasks", "list-tasks", "List tasks, newest first", s.listTasks)
	operation(s, enrollments, "POST", "/v1/tasks/{id}/done", "finish-task", "Note that a task is done", s.setTask(true))
	operation(s, enrollments, "POST", "/v1/tasks/{id}/reopen", "reopen-task", "Note that a task is not done after all", s.setTask(false))
	operation(s, enrollments, "GET", "/v1/notifications", "list-notifications", "List notifications, newest first", s.listNotifications)

	operation(s, connections, "GET", "/v1/connections", "list-connections", "List the connections, without their secrets", s.listConnections)
	operation(s, connections, "GET", "/v1/connections/{name}", "get-connection", "Read a connection, without its secrets", s.getConnection)
	operation(s, connections, "PUT", "/v1/connections/{name}", "put-connection", "Create a connection or change it", s.putConnection, createdOrChanged)
	operation(s, connections, "DELETE", "/v1/connections/{name}", "delete-connection", "Delete a connection that no version in use names", s.deleteConnection)
	operation(s, connections, "POST", "/v1/connections/{name}/test", "test-connection", "Try a connection", s.testConnection)

	operation(s, enrollments, "POST", "/v1/callbacks/{token}", "answer-call", "Answer a call that a step made", s.answerCall, withToken)

	operation(s, keys, "GET", "/v1/keys", "list-keys", "List the API keys, newest first", s.listKeys)
	operation(s, keys, "POST", "/v1/keys", "create-key", "Make an API key; its text is shown once", s.createKey, created)
	operation(s, keys, "DELETE", "/v1/keys/{id}", "revoke-key", "End the life of an API key", s.revokeKey)

	operation(s, catalogue, "GET", "/v1/actions", "list-actions", "List the kinds of actions, with their schemas", s.listActions)
	operation(s, catalogue, "GET", "/v1/connection-kinds", "list-connection-kinds", "List the kinds of connections, with their schemas", s.listConnectionKinds)
	operation(s, catalogue, "GET", "/v1/triggers", "list-triggers", "List the kinds of triggers and the system's events", s.listTriggers)
}

// operation registers one handler. Its errors go through the table of problems.
func operation[I, O any](s *server, tag, method, path, id, summary string, h func(context.Context, *I) (*O, error), adjust ...func(*huma.Operation)) {
	o := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag},
		MaxBodyBytes: maxBody + 1,
		Errors:       []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}
	needs(scopeFor(tag, method, path))(&o)
	for _, f := range adjust {
		f(&o)
	}
	huma.Register(s.API, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}

// scopeFor is the scope that an operation needs.
func scopeFor(tag, method, path string) automation.Scope {
	reads := method == http.MethodGet
	for _, asks := range []string{"/validate", "/preview", "/simulate"} {
		reads = reads || strings.HasSuffix(path, asks)
	}
	either := func(read, write automation.Scope) automation.Scope {
		if reads {
			return read
		}
		return write
	}
	switch tag {
	case "Users", "Properties":
		return either(automation.UsersRead, automation.UsersWrite)
	case "Events":
		return automation.EventsWrite
	case "Enrollments":
		if path == "/v1/callbacks/{token}" {
			return "" // the address has a token
		}
		return either(automation.EnrollmentsRead, automation.EnrollmentsWrite)
	case "Keys":
		return automation.KeysAdmin
	case "Connections":
		return either(automation.WorkflowsRead, automation.ConnectionsWrite)
	case "Hooks":
		if method == http.MethodPost && !strings.HasSuffix(path, "/rotate") {
			return "" // a delivery has a token
		}
		return either(automation.WorkflowsRead, automation.ConnectionsWrite)
	case "Workflows":
		if method == http.MethodPost {
			return either(automation.WorkflowsRead, automation.WorkflowsPublish)
		}
		return either(automation.WorkflowsRead, automation.WorkflowsWrite)
	default:
		return automation.WorkflowsRead
	}
}
