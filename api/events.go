package api

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"rollcall/automation"
)

const (
	maxEvent   = 32 << 10                 // bytes of an event's properties
	oldestTime = 5 * 365 * 24 * time.Hour // before now
)

// EventBody is one event as it is sent.
type EventBody struct {
	ID         string         `json:"id,omitempty" doc:"Makes sending again harmless: an id counts once. Given if left out."`
	Name       string         `json:"name" doc:"What happened."`
	UserID     string         `json:"user_id" doc:"To whom."`
	OccurredAt *time.Time     `json:"occurred_at,omitempty" doc:"When; now if left out."`
	Properties map[string]any `json:"properties,omitempty" doc:"More about it."`
}

func (b *EventBody) event() automation.Event {
	e := automation.Event{ID: b.ID, Name: b.Name, UserID: b.UserID, Properties: b.Properties}
	if b.OccurredAt != nil {
		e.OccurredAt = b.OccurredAt.UTC()
	}
	return e
}

// check returns an *InvalidError for an event that cannot be taken.
func (b *EventBody) check() error {
	var p automation.Problems
	if problem, ok := automation.CheckEventName(b.Name); !ok {
		p.Add("/name", "event-invalid", "%s", problem)
	}
	if problem, ok := automation.CheckUserID(b.UserID); !ok {
		p.Add("/user_id", "invalid-user-id", "%s", problem)
	}
	if len(b.ID) > 255 {
		p.Add("/id", "event-invalid", "an event id has at most 255 bytes")
	}
	b.checkRest(&p, "/occurred_at", "/properties")
	return automation.Invalid("the event", p)
}

// checkRest judges the time and the properties, which stand at these pointers.
func (b *EventBody) checkRest(p *automation.Problems, when, properties string) {
	if b.OccurredAt != nil {
		switch age := time.Since(*b.OccurredAt); {
		case age > oldestTime:
			p.Add(when, "timestamp-too-old", "an event is at most five years old")
		case age < -time.Hour:
			p.Add(when, "timestamp-in-future", "an event lies at most an hour ahead")
		}
	}
	if size(b.Properties) > maxEvent {
		p.Add(properties, tooLarge, "the properties of an event have at most 32 KiB")
	}
}

// size is how many bytes an object has as JSON.
func size(object map[string]any) int {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		return math.MaxInt
	}
	return text.Len() - len("\n")
}

type sendEventIn struct{ Body EventBody }

// EventOut says what became of an event.
type EventOut struct {
	Status int
	Body   struct {
		ID     string `json:"id"`
		Status string `json:"status" enum:"accepted,duplicate"`
	}
}

func (s *server) sendEvent(ctx context.Context, in *sendEventIn) (*EventOut, error) {
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	receipts, err := s.DB.AppendEvents(ctx, []automation.Event{in.Body.event()})
	if err != nil {
		return nil, err
	}
	s.Pump.Wake()
	r := receipts[0]
	out := &EventOut{Status: http.StatusAccepted}
	out.Body.ID, out.Body.Status = r.ID, accepted(r.Duplicate)
	return out, r.Err
}

func accepted(duplicate bool) string {
	if duplicate {
		return "duplicate"
	}
	return "accepted"
}

type sendEventsIn struct {
	Body struct {
		Items []EventBody `json:"items" doc:"At most 1,000 events."`
	}
}

func (s *server) sendEvents(ctx context.Context, in *sendEventsIn) (*BatchOut, error) {
	if len(in.Body.Items) > maxBatch {
		return nil, batchTooLarge()
	}
	out := &BatchOut{Status: http.StatusAccepted}
	out.Body.Items = make([]ItemResult, len(in.Body.Items))
	var events []automation.Event
	var positions []int
	for i := range in.Body.Items {
		item := &in.Body.Items[i]
		if err := item.check(); err != nil {
			out.Body.Items[i] = ItemResult{ID: item.ID, Status: "refused", Problems: itemProblems(err, "/items/"+strconv.Itoa(i))}
			continue
		}
		events, positions = append(events, item.event()), append(positions, i)
	}
	receipts, err := s.DB.AppendEvents(ctx, events)
	if err != nil {
		return nil, err
	}
	s.Pump.Wake()
	for j, r := range receipts {
		i := positions[j]
		out.Body.Items[i] = ItemResult{ID: r.ID, Status: accepted(r.Duplicate)}
		if r.Err != nil {
			out.Body.Items[i].Status, out.Body.Items[i].Problems = "refused", itemProblems(r.Err, "/items/"+strconv.Itoa(i))
		}
	}
	return out, nil
}
