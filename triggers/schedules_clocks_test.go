package triggers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClocksThatAreTurnedNeitherDropNorDoubleAFiring has a run for each firing over the days on which
// clocks are turned, whether somebody asks every half hour or once when all is over.
func TestClocksThatAreTurnedNeitherDropNorDoubleAFiring(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		schedule, from, until string
		want                  []string // nominal local time and the instant in UTC
	}{
		"gap in Warsaw": {
			`{"every": "day", "at": "02:30", "time_zone": "Europe/Warsaw"}`, "2024-03-30 00:00", "2024-04-01 12:00",
			[]string{"2024-03-30T02:30 = 2024-03-30 01:30", "2024-03-31T02:30 = 2024-03-31 01:00", "2024-04-01T02:30 = 2024-04-01 00:30"},
		},
		"fold in Warsaw": {
			`{"every": "day", "at": "02:30", "time_zone": "Europe/Warsaw"}`, "2024-10-26 00:00", "2024-10-28 12:00",
			[]string{"2024-10-26T02:30 = 2024-10-26 00:30", "2024-10-27T02:30 = 2024-10-27 00:30", "2024-10-28T02:30 = 2024-10-28 01:30"},
		},
		"gap on a Sunday": {
			`{"every": "week", "on": ["sunday"], "at": "02:30", "time_zone": "Europe/Warsaw"}`, "2024-03-30 00:00", "2024-04-02 00:00",
			[]string{"2024-03-31T02:30 = 2024-03-31 01:00"},
		},
		"fold on the last Sunday of the month": {
			`{"every": "month", "on": ["last sunday"], "at": "02:00", "time_zone": "Europe/Warsaw"}`, "2024-10-26 00:00", "2024-10-28 12:00",
			[]string{"2024-10-27T02:00 = 2024-10-27 00:00"},
		},
		"gap at midnight in Havana": {
			`{"every": "day", "at": "00:30", "time_zone": "America/Havana"}`, "2024-03-09 00:00", "2024-03-11 12:00",
			[]string{"2024-03-09T00:30 = 2024-03-09 05:30", "2024-03-10T00:30 = 2024-03-10 05:00", "2024-03-11T00:30 = 2024-03-11 04:30"},
		},
		"fold at midnight in Havana": {
			`{"every": "day", "at": "00:30", "time_zone": "America/Havana"}`, "2024-11-02 00:00", "2024-11-04 12:00",
			[]string{"2024-11-02T00:30 = 2024-11-02 04:30", "2024-11-03T00:30 = 2024-11-03 04:30", "2024-11-04T00:30 = 2024-11-04 05:30"},
		},
		"gap of half an hour on Lord Howe": {
			`{"every": "day", "at": "02:15", "time_zone": "Australia/Lord_Howe"}`, "2024-10-04 00:00", "2024-10-06 18:00",
			[]string{"2024-10-05T02:15 = 2024-10-04 15:45", "2024-10-06T02:15 = 2024-10-05 15:30", "2024-10-07T02:15 = 2024-10-06 15:15"},
		},
		"date that Samoa skipped": {
			`{"every": "day", "at": "09:00", "time_zone": "Pacific/Apia"}`, "2011-12-29 00:00", "2011-12-31 00:00",
			[]string{"2011-12-29T09:00 = 2011-12-29 19:00", "2011-12-30T09:00 = 2011-12-30 10:00", "2011-12-31T09:00 = 2011-12-30 19:00"},
		},
		"two at one instant, where Samoa skipped a date": {
			`{"every": "day", "at": "00:00", "time_zone": "Pacific/Apia"}`, "2011-12-29 12:00", "2011-12-31 12:00",
			[]string{"2011-12-30T00:00 = 2011-12-30 10:00", "2011-12-31T00:00 = 2011-12-30 10:00", "2012-01-01T00:00 = 2011-12-31 10:00"},
		},
	} {
		for _, often := range []bool{true, false} {
			t.Run(fmt.Sprint(name, map[bool]string{true: ", asked often", false: ", asked once"}[often]), func(t *testing.T) {
				t.Parallel()
				o := newOffice(t)
				from, until := inUTC(t, c.from), inUTC(t, c.until)
				o.turn(until)
				o.publish("w", on(c.schedule, ""))
				o.exec(`update schedules set accounted = $1, live_from = $1`, from)
				if often {
					for at := from; at.Before(until); at = at.Add(30 * time.Minute) {
						o.turn(at)
						o.open("w")
						require.NoError(t, o.account(o.ctx))
					}
					o.turn(until)
				}

				o.open("w")

				require.Equal(t, c.want, o.texts(`
					select nominal || ' = ' || to_char(due_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') from runs order by due_at, nominal`))
				if often {
					require.Zero(t, o.count(`select count(*) from runs where status = 'missed'`))
				}
			})
		}
	}
}

func TestScheduleReadsTheZoneOfItsWorkflowWhereItHasNone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.turn(inUTC(t, "2024-06-30 12:00"))
	o.publish("workflow", `"time_zone": "Asia/Tokyo", `+on(daily("09:30"), ""))
	o.publish("own", `"time_zone": "Asia/Tokyo", `+on(`{"every": "day", "at": "09:30", "time_zone": "America/New_York"}`, ""))
	o.publish("user", `"time_zone": "user", `+on(`{"every": "day", "at": "09:30", "time_zone": "America/New_York"}`, ""))
	o.pass(day + 2*time.Hour)

	for _, name := range []string{"workflow", "own", "user"} {
		o.open(name)
	}

	due := func(name string) time.Time { return o.runs(name)[0].DueAt.UTC() }
	require.Equal(t, inUTC(t, "2024-07-01 00:30"), due("workflow"))
	require.Equal(t, inUTC(t, "2024-06-30 13:30"), due("own"))
	require.Equal(t, inUTC(t, "2024-06-30 13:30"), due("user"))
}
