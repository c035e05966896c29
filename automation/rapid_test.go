package automation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/automation"
)

func TestADurationThatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := automation.Duration(rapid.Int64Range(0, int64(automation.MaxDuration/time.Second)).Draw(t, "seconds") * int64(time.Second))
		back, err := automation.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, back)
	})
}

func TestADurationIsNeverOutOfRange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, err := automation.ParseDuration(rapid.StringMatching(`([0-9]{1,5}[wdhms]){1,80}`).Draw(t, "text"))
		if err != nil {
			require.ErrorContains(t, err, "longer than ten years")
			return
		}
		require.GreaterOrEqual(t, d, automation.Duration(0))
		require.LessOrEqual(t, d, automation.Duration(automation.MaxDuration))
	})
}
