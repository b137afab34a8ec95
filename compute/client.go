package compute

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// LocalName is the name of the target that is this machine.
const LocalName = "local"

// reserved are the names that no record may take, Azure ML's own.
var reserved = []string{LocalName, "amlcompute", "containerinstance"}

const (
	kind   = "compute target"
	prefix = "compute/"
)

// Client finds, creates and deletes compute targets of a workspace. It is safe
// for concurrent use.
type Client struct{ h core.Handle }

// Config says what kind of target to create. Local is the one kind so far;
// those of other drivers come with them.
type Config interface {
	fill(c *record.Compute)
}

// Local configures a target that is this machine under a name of its own, for
// example to tell in a run's record whose workstation it ran on.
type Local struct {
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels.
	Tags map[string]string
}

func (l Local) fill(c *record.Compute) {
	c.Type, c.Attached, c.Description, c.Tags = string(TypeLocal), true, l.Description, l.Tags
}

// CreateOptions are the options of Client.Create; there are none so far.
type CreateOptions struct{}

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// ListOptions are the options of Client.List; there are none so far.
type ListOptions struct{}

// DeleteOptions are the options of Client.Delete; there are none so far.
type DeleteOptions struct{}

// Create stores a new target under a name of 2 to 16 letters, digits or "-",
// the first a letter. Errors: ErrExists, ErrInvalid for other names and for
// "local", "amlcompute" and "containerinstance", which are reserved.
func (c *Client) Create(ctx context.Context, name string, config Config, _ *CreateOptions) (_ *Target, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, name)()
	if slices.Contains(reserved, strings.ToLower(name)) {
		return nil, fmt.Errorf("%w: the name %q is reserved, choose another", azml.ErrInvalid, name)
	}
	if err := core.ComputeName.Check(name); err != nil {
		return nil, err
	}
	if config == nil {
		return nil, fmt.Errorf("%w: no configuration was given, use compute.Local{} or another", azml.ErrInvalid)
	}
	target := record.Compute{Name: name, State: string(StateSucceeded)}
	config.fill(&target)
	if err := core.CheckLabels("tags", target.Tags); err != nil {
		return nil, err
	}
	if err := core.CheckText("description", target.Description); err != nil {
		return nil, err
	}
	stored, err := core.Create(ctx, c.h, ref(name), target)
	if err != nil {
		return nil, err
	}
	return &Target{stored.Value}, nil
}

// Get finds the target of that name; "local" is always found. Errors:
// ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, _ *GetOptions) (_ *Target, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, name)()
	if name == LocalName {
		return local(), nil
	}
	if err := core.ComputeName.Check(name); err != nil {
		return nil, err
	}
	stored, err := core.Get[record.Compute](ctx, c.h, ref(name).Key)
	if err != nil {
		return nil, err
	}
	return &Target{stored.Value}, nil
}

// List yields "local" and then all other targets by name.
func (c *Client) List(ctx context.Context, _ *ListOptions) iter.Seq2[*Target, error] {
	return func(yield func(*Target, error) bool) {
		if !yield(local(), nil) {
			return
		}
		for stored, err := range core.List[record.Compute](ctx, c.h, prefix, nil) {
			if err != nil {
				core.Wrap(&err, "list", kind, "")
				yield(nil, err)
				return
			}
			if !yield(&Target{stored.Value}, nil) {
				return
			}
		}
	}
}

// Delete removes the target's record; the machine itself is left alone. Runs
// that name it keep the name. Errors: ErrNotFound, ErrInvalid for "local".
func (c *Client) Delete(ctx context.Context, name string, _ *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete", kind, name)()
	if name == LocalName {
		return fmt.Errorf("%w: %q is this machine and always there", azml.ErrInvalid, name)
	}
	if err := core.ComputeName.Check(name); err != nil {
		return err
	}
	stored, err := core.Get[record.Compute](ctx, c.h, ref(name).Key)
	if err != nil {
		return err
	}
	return core.Delete(ctx, c.h, ref(name), stored.ETag)
}

func ref(name string) core.Ref {
	return core.Ref{Kind: kind, Name: name, Key: prefix + name + ".json"}
}
