package compute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// deleteCluster deletes a cluster that no run waits for, when its machines are
// stopped. Who submits looks after the run is there whether the cluster is, and we look
// for runs after it is marked: one of the two sees the other.
func (c *Client) deleteCluster(ctx context.Context, name string, opts *DeleteOptions) error {
	marked, err := c.mark(ctx, name, StateDeleting)
	if err != nil {
		return err
	}
	if err := c.unused(ctx, name); err != nil {
		if errors.Is(err, azml.ErrConflict) {
			_, unmarkErr := c.mark(context.WithoutCancel(ctx), name, StateSucceeded)
			err = errors.Join(err, unmarkErr)
		}
		return err
	}
	if !opts.Force {
		if err := c.awaitStopped(ctx, name, *marked.Value.Cluster, opts); err != nil {
			return err
		}
	}
	if err := c.dropState(ctx, name); err != nil {
		return err
	}
	if err := core.Delete(ctx, c.h, ref(name), marked.ETag); err != nil {
		return err
	}
	return c.dropState(ctx, name) // which a scheduler that had not seen the mark may have begun anew
}

func (c *Client) dropState(ctx context.Context, name string) error {
	err := c.h.Objects().Delete(ctx, StateRef(name).Key, &backend.DeleteOptions{})
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

// mark gives the cluster a provisioning state.
func (c *Client) mark(ctx context.Context, name string, state State) (core.Stored[record.Compute], error) {
	return core.Update(ctx, c.h, ref(name), core.Quiet, func(r *record.Compute) error {
		if r.State == string(state) {
			return core.ErrNoChange
		}
		r.State = string(state)
		return nil
	})
}

// unused refuses to take away a cluster that runs wait for. Entries whose runs have
// ended, or never came, are removed.
func (c *Client) unused(ctx context.Context, name string) error {
	for stored, err := range Entries(ctx, c.h, name) {
		if err != nil {
			return err
		}
		id := stored.Value.RunID
		r, err := history.Get(ctx, c.h, id)
		switch {
		case err != nil && !errors.Is(err, azml.ErrNotFound):
			return err
		case err == nil && !r.Value.Status.Terminal():
			return fmt.Errorf("%w: the run %s and maybe others wait for the cluster or have nodes of it: cancel them first", azml.ErrConflict, id)
		}
		err = c.h.Objects().Delete(ctx, EntryRef(name, id).Key, &backend.DeleteOptions{IfMatch: stored.ETag})
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// defaultPatience is how long a scheduler may be silent that has machines to stop.
const defaultPatience = 30 * time.Second

// awaitStopped waits until a scheduler has stopped the machines that the cluster has
// started.
func (c *Client) awaitStopped(ctx context.Context, name string, settings record.Cluster, opts *DeleteOptions) error {
	const every = 100 * time.Millisecond
	beat, heard := int64(-1), time.Now()
	seen := map[string]record.ClusterNode{}
	for {
		state, err := core.Get[record.ClusterState](ctx, c.h, StateRef(name).Key)
		if errors.Is(err, azml.ErrNotFound) {
			return nil // nobody has ever scheduled it
		}
		if err != nil {
			return err
		}
		on := startedMachines(settings, state.Value)
		if len(on) == 0 {
			return nil
		}
		for _, n := range on {
			before, known := seen[n.ID]
			if seen[n.ID] = n; known && failedToStop(before, n) {
				return fmt.Errorf("%w: the machine of node %s could not be stopped: %s: stop it yourself, and delete the cluster with force", azml.ErrFailed, n.ID, n.Reason)
			}
		}
		if state.Value.Beat != beat {
			beat, heard = state.Value.Beat, time.Now()
		}
		if patience := cmp.Or(opts.Patience, defaultPatience); time.Since(heard) > patience {
			return fmt.Errorf("%w: no scheduler was heard of for %s that stops the machine of node %s: run azml scheduler and delete the cluster again, or delete it with force and stop the machine yourself", azml.ErrUnavailable, patience, on[0].ID)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// failedToStop tells whether a node of a cluster whose nodes are all to be stopped has
// failed since it was seen. One that was being started, or had a run, may have for
// another reason, and is stopped next.
func failedToStop(before, now record.ClusterNode) bool {
	return now.State == string(scheduler.Unusable) && !now.Since.Equal(before.Since) &&
		before.State != string(scheduler.Preparing) && before.State != string(scheduler.Running)
}

// startedMachines gives the nodes that are not off and whose machines have a command
// that stops them.
func startedMachines(settings record.Cluster, s record.ClusterState) []record.ClusterNode {
	return slices.DeleteFunc(slices.Clone(s.Nodes), func(n record.ClusterNode) bool {
		return n.State == string(scheduler.Off) || MemberOf(settings, n.ID).Stop == ""
	})
}
