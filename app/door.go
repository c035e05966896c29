package app

import (
	"io"
	"net/http"
	"sync"
)

// door lets requests in until it is closed, and turns away those that come later. Who lives and what
// is measured is told all the time.
type door struct {
	inside http.Handler

	mu     sync.Mutex
	closed bool
	guests sync.WaitGroup
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" || r.URL.Path == "/metrics" {
		d.inside.ServeHTTP(w, r)
		return
	}
	if !d.enter() {
		turnAway(w)
		return
	}
	defer d.guests.Done()
	d.inside.ServeHTTP(w, r)
}

func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.guests.Add(1)
	return true
}

// close lets nobody in any more.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

// empty waits until those who are inside have their answers. The door is closed before.
func (d *door) empty() { d.guests.Wait() }

// turnAway answers that nothing was done and that another process should be asked.
func turnAway(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Retry-After", "1")
	h.Set("Connection", "close")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"type":"urn:rollcall:problem/stopping","title":"Service Unavailable","status":503,"detail":"this process is about to end: ask again, another one answers"}`+"\n")
}
