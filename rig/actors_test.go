//go:build unix

package rig_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"rollcall/rig"
)

// actor does things to one user, one after the other.
type actor struct {
	*clients
	user   string
	crew   bool     // whom the schedule concerns
	begins []string // events that begin drawn programs
	spaced bool     // orders only when the one before has come to its end
	draw   *rand.Rand
	orders int
	last   []sent   // events that were acknowledged
	keys   []string // of requests that were answered
	tier   bool
	away   bool
}

// sent is an event as it is sent.
type sent struct {
	ID     string         `json:"id"`
	Name   string         `json:"name"`
	User   string         `json:"user_id"`
	Number map[string]int `json:"properties"`
}

func newActor(c *clients, seed uint64, n int, begins []string) *actor {
	return &actor{
		clients: c, user: fmt.Sprintf("u_%02d", n), spaced: n%2 == 0, crew: n%3 == 0, begins: begins,
		draw: rand.New(rand.NewPCG(seed, 100+uint64(n))),
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
	case n < 18:
		return a.order(ctx)
	case n < 34:
		return a.send(ctx, a.begins[a.draw.IntN(len(a.begins))])
	case n < 40:
		return a.repeat(ctx)
	case n < 52:
		a.tier = !a.tier
		return a.change(ctx, "tier", map[bool]any{true: "gold", false: "silver"}[a.tier])
	case n < 59:
		return a.send(ctx, "joined")
	case n < 65:
		a.away = !a.away
		return a.change(ctx, "away", a.away)
	case n < 72:
		return a.send(ctx, "ticket_opened")
	case n < 82:
		return a.send(ctx, "ticket_closed")
	case n < 86:
		return a.batch(ctx)
	case n < 92:
		return a.request(ctx)
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
	return a.event(ctx, a.fresh(name, 0), false)
}

// fresh is an event that was not sent yet.
func (a *actor) fresh(name string, offset int) sent {
	id := fmt.Sprintf("%s-%s-%d", a.user, name, len(a.last)+offset)
	return sent{id, name, a.user, map[string]int{"n": a.draw.IntN(10)}}
}

// repeat sends an event that was acknowledged once more, or makes a request again that was answered.
func (a *actor) repeat(ctx context.Context) error {
	if n := len(a.keys); n > 0 && a.draw.IntN(2) == 0 {
		return a.ask(ctx, a.keys[a.draw.IntN(n)], true)
	}
	if len(a.last) == 0 {
		return nil
	}
	return a.event(ctx, a.last[a.draw.IntN(len(a.last))], true)
}

func (a *actor) event(ctx context.Context, e sent, repeated bool) error {
	told, err := a.call(ctx, a.draw, http.MethodPost, "/v1/events", e)
	if err != nil {
		return err
	}
	a.sent(e, told, told.body["status"], repeated)
	return expect(told, http.StatusAccepted)
}

// sent remembers that an event was acknowledged.
func (a *actor) sent(e sent, told answer, status any, repeated bool) {
	if !repeated {
		a.last = append(a.last, e)
	}
	a.acknowledge(rig.Ack{
		Kind: rig.SentEvent, User: a.user, Name: e.Name, Subject: e.ID, Value: e.Number["n"],
		Repeated: repeated, Duplicate: status == "duplicate",
	}, told)
}

// batch sends several events at once.
func (a *actor) batch(ctx context.Context) error {
	var events []sent
	for i, name := range []string{"ticket_closed", "joined", a.begins[a.draw.IntN(len(a.begins))], "ticket_opened"} {
		events = append(events, a.fresh(name, i))
	}
	told, err := a.call(ctx, a.draw, http.MethodPost, "/v1/events/batch", map[string]any{"items": events})
	if err != nil {
		return err
	}
	items, _ := told.body["items"].([]any)
	if err := expect(told, http.StatusAccepted); err != nil || len(items) != len(events) {
		return fmt.Errorf("a batch of %d was answered %v: %w", len(events), told.body, err)
	}
	for i, e := range events {
		item, _ := items[i].(map[string]any)
		a.sent(e, told, item["status"], false)
	}
	return nil
}

// request enrolls in a workflow that nothing else enrolls in but steps.
func (a *actor) request(ctx context.Context) error {
	key := fmt.Sprintf("%s-request-%d", a.user, len(a.keys))
	a.keys = append(a.keys, key)
	return a.ask(ctx, key, false)
}

func (a *actor) ask(ctx context.Context, key string, repeated bool) error {
	told, err := a.call(ctx, a.draw, http.MethodPost, "/v1/workflows/"+rig.Errands+"/enrollments", keyed{key, map[string]any{"user_id": a.user}})
	if err != nil {
		return err
	}
	id, _ := told.body["id"].(string)
	a.acknowledge(rig.Ack{Kind: rig.Requested, User: a.user, Name: rig.Errands, Subject: key, Value: id, Repeated: repeated, Open: isBusy(told)}, told)
	return expect(told, http.StatusCreated, http.StatusConflict)
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
	definition := []string{rig.Orders, rig.Tickets, rig.Gold, "drawn_1", "drawn_2"}[a.draw.IntN(5)]
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
