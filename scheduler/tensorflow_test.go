//go:build linux

package scheduler_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
)

// told is what a process of TensorFlow is told.
type told struct {
	Node   int
	Config struct {
		Cluster map[string][]string
		Task    struct {
			Type  string
			Index int
		}
	}
}

// tell has a shell say it.
const tell = `echo "{\"node\": $AZUREML_CR_NODE_RANK, \"config\": $TF_CONFIG}"`

// requireOneServer says that a run had two workers, each on a node of its own, and a
// parameter server beside the first, and that all knew of each other.
func requireOneServer(t *testing.T, r *run.Run) {
	t.Helper()
	all := make([]told, 3)
	for rank, text := range rankLogs(t, r, 3) {
		require.NoError(t, json.Unmarshal([]byte(text), &all[rank]), text)
	}
	cluster := all[0].Config.Cluster
	require.Len(t, cluster, 2)
	require.Len(t, cluster["worker"], 2)
	require.Len(t, cluster["ps"], 1)
	addresses := map[string]bool{cluster["worker"][0]: true, cluster["worker"][1]: true, cluster["ps"][0]: true}
	require.Len(t, addresses, 3, "no two have the same")
	for rank, want := range []struct {
		node int
		role string
		task int
	}{{0, "worker", 0}, {1, "worker", 1}, {0, "ps", 0}} {
		require.Equal(t, cluster, all[rank].Config.Cluster)
		require.Equal(t, want.node, all[rank].Node, "rank %d", rank)
		require.Equal(t, want.role, all[rank].Config.Task.Type, "rank %d", rank)
		require.Equal(t, want.task, all[rank].Config.Task.Index, "rank %d", rank)
	}
}

var oneServer = experiment.TensorFlow{WorkerCount: 2, ParameterServerCount: 1, NodeCount: 2}

// TestTensorFlowOnTwoNodes has more processes on one node than on the other. The parameter
// server never ends by itself.
func TestTensorFlowOnTwoNodes(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "gang", tell+`; case "$TF_CONFIG" in *'"type":"ps"'*) exec sleep 1000;; esac`, func(c *experiment.ScriptRunConfig) { c.Distributed = oneServer })
	require.NoError(t, r.Wait(t.Context(), nil))
	requireOneServer(t, r)
	requireFree(t, ws)
}

// TestParameterServerFails has the one process fail that only its node has: all end.
func TestParameterServerFails(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "gang", `case "$TF_CONFIG" in *'"type":"ps"'*) echo broken; exit 7;; esac; exec sleep 1000`, func(c *experiment.ScriptRunConfig) { c.Distributed = oneServer })
	require.ErrorIs(t, r.Wait(t.Context(), nil), azmlerrors.ErrFailed)
	e := r.Details().Error
	require.NotNil(t, e)
	require.Contains(t, e.Message, "rank 2 on node 0")
	require.Equal(t, []string{"broken"}, e.LastLines)
	requireFree(t, ws)
}

// TestTensorFlowThatTheSDKWrote submits what Azure ML's SDK has written, which wants as many
// nodes as workers.
func TestTensorFlowThatTheSDKWrote(t *testing.T) {
	t.Parallel()
	python, dir := testenv.AzureMLCore(t), t.TempDir()
	out, err := exec.CommandContext(t.Context(), python, "-W", "ignore", "-c", `
import os, sys
from azureml.core import Environment, ScriptRunConfig
from azureml.core.runconfig import TensorflowConfiguration
os.chdir(sys.argv[1])
os.mkdir(".azureml")
environment = Environment("here")
environment.python.user_managed_dependencies = True
environment.python.interpreter_path = sys.executable
config = ScriptRunConfig(".", command=["/bin/sh", "tell.sh"], compute_target="pool", environment=environment, distributed_job_config=TensorflowConfiguration(2, 1))
config.run_config.command = config.command
config.run_config.save(".", "pool")
`, dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	config, _, err := experiment.LoadRunConfig(dir, "pool")
	require.NoError(t, err)
	require.Equal(t, oneServer, config.Distributed)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tell.sh"), []byte(tell), 0o600))
	ws, _ := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "gang", "", func(c *experiment.ScriptRunConfig) { *c = config })
	require.NoError(t, r.Wait(t.Context(), nil))
	requireOneServer(t, r)
}
