package record

import "time"

// Run is the record of a run, at "runs/<id>/run.json".
type Run struct {
	Meta
	// ID is the run's ID.
	ID string `json:"runId"`
	// Experiment is the name of the run's experiment.
	Experiment string `json:"experiment"`
	// Number counts the experiment's runs from 1.
	Number int `json:"runNumber"`
	// Life tells the run from others that had, or will have, its ID: 16 random
	// hexadecimal digits, which are in the keys of all its objects but this one.
	Life string `json:"life"`
	// Type is "azml.run" for a run logged in process, "azureml.scriptrun" for a
	// submitted script.
	Type string `json:"runType"`
	// Parent is the ID of the run this is a child of.
	Parent string `json:"parentRunId,omitempty"`
	// Root is the ID of the topmost run above, the run's own when it has none.
	Root string `json:"rootRunId"`
	// MadeIn is the ID of the run whose script has made this one, through an
	// MLflow client. No process answers for it: it ends with that run, at the
	// latest.
	MadeIn string `json:"madeIn,omitempty"`
	// DisplayName is a name for people.
	DisplayName string `json:"displayName,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Status is where the run is now.
	Status Status `json:"status"`
	// Reason says in words why it is there.
	Reason string `json:"statusReason,omitempty"`
	// WaitsFor says what it waits for, when it does.
	WaitsFor string `json:"waitsFor,omitempty"`
	// Since is when Status began.
	Since time.Time `json:"statusSince"`
	// History holds every status the run has had, oldest first.
	History []Transition `json:"history"`
	// Started is when the user's code began.
	Started time.Time `json:"startTime,omitzero"`
	// Ended is when the run reached its last status.
	Ended time.Time `json:"endTime,omitzero"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Properties are labels that never change once set.
	Properties map[string]string `json:"properties,omitempty"`
	// Params are the run's parameters, each set once.
	Params map[string]string `json:"params,omitempty"`
	// Snapshot is the manifest ID of the source folder's snapshot.
	Snapshot string `json:"snapshot,omitempty"`
	// Definition is what was submitted, nil for runs logged in process.
	Definition *Definition `json:"definition,omitempty"`
	// Owner is the process that drives the run.
	Owner *Owner `json:"owner,omitempty"`
	// Agent is the program that drives the run on its compute target, nil when the
	// submitting process does, or a program that opens the workspace by itself.
	Agent *Agent `json:"agent,omitempty"`
	// Former is the agent that had the run, or was about to, before the present one or
	// before it was queued anew: it is ended before another one begins.
	Former *Agent `json:"formerAgent,omitempty"`
	// Error says why the run failed.
	Error *RunError `json:"error,omitempty"`
	// Warnings are what went wrong without failing the run.
	Warnings []string `json:"warnings,omitempty"`
	// Kept says what the run had in the store when it ended, so that what is
	// lost later is missed.
	Kept *Kept `json:"kept,omitempty"`
	// User is who an MLflow client says that runs it.
	User string `json:"user,omitempty"`
	// Deleted is when the run was hidden from lists, zero when it is active. It
	// can be made active again.
	Deleted time.Time `json:"deleted,omitzero"`
	// Expunged is when the garbage collector began to remove the run for good:
	// from then on it can't be restored. Zero before.
	Expunged time.Time `json:"expunged,omitzero"`
	// Datasets are the datasets that the run says it has used.
	Datasets []DatasetInput `json:"datasets,omitempty"`
	// DatasetOutputs are the datasets that it has made.
	DatasetOutputs []DatasetOutput `json:"datasetOutputs,omitempty"`
	// ModelInputs are the IDs of the logged models that it has used.
	ModelInputs []string `json:"modelInputs,omitempty"`
	// ModelOutputs are the logged models that it has made.
	ModelOutputs []ModelOutput `json:"modelOutputs,omitempty"`
	// Import says where the run was carried over from, nil for one made here.
	Import *Import `json:"import,omitempty"`
}

// Requeue has the run wait for nodes anew.
func (r *Run) Requeue() { r.Owner, r.Agent, r.Former = nil, nil, r.Agent }

// Try is the number of the try, from 1 on, in which a run of a queue is to begin, or
// does: how often in a row it was Queued.
func (r *Run) Try() (n int) {
	for i := len(r.History) - 1; i >= 0 && r.History[i].Status == Queued; i-- {
		n++
	}
	return max(n, 1)
}

// TryPause is how long a run waits, at least, before it gets nodes for the try of that
// number: nothing before the first, a second before the next, and twice as long before
// each further one, up to a minute. So ten tries outlast an engine that is started anew.
func TryPause(try int) time.Duration {
	const longest = time.Minute
	if try < 2 {
		return 0
	}
	return min(longest, time.Second<<min(try-2, 6))
}

// Remote tells whether an agent on another machine or in a container drives the
// run, so that its target alone knows whether it is still there.
func (r *Run) Remote() bool { return r.Agent != nil && r.Agent.Adopted && !r.Status.Terminal() }

// Elsewhere tells whether the run goes on in another workspace, so that the
// record is a copy, which syncing alone brings on.
func (r *Run) Elsewhere() bool {
	if r.Status.Terminal() {
		return false
	}
	return r.Owner != nil && r.Owner.Workspace != "" || r.Owner == nil && r.MadeIn != "" && r.Origin != ""
}

// Import says where a run was carried over from.
type Import struct {
	// From names the place, such as the URL of an MLflow server.
	From string `json:"from"`
	// State identifies what the run was there when all of it had been carried
	// over. It is empty until then.
	State string `json:"state,omitempty"`
	// LeftOut counts, by reason, what could not be carried over of it.
	LeftOut map[string]int64 `json:"leftOut,omitempty"`
}

// DatasetInput is one use of a dataset by a run. What else is known of the
// dataset is a record of its own, see RunDataset.
type DatasetInput struct {
	// Name is the dataset's name.
	Name string `json:"name"`
	// Digest tells versions of the dataset apart.
	Digest string `json:"digest"`
	// Tags are free labels, such as "mlflow.data.context".
	Tags map[string]string `json:"tags,omitempty"`
	// Use says how the run got it, nil when only the run says that it has used it.
	Use *DatasetUse `json:"use,omitempty"`
}

// ModelOutput is a logged model that a run has made.
type ModelOutput struct {
	// ModelID is the logged model's ID.
	ModelID string `json:"modelId"`
	// Step is the step at which it was made.
	Step int64 `json:"step"`
}

// RunDataset is what is known of a dataset that a run has used, by the word of an
// MLflow client or by its definition in the workspace, at "runs/<id>/datasets-<life>/<hash>.json". It is written once.
type RunDataset struct {
	Meta
	// Name is the dataset's name.
	Name string `json:"name"`
	// Digest tells versions of the dataset apart.
	Digest string `json:"digest"`
	// SourceType is the kind of its source, such as "http".
	SourceType string `json:"sourceType"`
	// Source describes the source, mostly as JSON.
	Source string `json:"source"`
	// SchemaText describes its columns, mostly as JSON.
	SchemaText string `json:"datasetSchema,omitempty"`
	// Profile holds figures about it, mostly as JSON.
	Profile string `json:"profile,omitempty"`
}

// Schema implements Record.
func (*RunDataset) Schema() string { return "azml.run-dataset/1" }

// Schema implements Record.
func (*Run) Schema() string { return "azml.run/1" }

// Kept is what a run had in the store when it ended, as far as the process that
// ended it had to do with it. There may be more.
type Kept struct {
	// FileParts is the number of parts of the list of its files.
	FileParts int `json:"fileParts,omitempty"`
	// Points is the number of points of each writer of metrics, by its ID.
	Points map[string]uint64 `json:"points,omitempty"`
}

// Transition is one step of a run's history.
type Transition struct {
	// Status is the status that began.
	Status Status `json:"status"`
	// Time is when it began.
	Time time.Time `json:"time"`
	// Reason says why.
	Reason string `json:"reason,omitempty"`
}

// Definition is a submitted script run.
type Definition struct {
	// Script is the script relative to the snapshot; empty when Command is set.
	Script string `json:"script,omitempty"`
	// Arguments follow the script.
	Arguments []string `json:"arguments,omitempty"`
	// Command replaces the script: a program and its arguments.
	Command []string `json:"command,omitempty"`
	// Compute is the name of the compute target.
	Compute string `json:"target"`
	// ComputeType is the kind of that target, such as "SSH".
	ComputeType string `json:"targetType,omitempty"`
	// Environment is the environment it runs in.
	Environment EnvironmentRef `json:"environment"`
	// Cluster says that Compute is a cluster, whose scheduler starts the run.
	Cluster bool `json:"cluster,omitempty"`
	// Nodes is how many nodes of it the run needs at once; 0 is one.
	Nodes int `json:"nodeCount,omitempty"`
	// Distributed is set for a script that runs as several processes.
	Distributed *Distributed `json:"distributed,omitempty"`
	// Priority puts it before runs with a lower one that wait for the cluster.
	Priority int `json:"priority,omitempty"`
	// Variables are the user's environment variables.
	Variables map[string]string `json:"environmentVariables,omitempty"`
	// MaxDuration is the limit of the user's code in seconds, 0 for none.
	MaxDuration int64 `json:"maxRunDurationSeconds,omitempty"`
	// Limits are what it may use of its target; zero means the target's own.
	Limits Limits `json:"limits,omitzero"`
	// MaxStart is the limit of the time from the agent's start until it has taken the
	// run over, in seconds; 0 for none.
	MaxStart int64 `json:"maxStartSeconds,omitempty"`
	// WaitsForRoom says that the time in which the target has no room for the run does not
	// count to MaxStart, nor that for its image to MaxPrepare.
	WaitsForRoom bool `json:"waitsForRoom,omitempty"`
	// MaxPrepare is the limit of the preparation in seconds, 0 for none.
	MaxPrepare int64 `json:"maxPrepareSeconds,omitempty"`
	// GracePeriod is the time between asking and forcing a cancelled script to
	// end, in seconds.
	GracePeriod float64 `json:"gracePeriodSeconds,omitempty"`
	// AllowWorkspace lets the script's MLflow clients use other experiments and
	// other runs than its own.
	AllowWorkspace bool `json:"allowWorkspace,omitempty"`
	// Secrets are the names of the secrets that the script gets.
	Secrets []string `json:"secrets,omitempty"`
	// Inputs are the datasets that the script gets, by name.
	Inputs []DataInput `json:"inputs,omitempty"`
	// Outputs are the folders of files that are stored when it has ended, by name.
	Outputs []DataOutput `json:"outputs,omitempty"`
}

// Limits bound what a run may use. Fields are as in backend.Limits.
type Limits struct {
	// CPUs is the number of processors.
	CPUs float64 `json:"cpus,omitempty"`
	// Memory is in bytes.
	Memory int64 `json:"memory,omitempty"`
	// SharedMemory is the size of /dev/shm in bytes.
	SharedMemory int64 `json:"sharedMemory,omitempty"`
	// GPUs is the number of accelerators, -1 for all.
	GPUs int `json:"gpus,omitempty"`
}

// Agent is the program that drives a run on another machine or in a container.
type Agent struct {
	// Job is the ID of its job on the target.
	Job string `json:"job"`
	// TokenHash is the SHA-256 of the token with which it reaches the run, and
	// nothing else, in hexadecimal. The token itself is stored nowhere.
	TokenHash string `json:"tokenHash"`
	// Image is the container image that it runs in, which has the environment; empty
	// on targets without images.
	Image string `json:"image,omitempty"`
	// Nodes are the nodes of a cluster that the run has, node 0 first.
	Nodes []string `json:"nodes,omitempty"`
	// Requeue says that the run waits for nodes anew when the agent is lost.
	Requeue bool `json:"requeue,omitempty"`
	// Adopted says that it has taken the run over from its submitter.
	Adopted bool `json:"adopted,omitempty"`
	// Left says that it was asked to end, and nobody wanted the run canceled: all that
	// its script has left is stored, and why it had to end is for its keeper to say.
	Left bool `json:"left,omitempty"`
	// Saves says that it saves what another agent, which was lost, has left. Its keeper may
	// be about to start it.
	Saves bool `json:"saves,omitempty"`
}

// RunError says why a run failed.
type RunError struct {
	// Code is "UserError" when the user's code failed, "SystemError" otherwise.
	Code string `json:"code"`
	// Message says what happened.
	Message string `json:"message"`
	// Phase is the status in which it happened, such as "Preparing".
	Phase string `json:"phase,omitempty"`
	// ExitCode is the command's exit code, when it had one.
	ExitCode *int `json:"exitCode,omitempty"`
	// LastLines are the last lines of the log.
	LastLines []string `json:"lastLines,omitempty"`
	// Stack is the stack trace of a panic.
	Stack string `json:"stack,omitempty"`
}

// Heartbeat is written again and again by the process that drives a run, at
// "runs/<id>/heartbeat-<life>.json".
type Heartbeat struct {
	Meta
	// Owner is the Owner.ID of the process.
	Owner string `json:"owner"`
}

// Schema implements Record.
func (*Heartbeat) Schema() string { return "azml.heartbeat/1" }

// RunNode is what a node of a run on several nodes tells the others, at
// "runs/<id>/nodes-<life>/<node>.json"; node 0 leads.
type RunNode struct {
	Meta
	// Agent is the Agent.Job of the run that the node is of: a run that was queued anew
	// has other nodes, and these records stay.
	Agent string `json:"agent"`
	// Attempt counts the starts of all processes, from 1. A node begins with an
	// attempt when node 0 is Running in it.
	Attempt int `json:"attempt"`
	// State is Ready for the attempt, Running in it, Worked when parameter servers alone
	// go on (of node 0: on all nodes), Done, Failed or Stopped.
	State string `json:"state"`
	// Address is where the others reach the node, Main where it reaches node 0.
	Address string `json:"address,omitempty"`
	// Main is described with Address.
	Main string `json:"main,omitempty"`
	// Ports are free ports of the node, one for each of its processes, and for node
	// 0 one more, at which the processes meet.
	Ports []int `json:"ports,omitempty"`
	// Peers are the nodes' addresses as node 0 has collected them, and PeerPorts
	// their ports.
	Peers []string `json:"peers,omitempty"`
	// PeerPorts is described with Peers.
	PeerPorts [][]int `json:"peerPorts,omitempty"`
	// Launch are the commands of mpirun's daemons, by node: for node 0, which has
	// mpirun itself, it is empty. Node 0 gives it once it knows them.
	Launch []string `json:"launch,omitempty"`
	// Error says why the node has Failed.
	Error *RunError `json:"error,omitempty"`
}

// Schema implements Record.
func (*RunNode) Schema() string { return "azml.run-node/1" }

// Distributed says how a script runs as several processes.
type Distributed struct {
	// Framework is PyTorch, TensorFlow or Mpi.
	Framework string `json:"framework"`
	// Backend is what PyTorch's processes speak with each other by.
	Backend string `json:"communicationBackend,omitempty"`
	// Processes is how many processes run on each node, but for TensorFlow, which has
	// Workers and ParameterServers on all nodes together.
	Processes int `json:"processCountPerNode,omitempty"`
	// Workers is described with Processes.
	Workers int `json:"workerCount,omitempty"`
	// ParameterServers is described with Processes.
	ParameterServers int `json:"parameterServerCount,omitempty"`
	// MaxRestarts is how often all processes are started anew when one has failed.
	MaxRestarts int `json:"maxRestarts,omitempty"`
}
