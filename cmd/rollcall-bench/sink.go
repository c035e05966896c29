package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// passage is one run of the workflow, as it is seen from outside: one event of one user, and the
// two webhooks that follow.
type passage struct {
	user     string
	due      time.Time // when its event had to be sent
	sent     time.Time // when it was
	accepted time.Time // when the event was on disk
	err      error     // why it was not accepted

	first, second time.Time // arrivals of the webhooks
	handled       time.Time // when the first was answered
	ids           [2]string // their webhook-ids
	calls         int       // webhooks in all; 2 when nothing was repeated
}

// phase is a number of passages that are measured together.
type phase struct {
	began    time.Time
	passages []*passage

	mu               sync.Mutex // guards the rest, and what the sink writes into the passages
	accepted, failed int
	firsts, seconds  int
	complete         chan struct{} // closed when the second webhook of the last passage has arrived
}

func newPhase(name string, n int) *phase {
	p := &phase{complete: make(chan struct{})}
	for i := range n {
		p.passages = append(p.passages, &passage{user: fmt.Sprintf("%s-%05d", name, i)})
	}
	return p
}

func (p *phase) users() []string {
	users := make([]string, len(p.passages))
	for i, r := range p.passages {
		users[i] = r.user
	}
	return users
}

// acceptance notes what became of an event.
func (p *phase) acceptance(r *passage, accepted time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.accepted, r.err = accepted, err
	if err != nil {
		p.failed++
		return
	}
	p.accepted++
}

// arrival notes a webhook.
func (p *phase) arrival(r *passage, n int, id string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.calls++
	switch {
	case n == 1 && r.first.IsZero():
		r.first, r.ids[0] = at, id
		p.firsts++
	case n == 2 && r.second.IsZero():
		r.second, r.ids[1] = at, id
		if p.seconds++; p.seconds == len(p.passages) {
			close(p.complete)
		}
	}
}

func (p *phase) progress() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%d of %d accepted, %d started, %d completed", p.accepted, len(p.passages), p.firsts, p.seconds)
}

// sink is the receiver of all webhooks: one small HTTP server that all sides call.
type sink struct {
	server http.Server
	addr   netip.AddrPort

	mu       sync.RWMutex
	phase    *phase
	passages map[string]*passage // of the phase, by user
}

func startSink(ctx context.Context) (*sink, error) {
	s := &sink{}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("webhook sink: %w", err)
	}
	if s.addr, err = netip.ParseAddrPort(l.Addr().String()); err != nil {
		return nil, fmt.Errorf("webhook sink: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{n}/{user}", s.passage)
	mux.HandleFunc("POST /later", s.later)
	mux.HandleFunc("POST /ok", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.server.Handler = mux
	s.server.ReadHeaderTimeout = 10 * time.Second
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

// url is where webhooks go; the number of the webhook and the user follow.
func (s *sink) url() string { return "http://" + s.addr.String() }

// step is a step of a workflow that sends the first or the second webhook.
func (s *sink) step(id string, n int) object {
	return object{"id": id, "action": "send_webhook", "with": object{
		"url": fmt.Sprintf("%s/%d/{{ user.id }}", s.url(), n), "body": object{"user_id": "{{ user.id }}"},
	}}
}

func (s *sink) stop() error { return s.server.Close() }

// expect makes a phase the one whose webhooks are counted.
func (s *sink) expect(p *phase) {
	passages := make(map[string]*passage, len(p.passages))
	for _, r := range p.passages {
		passages[r.user] = r
	}
	s.mu.Lock()
	s.phase, s.passages = p, passages
	s.mu.Unlock()
}

// passage takes POST /1/<user> and POST /2/<user>.
func (s *sink) passage(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	_, _ = io.Copy(io.Discard, req.Body)
	n, user := req.PathValue("n"), req.PathValue("user")
	s.mu.RLock()
	p, r := s.phase, s.passages[user]
	s.mu.RUnlock()
	if r == nil || n != "1" && n != "2" {
		http.NotFound(w, req) // of an earlier phase: its sender is told to stop
		return
	}
	w.WriteHeader(http.StatusNoContent)
	if n == "2" {
		p.arrival(r, 2, req.Header.Get("webhook-id"), at)
		return
	}
	p.mu.Lock()
	r.handled = time.Now()
	p.mu.Unlock()
	p.arrival(r, 1, req.Header.Get("webhook-id"), at)
}

// later takes POST /later: a call that is answered when the caller has understood that it will be.
func (s *sink) later(w http.ResponseWriter, req *http.Request) {
	var call struct{ Callback struct{ URL string } }
	if err := json.NewDecoder(req.Body).Decode(&call); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"status": "pending"}`)
	ctx := context.WithoutCancel(req.Context())
	time.AfterFunc(2*time.Second, func() {
		answer, err := http.NewRequestWithContext(ctx, http.MethodPost, call.Callback.URL, strings.NewReader(`{"status": "success"}`))
		if err != nil {
			return
		}
		answer.Header.Set("Content-Type", "application/json")
		if said, err := http.DefaultClient.Do(answer); err == nil { // else whoever waits for the end says so
			_ = said.Body.Close()
		}
	})
}
