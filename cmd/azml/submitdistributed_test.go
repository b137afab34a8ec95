package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/experiment"
)

// TestProcessesOfFlags has parameter servers beside the workers, as Azure ML's SDK does.
func TestProcessesOfFlags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags distributedFlags
		want  experiment.Distributed
	}{
		"tensorflow":   {distributedFlags{framework: "tensorflow"}, experiment.TensorFlow{WorkerCount: 1, NodeCount: 1}},
		"servers":      {distributedFlags{framework: "TensorFlow", nodes: 2, servers: 1}, experiment.TensorFlow{WorkerCount: 2, ParameterServerCount: 1, NodeCount: 2}},
		"more workers": {distributedFlags{framework: "tensorflow", nodes: 2, processes: 3, servers: 2}, experiment.TensorFlow{WorkerCount: 6, ParameterServerCount: 2, NodeCount: 2}},
		"pytorch":      {distributedFlags{framework: "pytorch", nodes: 2, processes: 3}, experiment.PyTorch{ProcessCount: 6, NodeCount: 2}},
		"mpi":          {distributedFlags{framework: "mpi", nodes: 2, processes: 3}, experiment.Mpi{ProcessCountPerNode: 3, NodeCount: 2}},
	} {
		var config experiment.ScriptRunConfig
		require.NoError(t, c.flags.merge(&config), name)
		require.Equal(t, c.want, config.Distributed, name)
	}
}
