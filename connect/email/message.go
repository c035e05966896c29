package email

import (
	"crypto/sha256"
	"encoding/hex"
	netmail "net/mail"
	"slices"
	"strings"

	"github.com/wneessen/go-mail"
	"golang.org/x/net/idna"
)

// Message is one mail.
type Message struct {
	// ID names the delivery and stays the same over all its attempts. It becomes the local part
	// of the Message-ID, in the form that func ID gives it, and the header X-Rollcall-Key.
	ID string
	// From overrides the account's sender: an address, with or without a name.
	From string
	// FromName overrides the sender's name, and leaves the address.
	FromName string
	// ReplyTo are plain addresses for answers; none means the sender's.
	ReplyTo []string
	// To and Cc are plain addresses. There must be one at least; repetitions are dropped.
	To, Cc []string
	// Subject is one line. Space around it is dropped.
	Subject string
	// Text and HTML are the two forms of the body; either may be empty.
	Text, HTML string
}

const (
	maxAddress = 254
	maxName    = 128
)

// build returns the mail as the library wants it. Its errors are permanent.
func build(m Message, sender string) (*mail.Msg, error) {
	if m.From != "" {
		sender = m.From
	}
	from, err := parseFrom(sender)
	if err != nil {
		return nil, err
	}
	if m.FromName != "" {
		if err := CheckName(m.FromName); err != nil {
			return nil, err
		}
		from.Name = strings.TrimSpace(m.FromName)
	}
	subject := strings.TrimSpace(m.Subject)
	if control(subject) {
		return nil, invalid("subject holds a line break or control character")
	}
	if m.ID == "" || control(m.ID) {
		return nil, invalid("mail has no valid id")
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from) // it is quoted or encoded as it needs
	if err := recipients(msg, m.To, m.Cc); err != nil {
		return nil, err
	}
	if err := replyTo(msg, m.ReplyTo); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	msg.Subject(subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(ID(m.ID) + "@" + domain)
	msg.SetGenHeader("X-Rollcall-Key", m.ID)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	switch {
	case m.HTML == "":
		msg.SetBodyString(mail.TypeTextPlain, m.Text)
	case m.Text == "":
		msg.SetBodyString(mail.TypeTextHTML, m.HTML)
	default:
		msg.SetBodyString(mail.TypeTextPlain, m.Text)
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

func recipients(msg *mail.Msg, to, cc []string) error {
	var seen []string
	for i, address := range slices.Concat(to, cc) {
		ascii, err := normalise(address)
		if err != nil {
			return err
		}
		if slices.Contains(seen, strings.ToLower(ascii)) {
			continue
		}
		seen = append(seen, strings.ToLower(ascii))
		add := msg.AddTo
		if i >= len(to) {
			add = msg.AddCc
		}
		if err := add(ascii); err != nil {
			return invalid("recipient is not a valid address")
		}
	}
	if len(seen) == 0 {
		return invalid("mail has no recipient")
	}
	return nil
}

func replyTo(msg *mail.Msg, list []string) error {
	var answers []string
	for _, address := range list {
		ascii, err := normalise(address)
		if err != nil {
			return err
		}
		if !slices.Contains(answers, ascii) {
			answers = append(answers, ascii)
		}
	}
	if len(answers) == 0 {
		return nil
	}
	if err := msg.SetAddrHeader(mail.HeaderReplyTo, answers...); err != nil {
		return invalid("address for answers is not valid")
	}
	return nil
}

// CheckName reports what is wrong with the name of a sender: a line break or control character, an
// @ or angle brackets, which could pass for another address, or more than 128 bytes. The error is
// permanent, of class connect.Invalid.
func CheckName(s string) error {
	switch {
	case control(s):
		return invalid("name of the sender holds a line break or control character")
	case strings.ContainsAny(s, "@<>"):
		return invalid("name of the sender must not look like an address")
	case len(s) > maxName:
		return invalid("name of the sender is longer than %d bytes", maxName)
	}
	return nil
}

// parseFrom reads a sender, whose name may stand before the address.
func parseFrom(s string) (*netmail.Address, error) {
	if s == "" {
		return nil, invalid("mail has no sender")
	}
	if control(s) {
		return nil, invalid("sender holds a line break or control character")
	}
	from := &netmail.Address{Address: s}
	if strings.HasSuffix(s, ">") {
		parsed, err := netmail.ParseAddress(s)
		if err != nil {
			return nil, invalid("sender is not a valid address")
		}
		from = parsed
	}
	ascii, err := normalise(from.Address)
	if err != nil {
		return nil, err
	}
	return &netmail.Address{Name: from.Name, Address: ascii}, nil
}

// CheckAddress reports what is wrong with an address. It takes exactly one plain address: ASCII
// before the @ and unquoted, a domain name with a dot behind it, at most 254 characters. Names,
// lists, groups, quoted local parts and IP addresses as domains are refused. The error is
// permanent, of class connect.Invalid, and does not repeat the address.
func CheckAddress(s string) error {
	_, err := normalise(s)
	return err
}

// normalise checks an address and returns it with its domain in ASCII.
func normalise(s string) (string, error) {
	local, domain, found := strings.Cut(s, "@")
	switch {
	case s == "":
		return "", invalid("address is empty")
	case len(s) > maxAddress:
		return "", invalid("address is longer than %d characters", maxAddress)
	case control(s):
		return "", invalid("address holds a line break or control character")
	case !found || strings.Contains(domain, "@"):
		return "", invalid("address must hold one @")
	case len(local) > 64 || !dotAtom(local):
		return "", invalid("address has no valid part before the @")
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !domainName(ascii) {
		return "", invalid("address has no valid domain")
	}
	if len(local)+1+len(ascii) > maxAddress {
		return "", invalid("address is longer than %d characters", maxAddress)
	}
	return local + "@" + ascii, nil
}

func domainName(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		odd := func(r rune) bool { return !alphanumeric(r) && r != '-' }
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label ||
			strings.ContainsFunc(label, odd) {
			return false
		}
	}
	// A number at the end makes it an IP address, or something that is taken for one.
	return len(labels) > 1 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// ID returns the local part of a Message-ID for a delivery key: the key itself where it may stand
// there, else "k." and a hash of it. Equal keys give equal ids, different keys different ones.
func ID(key string) string {
	if len(key) <= 128 && dotAtom(key) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "k." + hex.EncodeToString(sum[:16])
}

// dotAtom reports whether s is a dot-atom as RFC 5322 has it.
func dotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		odd := func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) }
		if atom == "" || strings.ContainsFunc(atom, odd) {
			return false
		}
	}
	return true
}

func alphanumeric(r rune) bool {
	return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
}

func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 })
}
