package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"rollcall/automation"
	"rollcall/postgres"
)

// Foreseen is implemented by params whose action gives outputs that can be told before it is done.
type Foreseen interface{ Foresee() map[string]any }

// Computing computes new values of properties from a user; nil clears one.
type Computing = func(u *automation.User, schema automation.Properties) (map[string]any, error)

// ChangeUser changes the enrolled user, and says what is different.
type ChangeUser func(compute Computing) ([]automation.Change, error)

// changing is implemented by params of actions that do no more than change the enrolled user.
type changing interface {
	change(user ChangeUser) (Output, error)
}

// Rehearsed is an action as it would have been.
type Rehearsed struct {
	Output
	With    json.RawMessage // as rendered; nil where it came too late
	Skipped bool            // it came too late
}

// rehearsal goes through an action without its effect.
type rehearsal func(version *postgres.Published, g *postgres.Gate, ref postgres.VisitRef, user ChangeUser) (Rehearsed, error)

// Rehearse does all that an action does up to its effect: it judges whether it comes too late, renders
// the templates, decodes and checks. Nothing leaves, and the database is not asked; what an action does
// to the enrolled user is done by the function given. Errors are those of the action itself.
func (s *Set) Rehearse(kind string, version *postgres.Published, g *postgres.Gate, ref postgres.VisitRef, user ChangeUser) (Rehearsed, error) {
	run, known := s.rehearsals[kind]
	if !known {
		return Rehearsed{}, fmt.Errorf("action %s: %w", kind, automation.ErrNotFound)
	}
	return run(version, g, ref, user)
}

func rehearse[P Params](s *Set) rehearsal {
	return func(version *postgres.Published, g *postgres.Gate, ref postgres.VisitRef, user ChangeUser) (r Rehearsed, err error) {
		r.Output, err = perform(context.Background(), s, prepared{version}, g, ref, func(_ context.Context, c Call[P]) (out Output, err error) {
			if r.With, err = plainJSON(c.Params); err != nil {
				return out, err
			}
			switch p := any(c.Params).(type) {
			case changing:
				out, err = p.change(user)
			case Foreseen:
				out.Values = p.Foresee()
			}
			out.What = c.Params.Kind() + " " + string(r.With)
			return out, err
		})
		r.What, r.Skipped = cut(r.What), r.skipped
		return r, err
	}
}

// prepared is a version that is found without a database.
type prepared struct{ version *postgres.Published }

// Published implements versions.
func (p prepared) Published(context.Context, string, int) (*postgres.Published, error) {
	return p.version, nil
}

// plainJSON is a value as JSON, for people.
func plainJSON(v any) (json.RawMessage, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write the rendered step: %w", err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// Failure is what an action says to a workflow that is no more than simulated, and fails for good.
func Failure(err error) error { return failureSaying(cut(err.Error()), permanently{err}) }

type permanently struct{ error }

// Is makes any error one that trying again cannot help.
func (permanently) Is(target error) bool { return target == automation.ErrInvalid }
