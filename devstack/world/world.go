// Package world is the outside world for development and tests: a mail server, Slack, Google
// Sheets and a receiver of webhooks in one process, with an outbox that keeps what arrived and a
// page that shows it.
//
// It is responsible for answering as the real ones do, errors included, and for forgetting
// nothing that fits its limits. It is not for production: it takes mail from everybody and has no
// accounts of its own.
//
// Floor 2, part of devstack: imports nothing else of Rollcall.
package world

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Config says where the world listens and what it remembers.
type Config struct {
	// HTTPAddr is where the page, the outbox, Slack, Sheets and the webhooks are. Port 0 is any
	// free port; empty is 127.0.0.1:0.
	HTTPAddr string
	// SMTPAddr is where mail goes. Port 0 is any free port; empty is 127.0.0.1:0.
	SMTPAddr string
	// Dir keeps the outbox and the Google key over restarts. Empty keeps nothing.
	Dir string
	// Secrets are signing secrets of webhooks (whsec_…) to verify signatures with.
	Secrets []string
	// Log takes what goes wrong inside; nil discards it.
	Log *slog.Logger
}

// World is a running world. It is safe for concurrent use.
type World struct {
	log     *slog.Logger
	outbox  *outbox
	books   *books
	google  *google
	faults  *faults
	people  *people
	secrets []string

	httpAddr, smtpAddr string
	http               *http.Server
	smtp               *smtp.Server
	mail               net.Listener
	served             sync.WaitGroup
	stopped            sync.Once
}

// Start opens a world. It answers by the time Start returns, and runs until Stop.
func Start(c Config) (*World, error) {
	w := &World{
		log:     c.Log,
		books:   newBooks(),
		faults:  newFaults(),
		people:  newPeople(),
		secrets: c.Secrets,
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of the world: %w", err)
		}
	}
	web, err := listen(c.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	mail, err := listen(c.SMTPAddr)
	if err != nil {
		_ = web.Close()
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	if w.outbox, err = openOutbox(c.Dir, w.log); err != nil {
		_, _ = web.Close(), mail.Close()
		return nil, err
	}
	w.httpAddr, w.smtpAddr = web.Addr().String(), mail.Addr().String()
	w.books.restore(w.outbox.items())
	w.google = newGoogle(c.Dir, w.httpAddr, w.log)
	w.http = &http.Server{
		Handler:           w.faults.wrap(w.routes()),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(w.log.Handler(), slog.LevelWarn),
	}
	w.smtp, w.mail = w.mailServer(), mail
	w.serve("http", func() error { return w.http.Serve(web) })
	w.serve("smtp", func() error { return w.smtp.Serve(mail) })
	return w, nil
}

func listen(addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	return new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
}

func (w *World) serve(name string, run func() error) {
	w.served.Go(func() {
		err := run()
		if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			w.log.Error("world stopped serving", "protocol", name, "error", err)
		}
	})
}

// routes is everything that the world answers by HTTP.
func (w *World) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", w.page)
	mux.HandleFunc("GET /outbox", w.listOutbox)
	mux.HandleFunc("DELETE /outbox", w.clearOutbox)
	mux.HandleFunc("/webhook/", w.webhook)
	mux.HandleFunc("/slack/api/chat.postMessage", w.postMessage)
	mux.HandleFunc("/slack/api/users.lookupByEmail", w.lookupByEmail)
	mux.HandleFunc("/slack/api/auth.test", w.authTest)
	mux.HandleFunc("/slack/api/{method}", w.unknownMethod)
	mux.HandleFunc("POST /slack/hooks/", w.incomingWebhook)
	mux.HandleFunc("POST /google/token", w.token)
	mux.HandleFunc("GET /sheets/v4/spreadsheets/{id}/values/{range}", w.authorized(w.readValues))
	mux.HandleFunc("PUT /sheets/v4/spreadsheets/{id}/values/{range}", w.authorized(w.writeValues))
	mux.HandleFunc("POST /sheets/v4/spreadsheets/{id}/values/{range}", w.authorized(w.appendValues))
	mux.HandleFunc("POST /sheets/v4/spreadsheets/{id}/values:batchUpdate", w.authorized(w.updateRows))
	return mux
}

// HTTPAddr returns host:port of everything but mail.
func (w *World) HTTPAddr() string { return w.httpAddr }

// SMTPAddr returns host:port of the mail server, which speaks in the clear and takes any password.
func (w *World) SMTPAddr() string { return w.smtpAddr }

// SlackURL returns the base of the Slack API, as the slack connector's APIURL wants it.
func (w *World) SlackURL() string { return "http://" + w.httpAddr + "/slack/api/" }

// SheetsURL returns the base of the Sheets API, as the sheets connector's Endpoint wants it.
func (w *World) SheetsURL() string { return "http://" + w.httpAddr + "/sheets/" }

// WebhookURL returns a URL that takes webhooks; name is what follows /webhook/.
func (w *World) WebhookURL(name string) string { return "http://" + w.httpAddr + "/webhook/" + name }

// Outbox returns what arrived, oldest first, at most the newest 10,000 items.
func (w *World) Outbox() []Item { return w.outbox.items() }

// Wait returns nil as soon as done says so of the outbox, and the context's error if that does
// not happen in time. Done is asked at once and then after arrivals; it must not keep the slice.
func (w *World) Wait(ctx context.Context, done func([]Item) bool) error {
	return w.outbox.wait(ctx, done)
}

// Clear empties the outbox and the sheets. Ids go on from where they were, until a restart.
func (w *World) Clear() {
	w.outbox.clear()
	w.books.clear()
}

// Stop ends the world: requests in flight are cut off and the outbox is on disk when it returns.
func (w *World) Stop() error {
	var err error
	w.stopped.Do(func() {
		w.faults.release()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if w.http.Shutdown(ctx) != nil {
			_ = w.http.Close()
		}
		// The listener too: the server knows of it only once it serves.
		_, _ = w.smtp.Close(), w.mail.Close()
		w.served.Wait()
		err = w.outbox.close()
	})
	return err
}
