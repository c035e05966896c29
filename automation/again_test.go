package automation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func TestAgainAllows(t *testing.T) {
	t.Parallel()
	last := time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)
	after := automation.Again{After: automation.Duration(30 * 24 * time.Hour)}
	for _, tt := range []struct {
		name  string
		again automation.Again
		later time.Duration
		want  bool
	}{
		{"never does not, however late", automation.Again{}, 10000 * 24 * time.Hour, false},
		{"every_trigger does at once", automation.Again{Every: true}, 0, true},
		{"after 30 days does not a moment early", after, 30*24*time.Hour - 1, false},
		{"after 30 days does on the moment", after, 30 * 24 * time.Hour, true},
		{"after 30 days does later", after, 31 * 24 * time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.again.Allows(last, last.Add(tt.later)))
		})
	}
}
