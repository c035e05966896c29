// Package schema writes the JSON Schema of the documents that authors write, so that editors complete
// and check them.
//
// Floor 1. Members come from the structs of automation and filter, so that none is forgotten; what
// they are for, and the forms that are not those of their Go types, stand in manual.go and forms.go.
// The schema judges shape. It takes what automation.ParseDocument takes, but for members that are null,
// and refuses members that belong to another kind of step, trigger or condition; what there is to name
// (properties, steps, workflows) only a server knows.
package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"rollcall/automation"
)

// Workflow returns the JSON Schema, Draft 2020-12, of a workflow that can name these actions.
func Workflow(catalog automation.Catalog) json.RawMessage {
	w := writer{catalog: catalog, defs: object{}}
	root := w.structure(reflect.TypeFor[automation.Document](), nil, []string{"name", "triggers", "steps"})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "A workflow of Rollcall"
	root["description"] = "What enrolls a user, and the steps that each enrolled user then goes through."
	root["$defs"] = w.defs
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("schema: %s", err))
	}
	return append(text, '\n')
}

type object = map[string]any

// writer collects the definitions that a schema refers to.
type writer struct {
	catalog automation.Catalog
	defs    object
}

// of is the schema of a Go type: its own form, a reference to a struct, or what its kind says.
func (w *writer) of(t reflect.Type) object {
	if form := w.form(t); form != nil {
		return w.define(t, form)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return w.of(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": w.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		return object{"type": "integer"}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return w.define(t, func() object { return w.oneOf(t) })
	default:
		panic(fmt.Sprintf("schema: %s has no form", t))
	}
}

// define puts a schema among the definitions, once, and returns the reference to it.
func (w *writer) define(t reflect.Type, make func() object) object {
	name := snake(t.Name())
	if _, done := w.defs[name]; !done {
		w.defs[name] = object{} // one may be in itself
		w.defs[name] = make()
	}
	return object{"$ref": "#/$defs/" + name}
}

// variant is one of several kinds of a struct: the members that it must have, and those that it may.
type variant struct {
	title    string
	required []string
	optional []string
}

// oneOf is the schema of a struct: all of its members, or one of its variants.
func (w *writer) oneOf(t reflect.Type) object {
	kinds, varies := variants[t]
	if !varies {
		return w.structure(t, nil, required[t])
	}
	var all []object
	unused := members(t)
	for _, v := range kinds {
		taken := slices.Concat(v.required, v.optional)
		one := w.structure(t, taken, v.required)
		one["title"] = v.title
		properties := one["properties"].(object)
		if action, has := properties["action"].(object); has {
			action["enum"] = w.catalog.Kinds()
			one["allOf"] = w.actions()
		}
		if op, has := properties["op"].(object); has {
			op["enum"] = ops(v.required[0])
		}
		for _, name := range taken {
			delete(unused, name)
		}
		all = append(all, one)
	}
	if len(unused) > 0 {
		panic(fmt.Sprintf("schema: no kind of %s takes %v", t, slices.Sorted(maps.Keys(unused))))
	}
	return object{"oneOf": all}
}

// structure is the schema of a struct with some of its members; nil is all of them.
func (w *writer) structure(t reflect.Type, taken, required []string) object {
	fields := members(t)
	if taken == nil {
		taken = slices.Collect(maps.Keys(fields))
	}
	properties := object{}
	for _, name := range taken {
		field, known := fields[name]
		if !known {
			panic(fmt.Sprintf("schema: %s has no member %q", t, name))
		}
		entry, described := manual[t.Name()+"."+name]
		if !described {
			panic(fmt.Sprintf("schema: the manual lacks %s.%s", t.Name(), name))
		}
		member := w.of(field)
		maps.Copy(member, entry.more)
		member["description"] = entry.doc
		properties[name] = member
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// members are the types of the fields of a struct, by the names that documents give them.
func members(t reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			all[name] = f.Type
		}
	}
	return all
}

// actions says, for each kind of action, what its "with" is.
func (w *writer) actions() []object {
	var all []object
	for _, kind := range w.catalog.Actions {
		name := "with_" + kind.Kind
		with := object{"type": "object"}
		if len(kind.Schema) > 0 {
			if err := json.Unmarshal(kind.Schema, &with); err != nil {
				panic(fmt.Sprintf("schema: that of the action %s: %s", kind.Kind, err))
			}
		}
		loosen(with)
		with["title"], with["description"] = kind.Title, kind.Description
		w.defs[name] = with
		then := object{"properties": object{"with": object{"$ref": "#/$defs/" + name}}}
		if must, _ := with["required"].([]any); len(must) > 0 {
			then["required"] = []string{"with"}
		}
		all = append(all, object{
			"if":   object{"properties": object{"action": object{"const": kind.Kind}}, "required": []string{"action"}},
			"then": then,
		})
	}
	return all
}

// loosen lets a template stand wherever a text is one of a few, for it is rendered before it is judged.
func loosen(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			loosen(item)
		}
	case object:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			loosen(v[name])
		}
		if choices, few := v["enum"]; few && v["type"] == "string" {
			delete(v, "enum")
			v["anyOf"] = []object{{"enum": choices}, {"pattern": `\{\{|\{%`}}
		}
	}
}

// snake is the name of a Go type as names are written in documents.
func snake(name string) string {
	var s strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			s.WriteByte('_')
		}
		s.WriteString(strings.ToLower(string(r)))
	}
	return s.String()
}
