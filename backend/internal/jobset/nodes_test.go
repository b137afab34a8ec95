package jobset

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// TestTogetherNamesTheNode: the state of a job is that of the node that failed first.
func TestTogetherNamesTheNode(t *testing.T) {
	t.Parallel()
	now := time.Now()
	asked := backend.JobStatus{ID: "a", State: backend.JobExited, ExitCode: 130, Ended: now.Add(time.Second)}
	lost := backend.JobStatus{ID: "a.node1", State: backend.JobKilled, Reason: "killed", Ended: now}
	got := Together("a", slices.Concat([]backend.JobStatus{asked}, []backend.JobStatus{lost}))
	require.Equal(t, backend.JobStatus{ID: "a", Node: 1, State: backend.JobKilled, Reason: "node 1: killed", Ended: now.Add(time.Second)}, got)
}
