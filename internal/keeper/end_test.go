package keeper

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// speaking is a target of which each node has said its number.
type speaking struct{ backend.OpenedCompute }

func (speaking) Output(_ context.Context, _ string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("begun\nI am " + string(rune('0'+opts.Node)) + "\n")), nil
}

// TestReasonNamesTheNode: why a run on several nodes has ended names the one that failed, by
// its name where it has one.
func TestReasonNamesTheNode(t *testing.T) {
	t.Parallel()
	killed := backend.JobStatus{State: backend.JobKilled, Node: 1, Reason: "node 1: killed by signal 9 (killed)"}
	failed := backend.JobStatus{State: backend.JobExited, Node: 1, ExitCode: 3, Reason: "node 1 ended with exit code 3"}
	alone := backend.JobStatus{State: backend.JobKilled, Reason: "killed by signal 9 (killed)"}
	for name, c := range map[string]struct {
		nodes  int
		names  []string
		status backend.JobStatus
		want   string
	}{
		"a cluster's":       {2, []string{"box/0", "box/1"}, killed, "its agent on node box/1 of gpus was killed by signal 9 (killed): I am 1"},
		"a cluster's fails": {2, []string{"box/0", "box/1"}, failed, "its agent on node box/1 of gpus ended with exit code 3: I am 1"},
		"without names":     {2, nil, killed, "its agent on node 1 of gpus was killed by signal 9 (killed): I am 1"},
		"the only one":      {1, []string{"box/0"}, alone, "its agent on node box/0 of gpus was killed by signal 9 (killed): I am 0"},
		"a machine":         {1, nil, alone, "its agent on gpus was killed by signal 9 (killed): I am 0"},
	} {
		k := &keeper{target: speaking{}, run: record.Run{Agent: &record.Agent{Adopted: true, Nodes: c.names}, Definition: &record.Definition{Compute: "gpus", Nodes: c.nodes}}}
		require.Equal(t, c.want, k.reason(t.Context(), c.status), name)
	}
}
