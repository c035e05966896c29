package api

import (
	"context"

	"rollcall/automation"
)

type simulateIn struct {
	WorkflowPath
	Body struct {
		Workflow map[string]any `json:"workflow,omitempty" doc:"A definition, as it would be saved; left out, the one that is saved."`
		automation.Simulation
	}
}

type simulateOut struct{ Body *automation.Simulated }

// simulateWorkflow tries a workflow out. What is wrong with a definition in the body has a pointer below
// /workflow.
func (s *server) simulateWorkflow(ctx context.Context, in *simulateIn) (*simulateOut, error) {
	trial := in.Body.Simulation
	if in.Body.Workflow == nil {
		d, err := s.DB.Definition(ctx, in.Name)
		if err != nil {
			return nil, err
		}
		if trial.Document, err = automation.ParseDocument(d.Draft); err != nil {
			return nil, err
		}
	} else {
		document, err := documentOf(in.Body.Workflow, in.Name)
		if err == nil {
			err = s.DB.ValidateDocument(ctx, document)
		}
		if err != nil {
			return nil, below("/workflow", err)
		}
		trial.Document = document
	}
	result, err := s.Simulate(ctx, trial)
	return &simulateOut{result}, err
}
