package compute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// AllocationState says whether a cluster's nodes are being started or stopped.
type AllocationState string

// The allocation states.
const (
	// Steady says that no node is being started or stopped.
	Steady AllocationState = "Steady"
	// Resizing says that nodes are.
	Resizing AllocationState = "Resizing"
)

// Node is a node of a cluster.
type Node struct {
	// NodeID is the name of its target, "/" and its number there.
	NodeID string `json:"nodeId"`
	// NodeState is idle, running, preparing, unusable, leaving, preempted, or off.
	NodeState string `json:"nodeState"`
	// Since is when that began, and Reason why.
	Since time.Time `json:"since"`
	// Reason is described with Since.
	Reason string `json:"reason,omitempty"`
	// RunID is the run that has it.
	RunID string `json:"runId,omitempty"`
}

// QueuedRun is a run that waits for nodes.
type QueuedRun struct {
	// RunID is the run's ID.
	RunID string `json:"runId"`
	// Experiment is its experiment.
	Experiment string `json:"experiment"`
	// NodeCount is how many nodes it needs.
	NodeCount int `json:"nodeCount"`
	// Priority is its priority.
	Priority int `json:"priority"`
	// Queued is when it was submitted, by the store's clock.
	Queued time.Time `json:"queued"`
	// WaitsFor says why it waits.
	WaitsFor string `json:"waitsFor"`
}

// Event is a decision of a scheduler, or what happened to a node.
type Event struct {
	// Time is when.
	Time time.Time `json:"time"`
	// What says what, such as "start box/0".
	What string `json:"what"`
	// Reason says why.
	Reason string `json:"reason"`
}

// NodeCounts are numbers of nodes by their state, such as "idle", "off" for those that
// are not started. JSON has Azure ML's names, such as "idleNodeCount".
type NodeCounts map[string]int

// nodeCount ends the names of states in JSON.
const nodeCount = "NodeCount"

// MarshalJSON implements json.Marshaler.
func (c NodeCounts) MarshalJSON() ([]byte, error) {
	named := map[string]int{}
	for state, n := range c {
		named[state+nodeCount] = n
	}
	return json.Marshal(named)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *NodeCounts) UnmarshalJSON(text []byte) error {
	var named map[string]int
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	*c = NodeCounts{}
	for name, n := range named {
		(*c)[strings.TrimSuffix(name, nodeCount)] = n
	}
	return nil
}

// ClusterStatus is how a cluster is.
type ClusterStatus struct {
	// AllocationState is Steady or Resizing, since AllocationStateTransitionTime.
	AllocationState AllocationState `json:"allocationState"`
	// AllocationStateTransitionTime is zero for a cluster that never was Resizing.
	AllocationStateTransitionTime time.Time `json:"allocationStateTransitionTime,omitzero"`
	// CurrentNodeCount is how many nodes are started.
	CurrentNodeCount int `json:"currentNodeCount"`
	// TargetNodeCount is how many are when those have started that are starting now.
	TargetNodeCount int `json:"targetNodeCount"`
	// NodeStateCounts counts nodes by state.
	NodeStateCounts NodeCounts `json:"nodeStateCounts"`
	// Errors say of each node that is unusable why.
	Errors []string `json:"errors"`
	// Stopped says that the cluster was stopped: runs wait until it is started, and nodes
	// stop when they have no run.
	Stopped bool `json:"stopped"`
	// MinNodes and MaxNodes bound the number of nodes that are started.
	MinNodes int `json:"minNodeCount"`
	// MaxNodes is described with MinNodes.
	MaxNodes int `json:"maxNodeCount"`
	// IdleSeconds is how long a node that nothing needs stays.
	IdleSeconds int64 `json:"idleSecondsBeforeScaledown"`
	// Priority says whether nodes may be taken away.
	Priority Priority `json:"vmPriority"`
	// Scheduler is the machine of the process that schedules, or did last; empty when none
	// has yet.
	Scheduler string `json:"scheduler,omitempty"`
	// Heard is when that process gave its last sign of life, by the store's clock.
	Heard time.Time `json:"schedulerHeard,omitzero"`
	// Nodes are all nodes in order of their IDs.
	Nodes []Node `json:"nodes"`
	// Queue are the runs that wait, the oldest first.
	Queue []QueuedRun `json:"queue"`
	// Events are the last decisions with their reasons, the oldest first.
	Events []Event `json:"events"`
}

// StatusOptions are the options of Target.Status; there are none so far.
type StatusOptions struct{}

// Status tells how a cluster is. It costs a list, and a read for each run that the
// cluster takes care of. Errors: ErrInvalid for a target that is none, ErrNotFound.
func (t *Target) Status(ctx context.Context, _ *StatusOptions) (_ ClusterStatus, err error) {
	defer t.h.Operation(&ctx, &err, "get status of", kind, t.Name())()
	current, state, err := t.read(ctx)
	if err != nil {
		return ClusterStatus{}, err
	}
	s := statusOf(current.Value.Cluster, state)
	s.Queue, err = t.queue(ctx, SchedulerInput(current.Value, state.Value, state.Modified))
	return s, err
}

// read gives what is stored of a cluster and what has become of it.
func (t *Target) read(ctx context.Context) (current core.Stored[record.Compute], state core.Stored[record.ClusterState], err error) {
	if current, err = core.Get[record.Compute](ctx, t.h, ref(t.Name()).Key); err != nil {
		return current, state, known(err)
	}
	if current.Value.Cluster == nil {
		return current, state, fmt.Errorf("%w: it is a target of type %s and no cluster", azml.ErrInvalid, t.Type())
	}
	state, err = core.Get[record.ClusterState](ctx, t.h, StateRef(t.Name()).Key)
	if errors.Is(err, azml.ErrNotFound) {
		err = nil // nobody has scheduled it yet
	}
	return current, state, err
}

// statusOf gives how a cluster is, but for its queue.
func statusOf(c *record.Cluster, state core.Stored[record.ClusterState]) ClusterStatus {
	s := ClusterStatus{AllocationState: Steady, AllocationStateTransitionTime: state.Value.Resized, NodeStateCounts: NodeCounts{}, Errors: []string{},
		Stopped: c.Stopped, MinNodes: c.MinNodes, MaxNodes: c.MaxNodes, IdleSeconds: c.IdleSeconds, Priority: Priority(c.Priority),
		Scheduler: state.Value.Host, Heard: state.Modified}
	if state.Value.Resizing {
		s.AllocationState = Resizing
	}
	for _, n := range state.Value.Nodes {
		s.Nodes = append(s.Nodes, Node{NodeID: n.ID, NodeState: n.State, Since: n.Since, Reason: n.Reason, RunID: n.Run})
		s.NodeStateCounts[n.State]++
		if n.State == string(scheduler.Unusable) {
			s.Errors = append(s.Errors, "node "+n.ID+": "+n.Reason)
		}
	}
	s.CurrentNodeCount = s.NodeStateCounts[string(scheduler.Idle)] + s.NodeStateCounts[string(scheduler.Running)]
	s.TargetNodeCount = s.CurrentNodeCount + s.NodeStateCounts[string(scheduler.Preparing)]
	for _, e := range state.Value.Events {
		s.Events = append(s.Events, Event(e))
	}
	return s
}

// queue gives the runs that wait, and why.
func (t *Target) queue(ctx context.Context, in scheduler.Input) ([]QueuedRun, error) {
	placed := map[string]bool{}
	for _, n := range in.Nodes {
		placed[n.Run] = true
	}
	for stored, err := range Entries(ctx, t.h, t.Name()) {
		if err != nil {
			return nil, err
		}
		if !placed[stored.Value.RunID] {
			in.Queue = append(in.Queue, Waiting(stored.Value, stored.Modified))
		}
	}
	slices.SortFunc(in.Queue, scheduler.Older)
	var waiting []QueuedRun
	for _, r := range in.Queue {
		waiting = append(waiting, QueuedRun{RunID: r.ID, Experiment: r.Experiment, NodeCount: r.Nodes, Priority: r.Priority, Queued: r.Queued, WaitsFor: scheduler.Why(in, r)})
	}
	return waiting, nil
}

// clusters is the prefix of what becomes of clusters.
const clusters = "clusters/"

// StateRef is for schedulers: it names the record of a cluster's state.
func StateRef(name string) core.Ref {
	return core.Ref{Kind: "cluster", Name: name, Key: clusters + name + "/state.json"}
}

// QueuePrefix is for schedulers: the prefix of a cluster's queue.
func QueuePrefix(name string) string { return clusters + name + "/queue/" }

// EntryRef is for schedulers: it names the entry of a run in a cluster's queue.
func EntryRef(name, run string) core.Ref {
	return core.Ref{Kind: "queued run", Name: run, Key: QueuePrefix(name) + run + ".json"}
}

// Entries is for schedulers: all entries of a cluster's queue.
func Entries(ctx context.Context, h core.Handle, name string) iter.Seq2[core.Stored[record.QueuedRun], error] {
	return core.List[record.QueuedRun](ctx, h, QueuePrefix(name), nil)
}

// Waiting is for schedulers: a run as they see it, which was queued at that time of
// the store's clock.
func Waiting(q record.QueuedRun, queued time.Time) scheduler.Run {
	return scheduler.Run{ID: q.RunID, Experiment: q.Experiment, Nodes: max(q.Nodes, 1), Priority: q.Priority, Queued: queued, Created: q.Created}
}

// SchedulerInput is for schedulers: a cluster as they see it, without its queue, at a
// time of the store's clock.
func SchedulerInput(target record.Compute, s record.ClusterState, now time.Time) scheduler.Input {
	c := *target.Cluster
	in := scheduler.Input{Now: now, Served: map[scheduler.Flow]time.Time{},
		Config: scheduler.Config{MinNodes: c.MinNodes, MaxNodes: c.MaxNodes, IdleBeforeScaleDown: time.Duration(c.IdleSeconds) * time.Second, Held: Held(target)}}
	for _, n := range s.Nodes {
		in.Nodes = append(in.Nodes, scheduler.Node{ID: n.ID, State: scheduler.State(n.State), Since: n.Since, Reason: n.Reason, Run: n.Run, Experiment: n.Experiment})
	}
	for _, served := range s.Served {
		in.Served[scheduler.Flow{Experiment: served.Experiment, Priority: served.Priority}] = served.Time
	}
	return in
}

// Held is for schedulers: it says why a cluster gives no nodes to runs, and is empty when
// it does.
func Held(target record.Compute) string {
	switch {
	case target.State == string(StateDeleting):
		return "the cluster is being deleted"
	case target.Cluster.Stopped:
		return "the cluster is stopped"
	}
	return ""
}
