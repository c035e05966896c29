package schema

import (
	"reflect"
	"slices"

	"rollcall/automation"
	"rollcall/filter"
)

// The texts that documents write.
const (
	durationText  = `^(0|([0-9]+[ywdhms])+)$`
	offsetText    = `^(0|[+-]?([0-9]{1,9}[wdhms])+)$`
	dayOffsetText = `^(0|[+-]?[0-9]{1,6}d)$`
	withinText    = `^([0-9]+[wdhms])+$`
	shareText     = `^[0-9]{1,3}(\.[0-9]{1,3})?%$`
	clockText     = `^([01][0-9]|2[0-3]):[0-5][0-9]$`
	untilText     = `^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`
	dateText      = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	dayOffText    = `^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$`
	nameText      = `^[a-z0-9][a-z0-9_-]{0,63}$`
	stepText      = `^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`
)

var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

// form writes a type that documents write in another form than that of its Go type; nil for others.
func (w *writer) form(t reflect.Type) func() object {
	switch t {
	case reflect.TypeFor[automation.Duration]():
		return func() object { return amount(durationText, "90s", "15m", "8h", "3d", "2w", "1d12h") }
	case reflect.TypeFor[automation.Offset]():
		return func() object { return amount(offsetText, "-2d", "3h", "1w") }
	case reflect.TypeFor[automation.DayOffset]():
		return func() object { return amount(dayOffsetText, "-7d", "7d") }
	case reflect.TypeFor[automation.Share]():
		return func() object {
			return object{"type": "string", "pattern": shareText, "examples": []string{"20%"}}
		}
	case reflect.TypeFor[automation.DayOff]():
		return func() object {
			return object{"type": "string", "pattern": dayOffText, "examples": []string{"2026-12-24", "12-24"}}
		}
	case reflect.TypeFor[automation.ScheduleDay]():
		return func() object { return object{"type": []string{"string", "integer"}} }
	case reflect.TypeFor[automation.Values]():
		return func() object {
			one := object{"type": []string{"string", "number", "boolean"}}
			return object{"oneOf": []object{one, {"type": "array", "items": one}}}
		}
	case reflect.TypeFor[automation.Again]():
		return w.again
	case reflect.TypeFor[automation.Delay]():
		return w.delay
	case reflect.TypeFor[automation.OnError]():
		return w.onError
	case reflect.TypeFor[automation.DueWithin]():
		return w.dueWithin
	case reflect.TypeFor[filter.Tree]():
		return w.tree
	default:
		return nil
	}
}

// amount is a text of numbers with units, or the number 0.
func amount(pattern string, examples ...string) object {
	return object{"oneOf": []object{{"type": "string", "pattern": pattern, "examples": examples}, {"const": 0}}}
}

func (w *writer) again() object {
	after := w.of(reflect.TypeFor[automation.Duration]())
	after["description"], after["not"] = "So long after the last enrollment began.", some["not"]
	return object{"oneOf": []object{
		{"enum": []string{"never", "every_trigger"}},
		{"type": "object", "properties": object{"after": after}, "required": []string{"after"}, "additionalProperties": false},
	}}
}

func (w *writer) delay() object {
	t := reflect.TypeFor[automation.Delay]()
	after := w.structure(t, []string{"for", "business_days"}, []string{"for"})
	until := w.structure(t, []string{"until"}, []string{"until"})
	after["title"], until["title"] = "For an amount of time", "Until an instant"
	return object{"oneOf": []object{w.of(reflect.TypeFor[automation.Duration]()), after, until}}
}

func (w *writer) onError() object {
	steps := w.of(reflect.TypeFor[[]automation.Step]())
	steps["minItems"] = 1
	return object{"oneOf": []object{{"enum": []string{"stop", "continue"}}, steps}}
}

func (w *writer) dueWithin() object {
	long := w.structure(reflect.TypeFor[automation.DueWithin](), nil, []string{"within"})
	return object{"oneOf": []object{w.of(reflect.TypeFor[automation.Duration]()), long}}
}

// tree is a group of filters or a condition.
func (w *writer) tree() object {
	self := object{"$ref": "#/$defs/tree"}
	zone := object{"type": "string", "description": manual["Condition.time_zone"].doc}
	group := func(name, title string, of object) object {
		return object{
			"title": title, "type": "object", "required": []string{name}, "additionalProperties": false,
			"properties": object{name: of, "time_zone": zone},
		}
	}
	kinds := w.oneOf(reflect.TypeFor[filter.Condition]())["oneOf"].([]object)
	return object{"oneOf": slices.Concat([]object{
		group("all", "All of several filters", object{"type": "array", "items": self, "minItems": 1, "description": "Holds when every one of them holds."}),
		group("any", "Any of several filters", object{"type": "array", "items": self, "minItems": 1, "description": "Holds when at least one of them holds."}),
		group("not", "Not a filter", object{"$ref": "#/$defs/tree", "description": "Holds when it does not."}),
	}, kinds)}
}

// propertyOps are the ops that properties of some type take.
func propertyOps() []filter.Op {
	var all []filter.Op
	for _, t := range []filter.Type{
		filter.String, filter.Number, filter.Bool, filter.Date, filter.Datetime, filter.Enum, filter.MultiEnum, filter.User, filter.Users,
	} {
		for _, op := range filter.Operators(t) {
			if !slices.Contains(all, op) {
				all = append(all, op)
			}
		}
	}
	return all
}
