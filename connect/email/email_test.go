package email_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/mail"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"rollcall/connect"
	"rollcall/connect/email"
)

func TestSendBothForms(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	sender := s.sender(t, email.Config{TLS: email.None})
	require.NoError(t, sender.Send(t.Context(), email.Message{
		ID: "welcome/u_42/1:hello", To: []string{"ada@example.test", "ADA@example.test"}, Cc: []string{"bob@example.test"},
		Subject: " Grüße an alle ", Text: "Hello\n.\nAda", HTML: "<p>Hello</p>",
	}))
	got := s.mails()
	require.Len(t, got, 1)
	require.Equal(t, "no-reply@rollcall.test", got[0].from)
	require.Equal(t, []string{"ada@example.test", "bob@example.test"}, got[0].to)
	msg, err := mail.ReadMessage(strings.NewReader(got[0].data))
	require.NoError(t, err)
	require.Equal(t, "welcome/u_42/1:hello", msg.Header.Get("X-Rollcall-Key"))
	require.Equal(t, "<"+email.ID("welcome/u_42/1:hello")+"@rollcall.test>", msg.Header.Get("Message-ID"))
	require.Equal(t, `"Rollcall" <no-reply@rollcall.test>`, msg.Header.Get("From"))
	require.Equal(t, "auto-generated", msg.Header.Get("Auto-Submitted"))
	require.Contains(t, msg.Header.Get("Content-Type"), "multipart/alternative")
	require.Contains(t, got[0].data, "<p>Hello</p>")
}

func TestSendNamesASenderAndWhereAnswersGo(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	sender := s.sender(t, email.Config{TLS: email.None})
	for _, tt := range []struct {
		name    string
		replyTo []string
		from    mail.Address
		header  string
	}{
		{"", nil, mail.Address{Name: "Rollcall", Address: "no-reply@rollcall.test"}, ""},
		{" People Team ", []string{"hr@example.test"}, mail.Address{Name: "People Team", Address: "no-reply@rollcall.test"}, "<hr@example.test>"},
		{
			`Zoë "Z", Head; of\all (people)`,
			[]string{"a@example.test", "b@bücher.example", "a@example.test"},
			mail.Address{Name: `Zoë "Z", Head; of\all (people)`, Address: "no-reply@rollcall.test"},
			"<a@example.test>, <b@xn--bcher-kva.example>",
		},
	} {
		m := message()
		m.FromName, m.ReplyTo = tt.name, tt.replyTo
		require.NoError(t, sender.Send(t.Context(), m))
		got := s.mails()[len(s.mails())-1]
		require.Equal(t, "no-reply@rollcall.test", got.from)
		msg, err := mail.ReadMessage(strings.NewReader(got.data))
		require.NoError(t, err)
		from, err := msg.Header.AddressList("From")
		require.NoError(t, err)
		require.Equal(t, []*mail.Address{&tt.from}, from)
		require.Equal(t, tt.header, msg.Header.Get("Reply-To"))
	}
}

func TestSendLeavesAServerAloneThatFails(t *testing.T) {
	t.Parallel()
	s := serve(t, options{refuseAt: "mail", refuse: &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "shutting down"}})
	sender := s.sender(t, email.Config{TLS: email.None})
	for range 5 {
		require.Equal(t, 421, connect.StatusCode(sender.Send(t.Context(), message())))
	}
	sessions := s.sessions()
	err := sender.Send(t.Context(), message())
	require.EqualError(t, err, "connect to mail server: the receiver failed 5 times in a row; next try in 30s")
	require.False(t, connect.IsPermanent(err))
	require.Equal(t, sessions, s.sessions())

	full := serve(t, options{refuseAt: "rcpt", refuse: &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}})
	sender = full.sender(t, email.Config{TLS: email.None})
	for range 8 { // somebody's full mailbox is no failure of the server
		require.Equal(t, 452, connect.StatusCode(sender.Send(t.Context(), message())))
	}
}

func TestSendHasSoManyMailsUnderWay(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	came := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			came <- conn // and is never greeted
		}
	}()
	sender, err := email.New(email.Config{
		Addr: listener.Addr().String(), From: "a@rollcall.test", TLS: email.None, Connections: 2, DialContext: new(net.Dialer).DialContext,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- sender.Send(ctx, message()) }()
	}
	first, second := <-came, <-came
	err = sender.Send(t.Context(), message())
	require.Equal(t, connect.Busy, connect.Class(err))
	require.Empty(t, came)
	cancel()
	require.Equal(t, connect.Canceled, connect.Class(<-ended))
	require.Equal(t, connect.Canceled, connect.Class(<-ended))
	_, _ = first.Close(), second.Close()
}

func TestSendReusesItsConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	sender := s.sender(t, email.Config{TLS: email.None})
	for range 5 {
		require.NoError(t, sender.Send(t.Context(), message()))
	}
	require.Len(t, s.mails(), 5)
	require.Equal(t, 1, s.sessions())
}

func TestSendSurvivesAKeptConnectionThatDied(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	sender := s.sender(t, email.Config{TLS: email.None})
	require.NoError(t, sender.Send(t.Context(), message()))
	s.hangUp()
	require.NoError(t, sender.Send(t.Context(), message()))
	require.Len(t, s.mails(), 2)
	require.Equal(t, 2, s.sessions())
}

func TestSendByEveryEncryption(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server options
		config email.Config
		class  string
	}{
		"starttls with password":          {options{starttls: true, auth: true}, email.Config{TLS: email.Mandatory, Username: "u", Password: "p"}, ""},
		"implicit with password":          {options{implicit: true, auth: true}, email.Config{TLS: email.Implicit, Username: "u", Password: "p"}, ""},
		"opportunistic, offered":          {options{starttls: true, auth: true}, email.Config{TLS: email.Opportunistic, Username: "u", Password: "p"}, ""},
		"opportunistic, not offered":      {options{}, email.Config{TLS: email.Opportunistic}, ""},
		"none with password":              {options{auth: true}, email.Config{TLS: email.None, Username: "u", Password: "p"}, ""},
		"mandatory, not offered":          {options{}, email.Config{}, connect.TLS},
		"wrong password":                  {options{starttls: true, auth: true}, email.Config{Username: "u", Password: "wrong"}, connect.Auth},
		"password, but no authentication": {options{starttls: true}, email.Config{Username: "u", Password: "p"}, connect.Auth},
		"authentication wanted":           {options{starttls: true, auth: true}, email.Config{}, connect.Auth},
		"unknown authority":               {options{starttls: true, stranger: true}, email.Config{}, connect.TLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.server)
			err := s.sender(t, c.config).Send(t.Context(), message())
			if c.class == "" {
				require.NoError(t, err)
				require.Len(t, s.mails(), 1)
				return
			}
			require.Error(t, err)
			require.Equal(t, c.class, connect.Class(err), err.Error())
			require.Equal(t, c.class == connect.Auth, connect.IsPermanent(err))
			require.Empty(t, s.mails())
		})
	}
}

func TestSendNeverSpeaksItsPasswordInTheClear(t *testing.T) {
	t.Parallel()
	s := serve(t, options{auth: true})
	sender, err := email.New(email.Config{
		// By a name other than localhost, which the library trusts.
		Addr: "mail.example.test:2525", From: "a@rollcall.test", TLS: email.Opportunistic, Username: "u", Password: "p",
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.addr)
		},
	})
	require.NoError(t, err)
	err = sender.Send(t.Context(), message())
	require.Equal(t, connect.Auth, connect.Class(err))
	require.True(t, connect.IsPermanent(err))
}

func TestSendJudgesAnswers(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"mail", "rcpt", "data"} {
		for code, permanent := range map[int]bool{421: false, 450: false, 451: false, 452: false, 550: true, 552: true, 554: true} {
			t.Run(at+" "+string(rune('0'+code/100)), func(t *testing.T) {
				t.Parallel()
				s := serve(t, options{refuseAt: at, refuse: &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "because of this"}})
				err := s.sender(t, email.Config{TLS: email.None}).Send(t.Context(), message())
				require.Error(t, err)
				require.Equal(t, permanent, connect.IsPermanent(err))
				require.Equal(t, code, connect.StatusCode(err))
				require.Equal(t, connect.Rejected, connect.Class(err))
				require.Contains(t, err.Error(), "because of this")
				require.NotContains(t, err.Error(), "ada@example.test")
			})
		}
	}
}

func TestConnectionLostAfterTheServerTookTheMailIsSuccess(t *testing.T) {
	t.Parallel()
	addr := script(t, "220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 taken")
	require.NoError(t, plain(t, addr).Send(t.Context(), message()))
}

func TestConnectionLostBeforeTheServerTookTheMailIsTransient(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{
		{}, {"220 hi"}, {"220 hi", "250 hi"}, {"220 hi", "250 hi", "250 ok", "250 ok", "354 go"},
	} {
		err := plain(t, script(t, lines...)).Send(t.Context(), message())
		require.Error(t, err)
		require.False(t, connect.IsPermanent(err))
		require.Equal(t, connect.Connect, connect.Class(err))
	}
	err := plain(t, script(t, "421 too busy")).Send(t.Context(), message())
	require.Equal(t, 421, connect.StatusCode(err))
	require.False(t, connect.IsPermanent(err))
	err = plain(t, script(t, "554 go away")).Send(t.Context(), message())
	require.True(t, connect.IsPermanent(err))
}

func TestSendStopsWithItsContext(t *testing.T) {
	t.Parallel()
	greeted := make(chan struct{})
	listener := listen(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "220 hi\r\n")
		close(greeted)
		_, _ = io.Copy(io.Discard, conn)
	}()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-greeted
		cancel()
	}()
	err := plain(t, listener.Addr().String()).Send(ctx, message())
	require.Equal(t, connect.Canceled, connect.Class(err))
}

func TestSendHeedsTheGuard(t *testing.T) {
	t.Parallel()
	sender, err := email.New(email.Config{
		Addr: "127.0.0.1:2525", From: "a@rollcall.test", TLS: email.None,
		DialContext: connect.NewDialer(connect.Guard{Ports: []uint16{2525}}).DialContext,
	})
	require.NoError(t, err)
	err = sender.Send(t.Context(), message())
	require.Equal(t, connect.Blocked, connect.Class(err))
	require.True(t, connect.IsPermanent(err))
}

func TestSendRefusesInjection(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	sender := s.sender(t, email.Config{TLS: email.None})
	for name, change := range map[string]func(*email.Message){
		"to":              func(m *email.Message) { m.To = []string{"a@example.test\r\nBcc: evil@example.test"} },
		"to quoted":       func(m *email.Message) { m.To = []string{`"a@evil.example> ORCPT=x "@b.test`} },
		"cc":              func(m *email.Message) { m.Cc = []string{"a@example.test>\r\nRCPT TO:<evil@example.test"} },
		"from":            func(m *email.Message) { m.From = "Boss\r\nBcc: evil@example.test <a@example.test>" },
		"name":            func(m *email.Message) { m.FromName = "Boss\r\nBcc: evil@example.test" },
		"name as address": func(m *email.Message) { m.FromName = `boss@evil.test" <evil@evil.test>` },
		"long name":       func(m *email.Message) { m.FromName = strings.Repeat("x", 129) },
		"reply to":        func(m *email.Message) { m.ReplyTo = []string{"a@example.test\r\nBcc: evil@example.test"} },
		"reply name":      func(m *email.Message) { m.ReplyTo = []string{"Boss <a@example.test>"} },
		"subject":         func(m *email.Message) { m.Subject = "hi\r\nBcc: evil@example.test" },
		"id":              func(m *email.Message) { m.ID = "k\r\nBcc: evil@example.test" },
		"no id":           func(m *email.Message) { m.ID = "" },
		"nobody":          func(m *email.Message) { m.To = nil },
	} {
		m := message()
		change(&m)
		err := sender.Send(t.Context(), m)
		require.Error(t, err, name)
		require.True(t, connect.IsPermanent(err), name)
		require.Equal(t, connect.Invalid, connect.Class(err), name)
	}
	require.Empty(t, s.mails())
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"ada@example.test", "a.b+c@sub.example.com", "o'neil@example.com", "x@bücher.example", "A_B@EXAMPLE.COM",
	} {
		require.NoError(t, email.CheckAddress(good), good)
	}
	for _, bad := range []string{
		"", "ada", "@example.test", "ada@", "a@b", "a@b@c.test", `"a b"@example.test`, "a b@example.test",
		"Ada <ada@example.test>", "a@example.test, b@example.test", "a@[127.0.0.1]", "a@127.0.0.1", "a@example..test",
		".a@example.test", "a.@example.test", "a..b@example.test", "a@-example.test", "a@exa_mple.test",
		"a@example.test\n", "a@example.test\x00", "ä@example.test", "group:a@example.test;", "@x.test:a@b.test",
		"a@" + strings.Repeat("x", 64) + ".test", strings.Repeat("a", 65) + "@example.test",
		"a@" + strings.Repeat("abcdefghi.", 26) + "test", "a@example.test.", "<a@example.test>",
	} {
		err := email.CheckAddress(bad)
		require.Error(t, err, bad)
		require.True(t, connect.IsPermanent(err), bad)
	}
}

func TestNewRefusesBadAccounts(t *testing.T) {
	t.Parallel()
	dial := new(net.Dialer).DialContext
	for _, c := range []email.Config{
		{Addr: "mail.test", DialContext: dial},
		{Addr: ":25", DialContext: dial},
		{Addr: "mail.test:0", DialContext: dial},
		{Addr: "mail.test:25"},
		{Addr: "mail.test:25", TLS: "maybe", DialContext: dial},
		{Addr: "mail.test:25", From: "nobody", DialContext: dial},
	} {
		_, err := email.New(c)
		require.True(t, connect.IsPermanent(err), c.Addr)
	}
}

func message() email.Message {
	return email.Message{ID: "k1", To: []string{"ada@example.test"}, Subject: "Hello", Text: "Hello"}
}

func plain(t *testing.T, addr string) *email.Sender {
	t.Helper()
	sender, err := email.New(email.Config{
		Addr: addr, From: "no-reply@rollcall.test", TLS: email.None, DialContext: new(net.Dialer).DialContext,
	})
	require.NoError(t, err)
	return sender
}

// script returns the address of a server that answers with these lines, one to each line it is
// due, and then hangs up.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	listener := listen(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 64<<10)
		for i, line := range lines {
			if i > 0 {
				var got string
				for !strings.HasSuffix(got, "\r\n") || (lines[i-1][:3] == "354" && !strings.HasSuffix(got, "\r\n.\r\n")) {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					got += string(buf[:n])
				}
			}
			_, _ = io.WriteString(conn, line+"\r\n")
		}
	}()
	return listener.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

type options struct {
	starttls, implicit, auth, stranger bool
	refuseAt                           string
	refuse                             error
}

// testServer is a real SMTP server that keeps what it is sent.
type testServer struct {
	options
	addr  string
	roots *x509.CertPool
	inner *smtp.Server

	mu    sync.Mutex
	got   []received
	conns []*smtp.Conn
}

type received struct {
	from string
	to   []string
	data string
}

func serve(t *testing.T, o options) *testServer {
	t.Helper()
	s := &testServer{options: o}
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	s.roots = x509.NewCertPool()
	if !o.stranger {
		s.roots.AddCert(certificate.Certificate())
	}
	s.inner = smtp.NewServer(s)
	s.inner.Domain = "mail.test"
	s.inner.ErrorLog = log.New(io.Discard, "", 0)
	config := &tls.Config{Certificates: certificate.TLS.Certificates, MinVersion: tls.VersionTLS12}
	listener := listen(t)
	if o.starttls {
		s.inner.TLSConfig = config
	}
	if o.implicit {
		listener = tls.NewListener(listener, config)
	}
	s.inner.AllowInsecureAuth = o.auth && !o.starttls && !o.implicit
	s.addr = listener.Addr().String()
	go func() { _ = s.inner.Serve(listener) }()
	t.Cleanup(func() { _ = s.inner.Close() })
	return s
}

func (s *testServer) sender(t *testing.T, c email.Config) *email.Sender {
	t.Helper()
	c.Addr, c.From, c.RootCAs = s.addr, "Rollcall <no-reply@rollcall.test>", s.roots
	c.DialContext = connect.NewDialer(connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(s.addr)}}).DialContext
	sender, err := email.New(c)
	require.NoError(t, err)
	t.Cleanup(sender.Close)
	return sender
}

func (s *testServer) mails() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.got...)
}

func (s *testServer) sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *testServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Conn().Close()
	}
}

func (s *testServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	if s.auth {
		return &authSession{session{server: s}}, nil
	}
	return &session{server: s, open: true}, nil
}

type session struct {
	server *testServer
	open   bool
	mail   received
}

func (s *session) Reset()        { s.mail = received{} }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.open {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "authentication required"}
	}
	s.mail.from = from
	return s.refused("mail")
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = append(s.mail.to, to)
	return s.refused("rcpt")
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.refused("data"); err != nil {
		return err
	}
	s.mail.data = string(data)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.got = append(s.server.got, s.mail)
	return nil
}

func (s *session) refused(at string) error {
	if s.server.refuseAt == at {
		return s.server.refuse
	}
	return nil
}

type authSession struct{ session }

func (s *authSession) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

func (s *authSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "u" || password != "p" {
			return smtp.ErrAuthFailed
		}
		s.open = true
		return nil
	}), nil
}
