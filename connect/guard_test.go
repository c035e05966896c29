package connect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"rollcall/connect"
)

func TestGuardRefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	dialer := connect.NewDialer(connect.Guard{})
	for _, address := range []string{
		"127.0.0.1:443", "127.1.2.3:443", "[::1]:443", "[::ffff:127.0.0.1]:443", "[64:ff9b::7f00:1]:443",
		"[2002:7f00:1::]:443", "169.254.169.254:443", "[fd00:ec2::254]:443", "[fe80::1]:443",
		"100.64.0.1:443", "0.0.0.0:443", "255.255.255.255:443", "198.18.0.1:443", "224.0.0.1:443",
		"192.0.0.192:443", "[100::1]:443", "[3fff::1]:443", "[5f00::1]:443", "10.0.0.1:443",
		"172.16.0.1:443", "192.168.1.1:443", "[::]:443", "8.8.8.8:8080", "8.8.8.8:80", "8.8.8.8:22",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			_, err := dialer.DialContext(t.Context(), "tcp", address)
			require.Error(t, err)
			require.Equal(t, connect.Blocked, connect.Class(err))
			require.True(t, connect.IsPermanent(err))
			require.EqualError(t, err, "destination is not allowed")
		})
	}
}

func TestGuardLetsOneListedAddressThrough(t *testing.T) {
	t.Parallel()
	world, other := server(t, "world"), server(t, "other")
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{world.addr}})

	require.Equal(t, "world", get(t, client, world.URL))
	err := fail(t, client, other.URL)
	require.Equal(t, connect.Blocked, connect.Class(err))
	require.Zero(t, other.visits.Load())
}

func TestGuardLetsAllowedNetworksThroughOnEveryPort(t *testing.T) {
	t.Parallel()
	s := server(t, "inside")
	guard := connect.Guard{AllowHTTP: true}

	err := fail(t, connect.NewHTTPClient(guard), s.URL)
	require.Equal(t, connect.Blocked, connect.Class(err))

	guard.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	require.Equal(t, "inside", get(t, connect.NewHTTPClient(guard), s.URL))

	guard.AllowHTTP = false
	err = fail(t, connect.NewHTTPClient(guard), s.URL)
	require.Equal(t, connect.Blocked, connect.Class(err), "plain http needs leave of its own")
}

func TestClientNeverFollowsRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"allowed", "file:///etc/passwd", "http://127.0.0.1:1/"} {
			second := server(t, "second")
			location := strings.Replace(to, "allowed", second.URL, 1)
			first := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{first.addr, second.addr}})
			resp, err := client.Do(request(t, first.URL))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.True(t, connect.IsPermanent(connect.CheckStatus(resp)))
			require.Zero(t, second.visits.Load())
		}
	}
}

func TestClientIgnoresProxiesOfTheEnvironment(t *testing.T) {
	proxy, target := server(t, "proxy"), server(t, "target")
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{proxy.addr, target.addr}})
	require.Equal(t, "target", get(t, client, target.URL))
	require.Zero(t, proxy.visits.Load())
}

func TestClientReadsLimitedHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 1024 {
			w.Header().Add("X-Padding", strings.Repeat("x", 1024))
		}
	})
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{s.addr}})
	err := fail(t, client, s.URL)
	require.Equal(t, connect.Response, connect.Class(err))
}

func TestClientReusesConnections(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{addrOf(s)}})
	for range 20 {
		get(t, client, s.URL)
	}
	require.Equal(t, int32(1), conns.Load())
}

func TestClientJudgesTLS(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		names  []string
		ends   time.Time
		newest uint16
		trust  bool
		want   string
	}{
		"good":        {[]string{"127.0.0.1"}, now.Add(time.Hour), tls.VersionTLS13, true, ""},
		"self-signed": {[]string{"127.0.0.1"}, now.Add(time.Hour), tls.VersionTLS13, false, "certificate is signed by an unknown authority"},
		"wrong host":  {[]string{"other.test"}, now.Add(time.Hour), tls.VersionTLS13, true, "certificate is for another host"},
		"expired":     {[]string{"127.0.0.1"}, now.Add(-time.Hour), tls.VersionTLS13, true, "certificate has expired or is not yet valid"},
		"tls 1.1":     {[]string{"127.0.0.1"}, now.Add(time.Hour), tls.VersionTLS11, true, "tls handshake failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificate := selfSigned(t, c.names, c.ends)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10, MaxVersion: c.newest}
			s.StartTLS()
			t.Cleanup(s.Close)
			roots := x509.NewCertPool()
			if c.trust {
				roots.AddCert(certificate.Leaf)
			}
			client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{addrOf(s)}, RootCAs: roots})
			if c.want == "" {
				get(t, client, s.URL)
				return
			}
			err := fail(t, client, s.URL)
			require.EqualError(t, err, c.want)
			require.Equal(t, connect.TLS, connect.Class(err))
			require.False(t, connect.IsPermanent(err))
		})
	}
	plain := server(t, "plain")
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{plain.addr}})
	require.Equal(t, connect.TLS, connect.Class(fail(t, client, strings.Replace(plain.URL, "http:", "https:", 1))))
}

func selfSigned(t *testing.T, names []string, ends time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: ends.Add(-24 * time.Hour), NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestGuardCatchesRebinding(t *testing.T) {
	t.Parallel()
	good := server(t, "good")
	port := good.addr.Port()
	evil := serveOn(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port).String())
	// The first question is answered with the allowed address, all others with the other one.
	var questions atomic.Int32
	resolver := fakeDNS(t, func() [][4]byte {
		if questions.Add(1) == 1 {
			return [][4]byte{{127, 0, 0, 1}}
		}
		return [][4]byte{{127, 0, 0, 2}}
	})
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{good.addr}, Resolver: resolver})
	u := "http://rebind.test.:" + strings.Split(good.addr.String(), ":")[1]
	require.Equal(t, "good", get(t, client, u))
	client.CloseIdleConnections()
	err := fail(t, client, u)
	require.Equal(t, connect.Blocked, connect.Class(err))
	require.Zero(t, evil.visits.Load())
}

func TestGuardPicksTheAllowedOfSeveralAddresses(t *testing.T) {
	t.Parallel()
	good := server(t, "good")
	evil := serveOn(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), good.addr.Port()).String())
	resolver := fakeDNS(t, func() [][4]byte { return [][4]byte{{127, 0, 0, 3}, {127, 0, 0, 1}} })
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{good.addr}, Resolver: resolver})
	require.Equal(t, "good", get(t, client, "http://mixed.test.:"+strings.Split(good.addr.String(), ":")[1]))
	require.Zero(t, evil.visits.Load())
}

func TestUnknownHostIsTransientDNS(t *testing.T) {
	t.Parallel()
	resolver := fakeDNS(t, func() [][4]byte { return nil })
	dialer := connect.NewDialer(connect.Guard{Resolver: resolver})
	_, err := dialer.DialContext(t.Context(), "tcp", "nowhere.test.:443")
	require.Equal(t, connect.DNS, connect.Class(err))
	require.False(t, connect.IsPermanent(err))
	require.EqualError(t, err, "host name does not resolve")
}

type testServer struct {
	*httptest.Server
	addr   netip.AddrPort
	visits atomic.Int32
}

func server(t *testing.T, text string) *testServer {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func serve(t *testing.T, h http.HandlerFunc) *testServer {
	t.Helper()
	s := &testServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.visits.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	s.addr = addrOf(s.Server)
	return s
}

func serveOn(t *testing.T, address string) *testServer {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	s := &testServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.visits.Add(1) }))
	require.NoError(t, s.Listener.Close())
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func addrOf(s *httptest.Server) netip.AddrPort {
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Do(request(t, url))
	require.NoError(t, err)
	body, err := connect.ReadLimited(resp, 1024)
	require.NoError(t, err)
	return string(body)
}

// fail returns the judged error of a request that gets no answer.
func fail(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	resp, err := client.Do(request(t, url))
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err)
	return connect.Judge(err)
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return req
}

// fakeDNS returns a resolver whose server answers every question for an A record with the
// addresses given at that moment.
func fakeDNS(t *testing.T, addresses func() [][4]byte) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				for _, a := range addresses() {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
						Body:   &dnsmessage.AResource{A: a},
					})
				}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}
