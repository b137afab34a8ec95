package compute

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
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

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// ListOptions are the options of Client.List; there are none so far.
type ListOptions struct{}

// DeleteOptions are the options of Client.Delete. They are for clusters.
type DeleteOptions struct {
	// Force deletes a cluster whose machines are not stopped. They stay as they are.
	Force bool
	// Patience is how long nothing may be heard of the cluster's scheduler, which has
	// machines to stop; 30 seconds when zero.
	Patience time.Duration
}

// Get finds the target of that name; "local" is always found. Errors:
// ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, _ *GetOptions) (_ *Target, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, name)()
	if name == LocalName {
		return local(c.h), nil
	}
	if err := core.ComputeName.Check(name); err != nil {
		return nil, err
	}
	stored, err := core.Get[record.Compute](ctx, c.h, ref(name).Key)
	if err != nil {
		return nil, known(err)
	}
	return &Target{c.h, stored.Value}, nil
}

// List yields "local" and then all other targets by name.
func (c *Client) List(ctx context.Context, _ *ListOptions) iter.Seq2[*Target, error] {
	return func(yield func(*Target, error) bool) {
		if !yield(local(c.h), nil) {
			return
		}
		for stored, err := range core.List[record.Compute](ctx, c.h, prefix, nil) {
			if err != nil {
				core.Wrap(&err, "list", kind, "")
				yield(nil, err)
				return
			}
			if !yield(&Target{c.h, stored.Value}, nil) {
				return
			}
		}
	}
}

// Delete removes the target's record and its credentials; the machine itself, and
// what runs there, is left alone, but for a compute instance, which is deleted with
// all its files first, and for machines that a cluster has started by a command: it
// waits until the cluster's scheduler has stopped them. Runs that name the target keep
// the name. A cluster whose deletion was cut off takes no runs, and can be deleted
// again. Errors: ErrNotFound; ErrInvalid for "local"; for a cluster ErrConflict when
// runs wait for it, ErrUnavailable when no scheduler stops its machines, ErrFailed when
// that went wrong.
func (c *Client) Delete(ctx context.Context, name string, opts *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete", kind, name)()
	if opts == nil {
		opts = &DeleteOptions{}
	}
	if name == LocalName {
		return fmt.Errorf("%w: %q is this machine and always there", azml.ErrInvalid, name)
	}
	if err := core.ComputeName.Check(name); err != nil {
		return err
	}
	stored, err := core.Get[record.Compute](ctx, c.h, ref(name).Key)
	if err != nil {
		return known(err)
	}
	if stored.Value.Cluster != nil {
		return c.deleteCluster(ctx, name, opts)
	}
	if !stored.Value.Attached {
		if stored, err = c.deleteInstance(ctx, stored.Value); err != nil {
			return err
		}
	}
	if err := core.Delete(ctx, c.h, ref(name), stored.ETag); err != nil {
		return err
	}
	return core.DropCredentials(ctx, c.h, stored.Value.Secret)
}

// deleteInstance deletes a compute instance with all its files, and gives its record
// as it is then.
func (c *Client) deleteInstance(ctx context.Context, r record.Compute) (core.Stored[record.Compute], error) {
	t := &Target{c.h, r}
	if err := t.operate(ctx, OperationDelete, func(i backend.Instance) error { return i.DeleteInstance(ctx) }); err != nil {
		return core.Stored[record.Compute]{}, err
	}
	return core.Get[record.Compute](ctx, c.h, ref(r.Name).Key)
}

// known has the error of a target that is not there say what to do.
func known(err error) error {
	if errors.Is(err, azml.ErrNotFound) {
		return fmt.Errorf("%w: azml compute list shows the targets that there are", azml.ErrNotFound)
	}
	return err
}

func ref(name string) core.Ref {
	return core.Ref{Kind: kind, Name: name, Key: prefix + name + ".json"}
}
