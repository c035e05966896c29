package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/pprof"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/app"
	"rollcall/postgres"
)

// secret signs the webhooks of all sides.
const secret = "whsec_YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcms="

// running is a whole Rollcall in this process.
type running struct {
	app     *app.App
	stop    context.CancelFunc
	stopped chan error
}

// serve starts the whole service at a place. It sends webhooks to the sink and to nobody else.
func serve(ctx context.Context, at *place, sink netip.AddrPort, log *slog.Logger) (*running, error) {
	if err := postgres.Migrate(ctx, at.databaseURL); err != nil {
		return nil, err
	}
	service, err := app.New(ctx, app.Config{
		DatabaseURL: at.databaseURL, Listen: "127.0.0.1:0", API: true, Worker: true, Log: log, Temporal: at.temporal,
		WebhookSecrets: []string{secret}, AllowAddrs: []netip.AddrPort{sink},
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &running{service, stop, make(chan error, 1)}
	go func() { r.stopped <- service.Run(ctx) }()
	return r, nil
}

// close stops the service and returns when it has.
func (r *running) close() error {
	r.stop()
	return <-r.stopped
}

// service is a Rollcall that is measured: its API, as anybody calls it, and its database, in which is
// looked for what the calls must have left behind.
type service struct {
	*place
	url      string
	http     *http.Client
	conn     *pgx.Conn
	stop     func() error
	progress func(state string) // how far it is with what is waited for
}

// serve starts the whole service at a place, in this process.
func (b *bench) serve(ctx context.Context, at *place) (*service, error) {
	var r *running
	var err error
	pprof.Do(ctx, pprof.Labels("part", rollcallSide), func(ctx context.Context) { r, err = serve(ctx, at, b.sink.addr, b.log) })
	if err != nil {
		return nil, err
	}
	return b.reach(ctx, at, r.app.Addr(), r.close)
}

// serveAlone starts the whole service at a place of its own, in this process.
func (b *bench) serveAlone(ctx context.Context, name string) (*service, error) {
	at, err := b.newPlace(ctx, name)
	if err != nil {
		return nil, err
	}
	return b.serve(ctx, at)
}

// serveApart starts the whole service at a place of its own, in a process of its own.
func (b *bench) serveApart(ctx context.Context, name string) (*service, *child, error) {
	at, err := b.newPlace(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	p := &servicePart{DatabaseURL: at.databaseURL, Namespace: at.namespace, Sink: b.sink.addr}
	if b.startsTemporal() {
		p.TemporalAddress = at.temporal.HostPort
	}
	process, err := startChild(ctx, p)
	if err != nil {
		return nil, nil, fmt.Errorf("the service in a process of its own: %w", err)
	}
	s, err := b.reach(ctx, at, p.Address, process.stop)
	return s, process, err
}

// maxIdle is how many connections clients keep: enough that none has to be made anew for each request, also
// where more are sent than can be answered.
const maxIdle = 10_000

// reach connects with a service that answers at an address.
func (b *bench) reach(ctx context.Context, at *place, addr string, stop func() error) (*service, error) {
	conn, err := pgx.Connect(ctx, at.databaseURL)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &service{
		place: at, url: "http://" + addr, conn: conn, stop: stop, progress: func(state string) { b.say("%s", state) },
		http: &http.Client{
			Transport: &http.Transport{MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: time.Minute},
			Timeout:   time.Minute,
		},
	}, nil
}

func (s *service) close() error {
	_ = s.conn.Close(context.Background())
	s.http.CloseIdleConnections()
	return s.stop()
}

// ask sends a request to the API and returns the answer, whatever it is.
func (s *service) ask(ctx context.Context, method, path string, body any) (status int, said []byte, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if said, err = io.ReadAll(answer.Body); err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer.StatusCode, said, nil
}

// call sends a request to the API and reads the answer into a pointer, unless that is nil. Every
// answer but a 2xx is an error.
func (s *service) call(ctx context.Context, method, path string, body, into any) error {
	status, said, err := s.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return fmt.Errorf("%s %s: %d: %s", method, path, status, said)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(said, into)
}

func (s *service) post(ctx context.Context, path string, body, into any) error {
	return s.call(ctx, http.MethodPost, path, body, into)
}

// object is JSON that is sent.
type object = map[string]any

// declare makes properties of these types.
func (s *service) declare(ctx context.Context, types map[string]string) error {
	for name, kind := range types {
		if err := s.call(ctx, http.MethodPut, "/v1/properties/"+name, object{"type": kind}, nil); err != nil {
			return err
		}
	}
	return nil
}

// publish saves a document and makes it live.
func (s *service) publish(ctx context.Context, document object) error {
	path := fmt.Sprintf("/v1/workflows/%s", document["name"])
	if err := s.call(ctx, http.MethodPut, path, document, nil); err != nil {
		return err
	}
	return s.post(ctx, path+"/publish", object{}, nil)
}

// batch sends items, of which none may be refused.
func (s *service) batch(ctx context.Context, path string, items []any) error {
	var answer struct {
		Items []struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		} `json:"items"`
	}
	if err := s.post(ctx, path, object{"items": items}, &answer); err != nil {
		return err
	}
	if len(answer.Items) != len(items) {
		return fmt.Errorf("POST %s: %d results for %d items", path, len(answer.Items), len(items))
	}
	for _, item := range answer.Items {
		if item.Status == "refused" || item.Status == "duplicate" {
			return fmt.Errorf("POST %s: item %s was %s", path, item.ID, item.Status)
		}
	}
	return nil
}

// count asks the database for a number.
func (s *service) count(ctx context.Context, sql string, args ...any) (n int, err error) {
	err = s.conn.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

// expect is an error unless the database has so many.
func (s *service) expect(ctx context.Context, want int, of, sql string, args ...any) error {
	switch n, err := s.count(ctx, sql, args...); {
	case err != nil:
		return fmt.Errorf("count %s: %w", of, err)
	case n != want:
		return fmt.Errorf("%d %s, and not %d", n, of, want)
	default:
		return nil
	}
}

// evaluated returns when nothing waits for evaluation any more. It gives up when that makes no
// progress.
func (s *service) evaluated(ctx context.Context) error {
	return until(ctx, s.progress, func() (done bool, state string, err error) {
		n, err := s.count(ctx, `select count(*) from work_items`)
		return n == 0, fmt.Sprintf("%d changes wait for evaluation", n), err
	})
}

// ended returns when nobody is enrolled any more. It gives up when that makes no progress.
func (s *service) ended(ctx context.Context) error {
	return until(ctx, s.progress, func() (done bool, state string, err error) {
		n, err := s.count(ctx, `select count(*) from enrollments where ended_at is null`)
		return n == 0, fmt.Sprintf("%d enrollments have not ended", n), err
	})
}
