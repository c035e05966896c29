package filter

import (
	"fmt"
	"strconv"
	"strings"
)

// String says in words what a filter asks, for people who look at it in passing.
func (t *Tree) String() string {
	switch {
	case t.Condition != nil:
		return t.Condition.String()
	case t.Not != nil:
		return "not " + t.Not.inBrackets()
	case len(t.Any) > 0:
		return joined(t.Any, " or ")
	default:
		return joined(t.All, " and ")
	}
}

func joined(trees []Tree, by string) string {
	parts := make([]string, len(trees))
	for i := range trees {
		parts[i] = trees[i].inBrackets()
	}
	return strings.Join(parts, by)
}

func (t *Tree) inBrackets() string {
	if len(t.All)+len(t.Any) > 1 {
		return "(" + t.String() + ")"
	}
	return t.String()
}

// String says in words what a condition asks.
func (c *Condition) String() string {
	words := []string{c.about(), strings.ReplaceAll(string(c.Op), "_", " ")}
	if c.Value != nil {
		words = append(words, inWords(c.Value))
	}
	if c.Count != nil {
		words = append(words, strconv.Itoa(*c.Count), "times")
	}
	if c.Within != "" {
		words = append(words, "within", c.Within)
	}
	if c.Where != nil {
		words = append(words, "where", c.Where.inBrackets())
	}
	return strings.Join(words, " ")
}

// about is what a condition looks at.
func (c *Condition) about() string {
	switch {
	case c.EventProperty != "":
		return "event." + c.EventProperty
	case c.Event != "":
		return c.Event
	case c.Workflow != "":
		return "workflow " + c.Workflow
	case c.Step != "" && c.Output != "":
		return c.Step + "." + c.Output
	case c.Step != "":
		return c.Step
	case c.Ever:
		return c.Property + " ever"
	case c.Of != "":
		return strings.ReplaceAll(string(c.Of), "_", " ") + " of " + c.Property
	default:
		return c.Property
	}
}

func inWords(v any) string {
	switch v := v.(type) {
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = inWords(item)
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		return fmt.Sprint(v["property"])
	default:
		text, ok := LooseText(v)
		if s, isText := v.(string); isText || !ok {
			return s
		}
		return text
	}
}
