package triggers

import (
	"time"

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
		if reason := in.Bars(q.Subject, in.Trigger); reason != "" {
			v.Leaves[in.EnrollmentID] = reason
		} else {
			v.Stays[in.EnrollmentID] = in.NextBar(q.Subject)
		}
	}
}
