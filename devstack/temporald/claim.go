package temporald

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	devpostgresql "rollcall/devstack/postgresql"
)

// claimKey is the advisory lock of the databases' one server; any constant that nobody else uses.
const claimKey = 0x726f6c6c63616c6c

// claimPatience is how long the connection of a killed server may linger.
const claimPatience = 3 * time.Second

// claim makes the main database where it is missing and takes it for this server alone: two servers
// that do not know of each other would take each other's shards for ever. The claim ends with the
// connection, so also when this process is killed.
func claim(ctx context.Context, server string) (*pgx.Conn, error) {
	if err := devpostgresql.CreateDatabase(ctx, server, mainStore); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(server)
	if err != nil {
		return nil, err
	}
	config.Database = mainStore
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(claimPatience); ; {
		var ours bool
		err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", int64(claimKey)).Scan(&ours)
		if ours {
			return conn, nil
		}
		if err == nil && time.Now().After(deadline) {
			err = errors.New("another Temporal server is using it")
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("database %s: %w", mainStore, err), conn.Close(context.WithoutCancel(ctx)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
