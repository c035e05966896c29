package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

const noMore = "the filter does not hold any more"

// step lets a run decide so many users at most.
func (b *bundle) step(r *postgres.Run, limit int) *postgres.Step {
	b.t.Helper()
	s, err := b.db.StepRun(b.ctx, r.ID, limit)
	require.NoError(b.t, err)
	stored, err := b.db.Run(b.ctx, r.Workflow, r.ID)
	require.NoError(b.t, err)
	require.Equal(b.t, stored.Status, s.Run.Status)
	require.Equal(b.t, stored.Skipped, s.Run.Skipped)
	require.Equal(b.t, [2]int{stored.Enrolled, stored.Held}, [2]int{s.Run.Enrolled, s.Run.Held})
	return s
}

// inside lists who is in a definition.
func (b *bundle) inside(definition string) []string {
	b.t.Helper()
	return b.texts(`select user_id from enrollments where definition = $1 and ended_at is null order by 1`, definition)
}

// leads creates so many users with a job title.
func (b *bundle) leads(n int) {
	b.t.Helper()
	each(n, func(id string) { b.put(id, map[string]any{"job_title": "Lead"}) })
}

func TestBackfillEnrollsThoseForWhomItHoldsAlready(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(8)
	b.put("u_other", nil)
	p := b.publishTo("w", whenever(titled), postgres.Existing{Enroll: true, Rate: 5})
	require.Equal(t, 8, p.Matching)
	r := p.Run
	require.NotNil(t, r)
	require.Equal(t, postgres.RunRunning, r.Status)
	require.Equal(t, []int{8, 5, 1}, []int{r.Matched, r.PerSecond, r.Version})
	require.Equal(t, "rollcall/backfill/w/1", r.TemporalWorkflowID)
	b.drain()
	require.Empty(t, b.inside("w"), "nobody before the first step")

	s := b.step(r, 3)
	require.Equal(t, 3, s.Decided)
	require.Equal(t, []string{"u_000", "u_001", "u_002"}, b.inside("w"))
	require.InDelta(t, 3.0/8, s.Run.Done(), 1e-9)
	s = b.step(r, 500)
	require.Equal(t, 5, s.Decided, "no more than the rate of a second")
	require.Equal(t, postgres.RunRunning, s.Run.Status)
	s = b.step(r, 500)
	require.Zero(t, s.Decided)
	require.Equal(t, postgres.RunCompleted, s.Run.Status)
	require.InDelta(t, 1, s.Run.Done(), 1e-9)
	require.Zero(t, b.step(r, 500).Decided, "once more changes nothing")

	b.drain()
	require.Equal(t, map[string]int{"enrolled": 8}, b.decided("w"))
	require.Equal(t, 8, b.count(`select count(*) from enrollments where run_id::text = $1 and trigger = 'filter'`, r.ID))
	runs, err := b.db.Runs(b.ctx, "w", nil, 10)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Equal(t, 8, runs[0].Enrolled)
	require.NotNil(t, runs[0].EndedAt)
}

func TestPublicationWithNobodyToEnrollHasNoRun(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", nil)
	require.Nil(t, b.backfill("w", whenever(titled)))
	require.Nil(t, b.backfill("v", signedUp))
}

func TestBackfillPassesOverThoseWhoChangedInBetween(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(9)
	r := b.backfill("w", `"triggers": [{"filter": `+titled+`}], "enroll": {"again": "every_trigger", "unless": `+deactivated+`}`)
	b.step(r, 1)
	b.pass(time.Second)
	b.put("u_000", map[string]any{"job_title": nil})
	b.put("u_001", map[string]any{"job_title": nil})
	b.titleAnew("u_002") // by its edge
	require.NoError(t, b.db.DeleteUser(b.ctx, "u_003", "test"))
	b.put("u_004", map[string]any{"status": "deactivated"})
	b.enroll("w", "u_005")
	b.put("u_006", map[string]any{"job_title": "Agent"}) // it goes on holding
	b.put("u_new", map[string]any{"job_title": "Lead"})
	b.drain()

	r = b.run(r)

	require.Equal(t, []string{"u_000", "u_002", "u_005", "u_006", "u_007", "u_008", "u_new"}, b.inside("w"))
	require.Equal(t, postgres.RunCompleted, r.Status)
	require.Equal(t, 9, r.Matched)
	require.Equal(t, 4, r.Enrolled, "0, 6, 7, 8")
	require.Equal(t, map[string]int{noMore: 3, "suppressed: enroll.unless holds": 1, "already enrolled": 1}, r.Skipped)
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_002"))
	require.Equal(t, []string{"refused: suppressed: enroll.unless holds"}, b.outcomes("w", "u_004"))
}

func TestBackfillAsksWhetherTheFilterHoldsStill(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{"": whenever(titled), " when_trigger_stops": whenever(titled) + stops} {
		t.Run("of a change that waits to be evaluated"+name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.leads(3)
			r := b.backfill("w", head)
			b.put("u_001", map[string]any{"job_title": nil})

			r = b.run(r)
			b.drain()

			require.Equal(t, []string{"u_000", "u_002"}, b.inside("w"))
			require.Equal(t, 2, r.Enrolled)
			require.Len(t, r.Skipped, 1)
			require.Empty(t, b.passages("w", "u_001"))
		})
	}
	t.Run("of the time", func(t *testing.T) {
		t.Parallel()
		b := newBundleOnMonday(t)
		b.put("u_1", map[string]any{"last_active_at": b.instant(-30*day - time.Hour)})
		r := b.backfill("w", whenever(pastMonth))
		b.pass(40 * day) // and nobody rang

		r = b.run(r)

		require.Empty(t, b.inside("w"))
		require.Equal(t, map[string]int{noMore: 1}, r.Skipped)
	})
}

func TestBackfillPassesOverNobodyForWhomItGoesOnHolding(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
	b.put("u_2", map[string]any{"last_active_at": b.instant(0)})
	r := b.backfill("w", whenever(`{"property": "last_active_at", "op": "after", "value": "now-30d"}`))
	b.pass(day)
	b.put("u_1", map[string]any{"last_active_at": b.instant(0)}) // it will hold for longer
	b.settle()

	require.Equal(t, 2, b.run(r).Enrolled)
	require.Equal(t, 2, b.count(`select count(*) from memberships where since = $1`, monday))
}

func TestBackfillKeepsToTheRuleOfEnrollingAgainAndToTheGuard(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(8)
	b.publish("w", `"triggers": [{"manual": true}]`)
	b.enroll("w", "u_000")
	b.enroll("w", "u_001")
	b.finish("w", "u_001")
	b.later(time.Hour)

	r := b.run(b.backfill("w", `"triggers": [{"filter": `+titled+`}], "guard": {"max_per_hour": 4}`))

	require.Equal(t, []int{8, 4, 2}, []int{r.Matched, r.Enrolled, r.Held})
	require.Equal(t, map[string]int{"already enrolled": 1, "enrolled before, and the workflow enrolls once": 1}, r.Skipped)
	require.Equal(t, map[automation.EnrollmentStatus]int{automation.Pending: 5, automation.Held: 2, automation.Completed: 1}, b.counts("w"))
	n, err := b.db.Approve(b.ctx, "w", nil)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestBackfillOfSeveralFiltersDecidesEachUserOnce(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_both", map[string]any{"job_title": "Lead", "phone": "1"})
	b.put("u_first", map[string]any{"job_title": "Lead"})
	b.put("u_second", map[string]any{"phone": "1"})

	r := b.run(b.backfill("w", `"triggers": [{"filter": `+titled+`}, {"event": "x"}, {"filter": {"property": "phone", "op": "known"}}]`+again))

	require.Equal(t, []int{3, 3}, []int{r.Matched, r.Enrolled})
	require.Empty(t, r.Skipped)
	require.Equal(t, []string{"u_both 0", "u_first 0", "u_second 2"},
		b.texts(`select user_id || ' ' || trigger from decisions order by user_id`))
}

func TestBackfillIsFollowedByTheClock(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", map[string]any{"job_title": "Lead", "last_active_at": b.instant(0)})
	b.run(b.backfill("w", `"triggers": [{"filter": `+titled+`}], "unenroll": {"when": `+inactive+`}`))
	b.later(30 * day)
	require.Equal(t, []string{"pending"}, b.passages("w", "u_1"))
	b.later(time.Second)
	require.Equal(t, []string{"unenrolled: " + barred}, b.passages("w", "u_1"))
}

func TestWhoWasBackfilledCountsAsEnrolledByAFilter(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(1)
	b.publish("entered", whenever(`{"workflow": "w", "op": "active"}`))
	b.run(b.backfill("w", whenever(titled)+stops))
	b.drain()
	require.Equal(t, []string{"enrolled"}, b.outcomes("entered", "u_000"), "filters on workflows notice")

	b.put("u_000", map[string]any{"job_title": nil})
	b.drain()

	require.Equal(t, []string{"unenrolled: " + stopped}, b.passages("w", "u_000"))
}

func TestSameDraftIsPublishedOnceMoreForABackfill(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.leads(2)
	require.True(t, b.publish("w", whenever(titled)).Changed)
	require.False(t, b.publish("w", whenever(titled)).Changed)

	p := b.publishTo("w", whenever(titled), postgres.Existing{Enroll: true})

	require.Equal(t, 2, p.Version)
	require.Equal(t, 100, p.Run.PerSecond)
	require.Equal(t, 2, b.run(p.Run).Enrolled)
}
