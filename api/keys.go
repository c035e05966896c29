package api

import (
	"context"
	"net/http"
	"time"

	"rollcall/automation"
)

type createKeyIn struct {
	Body struct {
		Name      string     `json:"name" doc:"Who or what uses the key."`
		Scopes    []string   `json:"scopes" maxItems:"100" doc:"What it may do."`
		ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it ends; never if left out."`
	}
}

// KeyOut is an API key.
type KeyOut struct {
	Status int
	Body   struct {
		automation.Key
		Text string `json:"key,omitempty" doc:"The key itself, in the answer to its creation only."`
	}
}

func keyOut(status int, k *automation.Key, text string) *KeyOut {
	out := &KeyOut{Status: status}
	out.Body.Key, out.Body.Text = *k, text
	return out
}

func (s *server) createKey(ctx context.Context, in *createKeyIn) (*KeyOut, error) {
	var p automation.Problems
	if at := in.Body.ExpiresAt; at != nil && !at.After(time.Now()) {
		p.Add("/expires_at", "out-of-range", "is past")
	}
	if err := automation.Invalid("the key", p); err != nil {
		return nil, err
	}
	scopes := make([]automation.Scope, len(in.Body.Scopes))
	for i, scope := range in.Body.Scopes {
		scopes[i] = automation.Scope(scope)
	}
	k, text, err := s.DB.CreateKey(ctx, in.Body.Name, scopes, in.Body.ExpiresAt, callerOf(ctx).name)
	if err != nil {
		return nil, err
	}
	return keyOut(http.StatusCreated, k, text), nil
}

func (s *server) listKeys(ctx context.Context, _ *struct{}) (*List[automation.Key], error) {
	keys, err := s.DB.Keys(ctx)
	return page(keys, ""), err
}

type keyPath struct {
	ID string `path:"id" maxLength:"100"`
}

func (s *server) revokeKey(ctx context.Context, in *keyPath) (*KeyOut, error) {
	k, err := s.DB.RevokeKey(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return keyOut(http.StatusOK, k, ""), nil
}
