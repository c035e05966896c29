package webhook

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"rollcall/connect"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

func TestSignatureMatchesTheSpecification(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	err := sign(h, Request{
		ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Body: []byte(`{"test": 2432232314}`), Secrets: []string{secretA},
	}, time.Unix(1614265330, 0))
	require.NoError(t, err)
	require.Equal(t, "msg_p5jXN8AQM9LWM0D4loKWxJek", h.Get("webhook-id"))
	require.Equal(t, "1614265330", h.Get("webhook-timestamp"))
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", h.Get("webhook-signature"))
}

func TestSendSignsWithEverySecret(t *testing.T) {
	t.Parallel()
	type seen struct {
		header http.Header
		body   []byte
		host   string
	}
	got := make(chan seen, 1)
	s := sink(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Header, body, r.Host}
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("X-Request-Id", "r1")
		_, _ = io.WriteString(w, "thanks")
	})
	resp, err := s.sender.Send(t.Context(), Request{
		ID: "welcome/u_42/1:ping", URL: s.url + "/x?a=b#frag", Body: []byte(`{"a":1}`),
		Secrets: []string{secretA, secretB}, Headers: map[string]string{"authorization": "Bearer t", "x-a": "1"},
	})
	require.NoError(t, err)
	require.Equal(t, 200, resp.Status)
	require.Equal(t, "thanks", string(resp.Body))
	require.Equal(t, "r1", resp.Header.Get("X-Request-Id"))
	require.Empty(t, resp.Header.Get("Set-Cookie"))

	r := <-got
	for _, secret := range []string{secretA, secretB} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(r.body, r.header))
	}
	require.Len(t, strings.Fields(r.header.Get("webhook-signature")), 2)
	require.Equal(t, "application/json", r.header.Get("Content-Type"))
	require.Equal(t, "Bearer t", r.header.Get("Authorization"))
	require.Empty(t, r.header.Values("Idempotency-Key"))
	require.Empty(t, r.header.Values("Accept-Encoding"))
}

func TestSendWithoutSecretIsUnsigned(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	s := sink(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	_, err := s.sender.Send(t.Context(), Request{ID: "k1", URL: s.url, Headers: map[string]string{"Content-Type": "text/plain"}, Body: []byte("x")})
	require.NoError(t, err)
	h := <-got
	require.Equal(t, "k1", h.Get("webhook-id"))
	require.NotEmpty(t, h.Get("webhook-timestamp"))
	require.Empty(t, h.Values("webhook-signature"))
	require.Equal(t, "text/plain", h.Get("Content-Type"))
}

func TestSendJudgesStatuses(t *testing.T) {
	t.Parallel()
	for status, permanent := range map[int]bool{
		301: true, 307: true, 400: true, 401: true, 404: true, 410: true, 422: true,
		408: false, 425: false, 429: false, 500: false, 502: false, 503: false, 504: false,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := sink(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "9")
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "because")
			})
			resp, err := s.sender.Send(t.Context(), Request{ID: "k", URL: s.url + "?key=hidden"})
			require.Error(t, err)
			require.Equal(t, permanent, connect.IsPermanent(err))
			require.Equal(t, status, resp.Status)
			require.Equal(t, "because", string(resp.Body))
			require.NotContains(t, err.Error(), "hidden")
			wait, ok := connect.RetryAfter(err)
			require.Equal(t, !permanent, ok)
			if ok {
				require.Equal(t, 9*time.Second, wait)
			}
		})
	}
}

func TestSendRefusesWhatCannotBeValid(t *testing.T) {
	t.Parallel()
	s := sink(t, func(http.ResponseWriter, *http.Request) {})
	for name, r := range map[string]Request{
		"bad url":        {ID: "k", URL: "http://2130706433/"},
		"no id":          {URL: s.url},
		"bad method":     {ID: "k", URL: s.url, Method: "CONNECT"},
		"bad secret":     {ID: "k", URL: s.url, Secrets: []string{"whsec_"}},
		"reserved":       {ID: "k", URL: s.url, Headers: map[string]string{"webhook-id": "other"}},
		"injected lines": {ID: "k", URL: s.url, Headers: map[string]string{"X-A": "b\r\nwebhook-id: other"}},
	} {
		_, err := s.sender.Send(t.Context(), r)
		require.True(t, connect.IsPermanent(err), name)
		require.Equal(t, connect.Invalid, connect.Class(err), name)
	}
	require.Zero(t, s.visits.Load())
}

func TestSendToBlockedDestination(t *testing.T) {
	t.Parallel()
	sender := New(connect.NewHTTPClient(connect.Guard{AllowHTTP: true, AnyPort: true}))
	_, err := sender.Send(t.Context(), Request{ID: "k", URL: "http://127.0.0.1:9/?key=hidden"})
	require.True(t, connect.IsPermanent(err))
	require.Equal(t, connect.Blocked, connect.Class(err))
	require.EqualError(t, err, "send webhook: destination is not allowed")
}

func TestSendToClosedPort(t *testing.T) {
	t.Parallel()
	s := sink(t, func(http.ResponseWriter, *http.Request) {})
	s.server.Close()
	_, err := s.sender.Send(t.Context(), Request{ID: "k", URL: s.url})
	require.False(t, connect.IsPermanent(err))
	require.Equal(t, connect.Connect, connect.Class(err))
}

func TestSendKeepsFourKiBOfTheAnswer(t *testing.T) {
	t.Parallel()
	s := sink(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100_000)) })
	resp, err := s.sender.Send(t.Context(), Request{ID: "k", URL: s.url})
	require.NoError(t, err)
	require.Len(t, resp.Body, 4096)
}

func TestSendDoesNotInflateAGzipBomb(t *testing.T) {
	t.Parallel()
	s := sink(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(make([]byte, 10<<20))
		_ = z.Close()
	})
	resp, err := s.sender.Send(t.Context(), Request{ID: "k", URL: s.url})
	require.NoError(t, err)
	require.Equal(t, []byte{0x1f, 0x8b}, resp.Body[:2])
	require.LessOrEqual(t, len(resp.Body), 4096)
}

func TestSendGivesUpOnAHangingBody(t *testing.T) {
	t.Parallel()
	s := sink(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	s.sender.client.Timeout = 100 * time.Millisecond
	_, err := s.sender.Send(t.Context(), Request{ID: "k", URL: s.url})
	require.Equal(t, connect.Timeout, connect.Class(err))
	require.False(t, connect.IsPermanent(err))
}

func TestSendTakesAResetAfterThe2xxAsSuccess(t *testing.T) {
	t.Parallel()
	s := sink(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
		_ = buf.Flush()
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	})
	resp, err := s.sender.Send(t.Context(), Request{ID: "k", URL: s.url})
	require.NoError(t, err)
	require.Equal(t, 200, resp.Status)
}

func TestSendStopsWithItsContext(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s := sink(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := s.sender.Send(ctx, Request{ID: "k", URL: s.url})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, connect.Canceled, connect.Class(err))
}

type testSink struct {
	server *httptest.Server
	sender *Sender
	url    string
	visits atomic.Int32
}

func sink(t *testing.T, h http.HandlerFunc) *testSink {
	t.Helper()
	s := &testSink{}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.visits.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.server.Close)
	s.url = s.server.URL
	addr := netip.MustParseAddrPort(s.server.Listener.Addr().String())
	s.sender = New(connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{addr}}))
	return s
}
