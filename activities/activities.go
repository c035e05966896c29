// Package activities is what a step does to the world: one file per kind of action, and one list.
//
// Floor 2. An action is a params struct and a Do: it gets strict decoding, rendered templates, the
// gate, a stable key and error mapping for free, and never imports Temporal.
//
// Templates are Liquid within limits that hold whatever an author writes: limits.go has them.
package activities

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"rollcall/automation"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/connect/webhook"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/strictjson"
	"rollcall/workflows"
)

// Deps are what the actions work with. A connector that is nil is not configured: its actions
// fail for good and say so.
type Deps struct {
	DB             *postgres.DB
	Mail           *email.Sender
	Slack          *slack.Sender
	Sheets         *sheets.Client
	Webhook        *webhook.Sender
	Connections    *Connections // those that steps name, and those they use where the ones above are not there; nil: none
	WebhookSecrets []string     // sign every webhook; several while one replaces another
	PublicURL      string       // where other systems reach the API: https://rollcall.example.com
	Metrics        *Metrics
}

// Set is all activities of Rollcall.
type Set struct {
	Deps
	templates  *templates
	byKind     map[string]runner
	rehearsals map[string]rehearsal
	catalog    automation.Catalog
}

// New lists the actions. A kind that stands twice panics.
func New(d Deps) *Set {
	s := &Set{Deps: d, templates: &templates{newLiquid()}, byKind: map[string]runner{}, rehearsals: map[string]rehearsal{}}
	addInside(s, &SetProperty{})
	addInside(s, &Notify{})
	addInside(s, &AddToTeam{})
	addInside(s, &RemoveFromTeam{})
	addInside(s, &CreateTask{})
	addInside(s, &Enroll{})
	addInside(s, &Unenroll{})
	add(s, &Format{})
	add(s, &SendEmail{&s.Deps})
	add(s, &SendSlack{&s.Deps})
	add(s, &SendWebhook{&s.Deps})
	add(s, &CallSystem{&s.Deps})
	add(s, &AddSheetRow{&s.Deps})
	add(s, &UpdateSheetRow{&s.Deps})
	slices.SortFunc(s.catalog.Actions, func(a, b automation.ActionKind) int { return cmp.Compare(a.Kind, b.Kind) })
	s.catalog.CheckTemplate = func(source string, properties automation.Properties) (problems automation.Problems) {
		s.templates.check(source, "", properties, &problems)
		return problems
	}
	return s
}

// Catalog describes the actions to everything that does not run them.
func (s *Set) Catalog() automation.Catalog { return s.catalog }

// Register makes the activities known to a worker.
func (s *Set) Register(r worker.ActivityRegistry) {
	for _, kind := range s.catalog.Actions {
		run := s.byKind[kind.Kind]
		r.RegisterActivityWithOptions(func(ctx context.Context, in workflows.StepInput) (workflows.ActionResult, error) {
			return s.act(ctx, kind.Kind, run, in)
		}, activity.RegisterOptions{Name: kind.Kind})
	}
	r.RegisterActivityWithOptions(s.beginDelay, activity.RegisterOptions{Name: workflows.BeginDelayActivity})
	r.RegisterActivityWithOptions(s.beginWait, activity.RegisterOptions{Name: workflows.BeginWaitActivity})
	r.RegisterActivityWithOptions(s.endWait, activity.RegisterOptions{Name: workflows.EndWaitActivity})
	r.RegisterActivityWithOptions(s.endCall, activity.RegisterOptions{Name: workflows.EndCallActivity})
	r.RegisterActivityWithOptions(s.attend, activity.RegisterOptions{Name: workflows.AttendActivity})
	r.RegisterActivityWithOptions(s.noteFailure, activity.RegisterOptions{Name: workflows.NoteFailureActivity})
	r.RegisterActivityWithOptions(s.takeBranch, activity.RegisterOptions{Name: workflows.TakeBranchActivity})
	r.RegisterActivityWithOptions(s.finishEnrollment, activity.RegisterOptions{Name: workflows.FinishEnrollmentActivity})
	r.RegisterActivityWithOptions(s.openRuns, activity.RegisterOptions{Name: workflows.OpenRunsActivity})
	r.RegisterActivityWithOptions(s.stepRun, activity.RegisterOptions{Name: workflows.StepRunActivity})
}

// Params is the "with" of one kind of action. Its fields, with their json and doc tags, are the
// manual of the action and the source of its JSON Schema.
type Params interface {
	// Kind is the string in documents, for ever.
	Kind() string
	// About is one sentence for the catalogue, behind a short title.
	About() (title, description string)
	// FirstTry is how long the first try may take before the long retries take over. Zero means no
	// such try: an effect whose receiver cannot recognise a repetition is not cut short.
	FirstTry() time.Duration
	// Check judges what decoding cannot. It is asked at publication, of templates that are not
	// rendered, and again of rendered ones before each effect.
	Check(c *Checking)
}

// giving is params of an action that gives something to later steps.
type giving interface {
	// Gives says by name what that is; "<name>" stands for names that an author or another system
	// chooses.
	Gives() map[string]string
}

func outputsOf(p Params) map[string]string {
	if g, ok := p.(giving); ok {
		return g.Gives()
	}
	return nil
}

// connecting is params that may name a connection, in a field "connection".
type connecting interface {
	// ConnectionKind is the kind of that connection.
	ConnectionKind() string
}

func connectionOf(p Params) string {
	if c, ok := p.(connecting); ok {
		return c.ConnectionKind()
	}
	return ""
}

// Checking collects the problems of params.
type Checking struct {
	automation.Problems
	Properties automation.Properties // nil while an action runs
	Templates  bool                  // texts are templates that are not rendered
}

// Require adds a problem when a text is empty.
func (c *Checking) Require(field, value string) {
	if value == "" {
		c.Add("/"+field, "required", "%s is required", field)
	}
}

// RequireOne adds a problem when none of the texts of a list says anything.
func (c *Checking) RequireOne(field string, values Texts) {
	c.Require(field, strings.Join(values, ""))
}

// Connection adds a problem where the name of a connection is a template.
func (c *Checking) Connection(name string) {
	if !c.Settled(name) {
		c.Add("/connection", "template-not-taken", "the name of a connection is no template")
	}
}

// Settled reports whether a value is what it will be: no text in it is a template that is not
// rendered.
func (c *Checking) Settled(v any) bool {
	if !c.Templates {
		return true
	}
	switch v := v.(type) {
	case string:
		return !isTemplate(v)
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !c.Settled(item) })
	default:
		return true
	}
}

// Call is one call of an action.
type Call[P Params] struct {
	Params     P      // with rendered templates
	Key        string // the same in every attempt, different for every effect
	User       automation.User
	Enrollment automation.Enrollment

	ref postgres.VisitRef
}

// Output is what an action did.
type Output struct {
	What   string         // in words, for the timeline; without secrets
	Values map[string]any // what later steps can use as steps.<id>.<name>

	skipped bool          // it came too late, and did nothing
	pending time.Duration // for how long the rest of what it gives may still come; 0: this is all
}

// done is the output as it is recorded.
func (o Output) done() postgres.Done {
	return postgres.Done{What: cut(o.What), Output: o.Values, Skipped: o.skipped}
}

// outside is an action whose effect is outside: at least once, always with the same key.
type outside[P Params] interface {
	Do(ctx context.Context, c Call[P]) (Output, error)
}

// inside is an action whose effect is in our database: exactly once, in one transaction with its
// record.
type inside[P Params] interface {
	DoInside(ctx context.Context, tx *postgres.Inside, c Call[P]) (Output, error)
}

// pending is params of an outside action whose answer may be given later.
type pending interface{ Pends() }

// runner runs one visit of an action behind the gate.
// It reports whether the enrollment completed with the step.
type runner func(ctx context.Context, ref postgres.VisitRef, last bool) (completed bool, err error)

func add[P Params](s *Set, a outside[P]) {
	kind := enter[P](s)
	s.byKind[kind] = func(ctx context.Context, ref postgres.VisitRef, last bool) (completed bool, err error) {
		if _, pends := any(*new(P)).(pending); pends {
			if err := s.DB.StillPending(ctx, ref); err != nil {
				return false, err
			}
		}
		gate, err := s.DB.BeginVisit(ctx, ref, kind)
		if err != nil || gate.Done {
			return false, err
		}
		out, err := perform(ctx, s, s.DB, gate, ref, a.Do)
		if err != nil {
			return false, s.fail(ctx, ref, postgres.Failure{Kind: kind}, err)
		}
		if out.pending > 0 {
			ctx, cancel := lasting(ctx)
			defer cancel()
			return false, s.DB.Suspend(ctx, ref, gate.Now.Add(out.pending), cut(out.What))
		}
		return s.finish(ctx, gate, ref, out, last)
	}
}

func addInside[P Params](s *Set, a inside[P]) {
	kind := enter[P](s)
	s.byKind[kind] = func(ctx context.Context, ref postgres.VisitRef, last bool) (completed bool, err error) {
		completed, err = s.DB.VisitInside(ctx, ref, kind, last, func(tx *postgres.Inside) (postgres.Done, error) {
			out, err := perform(ctx, s, tx, tx.Gate, ref, func(ctx context.Context, c Call[P]) (Output, error) {
				return a.DoInside(ctx, tx, c)
			})
			return out.done(), err
		})
		if err != nil && !notAdmitted(err) {
			err = s.fail(ctx, ref, postgres.Failure{Kind: kind, RolledBack: true}, err)
		}
		return completed, err
	}
}

// enter puts an action into the catalogue.
func enter[P Params](s *Set) (kind string) {
	var zero P
	kind = zero.Kind()
	if s.byKind[kind] != nil {
		panic(fmt.Sprintf("activities: action %s stands twice", kind))
	}
	s.rehearsals[kind] = rehearse[P](s)
	title, description := zero.About()
	s.catalog.Actions = append(s.catalog.Actions, automation.ActionKind{
		Kind: kind, Title: title, Description: description, FirstTry: zero.FirstTry(), Connection: connectionOf(zero),
		Schema: schemaOf(reflect.TypeFor[P]()), Outputs: outputsOf(zero),
		Check: func(with map[string]any, properties automation.Properties) automation.Problems {
			c := &Checking{Properties: properties, Templates: true}
			s.templates.check(with, "", properties, &c.Problems)
			var p P
			strictjson.Decode(with, "", &p, &c.Problems)
			if len(c.Problems) == 0 {
				p.Check(c)
			}
			return c.Problems
		},
	})
	return kind
}

// versions is where versions are found: *postgres.DB or, in a transaction, *postgres.Inside.
type versions interface {
	Published(ctx context.Context, definition string, number int) (*postgres.Published, error)
}

// perform renders the params of a visit and calls the action.
func perform[P Params](ctx context.Context, s *Set, in versions, g *postgres.Gate, ref postgres.VisitRef,
	do func(ctx context.Context, c Call[P]) (Output, error),
) (Output, error) {
	s.Metrics.late(g)
	version, err := in.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version)
	if err != nil {
		return Output{}, err
	}
	step, ok := version.Document.Step(ref.Step)
	if !ok {
		return Output{}, fmt.Errorf("step %s: %w", ref.Step, automation.ErrNotFound)
	}
	out, err := late(step.DueWithin, g.Late)
	if err != nil || out.skipped {
		return out, err
	}
	call := Call[P]{ref: ref, Key: automation.EffectKey(ref.EnrollmentID, ref.Step, ref.Visit), User: g.User, Enrollment: g.Enrollment}
	with, err := s.templates.render(step.With, escapingOf(call.Params), scopeOf(g, version))
	if err != nil {
		return Output{}, err
	}
	c := &Checking{}
	strictjson.Decode(with, "", &call.Params, &c.Problems)
	call.Params.Check(c)
	if err := automation.Invalid("the rendered step", c.Problems); err != nil {
		return Output{}, err
	}
	done, err := do(ctx, call)
	if out.What != "" {
		done.What += " · " + out.What
	}
	return done, err
}

// late says what becomes of an action that begins so long after it was to.
func late(due *automation.DueWithin, by time.Duration) (Output, error) {
	if due == nil || by <= time.Duration(due.Within) {
		return Output{}, nil
	}
	what := fmt.Sprintf("%s late, due within %s", by.Truncate(time.Second), due.Within)
	switch due.Else {
	case automation.LateDo:
		return Output{What: what}, nil
	case automation.LateFail:
		return Output{}, fmt.Errorf("%s: %w", what, automation.ErrInvalid)
	default:
		return Output{What: what, Values: map[string]any{filter.Outcome: automation.OutcomeSkipped}, skipped: true}, nil
	}
}
