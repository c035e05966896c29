package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/strictjson"
)

type previewIn struct {
	WorkflowPath
	Body *PreviewBody
}

// PreviewBody is what to preview; nothing at all is the saved workflow.
type PreviewBody struct {
	Filter   map[string]any `json:"filter,omitempty" doc:"A filter."`
	Workflow map[string]any `json:"workflow,omitempty" doc:"A definition, as it would be saved."`
}

type previewOut struct{ Body *postgres.Preview }

func (s *server) previewWorkflow(ctx context.Context, in *previewIn) (*previewOut, error) {
	body := in.Body
	if body == nil {
		body = &PreviewBody{}
	}
	switch {
	case body.Filter != nil && body.Workflow != nil:
		var p automation.Problems
		p.Add("/filter", "ambiguous", `a preview is of a "filter" or of a "workflow", not of both`)
		return nil, automation.Invalid("the preview", p)
	case body.Filter != nil:
		tree, err := filterOf(body.Filter)
		if err != nil {
			return nil, below("/filter", err)
		}
		p, err := s.DB.PreviewFilter(ctx, in.Name, tree)
		return &previewOut{p}, below("/filter", err)
	case body.Workflow != nil:
		document, err := documentOf(body.Workflow, in.Name)
		if err != nil {
			return nil, below("/workflow", err)
		}
		p, err := s.DB.PreviewDocument(ctx, in.Name, document)
		return &previewOut{p}, below("/workflow", err)
	default:
		p, err := s.DB.PreviewDocument(ctx, in.Name, nil)
		return &previewOut{p}, err
	}
}

// filterOf reads a filter from decoded JSON.
func filterOf(v any) (*filter.Tree, error) {
	var t filter.Tree
	var problems automation.Problems
	t.DecodeJSON(v, "", &problems)
	return &t, automation.Invalid("the filter", problems)
}

// documentOf reads the definition of a workflow from decoded JSON.
func documentOf(v map[string]any, name string) (*automation.Document, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	document, err := automation.ParseDocument(text)
	if err != nil {
		return nil, err
	}
	return document, nameFrom(name, document)
}

// below moves the problems of an error to where the thing stands that they are about.
func below(at string, err error) error {
	invalid, ok := errors.AsType[*automation.InvalidError](err)
	if !ok {
		return err
	}
	moved := &automation.InvalidError{What: invalid.What}
	moved.Problems.Join(at, invalid.Problems)
	return moved
}

type explainIn struct {
	WorkflowPath
	User string    `query:"user" required:"true" doc:"Whom to explain about."`
	At   time.Time `query:"at" doc:"The instant to explain; now if left out."`

	then bool // At is given
}

// Resolve implements huma.Resolver.
func (in *explainIn) Resolve(ctx huma.Context) []error {
	in.then = ctx.Query("at") != ""
	return filled(ctx, "at")
}

type explainOut struct{ Body *postgres.Explanation }

func (s *server) explainWorkflow(ctx context.Context, in *explainIn) (*explainOut, error) {
	now := time.Now()
	if !in.then {
		in.At = now
	}
	if in.At.After(now.Add(time.Minute)) {
		var p automation.Problems
		p.Add("/at", "timestamp-in-future", "what is to come cannot be explained")
		return nil, automation.Invalid("the instant", p)
	}
	x, err := s.DB.Explain(ctx, in.Name, in.User, in.At)
	return &explainOut{x}, err
}

// againRule describes automation.Again as it stands in JSON.
type againRule struct{}

// Schema implements huma.SchemaProvider.
func (againRule) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "Whether a user who was in before is enrolled again.",
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Enum: []any{"never", "every_trigger"}},
			{
				Type: huma.TypeObject, AdditionalProperties: false, Required: []string{"after"},
				Properties: map[string]*huma.Schema{"after": {Type: huma.TypeString, Examples: []any{"30d"}}},
			},
		},
	}
}

type runsIn struct {
	WorkflowPath
	Page
}

// RunOut is a run with how far it is.
type RunOut struct {
	postgres.Run
	Progress float64 `json:"progress" doc:"From 0 to 1."`
}

func (s *server) listRuns(ctx context.Context, in *runsIn) (*List[RunOut], error) {
	var after *postgres.RunCursor
	if err := in.read(&after); err != nil {
		return nil, err
	}
	if after != nil && !isID(after.ID) {
		return nil, badPageToken()
	}
	runs, err := s.DB.Runs(ctx, in.Name, after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	list := pageOf(runs, in.limit(), func(r *postgres.Run) any { return postgres.RunCursor{CreatedAt: r.CreatedAt, ID: r.ID} })
	return showing(list, func(r *postgres.Run) RunOut { return RunOut{*r, r.Done()} }), nil
}

type runNowIn struct {
	WorkflowPath
	Body *struct {
		Trigger *int `json:"trigger,omitempty" minimum:"0" doc:"The position of the schedule trigger; the only schedule if left out."`
	}
}

type runNowOut struct {
	Status int
	Body   RunOut
}

func (s *server) runNow(ctx context.Context, in *runNowIn) (*runNowOut, error) {
	var trigger *int
	if in.Body != nil {
		trigger = in.Body.Trigger
	}
	r, err := s.DB.RunNow(ctx, in.Name, trigger, "")
	if err != nil {
		return nil, err
	}
	s.Starter.Wake()
	return &runNowOut{http.StatusCreated, RunOut{*r, r.Done()}}, nil
}

type runPath struct {
	WorkflowPath
	Run string `path:"run" maxLength:"1024"`
}

type runOut struct{ Body RunOut }

func (s *server) getRun(ctx context.Context, in *runPath) (*runOut, error) {
	r, err := s.DB.Run(ctx, in.Name, in.Run)
	return runAnswer(r, err)
}

func runAnswer(r *postgres.Run, err error) (*runOut, error) {
	if err != nil {
		return nil, err
	}
	return &runOut{RunOut{*r, r.Done()}}, nil
}

// setRun returns the operation that brings a run to a status.
func (s *server) setRun(status postgres.RunStatus) func(context.Context, *runPath) (*runOut, error) {
	return func(ctx context.Context, in *runPath) (*runOut, error) {
		r, err := s.DB.SetRun(ctx, in.Name, in.Run, status)
		s.Starter.Wake()
		return runAnswer(r, err)
	}
}

// HeldOut is what waits for approval.
type HeldOut struct {
	Body struct {
		Count int                     `json:"count" doc:"How many enrollments the guard holds."`
		Items []automation.Enrollment `json:"items" doc:"The first of them."`
	}
}

func (s *server) listHeld(ctx context.Context, in *WorkflowPath) (*HeldOut, error) {
	out := &HeldOut{}
	var err error
	out.Body.Count, out.Body.Items, err = s.DB.Held(ctx, in.Name, defaultPage)
	return out, err
}

type decideHeldIn struct {
	WorkflowPath
	Body *struct {
		Enrollments IDs `json:"enrollments,omitzero" doc:"Their ids, at most 1,000; all that are held if left out."`
	}
}

type decideHeldOut struct {
	Body struct {
		Count int `json:"count" doc:"How many were held."`
	}
}

// decideHeld returns the operation that approves or rejects.
func (s *server) decideHeld(decide func(ctx context.Context, definition string, ids []string) (int, error)) func(context.Context, *decideHeldIn) (*decideHeldOut, error) {
	return func(ctx context.Context, in *decideHeldIn) (*decideHeldOut, error) {
		var ids []string
		var err error
		if in.Body != nil {
			if ids, err = in.Body.Enrollments.chosen("/enrollments"); err != nil {
				return nil, err
			}
		}
		out := &decideHeldOut{}
		out.Body.Count, err = decide(ctx, in.Name, ids)
		s.Pump.Wake()
		return out, err
	}
}

// matching reads the filter of a list of users.
func matching(text string) (*filter.Tree, error) {
	v, err := strictjson.Parse([]byte(text))
	if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
		return nil, newProblem(http.StatusBadRequest, syntax.Code, "filter: "+syntax.Message)
	}
	if err != nil {
		return nil, err
	}
	return filterOf(v)
}
