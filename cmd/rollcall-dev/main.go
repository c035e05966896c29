// Command rollcall-dev runs everything in one process: PostgreSQL, Temporal with its Web UI,
// Rollcall, and a world that takes the mails, messages, webhooks and rows that leave it.
//
// Floor 5.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	_ "time/tzdata"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"rollcall/app"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/devstack"
	"rollcall/devstack/world"
	"rollcall/postgres"
	"rollcall/secrets"
)

// devSecret signs the webhooks of the development world, which verifies them.
const devSecret = "whsec_cm9sbGNhbGwtZGV2ZWxvcG1lbnQtd29ybGQtc2VjcmV0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends everything at once
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rollcall-dev:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	api, temporal, ui, world, data, readyFile string
	seed, verbose                             bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("rollcall-dev", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.api, "api", "127.0.0.1:8080", "`address` of the API; port 0 is any free one")
	f.StringVar(&o.temporal, "temporal", "127.0.0.1:7233", "`address` of Temporal")
	f.StringVar(&o.ui, "ui", "127.0.0.1:8233", "`address` of Temporal's Web UI")
	f.StringVar(&o.world, "world", "127.0.0.1:8025", "`address` of the page that shows what left")
	f.StringVar(&o.data, "data", ".rollcall", "`folder` that keeps everything; start again on it to go on")
	f.StringVar(&o.readyFile, "ready-file", "", "`file` that gets the addresses as JSON once everything is ready")
	f.BoolVar(&o.seed, "seed", true, "publish the examples and add a few users at the first start")
	f.BoolVar(&o.verbose, "verbose", false, "log every request")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	for name, address := range map[string]string{"api": o.api, "temporal": o.temporal, "ui": o.ui, "world": o.world} {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return o, fmt.Errorf("-%s %s: rollcall-dev has no keys and listens on loopback only, such as 127.0.0.1:8080", name, address)
		}
	}
	var err error
	o.data, err = filepath.Abs(o.data)
	return o, err
}

// addresses is where everything is.
type addresses struct {
	API      string `json:"api"`
	Docs     string `json:"docs"`
	World    string `json:"world"`
	UI       string `json:"ui"`
	Temporal string `json:"temporal"`
	SMTP     string `json:"smtp"`
	Database string `json:"database"`
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	if o.readyFile != "" {
		_ = os.Remove(o.readyFile) // whoever waits for it must not read an old one
	}
	fmt.Fprintln(stdout, "Starting PostgreSQL and Temporal …")
	stack, err := devstack.Start(ctx, devstack.Config{
		Dir: filepath.Join(o.data, "postgres"), DatabaseURL: getenv("DATABASE_URL"), TemporalAddr: o.temporal, UIAddr: o.ui, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Stop()) }()
	outside, err := world.Start(world.Config{
		HTTPAddr: o.world, Dir: filepath.Join(o.data, "world"), Secrets: []string{devSecret}, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, outside.Stop()) }()
	if err := postgres.Migrate(ctx, stack.DatabaseURL); err != nil {
		return err
	}
	config, err := configure(o, stack, outside, log)
	if err != nil {
		return err
	}
	if config.SecretKeys, err = keyset(filepath.Join(o.data, "secrets.json")); err != nil {
		return err
	}
	service, err := app.New(ctx, config)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return service.Run(ctx) })
	group.Go(func() error {
		if o.seed {
			if err := seed(ctx, service, outside.HTTPAddr()); err != nil {
				return fmt.Errorf("seed: %w", err)
			}
		}
		at := addresses{
			API: "http://" + service.Addr(), Docs: "http://" + service.Addr() + "/docs", World: "http://" + outside.HTTPAddr(),
			UI: "http://" + stack.UIAddr, Temporal: stack.TemporalAddr, SMTP: outside.SMTPAddr(), Database: stack.DatabaseURL,
		}
		return announce(at, o.readyFile, stdout)
	})
	err = group.Wait()
	fmt.Fprintln(stdout, "Stopping …")
	return err
}

// keyset is the keys that seal the secrets of connections, made at the first start.
func keyset(file string) (string, error) {
	text, err := os.ReadFile(file)
	if !errors.Is(err, os.ErrNotExist) {
		return string(text), err
	}
	made, err := secrets.New()
	if err != nil {
		return "", err
	}
	return made, os.WriteFile(file, []byte(made+"\n"), 0o600)
}

// configure points the service at the stack and the world.
func configure(o options, stack *devstack.Stack, outside *world.World, log *slog.Logger) (app.Config, error) {
	allowed := make([]netip.AddrPort, 0, 2)
	for _, address := range []string{outside.HTTPAddr(), outside.SMTPAddr()} {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return app.Config{}, fmt.Errorf("address of the world: %w", err)
		}
		allowed = append(allowed, a)
	}
	return app.Config{
		DatabaseURL: stack.DatabaseURL, Listen: o.api, API: true, Worker: true, Log: log,
		Temporal: client.Options{HostPort: stack.TemporalAddr}, TemporalUI: "http://" + stack.UIAddr,
		Mail:           email.Config{Addr: outside.SMTPAddr(), From: "Rollcall <rollcall@example.com>", TLS: email.None},
		Slack:          slack.Config{Token: "xoxb-development", APIURL: outside.SlackURL()},
		Sheets:         sheets.Config{Endpoint: outside.SheetsURL(), CredentialsJSON: outside.GoogleCredentials()},
		WebhookSecrets: []string{devSecret}, AllowAddrs: allowed, FastForward: true,
	}, nil
}

// announce says where everything is and what to try.
func announce(at addresses, readyFile string, stdout io.Writer) error {
	fmt.Fprintf(stdout, `
Rollcall is ready.

  API             %s   (documentation: %s)
  Temporal Web UI %s
  What left       %s

Try:

  curl -X PUT %s/v1/users/u_100 -H 'Content-Type: application/json' \
    -d '{"properties": {"first_name": "Ada", "email": "ada@example.com", "teams": ["support"]}}'

`, at.API, at.Docs, at.UI, at.World, at.API)
	if readyFile == "" {
		return nil
	}
	text, err := json.MarshalIndent(at, "", "  ")
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	// Whoever waits for the file must never see half of it.
	if err := os.WriteFile(readyFile+".tmp", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return os.Rename(readyFile+".tmp", readyFile)
}
