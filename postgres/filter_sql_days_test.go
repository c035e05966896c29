package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/filter"
)

func TestSQLComparesDaysOfEveryZone(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	for _, at := range moments {
		var group []person
		for _, zone := range zoneNames {
			for i := range 3 {
				for j := range 3 {
					group = append(group, person{properties: map[string]any{
						"time_zone": zone, "hired": at.AddDate(0, 0, i-1).Format(time.DateOnly), "leaves": at.AddDate(0, 0, j-1).Format(time.DateOnly),
					}})
				}
			}
		}
		now := at.Add(7 * time.Hour)
		agree(t, conn, group, now, "hired", "leaves", at.Format(time.DateOnly), "now/d", "now")
	}
}

func TestSQLComparesInstantsToTheMicrosecond(t *testing.T) {
	t.Parallel()
	var group []person
	list := []string{"00Z", "00.1Z", "00.0999999Z", "00.1000001Z", "00.100000999Z", "00.100001Z", "00.999999999Z", "01Z"}
	for _, a := range list {
		for _, b := range list {
			group = append(group, person{properties: map[string]any{"seen_at": "2027-01-04T09:00:" + a, "asked_at": "2027-01-04T09:00:" + b}})
		}
	}
	now := time.Date(2027, 1, 4, 9, 0, 0, 100_000_700, time.UTC)
	agree(t, connect(t), group, now, "seen_at", "asked_at", "2027-01-04T09:00:00.1Z", "2027-01-04T09:00:01Z", "now", "now/d+9h", "2027-01-04T10:00:00.100001+01:00")
}

// agree asks everything about two times of each person, by the filter and by SQL.
func agree(t *testing.T, conn *pgx.Conn, group []person, now time.Time, property, other string, operands ...string) {
	t.Helper()
	values := []any{map[string]any{"property": other}}
	for _, o := range operands {
		values = append(values, o)
	}
	var trees []filter.Tree
	for _, v := range values {
		for _, op := range []filter.Op{filter.Before, filter.After, filter.On} {
			trees = append(trees, filter.Tree{Condition: &filter.Condition{Property: property, Op: op, Value: v}})
		}
		for _, pair := range [][]any{{v, values[0]}, {values[0], v}, {values[1], v}} {
			trees = append(trees, filter.Tree{Condition: &filter.Condition{Property: property, Op: filter.Between, Value: pair}})
			trees = append(trees, filter.Tree{Condition: &filter.Condition{Property: property, Op: filter.NotBetween, Value: pair}})
		}
	}
	agreeOn(t, conn, group, now, trees)
}

func agreeOn(t *testing.T, conn *pgx.Conn, group []person, now time.Time, trees []filter.Tree) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	insert(t, t, tx, group)
	for _, tree := range trees {
		f, problems := filter.Compile(&tree, filter.Scope{Types: types, Zone: filter.OwnZone})
		if len(problems) > 0 {
			continue // the first of two values lies after the second
		}
		answers, sql := ask(t, t, tx, f, now, zoneNames)
		for i, p := range group {
			require.Equal(t, f.Match(p.subject(now)), answers[i].holds, "now %s\nfilter %+v\nuser %s\n%s", now, tree.Condition, p, sql)
		}
	}
	require.NoError(t, tx.Rollback(t.Context()))
}

func TestSQLKnowsAnniversaries(t *testing.T) {
	t.Parallel()
	var group []person
	for d := day(2024, 1, 1); d.Year() == 2024; d = d.AddDate(0, 0, 1) {
		group = append(group, person{properties: map[string]any{"hired": d.Format(time.DateOnly), "time_zone": "Europe/Warsaw"}})
	}
	edges := []time.Time{
		day(2023, 2, 28), day(2023, 3, 1), day(2024, 1, 1), day(2024, 2, 28), day(2024, 2, 29), day(2024, 3, 1), day(2024, 12, 31),
		day(2025, 2, 28), day(2025, 3, 1), day(2025, 12, 31), day(2026, 2, 28),
	}
	var trees []filter.Tree
	for _, from := range edges {
		trees = append(trees, filter.Tree{Condition: &filter.Condition{Property: "hired", Of: filter.Anniversary, Op: filter.On, Value: from.Format(time.DateOnly)}})
		for _, to := range edges {
			for _, op := range []filter.Op{filter.Between, filter.NotBetween} {
				value := []any{from.Format(time.DateOnly), to.AddDate(0, 0, -1).Format(time.DateOnly)}
				trees = append(trees, filter.Tree{Condition: &filter.Condition{Property: "hired", Of: filter.Anniversary, Op: op, Value: value, TimeZone: "Europe/Warsaw"}})
			}
		}
	}
	agreeOn(t, connect(t), group, day(2024, 2, 29), trees)
}
