package runconfig

// RunConfig is a run configuration. Make one with New: the zero value lacks
// the defaults. It is a plain value without locks.
//
// In every struct of this package the zero value of a field whose default is
// not named means "not set" and is written as null.
type RunConfig struct {
	// Script is the script to run, relative to the source folder.
	Script string `rc:"script,null"`
	// Arguments are the script's arguments.
	Arguments []string `rc:"arguments"`
	// Target is the compute target's name; default "local".
	Target string `rc:"target"`
	// Framework is Python, PySpark, TensorFlow or PyTorch; default Python.
	Framework string `rc:"framework"`
	// Communicator is None, ParameterServer, OpenMpi, IntelMpi, Nccl, Gloo or
	// ParallelTask; default None.
	Communicator string `rc:"communicator"`
	// MaxRunDurationSeconds ends a run that takes longer, in seconds; 0 is no limit.
	MaxRunDurationSeconds int `rc:"maxRunDurationSeconds,null"`
	// NodeCount is the number of nodes; default 1.
	NodeCount int `rc:"nodeCount"`
	// Priority is the job's priority for the target's scheduler.
	Priority int `rc:"priority,null"`
	// Environment is the environment, or a reference to a registered one.
	Environment Environment `rc:"environment"`
	// History says what of a run is kept.
	History History `rc:"history"`
	// Spark configures Spark.
	Spark Spark `rc:"spark"`
	// Docker says whether and how the run is in a container.
	Docker Docker `rc:"docker"`
	// HDI configures HDInsight.
	HDI HDI `rc:"hdi"`
	// TensorFlow configures a parameter server run.
	TensorFlow TensorFlow `rc:"tensorflow"`
	// MPI configures an MPI run.
	MPI MPI `rc:"mpi"`
	// PyTorch configures a PyTorch run on several nodes.
	PyTorch PyTorch `rc:"pytorch"`
	// ParallelTask configures a run of many small tasks.
	ParallelTask ParallelTask `rc:"paralleltask"`
	// DataReferences are folders of datastores, by name.
	DataReferences map[string]DataReference `rc:"dataReferences"`
	// Data are the inputs, by name.
	Data map[string]Data `rc:"data"`
	// DataCaches are caches of data on the compute.
	DataCaches []DataCache `rc:"datacaches"`
	// OutputData are the outputs, by name.
	OutputData map[string]OutputData `rc:"outputData"`
	// SourceDirectoryDataStore is the datastore that holds the source folder.
	SourceDirectoryDataStore string `rc:"sourceDirectoryDataStore,null"`
	// AmlCompute asks for a cluster for this run only.
	AmlCompute AmlCompute `rc:"amlcompute"`
	// AutoClusterComputeSpecification is kept as it is.
	AutoClusterComputeSpecification map[string]any `rc:"autoClusterComputeSpecification,null"`
	// KubernetesCompute configures a run on Kubernetes.
	KubernetesCompute KubernetesCompute `rc:"kubernetescompute"`
	// CredentialPassthrough lets the run act as the user; default false.
	CredentialPassthrough bool `rc:"credentialPassthrough"`
	// Command is run instead of the script.
	Command Command `rc:"command"`
	// EnvironmentVariables are set for the run; their names keep their case.
	EnvironmentVariables map[string]string `rc:"environmentVariables"`
	// ApplicationEndpoints are interactive programs beside the run, by name.
	ApplicationEndpoints map[string]ApplicationEndpoint `rc:"applicationEndpoints"`

	// Warnings say which keys of the file were not understood, each with file
	// and line. They are not saved.
	Warnings []string `rc:"-"`
}

// New gives a configuration with all defaults.
func New() *RunConfig {
	c := &RunConfig{}
	c.setDefaults()
	return c
}

// Command is a command to run: one line for a shell, or a list of words. At
// most one of the two is set.
type Command struct {
	// Line is a line for a shell.
	Line string
	// Words are the program and its arguments.
	Words []string
}

// Empty tells whether there is no command.
func (c Command) Empty() bool { return c.Line == "" && len(c.Words) == 0 }

// History says what of a run is kept.
type History struct {
	// OutputCollection keeps status, logs, metrics and outputs; default true.
	OutputCollection bool `rc:"outputCollection"`
	// SnapshotProject keeps the source folder; default true.
	SnapshotProject bool `rc:"snapshotProject"`
	// DirectoriesToWatch are folders uploaded while the run goes on; default logs.
	DirectoriesToWatch []string `rc:"directoriesToWatch"`
}

// Docker says whether and how a run is in a container.
type Docker struct {
	// UseDocker runs in a container; default false.
	UseDocker bool `rc:"useDocker"`
	// SharedVolumes lets containers share volumes; default true.
	SharedVolumes bool `rc:"sharedVolumes"`
	// Arguments are further arguments of docker run.
	Arguments []string `rc:"arguments"`
	// ShmSize is the size of /dev/shm such as "8g"; default 2g.
	ShmSize string `rc:"shmSize"`
}

// ApplicationEndpoint is an interactive program beside a run.
type ApplicationEndpoint struct {
	// Type is Jupyter, JupyterLab, VSCode, TensorBoard, SSH, Grafana or Custom.
	Type string `rc:"type,null"`
	// Port is the program's port; 0 lets the target choose.
	Port int `rc:"port,null"`
	// Properties configure the program, such as logDir for TensorBoard.
	Properties map[string]string `rc:"properties,null"`
}
