package activities

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/osteele/liquid/render"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/postgres"
	"rollcall/strictjson"
)

// templates checks and renders the texts of a step.
type templates struct{ liquid *liquid }

// Escaped is implemented by params of which some fields need an escaping, by the field's name.
type Escaped interface{ Escaping() map[string]Escaping }

func escapingOf(p any) map[string]Escaping {
	if e, ok := p.(Escaped); ok {
		return e.Escaping()
	}
	return nil
}

func isTemplate(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%")
}

var userProperty = regexp.MustCompile(`(?:^|[^\w.-])user\.([A-Za-z_][\w-]*)`)

// variables are what templates may speak of; see scopeOf.
var variables = []string{"enrollment", "event", "now", "steps", "user", "workflow"}

var (
	// identifier finds the names in code, with what tells those of filters, members and options from
	// those of variables.
	identifier = regexp.MustCompile(`(\|\s*|\.\s*)?\b([A-Za-z_][\w-]*)(\s*:)?`)
	// reserved are the names that Liquid gives a meaning.
	reserved = []string{"and", "or", "contains", "in", "true", "false", "nil", "null", "blank", "empty", "reversed", "continue", "forloop", "tablerowloop"}
)

// speaksOf lists the variables that a template reads, without those that it makes itself.
func speaksOf(root render.Node) []string {
	var read []string
	made := slices.Clone(reserved)
	walk(root, func(n render.Node) {
		code := codeOf(n)
		switch nameOf(n) {
		case "assign", "capture", "for", "tablerow":
			made = append(made, identifier.FindString(code))
		}
		for _, m := range identifier.FindAllStringSubmatch(code, -1) {
			if m[1] == "" && m[3] == "" {
				read = append(read, m[2])
			}
		}
	})
	return slices.DeleteFunc(read, func(name string) bool { return slices.Contains(made, name) })
}

// nameOf is the tag of a node; "" of one that has none.
func nameOf(n render.Node) string {
	switch n := n.(type) {
	case *render.TagNode:
		return n.Name
	case *render.BlockNode:
		return n.Name
	default:
		return ""
	}
}

// check parses every template in a value and looks up the variables, and the properties of the user,
// that it names.
func (t *templates) check(v any, at string, properties automation.Properties, p *automation.Problems) {
	switch v := v.(type) {
	case string:
		if !isTemplate(v) {
			return
		}
		root, err := t.liquid.parse(v, false)
		if err != nil {
			p.Add(at, "template-invalid", "the template does not parse: %s", strictjson.Cut(err.Error(), 3*strictjson.MaxQuoted))
			return
		}
		for _, name := range speaksOf(root) {
			if !slices.Contains(variables, name) {
				p.Add(at, "unknown-variable", "the template asks for %s, and there is no such variable; there are %s", strictjson.Short(name), strings.Join(variables, ", "))
			}
		}
		walk(root, func(n render.Node) {
			for _, m := range userProperty.FindAllStringSubmatch(codeOf(n), -1) {
				if _, known := properties[m[1]]; !known && m[1] != "id" {
					p.Add(at, "unknown-property", "the template asks for user.%s, and there is no such property", strictjson.Short(m[1]))
				}
			}
		})
	case []any:
		for i, item := range v {
			t.check(item, strictjson.Index(at, i), properties, p)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			t.check(v[name], strictjson.Field(at, name), properties, p)
		}
	}
}

// render renders every text in a step's "with". The structure stays: only whole texts are
// templates, so no value can break out of its place.
func (t *templates) render(with map[string]any, escaping map[string]Escaping, scope map[string]any) (map[string]any, error) {
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

func (t *templates) renderValue(v any, escaping Escaping, scope map[string]any) (any, error) {
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

func (t *templates) renderText(source string, escaping Escaping, scope map[string]any) (string, error) {
	if !isTemplate(source) {
		return source, nil
	}
	root, err := t.liquid.parse(source, true)
	if err != nil {
		return "", connect.Permanent(err)
	}
	text, err := t.liquid.render(root, escaping, scope)
	if err != nil {
		return "", connect.Permanent(err)
	}
	return text, nil
}

// scopeOf is what a template may speak of.
func scopeOf(g *postgres.Gate, version *postgres.Published) map[string]any {
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
	return map[string]any{
		"user": user, "event": event, "steps": steps,
		"enrollment": map[string]any{
			"id": g.Enrollment.ID, "temporal_workflow_id": g.Enrollment.TemporalWorkflowID,
			"trigger": g.Enrollment.Trigger, "created_at": g.Enrollment.CreatedAt.UTC().Format(time.RFC3339),
		},
		"workflow": map[string]any{
			"name": version.Name, "title": version.Document.DisplayTitle(), "version": version.Number,
		},
		"now": g.Now.In(version.ZoneOf(g.User.Properties)), // where its day begins
	}
}
