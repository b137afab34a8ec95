package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/jobset"
)

// failGrace is what the other nodes have to end when one has failed.
const failGrace = 30 * time.Second

// Wait implements backend.Compute. It ends the other nodes when one fails.
func (c *Cluster) Wait(ctx context.Context, id string) (backend.JobStatus, error) {
	all, err := c.statuses(ctx, id)
	if err != nil {
		return backend.JobStatus{}, err
	}
	if len(all) == 1 {
		return c.nodes[0].Wait(ctx, id)
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	type end struct {
		node   int
		status backend.JobStatus
		err    error
	}
	ends := make(chan end, len(all))
	for n := range all {
		go func() {
			s, err := c.nodes[n].Wait(watching, JobID(id, n))
			if errors.Is(err, azml.ErrNotFound) && n > 0 {
				s, err = backend.JobStatus{State: backend.JobLost, Reason: "its target does not know it any more"}, nil
			}
			ends <- end{n, s, err}
		}()
	}
	ending := false
	for range all {
		e := <-ends
		if e.err != nil {
			return backend.JobStatus{}, onNode(e.node, e.err)
		}
		all[e.node] = e.status
		if jobset.Failed(e.status) && !ending {
			ending = true
			go func() { _ = c.Cancel(watching, id, failGrace) }() // Wait goes on until all have ended, or tells why not
		}
	}
	return jobset.Together(id, all), nil
}

// Cancel implements backend.Compute. All nodes are asked at once.
func (c *Cluster) Cancel(ctx context.Context, id string, grace time.Duration) error {
	all, err := c.statuses(ctx, id)
	if err != nil {
		return err
	}
	return c.each(len(all), func(n int) error {
		err := c.nodes[n].Cancel(ctx, JobID(id, n), grace)
		if n > 0 && errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		return onNode(n, err)
	})
}
