package postgres_test

import (
	"os"
	"testing"

	"rollcall/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
