//go:build unix

package rig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/rig"
)

// clients speak to the API, through the proxies before it, and remember what they were told.
type clients struct {
	serves []string // addresses
	http   *http.Client
	hook   string // address of the receiver

	mu       sync.Mutex
	acks     []rig.Ack
	statuses map[int]int // answers by status; 0: none
	odd      []string    // answers that no fault explains
}

func newClients(serves []string, receiver string) *clients {
	// Each request has a connection of its own: what is tried again is tried again here.
	transport := &http.Transport{DisableKeepAlives: true}
	return &clients{serves: serves, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}, hook: receiver, statuses: map[int]int{}}
}

// answer is what came of a request.
type answer struct {
	status   int
	body     map[string]any
	attempts int
	began    time.Time
	at       time.Time
}

// keyed is a body with the key that makes asking again harmless.
type keyed struct {
	key  string
	body any
}

// try makes one request.
func (c *clients) try(ctx context.Context, serve int, method, path string, body any) (answer, error) {
	k, _ := body.(keyed)
	if k.key != "" {
		body = k.body
	}
	kind, content := "application/json", []byte(nil)
	if text, ok := body.(string); ok {
		kind, content = "application/yaml", []byte(text)
	} else if body != nil {
		content, _ = json.Marshal(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.serves[serve%len(c.serves)]+path, bytes.NewReader(content))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if k.key != "" {
		req.Header.Set("Idempotency-Key", k.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, body: map[string]any{}}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			return answer{}, fmt.Errorf("read %q: %w", text, err)
		}
	}
	a.at = time.Now()
	return a, nil
}

// call makes a request, of one serve and then of the other, until there is an answer that stands.
func (c *clients) call(ctx context.Context, r *rand.Rand, method, path string, body any) (answer, error) {
	began := time.Now()
	for attempts, serve := 1, r.IntN(2); ; attempts, serve = attempts+1, serve+1 {
		a, err := c.try(ctx, serve, method, path, body)
		c.count(method+" "+path, a)
		busy := isBusy(a) && time.Since(began) < longBusy
		if err == nil && stands(a.status) && !busy {
			a.attempts, a.began = attempts, began
			return a, nil
		}
		if !wait(ctx, 50*time.Millisecond) {
			return answer{}, fmt.Errorf("%s %s: %w", method, path, ctx.Err())
		}
	}
}

// stands says that an answer is about the request, and not about the moment.
func stands(status int) bool {
	return status < http.StatusInternalServerError && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
}

// isBusy says that a request with the same key is being answered, as far as the service knows: the process
// that had it may be gone.
func isBusy(a answer) bool {
	return a.status == http.StatusConflict && strings.HasSuffix(fmt.Sprint(a.body["type"]), "idempotency-in-progress")
}

// longBusy is for how long such an answer is not the last one.
const longBusy = 3 * time.Second

func (c *clients) count(what string, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[a.status]++
	if a.status >= 500 && a.status != http.StatusServiceUnavailable {
		c.odd = append(c.odd, fmt.Sprintf("%s: %d %v", what, a.status, a.body))
	}
}

func (c *clients) acknowledge(a rig.Ack, of answer) {
	a.Began, a.At, a.Attempts, a.Status = of.began, of.at, of.attempts, of.status
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acks = append(c.acks, a)
}

func (c *clients) acknowledged() []rig.Ack {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.acks)
}

func expect(a answer, statuses ...int) error {
	if !slices.Contains(statuses, a.status) {
		return fmt.Errorf("answered %d: %v", a.status, a.body)
	}
	return nil
}
