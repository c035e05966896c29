package triggers

import (
	"slices"
	"time"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// judgeInside finds what an item means to those who are in a workflow: who must leave, whose wait is
// over, and whose delay ends at another time. The version that the user is in is asked, not the one that
// enrolls now.
func judgeInside(q *postgres.Question, v *postgres.Verdict) {
	if len(q.Inside) == 0 {
		return
	}
	v.Leaves, v.Stays = map[string]string{}, map[string]*time.Time{}
	for i := range q.Inside {
		in := &q.Inside[i]
		due := q.Item.DueFor(postgres.Membership{Definition: in.Name, Version: in.Number, Trigger: postgres.AskLeaving})
		if reason := barred(in, q.Subject, due); reason != "" {
			v.Leaves[in.EnrollmentID] = reason
			continue
		}
		ref := postgres.VisitRef{EnrollmentID: in.EnrollmentID, Step: in.Step, Visit: in.Visit}
		if which, event := happened(q, in, due); which >= 0 {
			v.Met = append(v.Met, postgres.Meeting{VisitRef: ref, Which: which, Event: event})
			in.Awaits = nil
		} else if in.Follows(q.Item) {
			v.Follow = append(v.Follow, ref)
		}
		v.Stays[in.EnrollmentID] = in.NextTurn(q.Subject, in.Awaits)
	}
}

// JudgeInside answers for those alone who are in a workflow.
func JudgeInside(q *postgres.Question) (v postgres.Verdict) {
	judgeInside(q, &v)
	return v
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

// happened finds which of the things that somebody waits for happened, and the event if it was one; -1
// where none did.
func happened(q *postgres.Question, in *postgres.Inhabitant, since time.Time) (which int, event *automation.Event) {
	if !in.Heeds {
		return -1, nil
	}
	for i := range q.Item.Events {
		e := &q.Item.Events[i]
		subject := q.Subject
		subject.Event = e.Properties
		if i := slices.IndexFunc(in.Awaits, func(a postgres.Awaited) bool {
			return a.Event == e.Name && (a.Where == nil || a.Where.Match(subject))
		}); i >= 0 {
			return i, e
		}
	}
	return slices.IndexFunc(in.Awaits, func(a postgres.Awaited) bool {
		if a.Holds == nil {
			return false
		}
		_, rose := follow(a.Holds, q.Subject, false, since)
		return rose
	}), nil
}
