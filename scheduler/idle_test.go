//go:build linux

package scheduler_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
)

// TestNoIdleTime has nodes start for a run, stop when it has ended, and start again.
func TestNoIdleTime(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{IdleBeforeScaleDown: compute.NoIdle}, 1)
	schedule(t, ws)
	for range 2 {
		require.NoError(t, submit(t, ws, "short", "true", nil).Wait(t.Context(), nil))
		eventually(t, ws, "the node is off", func(s compute.ClusterStatus) bool { return s.NodeStateCounts["off"] == 1 })
	}
}
