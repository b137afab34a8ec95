package scheduler

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

const (
	// startPatience is how long a node may take until it answers.
	startPatience = 10 * time.Minute
	// tryEvery is the time between two tries of what did not go well.
	tryEvery = time.Second
)

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
			c.task(n.ID, func() { c.startNode(ctx, settings, n.ID) })
		case scheduler.Leaving:
			c.task(n.ID, func() { c.stopNode(ctx, settings, s, n.ID) })
		case scheduler.Idle:
			if n.Spare != "" && n.Spare != c.spares.Job(n.ID) {
				c.task(n.ID, func() { c.forgetSpare(ctx, n) })
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
	_, err := core.Update(ctx, c.h, compute.StateRef(c.name), core.Quiet, func(s *record.ClusterState) error {
		if s.Scheduler != c.h.Owner().ID {
			return errElsewhere
		}
		for _, n := range s.Nodes {
			if n.ID == id && n.State == string(from) {
				set(s, id, to, reason, c.h.Now(), record.QueuedRun{})
				if to == scheduler.Unusable || to == scheduler.Preempted {
					event(s, c.h.Now(), string(to)+" "+id, reason)
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

// member gives the member that a node is of.
func member(settings record.Cluster, node string) record.ClusterMember {
	target, _, _ := strings.Cut(node, "/")
	for _, m := range settings.Members {
		if m.Target == target {
			return m
		}
	}
	return record.ClusterMember{Target: target}
}

// startNode starts a node's machine and waits until it answers.
func (c *cluster) startNode(ctx context.Context, settings record.Cluster, id string) {
	m := member(settings, id)
	starting, stop := context.WithTimeout(ctx, startPatience)
	defer stop()
	err := command(starting, m.Start)
	for err == nil {
		if err = c.check(starting, m.Target, backend.Limits{}); err == nil || m.Start == "" || !errors.Is(err, azml.ErrUnavailable) || !sleep(starting, tryEvery) {
			break
		}
		err = nil // the machine is on its way
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.become(ctx, id, scheduler.Preparing, scheduler.Unusable, err.Error())
		return
	}
	c.become(ctx, id, scheduler.Preparing, scheduler.Idle, "started")
}

// stopNode stops a node, and its machine with the last of its nodes.
func (c *cluster) stopNode(ctx context.Context, settings record.Cluster, s record.ClusterState, id string) {
	c.spares.Drop(id)
	m := member(settings, id)
	last := true
	for _, n := range s.Nodes {
		state := scheduler.State(n.State)
		if n.ID != id && strings.HasPrefix(n.ID, m.Target+"/") && (state == scheduler.Idle || state == scheduler.Running || state == scheduler.Preparing) {
			last = false
		}
	}
	if last {
		if err := command(ctx, m.Stop); err != nil {
			if ctx.Err() == nil {
				c.become(ctx, id, scheduler.Leaving, scheduler.Unusable, err.Error())
			}
			return
		}
	}
	c.become(ctx, id, scheduler.Leaving, scheduler.Off, "stopped")
}

// command runs a command of a member's. Errors: ErrFailed with what it said.
func command(ctx context.Context, line string) error {
	if line == "" {
		return nil
	}
	out, err := exec.CommandContext(ctx, "/bin/sh", "-c", line).CombinedOutput()
	if err != nil {
		const most = 500
		said := strings.TrimSpace(strings.ToValidUTF8(string(out), ""))
		return fmt.Errorf("%w: the command %q: %w: %s", azml.ErrFailed, line, err, said[:min(len(said), most)])
	}
	return nil
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
	for ctx.Err() == nil {
		over, err := c.keep(ctx, settings, id, nodes)
		if over {
			c.free(ctx, settings, id, nodes)
			return
		}
		if err != nil && ctx.Err() == nil {
			c.h.Logger().Info("a run is not kept by this process", "run", id, "error", err)
		}
		if !sleep(ctx, tryEvery) {
			return
		}
	}
}

// keep keeps a run as far as that goes, and tells whether it has its nodes no more.
func (c *cluster) keep(ctx context.Context, settings record.Cluster, id string, nodes []string) (over bool, err error) {
	stored, err := history.Get(ctx, c.h, id)
	if errors.Is(err, azml.ErrNotFound) {
		return c.abandoned(ctx, id)
	}
	if err != nil {
		return false, err
	}
	r := stored.Value
	switch {
	case r.Status.Terminal():
		// Another process has seen it to its end, but may have gone before all its nodes
		// were done. Where they were freed since, its agent may have the next run.
		has, err := c.hasNodes(ctx, id)
		if err == nil && has && r.Agent != nil {
			c.undo(ctx, *r.Agent)
		}
		return err == nil, err
	case r.Agent == nil && r.Status != record.Queued && r.Status != record.CancelRequested:
		return false, fmt.Errorf("%w: the run is %s and has no agent", azml.ErrDamaged, r.Status)
	case r.Agent == nil || !r.Agent.Adopted:
		if over, err = c.start(ctx, settings, r, nodes); over || err != nil {
			return over, err
		}
	default:
		if err = keeper.Attach(ctx, c.h, id); err != nil {
			return false, err
		}
	}
	stored, err = history.Get(ctx, c.h, id)
	if err != nil {
		return false, err
	}
	return stored.Value.Status.Terminal() || stored.Value.Agent == nil, nil
}

// hasNodes tells whether the run has nodes now, and not only when this step began.
func (c *cluster) hasNodes(ctx context.Context, id string) (bool, error) {
	stored, err := core.Get[record.ClusterState](ctx, c.h, compute.StateRef(c.name).Key)
	return slices.ContainsFunc(stored.Value.Nodes, func(n record.ClusterNode) bool { return n.Run == id }), err
}

// abandoned tells whether an entry's run will not come any more: its submitter was
// ended between the two.
func (c *cluster) abandoned(ctx context.Context, id string) (bool, error) {
	const patience = 15 * time.Minute
	e, err := core.Get[record.QueuedRun](ctx, c.h, compute.EntryRef(c.name, id).Key)
	if errors.Is(err, azml.ErrNotFound) {
		return true, nil
	}
	return err == nil && c.h.Now().Sub(e.Value.Created) > patience, err
}

// start starts the run's agent. An agent that another scheduler may have started,
// and that has not taken the run over, is never let in any more.
func (c *cluster) start(ctx context.Context, settings record.Cluster, r record.Run, nodes []string) (over bool, err error) {
	if spare := c.spares.Take(nodes[0], r); spare != nil {
		return false, c.startOn(ctx, settings, r, nodes, spare)
	}
	if over, err := c.ready(ctx, settings, r, nodes); over || err != nil {
		return over, err
	}
	return false, c.startOn(ctx, settings, r, nodes, nil)
}

// ready tells whether nodes can take the run, which is over for them where it is not to
// be begun, or not here.
func (c *cluster) ready(ctx context.Context, settings record.Cluster, r record.Run, nodes []string) (over bool, err error) {
	for _, n := range nodes {
		target := member(settings, n).Target
		if err := c.check(ctx, target, backend.Limits{}); err != nil {
			if ctx.Err() == nil {
				c.become(ctx, n, scheduler.Running, scheduler.Unusable, err.Error())
			}
			return true, err
		}
		if err := c.check(ctx, target, backend.Limits(r.Definition.Limits)); errors.Is(err, azml.ErrUnsupported) {
			return true, c.refuse(ctx, r.ID, fmt.Errorf("compute target %s: %w", target, err))
		} else if err != nil {
			return false, err
		}
	}
	return false, c.undoSpares(ctx, nodes)
}

// startOn starts the run's agent, or gives it the spare one, unless that is nil.
func (c *cluster) startOn(ctx context.Context, settings record.Cluster, r record.Run, nodes []string, spare *keeper.Spare) error {
	former := r.Agent
	a, token := keeper.NewAgent()
	if spare != nil {
		a.Job, a.Image = spare.Job(), spare.Image()
	}
	a.Nodes, a.Requeue = nodes, settings.Priority == string(compute.LowPriority)
	_, err := history.Update(ctx, c.h, r.ID, core.Quiet, func(r *record.Run) error {
		if r.Status.Terminal() || r.Owner != nil || r.Agent != nil && (former == nil || r.Agent.Job != former.Job || r.Agent.Adopted) {
			return fmt.Errorf("%w: the run is %s, and another process has begun it", azml.ErrConflict, r.Status)
		}
		r.Agent = a
		return nil
	})
	if err != nil {
		if spare != nil {
			spare.Dismiss()
		}
		return err
	}
	if former != nil {
		c.undo(ctx, *former)
	}
	return keeper.StartOn(ctx, c.h, agent.Instructions{RunID: r.ID, Job: a.Job, Token: token, Who: c.h.Who()}, c.spares, spare)
}

// refuse fails a run that would not begin on any try.
func (c *cluster) refuse(ctx context.Context, id string, cause error) error {
	_, err := history.Transition(ctx, c.h, id, history.Step{To: record.Failed, Reason: cause.Error(), Change: func(r *record.Run) {
		r.Error = &record.RunError{Code: "UserError", Message: cause.Error(), Phase: string(record.Queued)}
	}})
	if errors.Is(err, azml.ErrConflict) { // it has ended already, or is canceled: the next look sees
		return nil
	}
	return err
}

// undo ends the job of an agent that never had its run, or has no more.
func (c *cluster) undo(ctx context.Context, a record.Agent) {
	opened, _, err := compute.OpenNodes(ctx, c.h, a.Nodes)
	if err != nil {
		return // its agent finds out by itself that it is not wanted
	}
	defer opened.Close()
	if opened.Cancel(ctx, a.Job, undoGrace) == nil {
		_ = opened.Remove(ctx, a.Job)
	}
}

// undoGrace is what an agent that is not wanted has to end.
const undoGrace = 5 * time.Second
