package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"rollcall/api"
)

// crowd is how many requests one process answers at a time. They wait for few connections to the database,
// so that more of them inside would be answered later and not sooner.
const crowd = 512

// door lets requests in until it is closed, no more than crowd at a time, and turns the others away. Who
// lives and what is measured is told all the time; whether it is ready, until it is closed.
type door struct {
	inside http.Handler
	turned *prometheus.CounterVec // by why

	mu     sync.Mutex
	closed bool
	count  int
	guests sync.WaitGroup
}

func newDoor(inside http.Handler, metrics prometheus.Registerer) *door {
	d := &door{inside: inside, turned: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rollcall_requests_turned_away_total", Help: "Requests that were answered 503 without being looked at, by why.",
	}, []string{"reason"})}
	metrics.MustRegister(d.turned)
	for _, why := range []refusal{stopping, overloaded} {
		d.turned.WithLabelValues(why.slug)
	}
	return d
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" || r.URL.Path == "/metrics" {
		d.inside.ServeHTTP(w, r)
		return
	}
	if why := d.enter(r.URL.Path == "/readyz"); why != nil {
		d.turned.WithLabelValues(why.slug).Inc()
		why.write(w)
		return
	}
	defer d.leave()
	d.inside.ServeHTTP(w, r)
}

// enter lets a request in, one that is urgent into a crowd too, or says why not.
func (d *door) enter(urgent bool) *refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return &stopping
	case d.count >= crowd && !urgent:
		return &overloaded
	}
	d.count++
	d.guests.Add(1)
	return nil
}

func (d *door) leave() {
	d.mu.Lock()
	d.count--
	d.mu.Unlock()
	d.guests.Done()
}

// close lets nobody in any more.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

// empty waits until those who are inside have their answers. The door is closed before.
func (d *door) empty() { d.guests.Wait() }

// refusal is why a request is turned away. Nothing was done of it, and it may be sent again.
type refusal struct {
	slug, detail string
	elsewhere    bool // on another connection, which may lead to another process
}

var (
	stopping   = refusal{"stopping", "this process is about to end: ask again, another one answers", true}
	overloaded = refusal{"overloaded", fmt.Sprintf("%d requests are being answered: ask again in a moment", crowd), false}
)

func (r *refusal) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Retry-After", "1")
	if r.elsewhere {
		h.Set("Connection", "close")
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(&api.ProblemDetails{
		Type: "urn:rollcall:problem/" + r.slug, Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable, Detail: r.detail,
	})
}
