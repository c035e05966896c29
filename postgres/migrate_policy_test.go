package postgres_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// firstRelease is the schema of the first release. Every migration behind it meets databases in use, and
// binaries of the release before.
const firstRelease = 13

// prepared marks a migration that takes away what no binary from another migration on uses, and declares
// what that is to older binaries.
var (
	prepared = regexp.MustCompile(`(?m)^-- contracts, prepared by ((\d{3})_\w+\.sql)$`)
	declared = regexp.MustCompile(`update schema_version set oldest = (\d+)`)
)

// TestMigrationsAddBeforeTheyTakeAway holds each migration that is newer than the first release against
// the rules of docs/upgrading.md.
func TestMigrationsAddBeforeTheyTakeAway(t *testing.T) {
	t.Parallel()
	names, texts := migrationFiles(t)
	var all strings.Builder
	for i, name := range names {
		all.Write(texts[name].Data)
		if i >= firstRelease {
			require.Empty(t, complaints(string(texts[name].Data), names[:i], all.String()), name)
		}
	}
}

// complaints are what is wrong with a migration: with what it takes away, unless an earlier one prepared
// that, and with how long it keeps others waiting.
func complaints(sql string, earlier []string, all string) (list []string) {
	m := migrationText{sql: sql, all: strings.ToLower(all)}
	if !strings.HasPrefix(sql, "set local lock_timeout = '2s';\n") && !m.alone() {
		list = append(list, "it does not begin with set local lock_timeout = '2s';")
	}
	var taken []string
	for _, s := range m.statements() {
		list = append(list, m.waits(s)...)
		taken = append(taken, m.takes(s)...)
	}
	if len(taken) == 0 {
		return list
	}
	mark := prepared.FindStringSubmatch(sql)
	oldest := declared.FindStringSubmatch(sql)
	if mark == nil || !slices.Contains(earlier, mark[1]) || oldest == nil || fmt.Sprintf("%03s", oldest[1]) != mark[2] {
		return append(list, taken...)
	}
	return list
}

// migrationText is the text of a migration, and of all up to it.
type migrationText struct{ sql, all string }

// alone reports whether the statements run without a transaction around them.
func (m migrationText) alone() bool { return strings.Contains(m.sql, "\n---- tern: disable-tx ----\n") }

var comment = regexp.MustCompile(`--[^\n]*`)

// statements are the statements in lower case, without comments, each on one line.
func (m migrationText) statements() (list []string) {
	for s := range strings.SplitSeq(comment.ReplaceAllString(m.sql, ""), ";") {
		if s = strings.Join(strings.Fields(strings.ToLower(s)), " "); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// makes reports whether the migration itself makes the table.
func (m migrationText) makes(table string) bool {
	return regexp.MustCompile(`create table (if not exists )?` + regexp.QuoteMeta(table) + ` ?\(`).MatchString(strings.Join(m.statements(), ";"))
}

var indexed = regexp.MustCompile(`^create (unique )?index (concurrently )?.*?\bon (only )?(\S+)`)

// waits complains of what keeps writers waiting for longer than a moment.
func (m migrationText) waits(s string) []string {
	if i := indexed.FindStringSubmatch(s); i != nil && i[2] == "" && !m.makes(i[4]) {
		return []string{"writers wait until it has read the table; create the index concurrently, in a file with ---- tern: disable-tx ----: " + s}
	}
	return nil
}

var (
	dropsThing = regexp.MustCompile(`^drop (table|view|materialized view|sequence|type|domain|function|procedure|schema|extension)\b|^truncate\b|\brename\b|\bset schema\b`)
	dropsIndex = regexp.MustCompile(`^drop index (?:concurrently )?(?:if exists )?(\S+)`)
	alters     = regexp.MustCompile(`^alter table (?:if exists )?(?:only )?(\S+) (.*)$`)
)

// takes complains of what a binary that knows nothing of the migration may need.
func (m migrationText) takes(s string) []string {
	if dropsThing.MatchString(s) {
		return []string{"takes away: " + s}
	}
	if i := indexed.FindStringSubmatch(s); i != nil && i[1] != "" && !m.makes(i[4]) {
		return []string{"refuses what may be written: " + s}
	}
	if i := dropsIndex.FindStringSubmatch(s); i != nil && strings.Contains(m.all, "create unique index "+i[1]+" ") {
		return []string{"takes away: " + s}
	}
	a := alters.FindStringSubmatch(s)
	if a == nil || m.makes(a[1]) {
		return nil
	}
	var list []string
	for _, action := range apart(a[2]) {
		if why := breaks(action); why != "" {
			list = append(list, why+": alter table "+a[1]+" "+action)
		}
	}
	return list
}

var (
	drops     = regexp.MustCompile(`^drop |^alter (column )?\S+ drop (default|identity|expression)`)
	retypes   = regexp.MustCompile(`^alter (column )?\S+ (set data )?type `)
	demands   = regexp.MustCompile(`^alter (column )?\S+ set not null`)
	restricts = regexp.MustCompile(`^add (constraint|check|unique|primary|foreign|exclude)\b`)
	adds      = regexp.MustCompile(`^add `)
)

// breaks says what an action on a table may break, if anything.
func breaks(action string) string {
	switch {
	case drops.MatchString(action):
		return "takes away"
	case retypes.MatchString(action):
		return "changes what is read and written"
	case demands.MatchString(action), restricts.MatchString(action):
		return "refuses what may be written"
	case adds.MatchString(action) && strings.Contains(action, "not null") && !strings.Contains(action, " default ") && !strings.Contains(action, " generated "):
		return "demands what is not written"
	}
	return ""
}

// apart splits a list at its commas, but for those in parentheses.
func apart(list string) (items []string) {
	depth, from := 0, 0
	for i, r := range list {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			items, from = append(items, strings.TrimSpace(list[from:i])), i+1
		}
	}
	return append(items, strings.TrimSpace(list[from:]))
}

func TestRulesOfMigrations(t *testing.T) {
	t.Parallel()
	const timeout = "set local lock_timeout = '2s';\n"
	earlier := []string{"014_expands.sql"}
	for sql, complaint := range map[string]string{
		"alter table users add later text":                                                                                                "it does not begin with",
		timeout + "alter table users add later text, add n int not null default 0;":                                                       "",
		timeout + "create table t (n int not null unique, check (n > 0));":                                                                "",
		timeout + "create table t (n int); create index t_n on t (n);":                                                                    "",
		timeout + "create table t (n int); alter table t alter n set not null;":                                                           "",
		timeout + "drop index events_user;":                                                                                               "",
		timeout + "-- drop table users\nalter table users add later text;":                                                                "",
		"-- Alone.\n---- tern: disable-tx ----\ncreate index concurrently i on t (n)":                                                     "",
		timeout + "drop table events;":                                                                                                    "takes away",
		timeout + "drop index enrollments_one_live;":                                                                                      "takes away",
		timeout + "alter table users drop properties;":                                                                                    "takes away",
		timeout + "alter table users add later text, drop column properties;":                                                             "takes away",
		timeout + "alter table users drop constraint users_id_check;":                                                                     "takes away",
		timeout + "alter table runs alter column parked drop default;":                                                                    "takes away",
		timeout + "ALTER TABLE users RENAME properties TO attributes;":                                                                    "takes away",
		timeout + "alter table runs alter matched type bigint;":                                                                           "changes what is read and written",
		timeout + "alter table runs alter trigger set not null;":                                                                          "refuses what may be written",
		timeout + "alter table runs add constraint runs_all check (matched > 0);":                                                         "refuses what may be written",
		timeout + "alter table runs add check (enrolled in (1, 2)), add n int;":                                                           "refuses what may be written",
		timeout + "alter table users add later text not null;":                                                                            "demands what is not written",
		timeout + "create index events_name on events (name);":                                                                            "writers wait until it has read the table",
		"-- A.\n---- tern: disable-tx ----\ncreate unique index concurrently i on t (n)":                                                  "refuses what may be written",
		timeout + "-- contracts, prepared by 014_expands.sql\ndrop table old; update schema_version set oldest = 14;":                     "",
		timeout + "-- contracts, prepared by 014_expands.sql\ndrop table old;":                                                            "takes away",
		timeout + "-- contracts, prepared by 015_nothing.sql\ndrop table old; update schema_version set oldest = 15;":                     "takes away",
		timeout + "-- contracts, prepared by 014_expands.sql\ncreate index e on events (name); update schema_version set oldest = 14;":    "writers wait",
		timeout + "-- contracts, prepared by 014_expands.sql\ndrop table old; update schema_version set oldest = 13; -- too old, nothing": "takes away",
	} {
		_, texts := migrationFiles(t)
		list := complaints(sql, earlier, string(texts["001_initial.sql"].Data))
		if complaint == "" {
			require.Empty(t, list, sql)
			continue
		}
		require.Len(t, list, 1, sql)
		require.Contains(t, list[0], complaint, sql)
	}
}
