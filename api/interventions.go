package api

import (
	"context"
	"errors"

	"rollcall/automation"
	"rollcall/postgres"
)

// Why is who wants something of an enrollment, and why.
type Why struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"Why; it stands in the enrollment."`
	By     string `json:"by,omitempty" maxLength:"200" doc:"Who wants it."`
}

func (w *Why) asked(ctx context.Context, kind, target string) postgres.Asked {
	if w == nil {
		w = &Why{}
	}
	return postgres.Asked{Kind: kind, Target: target, Reason: w.Reason, Actor: actor(ctx, w.By)}
}

type interveneIn struct {
	EnrollmentPath
	Body *Why
}

// intervene returns the operation that wants something of one enrollment.
func (s *server) intervene(kind string) func(context.Context, *interveneIn) (*EnrollmentOut, error) {
	return func(ctx context.Context, in *interveneIn) (*EnrollmentOut, error) {
		return s.wanted(ctx, in.ID, in.Body.asked(ctx, kind, ""))
	}
}

type jumpIn struct {
	EnrollmentPath
	Body struct {
		Step string `json:"step" doc:"The step with which it goes on."`
		Why
	}
}

func (s *server) jump(ctx context.Context, in *jumpIn) (*EnrollmentOut, error) {
	return s.wanted(ctx, in.ID, in.Body.asked(ctx, postgres.JumpToStep, in.Body.Step))
}

// wanted records what an operator wants, tells Temporal, and answers with the enrollment.
func (s *server) wanted(ctx context.Context, id string, a postgres.Asked) (*EnrollmentOut, error) {
	order, err := s.DB.Intervene(ctx, id, a)
	if err != nil {
		return nil, err
	}
	if order != nil {
		s.Starter.Start([]postgres.Order{*order})
	}
	s.Starter.Wake()
	return s.getEnrollment(ctx, &EnrollmentPath{ID: id})
}

// maxRevived is how many enrollments that failed one request begins anew.
const maxRevived = 1000

type reviveIn struct {
	WorkflowPath
	Body *struct {
		Enrollments IDs    `json:"enrollments,omitzero" doc:"Their ids, at most 1,000; the last 1,000 that failed if left out."`
		Step        string `json:"step,omitempty" doc:"Only those that failed at this step."`
		Why
	}
}

type reviveOut struct {
	Body struct {
		Count   int       `json:"count" doc:"How many began anew."`
		Refused []Refused `json:"refused" doc:"Those that did not, and why."`
	}
}

// Refused is an enrollment that did not begin anew.
type Refused struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// revive returns the operation that lets enrollments that failed begin anew.
func (s *server) revive(kind string) func(context.Context, *reviveIn) (*reviveOut, error) {
	return func(ctx context.Context, in *reviveIn) (*reviveOut, error) {
		if _, err := s.DB.Definition(ctx, in.Name); err != nil {
			return nil, err
		}
		var ids []string
		var step string
		var err error
		asked := (*Why)(nil).asked(ctx, kind, "")
		if in.Body != nil {
			step, asked = in.Body.Step, in.Body.asked(ctx, kind, "")
			if ids, err = in.Body.Enrollments.chosen("/enrollments"); err != nil {
				return nil, err
			}
		}
		if ids, err = s.DB.FailedEnrollments(ctx, in.Name, ids, step, maxRevived); err != nil {
			return nil, err
		}
		out := &reviveOut{}
		out.Body.Refused = []Refused{}
		asked.OnlyFailed = true // one that began anew meanwhile is left alone
		for _, id := range ids {
			order, err := s.DB.Intervene(ctx, id, asked)
			switch {
			case err == nil && order != nil:
				s.Starter.Start([]postgres.Order{*order})
				out.Body.Count++
			case err == nil:
			case errors.Is(err, automation.ErrConflict):
				out.Body.Refused = append(out.Body.Refused, Refused{id, err.Error()})
			default:
				return nil, err
			}
		}
		return out, nil
	}
}
