package scheduler

import (
	"context"
	"errors"
	"slices"

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
	err := c.undo(ctx, record.Agent{Job: n.Spare, Nodes: []string{n.ID}})
	if err == nil {
		err = c.noteForgotten(ctx, n)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errElsewhere) {
		c.h.Logger().Warn("an agent that waits no more could not be removed", "node", n.ID, "error", err)
		pause.For(ctx, tryEvery) // the next step tries again
	}
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

// undoSpares removes the jobs of agents that waited on nodes which a new one gets.
func (c *cluster) undoSpares(ctx context.Context, nodes []string) error {
	stored, err := core.Get[record.ClusterState](ctx, c.h, compute.StateRef(c.name).Key)
	if err != nil {
		return err
	}
	for _, n := range stored.Value.Nodes {
		if n.Spare != "" && slices.Contains(nodes, n.ID) {
			if err := c.undo(ctx, record.Agent{Job: n.Spare, Nodes: []string{n.ID}}); err != nil {
				return err
			}
		}
	}
	return nil
}
