package experiment

import (
	"cmp"
	"strings"

	"github.com/azml-go/azml/internal/runconfig"
)

// distributedOf gives how a run configuration has the script run, nil for one
// process. Azure ML's SDK says it by framework and communicator, of PyTorch by "Gloo" or
// "gloo", as it came by it.
func distributedOf(rc *runconfig.RunConfig) Distributed {
	communicates := func(by string) bool { return strings.EqualFold(rc.Communicator, by) }
	uses := func(framework string) bool { return strings.EqualFold(rc.Framework, framework) }
	switch {
	case communicates("IntelMpi") || communicates("OpenMpi"):
		return Mpi{ProcessCountPerNode: rc.MPI.ProcessCountPerNode, NodeCount: max(rc.NodeCount, rc.MPI.NodeCount)}
	case uses("PyTorch") && (communicates("Nccl") || communicates("Gloo")):
		return PyTorch{CommunicationBackend: strings.ToLower(rc.PyTorch.CommunicationBackend), ProcessCount: rc.PyTorch.ProcessCount, NodeCount: max(rc.NodeCount, rc.PyTorch.NodeCount)}
	case uses("TensorFlow") && communicates("ParameterServer"):
		return TensorFlow{WorkerCount: rc.TensorFlow.WorkerCount, ParameterServerCount: rc.TensorFlow.ParameterServerCount, NodeCount: rc.NodeCount}
	}
	return nil
}

// fillDistributed is the opposite. Of Mpi the SDK writes IntelMpi, whichever mpirun there
// is, and so do we.
func fillDistributed(rc *runconfig.RunConfig, d Distributed) {
	switch d := d.(type) {
	case Mpi:
		rc.Communicator, rc.NodeCount = "IntelMpi", cmp.Or(d.NodeCount, 1)
		rc.MPI.ProcessCountPerNode, rc.MPI.NodeCount = cmp.Or(d.ProcessCountPerNode, 1), rc.NodeCount
	case PyTorch:
		rc.Framework, rc.Communicator, rc.NodeCount = "PyTorch", "Nccl", cmp.Or(d.NodeCount, 1)
		if d.CommunicationBackend == "gloo" {
			rc.Communicator = "Gloo"
		}
		rc.PyTorch.CommunicationBackend = cmp.Or(d.CommunicationBackend, "nccl")
		rc.PyTorch.ProcessCount, rc.PyTorch.NodeCount = d.ProcessCount, rc.NodeCount
	case TensorFlow:
		rc.Framework, rc.Communicator, rc.NodeCount = "TensorFlow", "ParameterServer", cmp.Or(d.NodeCount, 1)
		rc.TensorFlow.WorkerCount, rc.TensorFlow.ParameterServerCount = cmp.Or(d.WorkerCount, 1), d.ParameterServerCount
	}
}
