package compute

import (
	"maps"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Type is a kind of target, by Azure ML's names where it has the kind.
type Type string

// TypeLocal is a target that is this machine.
const TypeLocal Type = "Local"

// State is the provisioning state of a target.
type State string

// The provisioning states of targets. What is attached is always Succeeded.
const (
	// StateCreating says that a compute instance is being made.
	StateCreating State = "Creating"
	// StateSucceeded says that the target is ready to be used.
	StateSucceeded State = "Succeeded"
	// StateFailed says that a compute instance could not be made.
	StateFailed State = "Failed"
	// StateDeleting says that a cluster is being deleted: it takes no runs any more.
	StateDeleting State = "Deleting"
)

// Target is a compute target as it was last read. It is immutable and safe for
// concurrent use.
type Target struct {
	h      core.Handle
	record record.Compute
}

// Details is what a target's record says.
type Details struct {
	// Name is the target's name.
	Name string `json:"name"`
	// Type is the kind of target.
	Type Type `json:"type"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// IsAttached says that the machine was there before the target and survives it.
	IsAttached bool `json:"isAttached"`
	// Connection says where it is, by names of the type's own.
	Connection map[string]string `json:"connection,omitempty"`
	// Cluster is what a cluster consists of and how it scales, nil for other targets.
	Cluster *ClusterDetails `json:"cluster,omitempty"`
	// ProvisioningState is the target's state.
	ProvisioningState State `json:"provisioningState"`
	// Created is when the record was written, zero for "local".
	Created time.Time `json:"createdOn,omitzero"`
	// Modified is when the record was last changed, zero for "local".
	Modified time.Time `json:"modifiedOn,omitzero"`
}

// ClusterDetails is what a cluster consists of and how it scales.
type ClusterDetails struct {
	// Members are the targets that its nodes are of, with the commands that start and
	// stop their machines.
	Members []Member `json:"members"`
	// MinNodes is how many nodes are always started, MaxNodes how many at most.
	MinNodes int `json:"minNodeCount"`
	// MaxNodes is described with MinNodes.
	MaxNodes int `json:"maxNodeCount"`
	// IdleSeconds is how long a node that nothing needs stays.
	IdleSeconds int64 `json:"idleSecondsBeforeScaledown"`
	// Priority says whether nodes may be taken away.
	Priority Priority `json:"vmPriority"`
	// Stopped says that the cluster was stopped, see Target.Stop.
	Stopped bool `json:"stopped"`
}

func clusterDetails(c *record.Cluster) *ClusterDetails {
	if c == nil {
		return nil
	}
	d := &ClusterDetails{MinNodes: c.MinNodes, MaxNodes: c.MaxNodes, IdleSeconds: c.IdleSeconds, Priority: Priority(c.Priority), Stopped: c.Stopped}
	for _, m := range c.Members {
		d.Members = append(d.Members, Member(m))
	}
	return d
}

func local(h core.Handle) *Target {
	return &Target{h, record.Compute{Name: LocalName, Type: string(TypeLocal), Attached: true, State: string(StateSucceeded),
		Description: "this machine"}}
}

// Name gives the target's name.
func (t *Target) Name() string { return t.record.Name }

// Type gives the kind of target.
func (t *Target) Type() Type { return Type(t.record.Type) }

// Details gives a copy of the record.
func (t *Target) Details() Details {
	r := t.record
	return Details{Name: r.Name, Type: Type(r.Type), Description: r.Description, Tags: maps.Clone(r.Tags), Connection: maps.Clone(r.Connection),
		Cluster: clusterDetails(r.Cluster), IsAttached: r.Attached, ProvisioningState: State(r.State), Created: r.Created, Modified: r.Modified}
}
