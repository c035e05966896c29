package triggers_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// office is a bundle whose schedules fire when its time, which is turned by hand, says so, and when
// somebody asks for what is due. It opens on Monday, 2024-01-01, at 09:00 in UTC.
type office struct{ *bundle }

func newOffice(tb testing.TB) office {
	tb.Helper()
	return office{newBundleOnMonday(tb)}
}

// daily is a schedule, as it stands in a definition, for a time of each day in UTC.
func daily(at string) string { return `{"every": "day", "at": "` + at + `"}` }

// on is the head of a definition with one schedule; more is what stands beside the schedule in its trigger.
func on(schedule, more string) string {
	return `"triggers": [{"schedule": ` + schedule + more + `}]`
}

// inUTC is an instant as tests write it, such as 2024-01-02 09:00.
func inUTC(tb testing.TB, text string) time.Time {
	tb.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	require.NoError(tb, err)
	return at
}

// turn brings the time to an instant.
func (o office) turn(at time.Time) { o.time.Store(&at) }

// open makes runs of what is due now of the only schedule of a definition, and returns how many it made.
func (o office) open(definition string) int {
	o.t.Helper()
	n, err := o.db.OpenDue(o.ctx, definition, 0, o.now(), "")
	require.NoError(o.t, err)
	return n
}

// account makes runs of all that is due by now and was not accounted for, as the scheduler does.
func (o office) account(ctx context.Context) error {
	by := o.now()
	due, err := o.db.DueSchedules(ctx, by)
	if err != nil {
		return err
	}
	for _, r := range due {
		if _, err := o.db.OpenDue(ctx, r.Definition, r.Trigger, by, ""); err != nil {
			return err
		}
	}
	return nil
}

// runs lists the runs of a definition in the order in which they were due.
func (o office) runs(definition string) []postgres.Run {
	o.t.Helper()
	runs, err := o.db.Runs(o.ctx, definition, nil, 10_000)
	require.NoError(o.t, err)
	slices.SortStableFunc(runs, func(a, b postgres.Run) int { return a.DueAt.Compare(*b.DueAt) })
	return runs
}

// firings says of each run of a definition which firing of which version it is, and how it stands.
func (o office) firings(definition string) []string {
	o.t.Helper()
	runs := o.runs(definition)
	list := make([]string, len(runs))
	for i, r := range runs {
		list[i] = fmt.Sprintf("%s v%d %s", *r.Nominal, r.Version, r.Status)
	}
	return list
}

// only is the one run of a definition.
func (o office) only(definition string) *postgres.Run {
	o.t.Helper()
	runs := o.runs(definition)
	require.Len(o.t, runs, 1)
	return &runs[0]
}

// summoned lists whom a run concerns and has not been decided.
func (o office) summoned(run string) []string {
	o.t.Helper()
	return o.texts(`select user_id from run_users where run_id = $1 order by 1`, run)
}

// dates declares a property of the type date.
func (o office) dates(name string) {
	o.t.Helper()
	_, err := o.db.PutProperty(o.ctx, automation.Property{Name: name, Label: name, Type: filter.Date, Group: "custom"})
	require.NoError(o.t, err)
}

// decidedOf is how many users a run has decided.
func decidedOf(r *postgres.Run) int {
	n := r.Enrolled + r.Held
	for _, skipped := range r.Skipped {
		n += skipped
	}
	return n
}
