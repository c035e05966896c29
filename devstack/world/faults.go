package world

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Fault makes the world misbehave for a while.
type Fault struct {
	// Path is the beginning of the paths it concerns, such as "/webhook/a" or "/slack/api/".
	// "smtp" concerns mail, "" everything.
	Path string
	// Times is how many requests it concerns; 0 means one.
	Times int
	// Status is what they are answered: an HTTP status, or an SMTP code for mail.
	Status int
	// RetryAfter is the header of that name, if not empty.
	RetryAfter string
	// Body is the answer's body. Together with status 200 it is how Slack refuses things.
	Body string
	// Hang leaves the requests without an answer, until the client gives up or the world stops.
	Hang bool
	// Drop cuts the connection without an answer.
	Drop bool
}

// Fail adds a fault. Faults that concern the same request are used up in the order they were
// added. What a fault concerns does not reach the outbox.
func (w *World) Fail(f Fault) { w.faults.add(f) }

// Heal takes all faults back.
func (w *World) Heal() { w.faults.clear() }

type faults struct {
	armed  atomic.Bool // spares healthy requests the lock
	closed chan struct{}

	mu   sync.Mutex
	list []Fault
}

func newFaults() *faults { return &faults{closed: make(chan struct{})} }

func (f *faults) add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault.Times = max(fault.Times, 1)
	f.list = append(f.list, fault)
	f.armed.Store(true)
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = nil
	f.armed.Store(false)
}

// next returns the fault that concerns a request for this path and counts it.
func (f *faults) next(path string) (Fault, bool) {
	if !f.armed.Load() {
		return Fault{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		if !strings.HasPrefix(path, f.list[i].Path) {
			continue
		}
		fault := f.list[i]
		if f.list[i].Times--; f.list[i].Times == 0 {
			f.list = slices.Delete(f.list, i, i+1)
			f.armed.Store(len(f.list) > 0)
		}
		return fault, true
	}
	return Fault{}, false
}

// release lets go of everything that hangs.
func (f *faults) release() { close(f.closed) }

func (f *faults) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, found := f.next(r.URL.Path)
		if !found {
			next.ServeHTTP(w, r)
			return
		}
		if fault.Hang {
			// The server notices that its client has gone only once the body is read.
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-f.closed:
			}
		}
		if fault.Hang || fault.Drop {
			panic(http.ErrAbortHandler)
		}
		if fault.RetryAfter != "" {
			w.Header().Set("Retry-After", fault.RetryAfter)
		}
		if strings.HasPrefix(fault.Body, "{") {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		w.WriteHeader(fault.Status)
		_, _ = io.WriteString(w, fault.Body)
	})
}
