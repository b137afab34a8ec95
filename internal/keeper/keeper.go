package keeper

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/history"
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
}

// Start starts the agent of a run that was just submitted and keeps the run until
// it has ended, or ctx has: then the agent goes on. This process answers for the run,
// which it takes over from its submitter, until the agent does. A run whose agent could not be
// started is Failed with the reason; one of a queue that lost its nodes before is Queued
// again, without an agent. Errors: ErrConflict when another process
// keeps it, those of the target.
func Start(ctx context.Context, h core.Handle, i agent.Instructions) error {
	return keep(ctx, h, i.RunID, &i)
}

// Attach keeps a run whose agent runs already. Errors: as Start.
func Attach(ctx context.Context, h core.Handle, id string) error { return keep(ctx, h, id, nil) }

// keep keeps the run; with instructions it starts the agent first.
func keep(ctx context.Context, h core.Handle, id string, start *agent.Instructions) (err error) {
	stored, err := history.Get(ctx, h, id)
	if err != nil {
		return err
	}
	if stored.Value.Agent == nil {
		return fmt.Errorf("%w: no agent drives the run %s", azml.ErrInvalid, id)
	}
	if start == nil && !stored.Value.Agent.Adopted {
		return fmt.Errorf("%w: the run's submitter is about to start its agent", azml.ErrConflict)
	}
	lease, err := takeLease(h, stored.Value.Agent.Job)
	if err != nil {
		return err
	}
	k := &keeper{h: h, run: stored.Value}
	ended := false
	defer func() { giveUp(lease, ended) }()
	if err := k.takeOver(ctx, start); err != nil {
		return err
	}
	if err := k.open(ctx); err != nil {
		return k.refused(ctx, start, err)
	}
	defer func() { err = errors.Join(err, k.target.Close()) }()
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
	serving, stop := context.WithCancel(ctx)
	defer stop()
	address, served, err := k.serve(serving, k.run.Agent)
	if err != nil {
		return false, k.refused(ctx, start, err)
	}
	defer func() {
		stop()
		<-served
		if ended {
			k.clear(ctx, job)
		}
	}()
	if start != nil {
		wanted, done := k.answerFor(ctx)
		defer done()
		k.say(ctx, fmt.Sprintf("compute target %s: the agent is being started", k.run.Definition.Compute))
		if err := k.launch(wanted, job, address, *start); err != nil {
			if errors.Is(context.Cause(wanted), history.ErrCancelRequested) {
				return true, k.canceled(ctx)
			}
			return ctx.Err() == nil, k.refused(ctx, start, err)
		}
	}
	status, err := k.wait(ctx, job)
	if err != nil {
		return false, err
	}
	if err := k.settle(ctx, status); err != nil {
		return false, err
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
	for sleep(ctx, lookEvery) {
		if stored, err := history.Get(ctx, h, run.ID); err == nil && stored.Value.Status == record.CancelRequested {
			return history.ErrCancelRequested
		}
	}
	return nil
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

// serve listens for the agent, again and again until ctx ends, and answers for the
// store within the scope of the run. The channel is closed when it has ended.
func (k *keeper) serve(ctx context.Context, a *record.Agent) (address string, served <-chan struct{}, err error) {
	hash, err := hex.DecodeString(a.TokenHash)
	var digest gateway.Digest
	if err != nil || len(hash) != len(digest) {
		return "", nil, fmt.Errorf("%w: the record of run %s has no hash of a token", azml.ErrDamaged, k.run.ID)
	}
	copy(digest[:], hash)
	handler := gateway.New(k.h.Objects(), k.h.Secrets(), digest, gateway.NewRunScope(k.h, k.run, rundata.NewScope(k.h, k.run)), k.h.Logger())
	listener, address, err := k.target.Listen(ctx, a.Job)
	if err != nil {
		return "", nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if listener != nil {
				err = gateway.Serve(ctx, listener, handler, k.h.Logger())
			}
			if !sleep(ctx, tryEvery) {
				return
			}
			k.h.Logger().Warn("the way from a run to its workspace was cut; listening anew", "run", k.run.ID, "error", err)
			if listener, _, err = k.target.Listen(ctx, a.Job); err != nil {
				listener = nil
			}
		}
		if listener != nil { // ctx has ended before it was served
			_ = listener.Close()
		}
	}()
	return address, done, nil
}

// wait gives the final status of the agent's job. A target that does not answer is
// asked again; an agent that does not carry out a cancel is ended.
func (k *keeper) wait(ctx context.Context, job string) (backend.JobStatus, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		k.force(watching, job)
	}()
	defer func() { stop(); <-watched }()
	for {
		status, err := k.target.Wait(ctx, job)
		switch {
		case errors.Is(err, azml.ErrNotFound):
			return backend.JobStatus{ID: job, State: backend.JobLost, Reason: "the target does not know it"}, nil
		case err == nil || !errors.Is(err, azml.ErrUnavailable):
			return status, err
		}
		if !sleep(ctx, tryEvery) {
			return status, err
		}
	}
}

// sleep waits, and gives false when ctx ends before.
func sleep(ctx context.Context, by time.Duration) bool {
	timer := time.NewTimer(by)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// clear forgets the agent's job on the target.
func (k *keeper) clear(ctx context.Context, job string) {
	if err := k.target.Remove(ctx, job); err != nil && !errors.Is(err, azml.ErrNotFound) {
		k.h.Logger().Warn("what a run has left on its compute target could not be removed", "run", k.run.ID, "error", err)
	}
}
