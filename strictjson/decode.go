package strictjson

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Decoder is implemented by types whose JSON form is not the plain form of their Go type.
// DecodeJSON fills the receiver from a value of Parse and adds what is wrong to p.
type Decoder interface {
	DecodeJSON(v any, pointer string, p *Problems)
}

// Decode fills into, a pointer, from a value of Parse that stands at pointer. Struct fields are
// matched by their exact json tags; a member that no field takes is "unknown-field", a value of
// another type "wrong-type". A null leaves the field as it is. All problems are reported.
func Decode(v any, pointer string, into any, p *Problems) {
	decode(v, pointer, reflect.ValueOf(into).Elem(), p)
}

func decode(v any, pointer string, into reflect.Value, p *Problems) {
	if v == nil {
		return
	}
	if d, ok := into.Addr().Interface().(Decoder); ok {
		d.DecodeJSON(v, pointer, p)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(into.Type().Elem())
		decode(v, pointer, fresh.Elem(), p)
		into.Set(fresh)
	case reflect.Struct:
		decodeStruct(v, pointer, into, p)
	case reflect.Slice:
		items, ok := v.([]any)
		if !ok {
			wrongType(v, pointer, "a list", p)
			return
		}
		list := reflect.MakeSlice(into.Type(), len(items), len(items))
		for i, item := range items {
			decode(item, Index(pointer, i), list.Index(i), p)
		}
		into.Set(list)
	case reflect.Map:
		decodeMap(v, pointer, into, p)
	case reflect.Interface:
		into.Set(reflect.ValueOf(v))
	default:
		decodeScalar(v, pointer, into, p)
	}
}

func decodeStruct(v any, pointer string, into reflect.Value, p *Problems) {
	members, ok := v.(map[string]any)
	if !ok {
		wrongType(v, pointer, "an object", p)
		return
	}
	fields := fieldsOf(into.Type())
	for _, name := range slices.Sorted(maps.Keys(members)) {
		i, known := fields[name]
		if !known {
			p.Add(Field(pointer, name), "unknown-field", "unknown field %q; known are %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
			continue
		}
		decode(members[name], Field(pointer, name), into.Field(i), p)
	}
}

func decodeMap(v any, pointer string, into reflect.Value, p *Problems) {
	members, ok := v.(map[string]any)
	if !ok {
		wrongType(v, pointer, "an object", p)
		return
	}
	m := reflect.MakeMapWithSize(into.Type(), len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		item := reflect.New(into.Type().Elem()).Elem()
		decode(members[name], Field(pointer, name), item, p)
		m.SetMapIndex(reflect.ValueOf(name), item)
	}
	into.Set(m)
}

func decodeScalar(v any, pointer string, into reflect.Value, p *Problems) {
	switch into.Kind() {
	case reflect.String:
		if s, ok := v.(string); ok {
			into.SetString(s)
			return
		}
		wrongType(v, pointer, "a text", p)
	case reflect.Bool:
		if b, ok := v.(bool); ok {
			into.SetBool(b)
			return
		}
		wrongType(v, pointer, "true or false", p)
	case reflect.Int, reflect.Int64:
		if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			into.SetInt(int64(f))
			return
		}
		wrongType(v, pointer, "a whole number", p)
	case reflect.Float64:
		if f, ok := v.(float64); ok {
			into.SetFloat(f)
			return
		}
		wrongType(v, pointer, "a number", p)
	default:
		panic(fmt.Sprintf("strictjson: cannot decode into %s", into.Type()))
	}
}

// TypeName names the JSON type of a value of Parse, for messages.
func TypeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case bool:
		return "true or false"
	case float64:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func wrongType(v any, pointer, want string, p *Problems) {
	p.Add(pointer, "wrong-type", "must be %s, is %s", want, TypeName(v))
}

func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = i
		}
	}
	return fields
}
