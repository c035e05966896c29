package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"rollcall/automation"
)

// answerRoute is where systems that a step called answer later. Its address is a secret.
const answerRoute = "/v1/callbacks/:token"

// answers reports whether a request is the answer to a call.
func answers(c *gin.Context) bool {
	return c.Request.Method == http.MethodPost && c.FullPath() == answerRoute
}

// admitAnswer lets the answer to a call in: its token is what a key is to other requests. The error is a
// problem.
func (g *gate) admitAnswer(c *gin.Context) (*caller, error) {
	known, err := g.called(c.Request.Context(), c.Param("token"))
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, g.unknownToken(c)
	}
	return &caller{id: fmt.Sprintf("callback %x", sha256.Sum256([]byte(c.Param("token"))))}, nil
}

type answerIn struct {
	Token string `path:"token" maxLength:"100" doc:"The token that the call had in the address of its callback."`
	Body  automation.CallAnswer
}

type answerOut struct {
	Body struct {
		Status string `json:"status" enum:"accepted,duplicate" doc:"duplicate: the same answer was given before."`
	}
}

func (s *server) answerCall(ctx context.Context, in *answerIn) (*answerOut, error) {
	var p automation.Problems
	if n := in.Body.OutputSize(); n > automation.MaxCallOutputs {
		p.Add("/outputs", "too-long", "the outputs have %d bytes, at most %d are kept", n, automation.MaxCallOutputs)
	}
	if err := automation.Invalid("the answer", p); err != nil {
		return nil, err
	}
	duplicate, err := s.DB.AnswerCall(ctx, in.Token, in.Body)
	if err != nil {
		return nil, err
	}
	s.Starter.Wake()
	out := &answerOut{}
	out.Body.Status = accepted(duplicate)
	return out, nil
}

// withToken describes an operation for which no key is wanted: the address is the credential.
func withToken(o *huma.Operation) {
	o.Description = "The token is the credential. It is that of one attempt of one step, and takes one answer; the same one given again is a duplicate."
}
