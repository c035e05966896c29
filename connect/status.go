package connect

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	excerptSize   = 512
	maxRetryAfter = time.Hour
	drainSize     = 64 << 10
)

// CheckStatus judges an HTTP answer. 2xx is nil. 408, 425, 429 and 5xx are transient and carry
// their Retry-After; everything else, redirects included, is permanent. The error keeps at most
// 512 bytes of the body, from which the secrets of the request are redacted. CheckStatus reads
// from the body and leaves closing it to the caller.
func CheckStatus(resp *http.Response) error {
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	var body []byte
	if resp.Body != nil {
		body, _ = io.ReadAll(io.LimitReader(resp.Body, excerptSize))
	}
	return StatusError(resp.StatusCode, resp.Header, Redact(string(body), secrets(resp.Request)...))
}

// StatusError is the error that CheckStatus returns for this status, for answers that were read
// by a vendor's library. The status must not be 2xx; text becomes the excerpt, whose redaction is
// the caller's.
func StatusError(status int, header http.Header, text string) *Error {
	e := &Error{Class: Status, Status: status, Body: excerpt(text), Permanent: !transient(status)}
	e.Reason = strings.TrimSpace(fmt.Sprintf("status %d %s", status, http.StatusText(status)))
	if e.Body != "" {
		e.Reason += ": " + e.Body
	}
	if !e.Permanent {
		e.RetryAfter = ParseRetryAfter(header.Get("Retry-After"), time.Now())
	}
	return e
}

func transient(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 && status <= 599
}

// ParseRetryAfter reads the value of a Retry-After header, in seconds or as an HTTP date, capped
// at one hour. It returns 0 for anything else and for instants that have passed.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// ReadLimited reads the body of an answer up to n bytes, cuts the rest, and closes the body. What
// was read is returned with the error, if any. A short rest is drained, so that the connection
// can be used again.
func ReadLimited(resp *http.Response, n int64) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, n))
	if err != nil {
		return body, Judge(err)
	}
	if rest := resp.ContentLength - n; rest > 0 && rest <= drainSize {
		_, _ = io.CopyN(io.Discard, resp.Body, rest)
	}
	return body, nil
}

// Redact replaces the given secrets, and whatever looks like a token of a vendor we speak to, by
// "[redacted]". Secrets shorter than six bytes are left alone, as they would tear up plain words.
func Redact(text string, secrets ...string) string {
	// A secret may be the beginning of another one.
	for _, s := range slices.SortedFunc(slices.Values(secrets), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		if len(s) >= 6 {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	for _, prefix := range []string{"whsec_", "xoxb-", "xoxp-", "xoxa-", "xapp-", "ya29.", "Bearer ", "bearer "} {
		text = redactToken(text, prefix)
	}
	return text
}

func redactToken(text, prefix string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, prefix)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("[redacted]")
		for strings.HasPrefix(after, prefix) { // somebody put it there twice
			after = after[len(prefix):]
		}
		text = strings.TrimLeftFunc(after, func(r rune) bool {
			return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.+/=~", r)
		})
	}
}

// secrets lists what a request carried that an answer must not repeat into an error text.
func secrets(req *http.Request) []string {
	if req == nil {
		return nil
	}
	var found []string
	for name, values := range req.Header {
		name = strings.ToLower(name)
		for _, word := range []string{"auth", "token", "secret", "key", "cookie", "password"} {
			if strings.Contains(name, word) {
				found = append(found, values...)
				break
			}
		}
	}
	for _, value := range found {
		if _, credential, ok := strings.Cut(value, " "); ok {
			found = append(found, credential)
		}
	}
	if req.URL == nil {
		return found
	}
	if password, ok := req.URL.User.Password(); ok {
		found = append(found, password)
	}
	if req.URL.RawQuery != "" {
		found = append(found, req.URL.RawQuery)
	}
	for _, values := range req.URL.Query() {
		found = append(found, values...)
	}
	return found
}

// excerpt makes foreign text fit for one line of an error: valid UTF-8, no control characters, at
// most 512 bytes.
func excerpt(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	for len(text) > excerptSize {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.TrimSpace(text)
}
