package postgres_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

const manyUsers = `
	insert into users (id, properties, created_at, updated_at)
	select 'u_' || i, jsonb_build_object(
		'first_name', 'Ada' || i, 'last_name', 'Lovelace' || i, 'email', 'ada' || i || '@example.com', 'phone', '+48 600 ' || i,
		'job_title', (array['Head of Support', 'Sales Manager', 'Engineer', 'Élève ingénieur', 'Contractor'])[1 + i % 5],
		'time_zone', (array['Europe/Warsaw', 'America/New_York', 'Asia/Tokyo', 'UTC'])[1 + i % 4], 'language', 'en', 'working_hours', '9-17',
		'skills', jsonb_build_array('s' || i % 7, 's' || i % 11, 's' || i % 13),
		'hire_date', to_char(date '2010-01-01' + i % 6000, 'YYYY-MM-DD'), 'start_date', to_char(date '2010-02-01' + i % 6000, 'YYYY-MM-DD'),
		'main_team', 'team' || i % 40, 'teams', jsonb_build_array('team' || i % 40, 'team' || i % 37), 'manager', 'u_' || i / 10, 'status', 'active',
		'access', 'full', 'permission_sets', jsonb_build_array('p' || i % 5), 'seats', jsonb_build_array('core'), 'super_admin', i % 100 = 0,
		'invite_status', (array['accepted', 'pending', 'bounced'])[1 + i % 3], 'email_status', 'connected', 'calendar_status', 'connected',
		'last_active_at', to_char(timestamp '2027-01-04' - i % 80 * interval '1 day 7 minutes', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
		'scheduling_pages', i % 9, 'availability', 'available'), now(), now()
	from generate_series(1, 100000) i`

// BenchmarkPreview100k counts those of 100,000 users whom a filter holds for.
func BenchmarkPreview100k(b *testing.B) {
	conn := connect(b)
	mustExec(b, conn, manyUsers)
	mustExec(b, conn, `insert into events (id, user_id, name, occurred_at, received_at, properties)
		select i, 'u_' || 1 + i % 100000, (array['login', 'survey', 'login'])[1 + i % 3], timestamp '2027-01-04' - i % 30 * interval '1 day', now(), '{"page": "home", "n": 7}'
		from generate_series(1, 500000) i`)
	mustExec(b, conn, `insert into changes (user_id, property, new, at, source)
		select u.id, p.key, p.value, timestamp '2027-01-04' - length(u.id) * interval '3 days', 'api'
		from users u, jsonb_each(u.properties) p where p.key in ('main_team', 'status', 'job_title', 'teams', 'invite_status')`)
	for _, table := range []string{"users", "events", "changes"} {
		mustExec(b, conn, "vacuum analyze "+table)
	}
	schema := automation.Properties{}
	for _, p := range automation.BuiltInProperties() {
		schema[p.Name] = p
	}
	now := time.Date(2027, 1, 4, 9, 30, 0, 123456000, time.UTC)
	for _, tt := range []struct{ name, tree string }{
		{"nothing", `{"property": "no_such", "op": "known"}`},
		{"enum", `{"property": "main_team", "op": "any_of", "value": ["team1", "team7"]}`},
		{"enum negative", `{"property": "main_team", "op": "none_of", "value": ["team1", "team7"]}`},
		{"mixed", `{"all": [
			{"property": "teams", "op": "any_of", "value": ["team1", "team2", "team3", "team4", "team5", "team6", "team7", "team8"]},
			{"any": [
				{"property": "last_active_at", "op": "before", "value": "now-30d"},
				{"property": "calendar_status", "op": "equals", "value": "disconnected"}]},
			{"not": {"property": "job_title", "op": "contains", "value": "contractor"}},
			{"property": "scheduling_pages", "op": "at_least", "value": 3}]}`},
		{"mixed, each asked of all", `{"any": [
			{"property": "teams", "op": "all_of", "value": ["nobody", "else"]},
			{"property": "last_active_at", "op": "after", "value": "now+30d"},
			{"property": "calendar_status", "op": "equals", "value": "disconnected"},
			{"property": "job_title", "op": "contains", "value": "no such title"},
			{"property": "scheduling_pages", "op": "at_least", "value": 30}]}`},
		{"text contains", `{"property": "job_title", "op": "contains", "value": "support"}`},
		{"text contains, beyond ASCII", `{"property": "job_title", "op": "contains", "value": "ÉLÈVE"}`},
		{"text not_contains any of four", `{"property": "job_title", "op": "not_contains", "value": ["contractor", "intern", "kiosk", "żak"]}`},
		{"number", `{"property": "scheduling_pages", "op": "between", "value": [2, 4]}`},
		{"known", `{"property": "manager", "op": "known"}`},
		{"list none_of", `{"property": "teams", "op": "none_of", "value": ["team1", "team2"]}`},
		{"date math on an instant", `{"property": "last_active_at", "op": "before", "value": "now-30d"}`},
		{"date math in each user's zone", `{"property": "hire_date", "op": "after", "value": "now/d-1y", "time_zone": "user"}`},
		{"date before another", `{"property": "hire_date", "op": "before", "value": {"property": "start_date"}}`},
		{"anniversary", `{"property": "hire_date", "of": "anniversary", "op": "between", "value": ["now/d", "now/d+7d"]}`},
		{"event", `{"event": "login", "op": "at_least", "count": 2, "within": "7d"}`},
		{"event with a property", `{"event": "login", "op": "at_most", "count": 0, "where": {"event_property": "page", "op": "equals", "value": "HOME"}}`},
		{"ever", `{"property": "main_team", "ever": true, "op": "any_of", "value": ["team1", "team2"]}`},
		{"changed", `{"property": "main_team", "of": "changed_at", "op": "after", "value": "now-15d"}`},
	} {
		b.Run(tt.name, func(b *testing.B) {
			s := schema.Scope(false, "")
			s.Types["no_such"] = filter.String
			var tree filter.Tree
			require.NoError(b, json.Unmarshal([]byte(tt.tree), &tree))
			f, problems := filter.Compile(&tree, s)
			require.Empty(b, problems)
			zones := []string{"Europe/Warsaw", "America/New_York", "Asia/Tokyo", "UTC"}
			count := 0
			for b.Loop() {
				a := &postgres.SQLArgs{}
				sql := "select count(*) from users u where " + postgres.CompileSQL(f, now, zones, a)
				require.NoError(b, conn.QueryRow(b.Context(), sql, append([]any{pgx.QueryExecModeDescribeExec}, a.Values()...)...).Scan(&count))
			}
			b.ReportMetric(float64(count), "users")
		})
	}
}
