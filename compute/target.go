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
	// ProvisioningState is the target's state.
	ProvisioningState State `json:"provisioningState"`
	// Created is when the record was written, zero for "local".
	Created time.Time `json:"createdOn,omitzero"`
	// Modified is when the record was last changed, zero for "local".
	Modified time.Time `json:"modifiedOn,omitzero"`
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
		IsAttached: r.Attached, ProvisioningState: State(r.State), Created: r.Created, Modified: r.Modified}
}
