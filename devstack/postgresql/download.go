package postgresql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// download fetches PostgreSQL's programs, of one major version or of a recent one for 0, and keeps
// them in this user's cache folder, so that it happens once.
func download(ctx context.Context, major int) (installation, error) {
	version := embeddedpostgres.V17
	switch major {
	case 0, 17:
	case 15:
		version = embeddedpostgres.V15
	case 16:
		version = embeddedpostgres.V16
	case 18:
		version = embeddedpostgres.V18
	default:
		return installation{}, fmt.Errorf("download PostgreSQL %d: this version is not on offer", major)
	}
	cache, err := cacheFolder()
	if err != nil {
		return installation{}, fmt.Errorf("download PostgreSQL: %w", err)
	}
	home := filepath.Join(cache, "postgresql-"+string(version))
	if found, ok := inspect(ctx, filepath.Join(home, "bin")); ok {
		return found, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return installation{}, fmt.Errorf("download PostgreSQL: %w", err)
	}
	done := make(chan error, 1) // the library takes no context; an abandoned download ends by itself
	go func() { done <- fetch(cache, home, version) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return installation{}, fmt.Errorf("download PostgreSQL %s: %w", version, err)
	}
	found, ok := inspect(ctx, filepath.Join(home, "bin"))
	if !ok {
		return installation{}, fmt.Errorf("download PostgreSQL %s: the programs in %s do not run here", version, home)
	}
	return found, nil
}

// fetch fills a folder beside home and renames it, so that home is whole or absent.
func fetch(cache, home string, version embeddedpostgres.PostgresVersion) error {
	work, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	port, err := freePort()
	if err != nil {
		return err
	}
	unpacked := filepath.Join(work, "programs")
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		Port(uint32(port)).
		CachePath(work).
		BinariesPath(unpacked).
		RuntimePath(filepath.Join(work, "run")).
		Logger(io.Discard))
	// The library hands out its programs only by starting a server with them. What becomes of that
	// server does not matter (root may not start one): by then the programs are there.
	startErr := server.Start()
	if startErr == nil {
		_ = server.Stop()
	}
	if _, err := os.Stat(filepath.Join(unpacked, "bin", "postgres")); err != nil {
		return errors.New(oneLine(startErr))
	}
	if err := os.Chmod(unpacked, 0o755); err != nil {
		return err
	}
	if err := os.Rename(unpacked, home); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

// cacheFolder is where the programs are kept: for root a place that other accounts can reach.
func cacheFolder() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/rollcall", nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "rollcall"), err
}

func oneLine(err error) string {
	if err == nil {
		return "nothing was unpacked"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
