package simulate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/connect/webhook"
	"rollcall/postgres"
	"rollcall/simulate"
)

const tells = `  - { id: tell, action: notify, with: { to: u_2, text: hello } }`

// problems are those of a trial that is refused, as pointer and code.
func (c trial) problems(t *testing.T) []string {
	t.Helper()
	_, err := simulator().Run(t.Context(), c.input(t))
	invalid, ok := errors.AsType[*automation.InvalidError](err)
	require.True(t, ok, "%v", err)
	var list []string
	for _, p := range invalid.Problems {
		list = append(list, strings.TrimSpace(p.Pointer+" "+p.Code))
	}
	return list
}

func TestBadInputsAreRefusedWithTheirPlaces(t *testing.T) {
	t.Parallel()
	many := make([]automation.SimulatedEvent, 1001)
	for name, c := range map[string]struct {
		trial trial
		want  []string
	}{
		"a document as validation gives it": {
			trial{steps: `  - { id: a, action: send_fax }`, head: "triggers: []"},
			[]string{"/triggers no-trigger", "/steps/0/action unknown-action"},
		},
		"properties like those of a user": {
			trial{steps: tells, user: properties{"colour": "red", "score": "nine", "created_at": "2027-01-01T00:00:00Z", "time_zone": "Mars/Olympus"}},
			[]string{"/user/properties/colour unknown-property", "/user/properties/created_at read-only-field", "/user/properties/score wrong-type", "/user/properties/time_zone wrong-type"},
		},
		"a start of long ago": {trial{steps: tells, start: time.Date(1812, 1, 1, 0, 0, 0, 0, time.UTC)}, []string{"/start out-of-range"}},
		"an end before the start": {
			trial{steps: tells, until: day(-1)}, []string{"/until out-of-range"},
		},
		"an end of the far future": {
			trial{steps: tells, until: day(3700)}, []string{"/until out-of-range"},
		},
		"events": {
			trial{steps: tells, events: []automation.SimulatedEvent{
				{Name: "login"},
				{At: day(1)},
				{At: day(1), Name: "user.created"},
				{At: day(4000), Name: "login"},
				{At: day(1), Name: "login", Properties: properties{"x": strings.Repeat("x", 33<<10)}},
			}},
			[]string{"/events/0/at required", "/events/1/name event-invalid", "/events/2/name event-invalid", "/events/3/at out-of-range", "/events/4/properties payload-too-large"},
		},
		"changes": {
			trial{steps: tells, changes: []automation.SimulatedChange{{}, {At: day(-1), Properties: properties{"score": true}}}},
			[]string{"/changes/0/at required", "/changes/1/at out-of-range", "/changes/1/properties/score wrong-type"},
		},
		"too many facts": {trial{steps: tells, events: many}, []string{"/events too-many"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.trial.problems(t))
		})
	}
}

func TestABadUserIDIsRefused(t *testing.T) {
	t.Parallel()
	in := trial{steps: tells}.input(t)
	in.User.ID = "a/b"
	_, err := simulator().Run(t.Context(), in)
	require.ErrorContains(t, err, "/user/id: a user id must not hold")
}

func TestTooMuchIsAClearError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trial trial
		want  string
	}{
		"more than ten years": {
			trial{steps: tells + "\n  - { id: week, delay: 4w }\n  - { goto: tell }"},
			"the user is still at step week after 10 years; say until when to look",
		},
		"a wait that ends later": {
			trial{steps: "  - { id: long, delay: 3655d }"}, "the user is still at step long after 10 years",
		},
		"more than 10,000 steps": {
			trial{steps: tells + "\n  - { id: short, delay: 1s }\n  - { goto: tell }"},
			"the user goes through more than 10000 steps until Mon 1 Mar 2027",
		},
		"texts that come to too much": {
			trial{
				steps: `  - { id: tell, action: notify, with: { to: u_2, text: "{% for i in (1..100) %}{{ user.first_name }}{% endfor %}" } }` + "\n  - { id: short, delay: 1s }\n  - { goto: tell }",
				user:  properties{"first_name": strings.Repeat("Ada Lovelace ", 100)},
			},
			"the effects come to more than 8 MiB",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := simulator().Run(t.Context(), c.trial.input(t))
			require.ErrorIs(t, err, automation.ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestASimulationThatTakesTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	s := simulator()
	s.Hurry(time.Millisecond)
	began := time.Now()
	_, err := s.Run(t.Context(), aYear.input(t))
	require.ErrorContains(t, err, "it takes more than 1ms to simulate this")
	require.ErrorIs(t, err, automation.ErrInvalid)
	require.Less(t, time.Since(began), 30*time.Second)
}

func TestACallerWhoGoesAwayIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := simulator().Run(ctx, aYear.input(t))
	require.ErrorIs(t, err, context.Canceled)
}

func TestABrokenWorkflowFunctionIsAnErrorAndNoCrash(t *testing.T) {
	t.Parallel()
	actions := activities.New(activities.Deps{})
	s := simulate.New(actions, func(context.Context, *automation.Document) (*postgres.Published, automation.Properties, error) {
		p, err := postgres.Config{Catalog: actions.Catalog()}.Prepare(document(t, "name: w\ntriggers: [{ manual: true }]\nsteps:\n"+tells), schema())
		p.Program.Start = "nowhere"
		return p, schema(), err
	})
	_, err := s.Run(t.Context(), trial{steps: tells}.input(t))
	require.ErrorContains(t, err, "simulate w: the workflow function broke")
	require.ErrorContains(t, err, "has no step nowhere")
}

func TestTheStartIsNowWhereNothingIsSaid(t *testing.T) {
	t.Parallel()
	in := trial{steps: tells}.input(t)
	in.Start = time.Time{}
	began := time.Now().Truncate(time.Second)
	r, err := simulator().Run(t.Context(), in)
	require.NoError(t, err)
	require.WithinRange(t, r.EndedAt, began, time.Now())
	require.NotEmpty(t, r.Timeline[0].Local)
}

func TestAnyYearCanBeTheStart(t *testing.T) {
	t.Parallel()
	for _, year := range []int{1970, 1999, 2038, 2200} {
		start := time.Date(year, 2, 27, 23, 0, 0, 0, time.UTC)
		r := trial{steps: "  - { id: long, delay: 5y }\n" + tells, start: start}.run(t)
		require.Equal(t, automation.Completed, r.Status, year)
		require.Equal(t, start.Add(5*365*24*time.Hour), r.EndedAt)
	}
}

// TestNothingLeaves goes through every kind of action with connectors that must not be used.
func TestNothingLeaves(t *testing.T) {
	t.Parallel()
	actions := activities.New(activities.Deps{Webhook: webhook.New(nil)}) // would panic if it were used
	s := simulate.New(actions, func(_ context.Context, d *automation.Document) (*postgres.Published, automation.Properties, error) {
		p, err := postgres.Config{Catalog: actions.Catalog()}.Prepare(d, schema())
		return p, schema(), err
	})
	with := map[string]string{
		"send_email": `{ to: ada@example.com, subject: Hello, body: x }`, "send_slack": `{ to: "#people", text: x }`,
		"send_webhook": `{ url: "https://example.com/" }`, "add_sheet_row": `{ spreadsheet: s, values: { a: b } }`,
		"notify": `{ to: u_2, text: x }`, "set_property": `{ property: score, value: 1 }`,
		"add_to_team": `{ team: support }`, "remove_from_team": `{ team: support }`, "create_task": `{ title: Call }`,
		"enroll": `{ workflow: other }`, "unenroll": `{ workflow: other }`, "format": `{ outputs: { a: b } }`,
	}
	for _, kind := range actions.Catalog().Kinds() {
		if with[kind] == "" {
			t.Logf("%s is not tried", kind)
			continue
		}
		in := trial{steps: fmt.Sprintf("  - { id: act, action: %s, with: %s }", kind, with[kind])}.input(t)
		r, err := s.Run(t.Context(), in)
		require.NoError(t, err, kind)
		require.Equal(t, automation.Completed, r.Status, "%s: %s", kind, told(r))
		require.True(t, strings.HasPrefix(r.Timeline[0].What, kind+" {"), r.Timeline[0].What)
		require.True(t, json.Valid(r.Timeline[0].With))
	}
}

func TestManySimulationsAtOnceDoNotDisturbOneAnother(t *testing.T) {
	t.Parallel()
	s, in := simulator(), trial{
		steps: "  - { id: reply, wait_for: { event: done, at_most: 7d } }\n  - { id: lot, split: [{ weight: 1 }, { weight: 1 }] }\n" + tells,
	}.input(t)
	results := make([]string, 40)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			own := in
			own.User.ID = fmt.Sprint("u_", i/2)
			own.Events = []automation.SimulatedEvent{{At: day(1 + i/2%5), Name: "done"}}
			r, err := s.Run(t.Context(), own)
			if err == nil {
				results[i] = told(r)
			}
		})
	}
	group.Wait()
	for i := 0; i < len(results); i += 2 {
		require.NotEmpty(t, results[i])
		require.Equal(t, results[i], results[i+1], "the same input comes to the same")
	}
}

func TestALoopOfGotosAloneIsBounded(t *testing.T) {
	t.Parallel()
	_, err := simulator().Run(t.Context(), trial{steps: "  - { id: a, goto: a, at_most: 10000 }\n" + tells}.input(t))
	require.ErrorContains(t, err, "more than 10000 steps")
}

func TestAThousandFactsAreTaken(t *testing.T) {
	t.Parallel()
	c := trial{steps: "  - { id: reply, wait_for: { filter: { event: login, op: at_least, count: 999 } } }"}
	for i := range 999 {
		c.events = append(c.events, automation.SimulatedEvent{At: monday.Add(time.Duration(i+1) * time.Minute), Name: "login"})
	}
	c.changes = []automation.SimulatedChange{{At: day(1), Properties: properties{"score": 1.0}}}
	r := c.run(t)
	require.Equal(t, automation.Completed, r.Status)
	require.Equal(t, monday.Add(999*time.Minute), r.EndedAt)
}
