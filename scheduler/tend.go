package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	nodes "github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// tryEvery is the time between two tries of what did not go well.
const tryEvery = time.Second

// tend has a task take care of each run that has nodes, and of each node that is
// to be started or stopped, unless one of this process does already. So what a
// scheduler that is gone has begun is gone on with.
func (c *cluster) tend(ctx context.Context, settings record.Cluster, s record.ClusterState) {
	runs := map[string][]string{}
	for _, n := range s.Nodes {
		switch scheduler.State(n.State) {
		case scheduler.Running:
			runs[n.Run] = append(runs[n.Run], n.ID)
		case scheduler.Preparing:
			c.task(n.ID, func() { c.startNode(ctx, n) })
		case scheduler.Leaving:
			c.task(n.ID, func() { c.stopNode(ctx, settings, n.ID) })
		case scheduler.Idle:
			if len(unknown(n, c.spares.Job(n.ID))) > 0 {
				c.task(n.ID, func() { c.forgetSpares(ctx, n) })
			}
		}
	}
	for id, nodes := range runs {
		c.task(id, func() { c.drive(ctx, settings, id, nodes) })
	}
}

// task does something that no task does yet for the same thing.
func (c *cluster) task(of string, do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[of] {
		return
	}
	c.busy[of] = true
	c.tasks.Go(func() {
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.busy, of)
			c.awake()
		}()
		do()
	})
}

// working tells whether a task of this process takes care of anything.
func (c *cluster) working() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) > 0
}

// awake asks for a step at once.
func (c *cluster) awake() {
	select {
	case c.wake <- struct{}{}:
	default: // one is to be made already
	}
}

// become notes a node's new state, while it is still in the state that the task is
// for.
func (c *cluster) become(ctx context.Context, id string, from, to scheduler.State, reason string) {
	_, err := c.update(ctx, c.decides, func(s *record.ClusterState) error {
		now, _ := c.now()
		for _, n := range s.Nodes {
			if n.ID == id && n.State == string(from) {
				set(s, id, to, reason, now, record.QueuedRun{})
				if to == scheduler.Unusable || to == scheduler.Preempted {
					event(s, now, string(to)+" "+id, reason)
				}
				return nil
			}
		}
		return core.ErrNoChange
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, errElsewhere) {
		c.h.Logger().Warn("a node's state could not be noted", "node", id, "state", to, "error", err)
	}
}

// check asks a target whether it can take runs with these limits.
func (c *cluster) check(ctx context.Context, name string, limits backend.Limits) (err error) {
	target, err := compute.Lookup(ctx, c.h, name)
	if err != nil {
		return err
	}
	opened, err := compute.Open(ctx, target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return keeper.Ready(ctx, c.h, opened, limits)
}

// drive sees a run that has nodes to its end, or until it waits for nodes anew,
// and frees the nodes.
func (c *cluster) drive(ctx context.Context, settings record.Cluster, id string, nodes []string) {
	there, stop := c.whileThere(ctx, settings, nodes)
	defer stop()
	for ctx.Err() == nil {
		over, left, err := c.keep(there, settings, id, nodes)
		var bad unfit
		why := context.Cause(there)
		if why == nil && errors.As(err, &bad) {
			why = bad
		}
		if why != nil && ctx.Err() == nil && !over {
			left, err = c.takenAway(ctx, id, nodes, why)
			over = err == nil
		}
		if over {
			c.free(ctx, settings, id, nodes, left, bad)
			return
		}
		if err != nil && ctx.Err() == nil {
			c.h.Logger().Info("a run is not kept by this process", "run", id, "error", err)
		}
		if !pause.For(ctx, tryEvery) {
			return
		}
		if has, err := c.has(ctx, id, nodes); err == nil && !has {
			return // this process slept, and another one has given the nodes to others
		}
	}
}

// keep keeps a run as far as that goes, and tells whether it has its nodes no more.
// Then left is its agent, where nobody of this process has seen that end. Errors: unfit
// for nodes that can't take it.
func (c *cluster) keep(ctx context.Context, settings record.Cluster, id string, nodes []string) (over bool, left []*record.Agent, err error) {
	stored, err := history.Get(ctx, c.h, id)
	if errors.Is(err, azml.ErrNotFound) {
		return true, nil, nil // it was deleted
	}
	if err != nil {
		return false, nil, err
	}
	r := stored.Value
	switch {
	case r.Status.Terminal():
		// Another process has seen it to its end, but may have gone before all its nodes
		// were done. Where they were freed since, its agent may have the next run, even while
		// this one has other nodes, as its entry was still in the queue.
		has, err := c.has(ctx, id, nodes)
		if has && r.Agent != nil && slices.Equal(r.Agent.Nodes, nodes) {
			left, err = []*record.Agent{r.Agent}, c.undo(ctx, *r.Agent, nil)
		}
		return err == nil, left, err
	case r.Agent == nil && r.Status != record.Queued && r.Status != record.CancelRequested:
		return false, nil, fmt.Errorf("%w: the run is %s and has no agent", azml.ErrDamaged, r.Status)
	case r.Agent == nil || !r.Agent.Adopted:
		if err = c.start(ctx, settings, r, nodes); err != nil {
			return false, nil, err
		}
	default:
		if err = keeper.Attach(ctx, c.h, id); err != nil {
			return false, nil, err
		}
	}
	stored, err = history.Get(ctx, c.h, id)
	if err != nil {
		return false, nil, err
	}
	return stored.Value.Status.Terminal() || stored.Value.Agent == nil, nil, nil
}

// has tells whether the nodes are the run's now, and not only when this step began. Those
// of a cluster that was deleted are nobody's.
func (c *cluster) has(ctx context.Context, id string, nodes []string) (bool, error) {
	stored, err := core.Get[record.ClusterState](ctx, c.h, compute.StateRef(c.name).Key)
	if errors.Is(err, azml.ErrNotFound) {
		return false, nil
	}
	return slices.Equal(nodesOf(stored.Value, id), nodes), err
}

// nodesOf gives the nodes that a run has.
func nodesOf(s record.ClusterState, id string) (its []string) {
	for _, n := range s.Nodes {
		if n.Run == id {
			its = append(its, n.ID)
		}
	}
	return its
}

// start starts the run's agent. An agent that another scheduler may have started,
// and that has not taken the run over, is never let in any more; it is ended first, and
// so is one that had the run before it was queued anew: neither works beside the new one.
func (c *cluster) start(ctx context.Context, settings record.Cluster, r record.Run, nodes []string) error {
	if spare := c.spares.Take(nodes[0], r); spare != nil {
		return c.startOn(ctx, settings, r, nodes, spare)
	}
	for _, n := range nodes {
		target := compute.MemberOf(settings, n).Target
		if err := c.check(ctx, target, backend.Limits{}); err != nil {
			return unfit{n: err}
		}
		if err := c.check(ctx, target, backend.Limits(r.Definition.Limits)); errors.Is(err, azml.ErrUnsupported) {
			return c.refuse(ctx, r.ID, fmt.Errorf("compute target %s: %w", target, err))
		} else if err != nil {
			return err
		}
	}
	return c.startOn(ctx, settings, r, nodes, nil)
}

// unfit says of nodes why they can take no run.
type unfit map[string]error

// Error implements error.
func (u unfit) Error() string { return errors.Join(u.Unwrap()...).Error() }

// Unwrap gives the reasons in order of the nodes.
func (u unfit) Unwrap() (all []error) {
	for _, node := range slices.Sorted(maps.Keys(u)) {
		all = append(all, u[node])
	}
	return all
}

// unplace has a run wait for nodes anew, or ends it when that is wanted, of which an agent
// was started, perhaps, and has not taken it over.
func (c *cluster) unplace(ctx context.Context, r record.Run) error {
	if r.Agent == nil || r.Agent.Adopted {
		return nil
	}
	if r.Former != nil { // the record has room for one
		if err := c.undo(ctx, *r.Former, nil); err != nil {
			return err
		}
	}
	canceled := false
	_, err := history.Update(ctx, c.h, r.ID, core.Quiet, func(now *record.Run) error {
		mine := now.Owner == nil && now.Agent != nil && now.Agent.Job == r.Agent.Job && !now.Agent.Adopted
		if canceled = mine && now.Status == record.CancelRequested; !mine || now.Status != record.Queued {
			return core.ErrNoChange
		}
		now.Requeue()
		return nil
	})
	if err != nil || !canceled {
		return err
	}
	_, err = history.Transition(ctx, c.h, r.ID, history.Step{To: record.Canceled, Reason: "canceled on request, before it began", Agent: r.Agent.Job, Unowned: true})
	if errors.Is(err, azml.ErrConflict) { // its agent has it after all
		return nil
	}
	return err
}

// startOn starts the run's agent, or gives it the spare one, unless that is nil. Errors:
// ErrConflict when another process has begun the run, or given it other nodes; unfit for
// nodes on which agents can't be ended that are not wanted.
func (c *cluster) startOn(ctx context.Context, settings record.Cluster, r record.Run, nodes []string, spare *keeper.Spare) error {
	if r.Former != nil {
		if err := c.undo(ctx, *r.Former, nodes); err != nil {
			spare.Dismiss()
			return err
		}
	}
	former := r.Agent
	a, token := keeper.NewAgent()
	if spare != nil {
		a.Job, a.Image = spare.Job(), spare.Image()
	}
	a.Nodes, a.Requeue = nodes, settings.Priority == string(compute.LowPriority)
	_, err := history.Update(ctx, c.h, r.ID, core.Quiet, func(now *record.Run) error {
		if now.Status.Terminal() || now.Owner != nil || !same(now.Agent, former) || !same(now.Former, r.Former) {
			return fmt.Errorf("%w: the run is %s, and another process has begun it", azml.ErrConflict, now.Status)
		}
		now.Agent, now.Former, now.WaitsFor = a, former, ""
		return nil
	})
	if err != nil {
		spare.Dismiss()
		return err
	}
	if former != nil {
		if err := c.undo(ctx, *former, nodes); err != nil {
			spare.Dismiss()
			return err
		}
	}
	if err := c.clear(ctx, r.ID, nodes, a.Job); err != nil {
		spare.Dismiss()
		return err
	}
	return keeper.StartOn(ctx, c.h, agent.Instructions{RunID: r.ID, Job: a.Job, Token: token, Who: c.h.Who()}, c.spares, spare)
}

// same tells whether an agent, or none, is still the one that was read.
func same(now, read *record.Agent) bool {
	if now == nil || read == nil {
		return now == read
	}
	return now.Job == read.Job && now.Adopted == read.Adopted
}

// refuse fails a run that would not begin on any try.
func (c *cluster) refuse(ctx context.Context, id string, cause error) error {
	_, err := history.Transition(ctx, c.h, id, history.Step{To: record.Failed, Reason: cause.Error(), Unowned: true, Change: func(r *record.Run) {
		r.Error = &record.RunError{Code: "UserError", Message: cause.Error(), Phase: string(record.Queued)}
	}})
	if errors.Is(err, azml.ErrConflict) { // it has ended already, or an agent has it: the next look sees
		return nil
	}
	return err
}

// undo ends the jobs of an agent that never had its run, or has no more, on each of its
// nodes, all at once. A node that is gone is none to wait for, nor is one on which the job
// can't be ended, unless it is among those that are to be free for others afterwards: its
// agent has no way to the workspace any more, and finds out by itself that it is not
// wanted. Errors: unfit with those that are.
func (c *cluster) undo(ctx context.Context, a record.Agent, free []string) error {
	errs := make([]error, len(a.Nodes))
	var all sync.WaitGroup
	for n, id := range a.Nodes {
		all.Go(func() { errs[n] = c.endJob(ctx, id, nodes.JobID(a.Job, n)) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	stuck := unfit{}
	for n, id := range a.Nodes {
		switch err := errs[n]; {
		case err == nil || errors.Is(err, azml.ErrNotFound):
		case slices.Contains(free, id):
			stuck[id] = fmt.Errorf("the job %s there, which no run needs any more, can't be ended: end it yourself, or start its machine anew: %w", nodes.JobID(a.Job, n), err)
		default:
			c.h.Logger().Warn("an agent that is not wanted could not be ended", "node", id, "job", a.Job, "error", err)
		}
	}
	if len(stuck) > 0 {
		return stuck
	}
	keeper.Forget(c.h, a.Job)
	return nil
}

// undoGrace is what an agent that is not wanted has to end.
const undoGrace = 5 * time.Second

// endJob ends a job on a node and removes it. The node has a fifth of the time after which
// a silent one was taken away for that, a minute: a dozen times the grace, while a run that
// waits for the node is better off with another one. A process that outlives SIGKILL, such
// as one that waits for a disk which is gone, may stay for days.
func (c *cluster) endJob(ctx context.Context, node, job string) error {
	return within(ctx, c.opts.takenAfter/5, func(ctx context.Context) (err error) {
		target, _, _ := strings.Cut(node, "/")
		found, err := compute.Lookup(ctx, c.h, target)
		if err != nil {
			return err
		}
		opened, err := compute.Open(ctx, found)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, opened.Close()) }()
		if err := opened.Cancel(ctx, job, undoGrace); err != nil {
			return err
		}
		return opened.Remove(ctx, job)
	})
}
