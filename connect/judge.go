package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"

	"code.dny.dev/ssrf"
)

// Judge turns the error of a client library into an *Error whose text is fit to be shown: no URL,
// no address. Errors that were judged before keep their judgement. All failures to talk are
// transient, but a destination that the guard refuses. Judge of nil is nil.
func Judge(err error) error {
	if err == nil {
		return nil
	}
	// A url.Error spells the whole URL, query included, so what it wraps is all that is kept.
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err
	}
	if known := (*Error)(nil); errors.As(err, &known) {
		if IsPermanent(err) && !known.Permanent {
			return Permanent(known)
		}
		return known
	}
	class, reason := classify(err)
	return &Error{Class: class, Reason: reason, Permanent: class == Blocked, Cause: err}
}

func classify(err error) (class, reason string) {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort),
		errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return Blocked, "destination is not allowed"
	case errors.As(err, &dns):
		return DNS, "host name does not resolve"
	case errors.Is(err, context.Canceled):
		return Canceled, "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Timeout, "no answer in time"
	case isTLS(err):
		return TLS, tlsReason(err)
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "response headers exceeded"):
		return Response, "answer has too many headers"
	case strings.Contains(text, "malformed"), strings.Contains(text, "transport received"):
		return Response, "answer is malformed"
	}
	return Connect, "connection failed"
}

func isTLS(err error) bool {
	var (
		record  tls.RecordHeaderError
		alert   tls.AlertError
		certify *tls.CertificateVerificationError
		text    = err.Error()
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &certify) ||
		strings.Contains(text, "tls: ") || strings.Contains(text, "x509: ") ||
		strings.Contains(text, "HTTP response to HTTPS client")
}

// tlsReason names what authors and operators can put right; the rest of a handshake's troubles
// read alike.
func tlsReason(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return "certificate is signed by an unknown authority"
	case errors.As(err, &host):
		return "certificate is for another host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate has expired or is not yet valid"
	}
	return "tls handshake failed"
}
