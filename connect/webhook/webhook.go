// Package webhook sends HTTP requests to destinations that authors name, signed by the Standard
// Webhooks specification 1.0.0.
//
// It is responsible for one attempt: what leaves, what of the answer is kept, and whether trying
// again can help. It does not retry, and it does not decide which addresses may be reached: that
// is the client's guard.
//
// Floor 1: imports rollcall/connect.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"rollcall/connect"
)

// maxBody is how much of an answer is kept.
const maxBody = 4 << 10

// Sender sends webhooks. It is safe for concurrent use.
type Sender struct {
	client *http.Client
	now    func() time.Time
}

// New returns a Sender by the client, which is one of connect.NewHTTPClient.
func New(client *http.Client) *Sender {
	return &Sender{client: client, now: time.Now}
}

// Request is one webhook.
type Request struct {
	// ID names the delivery and stays the same over all its attempts, so that the receiver can
	// drop repetitions. It is sent as the webhook-id, in the form that func ID gives it.
	ID string
	// Method is POST if empty.
	Method string
	// URL is where it goes; it must pass CheckURL.
	URL string
	// Headers are the author's; they must pass CheckHeaders.
	Headers map[string]string
	// Body is sent as it is. Its Content-Type is application/json unless Headers say otherwise.
	Body []byte
	// Secrets sign the request, each on its own: two while a secret is replaced, none for a
	// receiver that does not verify.
	Secrets []string
	// Hidden are values among the headers that must not come back: they are taken out of what is
	// kept of the answer, and out of errors.
	Hidden []string
	// Keep is how much of the answer is kept; 0 means 4 KiB.
	Keep int64
}

// Response is what is kept of an answer.
type Response struct {
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Body is the answer's body, cut to what is kept.
	Body []byte
	// Cut says that there was more of it.
	Cut bool
	// Header holds Content-Type, Date, Location, Retry-After and X-Request-Id, where present.
	Header http.Header
}

// Send makes one attempt. Any 2xx is success, even if the connection is lost before its body
// ends. The error is judged: see connect.IsPermanent, connect.RetryAfter and connect.Class. An
// answer other than 2xx comes back as both the Response and an error; 410 means that the endpoint
// is gone for good.
func (s *Sender) Send(ctx context.Context, r Request) (Response, error) {
	req, err := s.build(ctx, r)
	if err != nil {
		return Response{}, fmt.Errorf("build webhook: %w", err)
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return Response{}, fmt.Errorf("send webhook: %w", connect.Judge(err))
	}
	resp := Response{Status: answer.StatusCode, Header: keep(answer.Header)}
	limit := r.Keep
	if limit == 0 {
		limit = maxBody
	}
	resp.Body, err = connect.ReadLimited(answer, limit+1)
	if resp.Cut = int64(len(resp.Body)) > limit; resp.Cut {
		resp.Body = resp.Body[:limit]
	}
	if len(r.Hidden) > 0 {
		resp.Body = []byte(connect.Redact(string(resp.Body), r.Hidden...))
	}
	answer.Body = io.NopCloser(bytes.NewReader(resp.Body))
	if status := connect.CheckStatus(answer); status != nil {
		return resp, fmt.Errorf("send webhook: %w", status)
	}
	if err != nil && !lost(err) {
		return resp, fmt.Errorf("read answer to webhook: %w", err)
	}
	return resp, nil
}

// build returns the request of this attempt. Its errors are permanent.
func (s *Sender) build(ctx context.Context, r Request) (*http.Request, error) {
	if err := CheckURL(r.URL); err != nil {
		return nil, err
	}
	if err := CheckHeaders(r.Headers); err != nil {
		return nil, err
	}
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	if !slices.Contains(methods(), method) {
		return nil, connect.Refuse(connect.Invalid, fmt.Sprintf("method %q is not allowed", method))
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, connect.Refuse(connect.Invalid, "request is not valid")
	}
	req.URL.Fragment, req.URL.RawFragment = "", ""
	if len(r.Body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "Rollcall")
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	if req.Header.Values("Idempotency-Key") == nil {
		// Not sent. It tells net/http that a repetition is harmless, so that a kept connection
		// which the receiver has just closed costs a dial and not a failed attempt.
		req.Header["Idempotency-Key"] = []string{}
	}
	return req, sign(req.Header, r, s.now())
}

func methods() []string {
	return []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodGet, http.MethodDelete}
}

// sign sets the headers of Standard Webhooks.
func sign(h http.Header, r Request, at time.Time) error {
	if r.ID == "" {
		return connect.Refuse(connect.Invalid, "webhook has no id")
	}
	id := ID(r.ID)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	var signatures []string
	for _, secret := range r.Secrets {
		if err := CheckSecret(secret); err != nil {
			return err
		}
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return connect.Refuse(connect.Invalid, "signing secret is not valid")
		}
		signature, err := signer.Sign(id, at, r.Body)
		if err != nil {
			return connect.Refuse(connect.Invalid, "signing secret is not valid")
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) > 0 {
		h.Set("webhook-signature", strings.Join(signatures, " "))
	}
	return nil
}

// ID returns the webhook-id of a delivery key: the key itself where it is visible ASCII without a
// dot and at most 255 characters, else "msg_" and a hash of it. A dot would make the signed text
// ambiguous. Equal keys give equal ids, different keys different ones.
func ID(key string) string {
	odd := func(r rune) bool { return r <= ' ' || r == '.' || r > '~' }
	if len(key) <= 255 && !strings.ContainsFunc(key, odd) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "msg_" + hex.EncodeToString(sum[:16])
}

// keep returns the few headers of an answer that may matter later.
func keep(h http.Header) http.Header {
	kept := http.Header{}
	for _, name := range []string{"Content-Type", "Date", "Location", "Retry-After", "X-Request-Id"} {
		if v := h.Get(name); v != "" {
			kept.Set(name, v)
		}
	}
	return kept
}

// lost reports whether the connection went away, as opposed to hanging.
func lost(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
