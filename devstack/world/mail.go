package world

import (
	"encoding/base64"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailServer returns an SMTP server that takes everything from everybody.
func (w *World) mailServer() *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mailSession{world: w}, nil
	}))
	s.Domain = "world.rollcall.test"
	s.MaxMessageBytes = maxRequest
	s.MaxRecipients = 1000
	s.ReadTimeout = 2 * time.Minute
	s.WriteTimeout = time.Minute
	s.AllowInsecureAuth = true
	s.EnableSMTPUTF8 = true
	s.ErrorLog = slog.NewLogLogger(w.log.Handler(), slog.LevelDebug)
	return s
}

type mailSession struct {
	world *World
	from  string
	to    []string
}

// Reset forgets the message under way.
func (s *mailSession) Reset() { s.from, s.to = "", nil }

// Logout does nothing.
func (s *mailSession) Logout() error { return nil }

// AuthMechanisms offers PLAIN.
func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth takes any name and password.
func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, _ string) error { return nil }), nil
}

// Mail begins a message, unless a fault is due.
func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if fault, found := s.world.faults.next("smtp"); found {
		return refusal(fault)
	}
	s.from = from
	return nil
}

func refusal(f Fault) error {
	if f.Status < 400 {
		f.Status = 451
	}
	if f.Body == "" {
		f.Body = "refused by a fault"
	}
	return &smtp.SMTPError{
		Code: f.Status, EnhancedCode: smtp.EnhancedCode{f.Status / 100, 0, 0}, Message: f.Body,
	}
}

// Rcpt adds a recipient.
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data puts the message into the outbox.
func (s *mailSession) Data(r io.Reader) error {
	item := Item{Kind: KindEmail, From: s.from, To: s.to}
	msg, err := mail.ReadMessage(r)
	if err != nil {
		return &smtp.SMTPError{
			Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "message cannot be parsed",
		}
	}
	words := new(mime.WordDecoder)
	item.Headers = make(map[string]string, len(msg.Header))
	for name, values := range msg.Header {
		text := strings.Join(values, ", ")
		if decoded, err := words.DecodeHeader(text); err == nil {
			text = decoded
		}
		item.Headers[strings.ToLower(name)] = text
	}
	item.Subject = item.Headers["subject"]
	item.MessageID = strings.Trim(item.Headers["message-id"], "<>")
	readPart(&item, msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body, 0)
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.world.outbox.add(item)
	return nil
}

// readPart takes the text and the HTML out of a part and the parts within it. What it cannot read
// it leaves out.
func readPart(item *Item, contentType, encoding string, body io.Reader, depth int) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < 5 {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err != nil {
				return
			}
			readPart(item, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part, depth+1)
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	data, _ := io.ReadAll(body)
	text := strings.ReplaceAll(strings.ToValidUTF8(string(data), "\uFFFD"), "\r\n", "\n")
	switch {
	case kind == "text/html" && item.HTML == "":
		item.HTML = text
	case kind == "text/plain" && item.Text == "":
		item.Text = text
	}
}
