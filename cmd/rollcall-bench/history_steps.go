package main

import "time"

// probe is a step, or a few, whose share of the history is measured.
type probe struct {
	what   string
	steps  []any
	behind bool   // they stand behind the step that every workflow of the measurement has, not before it
	event  string // is sent once the step waits
	budget string
}

// lastingFor is a delay that is long enough to be shown among the search attributes.
const lastingFor = 62 * time.Second

// The workflows that steps enroll in and take out of.
const (
	entered = "entered"
	left    = "left"
)

// probes lists the kinds of steps that need nothing outside of this machine.
func (s *sink) probes() []probe {
	act := func(kind string, with object) object { return object{"id": "step", "action": kind, "with": with} }
	webhook := act("send_webhook", object{"url": s.url() + "/ok", "body": object{"user_id": "{{ user.id }}"}})
	shortly := object{"id": "settle", "delay": "2s"}
	long := object{"id": "settle", "delay": lastingFor.String()}
	holds := object{"property": "bench_plan", "op": "equals", "value": "pro"}
	return []probe{
		{what: "set_property", steps: []any{act("set_property", object{"property": "bench_plan", "value": "basic"})}},
		{what: "add_to_team", steps: []any{act("add_to_team", object{"team": "blue"})}},
		{what: "notify", steps: []any{act("notify", object{"to": "{{ user.id }}", "text": "hello"})}},
		{what: "create_task", steps: []any{act("create_task", object{"title": "Look at it"})}},
		{what: "format", steps: []any{act("format", object{"outputs": object{"full": "{{ user.first_name }}"}})}},
		{what: "enroll", steps: []any{act("enroll", object{"workflow": entered})}},
		{what: "unenroll", steps: []any{act("unenroll", object{"workflow": left})}},
		{what: "send_webhook", steps: []any{webhook}},
		{what: "call, answered at once", steps: []any{act("call", object{"url": s.url() + "/ok"})}},
		{what: "call, answered later", steps: []any{act("call", object{"url": s.url() + "/later"})}},
		{what: "delay, less than a minute", steps: []any{shortly}},
		{what: "delay, longer", steps: []any{long}},
		{what: "delay until a date of the user", steps: []any{object{"id": "due", "delay": object{"until": object{"property": "bench_due"}}}}},
		{what: "delay and send_webhook", steps: []any{shortly, webhook}, budget: "≤ 8, ≤ 1.50 KiB"},
		{what: "longer delay and send_webhook", steps: []any{long, webhook}, budget: "≤ 8, ≤ 1.50 KiB"},
		{what: "wait_for an event that comes", steps: []any{object{"id": "wait", "wait_for": object{"event": "came", "at_most": "50s"}}}, event: "came"},
		{what: "wait_for an event, in vain", steps: []any{object{"id": "wait", "wait_for": object{"event": "comes_never", "at_most": "2s"}}}},
		{what: "wait_for a filter that holds", steps: []any{object{"id": "wait", "wait_for": object{"filter": holds, "at_most": "50s"}}}},
		{what: "branch", steps: []any{object{"id": "way", "branch": []any{object{"if": holds}, object{"else": true}}}}},
		{what: "branch_on", steps: []any{object{"id": "way", "branch_on": object{"property": "bench_plan"}, "cases": []any{object{"is": "pro"}, object{"else": true}}}}},
		{what: "split", steps: []any{object{"id": "way", "split": []any{object{"weight": 1}, object{"weight": 3}}}}},
		{what: "goto", steps: []any{object{"id": "hop", "goto": markStep}}},
		{what: "exit", steps: []any{object{"id": "end", "exit": object{"reason": "measured"}}}, behind: true},
	}
}
