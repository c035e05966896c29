//go:build unix

package rig_test

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutant is a mistake in the service that a run has to notice. The service is built with it by an
// overlay: no file of the service changes, and none of them knows.
type mutant struct {
	name    string
	file    string   // of the module
	replace []string // old and new text in turns; each old one stands there once
	seen    string   // how the complaint that it has to lead to begins
	seed    uint64   // of a run that notices it; 2 where that does not matter
	minutes float64  // how long that run has to be; 0.25 where that does not matter
}

// mutants lists the mistakes, for the flag of that name.
var mutants = []mutant{
	{name: "lost_accept", seen: "I1 ", file: "api/events.go", replace: []string{
		`receipts, err := s.DB.AppendEvents(ctx, []automation.Event{in.Body.event()})
	if err != nil {
		return nil, err`,
		`receipts, err := s.DB.AppendEvents(ctx, []automation.Event{in.Body.event()})
	if err != nil {
		out := &EventOut{Status: http.StatusAccepted}
		out.Body.ID, out.Body.Status = in.Body.ID, accepted(false)
		return out, nil`,
	}},
	{name: "silent_refusal", seen: "I2 ", file: "postgres/enroll.go", replace: []string{
		`because, enrollment_id from decided order by n`, `because, enrollment_id from decided where outcome <> 'refused' order by n`,
	}},
	{name: "id_ignored", seen: "I3 ", file: "postgres/events.go", replace: []string{
		`select $1, u.id, $3, $4, u.now, $6 from u`, `select $1 || '/' || gen_random_uuid(), u.id, $3, $4, u.now, $6 from u`,
	}},
	{name: "key_ignored", seen: "I3 ", file: "api/idempotency.go", replace: []string{
		`if key == "" || c.Request.Method`, `if true || key == "" || c.Request.Method`,
	}},
	{name: "no_leave", seen: "I4 ", file: "triggers/inside.go", replace: []string{`v.Leaves[in.EnrollmentID] = reason`, `_ = reason`}},
	{name: "ordinal_left_out", seen: "I5 ", file: "postgres/enroll.go", replace: []string{
		`coalesce(l.ordinal, 0) + 1 as ordinal`, `coalesce(l.ordinal, 0) + 2 as ordinal`,
	}},
	{name: "temporal_untold", seen: "I6 ", file: "triggers/starter.go", replace: []string{
		`if err = s.unenroll(ctx, c); err != nil && !isGone(err) {`, `if false {`,
	}},
	{name: "no_sweep", seen: "stuck", file: "triggers/starter.go", replace: []string{
		`s.db.ToStart(ctx, 500, lostAfter, unbegunAfter)`, `s.db.ToStart(ctx, 500, 24*time.Hour, 24*time.Hour)`,
	}},
	{name: "key_has_attempt", seen: "I8 ", file: "activities/activities.go", replace: []string{
		`automation.EffectKey(ref.EnrollmentID, ref.Step, ref.Visit)`,
		`automation.EffectKey(ref.EnrollmentID, ref.Step, ref.Visit+g.Attempts-1)`,
	}},
	{name: "effect_again", seen: "I9 ", seed: 5, minutes: 0.5, file: "postgres/inside.go", replace: []string{"if g.Done {\n", "if false {\n"}},
	{name: "early_delay", seen: "I10 ", file: "postgres/delays.go", replace: []string{
		`return Wait{Until: until.UTC(), Shown`, `return Wait{Until: until.UTC().Add(-300 * time.Millisecond), Shown`,
	}},
	{name: "schedule_for_all", seen: "I11 ", minutes: 1.1, file: "postgres/schedules.go", replace: []string{
		"if t.Where != nil {\n\t\tconditions", "if t.Where == nil {\n\t\tconditions",
	}},
	{name: "load_latest", seen: "I12 ", file: "activities/activities.go", replace: []string{
		`in.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version)`,
		`func() (*postgres.Published, error) {
			if next, err := in.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version+1); err == nil {
				return next, nil
			}
			return in.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version)
		}()`,
	}},
	{name: "left_behind", seen: "I12 ", file: "postgres/in_flight.go", replace: []string{`if act && !m.Migrate {`, `if act {`}},
	{name: "no_gate", seen: "I14 ", file: "postgres/gate.go", replace: []string{
		"where e.id = $1 and `+carried(`$7`)+`\n", "where e.id = $1 and (true or `+carried(`$7`)+`)\n",
		`set status = 'active', step = case when b.over`,
		`set status = case when e.ended_at is null then 'active' else e.status end, step = case when b.over`,
	}},
	{name: "no_pause", seen: "nothing starts in a pause", seed: 4, minutes: 0.6, file: "postgres/gate.go", replace: []string{
		`and (d.status <> 'paused' or exists (`, `and (true or exists (`,
	}},
	{name: "early_timer", seen: "I15 ", file: "workflows/steps.go", replace: []string{
		`remaining := until.Sub(workflow.Now(e.scope))`, `remaining := until.Sub(workflow.Now(e.scope)) - 300*time.Millisecond`,
	}},
	{name: "deaf_wait", seen: "I16 ", file: "triggers/inside.go", replace: []string{
		`v.Met = append(v.Met, postgres.Meeting{VisitRef: ref, Which: which, Event: event})`, `_ = event`,
	}},
	{name: "sigterm_ignored", seen: "I22 ", file: "cmd/rollcall/main.go", replace: []string{
		`signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)`,
		`signal.NotifyContext(func() context.Context { signal.Ignore(syscall.SIGTERM); return context.Background() }(), os.Interrupt)`,
	}},
	{name: "stale_read", seen: "I25 ", file: "api/enrollments.go", replace: []string{
		"out := s.enrollment(http.StatusOK, e)\n\tif out.Body.Timeline",
		"if e.Status == automation.Unenrolled {\n\t\te.Status = automation.Active\n\t}\n\tout := s.enrollment(http.StatusOK, e)\n\tif out.Body.Timeline",
	}},
	{name: "output_forgotten", seen: "outputs ", seed: 41, file: "postgres/gate.go", replace: []string{
		`and output is not null order by`, `and output is not null and kind <> 'format' order by`,
	}},
	{name: "split_by_chance", seen: "splits ", seed: 53, minutes: 0.5, file: "activities/branch.go", replace: []string{
		`fmt.Appendf(nil, "%s\x00%s\x00%s", workflow, step, userID)`, `fmt.Appendf(nil, "%s\x00%s\x00%s\x00%p", workflow, step, userID, &parts)`,
	}},
	{name: "first_arm", seen: "timelines ", seed: 53, file: "workflows/steps.go", replace: []string{`return n.Arms[taken.Arm], nil`, `return n.Arms[0], nil`}},
	{name: "open_at_the_end", seen: "the timeline ", file: "postgres/enrollments.go", replace: []string{
		`where enrollment_id = $1 and status in ('waiting', 'held', 'running')`, `where enrollment_id = $1 and status = 'held'`,
	}},
}

// chosen are the mutants of a name, or all of them.
func chosen(t *testing.T, name string) []mutant {
	t.Helper()
	if name == "all" {
		return mutants
	}
	at := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == name })
	require.GreaterOrEqual(t, at, 0, "there is no mutant %q", name)
	return mutants[at : at+1]
}

// TestMutants lets each mutant that the flag names run, one after the other, and wants the complaint that
// it has to lead to.
func TestMutants(t *testing.T) {
	t.Parallel()
	if *spoiled == "" {
		t.Skip("builds the service with mistakes in it: -mutant all, or the name of one")
	}
	for _, m := range chosen(t, *spoiled) { //nolint:paralleltest // each has the machine for itself
		t.Run(m.name, func(t *testing.T) {
			s := settings{seed: cmp.Or(m.seed, 2), minutes: cmp.Or(m.minutes, 0.25), users: 12, mutant: &m}
			breaches := s.run(t)
			as := slices.IndexFunc(breaches, func(b string) bool { return strings.HasPrefix(b, m.seen) })
			require.GreaterOrEqual(t, as, 0, "it was not seen as %q, but as: %s", m.seen, strings.Join(breaches, "\n"))
			t.Logf("seen as %s, in %d complaints", breaches[as], len(breaches))
		})
	}
}

// TestMutantsFit holds the texts that mutants replace against the files that they are in.
func TestMutantsFit(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	for _, m := range mutants {
		overlay(t, root, m)
	}
}

// overlay writes a mutant down and returns the argument of "go build" that puts it in.
func overlay(t *testing.T, root string, m mutant) string {
	t.Helper()
	file, dir := filepath.Join(root, m.file), t.TempDir()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	mutated := string(text)
	for i := 0; i < len(m.replace); i += 2 {
		require.Equal(t, 1, strings.Count(mutated, m.replace[i]), "%s does not have this text once any more: %s", m.file, m.replace[i])
		mutated = strings.Replace(mutated, m.replace[i], m.replace[i+1], 1)
	}
	spoiled, list := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(spoiled, []byte(mutated), 0o600))
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {file: spoiled}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(list, replaced, 0o600))
	return "-overlay=" + list
}
