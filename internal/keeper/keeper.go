package keeper

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/rundata"
)

// tryEvery is the pause after a target or a store did not answer.
const tryEvery = time.Second

// keeper keeps one run.
type keeper struct {
	h      core.Handle
	run    record.Run
	target backend.OpenedCompute
	// cacheDir is the folder on the target for what can be made again; the one of the
	// target's user when empty.
	cacheDir string
	// launched is when the agent was started, zero when another keeper did it.
	launched time.Time
	// asked is when it was seen that somebody wants the run canceled.
	asked time.Time
	// seat is the agent's job and the way to it.
	seat *seat
	// spares gets the agent when its run has ended; nil for none that stays.
	spares *Spares
	// spare is the agent that was there before the run; nil for a new one.
	spare *Spare
	// parked says that spares has the seat now.
	parked bool
}

// Start starts the agent of a run that was just submitted and keeps the run until
// it has ended, or ctx has: then the agent goes on. This process answers for the run,
// which it takes over from its submitter, until the agent does. A run whose agent could not be
// started is Failed with the reason; one of a queue that lost its nodes before is Queued
// again, without an agent. When somebody else gives the run another agent, it is kept again
// as soon as nobody else keeps it. Errors: ErrConflict when another process
// keeps it, those of the target.
func Start(ctx context.Context, h core.Handle, i agent.Instructions) error {
	err := (&keeper{h: h}).keep(ctx, i.RunID, &i)
	if !errors.Is(err, errTaken) {
		return err
	}
	for errors.Is(err, azml.ErrConflict) && pause.For(ctx, lookEvery) {
		err = Attach(ctx, h, i.RunID)
	}
	return err
}

// Attach keeps a run whose agent runs already. Errors: as Start.
func Attach(ctx context.Context, h core.Handle, id string) error {
	return (&keeper{h: h}).keep(ctx, id, nil)
}

// keep keeps the run; with instructions it starts the agent first.
func (k *keeper) keep(ctx context.Context, id string, start *agent.Instructions) (err error) {
	ended := false
	defer func() {
		if k.seat != nil && !k.parked {
			if ended {
				k.forgetFormer(ctx)
				k.tidy(ctx)
			}
			err = errors.Join(err, k.seat.leave(ctx, k.h, ended))
		}
	}()
	stored, err := history.Get(ctx, k.h, id)
	if err != nil {
		return err
	}
	if stored.Value.Agent == nil {
		return fmt.Errorf("%w: no agent drives the run %s", azml.ErrInvalid, id)
	}
	if start == nil && !stored.Value.Agent.Adopted {
		return fmt.Errorf("%w: the run's submitter is about to start its agent", azml.ErrConflict)
	}
	k.run = stored.Value
	if k.seat == nil {
		if k.seat, err = newSeat(k.h, k.run.Agent.Job); err != nil {
			return err
		}
		if err := k.seat.note(k.run); err != nil {
			return err
		}
	}
	if err := k.takeOver(ctx, start); err != nil {
		return err
	}
	if k.spare == nil {
		if err := k.open(ctx); err != nil {
			return k.refused(ctx, start, err)
		}
		k.seat.target = k.target
	}
	ended, err = k.see(ctx, start)
	return err
}

// takeOver makes this process the owner of a run that another one has submitted,
// until its agent is. A run of a queue has no owner until then, so that nobody ends
// it when this process is gone: the next scheduler gives it another agent.
func (k *keeper) takeOver(ctx context.Context, start *agent.Instructions) error {
	me := k.h.Owner().ID
	if start == nil || start.Owner == me || start.Owner == "" {
		return nil
	}
	stored, err := agent.TakeOver(ctx, k.h, *start)
	if err == nil {
		start.Owner, k.run = me, stored.Value
	}
	return err
}

// open opens the target of the run.
func (k *keeper) open(ctx context.Context) error {
	if a := k.run.Agent; len(a.Nodes) > 0 {
		var err error
		k.target, k.cacheDir, err = compute.OpenNodes(ctx, k.h, a.Nodes)
		return err
	}
	target, err := compute.Lookup(ctx, k.h, k.run.Definition.Compute)
	if err != nil {
		return err
	}
	k.cacheDir = target.Details().Connection["cacheDir"]
	k.target, err = compute.Open(ctx, target)
	return err
}

// refused fails a run whose agent could not be started. One of a queue whose nodes do
// not answer waits for others, which is no error.
func (k *keeper) refused(ctx context.Context, start *agent.Instructions, cause error) error {
	if start == nil || ctx.Err() != nil {
		return cause
	}
	reason := fmt.Sprintf("the agent could not be started on %s: %v", k.run.Definition.Compute, cause)
	if k.run.Owner == nil {
		anew, err := k.neverBegan(ctx, reason, errors.Is(cause, azml.ErrUnavailable))
		if anew && err == nil {
			return nil
		}
		return errors.Join(cause, err)
	}
	_, err := history.Transition(ctx, k.h, k.run.ID, history.Step{To: record.Failed, Reason: reason, Owner: start.Owner, Agent: k.run.Agent.Job, Change: func(r *record.Run) {
		r.Error = &record.RunError{Code: "SystemError", Message: reason, Phase: string(r.History[len(r.History)-2].Status)}
	}})
	if errors.Is(err, azml.ErrConflict) { // somebody was faster
		err = nil
	}
	return errors.Join(cause, err)
}

// see sees the run to its end, and tells whether that has come.
func (k *keeper) see(ctx context.Context, start *agent.Instructions) (ended bool, err error) {
	job := k.run.Agent.Job // which is another's when one has to save what this one left
	if err := k.lend(ctx); err != nil {
		return false, k.refused(ctx, start, err)
	}
	if k.spare != nil {
		if err := k.spare.begin(ctx, k, *start); err != nil {
			return false, err
		}
	} else if start != nil {
		wanted, done := k.answerFor(ctx)
		defer done()
		start.Another = k.mayStay()
		if err := k.launch(wanted, job, k.seat.address, *start); err != nil {
			if errors.Is(context.Cause(wanted), history.ErrCancelRequested) {
				return true, k.canceled(ctx)
			}
			return ctx.Err() == nil, k.refused(ctx, start, err)
		}
	}
	status, err := k.outcome(ctx, job)
	if err != nil || k.parked {
		return k.parked, err
	}
	if err := k.settle(ctx, status); err != nil {
		return errors.Is(err, errTaken), err // of this agent nothing is left then, either
	}
	return true, nil
}

// answerFor has this process answer for the run, as its owner where it has one,
// until its agent does, and gives a context that ends when somebody cancels the run
// before. done ends it.
func (k *keeper) answerFor(ctx context.Context) (wanted context.Context, done func()) {
	wanted, cancel := context.WithCancelCause(ctx)
	keeping, stop := context.WithCancel(ctx)
	mine, ended := k.run, make(chan struct{})
	go func() {
		defer close(ended)
		answer := history.Keep
		if mine.Owner == nil {
			answer = untilCanceled
		}
		if err := answer(keeping, k.h, mine); errors.Is(err, history.ErrCancelRequested) {
			cancel(err)
		}
	}()
	return wanted, func() { stop(); <-ended; cancel(nil) }
}

// untilCanceled waits until somebody wants the run canceled, or ctx ends.
func untilCanceled(ctx context.Context, h core.Handle, run record.Run) error {
	for pause.For(ctx, lookEvery) {
		if stored, err := history.Get(ctx, h, run.ID); err == nil && stored.Value.Status == record.CancelRequested {
			return history.ErrCancelRequested
		}
	}
	return nil
}

// sayAfter is how long something may take before the run's record says that the run
// waits for it: that is a write, which mostly would take longer than the thing itself.
const sayAfter = 300 * time.Millisecond

// sayIfLong has say note what the run waits for when done isn't called soon. Meanwhile
// k.run must stay as it is.
func (k *keeper) sayIfLong(ctx context.Context, what string) (done func()) {
	waiting, stop := context.WithCancel(ctx)
	said := make(chan struct{})
	go func() {
		defer close(said)
		if pause.For(waiting, sayAfter) {
			k.say(ctx, fmt.Sprintf("compute target %s: %s", k.run.Definition.Compute, what))
		}
	}()
	return func() { stop(); <-said }
}

// say notes what a run waits for that nobody drives yet.
func (k *keeper) say(ctx context.Context, what string) {
	_, err := history.Update(ctx, k.h, k.run.ID, core.Quiet, func(r *record.Run) error {
		if r.Status != record.Starting && (r.Status != record.Queued || r.Agent == nil || r.Agent.Job != k.run.Agent.Job) {
			return core.ErrNoChange
		}
		r.WaitsFor = what
		return nil
	})
	if err != nil {
		k.h.Logger().Warn("what a run waits for could not be noted", "run", k.run.ID, "error", err)
	}
}

// handler answers for the store within the scope of the run, to who has the agent's
// token.
func (k *keeper) handler(a *record.Agent) (*gateway.Handler, error) {
	hash, err := hex.DecodeString(a.TokenHash)
	var digest gateway.Digest
	if err != nil || len(hash) != len(digest) {
		return nil, fmt.Errorf("%w: the record of run %s has no hash of a token", azml.ErrDamaged, k.run.ID)
	}
	copy(digest[:], hash)
	return gateway.New(k.h.Objects(), k.h.Secrets(), digest, gateway.NewRunScope(k.h, k.run, rundata.NewScope(k.h, k.run)), k.h.Logger()), nil
}

// serve listens for the job, again and again until ctx ends, and has the handler
// answer. The channel is closed when it has ended.
func (k *keeper) serve(ctx context.Context, job string, handler http.Handler) (address string, served <-chan struct{}, err error) {
	listener, address, err := k.target.Listen(ctx, job)
	if err != nil {
		return "", nil, err
	}
	h, target := k.h, k.target
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if listener != nil {
				err = gateway.Serve(ctx, listener, handler, h.Logger())
			}
			if !pause.For(ctx, tryEvery) {
				return
			}
			h.Logger().Warn("the way from a run to its workspace was cut; listening anew", "job", job, "error", err)
			if listener, _, err = target.Listen(ctx, job); err != nil {
				listener = nil
			}
		}
		if listener != nil { // ctx has ended before it was served
			_ = listener.Close()
		}
	}()
	return address, done, nil
}

// lookAfter is for how long a target does not answer until it is looked, and looked
// again, whether its answer matters.
const lookAfter = time.Minute

// wait gives the final status of the agent's job. A target that does not answer is
// asked again, as long as the run is the agent's; an agent that does not carry out a
// cancel is ended. Errors: also those of stuck.
func (k *keeper) wait(ctx context.Context, job string) (backend.JobStatus, error) {
	watching, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := k.force(watching, job); err != nil {
			stop(err)
		}
	}()
	defer func() { stop(nil); <-watched }()
	var looked time.Time // when the target first did not answer, and then at each look
	for began := time.Now(); ; {
		status, err := k.target.Wait(watching, job)
		switch {
		case watching.Err() != nil && err != nil:
			return status, context.Cause(watching)
		case errors.Is(err, azml.ErrNotFound) && time.Since(began) < saveStart && k.mayCome(ctx):
		case errors.Is(err, azml.ErrNotFound):
			return backend.JobStatus{ID: job, State: backend.JobLost, Reason: "the target does not know it"}, nil
		case err == nil || !errors.Is(err, azml.ErrUnavailable):
			return status, err
		case looked.IsZero():
			looked = time.Now()
		case time.Since(looked) > lookAfter:
			looked = time.Now()
			if over, err := k.overWithout(ctx, err); over {
				return status, err
			}
		}
		if !pause.For(watching, tryEvery) {
			return status, context.Cause(watching)
		}
	}
}

// overWithout tells whether there is no more to wait for on a target that does not answer.
// For a run that has ended on nodes of a cluster it gives that error: nothing can be removed
// from here, and a scheduler, whose others wait for the nodes, ends on each what it reaches.
// Elsewhere nobody waits, and what is there is removed when the target answers, or by the next
// keeper of this machine that has a run there. Of a run that was given away, settle tells.
func (k *keeper) overWithout(ctx context.Context, silence error) (over bool, err error) {
	stored, err := history.Get(ctx, k.h, k.run.ID)
	switch {
	case errors.Is(err, azml.ErrNotFound), err == nil && stored.Value.Status.Terminal():
		return len(k.run.Agent.Nodes) > 0, silence
	case err != nil:
		return false, nil // the next look may tell
	}
	return !k.keeps(stored.Value), nil
}
