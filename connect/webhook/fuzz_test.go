package webhook_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpguts"

	"rollcall/connect"
	"rollcall/connect/webhook"
)

// refused checks that an error is one for the author: for good, short, and on one line.
func refused(t *testing.T, err error) {
	t.Helper()
	require.True(t, connect.IsPermanent(err))
	require.Equal(t, connect.Invalid, connect.Class(err))
	require.NotContains(t, err.Error(), "\n")
}

// FuzzURL checks any destination. A good one can be sent to, has a host that is a name or a plain address,
// and is as good when it is written again.
func FuzzURL(f *testing.F) {
	for _, text := range []string{
		"https://hooks.example.com/x?y=z#part", "http://127.0.0.1:8025/webhook/a", "https://[::1]:8443/", "https://bücher.example/", "https://my_service:443/", "https://example.com.",
		"HTTPS://EXAMPLE.COM/", "https://1e100.net/", "https://0x7f.example/", "ftp://example.com/", "https:///x", "https://user:pass@example.com/", "https://2130706433/",
		"https://0177.0.0.1/", "https://0x7f.1/", "https://127.0.0.1./", "https://[fe80::1%25eth0]/", "https://a b/", "https://example.com:0/", "https://example.com:/", "https://exa\nmple.com/",
		"https://example.com/%zz?key=verysecret", "//example.com/x", "https://１２７.０.０.１/", "https://0x7f。1/", "https://ex%61mple.com/", "https://[::ffff:127.0.0.1]/", "https://⑫⑦.1/", "http:\\\\example.com",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := webhook.CheckURL(text)
		if err != nil {
			refused(t, err)
			require.Less(t, len(err.Error()), 100, "it spells nothing of the destination")
			return
		}
		require.LessOrEqual(t, len(text), 2048)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, text, nil)
		require.NoError(t, err)
		u := req.URL
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.Nil(t, u.User)
		if _, err := netip.ParseAddr(u.Hostname()); err != nil {
			labels := strings.Split(strings.TrimSuffix(u.Hostname(), "."), ".")
			require.NotEmpty(t, strings.Trim(labels[len(labels)-1], "0123456789"), "%q is a number to a resolver", u.Hostname())
			require.Nil(t, net.ParseIP(u.Hostname()))
		}
		again, err := url.Parse(u.String())
		require.NoError(t, err)
		require.Equal(t, u.Host, again.Host)
		if len(u.String()) <= 2048 {
			require.NoError(t, webhook.CheckURL(u.String()))
		}
	})
}

// FuzzHeaders checks any header. A good one can be sent, and arrives as itself and nothing else.
func FuzzHeaders(f *testing.F) {
	for name, value := range map[string]string{
		"Authorization": "Bearer x", "Content-Type": "text/plain", "X-Trace": "a\tb", "X-Name": "Zoë", "webhook-id": "x", "Host": "x", "content-length": "1", "Proxy-X": "x", "Bad Name": "x",
		"": "x", "X:Y": "x", "X-Split": "a\r\nX-Injected: b", "X-Nul": "a\x00b", "X-Line\r\n": "x", "X-Odd": "\xff", "Expect": "100-continue", "!#$%&'*+-.^_`|~": " x ", "X-Empty": "",
	} {
		f.Add(name, value)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		err := webhook.CheckHeaders(map[string]string{name: value})
		if err != nil {
			refused(t, err)
			if len(value) > 20 {
				require.NotContains(t, err.Error(), value)
			}
			return
		}
		require.True(t, httpguts.ValidHeaderFieldName(name))
		require.True(t, httpguts.ValidHeaderFieldValue(value))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com/", strings.NewReader("{}"))
		require.NoError(t, err)
		req.Header.Set("User-Agent", "x")
		req.Header.Set(name, value)
		var wire bytes.Buffer
		require.NoError(t, req.Write(&wire))
		got, err := http.ReadRequest(bufio.NewReader(&wire))
		require.NoError(t, err)
		want := http.Header{"User-Agent": {"x"}, "Content-Length": {"2"}}
		want[http.CanonicalHeaderKey(name)] = []string{textproto.TrimString(value)}
		if http.CanonicalHeaderKey(name) == "User-Agent" && want.Get("User-Agent") == "" {
			want.Del("User-Agent") // an empty one is how net/http leaves it out
		}
		require.Equal(t, want, got.Header)
		require.Equal(t, "example.com", got.Host)
	})
}

// FuzzSecret checks any secret. A good one is of 24 to 64 bytes, and no error spells one.
func FuzzSecret(f *testing.F) {
	for _, n := range []int{0, 23, 24, 32, 64, 65} {
		f.Add("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)))
	}
	f.Add("whsec_***")
	f.Add("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n")
	f.Fuzz(func(t *testing.T, secret string) {
		err := webhook.CheckSecret(secret)
		if err != nil {
			refused(t, err)
			require.Less(t, len(err.Error()), 100)
			return
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(key), 24)
		require.LessOrEqual(t, len(key), 64)
		require.NotContains(t, connect.Redact("it is "+secret+" here"), strings.TrimRight(secret[6:], "="))
	})
}
