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

// Reap looks whether the process that answers for the run is still there, and
// gives the run as it is then. A run whose process is known to have ended is
// Failed with that reason, after what the process left on this machine was
// saved; a run that was silent for long is NotResponding, and later Failed.
// Of several that notice at once, one acts. Runs that have ended, that this
// process drives, that go on in another workspace, or that can't be changed by us
// are given as they are.
func Reap(ctx context.Context, h core.Handle, run core.Stored[record.Run]) (core.Stored[record.Run], error) {
	r := run.Value
	if r.Elsewhere() {
		return run, nil
	}
	if r.MadeIn != "" && r.Owner == nil && !r.Status.Terminal() {
		return endWith(ctx, h, run)
	}
	if r.Status.Terminal() || r.Owner == nil || r.Owner.ID == h.Owner().ID {
		return run, nil
	}
	if !r.Remote() && h.Gone(r.Owner) {
		return bury(ctx, h, run, true, fmt.Sprintf("the process that drove the run (pid %d on %s) ended without finishing it", r.Owner.PID, r.Owner.Host))
	}
	silence, err := history.Silence(ctx, h, r)
	switch {
	case errors.Is(err, azml.ErrDenied), errors.Is(err, azml.ErrUnsupported):
		return run, nil // a reader who may not write leaves it to others
	case err != nil:
		return run, err
	case silence >= failAfter(r):
		return bury(ctx, h, run, r.Owner.Host == h.Owner().Host, fmt.Sprintf("nothing was heard from the process that drove the run (pid %d on %s) for %s",
			r.Owner.PID, r.Owner.Host, silence.Round(time.Second)))
	case silence >= history.SilentAfter && r.Status != record.NotResponding && r.Status != record.CancelRequested:
		// A cancel stays to be seen: its process may come back and must find it.
		return settle(ctx, h, r.ID, history.Step{To: record.NotResponding, Owner: r.Owner.ID,
			Reason: fmt.Sprintf("no heartbeat for %s", silence.Round(time.Second))})
	}
	return run, nil
}

// failAfter is the silence after which a run counts as lost. An agent elsewhere
// works on while its way to the workspace is cut, for a night when a laptop is
// closed; whoever keeps it asks its target, and knows at once when it is gone.
func failAfter(r record.Run) time.Duration {
	if r.Remote() && !r.Agent.Left {
		return history.RemoteFailAfter
	}
	return history.FailAfter
}

// settle takes the step, or gives the run as it is when somebody else was
// faster.
func settle(ctx context.Context, h core.Handle, id string, step history.Step) (core.Stored[record.Run], error) {
	run, err := history.Transition(ctx, h, id, step)
	if errors.Is(err, azml.ErrConflict) {
		return history.Get(ctx, h, id)
	}
	return run, err
}

// bury takes the run over, saves what its process left, which with here is on this
// machine, and marks it Failed. If we end in the middle, the next one to notice begins
// again: the run then has us as its lost owner, under an ID of this burial, so
// that it is not taken for one that this process drives.
func bury(ctx context.Context, h core.Handle, run core.Stored[record.Run], here bool, reason string) (_ core.Stored[record.Run], err error) {
	id, phase, lost := run.Value.ID, history.LastHeard(run.Value), *run.Value.Owner
	me := h.Owner()
	me.ID = core.NewID(8)
	claim := history.Step{To: record.NotResponding, Reason: reason, Owner: lost.ID, Change: func(r *record.Run) { r.Owner = &me }}
	// Before the claim: who sees the claim must not find us silent.
	if err := history.Beat(ctx, h, run.Value); err != nil {
		return run, err
	}
	if run.Value.Status == record.NotResponding {
		_, err = history.Update(ctx, h, id, core.Quiet, func(r *record.Run) error {
			if r.Owner == nil || r.Owner.ID != lost.ID || r.Status != record.NotResponding {
				return fmt.Errorf("%w: another process takes care of it", azml.ErrConflict)
			}
			claim.Change(r)
			return nil
		})
	} else {
		_, err = history.Transition(ctx, h, id, claim)
	}
	if errors.Is(err, azml.ErrConflict) {
		return history.Get(ctx, h, id)
	}
	if err != nil {
		return run, err
	}
	defer func() {
		if err != nil {
			giveBack(ctx, h, id, me.ID, lost)
		}
	}()
	s := &salvage{drive: drive{h: h, run: run.Value, dir: WorkDir(h, id), status: phase}}
	if err := s.saveAlive(ctx, here); err != nil {
		return run, err
	}
	if a := run.Value.Agent; a != nil && a.Requeue && phase != record.CancelRequested {
		return settle(ctx, h, id, history.Step{To: record.Queued, Reason: "it waits for nodes anew: " + reason, Owner: me.ID, Change: func(r *record.Run) {
			r.Requeue()
			r.Warnings = append(r.Warnings, s.warnings...)
		}})
	}
	defer history.SealLater(h, id)
	return settle(ctx, h, id, history.Step{To: record.Failed, Reason: reason, Owner: me.ID, Change: func(r *record.Run) {
		r.Error = &record.RunError{Code: systemError, Message: reason, Phase: string(phase), LastLines: s.tail.Lines()}
		r.Warnings = append(r.Warnings, s.warnings...)
	}})
}

// giveBack makes a run whose burial failed have its lost owner again, so that
// it can be begun anew at once. Where that fails too, it can when this process
// has ended or was silent about the run for long.
func giveBack(ctx context.Context, h core.Handle, id, mine string, lost record.Owner) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := history.Update(ctx, h, id, core.Quiet, func(r *record.Run) error {
		if r.Owner == nil || r.Owner.ID != mine {
			return core.ErrNoChange
		}
		r.Owner = &lost
		return nil
	})
	if err != nil {
		h.Logger().Warn("a run whose process is gone could not be ended", "run", id, "error", err)
	}
}
