package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"rollcall/automation"
	"rollcall/strictjson"
)

// The routes of hooks whose requests are not like others. The address of a delivery is a secret: it is
// neither logged nor kept.
const (
	deliveryRoute = "/v1/hooks/:hook"
	rotationRoute = "/v1/hooks/:hook/rotate"
)

// delivers reports whether a request is a delivery to a hook.
func delivers(c *gin.Context) bool {
	return c.Request.Method == http.MethodPost && c.FullPath() == deliveryRoute
}

// unkept reports whether nothing about a request may be kept with its Idempotency-Key. A delivery is told
// apart from others by its own means; neither its address, be it mistyped, nor a new token is kept.
func unkept(c *gin.Context) bool {
	return delivers(c) || answers(c) || slices.Contains([]string{rotationRoute, "/v1/keys", ""}, c.FullPath())
}

// HookPath names a hook.
type HookPath struct {
	Hook string `path:"hook" maxLength:"1024" doc:"Its name."`
}

// HookOut is a hook.
type HookOut struct {
	Status int
	Body   struct {
		automation.Hook
		Event string `json:"event" doc:"The event that its deliveries become."`
		Token string `json:"token,omitempty" doc:"What names the hook in the address of deliveries, and what lets them in. Shown when the hook is made and when its token is changed, never again."`
		Path  string `json:"path,omitempty" doc:"Where to POST deliveries."`
	}
}

func hookOut(status int, h *automation.Hook, token string) *HookOut {
	out := &HookOut{Status: status}
	out.Body.Hook, out.Body.Event = *h, h.Event()
	if token != "" {
		out.Body.Token, out.Body.Path = token, "/v1/hooks/"+token
	}
	return out
}

func (s *server) listHooks(ctx context.Context, _ *struct{}) (*List[automation.Hook], error) {
	hooks, err := s.DB.Hooks(ctx)
	return page(hooks, ""), err
}

func (s *server) getHook(ctx context.Context, in *HookPath) (*HookOut, error) {
	h, err := s.DB.Hook(ctx, in.Hook)
	if err != nil {
		return nil, err
	}
	return hookOut(http.StatusOK, h, ""), nil
}

type putHookIn struct {
	HookPath
	Body automation.Mapping
}

func (s *server) putHook(ctx context.Context, in *putHookIn) (*HookOut, error) {
	if err := mayDeliver(ctx, in.Body.Create); err != nil {
		return nil, err
	}
	h, token, err := s.DB.PutHook(ctx, in.Hook, in.Body, callerOf(ctx).name)
	if err != nil {
		return nil, err
	}
	return hookOut(createdOr(token != ""), h, token), nil
}

// mayDeliver refuses callers who could do more by a hook than by their own key.
func mayDeliver(ctx context.Context, create bool) error {
	who, needed := callerOf(ctx), []automation.Scope{automation.EventsWrite}
	if create {
		needed = append(needed, automation.UsersWrite)
	}
	for _, scope := range needed {
		if !who.may(scope) {
			return newProblem(http.StatusForbidden, "insufficient-scope", fmt.Sprintf("the key does not have the scope %s, and the hook would give it", scope))
		}
	}
	return nil
}

// grants describes an operation that gives a token: it needs what the token gives.
func grants(o *huma.Operation) {
	o.Description += ", and `events:write`; where the hook creates users, `users:write` too"
}

type rotateHookIn struct {
	HookPath
	Body *struct {
		AtOnce bool `json:"at_once,omitempty" doc:"The token that the hook had ends now, not in 24 hours: for one that others know."`
	}
}

func (s *server) rotateHook(ctx context.Context, in *rotateHookIn) (*HookOut, error) {
	before, err := s.DB.Hook(ctx, in.Hook)
	if err != nil {
		return nil, err
	}
	if err := mayDeliver(ctx, before.Create); err != nil {
		return nil, err
	}
	h, token, err := s.DB.RotateHook(ctx, in.Hook, in.Body != nil && in.Body.AtOnce)
	if err != nil {
		return nil, err
	}
	return hookOut(http.StatusOK, h, token), nil
}

func (s *server) deleteHook(ctx context.Context, in *HookPath) (*struct{}, error) {
	return nil, s.DB.DeleteHook(ctx, in.Hook)
}

// hookKey is where the context of a delivery has its hook.
type hookKey struct{}

// admit lets a delivery in: its token is what a key is to other requests. One that is not known is
// answered as if there were no such address, and counts as a guess. The error is a problem.
func (g *gate) admit(c *gin.Context) (*caller, error) {
	ctx := c.Request.Context()
	h, err := g.hook(ctx, c.Param("hook"))
	if errors.Is(err, automation.ErrNotFound) {
		return nil, g.unknownToken(c)
	}
	if err != nil {
		return nil, err
	}
	c.Request = c.Request.WithContext(context.WithValue(ctx, hookKey{}, h))
	return &caller{id: "hook " + h.Name, name: h.Event()}, nil
}

type deliveryIn struct {
	Token          string `path:"hook" maxLength:"1024" doc:"The token of the hook."`
	WebhookID      string `header:"webhook-id" doc:"Tells deliveries apart where the body does not say what does: of those with the same one, one counts."`
	IdempotencyKey string `header:"Idempotency-Key" doc:"The same, where there is no webhook-id. Without any of the three, each delivery counts, also one with the same body."`
	RawBody        []byte
}

func (s *server) deliver(ctx context.Context, in *deliveryIn) (*EventOut, error) {
	h, ok := ctx.Value(hookKey{}).(*automation.Hook)
	if !ok {
		return nil, automation.ErrNotFound
	}
	body, err := strictjson.Parse(in.RawBody)
	if err != nil {
		return nil, err
	}
	var schema automation.Properties
	if h.User.Property != "" {
		if schema, err = s.DB.Properties(ctx); err != nil {
			return nil, err
		}
	}
	d, problems := h.Read(body, schema)
	sent := EventBody{Name: h.Event(), OccurredAt: d.OccurredAt, Properties: d.Properties}
	if problem, ok := automation.CheckUserID(d.User); !ok && d.User != "" {
		problems.Add(h.User.ID, "invalid-user-id", "%s", problem)
	}
	sent.checkRest(&problems, h.OccurredAt, "")
	if id := cmp.Or(d.ID, in.WebhookID, in.IdempotencyKey); id != "" {
		if d.ID == "" && !visible(id) {
			return nil, newProblem(http.StatusBadRequest, "invalid-idempotency-key", "a webhook-id or an Idempotency-Key is 1 to 255 visible ASCII characters")
		}
		if sent.ID, ok = automation.HookEventID(h.Name, id); !ok {
			problems.Add(h.EventID, "event-invalid", "what tells deliveries apart has at most 255 bytes")
		}
	}
	if err := automation.Invalid("the delivery", problems); err != nil {
		return nil, err
	}
	r, err := s.DB.Deliver(ctx, h, &d, sent.event())
	if err != nil {
		return nil, err
	}
	s.Pump.Wake()
	out := &EventOut{Status: http.StatusAccepted}
	if r.Duplicate {
		out.Status = http.StatusOK
	}
	out.Body.ID, out.Body.Status = r.ID, accepted(r.Duplicate)
	return out, nil
}

// delivered describes a delivery: any JSON, for which no key is wanted.
func delivered(o *huma.Operation) {
	oneForm(o, http.StatusOK, http.StatusAccepted)
	o.DefaultStatus = http.StatusAccepted
	o.Description = "The token is the credential. The delivery becomes the event webhook.{name of the hook}, about the user whom its body names; 200 says that it came before and counts no more."
	o.SkipValidateBody = true
	o.RequestBody = &huma.RequestBody{
		Required: true, Description: "Any JSON. What in it matters, the hook says.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{}}},
	}
}
