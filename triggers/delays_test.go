package triggers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// until is a delay until a date on the user's record, and what else it says.
func until(more string) string {
	return `{"id": "rest", "delay": {"until": {"property": "last_active_at"` + more + `}}}, {"id": "end", "action": "noop"}`
}

// delay asks when a delay with a rule ends.
func (b *bundle) delay(ref postgres.VisitRef) postgres.Wait {
	b.t.Helper()
	w, err := b.db.BeginDelay(b.ctx, ref, time.Time{})
	require.NoError(b.t, err)
	return w
}

// active sets the date that delays follow, so long from now, and lets that have its consequences.
func (b *bundle) active(user string, d time.Duration) {
	b.t.Helper()
	b.put(user, map[string]any{"last_active_at": b.instant(d)})
	b.drain()
}

func TestDelayMovesWithTheDateThatItFollows(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest, until(`, "offset": "2d"`))
	b.put("u_1", nil)
	b.active("u_1", day)
	ref := at(b.enroll("w", "u_1"), "rest")
	require.Equal(t, monday.Add(3*day), b.delay(ref).Until)
	b.put("u_1", map[string]any{"job_title": "x"})
	b.drain()
	require.Zero(t, b.wakes(ref.EnrollmentID), "another property is none of its business")
	require.Equal(t, monday.Add(3*day), b.delay(ref).Until)

	for i, d := range []time.Duration{5 * day, day, -3 * day, 10 * day} {
		b.active("u_1", d)
		require.Equal(t, i+1, b.wakes(ref.EnrollmentID))
		w := b.delay(ref)
		require.Equal(t, monday.Add(d+2*day), w.Until)
		require.Equal(t, w, b.delay(ref), "asked again, it says the same")
	}
	e, err := b.db.Enrollment(b.ctx, ref.EnrollmentID)
	require.NoError(t, err)
	require.Equal(t, monday.Add(12*day), e.WaitingUntil.UTC())
	b.done(at(ref, "end"))
	b.active("u_1", day)
	require.Equal(t, 4, b.wakes(ref.EnrollmentID), "who has gone on does not wait any more")
}

func TestDelayMovesWithTheUsersTimeZone(t *testing.T) {
	t.Parallel()
	const own = byRequest + `, "time_zone": "user"`
	for name, c := range map[string]struct {
		head, step  string
		before, now time.Time
	}{
		"a time of day":    {own, `{"until": {"at": "18:00"}}`, monday.Add(8 * time.Hour), monday.Add(14 * time.Hour)},
		"a date":           {own, `{"until": {"date": "2024-01-10"}}`, time.Date(2024, 1, 9, 23, 0, 0, 0, time.UTC), time.Date(2024, 1, 10, 5, 0, 0, 0, time.UTC)},
		"business days":    {own, `{"for": "1d", "business_days": true}`, monday.Add(day), monday.Add(day)},
		"not another zone": {byRequest + `, "time_zone": "Europe/Warsaw"`, `{"until": {"at": "18:00"}}`, monday.Add(8 * time.Hour), monday.Add(8 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.flow("w", c.head, `{"id": "rest", "delay": `+c.step+`}`)
			b.put("u_1", map[string]any{"time_zone": "Europe/Warsaw"})
			ref := at(b.enroll("w", "u_1"), "rest")
			require.Equal(t, c.before, b.delay(ref).Until)

			b.put("u_1", map[string]any{"time_zone": "America/New_York"})
			b.drain()

			require.Equal(t, name != "not another zone", b.wakes(ref.EnrollmentID) == 1)
			require.Equal(t, c.now, b.delay(ref).Until)
		})
	}
}

func TestChangeThatRacesTheBeginningOfADelayIsNeverLost(t *testing.T) {
	t.Parallel()
	r := &race{bundle: newBundle(t), name: "delay"}
	r.flow("w", byRequest, until(""))
	first := time.Now().UTC().AddDate(1, 0, 0).Truncate(time.Second)
	second := first.AddDate(5, 0, 0)
	refs := make(chan postgres.VisitRef, 120)
	r.times(120, func(user string) {
		set := func(at time.Time) {
			if _, err := r.db.PatchUser(r.ctx, user, map[string]any{"last_active_at": at.Format(time.RFC3339)}, "test"); err != nil {
				t.Errorf("change: %s", err)
			}
		}
		set(first)
		e, _, err := r.db.Enroll(r.ctx, "w", user)
		require.NoError(t, err)
		ref := postgres.VisitRef{EnrollmentID: e.ID, Step: "rest", Visit: 1}
		together(
			func() { r.jitter(4); set(first.AddDate(1, 0, 0)); set(second) },
			func() {
				for range 3 {
					r.jitter(4)
					_, err := r.db.BeginDelay(r.ctx, ref, time.Time{})
					if err != nil {
						t.Errorf("begin: %s", err)
					}
				}
			},
		)
		refs <- ref
	})
	close(refs)
	for ref := range refs {
		require.Equal(t, second, r.delay(ref).Until)
	}
}

func TestDateThatIsMissingOrPast(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	type outcome func(user string, ref postgres.VisitRef)
	leaves := func(reason string) outcome {
		return func(_ string, ref postgres.VisitRef) {
			require.Equal(t, reason, b.delay(ref).Leave)
			require.Equal(t, reason, b.delay(ref).Leave, "as often as it is asked")
		}
	}
	fails := func(text string) outcome {
		return func(_ string, ref postgres.VisitRef) {
			_, err := b.db.BeginDelay(b.ctx, ref, time.Time{})
			require.ErrorIs(t, err, automation.ErrInvalid)
			require.ErrorContains(t, err, text)
		}
	}
	goesOn := func(d time.Duration) outcome {
		return func(_ string, ref postgres.VisitRef) {
			w := b.delay(ref)
			require.Equal(t, monday.Add(d), w.Until)
			require.Empty(t, w.Leave)
		}
	}
	waits := func(user string, ref postgres.VisitRef) {
		w := b.delay(ref)
		require.Zero(t, w.Until)
		require.Equal(t, "there is a last_active_at", w.Shown)
		require.Nil(t, b.enrollment(ref.EnrollmentID).WaitingUntil)
		b.active(user, 4*day)
		require.Positive(t, b.wakes(ref.EnrollmentID))
		require.Equal(t, monday.Add(4*day), b.delay(ref).Until)
	}
	const empty, gone = "last_active_at is empty", "the date of the delay is past"
	for i, c := range []struct {
		more          string
		missing, past outcome
	}{
		{``, leaves(empty), goesOn(-day)},
		{`, "if_missing": "exit"`, leaves(empty), goesOn(-day)},
		{`, "if_missing": "continue"`, goesOn(0), goesOn(-day)},
		{`, "if_missing": "fail"`, fails(empty), goesOn(-day)},
		{`, "if_missing": "wait"`, waits, goesOn(-day)},
		{`, "if_past": "continue"`, leaves(empty), goesOn(-day)},
		{`, "if_past": "exit"`, leaves(empty), leaves(gone)},
		{`, "if_past": "fail"`, leaves(empty), fails(gone)},
		{`, "if_missing": "wait", "if_past": "fail"`, waits, fails(gone)},
	} {
		name := fmt.Sprintf("w_%d", i)
		b.flow(name, byRequest, until(c.more))
		for k, rearmed := range []bool{false, true} {
			for j, then := range []outcome{c.missing, c.past} {
				user := fmt.Sprintf("u_%d_%d_%d", i, k, j)
				b.put(user, nil)
				if rearmed { // it had a date before
					b.active(user, 2*day)
				}
				ref := at(b.enroll(name, user), "rest")
				if rearmed {
					require.Equal(t, monday.Add(2*day), b.delay(ref).Until)
				}
				if j == 0 {
					b.put(user, map[string]any{"last_active_at": nil})
					b.drain()
				} else {
					b.active(user, -day)
				}
				then(user, ref)
			}
		}
	}
}

func TestDateThatPassesWhileSomebodyWaitsHasComeToItsEnd(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.flow("w", byRequest, until(`, "if_past": "fail"`))
	b.put("u_1", nil)
	b.active("u_1", day)
	ref := at(b.enroll("w", "u_1"), "rest")
	w := b.delay(ref)

	b.later(day + time.Hour) // nobody looked at the right moment

	require.Equal(t, w, b.delay(ref))
}

func TestBusinessDaysLeaveOutHolidaysAndDaysOff(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	var err error
	holiday := time.Date(2024, 1, 3, 0, 0, 0, 0, time.UTC)
	b.db, err = postgres.Open(b.ctx, postgres.Config{URL: b.raw.Config().ConnString(), Now: b.now, Country: "PL", Holidays: func(country string) (func(time.Time) bool, bool) {
		return func(d time.Time) bool { return d.Equal(holiday) }, country == "PL"
	}})
	require.NoError(t, err)
	t.Cleanup(b.db.Close)
	b.put("u_1", nil)
	for name, c := range map[string]struct {
		head string
		want time.Duration
	}{
		"the country's":        {``, 3 * day},
		"nobody's":             {`, "holidays": "none"`, 2 * day},
		"days off too":         {`, "days_off": ["2024-01-02", "2024-01-04", "01-05", "01-08"]`, 9 * day},
		"only those of itself": {`, "holidays": "none", "days_off": ["2024-01-02"]`, 3 * day},
	} {
		name := fmt.Sprintf("w_%x", name)
		b.flow(name, byRequest+c.head, `{"id": "rest", "delay": {"for": "2d", "business_days": true}}`)
		w := b.delay(at(b.enroll(name, "u_1"), "rest"))
		require.Equal(t, monday.Add(c.want), w.Until, c.head)
	}
}

func TestDelayThatMigratesKeepsWhenItBegan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, other string
		amount     time.Duration // of the new one, where it is no more than that
		want       time.Duration // from the beginning
	}{
		"longer":                {`"5d"`, `"9d"`, 9 * day, 9 * day},
		"shorter":               {`"5d"`, `"1d"`, day, day},
		"the same":              {`"5d"`, `"5d"`, 5 * day, 5 * day},
		"to a rule":             {`"5d"`, `{"for": "3d", "business_days": true}`, 0, 3 * day},
		"from a rule":           {`{"for": "3d", "business_days": true}`, `"9d"`, 9 * day, 9 * day},
		"to another rule":       {`{"for": "3d", "business_days": true}`, `{"for": "5d", "business_days": true}`, 0, 7 * day},
		"to a time of day":      {`"5d"`, `{"until": {"at": "18:00"}}`, 0, 9 * time.Hour},
		"to a date":             {`"5d"`, `{"until": {"date": "2024-01-11", "at": "09:00"}}`, 0, 10 * day},
		"to a date on a record": {`"5d"`, `{"until": {"property": "last_active_at"}}`, 0, 20 * day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.flow("w", byRequest, `{"id": "rest", "delay": `+c.old+`}`)
			b.put("u_1", nil)
			b.active("u_1", 20*day)
			ref := at(b.enroll("w", "u_1"), "rest")
			begin := func(amount time.Duration) time.Time {
				t.Helper()
				ref.At = b.now().Add(-time.Minute) // the workflow asked a while ago, and the database did not answer
				until := time.Time{}
				if amount > 0 {
					until = ref.At.Add(amount)
				}
				w, err := b.db.BeginDelay(b.ctx, ref, until)
				require.NoError(t, err)
				return w.Until
			}
			if c.old == `"5d"` {
				begin(5 * day)
			} else {
				begin(0)
			}
			b.pass(2 * day)
			b.flow("w", byRequest, `{"id": "rest", "delay": `+c.other+`, "title": "another"}`, postgres.Migration{Migrate: true})

			w, err := b.db.NextWanted(b.ctx, ref, 0, automation.Place{Step: "rest", Inside: true})

			require.NoError(t, err)
			require.Equal(t, automation.Landing{Step: "rest", Stays: true}, w.Landing)
			require.Equal(t, monday.Add(c.want), begin(c.amount))
			require.Equal(t, monday.Add(c.want), begin(c.amount), "asked again, it says the same")
			require.Equal(t, []string{"rest 1 waiting"}, b.visits(ref.EnrollmentID))
			e, err := b.db.Enrollment(b.ctx, ref.EnrollmentID)
			require.NoError(t, err)
			require.Equal(t, monday.Add(c.want), e.WaitingUntil.UTC())
		})
	}
}
