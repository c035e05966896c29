package api

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/strictjson"
)

// Workflow is a definition with what became of it.
type Workflow struct {
	Name        string                              `json:"name"`
	Title       string                              `json:"title"`
	Status      automation.DefinitionStatus         `json:"status" enum:"draft,live,paused,archived"`
	LiveVersion int                                 `json:"live_version,omitempty" doc:"The version that enrolls."`
	Draft       json.RawMessage                     `json:"draft" doc:"The definition as last saved."`
	DraftHash   string                              `json:"draft_hash"`
	Enrollments map[automation.EnrollmentStatus]int `json:"enrollments,omitempty" doc:"How many, by status."`
	Schedules   []ScheduleOut                       `json:"schedules,omitempty" doc:"The schedules of the version that is live, in Temporal."`
	NextRuns    []NextRun                           `json:"next_runs,omitempty" doc:"When schedule triggers fire next: those of the live version, else of the draft."`
	CreatedAt   time.Time                           `json:"created_at"`
	UpdatedAt   time.Time                           `json:"updated_at"`
}

func workflowOf(d *automation.Definition) Workflow {
	return Workflow{
		Name: d.Name, Title: d.Title, Status: d.Status, LiveVersion: d.LiveVersion,
		Draft: d.Draft, DraftHash: d.DraftHash, CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
}

// WorkflowOut is one workflow. Its ETag is the hash of the draft.
type WorkflowOut struct {
	Status int
	ETag   string `header:"ETag"`
	Body   Workflow
}

// WorkflowPath names a workflow.
type WorkflowPath struct {
	Name string `path:"name" maxLength:"1024"`
}

func (s *server) workflow(ctx context.Context, status int, d *automation.Definition, err error) (*WorkflowOut, error) {
	if err != nil {
		return nil, err
	}
	w := workflowOf(d)
	w.Enrollments, err = s.DB.Counts(ctx, d.Name)
	if err == nil {
		err = s.addSchedules(ctx, d, &w)
	}
	return &WorkflowOut{Status: status, ETag: `"` + d.DraftHash + `"`, Body: w}, err
}

func (s *server) listWorkflows(ctx context.Context, in *Page) (*List[Workflow], error) {
	var after string
	if err := in.read(&after); err != nil {
		return nil, err
	}
	definitions, err := s.DB.Definitions(ctx, after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	list := pageOf(definitions, in.limit(), func(d *automation.Definition) any { return d.Name })
	return showing(list, workflowOf), nil
}

func (s *server) getWorkflow(ctx context.Context, in *WorkflowPath) (*WorkflowOut, error) {
	d, err := s.DB.Definition(ctx, in.Name)
	return s.workflow(ctx, http.StatusOK, d, err)
}

// DefinitionIn is a definition as it is sent.
type DefinitionIn struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte
}

// document reads a definition in the format that the request names.
func (in *DefinitionIn) document() (*automation.Document, error) {
	kind, _, _ := mime.ParseMediaType(in.ContentType)
	if isYAML(kind) {
		return ParseYAML(in.RawBody)
	}
	return automation.ParseDocument(in.RawBody)
}

type putWorkflowIn struct {
	WorkflowPath
	DefinitionIn
	IfMatch string `header:"If-Match" doc:"The ETag of the draft that is replaced."`
}

func (s *server) putWorkflow(ctx context.Context, in *putWorkflowIn) (*WorkflowOut, error) {
	document, err := in.document()
	if err != nil {
		return nil, err
	}
	if err := nameFrom(in.Name, document); err != nil {
		return nil, err
	}
	if in.IfMatch == "*" {
		if _, err := s.DB.Definition(ctx, in.Name); errors.Is(err, automation.ErrNotFound) {
			return nil, automation.ErrStale
		}
	}
	d, created, err := s.DB.SaveDraft(ctx, document, hashOf(in.IfMatch))
	return s.workflow(ctx, createdOr(created), d, err)
}

// nameFrom gives a definition the name in the address; one that says another name is refused.
func nameFrom(address string, d *automation.Document) error {
	var p automation.Problems
	if d.Name != "" && d.Name != address {
		p.Add("/name", "name-differs", "the address says %q and the definition %q", address, d.Name)
	}
	d.Name = address
	return automation.Invalid("the workflow", p)
}

// hashOf is the hash in an If-Match header; "" where any draft will do.
func hashOf(ifMatch string) string {
	if ifMatch == "*" {
		return ""
	}
	if hash := strings.Trim(strings.TrimPrefix(ifMatch, "W/"), `"`); hash != "" {
		return hash
	}
	return ifMatch // "" for no header; an empty tag is no draft's
}

type deleteWorkflowIn struct {
	WorkflowPath
	IfMatch string `header:"If-Match" doc:"The ETag of the draft that is deleted."`
}

func (s *server) deleteWorkflow(ctx context.Context, in *deleteWorkflowIn) (*struct{}, error) {
	return nil, s.DB.DeleteDefinition(ctx, in.Name, hashOf(in.IfMatch))
}

// ValidateOut tells the problems of a definition.
type ValidateOut struct {
	Body struct {
		Valid    bool                 `json:"valid"`
		Problems []automation.Problem `json:"problems"`
		NextRuns []NextRun            `json:"next_runs" doc:"When schedule triggers fire next."`
	}
}

func (s *server) validateWorkflow(ctx context.Context, in *DefinitionIn) (*ValidateOut, error) {
	out := &ValidateOut{}
	out.Body.NextRuns, out.Body.Problems = []NextRun{}, []automation.Problem{}
	document, err := in.document()
	if err == nil {
		err = s.DB.ValidateDocument(ctx, document)
	}
	invalid, isInvalid := errors.AsType[*automation.InvalidError](err)
	syntax, isSyntax := errors.AsType[*strictjson.SyntaxError](err)
	switch {
	case isInvalid:
		out.Body.Problems = atMost(invalid.Problems)
	case isSyntax:
		out.Body.Problems = append(out.Body.Problems, automation.Problem{Code: syntax.Code, Message: syntax.Message})
	case err != nil:
		return nil, err
	}
	if out.Body.Valid = len(out.Body.Problems) == 0; out.Body.Valid {
		out.Body.NextRuns = nextRuns(s.DB.Localized(document))
	}
	return out, nil
}

type publishIn struct {
	WorkflowPath
	DryRun bool `query:"dry_run" doc:"Only tell what becomes of the enrollments that run."`
	Body   *struct {
		Existing string            `json:"existing,omitempty" enum:"skip,enroll" doc:"Whether users for whom a filter trigger holds already are enrolled, by a run; skip if left out."`
		InFlight string            `json:"in_flight,omitempty" enum:"finish,migrate" doc:"Whether running enrollments finish on their version, or go on in this one; finish if left out."`
		Mapping  map[string]string `json:"mapping,omitempty" doc:"Where those who migrate go on that stand at steps that are gone: old step → new step. Else at the first step behind it that there is."`
		By       string            `json:"by,omitempty" maxLength:"200" doc:"Who wants the migration."`
		Rate     int               `json:"rate,omitempty" minimum:"1" maximum:"5000" doc:"How many existing users a second are enrolled; 100 if left out."`
	}
}

// Resolve implements huma.Resolver: who asks for nothing but a foresight must not publish by a slip.
func (*publishIn) Resolve(ctx huma.Context) []error { return filled(ctx, "dry_run") }

type publishOut struct{ Body *postgres.Publication }

func (s *server) publishWorkflow(ctx context.Context, in *publishIn) (*publishOut, error) {
	var existing postgres.Existing
	var inFlight postgres.Migration
	if b := in.Body; b != nil {
		existing = postgres.Existing{Enroll: b.Existing == "enroll", Rate: b.Rate}
		inFlight = postgres.Migration{Migrate: b.InFlight == "migrate", Mapping: b.Mapping, Actor: actor(ctx, b.By)}
	}
	if in.DryRun {
		p, err := s.DB.Foresee(ctx, in.Name, inFlight)
		return &publishOut{p}, err
	}
	p, err := s.DB.Publish(ctx, in.Name, existing, inFlight)
	s.Starter.Wake()
	s.Scheduler.Wake()
	return &publishOut{p}, err
}

func (s *server) pauseWorkflow(ctx context.Context, in *WorkflowPath) (*WorkflowOut, error) {
	d, err := s.DB.Pause(ctx, in.Name)
	s.Scheduler.Wake()
	return s.workflow(ctx, http.StatusOK, d, err)
}

type resumeIn struct {
	WorkflowPath
	Body *struct {
		Rate int `json:"rate,omitempty" minimum:"1" maximum:"5000" doc:"How many of the enrollments that were held go on each second; 100 if left out."`
	}
}

func (s *server) resumeWorkflow(ctx context.Context, in *resumeIn) (*WorkflowOut, error) {
	rate := 0
	if in.Body != nil {
		rate = in.Body.Rate
	}
	d, err := s.DB.Resume(ctx, in.Name, rate)
	s.Starter.Wake()
	s.Scheduler.Wake()
	return s.workflow(ctx, http.StatusOK, d, err)
}

type archiveIn struct {
	WorkflowPath
	Body *struct {
		Enrollments string `json:"enrollments,omitempty" enum:"finish,unenroll" doc:"Whether those who are in the workflow finish or are taken out; finish if left out."`
	}
}

func (s *server) archiveWorkflow(ctx context.Context, in *archiveIn) (*WorkflowOut, error) {
	d, err := s.DB.Archive(ctx, in.Name, in.Body != nil && in.Body.Enrollments == "unenroll")
	s.Starter.Wake()
	s.Scheduler.Wake()
	return s.workflow(ctx, http.StatusOK, d, err)
}

func (s *server) listVersions(ctx context.Context, in *WorkflowPath) (*List[automation.Version], error) {
	versions, err := s.DB.Versions(ctx, in.Name)
	return page(versions, ""), err
}

type versionPath struct {
	WorkflowPath
	N int `path:"n" minimum:"1" maximum:"2147483647"`
}

type versionOut struct{ Body *automation.Version }

func (s *server) getVersion(ctx context.Context, in *versionPath) (*versionOut, error) {
	v, err := s.DB.Version(ctx, in.Name, in.N)
	return &versionOut{v}, err
}

type decisionsIn struct {
	WorkflowPath
	User string `query:"user" required:"true" doc:"The user whom the decisions concern."`
}

func (s *server) listDecisions(ctx context.Context, in *decisionsIn) (*List[postgres.Decision], error) {
	if _, err := s.DB.Definition(ctx, in.Name); err != nil {
		return nil, err
	}
	decisions, err := s.DB.Decisions(ctx, in.Name, in.User, maxPage)
	return page(decisions, ""), err
}
