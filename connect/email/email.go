// Package email hands messages to an SMTP server.
//
// It is responsible for addresses, headers that nobody can inject into, and the judgement of the
// server's answers. It does not retry, queue or render; what a 250 promises is the server's.
//
// Floor 1: imports rollcall/connect.
package email

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/wneessen/go-mail"

	"rollcall/connect"
)

// How a connection is encrypted.
const (
	// Mandatory wants STARTTLS and sends nothing without it.
	Mandatory = "mandatory"
	// Opportunistic takes STARTTLS where the server offers it.
	Opportunistic = "opportunistic"
	// None speaks in the clear, passwords included.
	None = "none"
	// Implicit speaks TLS from the first byte, as port 465 does.
	Implicit = "implicit"
)

const (
	timeout  = 30 * time.Second
	keepIdle = 20 * time.Second
	maxIdle  = 4
)

// Config is one SMTP account.
type Config struct {
	// Addr is host:port.
	Addr string
	// Username and Password authenticate by the best mechanism that the server offers and the
	// encryption allows. Empty means no authentication.
	Username, Password string
	// From is the sender of messages that name none: an address, with or without a name.
	From string
	// TLS is one of the constants above; empty is Mandatory.
	TLS string
	// Connections limits how many mails are on their way to the server at a time. 0 means 16.
	Connections int
	// RootCAs are the authorities to trust, nil means the system's.
	RootCAs *x509.CertPool
	// DialContext opens the connection; it is the guard's, connect.Dialer.DialContext.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Sender sends mail by one account. It keeps a few connections for a few seconds, leaves a server
// that fails alone for a while, and is safe for concurrent use.
type Sender struct {
	config Config
	host   string
	port   int
	gate   *connect.Gate

	mu   sync.Mutex
	idle []*session
}

// New returns the Sender of an account. It does not connect. Its errors are permanent.
func New(c Config) (*Sender, error) {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil || host == "" {
		return nil, invalid("smtp address must be host:port")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, invalid("smtp address has no valid port")
	}
	if c.TLS == "" {
		c.TLS = Mandatory
	}
	if _, ok := policy(c.TLS); !ok {
		return nil, invalid("smtp encryption must be mandatory, opportunistic, implicit or none")
	}
	if c.From != "" {
		if _, err := parseFrom(c.From); err != nil {
			return nil, err
		}
	}
	if c.DialContext == nil {
		return nil, invalid("smtp account has no way to dial")
	}
	return &Sender{config: c, host: host, port: int(number), gate: connect.NewGate(c.Connections)}, nil
}

// Send hands one message to the server and returns nil once the server has taken it, even if the
// connection is lost right after that. A message goes to all its recipients or, where the server
// refuses one of them, to none. The error is judged: 4xx answers and connection troubles are
// transient, 5xx answers are permanent; connect.StatusCode has the code. Nothing is sent, and the
// error is transient, while the account's connect.Gate is shut.
func (s *Sender) Send(ctx context.Context, m Message) error {
	msg, err := build(m, s.config.From)
	if err != nil {
		return fmt.Errorf("build mail: %w", err)
	}
	pass, err := s.gate.Enter(ctx)
	if err != nil {
		return fmt.Errorf("connect to mail server: %w", err)
	}
	defer pass.Leave()
	err = s.deliver(ctx, msg)
	pass.Tell(err)
	return err
}

// deliver hands a built message to the server.
func (s *Sender) deliver(ctx context.Context, msg *mail.Msg) error {
	conn, err := s.connection(ctx)
	if err != nil {
		return fmt.Errorf("connect to mail server: %w", judge(ctx, err))
	}
	stop := context.AfterFunc(ctx, conn.close)
	err = conn.client.SendWithSMTPClient(conn.smtp, msg)
	if stop() && err == nil {
		s.keep(conn)
	} else {
		conn.close()
	}
	if err == nil || msg.IsDelivered() {
		return nil
	}
	return fmt.Errorf("send mail: %w", judge(ctx, err))
}

// Close closes the kept connections. The Sender can be used afterwards.
func (s *Sender) Close() {
	for c := s.take(); c != nil; c = s.take() {
		c.close()
	}
}

// connection returns a kept connection that still answers, or a fresh one.
func (s *Sender) connection(ctx context.Context) (*session, error) {
	for c := s.take(); c != nil; c = s.take() {
		if time.Since(c.used) < keepIdle && c.answers() {
			return c, nil
		}
		c.close()
	}
	return s.dial(ctx)
}

// take returns the connection that was used last, nil if none is kept.
func (s *Sender) take() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	last := len(s.idle) - 1
	c := s.idle[last]
	s.idle = s.idle[:last]
	return c
}

func (s *Sender) keep(c *session) {
	c.used = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) >= maxIdle {
		c.close()
		return
	}
	s.idle = append(s.idle, c)
}

func invalid(format string, args ...any) error {
	return connect.Refuse(connect.Invalid, fmt.Sprintf(format, args...))
}
