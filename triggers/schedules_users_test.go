package triggers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

func TestFiringConcernsThoseForWhomItsFilterHoldsAtThatMoment(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	titles := map[string]any{
		"u_driver": "driver", "u_none": nil, "u_pilot": "pilot", "u_later": "pilot", "u_second": "Driver of trains", "u_third": "bus driver",
	}
	for id, title := range titles {
		o.put(id, map[string]any{"job_title": title})
	}
	o.publish("w", on(daily("09:30"), `, "where": {"property": "job_title", "op": "contains", "value": "driver"}`))
	o.publish("all", on(daily("09:30"), ""))
	o.pass(time.Hour)
	o.put("u_later", map[string]any{"job_title": "driver"}) // after it was due, and before anybody asked

	o.open("w")
	o.open("all")

	o.put("u_driver", map[string]any{"job_title": "pilot"})
	o.put("u_new", map[string]any{"job_title": "driver"})
	r := o.only("w")
	require.Equal(t, 4, r.Matched)
	require.Equal(t, []string{"u_driver", "u_later", "u_second", "u_third"}, o.summoned(r.ID))
	r = o.run(r)
	require.Equal(t, []any{postgres.RunCompleted, 4, 4}, []any{r.Status, r.Matched, r.Enrolled})
	require.Empty(t, r.Skipped)
	require.Equal(t, []string{"u_driver", "u_later", "u_second", "u_third"}, o.inside("w"))
	require.Empty(t, o.summoned(r.ID), "who is decided is noted no more")
	require.Equal(t, []string{"enrolled"}, o.outcomes("w", "u_driver"))
	require.Equal(t, []string{"schedule"}, o.texts(`select distinct trigger from enrollments where definition = 'w'`))
	all := o.run(o.only("all"))
	require.Equal(t, []int{6, 6}, []int{all.Matched, all.Enrolled})
}

func TestFilterOfAFiringReadsTheTimeOfTheFiring(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.dates("last_seen")
	for d := 20; d <= 31; d++ {
		o.put(fmt.Sprintf("u_%d", d), map[string]any{"last_seen": fmt.Sprintf("2023-12-%d", d)})
	}
	o.publish("w", on(daily("10:00"), `, "where": {"property": "last_seen", "op": "before", "value": "now-7d"}`))

	for range 3 {
		o.pass(day)
		o.open("w")
		o.run(&o.runs("w")[len(o.runs("w"))-1])
	}

	var counts []int
	for _, r := range o.runs("w") {
		counts = append(counts, r.Matched)
	}
	// At 09:00 on 2, 3 and 4 January, for the firings of the days before: seven days ago it was 26, 27, 28
	// December, which had begun.
	require.Equal(t, []int{7, 8, 9}, counts)
	require.Equal(t, []string{"u_20", "u_21", "u_22", "u_23", "u_24", "u_25", "u_26", "u_27", "u_28"}, o.inside("w"), "a workflow enrolls once")
}

// TestDatesOnTheRecordConcernWhomTheirDomainSays compares the SQL of a firing with automation's own
// answer, for users with each date of some years and with values that are no dates.
func TestDatesOnTheRecordConcernWhomTheirDomainSays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.dates("hired")
	var values []string
	for _, year := range []int{1899, 1900, 1996, 2000, 2019, 2020, 2023, 2024, 2025} {
		for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
			values = append(values, d.Format(time.DateOnly))
		}
	}
	values = append(values, "2023-02-29", "2024-02-30", "2024-13-01", "24-02-29", "2024-02-29T00:00:00Z", "today", "", "x2024-02-29", "-02-29", "02-29")
	o.exec(`insert into users (id, properties, created_at, updated_at)
		select 'u_' || v, jsonb_build_object('status', 'active', 'hired', v), now(), now() from unnest($1::text[]) v`, values)
	o.exec(`insert into users (id, properties, created_at, updated_at) values
		('n_number', '{"hired": 20240229}', now(), now()), ('n_null', '{"hired": null}', now(), now()),
		('n_none', '{}', now(), now()), ('n_list', '{"hired": ["2024-02-29"]}', now(), now())`)
	for i, c := range []struct {
		schedule string
		days     []string
		users    []int // how many it concerns on each day
	}{
		{`"yearly": true`, []string{"2024-01-16", "2024-02-28", "2024-02-29", "2023-02-28", "2023-03-01", "2024-12-31"}, []int{9, 9, 4, 13, 9, 9}},
		{`"yearly": true, "skip_missing": true`, []string{"2024-02-28", "2024-02-29", "2023-02-28", "2023-03-01"}, []int{9, 4, 9, 9}},
		{`"yearly": true, "offset": "-7d"`, []string{"2024-02-21", "2024-02-22", "2023-02-21", "2023-02-22", "2024-12-30"}, []int{9, 4, 13, 9, 9}},
		{`"yearly": true, "offset": "1d"`, []string{"2024-02-29", "2024-03-01", "2023-03-01", "2024-01-01"}, []int{9, 4, 13, 9}},
		{`"yearly": true, "offset": "366d"`, []string{"2024-02-29", "2025-03-01", "2024-03-01"}, []int{13, 4, 9}},
		{`"yearly": true, "offset": "-366d", "skip_missing": true`, []string{"2023-02-28", "2022-02-27", "2022-02-28"}, []int{4, 9, 9}},
		{``, []string{"2024-02-29", "2024-02-28", "2023-02-28", "2022-05-05"}, []int{1, 1, 1, 0}},
		{`"offset": "-7d"`, []string{"2024-02-22", "2023-12-25", "2022-12-25", "2022-12-24"}, []int{1, 1, 1, 0}},
		{`"offset": "30d"`, []string{"2024-03-30", "2024-01-30", "2023-01-30"}, []int{1, 1, 0}},
	} {
		name, extra := fmt.Sprintf("dates-%d", i), ""
		if c.schedule != "" {
			extra = ", " + c.schedule
		}
		o.turn(inUTC(t, "2021-01-01 00:00"))
		p := o.publish(name, on(`{"property": "hired", "at": "09:00"`+extra+`}`, ""))
		version, err := o.db.Published(o.ctx, name, p.Version)
		require.NoError(t, err)
		schedule := version.Triggers[0].Schedule
		for j, onDay := range c.days {
			due := inUTC(t, onDay+" 09:00")
			o.turn(due)
			o.exec(`update schedules set accounted = $2 where definition = $1`, name, due.Add(-time.Second))
			require.Equal(t, 1, o.open(name), onDay)
			r := o.runs(name)[0]
			for _, other := range o.runs(name) {
				if strings.HasPrefix(*other.Nominal, onDay) {
					r = other
				}
			}
			want := []string{}
			for _, v := range values {
				if schedule.Matches(v, onDay) {
					want = append(want, "u_"+v)
				}
			}
			require.ElementsMatch(t, want, o.summoned(r.ID), "%s on %s", schedule, onDay)
			require.Equal(t, c.users[j], r.Matched, "%s on %s", schedule, onDay)
		}
	}
}

func TestDateOnTheRecordAndFilterBothMustHold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.dates("hired")
	o.put("u_both", map[string]any{"hired": "2020-01-09", "job_title": "driver"})
	o.put("u_date", map[string]any{"hired": "2020-01-09", "job_title": "pilot"})
	o.put("u_title", map[string]any{"hired": "2020-01-10", "job_title": "driver"})
	o.put("u_none", map[string]any{"job_title": "driver"})
	o.publish("w", on(`{"property": "hired", "yearly": true, "offset": "-7d", "at": "09:30"}`,
		`, "where": {"property": "job_title", "op": "equals", "value": "driver"}`))
	o.pass(day + 30*time.Minute) // until 2 January

	require.Equal(t, 2, o.open("w"), "it fires every day, also for nobody")

	first, second := o.runs("w")[0], o.runs("w")[1]
	require.Zero(t, first.Matched)
	require.Equal(t, []string{"u_both"}, o.summoned(second.ID))
	r := o.run(&first)
	require.Equal(t, []any{postgres.RunCompleted, 1.0}, []any{r.Status, r.Done()})
	require.Equal(t, 1, o.run(&second).Enrolled)
	require.Equal(t, []string{"u_both"}, o.inside("w"))
}

func TestEverybodyWhomAFiringConcernsIsEnrolledOrSkippedForAReason(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 3, 1000} {
		t.Run(fmt.Sprint("in steps of ", limit), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.leads(12)
			const unless = `, "enroll": {"unless": {"property": "phone", "op": "known"}}, "unenroll": {"when": {"property": "main_team", "op": "known"}}, "guard": {"max_per_hour": 5}`
			o.publish("w", on(daily("09:30"), "")+unless)
			o.enroll("w", "u_001") // is in
			o.enroll("w", "u_002")
			o.finish("w", "u_002") // was in
			o.pass(day)
			o.open("w")
			o.put("u_003", map[string]any{"phone": "123"})
			o.put("u_004", map[string]any{"main_team": "support"})
			for _, id := range []string{"u_005", "u_011"} {
				require.NoError(t, o.db.DeleteUser(o.ctx, id, "test"))
			}

			r := o.only("w")
			require.Equal(t, 12, r.Matched)
			for r.EndedAt == nil {
				s := o.step(r, limit)
				require.LessOrEqual(t, decidedOf(&s.Run), 12)
				r = &s.Run
			}

			require.Equal(t, []int{12, 5, 1, 12}, []int{r.Matched, r.Enrolled, r.Held, decidedOf(r)})
			require.Equal(t, map[string]int{
				"already enrolled": 1, "enrolled before, and the workflow enrolls once": 1,
				"suppressed: enroll.unless holds": 1, "unenroll.when holds": 1, "the user was deleted": 2,
			}, r.Skipped)
			require.Equal(t, []string{"u_000", "u_001", "u_006", "u_007", "u_008", "u_009", "u_010"}, o.inside("w"))
			require.Equal(t, 1.0, r.Done())
			n, err := o.db.Approve(o.ctx, "w", nil)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			orders, err := o.db.RunsToStart(o.ctx, 100, time.Minute, time.Minute)
			require.NoError(t, err)
			require.Len(t, orders, 6, "those of the run, also the one that was approved")
		})
	}
}

func TestFiringGoesOnBehindUsersWhoWereDeletedInBetween(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(10)
	o.publish("w", on(daily("09:30"), ""))
	o.pass(time.Hour)
	o.open("w")
	for _, id := range []string{"u_000", "u_001", "u_002", "u_005", "u_006", "u_007"} {
		require.NoError(t, o.db.DeleteUser(o.ctx, id, "test"))
	}

	r := o.run(o.only("w")) // three at a time: nobody is left of the first three

	require.Equal(t, []string{"u_003", "u_004", "u_008", "u_009"}, o.inside("w"))
	require.Equal(t, []any{4, map[string]int{"the user was deleted": 6}}, []any{r.Enrolled, r.Skipped})
}

func TestWhoIsConcernedByTwoFiringsIsEnrolledAsOftenAsTheWorkflowSays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(2)
	o.publish("once", on(daily("09:30"), ""))
	o.publish("again", on(daily("09:30"), "")+again)
	for d := range 3 {
		o.pass(day)
		for _, name := range []string{"once", "again"} {
			require.Equal(t, 1, o.open(name))
			runs := o.runs(name)
			o.run(&runs[d])
			if d > 0 {
				each(2, func(id string) { o.finish(name, id) })
			}
		}
	}
	require.Equal(t, []string{"completed"}, o.passages("once", "u_000"))
	require.Equal(t, []string{"enrolled", "refused: already enrolled", "refused: enrolled before, and the workflow enrolls once"}, o.outcomes("once", "u_000"))
	require.Equal(t, []string{"completed", "completed"}, o.passages("again", "u_000"))
	require.Equal(t, []string{"enrolled", "refused: already enrolled", "enrolled"}, o.outcomes("again", "u_000"))
}

func TestEnrollmentsOfRunsWaitInALaneOfTheirOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(10)
	o.publish("run", on(daily("09:30"), ""))
	o.publish("single", `"triggers": [{"event": "signed_up"}]`)
	o.pass(time.Hour)
	o.open("run")
	o.run(o.only("run"))
	o.event("e_1", "signed_up", "u_003")
	o.drain()
	o.pass(10 * time.Second)

	orders, err := o.db.ToStart(o.ctx, 100, time.Second, time.Minute)

	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, "single", orders[0].Definition)
	take := func(limit int) int {
		list, err := o.db.RunsToStart(o.ctx, limit, time.Minute, 2*time.Minute)
		require.NoError(t, err)
		for _, order := range list {
			require.Equal(t, "run", order.Definition)
		}
		require.NoError(t, o.db.MarkHanded(o.ctx, list[:len(list)/2])) // the rest fails
		return len(list)
	}
	require.Equal(t, []int{4, 6, 0}, []int{take(4), take(100), take(100)}, "what one was offered nobody else is")
	o.pass(time.Minute + time.Second)
	require.Equal(t, 5, take(100), "what was offered and not taken is offered again")
	o.pass(2*time.Minute + time.Second)
	require.Equal(t, 10, take(100), "and all of those that have not begun, in time")
}

func TestRunOfAFiringIsPausedAndAborted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.leads(6)
	o.publish("w", on(daily("09:30"), ""))
	o.pass(time.Hour)
	o.open("w")
	r := o.only("w")
	o.step(r, 2)
	for _, status := range []postgres.RunStatus{postgres.RunPaused, postgres.RunRunning, postgres.RunPaused} {
		_, err := o.db.SetRun(o.ctx, "w", r.ID, status)
		require.NoError(t, err)
		require.Equal(t, map[postgres.RunStatus]int{postgres.RunPaused: 0, postgres.RunRunning: 1}[status], o.step(r, 1).Decided)
	}

	_, err := o.db.SetRun(o.ctx, "w", r.ID, postgres.RunAborted)
	require.NoError(t, err)

	r = o.run(r)
	require.Equal(t, []any{postgres.RunAborted, 3, "on request"}, []any{r.Status, r.Enrolled, r.Reason})
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 3}, o.counts("w"))
	require.Zero(t, o.open("w"), "its firing is not opened again")
}
