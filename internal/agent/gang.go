package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// The states of a node of a run on several nodes.
const (
	nodeReady   = "Ready"
	nodeRunning = "Running"
	// nodeWorked is between Running and Done where there are parameter servers: the
	// workers of the node, as node 0 says it those of all nodes, have ended with success.
	nodeWorked  = "Worked"
	nodeDone    = "Done"
	nodeFailed  = "Failed"
	nodeStopped = "Stopped"
)

const (
	// meetEvery is the time between two looks at what another node says.
	meetEvery = 200 * time.Millisecond
	// gatherTime is what the other nodes may take to be ready after node 0 is,
	// beyond the run's limits of start and preparation.
	gatherTime = time.Minute
	// leaveTime is what the other nodes may take, beyond the script's grace period, to
	// store what their processes have written when an attempt is given up. It is less
	// than what an agent has to carry out a cancel.
	leaveTime = 30 * time.Second
)

// gang is the nodes of a run, as node 0 leads them. They speak with each other
// by records: each has one that it alone writes.
type gang struct {
	d *drive
	// lost says that a node can't go on with any attempt.
	lost bool
}

// broken tells whether no further attempt can succeed. Without other nodes it is false.
func (g *gang) broken() bool { return g != nil && g.lost }

// say writes what this node tells the others.
func (d *drive) say(ctx context.Context, n record.RunNode) error {
	n.Agent = d.run.Agent.Job
	return persist(ctx, d.waits, func(ctx context.Context) error {
		return core.PutQuiet(ctx, d.h, history.NodeKey(d.run, d.place.rank), n)
	})
}

// hear reads what another node says, and the zero RunNode before it says anything:
// what there is of nodes that the run had before it was queued anew is not heard.
func (d *drive) hear(ctx context.Context, node int) (record.RunNode, error) {
	stored, err := core.Get[record.RunNode](ctx, d.h, history.NodeKey(d.run, node))
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrUnavailable) {
		return record.RunNode{}, nil
	}
	if err == nil && stored.Value.Agent != d.run.Agent.Job {
		return record.RunNode{}, nil
	}
	return stored.Value, err
}

// pause waits a little, and gives the cause when ctx ends.
func pause(ctx context.Context) error {
	select {
	case <-time.After(meetEvery):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// gather waits until all nodes are prepared.
func (d *drive) gather(ctx context.Context) (*gang, error) {
	g := &gang{d: d}
	limit := time.Duration(d.run.Definition.MaxStart+d.run.Definition.MaxPrepare)*time.Second + gatherTime
	limited, stop := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer stop()
	_, err := g.all(limited, 1)
	if err != nil && ctx.Err() == nil && errors.Is(err, errTooLong) {
		err = d.systemError(fmt.Errorf("%w: not all nodes were ready within %s", azml.ErrFailed, limit))
	}
	return g, err
}

// all waits until all other nodes are Ready for the attempt.
func (g *gang) all(ctx context.Context, attempt int) ([]record.RunNode, error) {
	others := make([]record.RunNode, g.d.place.count)
	for node := 1; node < g.d.place.count; node++ {
		for {
			n, err := g.d.hear(ctx, node)
			if err != nil {
				return nil, err
			}
			if n.State == nodeFailed && n.Attempt >= attempt {
				return nil, g.failure(node, attempt, n)
			}
			if n.State == nodeReady && n.Attempt == attempt {
				others[node] = n
				break
			}
			if err := pause(ctx); err != nil {
				return nil, err
			}
		}
	}
	return others, nil
}

// failure is that of another node in an attempt, or in all that may come.
func (g *gang) failure(node, attempt int, n record.RunNode) error {
	g.lost = g.lost || n.Attempt > attempt
	f := &failure{RunError: record.RunError{Code: systemError, Message: fmt.Sprintf("node %d failed", node)}}
	if n.Error != nil {
		f.RunError = *n.Error
	}
	f.cause = errors.New(f.Message)
	return f
}

// ready waits until the other nodes are, and says where to meet.
func (g *gang) ready(ctx context.Context, attempt int, m meeting) (meeting, error) {
	others, err := g.all(ctx, attempt)
	if err != nil {
		return m, err
	}
	m.main = others[1].Main
	m.peers[0] = m.main
	for _, n := range others[1:] {
		m.peers, m.ports = append(m.peers, n.Address), append(m.ports, n.Ports)
	}
	return m, nil
}

// giveUp tells the other nodes that an attempt does not begin, since node 0 could not
// plan it or one of them could not: they go on to the next.
func (g *gang) giveUp(ctx context.Context, attempt int, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	return errors.Join(cause, g.d.say(ctx, record.RunNode{Attempt: attempt, State: nodeStopped}))
}

// lead runs the processes of an attempt here while the other nodes run theirs. It
// fails with the first that fails anywhere.
func (g *gang) lead(ctx context.Context, attempt int, m meeting) error {
	said := record.RunNode{Attempt: attempt, State: nodeRunning, Main: m.main, Ports: []int{m.port}, Peers: m.peers, PeerPorts: m.ports}
	if err := g.d.say(ctx, said); err != nil {
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	over := make(chan error, 1)
	g.d.service = g.d.newService()
	go func() {
		err := g.serve(running, attempt, said)
		if err == nil {
			err = g.await(running, attempt, func(state string) bool { return state == nodeDone })
		}
		if err != nil {
			stop(err) // ends the processes here, too
		}
		over <- err
	}()
	handed := g.handOver(running, stop, said)
	err := g.d.runRanks(running)
	if handErr := handed(); err == nil {
		err = handErr
	}
	if err != nil {
		stop(err)
	}
	if othersErr := <-over; err == nil || othersErr != nil && errors.Is(err, context.Canceled) { // for what they say
		err = othersErr
	}
	said.State = nodeDone
	if err != nil {
		said.State = nodeStopped
	}
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	if sayErr := g.d.say(finishing, said); sayErr != nil {
		return errors.Join(err, sayErr)
	}
	if err != nil {
		g.left(finishing, attempt, err)
	}
	return err
}

// left waits until the other nodes have ended an attempt that was given up, and have
// stored what their processes have written: the run's last status comes after that.
// One that says nothing is lost, or will be ended by the target.
func (g *gang) left(ctx context.Context, attempt int, cause error) {
	limit := g.d.grace() + leaveTime
	if errors.Is(cause, context.Canceled) { // the target ends all nodes, which have as long as this one
		limit = g.d.grace()
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for node := 1; node < g.d.place.count; node++ {
		for {
			n, err := g.d.hear(limited, node)
			if n.Attempt > attempt || n.Attempt == attempt && (n.State == nodeDone || n.State == nodeFailed || n.State == nodeStopped) {
				break
			}
			if err == nil {
				err = pause(limited)
			}
			if err != nil {
				g.d.warn("node %d did not say that all is stored which its processes have written: %v", node, err)
				return
			}
		}
	}
}

// await waits until all other nodes are so far in the attempt.
func (g *gang) await(ctx context.Context, attempt int, is func(state string) bool) error {
	done := 0
	for done < g.d.place.count-1 {
		done = 0
		for node := 1; node < g.d.place.count; node++ {
			n, err := g.d.hear(ctx, node)
			switch {
			case err != nil:
				return err
			case n.Attempt == attempt && is(n.State):
				done++
			case n.Attempt >= attempt && n.State == nodeFailed:
				return g.failure(node, attempt, n)
			}
		}
		if done == g.d.place.count-1 {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return nil
}
