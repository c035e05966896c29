package connect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
)

// statuses is what every connector makes of an HTTP status.
func statuses() map[int]bool {
	permanent := map[int]bool{
		200: false, 201: false, 202: false, 204: false,
		301: true, 302: true, 303: true, 304: true, 307: true, 308: true,
		400: true, 401: true, 403: true, 404: true, 405: true, 409: true, 410: true, 413: true, 422: true,
		408: false, 425: false, 429: false,
		500: false, 501: false, 502: false, 503: false, 504: false, 529: false, 599: false,
	}
	return permanent
}

func TestCheckStatusJudgesEveryStatus(t *testing.T) {
	t.Parallel()
	for status, permanent := range statuses() {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			err := connect.CheckStatus(answer(status, "", "sorry"))
			if status < 300 {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.Equal(t, permanent, connect.IsPermanent(err))
			require.Equal(t, connect.Status, connect.Class(err))
			require.Equal(t, status, connect.StatusCode(err))
			require.Contains(t, err.Error(), "sorry")
		})
	}
}

func answer(status int, retryAfter, body string) *http.Response {
	header := http.Header{}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 9, 8, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"0":                             0,
		"-5":                            0,
		"soon":                          0,
		"":                              0,
		"1.5":                           0,
		"86400":                         time.Hour,
		"99999999999999999999":          0,
		"Mon, 09 Nov 2026 08:00:30 GMT": 30 * time.Second,
		"Mon, 09 Nov 2026 18:00:30 GMT": time.Hour,
		"Mon, 09 Nov 2026 07:00:00 GMT": 0,
	} {
		require.Equal(t, want, connect.ParseRetryAfter(value, now), "%q", value)
	}

	wait, ok := connect.RetryAfter(fmt.Errorf("send: %w", connect.CheckStatus(answer(429, "12", ""))))
	require.True(t, ok)
	require.Equal(t, 12*time.Second, wait)
	_, ok = connect.RetryAfter(connect.CheckStatus(answer(403, "12", "")))
	require.False(t, ok, "a permanent answer has nothing to wait for")
	_, ok = connect.RetryAfter(errors.New("other"))
	require.False(t, ok)
}

func TestCheckStatusKeepsAnExcerptOnly(t *testing.T) {
	t.Parallel()
	err := connect.CheckStatus(answer(500, "", strings.Repeat("é", 4000)))
	var e *connect.Error
	require.ErrorAs(t, err, &e)
	require.LessOrEqual(t, len(e.Body), 512)
	require.NotContains(t, connect.CheckStatus(answer(500, "", "a\r\nb\x00c")).Error(), "\n")
}

func TestCheckStatusRedactsSecretsOfTheRequest(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://bob:hunter22@sink.test/p?token=s3cr3t-value")
	require.NoError(t, err)
	resp := answer(400, "", "you sent abcdefgh, hunter22, s3cr3t-value and whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw to me")
	resp.Request = &http.Request{URL: u, Header: http.Header{"Authorization": {"Bearer abcdefgh"}}}
	text := connect.CheckStatus(resp).Error()
	for _, secret := range []string{"abcdefgh", "hunter22", "s3cr3t-value", "MfKQ9r8"} {
		require.NotContains(t, text, secret)
	}
	require.Contains(t, text, "to me")
}

func TestPermanentKeepsTextClassAndCause(t *testing.T) {
	t.Parallel()
	require.NoError(t, connect.Permanent(nil))
	require.Empty(t, connect.Class(nil))
	base := &connect.Error{Class: connect.Connect, Reason: "connection failed", Cause: io.EOF}
	require.False(t, connect.IsPermanent(base))
	err := fmt.Errorf("send: %w", connect.Permanent(base))
	require.True(t, connect.IsPermanent(err))
	require.ErrorIs(t, err, io.EOF)
	require.EqualError(t, err, "send: connection failed")
	require.Equal(t, connect.Connect, connect.Class(err))
	require.Equal(t, connect.Unknown, connect.Class(errors.New("other")))
	require.False(t, connect.IsPermanent(errors.New("other")))
}

func TestJudgeNeverSpellsTheURL(t *testing.T) {
	t.Parallel()
	err := connect.Judge(&url.Error{Op: "Post", URL: "https://a:b@c.test/x?key=secret", Err: io.ErrUnexpectedEOF})
	require.EqualError(t, err, "connection failed")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, connect.Timeout, connect.Class(connect.Judge(context.DeadlineExceeded)))
	require.Equal(t, connect.Canceled, connect.Class(connect.Judge(context.Canceled)))
	require.NoError(t, connect.Judge(nil))
}

func TestReadLimitedCutsAndCloses(t *testing.T) {
	t.Parallel()
	body := &closer{Reader: bytes.NewReader(make([]byte, 10_000))}
	got, err := connect.ReadLimited(&http.Response{Body: body, ContentLength: 10_000}, 4096)
	require.NoError(t, err)
	require.Len(t, got, 4096)
	require.True(t, body.closed)
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}
