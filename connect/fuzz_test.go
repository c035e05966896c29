package connect_test

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
)

// FuzzRetryAfter reads any header: it is no time at all, or at most an hour; and a number is that many
// seconds.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"7", " 7 ", "0", "-5", "soon", "", "1.5", "86400", "99999999999999999999", "4294967296", "1e3", "+7", "0x7", "7\n",
		"Mon, 09 Nov 2026 08:00:30 GMT", "Monday, 09-Nov-26 08:00:30 GMT", "Mon Nov  9 08:00:30 2026", "Mon, 09 Nov 9999 08:00:30 GMT", "Fri, 32 Nov 2026 08:00:30 GMT",
	} {
		f.Add(value, int64(1_794_211_200))
	}
	f.Fuzz(func(t *testing.T, value string, at int64) {
		now := time.Unix(at%(1<<33), 0)
		wait := connect.ParseRetryAfter(value, now)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, time.Hour)
		if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= math.MaxInt32 && value[0] != '+' {
			require.Equal(t, min(time.Duration(n)*time.Second, time.Hour), wait)
		}
		if value == now.UTC().Add(time.Minute).Format(http.TimeFormat) {
			require.Equal(t, time.Minute, wait)
		}
		require.Equal(t, wait, connect.ParseRetryAfter("\t"+value+" ", now))
	})
}

// FuzzRedact takes secrets out of texts: none is left, nor anything that looks like a token, and there is
// nothing to do for a second time.
func FuzzRedact(f *testing.F) {
	for _, text := range []string{
		"", "you sent abcdefgh to me", "abcabcdefghdefgh", "Bearer abcdefgh", "Bearer Bearer x", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", "xoxb-1-xoxp-2", "ya29.é", "xoxb-",
		"whsecwhsec__", "Bearer \xff\x00", "[redacted]",
	} {
		f.Add(text, "abcdefgh", "hunter22")
	}
	f.Add("the key is hunter2", "hunter2", "short")
	f.Fuzz(func(t *testing.T, text, secret, other string) {
		const mark = "[redacted]"
		got := connect.Redact(text, secret, other)
		for _, s := range []string{secret, other} {
			if len(s) < 6 || strings.ContainsAny(s, "[]") || strings.Contains(mark, s) {
				continue // what stands in place of a secret would be one
			}
			require.NotContains(t, got, s)
		}
		if !strings.ContainsAny(secret+other, "[]") && !strings.Contains(mark, secret) && !strings.Contains(mark, other) {
			require.Equal(t, got, connect.Redact(got, secret, other))
		}
		for _, prefix := range []string{"whsec_", "xoxb-", "xoxp-", "xoxa-", "xapp-", "ya29.", "Bearer "} {
			require.NotContains(t, got, prefix)
		}
		if got == text {
			return
		}
		require.Contains(t, got, mark)
		kept, _, _ := strings.Cut(got, mark)
		require.True(t, strings.HasPrefix(text, kept), "what stands before a secret stays")
	})
}

// FuzzStatus judges any answer. What is kept of it is short, one line, and text.
func FuzzStatus(f *testing.F) {
	for _, status := range []int{301, 400, 408, 425, 429, 500, 599, 600, 0, -1} {
		f.Add(status, "12", "a\r\nb\x00c\xff")
	}
	f.Add(500, "", strings.Repeat("é", 4000))
	f.Add(500, "", strings.Repeat("\xff", 4000))
	f.Fuzz(func(t *testing.T, status int, retryAfter, text string) {
		if status >= 200 && status <= 299 {
			return
		}
		e := connect.StatusError(status, http.Header{"Retry-After": {retryAfter}}, text)
		require.Equal(t, connect.Status, connect.Class(e))
		require.Equal(t, status, connect.StatusCode(e))
		require.LessOrEqual(t, len(e.Body), 512)
		require.True(t, utf8.ValidString(e.Body))
		require.False(t, strings.ContainsFunc(e.Error(), unicode.IsControl), "%q", e.Error())
		require.Equal(t, strings.TrimSpace(e.Body), e.Body)
		wait, asked := connect.RetryAfter(e)
		require.Equal(t, asked, wait > 0)
		require.LessOrEqual(t, wait, time.Hour)
		if connect.IsPermanent(e) {
			require.False(t, asked, "a permanent answer has nothing to wait for")
		}
	})
}
