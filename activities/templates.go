package activities

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/osteele/liquid"
	"github.com/osteele/liquid/render"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/strictjson"
)

// Limits of templates.
const (
	maxSource = 64 << 10  // bytes of one template
	maxResult = 256 << 10 // bytes of one rendered text
)

// Escaping is how the values in a template are made harmless for where the text goes.
type Escaping string

// The escapings.
const (
	Plain     Escaping = ""
	HTML      Escaping = "html"
	SlackText Escaping = "slack"
)

// Escaped is implemented by params of which some fields need an escaping, by the field's name.
type Escaped interface{ Escaping() map[string]Escaping }

func escapingOf(p any) map[string]Escaping {
	if e, ok := p.(Escaped); ok {
		return e.Escaping()
	}
	return nil
}

// templates renders Liquid. It is safe for concurrent use.
type templates struct {
	engines map[Escaping]*liquid.Engine

	mu     sync.Mutex
	parsed map[templateKey]*liquid.Template
}

type templateKey struct {
	escaping Escaping
	source   string
}

func newTemplates() *templates {
	return &templates{
		parsed: map[templateKey]*liquid.Template{},
		engines: map[Escaping]*liquid.Engine{
			Plain:     newEngine(nil),
			HTML:      newEngine(render.HtmlEscaper),
			SlackText: newEngine(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")),
		},
	}
}

func newEngine(escaper render.Replacer) *liquid.Engine {
	e := liquid.NewEngine()
	for _, tag := range []string{"include", "render"} {
		e.UnregisterTag(tag)
	}
	if escaper != nil {
		e.SetAutoEscapeReplacer(escaper)
	}
	return e
}

func isTemplate(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%")
}

func (t *templates) parse(source string, escaping Escaping) (*liquid.Template, error) {
	key := templateKey{escaping, source}
	t.mu.Lock()
	defer t.mu.Unlock()
	if parsed := t.parsed[key]; parsed != nil {
		return parsed, nil
	}
	if len(source) > maxSource {
		return nil, fmt.Errorf("a template has at most %d bytes", maxSource)
	}
	parsed, err := t.engines[escaping].ParseString(source)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "Liquid error: "))
	}
	t.parsed[key] = parsed
	return parsed, nil
}

var (
	templateTag  = regexp.MustCompile(`(?s)\{\{.*?\}\}|\{%.*?%\}`)
	userProperty = regexp.MustCompile(`(?:^|[^\w."'])user\.([A-Za-z_]\w*)`)
)

// check parses every template in a value and looks up the properties of the user that it names.
func (t *templates) check(v any, at string, properties automation.Properties, p *automation.Problems) {
	switch v := v.(type) {
	case string:
		if !isTemplate(v) {
			return
		}
		if _, err := t.parse(v, Plain); err != nil {
			p.Add(at, "template-invalid", "the template does not parse: %s", err)
			return
		}
		for _, tag := range templateTag.FindAllString(v, -1) {
			for _, m := range userProperty.FindAllStringSubmatch(tag, -1) {
				if _, known := properties[m[1]]; !known && m[1] != "id" {
					p.Add(at, "unknown-property", "the template asks for user.%s, and there is no such property", m[1])
				}
			}
		}
	case []any:
		for i, item := range v {
			t.check(item, strictjson.Index(at, i), properties, p)
		}
	case map[string]any:
		for _, name := range sortedNames(v) {
			t.check(v[name], strictjson.Field(at, name), properties, p)
		}
	}
}

// render renders every text in a step's "with". The structure stays: only whole texts are
// templates, so no value can break out of its place.
func (t *templates) render(with map[string]any, escaping map[string]Escaping, scope liquid.Bindings) (map[string]any, error) {
	rendered := make(map[string]any, len(with))
	for name, v := range with {
		r, err := t.renderValue(v, escaping[name], scope)
		if err != nil {
			return nil, fmt.Errorf("template of %s: %w", name, err)
		}
		rendered[name] = r
	}
	return rendered, nil
}

func (t *templates) renderValue(v any, escaping Escaping, scope liquid.Bindings) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		return t.renderText(v, escaping, scope)
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			if items[i], err = t.renderValue(item, escaping, scope); err != nil {
				return nil, err
			}
		}
		return items, nil
	case map[string]any:
		members := make(map[string]any, len(v))
		for name, item := range v {
			if members[name], err = t.renderValue(item, escaping, scope); err != nil {
				return nil, err
			}
		}
		return members, nil
	default:
		return v, nil
	}
}

func (t *templates) renderText(source string, escaping Escaping, scope liquid.Bindings) (string, error) {
	if !isTemplate(source) {
		return source, nil
	}
	parsed, err := t.parse(source, escaping)
	if err != nil {
		return "", fmt.Errorf("%w: %s", automation.ErrInvalid, err)
	}
	out := &limited{}
	if err := parsed.FRender(out, scope); err != nil {
		if out.full {
			return "", fmt.Errorf("%w: the text is longer than %d bytes", automation.ErrInvalid, maxResult)
		}
		return "", fmt.Errorf("%w: %s", automation.ErrInvalid, cut(err.Error()))
	}
	return out.String(), nil
}

// limited is a buffer that refuses to grow beyond maxResult.
type limited struct {
	bytes.Buffer
	full bool
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxResult {
		l.full = true
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}

// scopeOf is what a template may speak of.
func scopeOf(g *postgres.Gate, version *postgres.Published) liquid.Bindings {
	user := maps.Clone(g.User.Properties)
	if user == nil {
		user = map[string]any{}
	}
	user["id"] = g.User.ID
	event := map[string]any{}
	if e := g.Enrollment.Event; e != nil {
		maps.Copy(event, e.Properties)
		event["properties"] = e.Properties
		event["id"], event["name"], event["occurred_at"] = e.ID, e.Name, e.OccurredAt.UTC().Format(time.RFC3339)
	}
	steps := make(map[string]any, len(g.Outputs))
	for step, output := range g.Outputs {
		steps[step] = output
	}
	return liquid.Bindings{
		"user": user, "event": event, "steps": steps,
		"enrollment": map[string]any{
			"id": g.Enrollment.ID, "temporal_workflow_id": g.Enrollment.TemporalWorkflowID,
			"trigger": g.Enrollment.Trigger, "created_at": g.Enrollment.CreatedAt.UTC().Format(time.RFC3339),
		},
		"workflow": map[string]any{
			"name": version.Name, "title": version.Document.DisplayTitle(), "version": version.Number,
		},
		"now": time.Now().In(version.Document.Zone()),
	}
}
