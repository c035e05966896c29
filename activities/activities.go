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
	WebhookSecrets []string // sign every webhook; several while one replaces another
	Metrics        *Metrics
}

// Set is all activities of Rollcall.
type Set struct {
	Deps
	templates *templates
	byKind    map[string]runner
	catalog   automation.Catalog
}

// New lists the actions. A kind that stands twice panics.
func New(d Deps) *Set {
	s := &Set{Deps: d, templates: &templates{newLiquid()}, byKind: map[string]runner{}}
	addInside(s, &SetProperty{})
	addInside(s, &Notify{})
	add(s, &SendEmail{d.DB, d.Mail})
	add(s, &SendSlack{d.DB, d.Slack})
	add(s, &SendWebhook{d.Webhook, d.WebhookSecrets})
	add(s, &AddSheetRow{d.Sheets})
	slices.SortFunc(s.catalog, func(a, b automation.ActionKind) int { return cmp.Compare(a.Kind, b.Kind) })
	return s
}

// Catalog describes the actions to everything that does not run them.
func (s *Set) Catalog() automation.Catalog { return s.catalog }

// Register makes the activities known to a worker.
func (s *Set) Register(r worker.ActivityRegistry) {
	for _, kind := range s.catalog {
		run := s.byKind[kind.Kind]
		r.RegisterActivityWithOptions(func(ctx context.Context, in workflows.StepInput) (workflows.ActionResult, error) {
			return s.act(ctx, kind.Kind, run, in)
		}, activity.RegisterOptions{Name: kind.Kind})
	}
	r.RegisterActivityWithOptions(s.beginDelay, activity.RegisterOptions{Name: workflows.BeginDelayActivity})
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
}

// Output is what an action did.
type Output struct {
	What   string         // in words, for the timeline; without secrets
	Values map[string]any // what later steps can use as steps.<id>.<name>
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

// runner runs one visit of an action behind the gate.
// It reports whether the enrollment completed with the step.
type runner func(ctx context.Context, ref postgres.VisitRef, last bool) (completed bool, err error)

func add[P Params](s *Set, a outside[P]) {
	kind := enter[P](s)
	s.byKind[kind] = func(ctx context.Context, ref postgres.VisitRef, last bool) (completed bool, err error) {
		gate, err := s.DB.BeginVisit(ctx, ref, kind)
		if err != nil || gate.Done {
			return false, err
		}
		out, err := perform(ctx, s, s.DB, gate, ref, a.Do)
		if err != nil {
			return false, s.fail(ctx, ref, postgres.Failure{Kind: kind}, err)
		}
		return s.finish(ctx, gate, ref, out, last)
	}
}

func addInside[P Params](s *Set, a inside[P]) {
	kind := enter[P](s)
	s.byKind[kind] = func(ctx context.Context, ref postgres.VisitRef, last bool) (completed bool, err error) {
		err = s.DB.VisitInside(ctx, ref, kind, last, func(tx *postgres.Inside) (string, map[string]any, error) {
			out, err := perform(ctx, s, tx, tx.Gate, ref, func(ctx context.Context, c Call[P]) (Output, error) {
				return a.DoInside(ctx, tx, c)
			})
			return out.What, out.Values, err
		})
		if err != nil && !notAdmitted(err) {
			err = s.fail(ctx, ref, postgres.Failure{Kind: kind, RolledBack: true}, err)
		}
		return last && err == nil, err
	}
}

// enter puts an action into the catalogue.
func enter[P Params](s *Set) (kind string) {
	var zero P
	kind = zero.Kind()
	if s.byKind[kind] != nil {
		panic(fmt.Sprintf("activities: action %s stands twice", kind))
	}
	title, description := zero.About()
	s.catalog = append(s.catalog, automation.ActionKind{
		Kind: kind, Title: title, Description: description, FirstTry: zero.FirstTry(),
		Schema: schemaOf(reflect.TypeFor[P]()),
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
	call := Call[P]{Key: automation.EffectKey(ref.EnrollmentID, ref.Step, ref.Visit), User: g.User, Enrollment: g.Enrollment}
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
	return do(ctx, call)
}
