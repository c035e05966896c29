package filter_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/filter"
)

func TestBetweenNowAndTheNextFlipTheAnswerStays(t *testing.T) {
	t.Parallel()
	leaf := rapid.OneOf(timed(true), timed(true), timed(true), conditions())
	rapid.Check(t, func(t *rapid.T) {
		f := compiled(t, trees(3, leaf).Draw(t, "tree"), scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		answer := f.Match(s)
		flip, ok := f.NextFlip(s)
		end := flip
		if ok {
			require.True(t, flip.After(s.Now))
			require.False(t, flip.After(s.Now.Add(filter.Horizon)))
		} else {
			end = s.Now.AddDate(30, 0, 0)
		}
		for _, at := range suspects(t, s, end) {
			later := s
			later.Now = at
			require.Equal(t, answer, f.Match(later), "the next flip is said to be at %v, but the answer turns by %v", flip, at)
		}
	})
}

func TestAtTheNextFlipTheAnswerTurns(t *testing.T) {
	t.Parallel()
	leaf := rapid.OneOf(timed(false), timed(false), conditions().Filter(func(tree filter.Tree) bool { return tree.Condition.Of != filter.Anniversary }))
	rapid.Check(t, func(t *rapid.T) {
		f := compiled(t, trees(3, leaf).Draw(t, "tree"), scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		flip, ok := f.NextFlip(s)
		if !ok {
			return
		}
		before, after := s, s
		before.Now, after.Now = flip.Add(-filter.Resolution), flip
		require.Equal(t, f.Match(s), f.Match(before), "the answer turned before %v", flip)
		if flip.Before(s.Now.Add(filter.Horizon)) {
			require.NotEqual(t, f.Match(s), f.Match(after), "the answer stays at %v", flip)
		}
	})
}

func TestFollowingTheFlipsFindsEveryAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := compiled(t, trees(2, timed(false)).Draw(t, "tree"), scopes().Draw(t, "scope"))
		s := subjects().Draw(t, "subject")
		for range 10 { // flips, with the answer asked anew at each
			flip, ok := f.NextFlip(s)
			if !ok || !flip.Before(s.Now.Add(filter.Horizon)) {
				return
			}
			between := s
			between.Now = s.Now.Add(time.Duration(rapid.Int64Range(0, int64(flip.Sub(s.Now)-1)).Draw(t, "until the flip")))
			require.Equal(t, f.Match(s), f.Match(between), "at %v", between.Now)
			same, ok := f.NextFlip(between)
			require.True(t, ok)
			require.Equal(t, flip.UTC(), same.UTC(), "the flip moves when it is asked for at %v", between.Now)
			s.Now = flip
		}
	})
}

// suspects are instants between now and an end at which something might happen: those near the ends,
// random ones, the values the subject has plus and minus what the date math adds up, and the
// beginnings of days in some zone, likewise.
func suspects(t *rapid.T, s filter.Subject, end time.Time) []time.Time {
	list := []time.Time{s.Now.Add(filter.Resolution), end.Add(-filter.Resolution)}
	span := end.Sub(s.Now)
	for range 10 {
		part := rapid.Int64Range(0, 1_000_000).Draw(t, "part")
		list = append(list, s.Now.Add(span/1_000_000*time.Duration(part)).Truncate(filter.Resolution))
	}
	values := []time.Time{s.Now}
	happened := cmp.Or(s.Past, &filter.Past{})
	for _, name := range names() {
		values = append(values, readTime(s.User[name]))
		for _, c := range happened.Changes[name] {
			values = append(values, c.At, readTime(c.New))
		}
	}
	for _, e := range slices.Concat(happened.Events["login"], happened.Events["logout"]) {
		values = append(values, e.At)
	}
	years := rapid.IntRange(0, 5).Draw(t, "years")
	for _, v := range values {
		zone, _ := filter.LoadZone(rapid.SampledFrom(zones).Draw(t, "zone"))
		y, m, d := v.In(zone).Date()
		list = append(list, v)
		for _, y := range []int{y, s.Now.Year() + years} { // its own day, and an anniversary
			list = append(list, time.Date(y, m, d, 0, 0, 0, 0, zone), time.Date(y, m, d+1, 0, 0, 0, 0, zone))
		}
	}
	for _, at := range slices.Clone(list) {
		for _, by := range []time.Duration{time.Hour, 24 * time.Hour, 36 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 52 * 7 * 24 * time.Hour} {
			list = append(list, at.Add(by), at.Add(-by))
		}
		list = append(list, at.AddDate(0, 1, 0), at.AddDate(0, -1, 0), at.AddDate(1, 0, 0), at.AddDate(-1, 0, 0))
	}
	var within []time.Time
	for _, at := range list {
		for _, at := range []time.Time{at.Add(-filter.Resolution), at, at.Add(filter.Resolution)} {
			if at.After(s.Now) && at.Before(end) {
				within = append(within, at)
			}
		}
	}
	// A few of all, another few each time.
	const few = 200
	step := max(1, len(within)/few)
	var some []time.Time
	for i := rapid.IntRange(0, step-1).Draw(t, "from"); i < len(within); i += step {
		some = append(some, within[i])
	}
	return some
}
