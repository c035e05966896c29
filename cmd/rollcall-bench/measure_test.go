package main

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantilesAndMedians(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	require.InDelta(t, 50, quantile(hundred, 0.50), 0)
	require.InDelta(t, 99, quantile(hundred, 0.99), 0)
	require.InDelta(t, 7, quantile([]float64{7}, 0.99), 0)
	require.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
	m := medians([]figures{{Started: 10, LateP99: 5}, {Started: 30, LateP99: 7}})
	require.InDelta(t, 20, m.Started, 0)
	require.InDelta(t, 6, m.LateP99, 0)
}

func TestASecondWebhookBeforeItsTimeIsAnError(t *testing.T) {
	t.Parallel()
	p := newPhase("x", 2)
	at := time.Now()
	for _, r := range p.passages {
		r.handled = at
		p.arrival(r, 1, r.user+"/1", at)
		p.arrival(r, 2, r.user+"/2", at.Add(time.Second))
	}
	require.NoError(t, verifyPassages(p))
	select {
	case <-p.complete:
	default:
		require.Fail(t, "the phase is not complete")
	}
	p.passages[1].second = at.Add(time.Second - time.Millisecond)
	require.ErrorContains(t, verifyPassages(p), "too early")
}

func TestARepeatedWebhookIsAnError(t *testing.T) {
	t.Parallel()
	p := newPhase("x", 1)
	at := time.Now()
	p.arrival(p.passages[0], 1, "a", at)
	p.arrival(p.passages[0], 1, "a", at)
	p.arrival(p.passages[0], 2, "b", at.Add(time.Minute))
	require.ErrorContains(t, verifyPassages(p), "more than once")
}

func TestQuickYieldsToWhatIsSaid(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-quick", "-runs", "77"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []int{77, 5, 1}, []int{o.runs, o.seconds, o.rounds})
	_, err = parse([]string{"-rate", "50000", "-seconds", "2"}, io.Discard)
	require.Error(t, err)
}
