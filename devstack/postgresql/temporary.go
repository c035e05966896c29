package postgresql

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const temporaryPrefix = "rollcall-postgresql-"

// temporaryFolder makes a folder for a server that nobody will restart. A fast one is kept in memory
// where there is room: file systems on disk are slow at creating the hundreds of files of a database
// just after many were deleted, which is what tests do.
func temporaryFolder(fast bool, log *slog.Logger) (string, error) {
	sweepTemporary(log, os.TempDir())
	sweepTemporary(log, memory)
	if fast && roomInMemory() {
		if dir, err := os.MkdirTemp(memory, temporaryPrefix); err == nil {
			return dir, nil
		}
	}
	return os.MkdirTemp("", temporaryPrefix)
}

// sweepTemporary removes folders whose process was killed before it could. A folder younger than a
// minute is left alone: its owner may be about to lock it.
func sweepTemporary(log *slog.Logger, parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, temporaryPrefix+"*")) // the pattern is well formed
	for _, dir := range found {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		held, err := takeLock(dir)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := stopOrphan(ctx, filepath.Join(dir, "data")); err == nil {
			log.Debug("removing an abandoned database", "dir", dir, "err", os.RemoveAll(dir))
		}
		cancel()
		held.release()
	}
}
