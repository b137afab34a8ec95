package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
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
)

// gang is the nodes of a run, as node 0 leads them. They speak with each other
// by records: each has one that it alone writes.
type gang struct{ d *drive }

// say writes what this node tells the others.
func (d *drive) say(ctx context.Context, n record.RunNode) error {
	return persist(ctx, d.waits, func(ctx context.Context) error {
		return core.PutQuiet(ctx, d.h, history.NodeKey(d.run, d.place.rank), n)
	})
}

// hear reads what another node says, and the zero RunNode before it says anything.
func (d *drive) hear(ctx context.Context, node int) (record.RunNode, error) {
	stored, err := core.Get[record.RunNode](ctx, d.h, history.NodeKey(d.run, node))
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrUnavailable) {
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
	g := &gang{d}
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
				return nil, g.failure(node, n)
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

// failure is that of another node.
func (g *gang) failure(node int, n record.RunNode) error {
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
	go func() {
		err := g.others(running, attempt)
		if err != nil {
			stop(err) // ends the processes here, too
		}
		over <- err
	}()
	err := g.d.runRanks(running)
	if err != nil {
		stop(err)
	}
	if othersErr := <-over; err == nil {
		err = othersErr
	}
	said.State = nodeDone
	if err != nil {
		said.State = nodeStopped
	}
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	return errors.Join(err, g.d.say(finishing, said))
}

// others waits until all other nodes are Done with the attempt.
func (g *gang) others(ctx context.Context, attempt int) error {
	done := 0
	for done < g.d.place.count-1 {
		done = 0
		for node := 1; node < g.d.place.count; node++ {
			n, err := g.d.hear(ctx, node)
			switch {
			case err != nil:
				return err
			case n.Attempt == attempt && n.State == nodeDone:
				done++
			case n.Attempt == attempt && n.State == nodeFailed:
				return g.failure(node, n)
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

// Work is Drive on another node than 0 of a run on several: it prepares the run
// and does what node 0 says, until that is done with the run or ctx ends.
func Work(ctx context.Context, h core.Handle, id string, track Tracker, bind DataBinder) error {
	stored, err := history.Get(ctx, h, id)
	if err != nil {
		return err
	}
	d := &drive{h: h, dir: WorkDir(h, id) + ownPlace().suffix(), track: track, bind: bind, place: ownPlace(), run: stored.Value, status: record.Preparing}
	if d.run.Agent == nil || d.run.Status.Terminal() {
		return fmt.Errorf("%w: the run is %s", azml.ErrConflict, d.run.Status)
	}
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		d.untilOver(working, stop)
	}()
	err = d.work(working)
	finishing, cancel := outlive(ctx, finishTime)
	defer cancel()
	stop(nil)
	<-watched
	if saveErr := d.saveWork(finishing); err == nil {
		err = saveErr
	}
	d.clean(finishing)
	if errors.Is(err, errRunOver) {
		return nil
	}
	return err
}

// EndLeft ends what a lost agent has left on another node than 0.
func EndLeft(ctx context.Context, h core.Handle, id string) error {
	stored, err := history.Get(ctx, h, id)
	if err != nil {
		return err
	}
	s := &salvage{drive: drive{h: h, run: stored.Value, dir: WorkDir(h, id) + ownPlace().suffix(), place: ownPlace()}}
	if err := s.endLeftJob(ctx); err != nil {
		return err
	}
	s.clean(ctx)
	return nil
}

// errRunOver says that node 0 is done with the run.
var errRunOver = errors.New("the run is over")

// untilOver ends the work when the run has ended, or is another agent's.
func (d *drive) untilOver(ctx context.Context, stop context.CancelCauseFunc) {
	const lookEvery = time.Second
	for {
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return
		}
		stored, err := history.Get(ctx, d.h, d.run.ID)
		if errors.Is(err, azml.ErrNotFound) || err == nil && (stored.Value.Status.Terminal() || stored.Value.Agent == nil || stored.Value.Agent.Job != d.run.Agent.Job) {
			stop(errRunOver)
			return
		}
	}
}

// work prepares the node and takes part in attempts.
func (d *drive) work(ctx context.Context) error {
	err := d.openNode(ctx)
	if err == nil {
		err = d.prepareNode(ctx)
	}
	if err != nil {
		return d.failNode(ctx, 1, err)
	}
	defer d.stopTracking()
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan struct{})
	go func() {
		defer close(written)
		d.metrics.Run(writing)
	}()
	defer func() { stopWriting(); <-written }()
	for attempt := 1; ; attempt++ {
		if err := d.takePart(ctx, attempt); err != nil {
			return d.failNode(ctx, attempt, err)
		}
	}
}

// failNode tells node 0 that this node can't go on, and waits until it is done with
// the run: a node that just ended would take node 0 with it before that knows why.
func (d *drive) failNode(ctx context.Context, attempt int, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.sayFailed(ctx, attempt, cause); err != nil {
		return errors.Join(cause, err)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// openNode makes folder, logs and metrics of this node.
func (d *drive) openNode(ctx context.Context) error {
	log := fmt.Sprintf("system_logs/prepare_node_%d.txt", d.place.rank)
	return d.openAs(ctx, log, rankLog(d.place.rank*d.perNode()))
}

// prepareNode is what node 0 does before it is Running.
func (d *drive) prepareNode(ctx context.Context) error {
	if err := d.readSecrets(ctx); err != nil {
		return d.systemError(err)
	}
	if err := d.prepareAll(ctx); err != nil {
		return err
	}
	var err error
	if d.before, err = scan(d.codeDir()); err != nil {
		return err
	}
	return d.startTracking()
}

// takePart runs the processes of an attempt when node 0 does.
func (d *drive) takePart(ctx context.Context, attempt int) error {
	ports, err := freePorts(d.perNode(), false)
	if err != nil {
		return err
	}
	ready := record.RunNode{Attempt: attempt, State: nodeReady, Address: ownAddress(d.place.main), Main: d.place.main, Ports: ports}
	if err := d.say(ctx, ready); err != nil {
		return err
	}
	main, err := d.awaitMain(ctx, func(n record.RunNode) bool { return n.Attempt == attempt && n.State == nodeRunning })
	if err != nil {
		return err
	}
	m := meeting{port: main.Ports[0], main: main.Main, peers: main.Peers, ports: main.PeerPorts}
	if err := d.plan(ctx, m); err != nil {
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() { // ends the processes here when node 0 does not go on
		if _, err := d.awaitMain(running, func(n record.RunNode) bool { return n.Attempt != attempt || n.State == nodeStopped }); err == nil {
			stop(errStopped)
		}
	}()
	err = d.runRanks(running)
	// Node 0 ends the run once it has heard of the end here.
	flushing := context.WithoutCancel(ctx)
	flushErr := d.metrics.Flush(flushing)
	for _, r := range d.ranks {
		flushErr = errors.Join(flushErr, r.log.Flush(flushing))
	}
	if err == nil && flushErr != nil {
		err = d.systemError(flushErr)
	}
	switch {
	case err == nil:
		err = d.say(ctx, record.RunNode{Attempt: attempt, State: nodeDone})
	case errors.Is(context.Cause(running), errStopped):
		err = nil
	case ctx.Err() == nil:
		err = d.sayFailed(ctx, attempt, err)
	}
	if err != nil {
		return err
	}
	_, err = d.awaitMain(ctx, func(n record.RunNode) bool { return n.Attempt > attempt || n.State == nodeStopped })
	return err
}

// errStopped is the cause with which processes are ended since others have failed.
var errStopped = errors.New("node 0 has ended the attempt")

// awaitMain waits until what node 0 says is so.
func (d *drive) awaitMain(ctx context.Context, is func(record.RunNode) bool) (record.RunNode, error) {
	for {
		n, err := d.hear(ctx, 0)
		if err != nil || n.Attempt > 0 && is(n) {
			return n, err
		}
		if err := pause(ctx); err != nil {
			return n, err
		}
	}
}

// sayFailed tells node 0 why this node has failed.
func (d *drive) sayFailed(ctx context.Context, attempt int, cause error) error {
	f, ok := errors.AsType[*failure](cause)
	if !ok {
		f = d.systemError(cause)
	}
	e := f.RunError
	e.Message = d.hidden.Text(e.Message)
	if d.ranks == nil {
		e.Message = fmt.Sprintf("node %d: %s", d.place.rank, e.Message)
	}
	return d.say(ctx, record.RunNode{Attempt: attempt, State: nodeFailed, Error: &e})
}

// ownAddress gives the address of this machine on its way to another.
func ownAddress(to string) string {
	conn, err := net.Dial("udp", net.JoinHostPort(to, "9")) // sends nothing
	if err != nil {
		return to
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String()
}

// saveWork stores logs and metrics of this node. Files of outputs/ are those of
// node 0.
func (d *drive) saveWork(ctx context.Context) error {
	var err error
	if d.prepare != nil {
		err = errors.Join(err, d.prepare.Close(ctx))
	}
	if d.output != nil {
		err = errors.Join(err, d.output.Close(ctx))
	}
	for _, r := range d.ranks {
		if r.log != d.output {
			err = errors.Join(err, r.log.Close(ctx))
		}
	}
	err = errors.Join(err, d.finishTracking(ctx))
	if d.metrics != nil {
		err = errors.Join(err, d.metrics.Flush(ctx), d.metrics.Close(ctx))
	}
	for _, w := range d.warnings {
		d.h.Logger().Warn("on another node of a run", "run", d.run.ID, "warning", w)
	}
	return err
}
