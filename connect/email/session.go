package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"rollcall/connect"
)

// session is one connection, greeted and authenticated.
type session struct {
	client *mail.Client
	smtp   *smtp.Client
	conn   net.Conn
	used   time.Time
}

func (c *session) close() { _ = c.conn.Close() }

// answers asks the server for a sign of life: a kept connection that died is better found out
// before a message is on it.
func (c *session) answers() bool {
	return c.conn.SetDeadline(time.Now().Add(2*time.Second)) == nil && c.smtp.Noop() == nil
}

func (s *Sender) dial(ctx context.Context) (*session, error) {
	c := &session{}
	stop := func() bool { return true }
	open := func(dialCtx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.config.DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		c.conn = conn
		// The library heeds the context only until the connection stands.
		stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		if s.config.TLS != Implicit {
			return conn, nil
		}
		secure := tls.Client(conn, s.tls())
		return secure, secure.HandshakeContext(dialCtx)
	}
	client, err := mail.NewClient(s.host, s.options(open)...)
	if err != nil {
		return nil, invalid("smtp account is not valid")
	}
	c.client = client
	c.smtp, err = client.DialToSMTPClientWithContext(ctx)
	stop()
	if err != nil {
		if c.conn != nil {
			c.close()
		}
		return nil, err
	}
	return c, nil
}

func (s *Sender) options(open mail.DialContextFunc) []mail.Option {
	encrypt, _ := policy(s.config.TLS)
	options := []mail.Option{
		mail.WithPort(s.port),
		mail.WithTimeout(timeout),
		mail.WithTLSPolicy(encrypt),
		mail.WithTLSConfig(s.tls()),
		mail.WithoutNoop(), // answers has asked already
		mail.WithoutRset(), // a 250 ends the transaction
		mail.WithDialContextFunc(open),
	}
	if s.config.Username != "" {
		options = append(options, mail.WithUsername(s.config.Username),
			mail.WithPassword(s.config.Password), mail.WithOpportunisticSMTPAuth(s.mechanisms()...))
	}
	return options
}

func (s *Sender) tls() *tls.Config {
	return &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.config.RootCAs}
}

func policy(name string) (mail.TLSPolicy, bool) {
	switch name {
	case Mandatory:
		return mail.TLSMandatory, true
	case Opportunistic:
		return mail.TLSOpportunistic, true
	case None, Implicit:
		return mail.NoTLS, true
	}
	return 0, false
}

// mechanisms lists the ways to authenticate, best first. A password goes in the clear only where
// the account says None.
func (s *Sender) mechanisms() []mail.SMTPAuthType {
	plain := []mail.SMTPAuthType{mail.SMTPAuthPlain, mail.SMTPAuthLogin}
	digest := []mail.SMTPAuthType{mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5}
	switch s.config.TLS {
	case Mandatory, Implicit:
		return append(plain, digest...)
	case None:
		return append(digest, mail.SMTPAuthPlainNoEnc, mail.SMTPAuthLoginNoEnc)
	}
	return append(digest, plain...)
}

// judge tells the server's answers from the connection's troubles.
func judge(ctx context.Context, err error) error {
	var known *connect.Error
	var answer *textproto.Error
	var failed *mail.SendError
	switch {
	case ctx.Err() != nil:
		return connect.Judge(ctx.Err())
	case errors.As(err, &known):
		return known
	case errors.As(err, &answer):
		return answered(answer.Code, answer.Msg, err)
	case errors.As(err, &failed) && failed.ErrorCode() >= 400:
		return answered(failed.ErrorCode(), serverText(failed), err)
	case errors.Is(err, smtp.ErrUnencrypted), errors.Is(err, mail.ErrNoSupportedAuthDiscovered),
		strings.Contains(err.Error(), "does not support SMTP AUTH"):
		return &connect.Error{
			Class: connect.Auth, Permanent: true, Cause: err,
			Reason: "mail server offers no acceptable way to authenticate",
		}
	case strings.HasPrefix(err.Error(), "STARTTLS mode"):
		return &connect.Error{Class: connect.TLS, Cause: err, Reason: "mail server offers no STARTTLS"}
	}
	return connect.Judge(err)
}

func answered(code int, text string, cause error) error {
	class := connect.Rejected
	switch code {
	case 454, 530, 534, 535, 538:
		class = connect.Auth
	}
	return &connect.Error{
		Class: class, Status: code, Permanent: code >= 500, Cause: cause,
		Reason: strings.TrimSuffix(fmt.Sprintf("mail server answered %d: %s", code, oneLine(text)), ": "),
	}
}

// serverText cuts the server's words out of the library's error, which adds the recipients.
func serverText(e *mail.SendError) string {
	text, _, _ := strings.Cut(e.Error(), ", affected ")
	code := fmt.Sprintf(": %d ", e.ErrorCode())
	if i := strings.LastIndex(text, code); i >= 0 {
		return text[i+len(code):]
	}
	return ""
}

// anAddress is what a server repeats of a message's recipients.
var anAddress = regexp.MustCompile(`[^\s<>()"':;,]+@[^\s<>()"':;,]+`)

func oneLine(text string) string {
	text = strings.Join(strings.Fields(anAddress.ReplaceAllString(connect.Redact(text), "[address]")), " ")
	return strings.ToValidUTF8(text[:min(len(text), 256)], "")
}
