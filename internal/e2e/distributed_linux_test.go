package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/scheduler"
	"github.com/azml-go/azml/workspace"
)

// onDistributed gives a workspace that has a target by that name with at least two nodes,
// whose image has PyTorch and Open MPI.
func onDistributed(t *testing.T, called string) *workspace.Workspace {
	t.Helper()
	if called == "k8s" {
		on := onCluster(t)
		on.Image = testenv.Kubernetes(t).Distributed(t)
		ws := newPlace(t).openFor(t)
		_, err := ws.Compute().Create(t.Context(), called, on, nil)
		require.NoError(t, err)
		return ws
	}
	engine := testenv.Docker(t)
	image := engine.Distributed(t)
	ws := newPlace(t).openFor(t)
	_, err := ws.Compute().Create(t.Context(), "box", docker.Config{Host: engine.Host, Image: image, Network: "host"}, nil)
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), called, compute.Cluster{Members: []compute.Member{{Target: "box", Nodes: 2}}}, nil)
	require.NoError(t, err)
	schedule(t, ws)
	return ws
}

// schedule has this process schedule the clusters of the workspace until the test ends.
func schedule(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- scheduler.Run(ctx, ws, &scheduler.Options{Every: 50 * time.Millisecond}) }()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// distributedTargets are a cluster whose nodes are containers, and a Kubernetes.
var distributedTargets = []string{"containers", "k8s"}

// submitDistributed runs a script of the example on two nodes with two processes each, and
// gives what each of them has said.
func submitDistributed(t *testing.T, ws *workspace.Workspace, on, script string, how experiment.Distributed) (*run.Run, []string) {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "distributed", nil)
	require.NoError(t, err)
	r, err := exp.Submit(t.Context(), experiment.ScriptRunConfig{
		Source: filepath.Join("..", "..", "examples", "distributed", "src"), Script: script, Compute: on, Distributed: how,
		Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: "python3"}},
		Variables:   map[string]string{"OMP_NUM_THREADS": "1"},
	}, nil)
	require.NoError(t, err)
	if err := r.Wait(t.Context(), nil); err != nil {
		require.NoError(t, err, "%s", outputOf(t, r))
	}
	said := []string{outputOf(t, r)}
	for rank := 1; rank < 4; rank++ {
		said = append(said, logOf(t, r, fmt.Sprintf("user_logs/std_log_process_%d.txt", rank)))
	}
	return r, said
}

// TestMpiOnClusters has a real mpirun start its daemons on two nodes, which are containers,
// and pods, and their processes sum over all of them.
func TestMpiOnClusters(t *testing.T) {
	t.Parallel()
	for _, on := range distributedTargets {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			ws := onDistributed(t, on)
			r, said := submitDistributed(t, ws, on, "reduce.py", experiment.Mpi{NodeCount: 2, ProcessCountPerNode: 2})
			for rank, text := range said {
				require.Equal(t, fmt.Sprintf("rank %d of 4 on node %d: sum 10\n", rank, rank/2), text)
				require.EqualValues(t, 1, series(t, r, fmt.Sprintf("sum_of_rank_%d", rank), 0))
			}
		})
	}
}

// TestTorchOnClusters has real torch.distributed sum over all processes and train a
// model: the same script on two nodes with two processes each, as containers and as pods.
func TestTorchOnClusters(t *testing.T) {
	t.Parallel()
	for _, on := range distributedTargets {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			ws := onDistributed(t, on)
			r, said := submitDistributed(t, ws, on, "train.py", experiment.PyTorch{CommunicationBackend: "gloo", NodeCount: 2, ProcessCount: 4})
			for rank, text := range said {
				require.Equal(t, "sum 10 of 4\nfits True\nsame True\n", text, "rank %d", rank)
				require.EqualValues(t, 4, series(t, r, fmt.Sprintf("loss_of_rank_%d", rank), 0))
			}
			files, err := r.Files(t.Context(), "outputs")
			require.NoError(t, err)
			require.Len(t, files, 1)
			require.Equal(t, "outputs/model.pt", files[0].Path)
		})
	}
}

// oneFails has rank 2 fail as soon as the others have begun, which say when they are told to
// end.
const oneFails = `trap 'touch "$PLACE/told-$RANK"; exit 0' TERM
touch "$PLACE/begun-$RANK"
if [ "$RANK" = 2 ]; then
	until [ -e "$PLACE/begun-0" ] && [ -e "$PLACE/begun-1" ] && [ -e "$PLACE/begun-3" ]; do sleep 0.1; done
	echo broken; exit 7
fi
while :; do sleep 0.1; done`

// TestOneRankFails has one process of four, on two nodes, fail: that is the reason of the
// run's end, the others are ended, and nothing is left.
func TestOneRankFails(t *testing.T) {
	t.Parallel()
	for _, on := range distributedTargets {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			ws, s := onTwoNodes(t, on)
			r := target{compute: on}.begin(t, ws, oneFails, func(c *experiment.ScriptRunConfig) {
				c.Distributed = experiment.PyTorch{CommunicationBackend: "gloo", NodeCount: 2, ProcessCount: 4}
				c.Variables, c.GracePeriod = map[string]string{"PLACE": s.shared}, time.Minute
			})
			require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrFailed)
			e := r.Details().Error
			require.Contains(t, e.Message, "(rank 2 on node 1) ended with exit code 7; its last line: broken")
			require.Equal(t, "UserError", e.Code)
			require.Equal(t, 7, *e.ExitCode)
			for _, rank := range []string{"0", "1", "3"} {
				require.FileExists(t, filepath.Join(s.shared, "told-"+rank))
			}
			s.requireNothing(t, r)
			clean(t, ws)
		})
	}
}

// onTwoNodes gives a workspace that has a target by that name with two nodes, which nobody
// else uses, and whose scripts see a folder of this machine.
func onTwoNodes(t *testing.T, called string) (*workspace.Workspace, *site) {
	t.Helper()
	p := newPlace(t)
	if called == "k8s" {
		s := clustered(t, p)
		config := s.config.(kubernetes.Target)
		s.shared = sharedFolder(t)
		config.PodPatch = hostFolder(s.shared)
		ws := p.openFor(t)
		_, err := ws.Compute().Create(t.Context(), called, config, nil)
		require.NoError(t, err)
		return ws, s
	}
	s := boxed(t, p)
	config := s.config.(docker.Config)
	config.Network = "host"
	ws := p.openFor(t)
	_, err := ws.Compute().Create(t.Context(), "box", config, nil)
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), called, compute.Cluster{Members: []compute.Member{{Target: "box", Nodes: 2}}}, nil)
	require.NoError(t, err)
	schedule(t, ws)
	return ws, s
}
