package triggers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// holding lists those for whom a filter holds, by id.
func holding(subjects map[string]filter.Subject, f *filter.Filter) []string {
	var users []string
	for user, s := range subjects {
		if f.Match(s) {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return users
}

// without lists what is in a and not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func TestPreviewCountsThoseForWhomAFilterHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 50)
	for range 100 {
		w.pass(time.Duration(w.IntN(6)) * time.Hour)
		w.happens(pick(w, w.users...))
	}
	w.publish("live", whenever(titled))
	subjects := w.subjects()
	now := holding(subjects, w.filter(titled))
	for name, text := range manyFilters {
		want := holding(subjects, w.filter(text))

		p, err := w.db.PreviewFilter(w.ctx, "live", w.tree(text))

		require.NoError(t, err)
		require.Equal(t, []int{len(want), len(w.users)}, []int{p.Matching, p.Total}, name)
		require.Equal(t, append([]string{}, want[:min(20, len(want))]...), p.Sample, name)
		require.Equal(t, postgres.PreviewLive{Matching: len(now), Added: len(without(want, now)), Removed: len(without(now, want))}, *p.Live, name)
	}
	p, err := w.db.PreviewFilter(w.ctx, "other", w.tree(titled))
	require.NoError(t, err)
	require.Equal(t, postgres.PreviewLive{Added: len(now)}, *p.Live, "what is live has no filter trigger")
}

func TestPreviewOfADocumentCountsWhomItsFiltersConcernAndItsConditionsLetIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 50)
	for range 100 {
		w.pass(time.Duration(w.IntN(6)) * time.Hour)
		w.happens(pick(w, w.users...))
	}
	for user, title := range map[string]string{"v_in": "Lead", "v_unless": "Lead", "v_when": "Agent"} { // one of each kind
		status := map[bool]string{true: "deactivated", false: "active"}[user == "v_unless"]
		w.put(user, map[string]any{"job_title": title, "last_active_at": w.instant(-40 * day), "status": status})
	}
	w.publish("w", `"triggers": [{"filter": `+titled+`}], "enroll": {"unless": `+manyFilters["teams"]+`}`)
	draft := w.document("w", `"triggers": [{"event": "x"}, {"filter": `+inactive+`}, {"filter": `+manyFilters["busy"]+`}], "enroll": {"unless": `+deactivated+`}, "unenroll": {"when": `+manyFilters["no_lead"]+`}`)
	subjects := w.subjects()
	answers := func(text string) []string { return holding(subjects, w.filter(text)) }
	old := without(answers(titled), answers(manyFilters["teams"]))
	either := append(answers(inactive), without(answers(manyFilters["busy"]), answers(inactive))...)
	want := without(without(either, answers(deactivated)), answers(manyFilters["no_lead"]))
	require.Less(t, len(want), len(without(either, answers(deactivated))), "each condition keeps somebody out")
	require.Less(t, len(want), len(without(either, answers(manyFilters["no_lead"]))))

	p, err := w.db.PreviewDocument(w.ctx, "w", draft)
	require.NoError(t, err)
	require.Equal(t, []int{len(want), 53}, []int{p.Matching, p.Total})
	require.Equal(t, postgres.PreviewLive{Matching: len(old), Added: len(without(want, old)), Removed: len(without(old, want))}, *p.Live)

	p, err = w.db.PreviewDocument(w.ctx, "w", nil)
	require.NoError(t, err)
	require.Equal(t, len(old), p.Matching, "the draft that is saved")
	require.Equal(t, postgres.PreviewLive{Matching: len(old)}, *p.Live)
	require.Equal(t, len(answers(titled)), w.publish("w", whenever(titled)).Matching)
	w.drain()
	require.Zero(t, w.count(`select count(*) from enrollments where definition = 'w'`), "a preview does nothing")
}

func TestPreviewReadsDatesInTheZoneOfTheWorkflow(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t) // 09:00 UTC, 18:00 in Tokyo, 03:00 in Mexico City
	for user, zone := range map[string]any{"u_tokyo": "Asia/Tokyo", "u_mexico": "America/Mexico_City", "u_utc": nil} {
		b.put(user, map[string]any{"start_date": "2024-01-02", "time_zone": zone})
	}
	b.pass(8 * time.Hour) // 17:00 UTC, 02:00 of the next day in Tokyo
	tree := b.tree(`{"property": "start_date", "op": "on", "value": "now/d"}`)
	for name, c := range map[string]struct {
		head string
		want []string
	}{
		"utc":    {``, []string{}},
		"tokyo":  {`"time_zone": "Asia/Tokyo", `, []string{"u_mexico", "u_tokyo", "u_utc"}},
		"own":    {`"time_zone": "user", `, []string{"u_tokyo"}},
		"mexico": {`"time_zone": "America/Mexico_City", `, []string{}},
	} {
		_, _, err := b.db.SaveDraft(b.ctx, b.document(name, c.head+`"triggers": [{"manual": true}]`), "")
		require.NoError(t, err)

		p, err := b.db.PreviewFilter(b.ctx, name, tree)

		require.NoError(t, err)
		require.Equal(t, c.want, p.Sample, name)
		require.Equal(t, []int{len(c.want), 3}, []int{p.Matching, p.Total}, name)
		require.Nil(t, p.Live, "nothing is live")
	}
	users, err := b.db.UsersMatching(b.ctx, b.tree(`{"property": "start_date", "op": "on", "value": "now/d", "time_zone": "user"}`), "", 10)
	require.NoError(t, err)
	require.Len(t, users, 1)
	require.Equal(t, "u_tokyo", users[0].ID)
}

func TestPreviewOfWhatCannotBeUsedSaysWhy(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	_, err := b.db.PreviewFilter(b.ctx, "w", b.tree(titled))
	require.ErrorIs(t, err, automation.ErrNotFound)
	_, err = b.db.PreviewDocument(b.ctx, "w", nil)
	require.ErrorIs(t, err, automation.ErrNotFound)
	b.publish("w", signedUp)
	_, err = b.db.PreviewFilter(b.ctx, "w", b.tree(`{"all": [{"property": "nothing", "op": "known"}]}`))
	require.ErrorIs(t, err, automation.ErrInvalid)
	require.ErrorContains(t, err, "/all/0/property")
	_, err = b.db.PreviewDocument(b.ctx, "w", b.document("w", `"triggers": [{"filter": {"property": "nothing", "op": "known"}}]`))
	require.ErrorIs(t, err, automation.ErrInvalid)
	_, err = b.db.UsersMatching(b.ctx, b.tree(`{"property": "nothing", "op": "known"}`), "", 10)
	require.ErrorIs(t, err, automation.ErrInvalid)
}
