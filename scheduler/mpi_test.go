//go:build linux

package scheduler_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
)

// byMpi has mpirun start two processes on each of two nodes.
func byMpi(c *experiment.ScriptRunConfig) {
	c.Distributed = experiment.Mpi{ProcessCountPerNode: 2, NodeCount: 2}
}

// TestMpi has a real mpirun start processes on two nodes: they sum over all of them, each
// with its own log, and its node's own paths.
func TestMpi(t *testing.T) {
	t.Parallel()
	testenv.MPI(t)
	ws, _ := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "mpi", "", func(c *experiment.ScriptRunConfig) {
		byMpi(c)
		c.Command, c.Source, c.Script = nil, filepath.Join("..", "examples", "distributed", "src"), "reduce.py"
		c.Environment = environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: testenv.Python(t)}}
	})
	require.NoError(t, r.Wait(t.Context(), nil))
	for rank, log := range rankLogs(t, r, 4) {
		require.Equal(t, fmt.Sprintf("rank %d of 4 on node %d: sum 10\n", rank, rank/2), log)
	}
	summaries, err := r.Summaries(t.Context())
	require.NoError(t, err)
	for rank := range 4 {
		require.EqualValues(t, 10, summaries[fmt.Sprintf("sum_of_rank_%d", rank)].Last.Value, "metrics of all ranks are the run's")
	}
	requireFree(t, ws)
}

// TestMpiRankFails has one process of another node fail, in its first attempt alone where
// the processes may start anew.
func TestMpiRankFails(t *testing.T) {
	t.Parallel()
	testenv.MPI(t)
	for restarts, why := range []string{"it fails", "it begins anew"} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			ws, dir := open(t, compute.Cluster{}, 2)
			schedule(t, ws)
			r := submit(t, ws, "mpi", fmt.Sprintf(`echo attempt; if [ $OMPI_COMM_WORLD_RANK = 3 ]; then test -e %[1]s || { touch %[1]s; exit 7; }; elif [ ! -e %[1]s.again ]; then touch %[1]s.again; exec sleep 1000; fi`, filepath.Join(dir, "failed")),
				func(c *experiment.ScriptRunConfig) { byMpi(c); c.MaxRestarts = restarts })
			err := r.Wait(t.Context(), nil)
			if restarts == 0 {
				require.ErrorIs(t, err, azmlerrors.ErrFailed)
				e := r.Details().Error
				require.NotNil(t, e.ExitCode)
				require.Equal(t, 7, *e.ExitCode)
				require.Contains(t, e.Message, "sh (rank 3 on node 1) ended with exit code 7")
			} else {
				require.NoError(t, err)
				require.Equal(t, "attempt\nattempt\n", rankLogs(t, r, 4)[3])
			}
			requireFree(t, ws)
		})
	}
}
