package temporald

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/tools/common/schema"
	"go.temporal.io/server/tools/sql"

	devpostgresql "rollcall/devstack/postgresql"
)

// The names of the server's databases and of its stores.
const (
	mainStore       = "temporal"
	visibilityStore = "temporal_visibility"
)

// openStores returns where the server keeps its state, ready to be used: in PostgreSQL, with databases
// and schemas brought up to date, or in memory.
func openStores(ctx context.Context, server string, log *logger) (config.Persistence, error) {
	if server == "" {
		return inMemory(), nil
	}
	stores := map[string]config.DataStore{}
	for name, schemaName := range map[string]string{
		mainStore:       "postgresql/v12/temporal",
		visibilityStore: "postgresql/v12/visibility",
	} {
		conf, err := sqlConfig(server, name)
		if err != nil {
			return config.Persistence{}, err
		}
		if err := devpostgresql.CreateDatabase(ctx, server, name); err != nil {
			return config.Persistence{}, err
		}
		if err := migrate(conf, schemaName, log); err != nil {
			return config.Persistence{}, fmt.Errorf("set up database %s: %w", name, err)
		}
		stores[name] = config.DataStore{SQL: conf}
	}
	return config.Persistence{DefaultStore: mainStore, VisibilityStore: visibilityStore, DataStores: stores}, nil
}

// sqlConfig describes a database on the server that a URL points to. Each of the four services opens
// its own connections, up to these numbers.
func sqlConfig(server, database string) (*config.SQL, error) {
	address, err := url.Parse(server)
	if err != nil {
		return nil, errors.New("the address of PostgreSQL is not a URL") // the parser's error shows the password
	}
	password, _ := address.User.Password()
	conf := &config.SQL{
		PluginName:        postgresql.PluginNamePGX,
		ConnectProtocol:   "tcp",
		ConnectAddr:       net.JoinHostPort(cmp.Or(address.Hostname(), "localhost"), cmp.Or(address.Port(), "5432")),
		User:              url.PathEscape(address.User.Username()),
		Password:          password,
		DatabaseName:      database,
		ConnectAttributes: map[string]string{},
		MaxConns:          20,
		MaxIdleConns:      20,
		MaxConnLifetime:   time.Hour,
	}
	for key, values := range address.Query() {
		conf.ConnectAttributes[key] = values[0]
	}
	return conf, nil
}

// migrate brings a database to the schema of this server, from whichever earlier one, or none.
func migrate(conf *config.SQL, schemaName string, log *logger) error {
	conn, err := sql.NewConnection(conf, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ReadSchemaVersion(); err != nil { // an empty database
		fresh := &schema.SetupConfig{InitialVersion: "0.0"}
		if err := schema.NewSetupSchemaTask(conn, fresh, log).Run(); err != nil {
			return err
		}
	}
	return schema.NewUpdateSchemaTask(conn, &schema.UpdateConfig{SchemaName: schemaName}, log).Run()
}

// inMemory keeps everything in one SQLite database that ends with the server.
func inMemory() config.Persistence {
	return config.Persistence{
		DefaultStore:    mainStore,
		VisibilityStore: mainStore,
		DataStores: map[string]config.DataStore{mainStore: {SQL: &config.SQL{
			PluginName:        sqlite.PluginName,
			ConnectProtocol:   "tcp", // required, and without meaning here
			ConnectAddr:       loopback,
			DatabaseName:      rand.Text(),
			ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
		}}},
	}
}
