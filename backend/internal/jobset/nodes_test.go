package jobset

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// TestTogetherNamesTheNode: the state of a job is that of the node that failed first.
func TestTogetherNamesTheNode(t *testing.T) {
	t.Parallel()
	now := time.Now()
	all := []backend.JobStatus{{ID: "a", State: backend.JobExited, ExitCode: 130, Ended: now.Add(time.Second)}, {ID: "a.node1", State: backend.JobKilled, Reason: "killed", Ended: now}}
	got := Together("a", all)
	require.Equal(t, backend.JobStatus{ID: "a", Node: 1, State: backend.JobKilled, Reason: "node 1: killed", Ended: now.Add(time.Second)}, got)
}
