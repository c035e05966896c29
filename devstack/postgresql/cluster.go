package postgresql

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// cluster is what it takes to make a data folder: dir/data, with the password in dir/password.
type cluster struct {
	bin  installation
	dir  string
	run  account
	fast bool
}

// initialise makes the data folder where there is none, and returns the password of its superuser.
// The folder appears whole or not at all.
func initialise(ctx context.Context, c cluster) (string, error) {
	data, secret := filepath.Join(c.dir, "data"), filepath.Join(c.dir, "password")
	if majorVersion(data) != 0 {
		password, err := os.ReadFile(secret)
		if err != nil {
			return "", fmt.Errorf("read the password of the data in %s: %w", data, err)
		}
		return strings.TrimSpace(string(password)), nil
	}
	password := rand.Text()
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write password: %w", err)
	}
	if err := c.run.own(secret); err != nil { // initdb reads it
		return "", fmt.Errorf("write password: %w", err)
	}
	fresh := filepath.Join(c.dir, "data.new")
	var err error
	for _, locale := range []string{"C.UTF-8", "C"} { // not every system has the first
		if err = os.RemoveAll(fresh); err != nil {
			break
		}
		if err = c.initdb(ctx, fresh, secret, locale); err == nil {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("make data folder %s: %w", data, err)
	}
	if err := os.Rename(fresh, data); err != nil {
		return "", fmt.Errorf("make data folder %s: %w", data, err)
	}
	return password, nil
}

func (c cluster) initdb(ctx context.Context, data, secret, locale string) error {
	args := []string{
		"--pgdata", data, "--username", superuser, "--pwfile", secret, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", locale, "--no-instructions",
	}
	if c.fast {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, c.bin.program("initdb"), args...)
	cmd.Dir = c.dir
	cmd.Env = environment(os.Environ())
	cmd.SysProcAttr = c.run.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// environment drops what would bend the server's behaviour: PostgreSQL's own variables and locales.
func environment(all []string) []string {
	kept := slices.DeleteFunc(slices.Clone(all), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") || strings.HasPrefix(v, "LANG")
	})
	return append(kept, "LC_ALL=C")
}

// settings are the server's, as flags, so that a data folder carries none of its own.
func (l launching) settings(port int) []string {
	set := []string{
		fmt.Sprintf("port=%d", port),
		"listen_addresses=" + loopback,
		"unix_socket_directories=", // the one way in is the loopback interface, with a password
		"max_connections=200",      // Temporal's four services and Rollcall's own pools
		"shared_buffers=128MB",
		"max_wal_size=2GB",
		"random_page_cost=1.1",
		"jit=off", // many short queries
		"timezone=UTC",
		"log_timezone=UTC",
		"log_line_prefix=%m [%p] ",
		"logging_collector=off",
	}
	if l.fast {
		set = append(set, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off",
			"wal_level=minimal", "max_wal_senders=0", "min_wal_size=32MB", "max_wal_size=256MB")
	}
	args := []string{"-D", filepath.Join(l.dir, "data")}
	for _, s := range set {
		args = append(args, "-c", s)
	}
	return args
}
