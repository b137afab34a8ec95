package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
)

// salvageTries is how often it is tried to save what a lost agent has left: its target may
// be recovering from what the agent was lost by.
const salvageTries = 3

// salvageAll saves what a lost agent has left, as far as that can be done. Errors:
// errTaken when another keeper does it.
func (k *keeper) salvageAll(ctx context.Context, reason string) error {
	for try := 1; ; try++ {
		next, token := NewAgent()
		next.Adopted, next.Saves, next.Nodes, next.Requeue = true, true, k.run.Agent.Nodes, k.run.Agent.Requeue
		err := k.salvage(ctx, next, token, reason)
		if err == nil {
			return nil
		}
		stored, readErr := k.read(ctx)
		switch now := stored.Value; {
		case errors.Is(readErr, azml.ErrNotFound): // it was deleted
			return nil
		case readErr != nil:
			return readErr
		case over(now):
			return nil
		case now.Agent.Job == next.Job: // also where the store's answer to that was lost
			k.run = now
		case !k.keeps(now):
			return errTaken
		}
		k.h.Logger().Warn("what a lost agent has left on its target could not be saved", "run", k.run.ID, "try", try, "error", err)
		if try == salvageTries || !pause.For(ctx, time.Duration(try)*tryEvery) {
			return nil
		}
	}
}

// over tells whether nobody answers for the run any more: it has ended, or waits for nodes
// anew.
func over(r record.Run) bool { return r.Status.Terminal() || r.Owner == nil || r.Agent == nil }

// errTaken says that the run has another agent than the one that is kept: another keeper,
// or a scheduler, has given it that.
var errTaken = fmt.Errorf("%w: the run has another agent now", azml.ErrConflict)

// salvage has the next agent save what the lost one has left on the target, and end the
// run. It has lease and listener before the record names it: who finds it there must not
// take it for lost, too.
func (k *keeper) salvage(ctx context.Context, next *record.Agent, token, reason string) error {
	lease, err := takeLease(k.h, next.Job)
	if err != nil {
		return err
	}
	defer func() { giveUp(lease, ctx.Err() == nil) }()
	handler, err := k.handler(next)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	address, served, err := k.serve(serving, next.Job, handler)
	if err != nil {
		return err
	}
	defer func() {
		stop()
		<-served
		if ctx.Err() == nil { // else it goes on
			clearJob(ctx, k.h, k.target, next.Job)
		}
	}()
	stored, err := history.Update(ctx, k.h, k.run.ID, core.Quiet, func(r *record.Run) error {
		if r.Status.Terminal() || !k.keeps(*r) {
			return errTaken
		}
		if !r.Agent.Saves { // else the one that is noted is whose leavings it was to save
			r.Former = r.Agent
		}
		r.Agent = next
		return nil
	})
	if err != nil {
		return err
	}
	k.run = stored.Value
	if err := k.launch(ctx, next.Job, address, agent.Instructions{RunID: k.run.ID, Token: token, Lost: reason, Who: k.h.Who()}); err != nil {
		return err
	}
	status, err := k.target.Wait(ctx, next.Job)
	if err == nil && (status.State != backend.JobExited || status.ExitCode != 0) {
		err = fmt.Errorf("%w: the agent that was to save it: %s", azml.ErrFailed, k.lastWords(ctx, status))
	}
	return err
}

// forgetFormer forgets the job of the agent whose leavings were saved: the keeper that had
// it may have been killed meanwhile.
func (k *keeper) forgetFormer(ctx context.Context) {
	former := k.run.Former
	if !k.run.Agent.Saves || former == nil || former.Job == k.seat.job {
		return
	}
	clearJob(ctx, k.h, k.target, former.Job)
	Forget(k.h, former.Job)
}

// saveStart is how long an agent that saves what another has left is waited for: a keeper
// on another machine, which no lease tells of, may be about to start it.
const saveStart = 30 * time.Second

// mayCome tells whether another keeper may be about to start the run's agent.
func (k *keeper) mayCome(ctx context.Context) bool {
	if !k.run.Agent.Saves {
		return false
	}
	stored, err := history.Get(ctx, k.h, k.run.ID)
	return errors.Is(err, azml.ErrUnavailable) || err == nil && !stored.Value.Status.Terminal() && k.keeps(stored.Value)
}
