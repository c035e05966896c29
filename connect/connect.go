// Package connect is what every connector to the outside shares: the judgement whether trying
// again can help, and the guarded way out of the building.
//
// Its sub-packages speak one vendor protocol each. None of them knows of workflows, retries or
// stores anything: a call is one attempt, and its error says what kind of failure it was, whether
// another attempt is worth it and when.
//
// Floor 1: imports nothing else of Rollcall.
package connect

import (
	"errors"
	"time"
)

// Classes of failure, as shown to authors. They are coarse on purpose: a class must not turn a
// webhook step into a port scanner.
const (
	// Blocked is a destination that the guard does not let through.
	Blocked = "blocked_destination"
	// DNS is a host name that does not resolve.
	DNS = "dns"
	// Connect is a connection that was refused, reset or lost.
	Connect = "connect"
	// TLS is a handshake that failed: certificate, protocol version, or no TLS at all.
	TLS = "tls"
	// Timeout is an answer that did not come in time.
	Timeout = "timeout"
	// Status is an HTTP answer other than 2xx.
	Status = "status"
	// Response is an answer that breaks its protocol or a limit.
	Response = "response"
	// Auth is a credential that the other side does not accept.
	Auth = "auth"
	// Rejected is a refusal in the vendor's own terms: an SMTP answer, Slack's ok:false.
	Rejected = "rejected"
	// Invalid is a request that was never sent, because it cannot be valid.
	Invalid = "invalid"
	// Busy is a request that was not sent, because enough others to the same receiver are under way
	// or because it asked to wait.
	Busy = "busy"
	// Down is a request that was not sent, because the receiver failed several times in a row.
	Down = "down"
	// Canceled is an attempt given up by its caller.
	Canceled = "canceled"
	// Unknown is any error that no connector judged.
	Unknown = "unknown"
)

// Error is a judged failure of one attempt. Its text holds no secrets, no query strings and no
// resolved addresses, so it may be shown to authors; the cause underneath may hold addresses and
// is for operators only.
type Error struct {
	// Class is one of the constants above.
	Class string
	// Reason is the text of the error.
	Reason string
	// Status is the HTTP or SMTP code of the answer, 0 if there was none.
	Status int
	// Body is the beginning of an HTTP answer, at most 512 bytes, secrets redacted.
	Body string
	// RetryAfter is how long the other side asks to wait, 0 if it does not say.
	RetryAfter time.Duration
	// Permanent says that trying again cannot help.
	Permanent bool
	// Cause is what lies underneath, nil if nothing does.
	Cause error
}

// Error returns the reason.
func (e *Error) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Refuse returns a permanent error of the class, for a request that is not worth sending.
func Refuse(class, reason string) error {
	return &Error{Class: class, Reason: reason, Permanent: true}
}

// permanentError is an error that its maker knows to be permanent.
type permanentError struct{ error }

func (p permanentError) Unwrap() error { return p.error }

// Permanent marks err as one that trying again cannot help. Text, class and everything errors.Is
// finds stay as they are. Permanent of nil is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// IsPermanent reports whether err, or anything it wraps, says that trying again cannot help.
// Errors that nobody judged are not permanent.
func IsPermanent(err error) bool {
	if p := (permanentError{}); errors.As(err, &p) {
		return true
	}
	var e *Error
	return errors.As(err, &e) && e.Permanent
}

// RetryAfter returns how long the other side asked to wait before the next attempt: more than
// nothing and at most an hour. It reports false where it did not ask.
func RetryAfter(err error) (time.Duration, bool) {
	var e *Error
	if !errors.As(err, &e) || e.RetryAfter <= 0 {
		return 0, false
	}
	return e.RetryAfter, true
}

// Class returns the coarse class of a failure: one of the constants of this package, Unknown for
// an error that no connector judged, "" for nil.
func Class(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	if !errors.As(err, &e) {
		return Unknown
	}
	return e.Class
}

// StatusCode returns the HTTP or SMTP code that the other side answered, 0 if it did not answer.
func StatusCode(err error) int {
	var e *Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Status
}
