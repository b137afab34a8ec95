package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Start implements backend.Compute. A job on several nodes that can't begin on all
// of them is ended and removed where it did.
func (c *Cluster) Start(ctx context.Context, job backend.Job) error {
	switch {
	case job.Nodes < 0:
		return fmt.Errorf("%w: job %q asks for %d nodes", azml.ErrInvalid, job.ID, job.Nodes)
	case job.Nodes > len(c.nodes):
		return fmt.Errorf("%w: job %q asks for %d nodes, the cluster has %d", azml.ErrUnsupported, job.ID, job.Nodes, len(c.nodes))
	case further.MatchString(job.ID) || job.Nodes > 1 && len(job.ID) > longestID:
		return fmt.Errorf("%w: job %.300q: on a cluster an ID can't end with \".node\" and a number, and has up to %d characters", azml.ErrInvalid, job.ID, longestID)
	case job.Nodes <= 1:
		job.Nodes = 0
		return c.nodes[0].Start(ctx, job)
	}
	if err := c.startMain(ctx, job); err != nil {
		return err
	}
	err := c.startOthers(ctx, job)
	if err != nil {
		err = errors.Join(err, c.undo(context.WithoutCancel(ctx), job))
	}
	return err
}

// startMain starts node 0.
func (c *Cluster) startMain(ctx context.Context, job backend.Job) error {
	return c.nodes[0].Start(ctx, c.on(job, 0, "localhost"))
}

// startOthers starts the other nodes at once.
func (c *Cluster) startOthers(ctx context.Context, job backend.Job) error {
	main, ok := backend.As[backend.Reachable](c.nodes[0])
	if !ok {
		return fmt.Errorf("%w: job %q: node 0 can't be reached by the others", azml.ErrUnsupported, job.ID)
	}
	address, err := main.Address(ctx, job.ID)
	if err != nil {
		return fmt.Errorf("the address of node 0: %w", err)
	}
	return c.each(job.Nodes, func(n int) error {
		if n == 0 {
			return nil
		}
		return onNode(n, c.nodes[n].Start(ctx, c.on(job, n, address)))
	})
}

// on gives the job as one of the nodes is given it.
func (c *Cluster) on(job backend.Job, node int, main string) backend.Job {
	c.mu.Lock()
	defer c.mu.Unlock()
	addresses, count := c.gateways[job.ID], job.Nodes
	job.ID, job.Nodes, job.Env = JobID(job.ID, node), 0, maps.Clone(job.Env)
	if job.Env == nil {
		job.Env = map[string]string{}
	}
	job.Env[backend.NodeRankVariable], job.Env[backend.NodeCountVariable] = strconv.Itoa(node), strconv.Itoa(count)
	job.Env[backend.MainAddressVariable] = main
	if node < len(addresses) {
		job.Env[backend.GatewayVariable] = addresses[node]
	}
	if len(job.Command) > 0 && c.programs[job.Command[0]] != nil {
		job.Command = append([]string{c.programs[job.Command[0]][node]}, job.Command[1:]...)
	}
	return job
}

// undo ends and removes a job that did not begin everywhere.
func (c *Cluster) undo(ctx context.Context, job backend.Job) error {
	const patience = 30 * time.Second
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	return c.each(job.Nodes, func(n int) error {
		err := c.nodes[n].Cancel(ctx, JobID(job.ID, n), 0)
		if err == nil {
			err = c.nodes[n].Remove(ctx, JobID(job.ID, n))
		}
		if errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		return err
	})
}
