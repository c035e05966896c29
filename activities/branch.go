package activities

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/workflows"
)

func (s *Set) takeBranch(ctx context.Context, in workflows.StepInput) (workflows.BranchResult, error) {
	kind := in.Kind
	if kind == "" { // of an enrollment that began before there were others
		kind = automation.BranchStep
	}
	ref := refOf(in)
	ref.Hours = false // branches pass at any hour
	arm, gate, err := s.DB.TakeBranch(ctx, ref, string(kind), func(c postgres.Choice) (int, error) {
		return s.Choose(kind, in.Step, c)
	})
	s.Metrics.late(gate)
	outcome, err := judged(err)
	if err != nil && permanent(err) {
		s.Metrics.failed(string(kind))
		err = failure(s.fail(ctx, ref, postgres.Failure{Kind: string(kind), RolledBack: true}, err))
	}
	return workflows.BranchResult{Outcome: outcome, Arm: arm}, err
}

// Choose decides which way a branch takes.
func (s *Set) Choose(kind automation.StepKind, branch string, c postgres.Choice) (arm int, err error) {
	step, ok := c.Version.Document.Step(branch)
	if !ok {
		return 0, fmt.Errorf("step %s: %w", branch, automation.ErrNotFound)
	}
	switch kind {
	case automation.BranchOnStep:
		value, err := s.valueOf(step.BranchOn, c)
		return caseOf(step.Cases, value), err
	case automation.SplitStep:
		return partOf(step.Split, c.Enrollment.Workflow, branch, c.User.ID), nil
	default:
		return c.Version.Arm(branch, c.Subject)
	}
}

// valueOf is the value that decides a branch.
func (s *Set) valueOf(b *automation.BranchOn, c postgres.Choice) (any, error) {
	switch {
	case b.Property != "":
		return c.User.Properties[b.Property], nil
	case b.Step != "":
		output := b.Output
		if output == "" {
			output = filter.Outcome
		}
		return c.Subject.Steps[b.Step][output], nil
	default:
		return s.templates.renderText(b.Value, Plain, scopeOf(c.Gate, c.Version))
	}
}

// caseOf is the position of the first case that a value is, or that one of its members is where it is a
// list; the last case is the else.
func caseOf(cases []automation.Case, value any) int {
	values, isList := value.([]any)
	if !isList {
		values = []any{value}
	}
	is := slices.IndexFunc(cases, func(c automation.Case) bool {
		return slices.ContainsFunc(values, func(v any) bool {
			text, ok := filter.LooseText(v)
			return ok && slices.ContainsFunc(c.Is, func(is string) bool { return filter.Fold(is) == text })
		})
	})
	if is < 0 {
		return len(cases) - 1
	}
	return is
}

// partOf is the part of a split that a user takes: in proportion to the weights over many users, and for
// one user always the same.
func partOf(parts []automation.Part, workflow, step, userID string) int {
	total := 0
	for _, p := range parts {
		total += p.Weight
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", workflow, step, userID))
	at := int(binary.BigEndian.Uint64(sum[:8]) % uint64(total))
	for i, p := range parts {
		if at -= p.Weight; at < 0 {
			return i
		}
	}
	return len(parts) - 1
}
