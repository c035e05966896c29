// Package pgtest gives each test a PostgreSQL database of its own: migrated, empty of data, dropped
// at the test's end. A database takes tens of milliseconds, because it is cloned from one that was
// migrated once. Only tests import it.
//
// Floor 1, beside postgres; it starts a server by devstack/postgresql, which imports nothing of
// Rollcall.
//
// A package that uses it ends its server with
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/devstack/postgresql"
)

// serverVariable names a server to use in place of one of our own: a URL whose role may create
// databases.
const serverVariable = "ROLLCALL_TEST_DATABASE_URL"

// limit is how long one piece of work on the server may take.
const limit = 2 * time.Minute

// shared is the server of this test binary. It is the one variable of its kind: tests know nothing
// of each other, so there is nobody else to hand a server from one to the next.
var shared = &binary{}

type binary struct {
	start  sync.Once
	server *server
	err    error
}

// New returns the URL of a fresh, migrated database that only this test uses. The first call in a
// test binary starts the server. Safe for parallel tests; fails the test with a hint where there is
// no PostgreSQL.
func New(tb testing.TB) string {
	tb.Helper()
	shared.start.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		shared.server, shared.err = newServer(ctx, os.Getenv(serverVariable))
	})
	if shared.err != nil {
		tb.Fatal(hint(shared.err))
	}
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	name := databaseName(tb.Name())
	url, err := shared.server.clone(ctx, name)
	if err != nil {
		tb.Fatalf("create a database for the test: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := shared.server.drop(ctx, name); err != nil {
			tb.Errorf("drop the database of the test: %v", err)
		}
	})
	return url
}

// Main runs the tests and then stops the server, if one was started. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server == nil {
		return code
	}
	if err := shared.server.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the test server:", err)
		return max(code, 1)
	}
	return code
}

// hint says in one line what to do about a missing server.
func hint(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if errors.Is(err, postgresql.ErrNoInstallation) {
		return "no PostgreSQL for the tests: install PostgreSQL 15 or newer, or set " + serverVariable + ": " + text
	}
	return "no PostgreSQL for the tests: " + text
}

// databaseName makes a unique name that shows whose it is in the server's log.
func databaseName(test string) string {
	plain := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(test), "_")
	return prefix + random() + "_" + plain[:min(len(plain), 30)]
}
