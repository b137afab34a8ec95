package runconfig

// Spark configures Spark.
type Spark struct {
	// Configuration are Spark's settings; default the application's name and
	// one attempt.
	Configuration map[string]any `rc:"configuration"`
}

// HDI configures HDInsight.
type HDI struct {
	// YarnDeployMode is cluster or client; default cluster.
	YarnDeployMode string `rc:"yarnDeployMode"`
}

// TensorFlow configures a parameter server run.
type TensorFlow struct {
	// WorkerCount is the number of workers; default 1.
	WorkerCount int `rc:"workerCount"`
	// ParameterServerCount is the number of parameter servers; default 1.
	ParameterServerCount int `rc:"parameterServerCount"`
}

// MPI configures an MPI run.
type MPI struct {
	// ProcessCountPerNode is the number of processes on each node; default 1.
	ProcessCountPerNode int `rc:"processCountPerNode"`
	// NodeCount is the number of nodes; default 1.
	NodeCount int `rc:"nodeCount"`
}

// PyTorch configures a PyTorch run on several nodes.
type PyTorch struct {
	// CommunicationBackend is nccl or gloo; default nccl.
	CommunicationBackend string `rc:"communicationBackend"`
	// ProcessCount is the number of processes on all nodes together.
	ProcessCount int `rc:"processCount,null"`
	// NodeCount is the number of nodes; default 1.
	NodeCount int `rc:"nodeCount"`
}

// ParallelTask configures a run of many small tasks.
type ParallelTask struct {
	// MaxRetriesPerWorker is how often a worker is tried again; default 0.
	MaxRetriesPerWorker int `rc:"maxRetriesPerWorker"`
	// WorkerCountPerNode is the number of workers on each node; default 1.
	WorkerCountPerNode int `rc:"workerCountPerNode"`
	// TerminalExitCodes are exit codes of a worker that end the job.
	TerminalExitCodes []int `rc:"terminalExitCodes,null"`
}

// AmlCompute asks for a cluster for one run only.
type AmlCompute struct {
	// VMSize is the machines' size.
	VMSize string `rc:"vmSize,null"`
	// VMPriority is dedicated or lowpriority.
	VMPriority string `rc:"vmPriority,null"`
	// RetainCluster keeps the cluster after the run; default false.
	RetainCluster bool `rc:"retainCluster"`
	// Name is the cluster's name; the run's ID when empty.
	Name string `rc:"name,null"`
	// ClusterMaxNodeCount is the largest number of nodes.
	ClusterMaxNodeCount int `rc:"clusterMaxNodeCount,null"`
}

// KubernetesCompute configures a run on Kubernetes.
type KubernetesCompute struct {
	// InstanceType names the kind of pod.
	InstanceType string `rc:"instanceType,null"`
}
