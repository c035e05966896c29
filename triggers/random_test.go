package triggers_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// manyFilters ask about everything that a filter can ask about.
var manyFilters = map[string]string{
	"title":       titled,
	"no_lead":     `{"property": "job_title", "op": "not_contains", "value": "lead", "if_empty": true}`,
	"inactive":    inactive,
	"past_month":  pastMonth,
	"coming":      `{"property": "start_date", "op": "between", "value": ["now/d", "now/d+14d"]}`,
	"started":     `{"property": "start_date", "op": "before", "value": "now/d", "time_zone": "user"}`,
	"first_day":   `{"property": "start_date", "op": "on", "value": "now/d", "time_zone": "user"}`,
	"this_week":   `{"property": "hire_date", "of": "anniversary", "op": "on", "value": "now/w", "time_zone": "America/Lima"}`,
	"other_date":  `{"property": "start_date", "op": "after", "value": {"property": "hire_date"}}`,
	"pages":       `{"property": "scheduling_pages", "op": "between", "value": [1, 2]}`,
	"teams":       `{"property": "teams", "op": "all_of", "value": ["sales", "support"]}`,
	"no_team":     `{"property": "teams", "op": "none_of", "value": ["sales"], "if_empty": true}`,
	"busy":        `{"event": "login", "op": "at_least", "count": 2, "within": "7d"}`,
	"idle":        `{"event": "login", "op": "at_most", "count": 0, "within": "14d"}`,
	"pro":         `{"event": "login", "op": "at_least", "count": 2, "where": {"event_property": "plan", "op": "equals", "value": "pro"}}`,
	"settled":     `{"property": "job_title", "of": "changed_at", "op": "before", "value": "now-10d"}`,
	"fresh":       `{"property": "teams", "of": "changed_at", "op": "after", "value": "now-5d"}`,
	"ever":        `{"property": "job_title", "op": "contains", "value": "lead", "ever": true}`,
	"ever_sales":  `{"property": "teams", "op": "any_of", "value": ["sales"], "ever": true}`,
	"entered":     `{"workflow": "other", "op": "enrolled"}`,
	"inside":      `{"workflow": "other", "op": "active"}`,
	"passed":      `{"workflow": "other", "op": "completed"}`,
	"never":       `{"workflow": "other", "op": "never_enrolled"}`,
	"deactivated": `{"event": "user.deactivated", "op": "at_least", "count": 1, "within": "30d"}`,
	"any": `{"any": [` + pastMonth + `, {"all": [{"not": ` + titled + `}, {"event": "login", "op": "at_least", "count": 1, "within": "3d"}]},
		{"workflow": "other", "op": "active"}]}`,
	"all": `{"all": [{"not": {"property": "last_active_at", "op": "after", "value": "now-7d"}}, {"property": "status", "op": "equals", "value": "active"},
		{"any": [{"property": "start_date", "op": "before", "value": "now/M"}, {"event": "login", "op": "at_most", "count": 1, "within": "7d"}]}]}`,
}

// world is random users and what happens to them.
type world struct {
	*bundle
	*rand.Rand
	users []string
}

func newWorld(t *testing.T, users int) *world {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &world{bundle: newBundleOnMonday(t), Rand: rand.New(rand.NewPCG(seed, 0))}
	w.publish("other", `"triggers": [{"manual": true}]`+again)
	each(users, func(id string) {
		w.users = append(w.users, id)
		w.put(id, w.properties())
	})
	w.settle()
	return w
}

func pick[T any](w *world, list ...T) T { return list[w.IntN(len(list))] }

// properties are some that change; nil clears one.
func (w *world) properties() map[string]any {
	date := func() any {
		return pick[any](w, nil, w.now().AddDate(-w.IntN(3), 0, w.IntN(50)-25).Format(time.DateOnly))
	}
	all := map[string]func() any{
		"job_title":        func() any { return pick[any](w, nil, "Lead", "Agent", "Team lead") },
		"teams":            func() any { return pick[any](w, nil, []any{"sales"}, []any{"sales", "support"}, []any{"support"}) },
		"scheduling_pages": func() any { return pick[any](w, nil, 0.0, 1.5, 2.0, 7.0) },
		"status":           func() any { return pick[any](w, "active", "active", "deactivated") },
		"time_zone":        func() any { return pick[any](w, nil, "Asia/Tokyo", "America/Lima", "Pacific/Apia") },
		"last_active_at":   func() any { return pick[any](w, nil, w.instant(-time.Duration(w.IntN(40*24))*time.Hour)) },
		"start_date":       date,
		"hire_date":        date,
	}
	some := map[string]any{}
	for name, value := range all { // in any order: the draws need not be repeatable one by one
		if w.IntN(3) == 0 {
			some[name] = value()
		}
	}
	return some
}

// happens lets something happen to a user.
func (w *world) happens(user string) {
	w.t.Helper()
	switch w.IntN(6) {
	case 0, 1:
		w.put(user, w.properties())
	case 2, 3:
		w.send(automation.Event{
			Name: "login", UserID: user, OccurredAt: w.now().Add(-time.Duration(w.IntN(3*24)) * time.Hour),
			Properties: map[string]any{"plan": pick(w, "pro", "free")},
		})
	case 4:
		if _, _, err := w.db.Enroll(w.ctx, "other", user); err != nil {
			require.ErrorIs(w.t, err, automation.ErrAlreadyEnrolled)
		}
	default:
		if w.IntN(2) == 0 {
			w.finish("other", user)
			return
		}
		for _, id := range w.texts(`select id::text from enrollments where definition = 'other' and user_id = $1 and ended_at is null`, user) {
			_, _, err := w.db.Unenroll(w.ctx, id, "by hand", "")
			require.NoError(w.t, err)
		}
	}
}

// filter compiles a filter as a definition without a time zone has it.
func (w *world) filter(text string) *filter.Filter {
	w.t.Helper()
	schema, err := w.db.Properties(w.ctx)
	require.NoError(w.t, err)
	f, problems := filter.Compile(w.tree(text), schema.Scope(false, ""))
	require.Empty(w.t, problems)
	return f
}

func (b *bundle) tree(text string) *filter.Tree {
	b.t.Helper()
	var tree filter.Tree
	require.NoError(b.t, json.Unmarshal([]byte(text), &tree))
	return &tree
}

// subjects are all users as they are at this moment, with all of their pasts.
func (w *world) subjects() map[string]filter.Subject {
	w.t.Helper()
	subjects := map[string]filter.Subject{}
	read := func(sql string, into []any, row func()) {
		rows, err := w.raw.Query(w.ctx, sql)
		require.NoError(w.t, err)
		defer rows.Close()
		for rows.Next() {
			require.NoError(w.t, rows.Scan(into...))
			row()
		}
		require.NoError(w.t, rows.Err())
	}
	var id, name, status string
	var at time.Time
	var properties map[string]any
	var value any
	read(`select id, properties from users`, []any{&id, &properties}, func() {
		past := &filter.Past{Changes: map[string][]filter.Change{}, Events: map[string][]filter.Event{}, Workflows: map[string]filter.Passage{}}
		subjects[id] = filter.Subject{User: properties, Now: w.now(), Past: past}
		properties = nil
	})
	read(`select user_id, property, new, at from changes order by id`, []any{&id, &name, &value, &at}, func() {
		past := subjects[id].Past
		past.Changes[name] = append(past.Changes[name], filter.Change{At: at, New: value})
		value = nil
	})
	read(`select user_id, name, occurred_at, properties from events order by occurred_at desc`, []any{&id, &name, &at, &properties}, func() {
		past := subjects[id].Past
		past.Events[name] = append(past.Events[name], filter.Event{At: at, Properties: properties})
		properties = nil
	})
	read(`select user_id, definition, status from enrollments`, []any{&id, &name, &status}, func() {
		p := subjects[id].Past.Workflows[name]
		p.Enrolled = true
		p.Active = p.Active || automation.EnrollmentStatus(status).Live()
		p.Completed = p.Completed || status == string(automation.Completed)
		subjects[id].Past.Workflows[name] = p
	})
	return subjects
}

// standings are the memberships, by definition and user.
func (w *world) standings() map[string]postgres.Standing {
	w.t.Helper()
	all := map[string]postgres.Standing{}
	rows, err := w.raw.Query(w.ctx, `
		select m.definition, user_id, holds, due from memberships m join versions v on v.definition = m.definition and v.number = m.version
		where v.live_until is null`)
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var definition, user string
		var s postgres.Standing
		var due *time.Time
		require.NoError(w.t, rows.Scan(&definition, &user, &s.Holds, &due))
		if due != nil {
			s.Due = due.UTC()
		}
		all[definition+" "+user] = s
	}
	require.NoError(w.t, rows.Err())
	return all
}

// requireStandings requires that each membership is what its filter answers, and that the clock rings
// in time for it.
func (w *world) requireStandings(filters map[string]*filter.Filter) {
	w.t.Helper()
	standings, subjects := w.standings(), w.subjects()
	for name, f := range filters {
		for user, s := range subjects {
			standing := standings[name+" "+user]
			what := fmt.Sprintf("filter %s, user %s: %v at %s", name, user, s.User, s.Now)
			require.Equal(w.t, f.Match(s), standing.Holds, what)
			flip, flips := f.NextFlip(s)
			if flips {
				require.False(w.t, standing.Due.IsZero(), what)
				require.False(w.t, standing.Due.After(flip), "%s: rings at %s, flips at %s", what, standing.Due, flip)
			}
			if !standing.Due.IsZero() {
				require.False(w.t, standing.Due.Before(s.Now), what)
			}
		}
	}
}
