package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// turns are a turn of each side. The side with local activities starts more and takes less of the
// processor, the one with regular activities accepts more.
func turns() []round {
	return []round{
		{Side: rollcallSide, Figures: figures{Accepted: 400, Started: 90, Completed: 60, LatencyP50: 21, LatencyP99: 160, LateP50: 47, LateP99: 92}, Costs: costs{CPU: 25}},
		{Side: localSide, Figures: figures{Accepted: 100, Started: 100, Completed: 80}, Costs: costs{CPU: 20}},
		{Side: regularSide, Figures: figures{Accepted: 200, Started: 30, Completed: 30}, Costs: costs{CPU: 50}},
	}
}

func TestRatiosAreToTheBetterProgram(t *testing.T) {
	t.Parallel()
	o := newOnboarding(options{}, turns())
	require.Equal(t, []float64{0.9, 0.75, 2, 0.8}, []float64{o.StartRatio, o.CompletionRatio, o.AcceptRatio, o.CPURatio})
}

func TestTheFiguresOfTheComparisonStandOutermost(t *testing.T) {
	t.Parallel()
	r := &report{}
	newOnboarding(options{}, turns()).enter(r)
	(&ingest{Definitions: 100}).enter(r)
	var text bytes.Buffer
	require.NoError(t, r.writeJSON(&text))
	var got map[string]any
	require.NoError(t, json.Unmarshal(text.Bytes(), &got))
	for key, want := range map[string]float64{
		"start_ratio": 0.9, "completion_ratio": 0.75, "accept_ratio": 2, "cpu_ratio": 0.8,
		"latency_p50_ms": 21, "latency_p99_ms": 160, "lateness_p50_ms": 47, "lateness_p99_ms": 92,
	} {
		require.Equal(t, want, got[key], key)
	}
	require.Contains(t, got, "hand_written_regular")
	require.Equal(t, 100.0, got["ingest"].(map[string]any)["definitions"])
	require.NotContains(t, got, "sleepers")
}

func TestAReportWithoutTheComparisonHasNoneOfItsFigures(t *testing.T) {
	t.Parallel()
	r := &report{}
	(&sleepers{Together: 3}).enter(r)
	var text bytes.Buffer
	require.NoError(t, r.writeJSON(&text))
	require.NotContains(t, text.String(), "start_ratio")
	require.Contains(t, text.String(), `"together": 3`)
}

func TestTablesLineUp(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	require.NoError(t, table(&text, "title", [][]string{{"", "ms"}, {"≤ one", "1.00"}, {"another", "100"}}))
	require.Equal(t, "\ntitle\n\n             ms\n  ≤ one    1.00\n  another   100\n", text.String())
}

func TestEachResultCanBePrinted(t *testing.T) {
	t.Parallel()
	r := &report{results: []result{
		newOnboarding(options{rate: 50}, turns()), &ingest{}, &overload{}, &history{Steps: []stepOfHistory{{What: "branch"}}},
		&changes{}, &firing{Previews: []preview{{Name: "an enum"}}}, &sleepers{Samples: []sleepSample{{Asleep: 7}}},
	}}
	var text strings.Builder
	require.NoError(t, r.write(&text))
	for _, what := range []string{"onboard:", "ingest:", "overload:", "branch", "changes:", "an enum", "sleepers:"} {
		require.Contains(t, text.String(), what)
	}
}

func TestTheMemoryOfAProcessIsReadFromWhatTheKernelSays(t *testing.T) {
	t.Parallel()
	bytes, err := resident("Name:\tx\nVmPeak:\t  900 kB\nVmRSS:\t  123 kB\n")
	require.NoError(t, err)
	require.EqualValues(t, 123<<10, bytes)
	_, err = resident("Name:\tx\n")
	require.Error(t, err)
}

func TestTheWaitsOfAServiceAreReadFromItsMetrics(t *testing.T) {
	t.Parallel()
	w, err := readWaits(strings.NewReader("# HELP x\nrollcall_evaluation_wait_seconds_bucket{le=\"1\"} 3\n" +
		"rollcall_evaluation_wait_seconds_sum 0.25\nrollcall_evaluation_wait_seconds_count 3\n"))
	require.NoError(t, err)
	require.Equal(t, waits{n: 3, sum: 0.25}, w)
	_, err = readWaits(strings.NewReader("go_goroutines 7\n"))
	require.ErrorContains(t, err, "no metric")
}

func TestEventsEnrollWhomTheirConditionsHoldFor(t *testing.T) {
	t.Parallel()
	i := &ingestion{in: map[string]bool{}}
	for _, r := range i.requests(3*ingestUsers, 1) {
		i.accepted(r)
	}
	require.Equal(t, 3*ingestUsers, i.sent)
	require.Len(t, i.in, 3*ingestUsers/100, "one user in a hundred, each time by another event")
	require.True(t, i.in["d0 u0"])
	require.True(t, i.in["d20 u100"], "whose plan is another")
}

func TestDatabasesAreNamedByWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		databasePrefix + "65a1b2c3_onboard": "onboard", "temporal_visibility": "temporal", "": "background", "postgres": "other",
	} {
		require.Equal(t, want, purpose(name), name)
	}
}

func TestCostsAreThoseOfOnePassage(t *testing.T) {
	t.Parallel()
	before := usage{process: time.Second, backends: map[int]backend{7: {"temporal", time.Second}}, commits: map[string]int64{"temporal": 10}, wal: 1024}
	after := usage{process: 3 * time.Second, backends: map[int]backend{7: {"temporal", 2 * time.Second}}, commits: map[string]int64{"temporal": 30}, wal: 11 * 1024}
	c := after.since(before, 10)
	require.Equal(t, costs{CPU: 300, Process: 200, Postgres: map[string]float64{"temporal": 100}, WAL: 1, Commits: map[string]float64{"temporal": 2}}, c)
}
