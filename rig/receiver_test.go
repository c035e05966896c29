//go:build unix

package rig_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/rig"
)

// receiver is where webhooks go. It remembers every request, whatever it answers.
type receiver struct {
	*httptest.Server
	moody atomic.Bool // answers late, refuses, or goes away without an answer, now and then

	mu    sync.Mutex
	draw  *rand.Rand
	hooks []rig.Hook
}

func newReceiver(t *testing.T, seed uint64) *receiver {
	t.Helper()
	r := &receiver{draw: rand.New(rand.NewPCG(seed, 2))}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) addr() string { return strings.TrimPrefix(r.URL, "http://") }

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	_, _ = io.Copy(io.Discard, req.Body)
	switch mood := r.record(rig.Hook{ID: req.Header.Get("webhook-id"), Path: req.URL.Path, At: at}); {
	case strings.HasSuffix(req.URL.Path, "/"+rig.RefusedPath):
		w.WriteHeader(http.StatusBadRequest)
	case !r.moody.Load() || mood >= 40:
	case mood < 2:
		w.WriteHeader(http.StatusInternalServerError)
	case mood < 4:
		panic(http.ErrAbortHandler)
	default:
		time.Sleep(time.Duration(mood) * 12 * time.Millisecond)
	}
}

// record remembers a request, and draws from 100 how it is treated.
func (r *receiver) record(h rig.Hook) (mood int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = append(r.hooks, h)
	return r.draw.IntN(100)
}

func (r *receiver) received() []rig.Hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.hooks)
}
