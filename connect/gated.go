package connect

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// forgetAfter is how long a destination is remembered that nobody asks for.
	forgetAfter = 10 * time.Minute
	sweepEvery  = time.Minute
)

// gated is a transport with a Gate before each destination.
type gated struct {
	limit int
	next  http.RoundTripper

	mu    sync.Mutex
	gates map[string]*door
	swept time.Time
}

// door is the gate of a destination, and who uses it.
type door struct {
	*Gate
	inside int       // attempts between take and put
	used   time.Time // last
}

func newGated(limit int, next http.RoundTripper) *gated {
	return &gated{limit: limit, next: next, gates: map[string]*door{}}
}

// RoundTrip sends the request if the gate of its destination lets it through. The slot is taken
// until the body of the answer is closed.
func (t *gated) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		return t.next.RoundTrip(req)
	}
	d := t.take(destination(req.URL))
	pass, err := d.Enter(req.Context())
	if err != nil {
		t.put(d)
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	leave := sync.OnceFunc(func() {
		pass.Leave()
		t.put(d)
	})
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		pass.Tell(given(req, err))
		leave()
		return nil, err
	}
	if failed := statusOf(resp); failed != nil {
		pass.Tell(failed)
	}
	if resp.Body == http.NoBody {
		leave()
	} else {
		resp.Body = &occupied{ReadCloser: resp.Body, req: req, pass: pass, leave: leave}
	}
	return resp, nil
}

// CloseIdleConnections serves http.Client.CloseIdleConnections.
func (t *gated) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// take returns the door of a destination, which stays until it is put back.
func (t *gated) take(name string) *door {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	d := t.gates[name]
	if d == nil {
		t.sweep(now)
		d = &door{Gate: NewGate(t.limit)}
		t.gates[name] = d
	}
	d.inside++
	d.used = now
	return d
}

func (t *gated) put(d *door) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d.inside--
}

// sweep forgets the destinations that nobody has asked for in a while.
func (t *gated) sweep(now time.Time) {
	if now.Sub(t.swept) < sweepEvery {
		return
	}
	t.swept = now
	for name, d := range t.gates {
		if d.inside == 0 && now.Sub(d.used) > forgetAfter && d.resting(now) {
			delete(t.gates, name)
		}
	}
}

// destination names what shares a gate: scheme, host and port.
func destination(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), port)
}

// statusOf judges an answer by its head, nil if it is fine so far.
func statusOf(resp *http.Response) error {
	if resp.StatusCode < 400 {
		return nil
	}
	return StatusError(resp.StatusCode, resp.Header, "")
}

// given judges why there is no answer: that the caller gave up explains everything else.
func given(req *http.Request, err error) error {
	if ended := req.Context().Err(); ended != nil {
		err = ended
	}
	return Judge(err)
}

// occupied is the body of an answer that has a slot until it is closed.
type occupied struct {
	io.ReadCloser
	req   *http.Request
	pass  *Pass
	leave func()
}

// Read tells the gate when the rest of an answer does not come.
func (o *occupied) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		o.pass.Tell(given(o.req, err))
	}
	return n, err
}

// Close gives the slot back.
func (o *occupied) Close() error {
	defer o.leave()
	return o.ReadCloser.Close()
}
