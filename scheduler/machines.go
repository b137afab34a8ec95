package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// machinePatience is how long a node may take until it answers, and its machine to stop.
const machinePatience = 10 * time.Minute

// errSlow is why a command of a machine's was ended.
var errSlow = fmt.Errorf("%w: its command took longer than %s", azml.ErrUnavailable, machinePatience)

// startNode starts a node's machine, waits until it answers, and ends the agents that were
// left there. The cluster is looked at after the decision was noted: who deletes or stops it
// sees one of the two.
func (c *cluster) startNode(ctx context.Context, n record.ClusterNode) {
	target, err := core.Get[record.Compute](ctx, c.h, c.target())
	if err != nil {
		if !errors.Is(err, azml.ErrNotFound) {
			c.h.Logger().Warn("a cluster could not be read", "cluster", c.name, "error", err)
		}
		return // the next step sees what is to be done
	}
	if why := compute.Held(target.Value); why != "" {
		c.become(ctx, n.ID, scheduler.Preparing, scheduler.Off, why)
		return
	}
	m := compute.MemberOf(*target.Value.Cluster, n.ID)
	starting, stop := ctx, func() {}
	defer func() { stop() }()
	err = c.alone(m.Target, func() error {
		starting, stop = context.WithTimeoutCause(ctx, machinePatience, errSlow) // which does not count while it is stopped
		return c.command(starting, m.Target, m.Start)
	})
	for err == nil {
		if err = c.check(starting, m.Target, backend.Limits{}); err == nil || m.Start == "" || !errors.Is(err, azml.ErrUnavailable) || !pause.For(starting, tryEvery) {
			break
		}
		err = nil // the machine is on its way
	}
	if err == nil {
		err = c.forget(ctx, n, c.spares.Job(n.ID))
	}
	switch {
	case ctx.Err() != nil || errors.Is(err, errElsewhere):
	case err != nil:
		c.become(ctx, n.ID, scheduler.Preparing, scheduler.Unusable, err.Error())
	default:
		c.become(ctx, n.ID, scheduler.Preparing, scheduler.Idle, "started")
	}
}

// stopNode stops a node, and its machine with the last of its nodes.
func (c *cluster) stopNode(ctx context.Context, settings record.Cluster, id string) {
	c.spares.Drop(id)
	m := compute.MemberOf(settings, id)
	err := c.alone(m.Target, func() error {
		s, err := core.Get[record.ClusterState](ctx, c.h, compute.StateRef(c.name).Key)
		if err != nil {
			return err
		}
		if !shared(s.Value, id, m.Target) {
			stopping, stop := context.WithTimeoutCause(ctx, machinePatience, errSlow) // a machine that goes off may never hang up
			defer stop()
			err = c.command(stopping, m.Target, m.Stop)
		}
		if err == nil { // before the machine is anybody else's
			c.become(ctx, id, scheduler.Leaving, scheduler.Off, "stopped")
		}
		return err
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, errElsewhere) {
		c.become(ctx, id, scheduler.Leaving, scheduler.Unusable, err.Error())
	}
}

// shared tells whether a machine stays on when one of its nodes is stopped. Of several
// that are stopped at a time, the last stops it.
func shared(s record.ClusterState, id, target string) bool {
	for _, n := range s.Nodes {
		switch scheduler.State(n.State) {
		case scheduler.Idle, scheduler.Running, scheduler.Preparing, scheduler.Leaving:
			if n.ID != id && strings.HasPrefix(n.ID, target+"/") {
				return true
			}
		}
	}
	return false
}

// alone does something with a machine when nothing else of this process does.
func (c *cluster) alone(target string, do func() error) error {
	c.mu.Lock()
	m := c.machines[target]
	if m == nil {
		m = &sync.Mutex{}
		c.machines[target] = m
	}
	c.mu.Unlock()
	m.Lock()
	defer m.Unlock()
	return do()
}

// command runs a command of a member's while this process schedules: it is ended before
// another scheduler can begin with the next. It is a job of this machine, by a name of
// the member's, so that one whose scheduler was killed is waited for by the next
// scheduler here. Errors: ErrFailed with what it said, errElsewhere.
func (c *cluster) command(ctx context.Context, target, line string) error {
	if line == "" {
		return nil
	}
	leased, stop := c.whileLeased(ctx)
	defer stop()
	job := backend.Job{ID: strings.Join([]string{"machine", c.h.Workspace().ID, c.name, target}, "-"),
		Command: []string{"/bin/sh", "-c", line}, Dir: "/", Env: variables()}
	err := c.h.Local().Start(leased, job)
	for errors.Is(err, azml.ErrExists) {
		if _, err = c.h.Local().Wait(leased, job.ID); err == nil {
			err = c.h.Local().Remove(leased, job.ID)
		}
		if err == nil || errors.Is(err, azml.ErrNotFound) {
			err = c.h.Local().Start(leased, job)
		}
	}
	var said string
	if err == nil {
		said, err = c.finished(leased, job.ID)
	}
	switch {
	case leased.Err() != nil:
		return errors.Join(context.Cause(leased), c.endCommand(context.WithoutCancel(ctx), job.ID))
	case err != nil:
		return fmt.Errorf("%w: the command %q: %w: %s", azml.ErrFailed, line, err, said)
	}
	return nil
}

// finished waits for a command and gives the beginning of what it has said.
func (c *cluster) finished(ctx context.Context, job string) (said string, err error) {
	status, err := c.h.Local().Wait(ctx, job)
	if err != nil {
		return "", err
	}
	if output, err := c.h.Local().Output(ctx, job, &backend.OutputOptions{}); err == nil {
		const most = 500
		text, _ := io.ReadAll(io.LimitReader(output, most)) // what can be read says more than nothing
		_ = output.Close()
		said = strings.TrimSpace(strings.ToValidUTF8(string(text), ""))
	}
	if err := c.h.Local().Remove(ctx, job); err != nil && !errors.Is(err, azml.ErrNotFound) {
		return said, err
	}
	switch {
	case status.State != backend.JobExited:
		return said, errors.New(status.Reason)
	case status.ExitCode != 0:
		return said, fmt.Errorf("exit status %d", status.ExitCode)
	}
	return said, nil
}

// whileLeased gives a context that ends when another scheduler might soon take this
// one's place, since this one could give no sign of life.
func (c *cluster) whileLeased(ctx context.Context) (leased context.Context, stop func()) {
	leased, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for c.beaten(c.opts.TakeOver * 4 / 5) {
			if !pause.For(leased, c.opts.TakeOver/20) {
				return
			}
		}
		cancel(errElsewhere)
	}()
	return leased, func() { cancel(nil); <-watched }
}

// endCommand ends a command that this process may not wait for any more.
func (c *cluster) endCommand(ctx context.Context, job string) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	err := c.h.Local().Cancel(ctx, job, 0)
	if err == nil {
		err = c.h.Local().Remove(ctx, job)
	}
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

// variables gives those of this process, which its commands have.
func variables() map[string]string {
	env := map[string]string{}
	for _, pair := range os.Environ() {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			env[name] = value
		}
	}
	return env
}
