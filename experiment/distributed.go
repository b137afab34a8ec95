package experiment

import (
	"cmp"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/record"
)

// Distributed is how a script runs as several processes: a Mpi, a PyTorch or a
// TensorFlow. The output of the first process is the run's log as ever, that of
// the others are logs std_log_process_<rank>.txt; metrics of all are metrics of the
// run; outputs/ are those of node 0. When one process fails, all are ended.
type Distributed interface {
	// nodes gives the number of nodes, and what is recorded of the rest.
	nodes() (int, record.Distributed, error)
}

// Mpi starts the script by mpirun of Open MPI, which must be installed on each node.
// Processes are numbered by node; none is bound to a processor unless the variable
// OMPI_MCA_hwloc_base_binding_policy says so.
type Mpi struct {
	// ProcessCountPerNode is how many processes run on each node, 1 when zero.
	ProcessCountPerNode int
	// NodeCount is the number of nodes, 1 when zero. They must reach node 0 at any port.
	NodeCount int
}

func (m Mpi) nodes() (int, record.Distributed, error) {
	n := cmp.Or(m.NodeCount, 1)
	each := cmp.Or(m.ProcessCountPerNode, 1)
	return n, record.Distributed{Framework: agent.Mpi, Processes: each},
		cmp.Or(checkCount("NodeCount", m.NodeCount), checkCount("ProcessCountPerNode", m.ProcessCountPerNode))
}

// PyTorch gives each process the variables that torch.distributed's env:// reads:
// MASTER_ADDR, MASTER_PORT, WORLD_SIZE, RANK, NODE_RANK and LOCAL_RANK.
type PyTorch struct {
	// CommunicationBackend is "nccl" or "gloo", as the script has it; "nccl" when empty.
	CommunicationBackend string
	// ProcessCount is the number of processes of all nodes together, one for each node when
	// zero. It is a multiple of NodeCount.
	ProcessCount int
	// NodeCount is the number of nodes, 1 when zero.
	NodeCount int
}

func (p PyTorch) nodes() (int, record.Distributed, error) {
	n := cmp.Or(p.NodeCount, 1)
	total := cmp.Or(p.ProcessCount, n)
	backend := cmp.Or(p.CommunicationBackend, "nccl")
	if backend != "nccl" && backend != "gloo" {
		return 0, record.Distributed{}, fmt.Errorf("%w: communication backend %q: want nccl or gloo", azml.ErrInvalid, backend)
	}
	if err := cmp.Or(checkCount("NodeCount", p.NodeCount), checkCount("ProcessCount", p.ProcessCount)); err != nil {
		return 0, record.Distributed{}, err
	}
	each, err := perNode(total, n)
	return n, record.Distributed{Framework: agent.PyTorch, Backend: backend, Processes: each}, err
}

// TensorFlow tells each process by TF_CONFIG who the others are. They are numbered workers
// first and dealt to the nodes one by one, so that nodes as many as the workers, which is
// what Azure ML's SDK writes, have a worker each.
type TensorFlow struct {
	// WorkerCount is the number of workers of all nodes together, 1 when zero.
	WorkerCount int
	// ParameterServerCount is the number of parameter servers beside them, which may be zero.
	ParameterServerCount int
	// NodeCount is the number of nodes, 1 when zero, at most one for each process.
	NodeCount int
}

func (t TensorFlow) nodes() (int, record.Distributed, error) {
	if err := cmp.Or(checkCount("NodeCount", t.NodeCount), checkCount("WorkerCount", t.WorkerCount), checkCount("ParameterServerCount", t.ParameterServerCount)); err != nil {
		return 0, record.Distributed{}, err
	}
	n, workers := cmp.Or(t.NodeCount, 1), cmp.Or(t.WorkerCount, 1)
	if workers+t.ParameterServerCount < n {
		return 0, record.Distributed{}, fmt.Errorf("%w: %d workers and %d parameter servers on %d nodes: give no more nodes than there are processes",
			azml.ErrInvalid, workers, t.ParameterServerCount, n)
	}
	return n, record.Distributed{Framework: agent.TensorFlow, Workers: workers, ParameterServers: t.ParameterServerCount}, nil
}

// checkCount refuses a negative number.
func checkCount(name string, n int) error {
	if n < 0 {
		return fmt.Errorf("%w: %s %d is negative: give how many there are to be", azml.ErrInvalid, name, n)
	}
	return nil
}

// perNode divides processes among nodes.
func perNode(total, nodes int) (int, error) {
	if total < nodes || total%nodes != 0 {
		return 0, fmt.Errorf("%w: %d processes on %d nodes: want as many on each node, and at least one", azml.ErrInvalid, total, nodes)
	}
	return total / nodes, nil
}

// mostProcesses bounds the processes of a node: beyond is a mistake.
const mostProcesses = 1024

// checkDistributed tells what is wrong with it.
func (c *ScriptRunConfig) checkDistributed() error {
	if c.Distributed == nil {
		if c.MaxRestarts != 0 {
			return fmt.Errorf("%w: restarts are for distributed runs", azml.ErrInvalid)
		}
		return nil
	}
	n, d, err := c.Distributed.nodes()
	if err != nil {
		return err
	}
	each := max(d.Processes, (d.Workers+d.ParameterServers+n-1)/n)
	if each > mostProcesses || c.MaxRestarts < 0 {
		return fmt.Errorf("%w: %d processes on a node, %d restarts: want at most %d processes, and no negative number", azml.ErrInvalid, each, c.MaxRestarts, mostProcesses)
	}
	return nil
}

// distributed gives what is recorded. Errors: ErrUnsupported for more nodes than
// the target has.
func (c *ScriptRunConfig) distributed(target *compute.Target) (int, *record.Distributed, error) {
	if c.Distributed == nil {
		return 0, nil, nil
	}
	n, d, err := c.Distributed.nodes()
	if err != nil {
		return 0, nil, err
	}
	if most := compute.MaxNodes(target); n > most {
		return 0, nil, fmt.Errorf("%w: the run needs %d nodes, and compute target %s has at most %d", azml.ErrUnsupported, n, target.Name(), most)
	}
	d.MaxRestarts = c.MaxRestarts
	return n, &d, nil
}
