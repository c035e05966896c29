package automation

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// ActionKind describes one kind of action to everything that does not run it.
type ActionKind struct {
	Kind        string          `json:"kind"`        // stands in documents, for ever
	Title       string          `json:"title"`       // what people read
	Description string          `json:"description"` // one sentence
	Schema      json.RawMessage `json:"schema"`      // JSON Schema of the step's "with"

	// Outputs says by name what later steps can use of such a step; "<name>" stands for names that an
	// author or another system chooses.
	Outputs map[string]string `json:"outputs,omitempty"`

	// Connection is the kind of the connections that a step may name; "": none.
	Connection string `json:"connection,omitempty"`

	// FirstTry is how long the first try may take before it is handed to the long retries.
	// Zero means that there is no such short first try.
	FirstTry time.Duration `json:"-"`

	// Check validates a step's "with"; pointers are relative to it.
	Check func(with map[string]any, properties Properties) Problems `json:"-"`
}

// Catalog is what there is for documents to name.
type Catalog struct {
	Actions []ActionKind // sorted by kind

	// CheckTemplate validates a Liquid template outside of an action; nil takes any.
	CheckTemplate func(source string, properties Properties) Problems

	// ConnectionKind is the kind of the connection of a name; nil takes any.
	ConnectionKind func(name string) (kind string, ok bool)

	// HasHook reports whether there is a hook of a name; nil takes any.
	HasHook func(name string) bool
}

// Find returns the action kind of that name.
func (c Catalog) Find(kind string) (ActionKind, bool) {
	i, ok := slices.BinarySearchFunc(c.Actions, kind, func(k ActionKind, name string) int { return cmp.Compare(k.Kind, name) })
	if !ok {
		return ActionKind{}, false
	}
	return c.Actions[i], true
}

// Kinds lists the names of all kinds.
func (c Catalog) Kinds() []string {
	names := make([]string, len(c.Actions))
	for i, k := range c.Actions {
		names[i] = k.Kind
	}
	return names
}
