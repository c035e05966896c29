package postgres_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
)

func TestSQLFoldsLikeTheFilter(t *testing.T) {
	t.Parallel()
	var all, lower []string
	for r := range unicode.MaxRune {
		if r > 0 && r < 0x300 || unicode.SimpleFold(r) != r || unicode.ToLower(r) != r {
			all = append(all, string(r))
		}
		if l := unicode.ToLower(r); l != r {
			require.Equal(t, l, unicode.ToLower(l))
			lower = append(lower, string(l))
		}
	}
	a := &postgres.SQLArgs{}
	folded := a.Fold(lower, "t")
	conn := connect(t)
	rows, err := conn.Query(t.Context(), "select "+folded+" from unnest("+a.Add(all)+") t", a.Values()...)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	want := make([]string, len(all))
	for i, s := range all {
		want[i] = filter.Fold(s)
	}
	require.Equal(t, want, got)
}

func TestSQLKnowsDates(t *testing.T) {
	t.Parallel()
	var list []string
	for _, year := range []int{0, 1, 4, 100, 1900, 1999, 2000, 2024, 2026, 2027, 2028, 2096, 2100, 9996, 9999} {
		for month := range 14 {
			for d := range 33 {
				list = append(list, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006-")+
					strconv.Itoa(100 + month)[1:]+"-"+strconv.Itoa(100 + d)[1:])
			}
		}
	}
	list = append(list, "", "x", "2027", "2027-01", "2027-1-1", "2027-01-4", "12027-01-04", "-027-01-04", "2027-01-04 ", " 2027-01-04", "2027-01-04\n",
		"2027/01/04", "٢٠٢٧-01-04")
	conn := connect(t)
	same(t, conn, postgres.IsDate, list, func(s string) bool {
		_, err := time.Parse(time.DateOnly, s)
		return err == nil
	})
	var instants []string
	for _, date := range []string{"2027-01-04", "2028-02-29", "2027-02-29", "0000-01-01", "9999-12-31", "2027-00-01"} {
		for _, clock := range []string{
			"T00:00:00Z", "T23:59:59Z", "T24:00:00Z", "T09:60:00Z", "T09:00:60Z", "T09:00:00", "T09:00Z", " 09:00:00Z", "t09:00:00Z", "T09:00:00z",
			"T09:00:00.5Z", "T09:00:00.000000001Z", "T09:00:00.123456789Z", "T09:00:00.Z", "T09:00:00Z\n", "T09:00:00Zx", "T09:00:0٠Z",
		} {
			instants = append(instants, date+clock)
		}
	}
	same(t, conn, postgres.IsInstant, instants, func(s string) bool {
		_, err := time.Parse(time.RFC3339, s)
		return err == nil
	})
}

// same asks a regular expression about texts.
func same(t *testing.T, conn *pgx.Conn, pattern string, list []string, want func(s string) bool) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select v from unnest($1::text[]) v where v collate "C" ~ `+pattern, list)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, slices.DeleteFunc(list, func(s string) bool { return !want(s) }), got)
}

func TestSQLNeverFails(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	for i, v := range []string{
		`null`, `""`, `[]`, `{}`, `{"a": [1]}`, `[[]]`, `[null]`, `[1e400]`, `["a", {"b": 1}]`, `true`, `0`, `-0`, `1e400`, `-1e400`, `1e-400`, `-1e-400`,
		`1` + strings.Repeat("0", 5000), `0.` + strings.Repeat("0", 5000) + `1`, `"1e400"`, `"NaN"`, `"Infinity"`, `"infinity"`, `"now"`, `"epoch"`,
		`"0000-01-01"`, `"0000-02-30"`, `"9999-12-31"`, `"99999-12-31"`, `"2027-02-29"`, `"2027-01-04T25:00:00Z"`, `"0000-01-01T00:00:00Z"`,
		`"9999-12-31T23:59:59.999999999Z"`, `"2027-01-04T09:00:00+25:00"`, `"2027-01-04 BC"`, `"\\"`, `"%"`, `"'"`, `"$1"`, `"` + strings.Repeat("ß", 30_000) + `"`,
	} {
		id := "u_" + strconv.Itoa(i)
		mustExec(t, conn, `insert into users (id, properties, created_at, updated_at)
			select $1, jsonb_object_agg(name, $3::jsonb), now(), now() from unnest($2::text[]) name`, id, names, v)
		mustExec(t, conn, `insert into changes (user_id, property, new, at, source) select $1, name, $3::jsonb, now(), '' from unnest($2::text[]) name`, id, names, v)
		mustExec(t, conn, `insert into events (id, user_id, name, occurred_at, received_at, properties)
			values ($1, $1, 'login', now(), now(), jsonb_build_object('page', $2::jsonb))`, id, v)
	}
	now := time.Now()
	s := filter.Scope{Types: types, Zone: filter.OwnZone}
	zones := append([]string{"no such zone"}, zoneNames...)
	rapid.Check(t, func(r *rapid.T) {
		tree := filter.Tree{Any: rapid.SliceOfN(conditions(s, now), 30, 30).Draw(r, "conditions")}
		f, problems := filter.Compile(&tree, s)
		require.Empty(r, problems)
		tx, err := conn.Begin(t.Context())
		require.NoError(r, err)
		defer tx.Rollback(t.Context()) //nolint:errcheck // nothing is kept
		ask(t, r, tx, f, now, zones)
	})
}

// words are all that a statement is made of, besides parameters.
var words = strings.Fields(`
	select from where and or not exists case when then else end between in is null true false as order by desc limit offset any all collate
	users u properties changes c new at user_id property id events e name occurred_at enrollments p definition rejected ended_at status i value
	coalesce least greatest min left right rpad rtrim substr translate lower to_char abs octet_length jsonb_typeof jsonb_array_elements like
	time zone interval text bigint jsonb timestamptz numeric float8 "C"
	'' '[]' 'true' 'false' 'array' 'string' 'boolean' 'number' '{}' 'completed' 'time_zone' 'UTC' 'Z' '.' '-' '0' '0001' ':' 'T00:00:00Z' '02-29' '02-28'
	0 1 5 10 19 21 26 300 1.7976931348623157e308 5e-324
	( ) [ ] , . = < > <= >= <> ~ || :: -> ->> #>> ?| ?& <@ @? + - * `)

var wordPattern = regexp.MustCompile(`'[^']*'|"[^"]*"|\$\d+|[A-Za-z_]\w*|\d+(\.\d+)?(e-?\d+)?|[-#]?>>?|<[=>@]?|\|\||::|[?@][|&?]|>=|.`)

func TestWhatAnAuthorWritesIsAParameter(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{
		postgres.IsDate: true, postgres.IsInstant: true, "'YYYY-MM-DD\"T\"HH24:MI:SS.US'": true, "'26 hours'": true, "' '": true,
		`'strict $[*] ? (@.type() <> "string")'`: true, " ": true,
	}
	for _, word := range words {
		allowed[word] = true
	}
	now := time.Now()
	rapid.Check(t, func(r *rapid.T) {
		s := filter.Scope{Types: types, Event: true, Zone: zoneOf().Draw(r, "scope")}
		tree := someTree(4, s, now).Filter(valid(s)).Draw(r, "tree")
		f, _ := filter.Compile(&tree, s)
		a := &postgres.SQLArgs{}
		sql := postgres.CompileSQL(f, now, zoneNames, a) + " " + postgres.FlipSQL(f, now, zoneNames, a)
		for _, word := range wordPattern.FindAllString(sql, -1) {
			require.True(r, allowed[word] || strings.HasPrefix(word, "$") && len(word) > 1, "%q in %s", word, sql)
		}
		for i := range a.Values() {
			require.Contains(r, sql, "$"+strconv.Itoa(i+1)+"::")
		}
	})
}

func TestSQLTakesTheLargestFilters(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	mustExec(t, conn, `insert into users (id, properties, created_at, updated_at) values ('u_1', '{"title": "Żółw", "skills": ["s7"], "hired": "2027-01-04"}', now(), now())`)
	mustExec(t, conn, `insert into events (id, user_id, name, occurred_at, received_at) values ('1', 'u_1', 'login', '2028-01-03T12:00:00Z', now())`)
	mustExec(t, conn, `insert into changes (user_id, property, new, at, source) values ('u_1', 'title', '"Żółw"', '2028-01-03T12:00:00Z', '')`)
	mustExec(t, conn, `set statement_timeout = '10s'`) // what planning takes for hundreds of joins is minutes
	many := make([]any, 1000)
	for i := range many {
		many[i] = "sß" + strconv.Itoa(i)
	}
	long := strings.Repeat("Ω", 5000)
	require.Greater(t, len(long), utf8.RuneCountInString(long))
	var trees []filter.Tree
	once, never := 1, 0
	for i := range filter.MaxConditions / 10 {
		for _, c := range []filter.Condition{
			{Property: "title", Op: filter.NotContains, Value: many},
			{Property: "title", Op: filter.NotEquals, Value: long + strconv.Itoa(i)},
			{Property: "skills", Op: filter.NotAllOf, Value: many},
			{Property: "hired", Op: filter.After, Value: "now-" + strconv.Itoa(i+2) + "y/w", TimeZone: filter.OwnZone},
			{Property: "hired", Op: filter.Between, Value: []any{"now-90y", map[string]any{"property": "hired"}}, TimeZone: "Pacific/Apia"},
			{Event: "login", Op: filter.AtLeast, Count: &once, Within: strconv.Itoa(i+1) + "d"},
			{Event: "logout" + strconv.Itoa(i), Op: filter.AtMost, Count: &never},
			{Property: "title", Ever: true, Op: filter.Contains, Value: []any{"ŻÓŁW", strconv.Itoa(i)}},
			{Property: "title", Of: filter.ChangedAt, Op: filter.After, Value: "now-" + strconv.Itoa(i+1) + "d"},
			{Workflow: "welcome" + strconv.Itoa(i), Op: filter.NeverEnrolled},
		} {
			trees = append(trees, filter.Tree{Condition: &c})
		}
	}
	f, problems := filter.Compile(&filter.Tree{All: trees}, filter.Scope{Types: types})
	require.Empty(t, problems)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	answers, _ := ask(t, t, tx, f, time.Date(2028, 1, 4, 0, 0, 0, 0, time.UTC), zoneNames)
	require.True(t, answers[0].holds)
	require.NotNil(t, answers[0].flip)
}

func TestUsesOwnZones(t *testing.T) {
	t.Parallel()
	for tree, want := range map[string]bool{
		`{"property": "hired", "op": "before", "value": "now/d", "time_zone": "user"}`:                                true,
		`{"any": [{"not": {"property": "hired", "op": "on", "value": {"property": "leaves"}, "time_zone": "user"}}]}`: true,
		`{"property": "hired", "op": "before", "value": "now/d", "time_zone": "Europe/Warsaw"}`:                       false,
		`{"property": "hired", "op": "known", "time_zone": "user"}`:                                                   false,
		`{"property": "desks", "op": "at_least", "value": 3, "time_zone": "user"}`:                                    false,
	} {
		var parsed filter.Tree
		require.NoError(t, json.Unmarshal([]byte(tree), &parsed))
		f, problems := filter.Compile(&parsed, filter.Scope{Types: types})
		require.Empty(t, problems)
		require.Equal(t, want, postgres.UsesOwnZones(f), tree)
	}
}

func TestFlipsAreClose(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	mustExec(t, pool, `insert into users (id, properties, created_at, updated_at)
		values ('u_1', '{"seen_at": "2027-01-01T09:00:00.5Z", "hired": "2026-03-29", "time_zone": "America/New_York", "title": "x"}', now(), now())`)
	mustExec(t, pool, `insert into changes (user_id, property, new, at, source) values ('u_1', 'title', '"x"', '2027-01-02T10:00:00Z', '')`)
	mustExec(t, pool, `insert into events (id, user_id, name, occurred_at, received_at)
		values ('1', 'u_1', 'login', '2027-01-02T11:00:00Z', now()), ('2', 'u_1', 'login', '2027-01-03T12:00:00Z', now())`)
	now := time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)
	const second, days = time.Second, 24 * time.Hour
	for _, tt := range []struct {
		name, tree, want string
		early            time.Duration // at most
	}{
		{"an instant", `{"property": "seen_at", "op": "before", "value": "now-30d"}`, "2027-01-31T09:00:00.500001Z", second},
		{"an instant that has passed", `{"property": "seen_at", "op": "before", "value": "now-1d"}`, "", 0},
		{"a date", `{"property": "hired", "op": "before", "value": "now-365d", "time_zone": "user"}`, "2027-03-29T04:00:00.000001Z", 2 * days},
		{"a date at midnight", `{"property": "hired", "op": "before", "value": "now/d-1y", "time_zone": "user"}`, "2027-03-30T04:00:00Z", 10 * days},
		{"an anniversary", `{"property": "hired", "of": "anniversary", "op": "on", "value": "now/d", "time_zone": "user"}`, "2027-03-29T04:00:00Z", 10 * days},
		{"a change", `{"property": "title", "of": "changed_at", "op": "after", "value": "now-7d"}`, "2027-01-09T10:00:00Z", second},
		{"what ever was", `{"property": "title", "ever": true, "op": "equals", "value": "y"}`, "", 0},
		{"an event", `{"event": "login", "op": "at_least", "count": 2, "within": "7d"}`, "2027-01-09T11:00:00Z", 0},
		{"the newer event", `{"event": "login", "op": "at_most", "count": 0, "within": "7d"}`, "2027-01-10T12:00:00Z", 0},
		{"too few events", `{"event": "login", "op": "at_least", "count": 3, "within": "7d"}`, "", 0},
		{"the soonest of several", `{"any": [{"event": "login", "op": "at_least", "count": 2, "within": "7d"}, {"not": {"event": "login", "op": "at_least", "count": 2, "within": "3d"}}]}`, "2027-01-05T11:00:00Z", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var tree filter.Tree
			require.NoError(t, json.Unmarshal([]byte(tt.tree), &tree))
			f, problems := filter.Compile(&tree, filter.Scope{Types: types})
			require.Empty(t, problems)
			answers, sql := ask(t, t, pool, f, now, zoneNames)
			if tt.want == "" {
				require.Nil(t, answers[0].flip, sql)
				return
			}
			want, err := time.Parse(time.RFC3339Nano, tt.want)
			require.NoError(t, err)
			require.NotNil(t, answers[0].flip, sql)
			require.WithinRange(t, *answers[0].flip, want.Add(-tt.early), want, sql)
		})
	}
}
