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
	require.Equal(t, spread{Min: 1, P50: 2, P99: 3}, spreadOf([]float64{3, 1, 2}))
	m := medians([]figures{{Started: 10, LateP99: 5}, {Started: 30, LateP99: 7}})
	require.InDelta(t, 20, m.Started, 0)
	require.InDelta(t, 6, m.LateP99, 0)
}

func TestRatesCountToTheLastPassage(t *testing.T) {
	t.Parallel()
	p := newPhase("x", 2)
	p.began = time.Now()
	for i, r := range p.passages {
		r.accepted = p.began.Add(time.Duration(i+1) * 500 * time.Millisecond)
		r.first = p.began.Add(time.Duration(i+1) * time.Second)
		r.second = p.began.Add(time.Duration(i+1) * 2 * time.Second)
	}
	var f figures
	p.rates(&f)
	require.Equal(t, []float64{2, 1, 0.5}, []float64{f.Accepted, f.Started, f.Completed})
	p50, p99 := p.latency()
	require.Equal(t, []float64{500, 1000}, []float64{p50, p99})
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

func TestLatenessIsNeverNegative(t *testing.T) {
	t.Parallel()
	p := newPhase("x", 2)
	due := time.Now()
	for i, r := range p.passages {
		r.due = due
		p.arrival(r, 2, r.user, due.Add(time.Duration(2-i)*time.Millisecond))
	}
	late, err := lateness(p)
	require.NoError(t, err)
	require.Equal(t, []float64{1, 2}, late)
	p.arrival(p.passages[0], 2, p.passages[0].user, due.Add(time.Second))
	_, err = lateness(p)
	require.ErrorContains(t, err, "2 webhooks")
	p.passages[0].due = due.Add(time.Minute)
	_, err = lateness(p)
	require.ErrorContains(t, err, "too early")
}

func names(chosen []measurement) (all []string) {
	for _, m := range chosen {
		all = append(all, m.name)
	}
	return all
}

func TestQuickYieldsToWhatIsSaid(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-quick", "-runs", "77"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []int{77, 3, 1}, []int{o.runs, o.seconds, o.rounds})
	require.Equal(t, []string{"onboard"}, names(o.chosen))
	_, err = parse([]string{"-rate", "50000", "-seconds", "20"}, io.Discard)
	require.ErrorContains(t, err, "-rate")
	_, err = parse([]string{"-sleepers", "0"}, io.Discard)
	require.ErrorContains(t, err, "-sleepers 0")
}

func TestMeasurementsAreChosenByName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"onboard", "ingest", "history"}},
		{[]string{"-all"}, []string{"onboard", "ingest", "overload", "history", "changes", "firing", "sleepers"}},
		{[]string{"-only", "sleepers,changes"}, []string{"changes", "sleepers"}},
		{[]string{"-quick", "-only", "firing"}, []string{"firing"}},
	} {
		o, err := parse(c.args, io.Discard)
		require.NoError(t, err)
		require.Equal(t, c.want, names(o.chosen), "%v", c.args)
	}
	_, err := parse([]string{"-only", "onboard,nothing"}, io.Discard)
	require.ErrorContains(t, err, "-only nothing")
}
