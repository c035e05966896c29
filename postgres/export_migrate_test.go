package postgres

import (
	"context"
	"io/fs"
	"time"
)

// MigrationFiles are the migrations of this binary.
func MigrationFiles() (fs.FS, error) { return fs.Sub(migrations, "migrations") }

// MigrateWith brings a database to the schema of other files than those of this binary.
func MigrateWith(ctx context.Context, url string, files fs.FS, patience time.Duration) error {
	return migration{files, patience, 10 * time.Millisecond}.run(ctx, url)
}
