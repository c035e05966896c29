package connect

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestADestinationIsSchemeHostAndPort(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://example.com/a?b=c":      "https://example.com:443",
		"https://EXAMPLE.com.:443":       "https://example.com:443",
		"http://example.com":             "http://example.com:80",
		"https://example.com:8443":       "https://example.com:8443",
		"https://user:word@example.com":  "https://example.com:443",
		"https://other.example.com":      "https://other.example.com:443",
		"http://[2001:4860:4860::8888]/": "http://[2001:4860:4860::8888]:80",
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, want, destination(u), address)
	}
}

func TestDestinationsThatNobodyAsksForAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newGated(1, answers(func(req *http.Request) *http.Response {
			resp := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("x")), Request: req}
			switch req.URL.Host {
			case "limited.test":
				resp.StatusCode, resp.Header = http.StatusTooManyRequests, http.Header{"Retry-After": {"1800"}}
			case "empty.test":
				resp.Body = http.NoBody
			}
			return resp
		}))
		ask := func(host string) *http.Response {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+host, nil)
			require.NoError(t, err)
			resp, err := client.RoundTrip(req)
			require.NoError(t, err)
			return resp
		}
		for i := range 1000 {
			require.NoError(t, ask(fmt.Sprintf("%d.test", i)).Body.Close())
		}
		require.NoError(t, ask("limited.test").Body.Close())
		ask("empty.test") //nolint:bodyclose // there is none
		open := ask("open.test")
		require.Len(t, client.gates, 1003)

		time.Sleep(forgetAfter + time.Second)
		require.NoError(t, ask("new.test").Body.Close())
		require.Len(t, client.gates, 3, "the new one, the one that asked to wait, the one whose answer is being read")

		time.Sleep(30 * time.Minute)
		require.NoError(t, open.Body.Close())
		require.NoError(t, ask("newer.test").Body.Close())
		require.Len(t, client.gates, 1)
	})
}

func TestARequestThatIsNotSentHasItsBodyClosed(t *testing.T) {
	t.Parallel()
	client := newGated(1, answers(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"60"}}, Body: http.NoBody}
	}))
	for _, sent := range []bool{true, false} {
		body := &witness{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.test", body)
		require.NoError(t, err)
		resp, err := client.RoundTrip(req)
		if sent {
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			continue
		}
		require.Equal(t, Busy, Class(err))
		require.True(t, body.closed)
	}
}

func TestAnAnswerThatBreaksOffIsAFailure(t *testing.T) {
	t.Parallel()
	client := newGated(1, answers(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(io.MultiReader(strings.NewReader("begin"), broken{}))}
	}))
	for range breakAfter {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.test", nil)
		require.NoError(t, err)
		resp, err := client.RoundTrip(req)
		require.NoError(t, err)
		_, err = ReadLimited(resp, 100)
		require.Error(t, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.test", nil)
	require.NoError(t, err)
	_, err = client.RoundTrip(req) //nolint:bodyclose // there is none
	require.Equal(t, Down, Class(err))
}

type answers func(*http.Request) *http.Response

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) { return a(req), nil }

type witness struct {
	io.Reader
	closed bool
}

func (w *witness) Close() error {
	w.closed = true
	return nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
