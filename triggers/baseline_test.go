package triggers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
	"rollcall/postgres"
)

func TestBaselineIsWhatEachFilterAnswersForEachUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	for range 150 {
		w.pass(time.Duration(w.IntN(5)) * time.Hour)
		w.happens(pick(w, w.users...))
	}
	w.settle()
	filters, matching := map[string]*filter.Filter{}, map[string]int{}
	for name, text := range manyFilters {
		filters[name] = w.filter(text)
		matching[name] = w.publish(name, whenever(text)).Matching
	}

	w.requireStandings(filters)

	holding := map[string]int{}
	subjects := w.subjects()
	for name, f := range filters {
		holding[name] = 0
		for _, s := range subjects {
			if f.Match(s) {
				holding[name]++
			}
		}
	}
	require.Equal(t, holding, matching, "a publication says for how many its filters hold")
	w.drain()
	require.Zero(t, w.count(`select count(*) from enrollments where definition <> 'other'`), "whoever it holds for is not enrolled")
}

func TestMembershipsAndEdgesFollowWhateverHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 12)
	filters := map[string]*filter.Filter{}
	for name, text := range manyFilters {
		filters[name] = w.filter(text)
		w.publish(name, whenever(text))
	}
	holds, edges := map[string]bool{}, map[string]int{}
	begin := w.now()
	// follow turns what is known about users who did not change since begin to this moment.
	follow := func(subjects map[string]filter.Subject, count bool) {
		for name, f := range filters {
			for user, s := range subjects {
				key, end, rose := name+" "+user, s.Now, false
				s.Now = begin
				for turn := 0; ; turn++ {
					answer := f.Match(s)
					rose = rose || answer && !holds[key]
					holds[key] = answer
					next, ok := f.NextFlip(s)
					if !ok || next.After(end) {
						break
					}
					s.Now = next
				}
				if rose && count {
					edges[key]++
				}
			}
		}
	}
	follow(w.subjects(), false) // the baseline
	for range 40 {
		w.pass(time.Duration(w.IntN(9*24*60)) * time.Minute)
		follow(w.subjects(), true)
		w.settle()
		begin = w.now()
		for range 1 + w.IntN(4) {
			w.happens(pick(w, w.users...))
			follow(w.subjects(), true)
		}
		w.settle()
		w.requireStandings(filters)
	}
	decided := map[string]int{}
	for _, key := range w.texts(`select definition || ' ' || user_id from decisions where definition <> 'other'`) {
		decided[key]++
	}
	require.NotEmpty(t, decided)
	require.Equal(t, edges, decided, "one decision for each edge")
}

func TestRepublicationBeginsWithABaselineOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_title", map[string]any{"job_title": "Lead"})
	b.put("u_phone", map[string]any{"phone": "1"})
	require.Equal(t, 1, b.publish("w", whenever(titled)).Matching)

	p := b.publish("w", `"triggers": [{"filter": `+titled+`}, {"filter": {"property": "phone", "op": "known"}}]`+again)

	require.Equal(t, []int{2, 2}, []int{p.Version, p.Matching})
	require.Equal(t, []string{"u_phone 2 1", "u_title 2 0"},
		b.texts(`select concat_ws(' ', user_id, version, trigger) from memberships where holds order by 1`), "that of the old version is gone")
	b.drain()
	require.Empty(t, b.outcomes("w", "u_phone"))
	for _, user := range []string{"u_title", "u_phone"} {
		b.put(user, map[string]any{"job_title": nil, "phone": nil})
		b.put(user, map[string]any{"phone": "2"})
		b.drain()
		require.Equal(t, []string{"enrolled"}, b.outcomes("w", user), "it ceased to hold and started again")
	}
}

func TestPublicationOfWhatIsLiveKeepsTheBaseline(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.publish("w", whenever(titled))
	b.pass(time.Hour)
	require.False(t, b.publish("w", whenever(titled)).Changed)
	require.Equal(t, 1, b.count(`select count(*) from memberships where version = 1 and since = $1`, monday))
}

func TestItemsFromBeforeAPublicationAreJudgedByTheOldVersion(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.put("u_1", nil)
	b.put("u_2", map[string]any{"last_active_at": b.instant(-30 * day)})
	b.publish("w", `"triggers": [{"filter": {"any": [`+titled+`, `+inactive+`]}}]`)
	b.put("u_1", map[string]any{"job_title": "Lead"})
	b.pass(time.Hour)
	require.Equal(t, 1, b.once(), "an edge by time waits too")

	p := b.publish("w", `"triggers": [{"filter": {"any": [`+titled+`, {"property": "phone", "op": "known"}]}}]`)
	require.Equal(t, 1, p.Matching, "the title, which no item has told of yet")
	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
	require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_2"))
	require.Equal(t, []string{"1", "1"}, b.texts(`select version::text from decisions`))
	b.publish("w", whenever(titled))
	require.Equal(t, []string{"3"}, b.texts(`select distinct version::text from memberships`))
}

func TestBaselineCountsWhatWaitsToBeEvaluated(t *testing.T) {
	t.Parallel()
	b := newBundleOnMonday(t)
	b.publish("v", whenever(titled))
	b.put("u_1", map[string]any{"job_title": "Lead"})

	require.Equal(t, 1, b.publishTo("w", whenever(titled), postgres.Existing{}).Matching)
	b.drain()

	require.Equal(t, []string{"enrolled"}, b.outcomes("v", "u_1"))
	require.Empty(t, b.outcomes("w", "u_1"), "it held already when the second one was published")
}

func TestEdgeByTimeThatIsOverdueIsNotLostWhereTheVersionEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bundle){
		"publication": func(b *bundle) { b.publish("w", signedUp) },
		"archive": func(b *bundle) {
			_, err := b.db.Archive(b.ctx, "w", false)
			require.NoError(b.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundleOnMonday(t)
			b.publish("w", whenever(inactive))
			b.put("u_1", map[string]any{"last_active_at": b.instant(0)})
			b.drain()
			b.pass(31 * day) // and nobody rang

			end(b)
			b.settle()

			require.Equal(t, []string{"enrolled"}, b.outcomes("w", "u_1"))
		})
	}
}
