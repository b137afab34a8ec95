package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	members "github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// freed is a run that has its nodes no more.
type freed struct {
	run string
	// gone are nodes that do not answer any more, with the reasons, and unfit those that
	// do, and can take no run.
	gone, unfit map[string]error
	// left are the jobs of the run's agents that may be on nodes still.
	left map[string][]string
	// noted is closed when a step has freed the nodes, or could not.
	noted chan struct{}
}

// free takes the run out of the queue when it has ended, and has the next step take
// its nodes from it, which gives them to others in the same write. Nodes that do not
// answer any more were taken away. left are agents of the run that were not seen to end,
// nil among them; nor was the one that had a run which waits for nodes anew.
func (c *cluster) free(ctx context.Context, settings record.Cluster, id string, nodes []string, left []*record.Agent, bad unfit) {
	f := &freed{run: id, gone: map[string]error{}, unfit: bad, left: map[string][]string{}, noted: make(chan struct{})}
	stored, err := history.Get(ctx, c.h, id)
	ended := errors.Is(err, azml.ErrNotFound) || err == nil && stored.Value.Status.Terminal()
	if !ended {
		for _, n := range nodes {
			if err := c.answers(ctx, compute.MemberOf(settings, n).Target); err != nil {
				f.gone[n] = err
			}
		}
	}
	for _, a := range append(left, stored.Value.Former) {
		if a != nil {
			for i, n := range a.Nodes {
				f.left[n] = append(f.left[n], members.JobID(a.Job, i))
			}
		}
	}
	c.mu.Lock()
	e, queued := c.entries[compute.EntryRef(c.name, id).Key]
	if ended && queued {
		c.ended[id] = e.etag
	}
	if pause := record.TryPause(stored.Value.Try()); !ended && pause > 0 {
		c.rest[id] = time.Now().Add(pause)
	}
	c.freed = append(c.freed, f)
	c.mu.Unlock()
	c.awake()
	if ended && queued { // meanwhile: the nodes wait for the state alone
		c.dequeue(ctx, e)
	}
	select {
	case <-f.noted: // else who sees it on its nodes would begin anew
	case <-ctx.Done():
	}
}

// dequeue takes an ended run out of the queue, however long that takes: nobody else of
// this process would, and the next scheduler gives it a node, for as long as it takes to see.
// An entry of a run that has got its ID since stays.
func (c *cluster) dequeue(ctx context.Context, e entry) {
	for {
		err := c.h.Objects().Delete(ctx, compute.EntryRef(c.name, e.run.RunID).Key, &backend.DeleteOptions{IfMatch: e.etag})
		if err == nil || errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrConflict) || ctx.Err() != nil {
			return
		}
		c.h.Logger().Warn("an ended run could not be taken out of its queue", "run", e.run.RunID, "error", err)
		if !pause.For(ctx, tryEvery) {
			return
		}
	}
}

// allFreed are the runs whose nodes one step frees.
type allFreed []*freed

// takeFreed gives those that the step is to free.
func (c *cluster) takeFreed() allFreed {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.freed
	c.freed = nil
	return all
}

// noted lets who has freed nodes go on.
func (all allFreed) noted() {
	for _, f := range all {
		close(f.noted)
	}
}

// apply frees the nodes in the state, and tells whether there were any.
func (all allFreed) apply(s *record.ClusterState, settings record.Cluster, spares *keeper.Spares, now time.Time) (changed bool) {
	for _, f := range all {
		for i, n := range s.Nodes {
			if n.Run != f.run {
				continue
			}
			changed = true
			keepSpares(&s.Nodes[i], append(f.left[n.ID], spares.Job(n.ID))...)
			state, reason := f.becomes(n.ID, settings)
			set(s, n.ID, state, reason, now, record.QueuedRun{})
			if state != scheduler.Idle {
				event(s, now, string(state)+" "+n.ID, reason)
			}
		}
	}
	return changed
}

// becomes gives the state of a node that the run has no more, and why.
func (f *freed) becomes(node string, settings record.Cluster) (scheduler.State, string) {
	unfit, gone := f.unfit[node], f.gone[node]
	switch {
	case unfit != nil:
		return scheduler.Unusable, unfit.Error()
	case gone != nil && settings.Priority == string(compute.LowPriority):
		return scheduler.Preempted, gone.Error()
	case gone != nil:
		return scheduler.Unusable, gone.Error()
	}
	return scheduler.Idle, "the run " + f.run + " is over"
}
