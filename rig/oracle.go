package rig

import (
	"cmp"
	"slices"
)

// passage is one passage through a workflow as it has to be.
type passage struct {
	event string
	left  bool
}

// judgesInOrder: who is a member, and who was taken out, follows from the user's moments alone, taken in
// their order: the evaluation decides both. So it is known exactly, however late it was decided.
func judgesInOrder(j *judge) {
	p := j.programs[Members]
	want := membership(p, j.Events, j.Changes)
	have := map[string][]passage{}
	for _, e := range j.Enrollments {
		if e.Definition == p.Name {
			have[e.User] = append(have[e.User], passage{e.Event, e.Status == "unenrolled"})
		}
	}
	users := map[string]bool{}
	for user := range want {
		users[user] = true
	}
	for user := range have {
		users[user] = true
	}
	for user := range users {
		if !slices.Equal(want[user], have[user]) {
			j.say("%s passed through %s as %v, and should have as %v", user, p.Name, have[user], want[user])
		}
	}
}

// membership is the oracle: it lets a user in by the event while neither inside nor away, and out when
// the property takes the value.
func membership(p *Program, events []Event, changes []Change) map[string][]passage {
	type moment struct {
		at          int64
		user, event string // "" for a change
		away        bool
	}
	var moments []moment
	for _, e := range events {
		if e.Name == p.Event {
			moments = append(moments, moment{at: e.Moment, user: e.User, event: e.ID})
		}
	}
	for _, c := range changes {
		if c.Property == p.Property {
			moments = append(moments, moment{at: c.Moment, user: c.User, away: c.New == p.Value})
		}
	}
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	away, inside := map[string]bool{}, map[string]bool{}
	passages := map[string][]passage{}
	for _, m := range moments {
		switch {
		case m.event == "":
			if away[m.user] = m.away; m.away && inside[m.user] {
				inside[m.user] = false
				passages[m.user][len(passages[m.user])-1].left = true
			}
		case !away[m.user] && !inside[m.user]:
			inside[m.user] = true
			passages[m.user] = append(passages[m.user], passage{event: m.event})
		}
	}
	return passages
}
