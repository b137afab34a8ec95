package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/experiment"
)

// distributedFlags say how a script runs as several processes.
type distributedFlags struct {
	nodes, processes, servers int
	framework, backend        string
}

func (d *distributedFlags) add(cmd *cobra.Command, config *experiment.ScriptRunConfig) {
	f := cmd.Flags()
	f.StringVar(&d.framework, "framework", "", "run the script as several processes, for pytorch, tensorflow or mpi")
	f.IntVar(&d.nodes, "nodes", 0, "number of nodes of a cluster, with --framework (default 1)")
	f.IntVar(&d.processes, "processes", 0, "number of processes on each node, with --framework (default 1)")
	f.StringVar(&d.backend, "backend", "", "what the processes of pytorch speak by, nccl or gloo (default nccl)")
	f.IntVar(&d.servers, "parameter-servers", 0, "how many parameter servers tensorflow has on all nodes together, beside --processes workers on each")
	f.IntVar(&config.MaxRestarts, "max-restarts", 0, "how often all processes start anew when one fails")
	f.IntVar(&config.Priority, "priority", 0, "put the run before those with a lower number that wait for the cluster")
}

// merge puts what the flags say over what is there.
func (d *distributedFlags) merge(config *experiment.ScriptRunConfig) error {
	if d.framework == "" {
		if d.nodes != 0 || d.processes != 0 || d.servers != 0 || d.backend != "" {
			return usage("--nodes, --processes, --backend and --parameter-servers need --framework pytorch, tensorflow or mpi")
		}
		return nil
	}
	framework := strings.ToLower(d.framework)
	if err := d.check(framework); err != nil {
		return err
	}
	nodes, each := cmp.Or(d.nodes, 1), cmp.Or(d.processes, 1)
	switch framework {
	case "pytorch":
		config.Distributed = experiment.PyTorch{CommunicationBackend: d.backend, ProcessCount: nodes * each, NodeCount: nodes}
	case "tensorflow":
		config.Distributed = experiment.TensorFlow{WorkerCount: nodes * each, ParameterServerCount: d.servers, NodeCount: nodes}
	case "mpi":
		config.Distributed = experiment.Mpi{ProcessCountPerNode: each, NodeCount: nodes}
	default:
		return usage("--framework %q: use pytorch, tensorflow or mpi", d.framework)
	}
	return nil
}

// check tells what can't be, whatever the framework is called.
func (d *distributedFlags) check(framework string) error {
	for _, c := range []struct {
		flag  string
		count int
	}{{"nodes", d.nodes}, {"processes", d.processes}, {"parameter-servers", d.servers}} {
		if c.count < 0 {
			return usage("--%s %d: give how many there are to be", c.flag, c.count)
		}
	}
	switch {
	case d.servers != 0 && framework != "tensorflow":
		return usage("--parameter-servers is for --framework tensorflow")
	case d.backend != "" && framework != "pytorch":
		return usage("--backend is for --framework pytorch")
	}
	return nil
}
