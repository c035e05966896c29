package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"rollcall/automation"
)

// caller is who makes a request.
type caller struct {
	id     string // of the key; "" where none is needed
	name   string
	scopes []automation.Scope
}

func (c *caller) may(s automation.Scope) bool { return s == "" || slices.Contains(c.scopes, s) }

type callerKey struct{}

// callerOf is who makes the request of a context.
func callerOf(ctx context.Context) *caller {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c
	}
	return &caller{}
}

// actor is who wants something: the name of the key and, where it says one, of the person behind it.
func actor(ctx context.Context, by string) string {
	name := callerOf(ctx).name
	if by == "" || name == "" {
		return cmp.Or(by, name)
	}
	return by + " (" + name + ")"
}

const (
	keyMemory    = 5 * time.Second // how long a key is taken without asking the database: as long a revoked one works
	mostKeys     = 1000            // that are remembered
	failuresHour = 10              // how many failed attempts a minute one address has
)

// gate lets requests in: who is it, may he, and not too often.
type gate struct {
	open   bool                // needs no key
	static [][sha256.Size]byte // digests of the keys of the configuration
	find   func(ctx context.Context, text string) (*automation.Key, error)
	hook   func(ctx context.Context, token string) (*automation.Hook, error)
	called func(ctx context.Context, token string) (known bool, err error)
	limit  rate.Limit // requests a second of one caller; 0: any number

	problem func(ctx context.Context, err error) *ProblemDetails

	mu       sync.Mutex
	known    map[[sha256.Size]byte]remembered
	limiters map[string]*rate.Limiter // of callers by id, and of failures by address
}

type remembered struct {
	caller *caller
	until  time.Time
}

func (s *server) newGate() *gate {
	d := &s.Deps
	static := make([][sha256.Size]byte, len(d.Keys))
	for i, k := range d.Keys {
		static[i] = sha256.Sum256([]byte(k))
	}
	return &gate{
		problem: s.problem,
		open:    !d.RequireKeys && len(d.Keys) == 0, static: static, find: d.DB.KeyByText, hook: d.DB.HookByToken, called: d.DB.CallbackKnown, limit: rate.Limit(d.RateLimit),
		known: map[[sha256.Size]byte]remembered{}, limiters: map[string]*rate.Limiter{},
	}
}

// authenticate wants a key for everything under /v1 and for the metrics, and of a delivery to a hook its token.
func (g *gate) authenticate(c *gin.Context) {
	path := c.Request.URL.Path
	if !strings.HasPrefix(path, "/v1/") && path != "/metrics" || c.Request.Method == http.MethodOptions {
		return
	}
	who, err := g.identify(c)
	if err != nil {
		sendProblem(c, g.problem(c.Request.Context(), err))
		return
	}
	if g.limit > 0 {
		if wait := g.tooSoon("caller "+who.id, g.limit, 2*int(math.Ceil(float64(g.limit)))); wait > 0 {
			sendProblem(c, tooMany(wait))
			return
		}
	}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), callerKey{}, who))
}

func tooMany(wait time.Duration) *ProblemDetails {
	p := newProblem(http.StatusTooManyRequests, "rate-limited", "too many requests")
	p.retryAfter = strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return p
}

// identify finds out who makes a request. The error is a problem.
func (g *gate) identify(c *gin.Context) (*caller, error) {
	switch {
	case delivers(c):
		return g.admit(c)
	case answers(c):
		return g.admitAnswer(c)
	}
	if g.open {
		return &caller{scopes: automation.Scopes()}, nil
	}
	text, ok := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	if ok {
		who, err := g.callerWith(c.Request.Context(), text)
		if !errors.Is(err, automation.ErrNotFound) {
			return who, err
		}
	}
	if err := g.guessed(c); err != nil {
		return nil, err
	}
	c.Header("WWW-Authenticate", "Bearer")
	return nil, newProblem(http.StatusUnauthorized, "unauthenticated", "a valid key in the Authorization header is required")
}

// guessed counts a failed attempt of an address. The error is a problem: there were too many.
func (g *gate) guessed(c *gin.Context) error {
	if wait := g.tooSoon("failures of "+c.ClientIP(), rate.Limit(failuresHour)/60, failuresHour); wait > 0 {
		return tooMany(wait)
	}
	return nil
}

// unknownToken answers a request to an address with a token that is none as if there were no such
// address, and counts it as a guess. The error is a problem.
func (g *gate) unknownToken(c *gin.Context) error {
	return cmp.Or[error](g.guessed(c), newProblem(http.StatusNotFound, "not-found", "there is nothing here"))
}

func (g *gate) callerWith(ctx context.Context, text string) (*caller, error) {
	given := sha256.Sum256([]byte(text))
	for i, known := range g.static {
		if subtle.ConstantTimeCompare(given[:], known[:]) == 1 {
			return &caller{fmt.Sprint("environment ", i+1), "", automation.Scopes()}, nil
		}
	}
	now := time.Now()
	g.mu.Lock()
	r, ok := g.known[given]
	g.mu.Unlock()
	if ok && now.Before(r.until) {
		return r.caller, nil
	}
	k, err := g.find(ctx, text)
	if err != nil {
		return nil, err
	}
	until := now.Add(keyMemory)
	if k.ExpiresAt != nil && k.ExpiresAt.Before(until) {
		until = *k.ExpiresAt
	}
	who := &caller{k.ID, k.Name, k.Scopes}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= mostKeys {
		clear(g.known)
	}
	g.known[given] = remembered{who, until}
	return who, nil
}

// tooSoon counts something against its limit, and says how long to wait where that is passed.
func (g *gate) tooSoon(what string, limit rate.Limit, burst int) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.limiters[what]
	if l == nil {
		if len(g.limiters) >= 10*mostKeys {
			clear(g.limiters)
		}
		l = rate.NewLimiter(limit, burst)
		g.limiters[what] = l
	}
	r := l.Reserve()
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}

// needs refuses callers whose key does not have a scope, before the request is read.
func needs(s automation.Scope) func(*huma.Operation) {
	return func(o *huma.Operation) {
		o.Middlewares = append(o.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
			if !callerOf(ctx.Context()).may(s) {
				sendProblem(humagin.Unwrap(ctx), newProblem(http.StatusForbidden, "insufficient-scope", fmt.Sprintf("the key does not have the scope %s", s)))
				return
			}
			next(ctx)
		})
		if s != "" {
			o.Description = strings.TrimSpace(o.Description + "\n\nScope: `" + string(s) + "`")
		}
	}
}
