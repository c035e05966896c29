package connect

import (
	"crypto/tls"
	"net/http"
	"time"
)

// NewHTTPClient returns the client for every request whose destination somebody else decides.
// It reaches what the guard lets through, never follows a redirect (the 3xx is the answer), takes
// no proxy from the environment, asks for no compression and so never inflates an answer, reads
// at most 32 KiB of headers, verifies TLS 1.2 or better, and speaks HTTP/1.1, so that a slow
// receiver holds up one request only. Idle connections are kept, as many as a host may have.
//
// Each destination, which is a scheme, host and port, has a Gate of its own: a request that it
// does not let through is not sent, and its error is transient, of class Busy or Down. The body of
// every answer must be closed, as it occupies a slot until then.
func NewHTTPClient(g Guard) *http.Client {
	return &http.Client{
		Transport: newGated(g.PerHost, &transport{
			secure: newTransport(g, newDialer(g, false)),
			plain:  newTransport(g, newDialer(g, !g.AllowHTTP)),
		}),
		Timeout:       orDefault(g.Timeout, 30*time.Second),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// transport sends plain http by a dialer of its own, because it may reach less than https.
type transport struct{ secure, plain *http.Transport }

// RoundTrip sends the request by the transport of its scheme.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL != nil && req.URL.Scheme == "http" {
		return t.plain.RoundTrip(req)
	}
	return t.secure.RoundTrip(req)
}

// CloseIdleConnections serves http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() {
	t.plain.CloseIdleConnections()
	t.secure.CloseIdleConnections()
}

func newTransport(g Guard, d *Dialer) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil, // a proxy would be dialled in place of the destination
		DialContext:            d.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: g.RootCAs},
		TLSHandshakeTimeout:    orDefault(g.ConnectTimeout, 3*time.Second),
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    max(g.PerHost, defaultPerHost),
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
		ExpectContinueTimeout:  time.Second,
	}
}
