package activities

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/filter"
	"rollcall/postgres"
)

// SetProperty changes one property of the enrolled user, exactly once.
type SetProperty struct{}

// SetPropertyParams is the "with" of a set_property step: the property, and one of the rest.
type SetPropertyParams struct {
	Property  string `json:"property" doc:"The property of the enrolled user to change."`
	Value     any    `json:"value,omitempty" doc:"The new value. A text is read as the property's type."`
	Copy      string `json:"copy,omitempty" doc:"The property whose value is copied."`
	Increment any    `json:"increment,omitempty" doc:"A number to add; a negative one is subtracted. Empty counts as 0."`
	Append    Texts  `json:"append,omitempty" doc:"What to add to a list."`
	Remove    Texts  `json:"remove,omitempty" doc:"What to remove from a list."`
	Clear     bool   `json:"clear,omitempty" doc:"Makes the property empty."`
}

// Kind names the action.
func (SetPropertyParams) Kind() string { return "set_property" }

// About describes the action.
func (SetPropertyParams) About() (title, description string) {
	return "Set a property", "Sets, clears, copies, increments, appends to or removes from a property of the enrolled user."
}

// FirstTry is short: our own database.
func (SetPropertyParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (SetPropertyParams) Gives() map[string]string {
	return map[string]string{
		"changed": "Whether it was another value before.",
		"old":     "The value before, where it changed.",
		"new":     "The value now, where it changed.",
	}
}

// Check judges the mode and, where it is settled, the value.
func (p SetPropertyParams) Check(c *Checking) {
	c.Require("property", p.Property)
	modes := 0
	for _, set := range []bool{p.Value != nil, p.Copy != "", p.Increment != nil, p.Append != nil, p.Remove != nil, p.Clear} {
		if set {
			modes++
		}
	}
	if modes != 1 {
		c.Add("", "mode-invalid", "needs exactly one of value, copy, increment, append, remove and clear")
	}
	if c.Properties == nil || p.Property == "" {
		return
	}
	property, known := c.Properties[p.Property]
	isList := property.Type == filter.MultiEnum || property.Type == filter.Users
	switch {
	case !known:
		c.Add("/property", "unknown-property", "there is no property %q", p.Property)
	case slices.Contains(automation.ReadOnlyProperties(), p.Property):
		c.Add("/property", "read-only-field", "the property %q is set by the system", p.Property)
	case p.Copy != "" && c.Properties[p.Copy].Name == "":
		c.Add("/copy", "unknown-property", "there is no property %q", p.Copy)
	case p.Increment != nil && property.Type != filter.Number:
		c.Add("/increment", "wrong-type", "only a number can be incremented, %s is %s", p.Property, property.Type.Describe())
	case (p.Append != nil || p.Remove != nil) && !isList:
		c.Add("", "wrong-type", "only a list can be appended to or removed from, %s is %s", p.Property, property.Type.Describe())
	case p.Increment != nil:
		p.checkValue(c, property, "/increment", p.Increment)
	case p.Append != nil:
		p.checkValue(c, property, "/append", p.Append.items())
	case p.Value != nil:
		p.checkValue(c, property, "/value", p.Value)
	}
}

// checkValue judges a value where no template in it is still to be rendered.
func (p SetPropertyParams) checkValue(c *Checking, property automation.Property, pointer string, v any) {
	if !c.Settled(v) {
		return
	}
	v, problem := coerce(property, v)
	if problem == "" {
		_, problem = property.Check(v)
	}
	if problem != "" {
		c.Add(pointer, "wrong-type", "%s %s", p.Property, problem)
	}
}

// DoInside changes the user in the transaction that records the visit.
func (*SetProperty) DoInside(ctx context.Context, tx *postgres.Inside, c Call[SetPropertyParams]) (Output, error) {
	return c.Params.change(changerIn(ctx, tx))
}

// changerIn is the way to change the user of a step in its transaction.
func changerIn(ctx context.Context, tx *postgres.Inside) ChangeUser {
	return func(compute Computing) ([]automation.Change, error) { return tx.ChangeUser(ctx, compute) }
}

// change changes the user by the function given.
func (p SetPropertyParams) change(user ChangeUser) (Output, error) {
	changes, err := user(func(u *automation.User, schema automation.Properties) (map[string]any, error) {
		property, known := schema[p.Property]
		if !known {
			return nil, connect.Permanent(fmt.Errorf("there is no property %q", p.Property))
		}
		v, err := p.next(u, property)
		return map[string]any{p.Property: v}, err
	})
	if err != nil {
		return Output{}, err
	}
	what := p.Property + " was so already"
	values := map[string]any{"changed": len(changes) > 0}
	if len(changes) > 0 {
		what = "changed " + p.Property
		values["old"], values["new"] = changes[0].Old, changes[0].New
	}
	return Output{What: what, Values: values}, nil
}

// next is the value that the property will have.
func (p SetPropertyParams) next(u *automation.User, property automation.Property) (any, error) {
	old := u.Properties[p.Property]
	switch {
	case p.Clear:
		return nil, nil
	case p.Copy != "":
		return u.Properties[p.Copy], nil
	case p.Increment != nil:
		by, problem := coerce(property, p.Increment)
		n, ok := by.(float64)
		if problem != "" || !ok {
			return nil, connect.Permanent(fmt.Errorf("increment %v is not a number", p.Increment))
		}
		before, _ := old.(float64)
		if after := before + n; !math.IsInf(after, 0) {
			return after, nil
		}
		return nil, connect.Permanent(fmt.Errorf("%s is too large to be incremented by %v", p.Property, n))
	case p.Append != nil:
		items, _ := old.([]any)
		return slices.Concat(items, p.Append.items()), nil
	case p.Remove != nil:
		items, _ := old.([]any)
		return slices.DeleteFunc(slices.Clone(items), func(item any) bool {
			s, _ := item.(string)
			return slices.Contains(p.Remove, s)
		}), nil
	default:
		v, problem := coerce(property, p.Value)
		if problem != "" {
			return nil, connect.Permanent(fmt.Errorf("%s %s", p.Property, problem))
		}
		return v, nil
	}
}

// coerce reads a text, which is what templates give, as a value of the property's type.
func coerce(property automation.Property, v any) (value any, problem string) {
	s, ok := v.(string)
	if !ok {
		return v, ""
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, ""
	}
	switch property.Type {
	case filter.Number:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, "must be a number"
		}
		return f, ""
	case filter.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return nil, "must be true or false"
		}
		return b, ""
	case filter.Date, filter.Datetime:
		return coerceTime(property.Type, s), ""
	case filter.MultiEnum, filter.Users:
		return []any{s}, ""
	default:
		return v, ""
	}
}

// coerceTime reads the forms in which templates write instants. Others stay as they are, for the
// property to refuse.
func coerceTime(t filter.Type, s string) string {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 -0700", time.DateOnly} {
		at, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t == filter.Date {
			return at.Format(time.DateOnly)
		}
		return at.Format(time.RFC3339)
	}
	return s
}
