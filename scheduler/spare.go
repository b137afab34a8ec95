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
	"github.com/azml-go/azml/internal/scheduler"
)

// keepSpares notes agents that wait on a node for another run, or may still work there.
func keepSpares(n *record.ClusterNode, jobs ...string) {
	for _, job := range jobs {
		if job != "" && !slices.Contains(n.Spares, job) {
			n.Spares = append(slices.Clip(n.Spares), job)
		}
	}
}

// unknown gives the jobs that are noted on a node, but for the one that is known to wait
// there.
func unknown(n record.ClusterNode, known string) []string {
	return slices.DeleteFunc(slices.Clone(n.Spares), func(job string) bool { return job == known })
}

// forgetSpares removes the jobs of agents that waited on an idle node for another run, or
// were left there. A node on which one can't be ended is none for runs.
func (c *cluster) forgetSpares(ctx context.Context, n record.ClusterNode) {
	err := c.forget(ctx, n, c.spares.Job(n.ID))
	switch _, is := errors.AsType[unfit](err); {
	case err == nil || ctx.Err() != nil || errors.Is(err, errElsewhere):
	case is:
		c.become(ctx, n.ID, scheduler.Idle, scheduler.Unusable, err.Error())
	default:
		c.h.Logger().Warn("agents that wait no more could not be removed", "node", n.ID, "error", err)
		pause.For(ctx, tryEvery) // the next step tries again
	}
}

// forget ends the agents that are noted on a node, but for the one that is known to wait
// there, and notes that. Errors: unfit when one can't be ended.
func (c *cluster) forget(ctx context.Context, n record.ClusterNode, known string) error {
	ended := unknown(n, known)
	if len(ended) == 0 {
		return nil
	}
	for _, job := range ended {
		if err := c.undo(ctx, record.Agent{Job: job, Nodes: []string{n.ID}}, []string{n.ID}); err != nil {
			return err
		}
	}
	_, err := c.update(ctx, c.decides, func(s *record.ClusterState) error {
		for i, now := range s.Nodes {
			if now.ID == n.ID {
				s.Nodes[i].Spares = slices.DeleteFunc(slices.Clone(now.Spares), func(job string) bool { return slices.Contains(ended, job) })
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
// nodes were not the run's any more, those of forget.
func (c *cluster) clear(ctx context.Context, id string, nodes []string, job string) error {
	stored, err := core.Get[record.ClusterState](ctx, c.h, compute.StateRef(c.name).Key)
	if err != nil {
		return err
	}
	if !slices.Equal(nodesOf(stored.Value, id), nodes) {
		return fmt.Errorf("%w: the run %s has other nodes than %v", azml.ErrConflict, id, nodes)
	}
	for _, n := range stored.Value.Nodes {
		if n.Run != id {
			continue
		}
		if err := c.forget(ctx, n, job); err != nil {
			return err
		}
	}
	return nil
}
