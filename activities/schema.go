package activities

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"rollcall/strictjson"
)

// schemaOf is the JSON Schema of a params struct, from its json and doc tags.
func schemaOf(t reflect.Type) json.RawMessage {
	registry := huma.NewMapRegistry("#/$defs/", huma.DefaultSchemaNamer)
	text, err := json.Marshal(huma.SchemaFromType(registry, t))
	if err != nil {
		panic(fmt.Sprintf("activities: schema of %s: %s", t, err))
	}
	return text
}

// Texts is one text or a list of them.
type Texts []string

// DecodeJSON reads both forms.
func (t *Texts) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	if s, ok := v.(string); ok {
		*t = Texts{s}
		return
	}
	var list []string
	strictjson.Decode(v, pointer, &list, p)
	*t = list
}

// items are the texts as a value of JSON.
func (t Texts) items() []any {
	items := make([]any, len(t))
	for i, s := range t {
		items[i] = s
	}
	return items
}

// Schema describes both forms.
func (Texts) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString}
	return &huma.Schema{OneOf: []*huma.Schema{text, {Type: huma.TypeArray, Items: text}}}
}
