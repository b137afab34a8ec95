//go:build linux

package scheduler_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
)

// TestTorch runs real torch.distributed on two nodes with two processes each.
func TestTorch(t *testing.T) {
	t.Parallel()
	python := testenv.Torch(t)
	ws, _ := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "torch", "", func(c *experiment.ScriptRunConfig) {
		onTwo(c)
		c.Command, c.Source, c.Script = nil, filepath.Join("..", "examples", "distributed", "src"), "train.py"
		c.Environment = environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: python}}
		c.Variables = map[string]string{"OMP_NUM_THREADS": "1"}
	})
	require.NoError(t, r.Wait(t.Context(), nil))
	for rank, log := range rankLogs(t, r, 4) {
		require.Equal(t, []string{"sum 10 of 4", "fits True", "same True"}, strings.Split(strings.TrimSpace(log), "\n"), "rank %d", rank)
	}
	requireFree(t, ws)
}
