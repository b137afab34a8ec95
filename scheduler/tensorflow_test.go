//go:build linux

package scheduler_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
)

// TestTensorFlowOnTwoNodes has a parameter server and three workers on two nodes: all
// are told of the same cluster, and each who it is.
func TestTensorFlowOnTwoNodes(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "gang", `echo "$TF_CONFIG"`, func(c *experiment.ScriptRunConfig) {
		c.Distributed = experiment.TensorFlow{WorkerCount: 3, ParameterServerCount: 1, NodeCount: 2}
	})
	require.NoError(t, r.Wait(t.Context(), nil))
	type task struct {
		Type  string
		Index int
	}
	var tasks []task
	var clusters []map[string][]string
	for _, text := range rankLogs(t, r) {
		var config struct {
			Cluster map[string][]string
			Task    task
		}
		require.NoError(t, json.Unmarshal([]byte(text), &config), text)
		tasks, clusters = append(tasks, config.Task), append(clusters, config.Cluster)
	}
	require.Equal(t, []task{{"ps", 0}, {"worker", 0}, {"worker", 1}, {"worker", 2}}, tasks)
	all := clusters[0]
	require.Equal(t, []map[string][]string{all, all, all, all}, clusters)
	require.Len(t, all["ps"], 1)
	require.Len(t, all["worker"], 3)
	require.NotEqual(t, all["ps"][0], all["worker"][0], "they are of one node")
	require.NotEqual(t, all["worker"][1], all["worker"][2], "they are of the other node")
	requireFree(t, ws)
}
