package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/strictjson"
)

type previewIn struct {
	WorkflowPath
	RawBody []byte
}

// PreviewBody is what to preview; nothing at all is the saved workflow.
type PreviewBody struct {
	Filter   map[string]any `json:"filter,omitempty" doc:"A filter."`
	Workflow map[string]any `json:"workflow,omitempty" doc:"A definition, as it would be saved."`
}

type previewOut struct{ Body *postgres.Preview }

func (s *server) previewWorkflow(ctx context.Context, in *previewIn) (*previewOut, error) {
	tree, document, err := in.read()
	if err != nil {
		return nil, err
	}
	var p *postgres.Preview
	if tree != nil {
		p, err = s.DB.PreviewFilter(ctx, in.Name, tree)
		return &previewOut{p}, below("/filter", err)
	}
	p, err = s.DB.PreviewDocument(ctx, in.Name, document)
	return &previewOut{p}, below("/workflow", err)
}

// read finds what is to be previewed; both are nil for the saved workflow.
func (in *previewIn) read() (*filter.Tree, *automation.Document, error) {
	if len(in.RawBody) == 0 {
		return nil, nil, nil
	}
	v, err := strictjson.Parse(in.RawBody)
	if err != nil {
		return nil, nil, err
	}
	var body struct {
		Filter   *filter.Tree `json:"filter"`
		Workflow any          `json:"workflow"`
	}
	var problems automation.Problems
	strictjson.Decode(v, "", &body, &problems)
	if body.Filter != nil && body.Workflow != nil {
		problems.Add("/filter", "ambiguous", `a preview is of a "filter" or of a "workflow", not of both`)
	}
	if err := automation.Invalid("the preview", problems); err != nil || body.Workflow == nil {
		return body.Filter, nil, err
	}
	text, err := json.Marshal(body.Workflow)
	if err != nil {
		return nil, nil, err
	}
	document, err := automation.ParseDocument(text)
	return nil, document, below("/workflow", err)
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
}

type explainOut struct{ Body *postgres.Explanation }

func (s *server) explainWorkflow(ctx context.Context, in *explainIn) (*explainOut, error) {
	now := time.Now()
	if in.At.IsZero() {
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
	runs, err := s.DB.Runs(ctx, in.Name, after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	runs, more := trim(runs, in.limit())
	items := make([]RunOut, len(runs))
	for i := range runs {
		items[i] = RunOut{runs[i], runs[i].Done()}
	}
	if !more {
		return page(items, ""), nil
	}
	last := &runs[len(runs)-1]
	return page(items, pageToken(postgres.RunCursor{CreatedAt: last.CreatedAt, ID: last.ID})), nil
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
		Enrollments []string `json:"enrollments,omitempty" maxItems:"1000" doc:"Their ids; all that are held if left out."`
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
		if in.Body != nil {
			ids = in.Body.Enrollments
		}
		out := &decideHeldOut{}
		var err error
		out.Body.Count, err = decide(ctx, in.Name, ids)
		s.Pump.Wake()
		return out, err
	}
}

// matching reads the filter of a list of users.
func matching(text string) (*filter.Tree, error) {
	v, err := strictjson.Parse([]byte(text))
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "malformed-json", "filter: "+err.Error())
	}
	var t filter.Tree
	var problems automation.Problems
	t.DecodeJSON(v, "", &problems)
	return &t, automation.Invalid("the filter", problems)
}

// previewBody describes the body of a preview, which has a validator of its own.
func previewBody(o *huma.Operation) {
	o.MaxBodyBytes = 512<<10 + 1
	o.SkipValidateBody = true
	o.RequestBody = &huma.RequestBody{
		Description: "A filter or a definition; nothing for the saved workflow.",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: huma.SchemaFromType(huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer), reflect.TypeFor[PreviewBody]())}},
	}
}
