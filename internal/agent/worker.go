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

// Work is Drive on another node than 0 of a run on several: it prepares the run
// and does what node 0 says, until that is done with the run or ctx ends.
func Work(ctx context.Context, h core.Handle, id string, track Tracker, bind DataBinder) error {
	stored, err := history.Get(ctx, h, id)
	if err != nil {
		return err
	}
	d := &drive{h: h, dir: WorkDir(h, id) + ownPlace().suffix(), track: track, bind: bind, place: ownPlace(), run: stored.Value, status: record.Preparing, goesOn: hasRun(stored.Value)}
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

// EndLeft ends what a lost agent has left on another node than 0, and stores what its
// processes had written and logged.
func EndLeft(ctx context.Context, h core.Handle, id string) error {
	stored, err := history.Get(ctx, h, id)
	if err != nil {
		return err
	}
	s := &salvage{drive{h: h, run: stored.Value, dir: WorkDir(h, id) + ownPlace().suffix(), place: ownPlace()}}
	if err := s.endLeftJob(ctx); err != nil {
		return err
	}
	saving, stop := context.WithTimeout(ctx, finishTime) // node 0 would end with us
	defer stop()
	err = persist(saving, func(error) {}, func(ctx context.Context) error { return s.save(ctx, true) })
	for _, w := range s.warnings {
		h.Logger().Warn("of what a lost node has left", "run", id, "warning", w)
	}
	return err
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
		return d.failNode(ctx, err)
	}
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan struct{})
	go func() {
		defer close(written)
		d.metrics.Run(writing)
	}()
	defer func() { stopWriting(); <-written }()
	return d.takeParts(ctx)
}

// takeParts takes part in one attempt after another, until ctx ends.
func (d *drive) takeParts(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		if err := d.takePart(ctx, attempt); err != nil {
			return d.failNode(ctx, err)
		}
	}
}

// failNode tells node 0 that this node can't go on, with no attempt that may come, and
// waits until it is done with the run: a node that just ended would take node 0 with it
// before that knows why.
func (d *drive) failNode(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.sayFailed(ctx, d.maxRestarts()+1, cause); err != nil {
		return errors.Join(cause, err)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// openNode makes folder, logs and metrics of this node.
func (d *drive) openNode(ctx context.Context) error {
	log := fmt.Sprintf("system_logs/prepare_node_%d.txt", d.place.rank)
	return d.openAs(ctx, log, d.logName(0))
}

// prepareNode is what node 0 does before it is Running.
func (d *drive) prepareNode(ctx context.Context) error {
	if err := d.readSecrets(ctx); err != nil {
		return d.systemError(err)
	}
	if err := d.prepareAll(ctx); err != nil {
		return err
	}
	return d.scan()
}

// takePart takes part in an attempt, until node 0 is done with it. Only what keeps the
// node from going on is an error.
func (d *drive) takePart(ctx context.Context, attempt int) error {
	over := func(n record.RunNode) bool {
		return n.Attempt > attempt || n.Attempt == attempt && n.State == nodeStopped
	}
	ports, err := freePorts(len(d.numbers()), false)
	if err != nil {
		return err
	}
	ready := record.RunNode{Attempt: attempt, State: nodeReady, Address: ownAddress(d.place.main), Main: d.place.main, Ports: ports}
	if err := d.say(ctx, ready); err != nil {
		return err
	}
	main, err := d.awaitMain(ctx, func(n record.RunNode) bool {
		return over(n) || n.Attempt == attempt && n.State == nodeRunning && (!d.mpi() || n.Launch != nil)
	})
	if err != nil || over(main) {
		return err
	}
	switch err = d.planPart(ctx, main); {
	case err == nil:
		err = d.runAttempt(ctx, attempt)
	case ctx.Err() == nil:
		err = d.sayFailed(ctx, attempt, err)
	}
	if err != nil {
		return err
	}
	_, err = d.awaitMain(ctx, over)
	return err
}

// planPart plans the processes of this node for the attempt that node 0 runs.
func (d *drive) planPart(ctx context.Context, main record.RunNode) error {
	if err := d.startTracking(); err != nil {
		return err
	}
	err := d.plan(ctx, meeting{port: main.Ports[0], main: main.Main, peers: main.Peers, ports: main.PeerPorts, launch: main.Launch})
	if err != nil {
		d.stopTracking()
		d.tracking = nil
	}
	return err
}

// runAttempt runs the processes that were planned, and tells node 0 how they ended
// when all that they have written is stored: node 0 ends the run after it has heard
// that.
func (d *drive) runAttempt(ctx context.Context, attempt int) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.service = d.newService()
	go func(s *service) { // ends the processes here when node 0 does not go on
		_, err := d.awaitMain(running, func(n record.RunNode) bool {
			if n.Attempt == attempt && n.State == nodeWorked {
				s.end()
			}
			return n.Attempt != attempt || n.State == nodeStopped
		})
		if err == nil {
			stop(errStopped)
		}
	}(d.service)
	toldWorked := d.sayWorked(running, stop, attempt)
	err := d.runRanks(running)
	toldWorked()
	d.stopTracking()
	finishing, cancel := outlive(ctx, finishTime)
	defer cancel()
	if storeErr := d.storeAttempt(finishing); err == nil && storeErr != nil {
		err = d.systemError(storeErr)
	}
	switch {
	case err == nil:
		return d.say(finishing, record.RunNode{Attempt: attempt, State: nodeDone})
	case ctx.Err() != nil || errors.Is(context.Cause(running), errStopped):
		return d.say(finishing, record.RunNode{Attempt: attempt, State: nodeStopped})
	}
	return d.sayFailed(finishing, attempt, err)
}

// storeAttempt stores what the processes of an attempt, which have ended, have
// written and logged.
func (d *drive) storeAttempt(ctx context.Context) error {
	tasks := []func(context.Context) error{d.prepare.Flush, d.finishTracking}
	for _, r := range d.ranks {
		tasks = append(tasks, r.log.Flush)
	}
	for _, w := range d.writers() {
		tasks = append(tasks, w.Flush)
	}
	var all error
	for _, task := range tasks {
		all = errors.Join(all, persist(ctx, d.waits, task))
	}
	d.tracking = nil
	return all
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
	for _, w := range d.writers() {
		err = errors.Join(err, w.Flush(ctx), w.Close(ctx))
	}
	for _, w := range d.warnings {
		d.h.Logger().Warn("on another node of a run", "run", d.run.ID, "warning", w)
	}
	return err
}
