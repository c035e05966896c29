package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// TestFullDiskIsNoErrorOfOurOwn: a caller was answered 500 where PostgreSQL could not write what it needs to take a
// connection.
func TestFullDiskIsNoErrorOfOurOwn(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		err         pgconn.PgError
		unavailable bool
	}{
		"could not write init file":              {pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "XX000"}, true},
		"could not extend file":                  {pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "53100"}, true},
		"could not write to file":                {pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "58030"}, true},
		"the database system is starting up":     {pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P03"}, true},
		"idle-in-transaction timeout":            {pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "25P03"}, true},
		"cannot execute INSERT in a read-only":   {pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "25006"}, true},
		"password authentication failed":         {pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "28P01"}, false},
		"there is no such database":              {pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "3D000"}, false},
		"could not read block: data corrupted":   {pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "XX001"}, false},
		"a check of the table does not hold":     {pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "23514"}, false},
		"the statement is wrong, a mistake here": {pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "42601"}, false},
	} {
		err := postgres.Translate(fmt.Errorf("%s: %w", text, &c.err))
		if c.unavailable {
			require.ErrorIs(t, err, automation.ErrUnavailable, text)
		} else {
			require.NotErrorIs(t, err, automation.ErrUnavailable, text)
		}
	}
}
