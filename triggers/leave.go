package triggers

import (
	"time"

	"rollcall/filter"
	"rollcall/postgres"
)

// judgeLeaving finds who must leave a workflow: the conditions of the version that the user is in are
// asked, not those of the one that enrolls now.
func judgeLeaving(q *postgres.Question, v *postgres.Verdict) {
	if len(q.Inside) == 0 {
		return
	}
	v.Leaves, v.Stays = map[string]string{}, map[string]*time.Time{}
	for _, in := range q.Inside {
		due := q.Item.DueFor(postgres.Membership{Definition: in.Name, Version: in.Number, Trigger: postgres.AskLeaving})
		if reason := barred(&in, q.Subject, due); reason != "" {
			v.Leaves[in.EnrollmentID] = reason
		} else {
			v.Stays[in.EnrollmentID] = in.NextBar(q.Subject)
		}
	}
}

// barred asks why a user must leave at a moment, and before that at each instant since then at which
// time alone may have made him: what held and stopped while nobody asked takes out too.
func barred(in *postgres.Inhabitant, s filter.Subject, since time.Time) string {
	end := s.Now
	if !since.IsZero() && since.Before(end) {
		s.Now = since
	}
	for range maxTurns {
		if reason := in.Bars(s, in.Trigger); reason != "" || !s.Now.Before(end) {
			return reason
		}
		next := in.NextBar(s)
		if next == nil || next.After(end) {
			break
		}
		s.Now = *next
	}
	s.Now = end
	return in.Bars(s, in.Trigger)
}
