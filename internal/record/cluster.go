package record

import "time"

// Cluster is what a compute target of type AmlCompute consists of.
type Cluster struct {
	// MinNodes are always started, MaxNodes at most.
	MinNodes int `json:"minNodeCount"`
	// MaxNodes is described with MinNodes.
	MaxNodes int `json:"maxNodeCount"`
	// IdleSeconds is how long a node that nothing needs stays.
	IdleSeconds int64 `json:"idleSecondsBeforeScaledown"`
	// Priority is "dedicated", or "lowpriority" for nodes that may be taken away.
	Priority string `json:"vmPriority"`
	// Members are the targets that its nodes are of.
	Members []ClusterMember `json:"members"`
	// Stopped says that no run gets nodes, and that all nodes are to be stopped.
	Stopped bool `json:"stopped,omitempty"`
}

// ClusterMember is a compute target that gives nodes to a cluster.
type ClusterMember struct {
	// Target is the name of the target.
	Target string `json:"target"`
	// Nodes is how many nodes it is, that is how many runs it takes at once.
	Nodes int `json:"nodes"`
	// Start is a command for the shell that starts the machine, Stop one that stops
	// it; each is empty where nothing has to be done.
	Start string `json:"start,omitempty"`
	// Stop is described with Start.
	Stop string `json:"stop,omitempty"`
}

// ClusterState is what becomes of a cluster, at "clusters/<name>/state.json". All
// decisions are conditional writes of it.
type ClusterState struct {
	Meta
	// Scheduler is the Owner.ID of the process that schedules.
	Scheduler string `json:"scheduler,omitempty"`
	// Host is the machine of that process.
	Host string `json:"host,omitempty"`
	// Beat counts its signs of life.
	Beat int64 `json:"beat"`
	// Nodes are the nodes in order of their IDs.
	Nodes []ClusterNode `json:"nodes"`
	// Served is when runs of an experiment and priority were placed last.
	Served []ClusterServed `json:"served,omitempty"`
	// Resizing says that nodes are being started or stopped.
	Resizing bool `json:"resizing"`
	// Resized is when that began or ended.
	Resized time.Time `json:"allocationStateTransitionTime,omitzero"`
	// Events are the last decisions, oldest first.
	Events []ClusterEvent `json:"events,omitempty"`
}

// Schema implements Record.
func (*ClusterState) Schema() string { return "azml.cluster-state/1" }

// ClusterNode is a node of a cluster.
type ClusterNode struct {
	// ID is the target's name, "/" and the node's number on the target, from 0.
	ID string `json:"nodeId"`
	// State is its state, since Since and for Reason.
	State string `json:"nodeState"`
	// Since is described with State. It is a time of the store's clock, as Time of
	// ClusterServed and ClusterEvent are: schedulers have clocks that differ.
	Since time.Time `json:"since"`
	// Reason is described with State.
	Reason string `json:"reason,omitempty"`
	// Run is the run that has it, of Experiment.
	Run string `json:"runId,omitempty"`
	// Experiment is described with Run.
	Experiment string `json:"experiment,omitempty"`
	// Spares are the jobs of agents that waited there for another run when the last one
	// had ended, or that may still work there for runs which are over or were taken from
	// them; those that whoever schedules doesn't know are to be removed.
	Spares []string `json:"spareJobs,omitempty"`
}

// ClusterServed is when runs of an experiment and priority got nodes last.
type ClusterServed struct {
	// Experiment is the experiment's name.
	Experiment string `json:"experiment"`
	// Priority is the runs' priority.
	Priority int `json:"priority,omitempty"`
	// Time is when.
	Time time.Time `json:"time"`
}

// ClusterEvent is a decision, or what happened to a node.
type ClusterEvent struct {
	// Time is when.
	Time time.Time `json:"time"`
	// What says what, such as "start box/0".
	What string `json:"what"`
	// Reason says why.
	Reason string `json:"reason"`
}

// QueuedRun is a run that a cluster takes care of, at
// "clusters/<name>/queue/<run>.json", from before it is submitted until after it
// has ended.
type QueuedRun struct {
	Meta
	// RunID is the run's ID.
	RunID string `json:"runId"`
	// Experiment is the run's experiment.
	Experiment string `json:"experiment"`
	// Nodes is how many nodes it needs.
	Nodes int `json:"nodeCount"`
	// Priority puts it before those with a lower one.
	Priority int `json:"priority,omitempty"`
}

// Schema implements Record.
func (*QueuedRun) Schema() string { return "azml.queued-run/1" }
