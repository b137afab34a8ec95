package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
)

// TestPodsAsNodes has a cluster whose nodes are pods. A run whose pod is evicted goes on
// in another one with what it had in outputs/, runs wait for their turn, a run on two nodes
// begins on both, and nothing is left of any.
func TestPodsAsNodes(t *testing.T) {
	t.Parallel()
	cluster, on := testenv.Kubernetes(t), onCluster(t)
	on.Namespace = ownNamespace(t, cluster)
	ws := newPlace(t).openFor(t)
	_, err := ws.Compute().Create(t.Context(), "k8s", on, nil)
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{Priority: compute.LowPriority, IdleBeforeScaleDown: time.Second,
		Members: []compute.Member{{Target: "k8s", Nodes: 2}}}, nil)
	require.NoError(t, err)
	schedule(t, ws)

	evicted, err := target{compute: "pool"}.submit(t, ws, "mkdir -p outputs; cat outputs/step && exit; echo 7 >outputs/step; echo begun; exec sleep 1000", nil)
	require.NoError(t, err)
	hears(t, evicted, "begun\n")
	require.Eventually(t, func() bool {
		files, err := evicted.Files(t.Context(), "outputs")
		return err == nil && len(files) == 1
	}, 5*time.Minute, 100*time.Millisecond, "outputs are stored")
	pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-n", on.Namespace, "-o", "jsonpath={.items[*].metadata.name}"))
	evict(t, cluster, on.Namespace, pod)

	var others []*run.Run
	for range 3 {
		r, err := target{compute: "pool"}.submit(t, ws, "echo one", nil)
		require.NoError(t, err)
		others = append(others, r)
	}
	both, err := target{compute: "pool"}.submit(t, ws, "echo rank $RANK of $WORLD_SIZE", func(c *experiment.ScriptRunConfig) {
		c.Distributed = experiment.PyTorch{NodeCount: 2}
	})
	require.NoError(t, err)
	for _, r := range append(others, evicted, both) {
		require.NoError(t, r.Wait(t.Context(), nil))
	}
	require.Contains(t, outputOf(t, evicted), "7\n")
	for rank, name := range []string{"user_logs/std_log.txt", "user_logs/std_log_process_1.txt"} {
		require.Contains(t, logOf(t, both, name), fmt.Sprintf("rank %d of 2\n", rank))
	}
	s := awaitCluster(t, ws, "all nodes are off", func(s compute.ClusterStatus) bool { return len(s.Queue) == 0 && s.NodeStateCounts["off"] == 2 })
	placed := 0
	for _, e := range s.Events {
		if strings.HasPrefix(e.What, "place "+evicted.ID()) {
			placed++
		}
	}
	require.Equal(t, 2, placed, "%v", s.Events)
	nothingIn(t, cluster, on.Namespace)
}
