package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
)

// keepsSpare notes which agent waits on a node for another run, "" for none.
func keepsSpare(s *record.ClusterState, node, job string) {
	for i := range s.Nodes {
		if s.Nodes[i].ID == node {
			s.Nodes[i].Spare = job
		}
	}
}

// forgetSpare removes the job of an agent that waited on an idle node for another run,
// and does no more: none came in time, or the process that it waited for is gone.
func (c *cluster) forgetSpare(ctx context.Context, n record.ClusterNode) {
	err := c.undoSpare(ctx, n)
	if err == nil {
		err = c.noteForgotten(ctx, n)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errElsewhere) {
		c.h.Logger().Warn("an agent that waits no more could not be removed", "node", n.ID, "error", err)
		pause.For(ctx, tryEvery) // the next step tries again
	}
}

// undoSpare ends an agent that waited on a node, or was left there.
func (c *cluster) undoSpare(ctx context.Context, n record.ClusterNode) error {
	return c.undo(ctx, record.Agent{Job: n.Spare, Nodes: []string{n.ID}}, []string{n.ID})
}

// noteForgotten notes that the agent waits no more, unless another one does by now.
func (c *cluster) noteForgotten(ctx context.Context, n record.ClusterNode) error {
	_, err := c.update(ctx, c.decides, func(s *record.ClusterState) error {
		for _, now := range s.Nodes {
			if now.ID == n.ID && now.Spare == n.Spare {
				keepsSpare(s, n.ID, "")
				return nil
			}
		}
		return core.ErrNoChange
	})
	return err
}

// clear makes room for the run's agent once its record names it, as from then on no other
// agent on its nodes takes the run, and nobody takes the nodes from the run but with that
// agent. It removes the jobs of agents that waited there. Errors: ErrConflict when the
// nodes were not the run's any more.
func (c *cluster) clear(ctx context.Context, id string, nodes []string, job string) error {
	stored, err := core.Get[record.ClusterState](ctx, c.h, compute.StateRef(c.name).Key)
	if err != nil {
		return err
	}
	if !slices.Equal(nodesOf(stored.Value, id), nodes) {
		return fmt.Errorf("%w: the run %s has other nodes than %v", azml.ErrConflict, id, nodes)
	}
	for _, n := range stored.Value.Nodes {
		if n.Run == id && n.Spare != "" && n.Spare != job {
			if err := c.undoSpare(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}
