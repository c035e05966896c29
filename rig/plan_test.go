package rig

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASeedIsAPlan(t *testing.T) {
	t.Parallel()
	stage := Stage{Serves: []string{"a", "b"}, Workers: []string{"c", "d"}, Disk: true}
	one, again, other := NewPlan(7, time.Minute, stage), NewPlan(7, time.Minute, stage), NewPlan(8, time.Minute, stage)
	require.Equal(t, one, again)
	require.NotEqual(t, one, other)
	require.NotEmpty(t, one)
	drawn := map[string]bool{}
	for seed := range uint64(5) {
		for _, f := range NewPlan(seed, 5*time.Minute, stage) {
			require.Less(t, f.At, 5*time.Minute)
			drawn[f.Kind+" "+f.Peer] = true
		}
	}
	for _, h := range hazards {
		for _, peer := range append(h.peers, "")[:max(1, len(h.peers))] {
			require.True(t, drawn[h.kind+" "+peer], "%s %s is drawn", h.kind, peer)
		}
	}
}
