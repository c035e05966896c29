// Package triggers is what enrolls users: the pump, which asks the live definitions about every
// change and event, one file per kind of trigger, and the starter, which hands the enrollments to
// Temporal.
//
// Floor 2. PostgreSQL decides; Temporal is told afterwards, and told again until it took it.
package triggers

import (
	"rollcall/postgres"
)

// Kind describes a kind of trigger to everything that does not run it.
type Kind struct {
	Kind        string `json:"kind"`
	Title       string `json:"title"`
	Description string `json:"description"`

	judge func(*postgres.Question, *postgres.Verdict) // nil where nothing that happens to users matches
}

// Kinds lists the kinds of triggers.
func Kinds() []Kind {
	return []Kind{
		{"event", "An event occurs", `Enrolls the user of an event by its name: {"event": "user.created"}; "where" is asked of the user and the event at that moment.`, judgeEvents},
		{"webhook", "A webhook is delivered", `Enrolls the user whom a delivery to an incoming webhook names: {"webhook": "payroll"}, of the hook of PUT /v1/hooks/payroll. It is the event webhook.payroll; "where" is asked of the user and that event at that moment.`, nil}, // judged as an event
		{"filter", "A filter starts to hold", `Enrolls a user when the answer of a filter goes from no to yes, by a change, an event or time alone: {"filter": {…}}. Those for whom it holds at publication are enrolled only if asked for.`, judgeFilters},
		{"schedule", "The calendar says so", `Enrolls at a local time: {"schedule": {"every": "week", "on": ["monday"], "at": "09:00"}}; every day, week, month or year, once, or days before or after a date on the user's record. "where" is asked at each firing, of all users.`, nil},
		{"manual", "On request", `Enrolls by POST /v1/workflows/{name}/enrollments only: {"manual": true}. Every other workflow takes such requests too.`, nil},
	}
}

// judge asks all kinds of triggers about an item, and the conditions to leave.
func judge(q *postgres.Question) postgres.Verdict {
	var v postgres.Verdict
	for _, k := range Kinds() {
		if k.judge != nil {
			k.judge(q, &v)
		}
	}
	judgeInside(q, &v)
	return v
}
