package simulate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

// aYear mails a user every day of a year.
var aYear = trial{
	steps: `
  - { id: tip, action: send_email, with: { to: "{{ user.email }}", subject: "Day {{ user.score }}", body: "Good morning, {{ user.first_name }}" } }
  - { id: night, delay: 1d }
  - { goto: tip, at_most: 364 }
`,
	user: properties{"first_name": "Ada", "email": "ada@example.com"},
}

func TestAYearOfDailyStepsTakesMilliseconds(t *testing.T) {
	t.Parallel()
	began := time.Now()

	r := aYear.run(t)

	took := time.Since(began)
	require.Equal(t, automation.Completed, r.Status)
	require.Equal(t, day(365), r.EndedAt)
	require.Len(t, r.Timeline, 3*365)
	require.Less(t, took, 5*time.Second)
	t.Logf("365 mails and 365 days: %s", took)
}

func BenchmarkSimulateAYear(b *testing.B) {
	s, in := simulator(), aYear.input(b)
	for b.Loop() {
		r, err := s.Run(b.Context(), in)
		require.NoError(b, err)
		require.Equal(b, automation.Completed, r.Status)
	}
}
