//go:build unix

package rig_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutant is a mistake in the service that a run has to notice. The service is built with it by an
// overlay: no file of the service changes, and none of them knows.
type mutant struct {
	file    string   // of the module
	replace []string // old and new text in turns; each old one stands there once
	seen    string   // how the complaint that it has to lead to begins
}

// mutants by name, for the flag of that name.
var mutants = map[string]mutant{
	"key_has_attempt": {"activities/activities.go", []string{
		`automation.EffectKey(ref.EnrollmentID, ref.Step, ref.Visit)`,
		`automation.EffectKey(ref.EnrollmentID, ref.Step, ref.Visit+g.Attempts-1)`,
	}, "I8 "},
	"no_gate": {"postgres/gate.go", []string{
		`e.status in ('pending', 'active') and d.status <> 'paused' and not exists (`, `not exists (`,
		`set status = 'active', step = case when b.over`,
		`set status = case when e.ended_at is null then 'active' else e.status end, step = case when b.over`,
	}, "nothing starts in a pause"},
	"effect_again": {"postgres/inside.go", []string{"if g.Done {\n", "if false {\n"}, "I9 "},
	"load_latest": {"activities/activities.go", []string{
		`in.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version)`,
		`func() (*postgres.Published, error) {
			if next, err := in.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version+1); err == nil {
				return next, nil
			}
			return in.Published(ctx, g.Enrollment.Workflow, g.Enrollment.Version)
		}()`,
	}, "I12 "},
	"early_delay": {"postgres/delays.go", []string{
		`return Wait{Until: until.UTC(), Shown`, `return Wait{Until: until.UTC().Add(-300 * time.Millisecond), Shown`,
	}, "I10 "},
	"no_sweep": {"triggers/starter.go", []string{
		`s.db.ToStart(ctx, 500, lostAfter, unbegunAfter)`, `s.db.ToStart(ctx, 500, 24*time.Hour, 24*time.Hour)`,
	}, "stuck"},
	"no_leave": {"triggers/inside.go", []string{`v.Leaves[in.EnrollmentID] = reason`, `_ = reason`}, "I4 "},
	"deaf_wait": {"triggers/inside.go", []string{
		`v.Met = append(v.Met, postgres.Meeting{VisitRef: ref, Which: which, Event: event})`, `_ = event`,
	}, "I16 "},
	"temporal_untold": {"triggers/starter.go", []string{
		`if err = s.unenroll(ctx, c); err != nil && !isGone(err) {`, `if false {`,
	}, "I6 "},
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
