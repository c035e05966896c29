package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
)

// house is a door with a handler behind it that answers when it is told.
type house struct {
	*door
	came, answer chan struct{}
	guests       sync.WaitGroup
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{came: make(chan struct{}, crowd+1), answer: make(chan struct{})}
	registry := prometheus.NewRegistry()
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	h.door = newDoor(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			h.came <- struct{}{}
			<-h.answer
		case "/metrics":
			metrics.ServeHTTP(w, r)
		}
	}), registry)
	t.Cleanup(h.guests.Wait)
	return h
}

func (h *house) get(path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	return w
}

// crowd lets in as many as it takes, and waits until they are inside.
func (h *house) crowd() {
	for range crowd {
		h.guests.Go(func() { h.get("/slow") })
		<-h.came
	}
}

func wantTurnedAway(t *testing.T, w *httptest.ResponseRecorder, slug string) {
	t.Helper()
	var problem struct {
		Type   string
		Status int
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
	require.Equal(t, []any{503, 503, "urn:rollcall:problem/" + slug, "1"}, []any{w.Code, problem.Status, problem.Type, w.Header().Get("Retry-After")})
}

func TestRequestsBeyondACrowdAreTurnedAwayAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.crowd()

	wantTurnedAway(t, h.get("/v1/users"), "overloaded")

	require.Equal(t, []int{200, 200}, []int{h.get("/healthz").Code, h.get("/readyz").Code})
	require.Contains(t, h.get("/metrics").Body.String(), `rollcall_requests_turned_away_total{reason="overloaded"} 1`)
	h.answer <- struct{}{}
	require.Eventually(t, func() bool { return h.get("/v1/users").Code == 200 }, 10*time.Second, time.Millisecond, "one has left")
	close(h.answer)
}

func TestClosedDoorLetsOnlySeeWhoLives(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.close()

	for _, path := range []string{"/v1/users", "/readyz"} {
		wantTurnedAway(t, h.get(path), "stopping")
	}
	require.Equal(t, []int{200, 200}, []int{h.get("/healthz").Code, h.get("/metrics").Code})
}
