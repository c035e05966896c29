package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repeated is a list of n equal items.
func repeated(n int, item string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}

// badSteps are definitions that could not be published because of how they let time pass and where they
// lead.
func badSteps() []badDefinition {
	const known, act = `{"property": "age", "op": "known"}`, `"action": "notify", "with": {"to": "{{ user.id }}", "text": "x"}`
	steps := func(name, steps string, places ...string) badDefinition {
		return badDefinition{name: name, body: definition(someTriggers, steps), places: places}
	}
	below := func(pointer string, places []string) []string {
		for i, p := range places {
			places[i] = pointer + p
		}
		return places
	}
	until := func(name, until string, places ...string) badDefinition {
		return steps(name, `[{"id": "wait", "delay": {"until": `+until+`}}]`, below("/steps/0/delay/until", places)...)
	}
	delay := func(name, delay string, places ...string) badDefinition {
		return steps(name, `[{"id": "wait", "delay": `+delay+`}]`, below("/steps/0/delay", places)...)
	}
	wait := func(name, wait string, places ...string) badDefinition {
		return steps(name, `[{"id": "wait", "wait_for": `+wait+`}]`, below("/steps/0/wait_for", places)...)
	}
	cases := func(name, on, cases string, places ...string) badDefinition {
		return steps(name, `[{"id": "which", "branch_on": `+on+`, "cases": `+cases+`}]`, below("/steps/0", places)...)
	}
	action := func(name, more string, places ...string) badDefinition {
		return steps(name, `[{"id": "act", `+act+`, `+more+`}]`, below("/steps/0", places)...)
	}
	head := func(name, member string, places ...string) badDefinition {
		return badDefinition{name: name, body: `{"name": "x", "triggers": ` + someTriggers + `, "steps": ` + someSteps + `, ` + member + `}`, places: places}
	}
	other := func(name, yaml string, places ...string) badDefinition {
		return badDefinition{name: name, yaml: true, body: "name: x\ntriggers: [{manual: true}]\n" + yaml, places: places}
	}
	return []badDefinition{
		steps("D4 an id twice, after an error", `[{"id": "act", `+act+`, "on_error": [{"id": "act", "delay": "1h"}]}]`, "/steps/0/on_error/0/id duplicate-step-id"),
		steps("D4 an id twice, in a case and a part", `[{"id": "a", "branch_on": {"property": "age"}, "cases": [{"else": true, "steps": [{"id": "b", "delay": "1h"}]}]}, {"id": "c", "split": [{"weight": 1}, {"weight": 1, "steps": [{"id": "b", "delay": "1h"}]}]}]`, "/steps/1/split/1/steps/0/id duplicate-step-id"),
		steps("D5 a step behind a goto", `[{"id": "wait", "delay": "1h"}, {"goto": "wait"}, {"delay": "1h"}]`, "/steps/2 unreachable-step"),
		steps("D5 a step behind parts that all end", `[{"split": [{"weight": 1, "steps": [{"exit": {}}]}, {"weight": 1, "steps": [{"exit": {}}]}]}, {"delay": "1h"}]`, "/steps/1 unreachable-step"),
		steps("D7 a loop without end and without a wait", `[{"id": "act", `+act+`}, {"goto": "act"}]`, "/steps/1/goto endless-loop"),
		steps("D8 a step that leads to itself", `[{"id": "self", "goto": "self"}]`, "/steps/0/goto endless-loop"),
		steps("D10 501 steps, some after errors", `[{`+act+`, "on_error": `+repeated(250, `{"delay": "1s"}`)+`}, {"split": [{"weight": 1, "steps": `+repeated(249, `{"delay": "1s"}`)+`}, {"weight": 1}]}]`, "/steps too-many-steps"),
		steps("D11 251 cases", `[{"branch_on": {"property": "age"}, "cases": [`+strings.Repeat(`{"is": "x"},`, 251)+`{"else": true}]}]`, "/steps/0/cases too-many-branches"),
		steps("D11 21 parts", `[{"split": `+repeated(21, `{"weight": 1}`)+`}]`, "/steps/0/split split-invalid"),
		steps("D14 a wait that is also a delay", `[{"delay": "1h", "wait_for": {"event": "reply"}}]`, "/steps/0 unknown-step-type"),
		steps("D14 cases of nothing", `[{"cases": [{"else": true}]}]`, "/steps/0 unknown-step-type", "/steps/0/cases unknown-field"),
		steps("D14 a version of a step type", `[{"delay": "1h", "version": 2}]`, "/steps/0/version unknown-field"),
		delay("D15 a delay of -1 for business days", `{"for": "-1d", "business_days": true}`, "/for delay-out-of-range"),
		delay("D15 half a business day", `{"for": "0.5d", "business_days": true}`, "/for delay-out-of-range"),
		delay("D15 business days that are none", `{"for": "0d", "business_days": true}`, "/for delay-invalid"),
		delay("D15 1,001 business days", `{"for": "1001d", "business_days": true}`, "/for delay-invalid"),
		delay("D15 hours of business", `{"for": "8h", "business_days": true}`, "/for delay-invalid"),
		delay("a delay of two forms", `{"for": "1d", "until": {"at": "09:00"}}`, " delay-invalid"),
		delay("a delay of no form", `{}`, " delay-invalid"),
		delay("a delay that is a list", `["1d"]`, " delay-out-of-range"),
		steps("null for a delay", `[{"id": "wait", "delay": null}]`, "/steps/0 unknown-step-type"),
		until("until nothing", `{}`, " delay-invalid"),
		until("until a time that no clock shows", `{"at": "24:00"}`, "/at invalid-time"),
		until("until no day", `{"on": []}`, "/on invalid-day"),
		until("until a day that no week has", `{"on": ["mon"]}`, "/on/0 unknown-weekday"),
		until("until a day twice", `{"on": ["monday", "monday"]}`, "/on/1 duplicate-day"),
		until("B64 until the 29th of February of a common year", `{"date": "2027-02-29"}`, "/date invalid-date"),
		until("D17 until a date that nobody has", `{"property": "colour"}`, "/property unknown-property"),
		until("D17 until a number", `{"property": "age"}`, "/property wrong-type"),
		until("D17 an offset of eleven years", `{"property": "hire_date", "offset": "-4000d"}`, "/offset offset-out-of-range"),
		until("D17 an offset that is a number", `{"property": "hire_date", "offset": -2}`, "/offset offset-out-of-range"),
		until("D17 choices that are none", `{"property": "hire_date", "if_missing": "skip", "if_past": "wait"}`, "/if_missing delay-invalid", "/if_past delay-invalid"),
		until("D17 hours before a time of day", `{"property": "hire_date", "offset": "-2h", "at": "09:00"}`, "/offset delay-invalid"),
		until("a date and a property", `{"date": "2027-01-04", "property": "hire_date"}`, " delay-invalid"),
		wait("a wait for nothing", `{}`, " wait-invalid"),
		wait("a wait for two things that are no list", `{"event": "reply", "filter": `+known+`}`, " wait-invalid"),
		wait("a wait for no time", `{"event": "reply", "at_most": 0}`, "/at_most delay-out-of-range"),
		wait("a wait of eleven years", `{"event": "reply", "at_most": "4000d"}`, "/at_most delay-out-of-range"),
		wait("a wait for an event that ends it", `{"event": "user.deleted"}`, "/event wait-invalid"),
		wait("a wait for an event that the system does not emit", `{"event": "user.renamed"}`, "/event unknown-event"),
		wait("a wait for an event with a name that is kept", `{"event": "$x"}`, "/event invalid-name"),
		wait("a wait for an event with a name of 257 bytes", `{"event": "`+strings.Repeat("x", 257)+`"}`, "/event invalid-name"),
		wait("D27 a wait for an unknown property", `{"filter": {"property": "colour", "op": "known"}}`, "/filter/property unknown-property"),
		wait("D28 a wait for a text's question about a number", `{"event": "reply", "where": {"property": "age", "op": "contains", "value": "1"}}`, "/where/op operator-type-mismatch"),
		wait("D30 a wait for all of nothing", `{"any": [{"filter": {"all": []}}]}`, "/any/0/filter empty-group"),
		wait("a wait for any of nothing", `{"any": []}`, "/any wait-invalid"),
		wait("a wait for 51 things", `{"any": `+repeated(51, `{"event": "reply"}`)+`}`, "/any wait-invalid"),
		cases("a value of nothing", `{}`, `[{"else": true}]`, "/branch_on branch-on-invalid"),
		cases("a value of two things", `{"property": "age", "value": "x"}`, `[{"else": true}]`, "/branch_on branch-on-invalid"),
		cases("D27 the value of an unknown property", `{"property": "colour"}`, `[{"else": true}]`, "/branch_on/property unknown-property"),
		cases("the value of an unknown step", `{"step": "nobody"}`, `[{"else": true}]`, "/branch_on/step unknown-step"),
		cases("a value that is no template", `{"value": "{{ user.first_name | }}"}`, `[{"else": true}]`, "/branch_on/value template-invalid"),
		cases("a value of a property that a template does not know", `{"value": "{{ user.nickname }}"}`, `[{"else": true}]`, "/branch_on/value unknown-property"),
		cases("no else", `{"property": "age"}`, `[{"is": 1}]`, "/cases else-missing"),
		cases("a case twice", `{"property": "age"}`, `[{"is": [1, 2]}, {"is": "2"}, {"else": true}]`, "/cases/1/is case-repeated"),
		cases("a case of nothing", `{"property": "age"}`, `[{"is": []}, {"else": true}]`, "/cases/0 arm-invalid"),
		cases("a case that is an object", `{"property": "age"}`, `[{"is": {}}, {"else": true}]`, "/cases/0/is wrong-type"),
		steps("no weight", `[{"split": [{}, {"weight": 0}]}]`, "/steps/0/split/0/weight split-invalid", "/steps/0/split/1/weight split-invalid"),
		steps("half a weight", `[{"split": [{"weight": 0.5}, {"weight": 1}]}]`, "/steps/0/split/0/weight wrong-type"),
		steps("B33 a goto to a step that is not there", `[{"goto": "nobody", "at_most": 1}]`, "/steps/0/goto unknown-step"),
		steps("a goto 10,001 times", `[{"id": "self", "goto": "self", "at_most": 10001}]`, "/steps/0/at_most out-of-range"),
		steps("a bound of what is no goto", `[{"delay": "1h", "at_most": 1}]`, "/steps/0/at_most unknown-field"),
		steps("B33 a condition on a step that is not there", `[{"branch": [{"if": {"step": "nobody", "op": "equals", "value": "done"}}, {"else": true}]}]`, "/steps/0/branch/0/if/step unknown-step"),
		action("an error that is handled in no way", `"on_error": "retry"`, "/on_error on-error-invalid"),
		action("no steps after an error", `"on_error": []`, "/on_error on-error-invalid"),
		steps("an error of what cannot fail", `[{"wait_for": {"event": "reply"}, "on_error": "continue"}]`, "/steps/0/on_error unknown-field"),
		action("due within no time", `"due_within": 0`, "/due_within delay-out-of-range"),
		action("late in no known way", `"due_within": {"within": "1h", "else": "retry"}`, "/due_within/else due-within-invalid"),
		steps("a delay that is due", `[{"delay": "1h", "due_within": "1h"}]`, "/steps/0/due_within unknown-field"),
		head("holidays of nowhere", `"holidays": "XX"`, "/holidays unknown-country"),
		head("days that are none", `"days_off": ["2027-02-29", "31-12"]`, "/days_off/0 invalid-date", "/days_off/1 invalid-date"),
		head("501 days off", `"days_off": `+repeated(501, `"12-24"`), "/days_off too-many-days"),
		head("hours that end before they begin", `"hours": {"windows": [{"from": "17:00", "to": "09:00"}]}`, "/hours/windows/0/to window-invalid"),
		head("hours of no day", `"hours": {"windows": [{"days": [], "from": "09:00", "to": "17:00"}]}`, "/hours/windows/0/days invalid-day"),
		head("101 windows", `"hours": {"windows": `+repeated(101, `{"from": "09:00", "to": "17:00"}`)+`}`, "/hours/windows too-many-windows"),
		head("hours with holidays of nowhere", `"hours": {"holidays": "pl"}`, "/hours/holidays unknown-country"),
		head("hours of other types", `"hours": {"windows": {}, "except": "12-24", "holidays": 1}`, "/hours/except wrong-type", "/hours/holidays wrong-type", "/hours/windows wrong-type"),
		other("a number for a day in YAML", "days_off: [2026]\nsteps: [{delay: 1h}]\n", "/days_off/0 wrong-type"),
		other("steps in YAML with several faults", "steps:\n  - { wait_for: { event: reply, at_most: 7 } }\n  - { goto: [wait] }\n", "/steps/0/wait_for/at_most delay-out-of-range", "/steps/1/goto wrong-type"),
		other("D32 a date property named like code in YAML", "steps: [{delay: {until: {property: \"'; DROP TABLE users; --\"}}}]\n", "/steps/0/delay/until/property unknown-property"),
	}
}

func TestOddButGoodStepsAreSaved(t *testing.T) {
	t.Parallel()
	const known, act = `{"property": "age", "op": "known"}`, `"action": "notify", "with": {"to": "{{ user.id }}", "text": "x"}`
	cases := strings.Builder{}
	for i := range 250 {
		fmt.Fprintf(&cases, `{"is": %d},`, i)
	}
	s := start(t).seed()
	for name, body := range map[string]string{
		"D7 a loop of a thousand rounds":             definition(someTriggers, `[{"id": "wait", "delay": "1s"}, {"goto": "wait", "at_most": 1000}]`),
		"D7 a loop that waits":                       definition(someTriggers, `[{"id": "wait", "delay": "1s"}, {"goto": "wait"}]`),
		"D8 a step that leads to itself a few times": definition(someTriggers, `[{"id": "self", "goto": "self", "at_most": 3}]`),
		"D11 250 cases":                              definition(someTriggers, `[{"branch_on": {"property": "age"}, "cases": [`+cases.String()+`{"else": true}]}]`),
		"D11 20 parts":                               definition(someTriggers, `[{"split": `+repeated(20, `{"weight": 1}`)+`}]`),
		"D15 no delay, in its other form":            definition(someTriggers, `[{"delay": {"for": 0}}]`),
		"D17 a date that may be missing or past":     definition(someTriggers, `[{"delay": {"until": {"property": "hire_date", "offset": "-400d", "if_missing": "fail", "if_past": "exit"}}}]`),
		"D17 a date that has passed":                 definition(someTriggers, `[{"delay": {"until": {"date": "1970-01-01"}}}]`),
		"D18 a time that a zone leaves out":          `{"name": "x", "time_zone": "America/New_York", "triggers": ` + someTriggers + `, "steps": [{"delay": {"until": {"on": ["sunday"], "at": "02:30"}}}]}`,
		"D18 hours that a zone leaves out":           `{"name": "x", "time_zone": "America/New_York", "hours": {"windows": [{"days": ["sunday"], "from": "02:00", "to": "03:00"}]}, "triggers": ` + someTriggers + `, "steps": [{` + act + `}]}`,
		"a wait for what holds already":              definition(someTriggers, `[{"wait_for": {"filter": `+known+`}}]`),
		"a wait for ever":                            definition(someTriggers, `[{"wait_for": {"event": "never"}}]`),
		"a goto into an arm":                         definition(someTriggers, `[{"branch": [{"if": `+known+`, "steps": [{"id": "in", "delay": "1h"}]}, {"else": true}]}, {"goto": "in", "at_most": 1}]`),
		"a question about a step that comes later":   definition(someTriggers, `[{"branch": [{"if": {"step": "later", "op": "equals", "value": "done"}}, {"else": true}]}, {"id": "later", "delay": 0}]`),
		"errors that are handled by a second try":    definition(someTriggers, `[{"id": "act", `+act+`, "on_error": [{"delay": "1h"}, {"goto": "act"}]}]`),
		"nulls for everything that may be left out":  `{"name": "x", "hours": null, "holidays": null, "days_off": null, "triggers": ` + someTriggers + `, "steps": [{` + act + `, "on_error": null, "due_within": null, "wait_for": null, "goto": null, "at_most": null, "cases": null}]}`,
		"holidays that are none":                     `{"name": "x", "holidays": "none", "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`,
	} {
		a := s.do("PUT", "/v1/workflows/x", body)
		require.Contains(t, []int{200, 201}, a.status, "%s: %s", name, a.body)
		require.Equal(t, "x", s.must(200, "POST", "/v1/workflows/x/publish", "").object()["workflow"], name)
		v := s.must(200, "POST", "/v1/workflows/validate", body).object()
		require.Equal(t, true, v["valid"], name)
	}
}

func TestNoMessageRepeatsALongName(t *testing.T) {
	t.Parallel()
	s := start(t).seed()
	long := strings.Repeat("n", 300)
	where := `{"property": "` + long + `", "op": "known"}`
	for name, body := range map[string]string{
		"steps": definition(someTriggers, `[{"goto": "`+long+`"}, {"action": "`+long+`"}, {"delay": {"until": {"property": "`+long+`", "if_past": "`+long+`", "on": ["`+long+`"]}}},
			{"branch_on": {"property": "`+long+`", "step": "`+long+`"}, "cases": [{"else": true}]}, {"branch_on": {"value": "{{ user.`+long+` }}"}, "cases": [{"else": true}]},
			{"branch_on": {"value": "{{ 1 | `+long+` }}"}, "cases": [{"else": true}]}, {"wait_for": {"event": "user.`+long[:200]+`", "where": `+where+`}}]`),
		"amounts": definition(someTriggers, `[{"delay": "`+long+`"}, {"delay": "`+strings.Repeat("9", 300)+`d"}, {"wait_for": {"event": "x", "at_most": "`+long+`"}}]`),
		"filters": definition(`[{"filter": {"any": [`+where+`, {"property": "age", "op": "`+long+`"}, {"property": "created_at", "op": "on", "value": "now-`+long+`"},
			{"property": "created_at", "op": "on", "value": "`+long+`"}, {"property": "status", "op": "any_of", "value": ["`+long+`"]},
			{"property": "hire_date", "op": "on", "value": {"property": "`+long+`"}}, {"event": "user.`+long+`", "op": "at_least", "count": 1, "within": "`+long+`"}]}}]`, someSteps),
		"head":    `{"name": "x", "holidays": "` + long + `", "time_zone": "` + long + `", "hours": {"holidays": "` + long + `", "windows": [{"days": ["` + long + `"], "from": "09:00", "to": "10:00"}]}, "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`,
		"members": `{"name": "x", "` + long + `": 1}`,
		"twice":   `{"` + long + `": 1, "` + long + `": 2}`,
		"name":    `{"name": "` + long + `", "triggers": ` + someTriggers + `, "steps": ` + someSteps + `}`,
		"actions": definition(someTriggers, `[{"action": "set_property", "with": {"property": "`+long+`", "copy": "`+long+`", "value": 1}}]`),
	} {
		a := s.do("PUT", "/v1/workflows/x", body)
		p := a.problem()
		for _, e := range append(p.Errors, struct {
			Pointer *string `json:"pointer"`
			Code    string  `json:"code"`
			Message string  `json:"message"`
		}{Message: p.Detail}) {
			require.NotContains(t, e.Message, long[:101], name)
			require.NotContains(t, e.Message, strings.Repeat("9", 101), name)
		}
		require.True(t, name == "twice" || len(p.Errors) > 0, name)
	}
}
