package webhook_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
	"rollcall/connect/webhook"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://hooks.example.com/x?y=z#part", "http://127.0.0.1:8025/webhook/a", "https://[::1]:8443/",
		"https://bücher.example/", "https://my_service:443/", "https://example.com.", "HTTPS://EXAMPLE.COM/",
		"https://1e100.net/", "https://10.0.0.1/", "https://0x7f.example/",
	} {
		require.NoError(t, webhook.CheckURL(good), good)
	}
	for _, bad := range []string{
		"", "example.com", "ftp://example.com/", "file:///etc/passwd", "https:///x", "https://",
		"https://user@example.com/", "https://user:pass@example.com/", "javascript:alert(1)",
		"https://2130706433/", "https://0177.0.0.1/", "https://0x7f.1/", "https://127.1/", "https://0x7f000001/",
		"https://127.0.0.1./", "https://[fe80::1%25eth0]/", "https://{{ user.host }}/", "https://a b/",
		"https://example.com:0/", "https://example.com:65536/", "https://example.com:/", "https://example..com/",
		"https://exa\nmple.com/", "https://example.com/" + strings.Repeat("a", 2048),
		"//example.com/x",
	} {
		err := webhook.CheckURL(bad)
		require.Error(t, err, bad)
		require.True(t, connect.IsPermanent(err), bad)
		require.Equal(t, connect.Invalid, connect.Class(err), bad)
	}
}

func TestCheckURLDoesNotRepeatSecrets(t *testing.T) {
	t.Parallel()
	err := webhook.CheckURL("https://example.com/%zz?key=verysecret")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "verysecret")
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	secret := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, n := range []int{24, 32, 64} {
		require.NoError(t, webhook.CheckSecret(secret(n)))
	}
	for _, bad := range []string{
		"", "whsec_", secret(23), secret(65), "whsec_***", strings.TrimPrefix(secret(32), "whsec_"),
		secret(32) + "\n", "whsk_" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	} {
		err := webhook.CheckSecret(bad)
		require.Error(t, err, bad)
		require.True(t, connect.IsPermanent(err))
	}
}

func TestCheckHeaders(t *testing.T) {
	t.Parallel()
	require.NoError(t, webhook.CheckHeaders(map[string]string{
		"Authorization": "Bearer x", "Content-Type": "text/plain", "X-Trace": "a\tb", "X-Name": "Zoë",
	}))
	for name, value := range map[string]string{
		"webhook-id": "x", "Webhook-Signature": "x", "WEBHOOK-TIMESTAMP": "1", "Host": "x", "content-length": "1",
		"Transfer-Encoding": "chunked", "Connection": "close", "Proxy-Authorization": "x", "Bad Name": "x",
		"": "x", "X:Y": "x", "X-Split": "a\r\nX-Injected: b", "X-Nul": "a\x00b", "X-Line\r\n": "x",
		"X-Big": strings.Repeat("x", 17<<10), "Expect": "100-continue",
	} {
		err := webhook.CheckHeaders(map[string]string{name: value})
		require.Error(t, err, name)
		require.True(t, connect.IsPermanent(err), name)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestIDIsStableAndWithoutDots(t *testing.T) {
	t.Parallel()
	require.Equal(t, "welcome/u_42/1:hello", webhook.ID("welcome/u_42/1:hello"))
	require.NotEqual(t, webhook.ID("a.b"), webhook.ID("a_b"))
	for _, key := range []string{"a.b", "a b", "Zoë", "a\nb", strings.Repeat("x", 256)} {
		require.Regexp(t, `^msg_[0-9a-f]{32}$`, webhook.ID(key))
	}
}
