// Command rollcall is the service: the API, the worker and what an operator needs around them.
// Configuration is environment only; config.go lists it.
//
// Floor 5. It does not link the Temporal server.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // zones, in an image that has none

	"github.com/spf13/cobra"

	"rollcall/app"
	"rollcall/postgres"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal lets what runs finish, a second one ends it at once
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rollcall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use: "rollcall", Short: "User-based workflows on Temporal",
		SilenceUsage: true, SilenceErrors: true, Version: app.Version,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(
		command("serve", "Serve the API", func(ctx context.Context) error {
			return service(ctx, getenv, stderr, func(c *app.Config) { c.API, c.RequireKeys = true, true })
		}),
		command("worker", "Carry out enrollments", func(ctx context.Context) error {
			return service(ctx, getenv, stderr, func(c *app.Config) {
				c.Worker, c.RequireKeys = true, true
				c.Listen = or(getenv("ROLLCALL_METRICS_LISTEN"), "127.0.0.1:9090")
			})
		}),
		command("migrate", "Bring the database to this version's schema and register Temporal's search attributes", func(ctx context.Context) error {
			return migrate(ctx, getenv, stdout)
		}),
		command("health", "Ask the service on this machine whether it is ready; for health checks", func(ctx context.Context) error {
			return health(ctx, or(getenv("ROLLCALL_LISTEN"), defaultListen))
		}),
		keyCommand(getenv, stdout),
		secretsCommand(getenv, stdout),
		connectionCommand(getenv, os.Stdin, stdout),
		planCommand(getenv, stdout),
		applyCommand(getenv, stdout),
		enrollCommand(getenv, stdout),
		eventsCommand(getenv, stdout),
		explainCommand(getenv, stdout),
		runsCommand(getenv, stdout),
		simulateCommand(getenv, stdout),
		graphCommand(stdout),
	)
	return root.ExecuteContext(ctx)
}

func command(use, short string, do func(ctx context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return do(c.Context()) },
	}
}

// service runs the app with the part that adjust chooses.
func service(ctx context.Context, getenv func(string) string, stderr io.Writer, adjust func(*app.Config)) error {
	c, err := configFromEnv(getenv, stderr)
	if err != nil {
		return err
	}
	adjust(&c)
	a, err := app.New(ctx, c)
	if err != nil {
		return err
	}
	c.Log.Info("listening", "address", a.Addr(), "api", c.API, "worker", c.Worker)
	return a.Run(ctx)
}

func migrate(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	c, err := configFromEnv(getenv, io.Discard)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, c.DatabaseURL); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "the database has this version's schema")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := app.PrepareTemporal(ctx, c.Temporal); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "temporal knows the search attributes")
	return nil
}

// health fails unless the service that listens there says that it is ready.
func health(ctx context.Context, listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("address %s: %w", listen, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", resp.Status)
	}
	return nil
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
