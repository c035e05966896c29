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

// try makes one request.
func (c *clients) try(ctx context.Context, serve int, method, path string, body any) (answer, error) {
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
		if err == nil && a.status < 500 && a.status != http.StatusTooManyRequests {
			a.attempts, a.began = attempts, began
			return a, nil
		}
		if !wait(ctx, 50*time.Millisecond) {
			return answer{}, fmt.Errorf("%s %s: %w", method, path, ctx.Err())
		}
	}
}

func (c *clients) count(what string, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[a.status]++
	if a.status >= 500 && a.status != http.StatusServiceUnavailable {
		c.odd = append(c.odd, fmt.Sprintf("%s: %d %v", what, a.status, a.body["detail"]))
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

// actor does things to one user, one after the other.
type actor struct {
	*clients
	user   string
	spaced bool // orders only when the one before has come to its end
	draw   *rand.Rand
	orders int
	last   []string // ids of events that were acknowledged
	names  map[string]string
	tier   bool
	away   bool
}

func newActor(c *clients, seed uint64, n int) *actor {
	return &actor{
		clients: c, user: fmt.Sprintf("u_%02d", n), spaced: n%2 == 0,
		draw: rand.New(rand.NewPCG(seed, 100+uint64(n))), names: map[string]string{},
	}
}

// live acts until the time is up, and returns once the last answer is there.
func (a *actor) live(ctx context.Context, until time.Time) error {
	for time.Now().Before(until) {
		if err := a.act(ctx); err != nil {
			return fmt.Errorf("user %s: %w", a.user, err)
		}
		if !wait(ctx, time.Duration(50+a.draw.IntN(350))*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

func (a *actor) act(ctx context.Context) error {
	switch n := a.draw.IntN(100); {
	case n < 22:
		return a.order(ctx)
	case n < 30:
		return a.repeat(ctx)
	case n < 48:
		a.tier = !a.tier
		return a.change(ctx, "tier", map[bool]any{true: "gold", false: "silver"}[a.tier])
	case n < 58:
		return a.send(ctx, "joined")
	case n < 66:
		a.away = !a.away
		return a.change(ctx, "away", a.away)
	case n < 78:
		return a.send(ctx, "ticket_opened")
	case n < 90:
		return a.send(ctx, "ticket_closed")
	default:
		return a.unenroll(ctx)
	}
}

// order places an order, where that is a user who spaces them, once the one before is over.
func (a *actor) order(ctx context.Context) error {
	if a.spaced {
		list, err := a.call(ctx, a.draw, http.MethodGet, "/v1/enrollments?page_size=200&workflow="+rig.Orders+"&user="+a.user, nil)
		if err != nil {
			return err
		}
		items, _ := list.body["items"].([]any)
		if len(items) < a.orders || slices.ContainsFunc(items, isLive) {
			return nil
		}
	}
	a.orders++
	return a.send(ctx, "order_placed")
}

func isLive(item any) bool {
	e, _ := item.(map[string]any)
	return e["ended_at"] == nil
}

func (a *actor) send(ctx context.Context, name string) error {
	id := fmt.Sprintf("%s-%s-%d", a.user, name, len(a.last))
	if err := a.event(ctx, id, name, false); err != nil {
		return err
	}
	a.last, a.names[id] = append(a.last, id), name
	return nil
}

// repeat sends an event that was acknowledged once more.
func (a *actor) repeat(ctx context.Context) error {
	if len(a.last) == 0 {
		return nil
	}
	id := a.last[a.draw.IntN(len(a.last))]
	return a.event(ctx, id, a.names[id], true)
}

func (a *actor) event(ctx context.Context, id, name string, repeated bool) error {
	told, err := a.call(ctx, a.draw, http.MethodPost, "/v1/events", map[string]any{"id": id, "name": name, "user_id": a.user})
	if err != nil {
		return err
	}
	a.acknowledge(rig.Ack{
		Kind: rig.SentEvent, User: a.user, Name: name, Subject: id,
		Repeated: repeated, Duplicate: told.body["status"] == "duplicate",
	}, told)
	return expect(told, http.StatusAccepted)
}

func (a *actor) change(ctx context.Context, property string, value any) error {
	told, err := a.call(ctx, a.draw, http.MethodPatch, "/v1/users/"+a.user, map[string]any{"properties": map[string]any{property: value}})
	if err != nil {
		return err
	}
	a.acknowledge(rig.Ack{Kind: rig.Changed, User: a.user, Name: property, Value: value}, told)
	return expect(told, http.StatusOK)
}

// unenroll takes the user out of something that ends by itself, and reads at once how it stands.
func (a *actor) unenroll(ctx context.Context) error {
	definition := []string{rig.Orders, rig.Tickets, rig.Gold}[a.draw.IntN(3)]
	list, err := a.call(ctx, a.draw, http.MethodGet, "/v1/enrollments?workflow="+definition+"&user="+a.user, nil)
	if err != nil {
		return err
	}
	items, _ := list.body["items"].([]any)
	at := slices.IndexFunc(items, isLive)
	if at < 0 {
		return nil
	}
	e, _ := items[at].(map[string]any)
	id, _ := e["id"].(string)
	told, err := a.call(ctx, a.draw, http.MethodPost, "/v1/enrollments/"+id+"/unenroll", map[string]any{})
	if err != nil {
		return err
	}
	shown, err := a.call(ctx, a.draw, http.MethodGet, "/v1/enrollments/"+id, nil)
	if err != nil {
		return err
	}
	ack := rig.Ack{Kind: rig.Unenrolled, User: a.user, Name: definition, Subject: id}
	ack.Shown, _ = shown.body["status"].(string)
	if told.status == http.StatusOK {
		ack.InFlight = []string{}
		steps, _ := told.body["in_flight"].([]any)
		for _, s := range steps {
			ack.InFlight = append(ack.InFlight, fmt.Sprint(s))
		}
	}
	a.acknowledge(ack, told)
	return expect(told, http.StatusOK, http.StatusConflict) // it had ended, or an attempt without an answer ended it
}

// operator publishes, pauses and resumes.
type operator struct {
	*clients
	draw    *rand.Rand
	numbers map[string]int
}

func newOperator(c *clients, seed uint64) *operator {
	return &operator{c, rand.New(rand.NewPCG(seed, 3)), map[string]int{}}
}

// publish makes the next version of a program the live one.
func (o *operator) publish(ctx context.Context, p *rig.Program) error {
	o.numbers[p.Name]++
	document := p.Document(o.hook, o.numbers[p.Name])
	saved, err := o.call(ctx, o.draw, http.MethodPut, "/v1/workflows/"+p.Name, document)
	if err != nil {
		return err
	}
	if err := expect(saved, http.StatusOK, http.StatusCreated); err != nil {
		return err
	}
	told, err := o.call(ctx, o.draw, http.MethodPost, "/v1/workflows/"+p.Name+"/publish", nil)
	if err != nil {
		return err
	}
	o.acknowledge(rig.Ack{Kind: rig.Published, Name: p.Name, Value: o.numbers[p.Name]}, told)
	return expect(told, http.StatusOK)
}

// live operates until the time is up, and leaves nothing paused.
func (o *operator) live(ctx context.Context, until time.Time) error {
	programs := rig.Programs()
	for time.Now().Before(until) {
		p := &programs[o.draw.IntN(len(programs))]
		if o.draw.IntN(3) > 0 {
			if err := o.publish(ctx, p); err != nil {
				return err
			}
		} else if err := o.rest(ctx, p.Name); err != nil {
			return err
		}
		if !wait(ctx, time.Duration(500+o.draw.IntN(1500))*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// rest pauses a workflow for a while.
func (o *operator) rest(ctx context.Context, name string) error {
	for _, verb := range []string{rig.Paused, rig.Resumed} {
		path := map[string]string{rig.Paused: "/pause", rig.Resumed: "/resume"}[verb]
		told, err := o.call(ctx, o.draw, http.MethodPost, "/v1/workflows/"+name+path, nil)
		if err != nil {
			return err
		}
		o.acknowledge(rig.Ack{Kind: verb, Name: name}, told)
		if err := expect(told, http.StatusOK); err != nil {
			return err
		}
		if verb == rig.Paused && !wait(ctx, time.Duration(200+o.draw.IntN(1000))*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// setUp makes the properties and the users, before there are any faults.
func (c *clients) setUp(ctx context.Context, actors []*actor) error {
	r := rand.New(rand.NewPCG(0, 0))
	types := map[string]string{"tier": "string", "away": "bool"}
	for _, name := range rig.Counters() {
		types[name] = "number"
	}
	for name, kind := range types {
		told, err := c.call(ctx, r, http.MethodPut, "/v1/properties/"+name, map[string]any{"label": name, "type": kind, "group": "custom"})
		if err != nil {
			return err
		}
		if err := expect(told, http.StatusOK, http.StatusCreated); err != nil {
			return err
		}
	}
	for _, a := range actors {
		told, err := c.call(ctx, r, http.MethodPut, "/v1/users/"+a.user, map[string]any{"properties": map[string]any{}})
		if err != nil {
			return err
		}
		if err := expect(told, http.StatusCreated); err != nil {
			return err
		}
	}
	return nil
}

func expect(a answer, statuses ...int) error {
	if !slices.Contains(statuses, a.status) {
		return fmt.Errorf("answered %d: %v", a.status, a.body)
	}
	return nil
}
