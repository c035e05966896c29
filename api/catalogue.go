package api

import (
	"context"

	"rollcall/automation"
	"rollcall/triggers"
)

func (s *server) listActions(context.Context, *struct{}) (*List[automation.ActionKind], error) {
	return page(s.Catalog.Actions, ""), nil
}

// TriggersOut is the catalogue of triggers.
type TriggersOut struct {
	Body struct {
		Items  []triggers.Kind        `json:"items"`
		Events []automation.EventKind `json:"events" doc:"The events that the system emits; others may be sent under any other name."`
	}
}

func (s *server) listTriggers(context.Context, *struct{}) (*TriggersOut, error) {
	out := &TriggersOut{}
	out.Body.Items, out.Body.Events = triggers.Kinds(), automation.SystemEvents()
	return out, nil
}
