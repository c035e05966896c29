// Package app builds Rollcall from a Config and runs it: the API, the Temporal worker, the pump and
// the starter. The commands and the tests start the same thing.
//
// Floor 4. It knows every package below but devstack.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"rollcall/activities"
	"rollcall/api"
	"rollcall/automation"
	"rollcall/codec"
	"rollcall/holidays"
	"rollcall/postgres"
	"rollcall/simulate"
	"rollcall/triggers"
	"rollcall/workflows"
)

// App is a built service. Run it once.
type App struct {
	config   Config
	log      *slog.Logger
	db       *postgres.DB
	codec    *codec.Codec
	temporal client.Client
	listener net.Listener
	server   *http.Server
	door     *door
	pump     *triggers.Pump
	starter  *triggers.Starter
	clock    *triggers.Clock
	calendar *triggers.Scheduler
	actions  *activities.Set // nil when this process is no worker
}

// New connects to PostgreSQL and Temporal and listens, but serves nothing yet. What it opened it
// closes again when it fails. It returns ErrUnavailable when PostgreSQL does not answer; Temporal
// may be away.
func New(ctx context.Context, c Config) (*App, error) {
	a := &App{config: c, log: c.Log}
	if err := a.open(ctx); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *App) open(ctx context.Context) (err error) {
	c := a.config
	catalog := Catalog()
	a.db, err = postgres.Open(ctx, postgres.Config{URL: c.DatabaseURL, MaxConns: c.MaxConns, Catalog: catalog, TimeZone: c.TimeZone, Country: c.Holidays, Holidays: holidays.Of})
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	unknown, err := a.db.UnknownActions(ctx)
	if err != nil {
		return fmt.Errorf("look for unknown actions: %w", err)
	}
	if len(unknown) > 0 {
		return fmt.Errorf("versions in use name the actions %v, which this binary does not have: %w", unknown, automation.ErrConflict)
	}
	if a.codec, err = codec.New(c.PayloadKeys); err != nil {
		return fmt.Errorf("payload keys: %w: %w", automation.ErrInvalid, err)
	}
	worker.SetStickyWorkflowCacheSize(2000)
	a.temporal, err = a.dial()
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newBacklog(a.db))
	metrics := triggers.NewMetrics(registry)
	a.starter = triggers.NewStarter(triggers.StarterConfig{
		DB: a.db, Temporal: a.temporal, Log: a.log, Metrics: metrics, Eager: c.Worker,
	})
	a.pump = triggers.NewPump(a.db, a.starter, a.log, metrics)
	a.clock = triggers.NewClock(a.db, a.pump, a.log)
	a.calendar = triggers.NewScheduler(a.db, a.starter, a.log)
	a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	out := c.outgoing()
	connections, err := c.connections(a.db, out)
	if err != nil {
		return err
	}
	if err := connections.Ready(ctx); err != nil {
		return fmt.Errorf("connections: %w", err)
	}
	if c.Worker {
		deps, err := c.connectors(ctx, out)
		if err != nil {
			return err
		}
		deps.DB, deps.Connections, deps.Metrics = a.db, connections, activities.NewMetrics(registry)
		deps.PublicURL = c.publicURL(a.listener.Addr())
		a.actions = activities.New(deps)
	}
	rehearsing := activities.New(activities.Deps{}) // without a way out of the house
	handler := api.New(api.Deps{
		Simulate: simulate.New(rehearsing, a.db.Prepare).Run, Connections: connections,
		DB: a.db, Catalog: catalog, Pump: a.pump, Starter: a.starter, Scheduler: a.calendar, Temporal: a.checkTemporal, Metrics: registry,
		Decode: converter.NewPayloadCodecHTTPHandler(a.codec), FastForward: c.FastForward, RequireKeys: c.RequireKeys, RateLimit: c.RateLimit, Keys: c.APIKeys, UI: c.uiRoot(), Log: a.log, Version: Version, HealthOnly: !c.API,
	})
	a.door = newDoor(handler, registry)
	a.server = &http.Server{
		Handler: a.door, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 60 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	return nil
}

func (a *App) dial() (client.Client, error) {
	options := a.config.Temporal
	options.Logger = log.NewStructuredLogger(quiet(a.log))
	options.DataConverter = a.codec.DataConverter()
	options.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: options.DataConverter, EncodeCommonAttributes: a.codec.Encrypts(),
	})
	if a.config.FastForward {
		dialing := &options.ConnectionOptions.DialOptions
		*dialing = append(slices.Clone(*dialing), grpc.WithChainUnaryInterceptor(triggers.SkipTime))
	}
	c, err := client.NewLazyClient(options)
	if err != nil {
		return nil, fmt.Errorf("temporal client: %w", err)
	}
	return c, nil
}

func (a *App) newWorker(failed func(error)) worker.Worker {
	w := worker.New(a.temporal, workflows.TaskQueue, worker.Options{
		WorkerStopTimeout:        20 * time.Second,
		DeadlockDetectionTimeout: 10 * time.Second,
		OnFatalError:             failed,
	})
	w.RegisterWorkflowWithOptions(workflows.Enrollment, workflow.RegisterOptions{Name: "Enrollment"})
	w.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: "Backfill"})
	w.RegisterWorkflowWithOptions(workflows.ScheduledEnrollment, workflow.RegisterOptions{Name: "ScheduledEnrollment"})
	a.actions.Register(w)
	return w
}

func (a *App) checkTemporal(ctx context.Context) error {
	_, err := a.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// Addr is where the API answers.
func (a *App) Addr() string { return a.listener.Addr().String() }

// DB is the service's database.
func (a *App) DB() *postgres.DB { return a.db }

// stopLimit is how long what is in flight may take to its end once the service stops.
const stopLimit = 25 * time.Second

// Run serves until the context ends. Then it takes no new requests and no new work, says that it is not
// ready, and lets what runs finish. It returns nil after an orderly stop, and an error where something
// takes longer than 25 seconds: that is cut off, and repeated by another process.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	ended := make(chan error, 1)
	go func() { ended <- a.serve(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	a.log.Info("stopping", "limit", stopLimit.String())
	select {
	case err := <-ended:
		a.log.Info("stopped")
		return err
	case <-time.After(stopLimit):
		return fmt.Errorf("what was in flight had not finished after %s", stopLimit)
	}
}

// serve runs every part until the context ends, and then until each has come to its end. The server is
// the last one: until then it says that the service stops.
func (a *App) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		var work sync.WaitGroup
		for _, run := range a.parts() {
			work.Go(func() { run(ctx) })
		}
		<-ctx.Done()
		a.door.close()
		work.Wait()
		a.door.empty()
		return a.server.Shutdown(context.WithoutCancel(ctx))
	})
	return group.Wait()
}

// parts are what runs beside the server. Each ends when the context has ended and its work is done.
func (a *App) parts() []func(context.Context) {
	parts := []func(context.Context){a.starter.Run, a.pump.Run, a.clock.Run, a.calendar.Run}
	if a.actions != nil {
		parts = append(parts, a.work)
	}
	return parts
}

// work carries out enrollments until the context ends. It waits for Temporal, however long that
// takes; the rest of the service does not wait with it.
func (a *App) work(ctx context.Context) {
	for ctx.Err() == nil {
		failed := make(chan error, 1)
		w := a.newWorker(func(err error) {
			select {
			case failed <- err:
			default:
			}
		})
		err := w.Start()
		if err == nil {
			select {
			case err = <-failed: // the SDK has stopped it; another one begins anew
			case <-ctx.Done():
			}
			w.Stop()
		}
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("temporal does not take the worker", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (a *App) close() {
	if a.listener != nil {
		_ = a.listener.Close()
	}
	if a.temporal != nil {
		a.temporal.Close()
	}
	if a.db != nil {
		a.db.Close()
	}
}

// Catalog lists the actions that this binary has.
func Catalog() automation.Catalog { return activities.New(activities.Deps{}).Catalog() }

// quiet keeps Temporal's client from logging what is none of an operator's business.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(levelHandler{l.Handler(), slog.LevelWarn}) }
