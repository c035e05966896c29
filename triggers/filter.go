package triggers

import (
	"time"

	"rollcall/filter"
	"rollcall/postgres"
)

// judgeFilters finds the edges of the filters that an item can concern. A filter that starts to
// hold enrolls.
func judgeFilters(q *postgres.Question, v *postgres.Verdict) {
	for _, ref := range q.Filters {
		m := postgres.Membership{Definition: ref.Name, Version: ref.Number, Trigger: ref.Trigger}
		before := q.Standing[m]
		due := q.Item.DueFor(m)
		if since := q.Since[m]; !due.IsZero() && due.Before(since) {
			due = since // what was before is judged
		}
		now, rose := follow(ref.Triggers[ref.Trigger].Holds, q.Subject, before.Holds, due)
		if rose {
			v.Matches = append(v.Matches, postgres.Match{Version: ref.Published, Trigger: ref.Trigger})
		}
		if now != before || rose || q.Item.Asked(m) {
			v.Turns = append(v.Turns, postgres.Turn{Membership: m, Standing: now, Edge: rose || now.Holds != before.Holds})
		}
	}
}

// maxTurns is how many turns by time alone are followed that came while nobody asked.
const maxTurns = 100

// follow asks a filter at a moment, and before that at each instant since then at which time alone may
// have changed the answer: nothing that was missed while the clock stood still is lost. It reports
// whether the filter started to hold.
func follow(f *filter.Filter, s filter.Subject, holds bool, since time.Time) (now postgres.Standing, rose bool) {
	end := s.Now
	if since.IsZero() || since.After(end) {
		since = end
	}
	s.Now = since
	for turns := 0; ; turns++ {
		if turns == maxTurns {
			s.Now = end
		}
		answer := f.Match(s)
		rose = rose || answer && !holds
		holds = answer
		next, ok := f.NextFlip(s)
		switch {
		case !ok:
			return postgres.Standing{Holds: holds}, rose
		case next.After(end):
			return postgres.Standing{Holds: holds, Due: next}, rose
		}
		s.Now = next
	}
}
