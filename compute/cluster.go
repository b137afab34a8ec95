package compute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// TypeCluster is a target that is made of others, which it starts and stops as
// runs need them: AmlCompute in Azure ML.
const TypeCluster Type = "AmlCompute"

// Priority says whether a cluster's nodes may be taken away.
type Priority string

// The priorities of nodes.
const (
	// Dedicated says that nodes stay until the cluster stops them. A run whose node
	// is lost all the same is Failed.
	Dedicated Priority = "dedicated"
	// LowPriority says that they may be taken away. A run that had one waits for
	// nodes anew.
	LowPriority Priority = "lowpriority"
)

// DefaultIdle is the time for which nodes that nothing needs stay.
const DefaultIdle = 30 * time.Minute

// NoIdle is the idle time of a cluster whose nodes stop as soon as nothing needs them.
const NoIdle time.Duration = -1

// Cluster configures a cluster. It implements Config.
type Cluster struct {
	// Members are the targets that its nodes are of. At least one.
	Members []Member
	// MinNodes is how many nodes are always started.
	MinNodes int
	// MaxNodes is how many are started at most, all when zero.
	MaxNodes int
	// IdleBeforeScaleDown is how long a node that nothing needs stays, in whole seconds:
	// DefaultIdle when zero, no time with NoIdle.
	IdleBeforeScaleDown time.Duration
	// Priority is Dedicated when empty.
	Priority Priority
}

// Member is a compute target that gives nodes to a cluster.
type Member struct {
	// Target is the name of a target that is attached.
	Target string `json:"target"`
	// Nodes is how many runs it takes at once, each a node; 1 when zero.
	Nodes int `json:"nodes"`
	// Start is a command for /bin/sh that starts the target's machine when a node of
	// it is wanted, such as "wakeonlan 00:11:22:33:44:55", and Stop one that stops
	// it when the last is not any more. They run as the scheduler, on its machine, and may
	// run again for a machine that is already so.
	Start string `json:"start,omitempty"`
	// Stop is described with Start.
	Stop string `json:"stop,omitempty"`
}

// Source implements Config. A cluster has no connection: its targets have.
func (c Cluster) Source() (backend.ComputeSource, error) {
	_, err := c.record()
	return backend.ComputeSource{Type: string(TypeCluster)}, err
}

// record checks the configuration and gives what is stored of it.
func (c Cluster) record() (*record.Cluster, error) {
	idle, err := idleSeconds(cmp.Or(c.IdleBeforeScaleDown, DefaultIdle))
	if err != nil {
		return nil, err
	}
	r := &record.Cluster{MinNodes: c.MinNodes, MaxNodes: c.MaxNodes, IdleSeconds: idle, Priority: string(cmp.Or(c.Priority, Dedicated))}
	if p := Priority(r.Priority); p != Dedicated && p != LowPriority {
		return nil, fmt.Errorf("%w: priority %q: want %s or %s", azml.ErrInvalid, c.Priority, Dedicated, LowPriority)
	}
	total, seen := 0, map[string]bool{}
	for _, m := range c.Members {
		switch {
		case m.Target == "" || m.Target == LocalName || seen[m.Target]:
			return nil, fmt.Errorf("%w: member %q: name each attached target once; this machine is one as a target of type Process", azml.ErrInvalid, m.Target)
		case m.Nodes < 0:
			return nil, fmt.Errorf("%w: member %s has %d nodes", azml.ErrInvalid, m.Target, m.Nodes)
		case strings.ContainsRune(m.Start+m.Stop, 0):
			return nil, fmt.Errorf("%w: member %s: a command holds a NUL character", azml.ErrInvalid, m.Target)
		}
		seen[m.Target] = true
		n := cmp.Or(m.Nodes, 1)
		total += n
		r.Members = append(r.Members, record.ClusterMember{Target: m.Target, Nodes: n, Start: m.Start, Stop: m.Stop})
	}
	r.MaxNodes = cmp.Or(r.MaxNodes, total)
	const most = 10_000
	if total == 0 || total > most {
		return nil, fmt.Errorf("%w: a cluster has between 1 and %d nodes, this one %d", azml.ErrInvalid, most, total)
	}
	return r, checkScale(r, total)
}

// idleSeconds gives an idle time as it is stored.
func idleSeconds(d time.Duration) (int64, error) {
	switch {
	case d == NoIdle:
		return 0, nil
	case d < 0 || d%time.Second != 0:
		return 0, fmt.Errorf("%w: idle time %s: give whole seconds, such as 90s", azml.ErrInvalid, d)
	}
	return int64(d / time.Second), nil
}

// checkScale checks how many nodes a cluster may have.
func checkScale(r *record.Cluster, total int) error {
	if r.MinNodes < 0 || r.MaxNodes < r.MinNodes || r.MaxNodes > total {
		return fmt.Errorf("%w: %d to %d nodes: want a minimum of at least 0, a maximum that is not below, and at most the %d nodes of the members", azml.ErrInvalid, r.MinNodes, r.MaxNodes, total)
	}
	return nil
}

// MemberOf is for schedulers: the member that a node is of.
func MemberOf(settings record.Cluster, node string) record.ClusterMember {
	target, _, _ := strings.Cut(node, "/")
	for _, m := range settings.Members {
		if m.Target == target {
			return m
		}
	}
	return record.ClusterMember{Target: target}
}

// CheckQueue is for packages that queue runs: it tells whether a cluster is there and
// takes runs. Errors: ErrNotFound when it was deleted, or is being.
func CheckQueue(ctx context.Context, h core.Handle, name string) error {
	target, err := core.Get[record.Compute](ctx, h, ref(name).Key)
	switch {
	case errors.Is(err, azml.ErrNotFound), err == nil && target.Value.Cluster == nil:
		return fmt.Errorf("%w: the cluster %s was deleted", azml.ErrNotFound, name)
	case err == nil && target.Value.State == string(StateDeleting):
		return fmt.Errorf("%w: the cluster %s is being deleted", azml.ErrNotFound, name)
	}
	return err
}
