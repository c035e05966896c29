package webhook

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"rollcall/connect"
)

const (
	maxURL     = 2048
	maxHeaders = 16 << 10
)

// CheckURL reports what is wrong with a destination: it wants http or https, a host, no user or
// password, and at most 2,048 characters. Numbers in disguise, such as 2130706433 or 0x7f.1, are
// refused as hosts; whether an address may be reached is decided when it is dialled. A fragment
// is allowed and not sent. The error is permanent and of class connect.Invalid.
func CheckURL(s string) error {
	if len(s) > maxURL {
		return invalid("url is longer than %d characters", maxURL)
	}
	u, err := url.Parse(s)
	if err != nil {
		// The error of url.Parse spells the URL, and with it any secret in its query.
		return invalid("url cannot be parsed")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return invalid("url must begin with https:// or http://")
	case u.User != nil:
		return invalid("url must not hold a user or password")
	case u.Hostname() == "":
		return invalid("url has no host")
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return invalid("url has no valid port")
		}
	}
	return checkHost(u.Hostname())
}

func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return invalid("host must not hold an IPv6 zone")
		}
		return nil
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r > '~' }) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return invalid("host is not a valid name")
		}
		host = ascii
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(host) > 253 {
		return invalid("host is too long")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		odd := func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, odd) {
			return invalid("host is not a valid name")
		}
	}
	if number(labels[len(labels)-1]) {
		return invalid("host is a number in disguise")
	}
	return nil
}

// number reports whether a label is what some resolvers read as part of an IPv4 address.
func number(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// CheckSecret reports what is wrong with a signing secret: it wants whsec_ and the standard
// base64 of 24 to 64 bytes. The error never holds the secret; it is permanent and of class
// connect.Invalid.
func CheckSecret(s string) error {
	encoded, ok := strings.CutPrefix(s, "whsec_")
	if !ok {
		return invalid("signing secret must begin with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return invalid("signing secret is not base64")
	}
	if len(key) < 24 || len(key) > 64 {
		return invalid("signing secret must be of 24 to 64 bytes, not %d", len(key))
	}
	return nil
}

// CheckHeaders reports what is wrong with an author's headers: a name or value that HTTP does not
// allow, a header that is ours or the connection's to set, or more than 16 KiB of them. The error
// names the header, never its value; it is permanent and of class connect.Invalid.
func CheckHeaders(headers map[string]string) error {
	size := 0
	for name, value := range headers {
		size += len(name) + len(value)
		if !token(name) {
			return invalid("header name %q is not valid", name)
		}
		if reserved(strings.ToLower(name)) {
			return invalid("header %s cannot be set", name)
		}
		odd := func(r rune) bool { return (r < ' ' && r != '\t') || r == 0x7f }
		if strings.ContainsFunc(value, odd) {
			return invalid("value of header %s holds a control character", name)
		}
	}
	if size > maxHeaders {
		return invalid("headers are larger than %d bytes", maxHeaders)
	}
	return nil
}

func reserved(name string) bool {
	switch name {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer",
		"upgrade", "expect", "content-encoding":
		return true
	}
	return strings.HasPrefix(name, "webhook-") || strings.HasPrefix(name, "proxy-")
}

// token reports whether s is a token as RFC 9110 has it.
func token(s string) bool {
	odd := func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}
	return s != "" && !strings.ContainsFunc(s, odd)
}

func invalid(format string, args ...any) error {
	return connect.Refuse(connect.Invalid, fmt.Sprintf(format, args...))
}
