package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// closeTime bounds the ending of a run when no caller's context does.
const closeTime = 30 * time.Second

// Complete ends a run that is logged in process: it makes all that was logged
// durable, uploads the outputs folder when one was named, and sets Completed.
// Its metrics are then sealed into one object in the background.
// Errors: ErrConflict when the run has ended otherwise meanwhile;
// ErrUnavailable, after which Complete can be called again.
func (r *Run) Complete(ctx context.Context) (err error) {
	defer r.h.Operation(&ctx, &err, "complete", kind, r.id)()
	return r.end(ctx, history.Step{To: record.Completed})
}

// Fail ends a run that is logged in process with the error that made it fail.
// With CancelCause, or another error of class ErrCanceled, the run is not
// Failed but Canceled. Errors: as Complete.
func (r *Run) Fail(ctx context.Context, cause error) (err error) {
	defer r.h.Operation(&ctx, &err, "fail", kind, r.id)()
	switch {
	case cause == nil:
		cause = errors.New("no reason was given")
	case errors.Is(cause, azml.ErrCanceled):
		return r.end(ctx, history.Step{To: record.Canceled, Reason: r.tell(cause)})
	}
	return r.end(ctx, r.failStep(cause, ""))
}

// maxMessage is the longest error message that is kept, Azure ML's limit.
const maxMessage = 3000

func shorten(message string) string {
	if len(message) > maxMessage {
		return strings.ToValidUTF8(message[:maxMessage], "")
	}
	return message
}

// tell gives the text of an error as it is kept: without secrets, and not too
// long.
func (r *Run) tell(err error) string { return shorten(r.hidden.text(err.Error())) }

func (r *Run) failStep(cause error, stack string) history.Step {
	message := r.tell(cause)
	stack = r.hidden.text(stack)
	return history.Step{To: record.Failed, Reason: message, Change: func(rec *record.Run) {
		rec.Error = &record.RunError{Code: "UserError", Message: message, Phase: string(record.Running), Stack: stack}
	}}
}

// end flushes, uploads and writes the last status. It can be called again
// after an error.
func (r *Run) end(ctx context.Context, step history.Step) error {
	if l := r.live.Load(); l != nil && l.owned {
		step.Owner = r.h.Owner().ID
		if err := r.uploadOutputs(ctx, l); err != nil {
			return err
		}
	}
	if err := r.close(ctx); err != nil {
		return err
	}
	step.Points = r.live.Load().points()
	stored, err := r.transition(ctx, step)
	if errors.Is(err, azml.ErrConflict) && step.Owner != "" {
		stored, err = r.endedAs(ctx, step, err)
	}
	if err == nil {
		r.keep(stored)
		history.SealLater(r.h, r.id)
	}
	return err
}

// uploadOutputs uploads the outputs folder, once.
func (r *Run) uploadOutputs(ctx context.Context, l *live) error {
	l.uploading.Lock()
	defer l.uploading.Unlock()
	if l.outputs == "" {
		return nil
	}
	if err := r.UploadFolder(ctx, "outputs", l.outputs, nil); err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	l.outputs = ""
	return nil
}

// endedAs gives the run when an earlier call, whose answer was lost, has ended
// it as the step says; else the refusal.
func (r *Run) endedAs(ctx context.Context, step history.Step, refusal error) (core.Stored[record.Run], error) {
	stored, err := r.read(ctx)
	if err != nil || stored.Value.Status != step.To || stored.Value.Owner == nil || stored.Value.Owner.ID != step.Owner {
		return stored, refusal
	}
	return stored, nil
}

// Do runs fn for a run that this process has started, and ends the run: with
// Completed when fn returns nil, Canceled when somebody asked for it, else
// Failed with fn's error. The context that fn gets ends when somebody cancels
// the run. A panic of fn fails the run and goes on. Do gives fn's error, or
// that of ending the run. It is what experiment.Experiment.Run is made of.
func (r *Run) Do(ctx context.Context, fn func(ctx context.Context, r *Run) error) (err error) {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	detach := make(chan struct{})
	defer close(detach)
	go func() {
		select {
		case <-r.Canceled():
			stop(r.CancelCause())
		case <-detach:
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
			defer cancel()
			if endErr := r.end(ending, r.failStep(fmt.Errorf("panic: %v", p), string(debug.Stack()))); endErr != nil {
				r.h.Logger().Error("a run that panicked could not be marked as failed", "run", r.id, "error", endErr)
			}
			panic(p)
		}
	}()
	err = fn(working, r)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	return r.settle(ending, context.Cause(working), err)
}

// settle ends the run as fn's outcome and the cause of a cancellation say.
func (r *Run) settle(ctx context.Context, cause, outcome error) error {
	switch {
	case errors.Is(cause, history.ErrTaken):
		return errors.Join(outcome, fmt.Errorf("%w: %w", azml.ErrConflict, cause), r.close(ctx))
	case errors.Is(cause, history.ErrCancelRequested):
		return errors.Join(cause, r.end(ctx, history.Step{To: record.Canceled, Reason: "canceled on request"}))
	case outcome == nil:
		return r.Complete(ctx)
	case cause != nil && errors.Is(outcome, context.Canceled):
		return errors.Join(outcome, r.end(ctx, history.Step{To: record.Canceled, Reason: "the program's context was canceled"}))
	}
	return errors.Join(outcome, r.end(ctx, r.failStep(outcome, "")))
}

// CancelOptions are the options of Run.Cancel.
type CancelOptions struct {
	// Reason is kept with the run.
	Reason string
}

// Cancel asks for the end of the run and returns at once; Wait tells when it
// has ended. A submitted script is asked to end (SIGTERM to its whole process
// group) and ended by force after its grace period; a function run in process
// sees its context end. A run that no process of azml answers for, such as one
// of an MLflow client or one that waits in a queue, is Canceled at once. Asking
// again changes nothing. Errors: ErrConflict when the run has ended already, or
// goes on in another workspace.
func (r *Run) Cancel(ctx context.Context, opts *CancelOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "cancel", kind, r.id)()
	if opts == nil {
		opts = &CancelOptions{}
	}
	reason := "canceled by " + r.h.Who()
	if opts.Reason != "" {
		reason += ": " + opts.Reason
	}
	if err := r.Refresh(ctx); err != nil {
		return err
	}
	rec := r.record()
	step := history.Step{To: record.CancelRequested, Reason: reason}
	var entry backend.Info
	switch {
	case rec.Elsewhere():
		return fmt.Errorf("%w: it goes on in another workspace and this is a copy: cancel it there", azml.ErrConflict)
	case rec.Status == record.NotStarted:
		step.To = record.Canceled // nobody drives it yet who could
	case rec.Owner == nil && rec.Agent == nil: // it waits in a queue, or only a client of MLflow knows how it goes
		step.To, step.Unclaimed = record.Canceled, true
		entry = r.entry(ctx)
	case rec.Status == record.CancelRequested:
		return nil
	}
	stored, err := r.transition(ctx, step)
	if errors.Is(err, azml.ErrConflict) && step.Unclaimed { // it is begun meanwhile: who does is asked
		stored, err = r.transition(ctx, history.Step{To: record.CancelRequested, Reason: reason})
	}
	if errors.Is(err, azml.ErrConflict) { // somebody else has asked, perhaps
		if readErr := r.Refresh(ctx); readErr == nil && r.Status() == StatusCancelRequested {
			return nil
		}
	}
	if err == nil {
		r.keep(stored)
		r.leaveQueue(ctx, entry)
		r.keepElsewhere(context.Background(), true)
	}
	return err
}

// entry gives the run's entry in its cluster's queue, the zero one when it is in none. It is
// read before the run ends: then that may be deleted, and its ID queued anew.
func (r *Run) entry(ctx context.Context) backend.Info {
	rec := r.record()
	if rec.Definition == nil || !rec.Definition.Cluster {
		return backend.Info{}
	}
	entry, err := r.h.Objects().Stat(ctx, compute.EntryRef(rec.Definition.Compute, rec.ID).Key)
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		r.h.Logger().Warn("a queue could not be read", "run", rec.ID, "error", err)
	}
	return entry
}

// leaveQueue takes a run that has ended before it got a node out of its cluster's
// queue. What fails is done by the cluster's scheduler, which has to place it for that.
func (r *Run) leaveQueue(ctx context.Context, entry backend.Info) {
	if entry.Key == "" || r.Status() != StatusCanceled {
		return
	}
	err := r.h.Objects().Delete(ctx, entry.Key, &backend.DeleteOptions{IfMatch: entry.ETag})
	if err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrConflict) {
		r.h.Logger().Warn("a canceled run could not be taken out of its queue", "run", r.id, "error", err)
	}
}

// WaitOptions are the options of Run.Wait.
type WaitOptions struct {
	// Output, when not nil, gets the script's output while it is written.
	Output io.Writer
	// Progress, when not nil, is called with each new status, and when what the
	// run waits for changes.
	Progress func(Details)
}

// Wait returns when the run has ended: nil when it is Completed, ErrFailed with
// the reason when it is Failed, ErrCanceled when it is Canceled. When ctx ends,
// it stops waiting and the run goes on. A run whose process has died is found
// out and is Failed.
func (r *Run) Wait(ctx context.Context, opts *WaitOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "wait for", kind, r.id)()
	if opts == nil {
		opts = &WaitOptions{}
	}
	r.keepElsewhere(ctx, false)
	stop := r.stream(ctx, opts.Output)
	err = r.watch(ctx, opts.Progress)
	if streamErr := stop(); err == nil {
		err = streamErr
	}
	if err != nil {
		return err
	}
	return r.Err()
}

// stream copies the script's output to w in the background until the function
// that it gives is called, which waits for the rest when the run has ended.
func (r *Run) stream(ctx context.Context, w io.Writer) (stop func() error) {
	if w == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		log, err := history.OpenLog(ctx, r.h, history.LogKey(r.record(), agent.OutputLog), func() (bool, error) { return r.record().Status.Terminal(), nil })
		if err == nil {
			_, err = io.Copy(w, log)
			err = errors.Join(err, log.Close())
		}
		done <- err
	}()
	return func() error {
		defer cancel()
		if !r.record().Status.Terminal() {
			cancel()
			<-done //nolint:errcheck // a log that is no longer wanted has no errors
			return nil
		}
		return <-done
	}
}

// The time between two looks at a run's record grows from the first to the last of
// these. From toldPoll on, a store that tells of changes does so.
const (
	firstPoll = 2 * time.Millisecond
	toldPoll  = 10 * time.Millisecond
	lastPoll  = time.Second
)

// watch looks at the record until the run has ended.
func (r *Run) watch(ctx context.Context, progress func(Details)) error {
	pause := firstPoll
	last, waits := Status(""), ""
	var changed <-chan struct{}
	stop := func() {}
	defer func() { stop() }()
	for {
		if err := r.Refresh(ctx); err != nil {
			return err
		}
		if d := r.Details(); d.Status != last || d.WaitsFor != waits {
			if last, waits = d.Status, d.WaitsFor; progress != nil {
				progress(d)
			}
		}
		if last.Terminal() {
			return nil
		}
		if pause >= toldPoll && changed == nil {
			changed, stop = r.h.Changed(history.Ref(r.id).Key)
		}
		select {
		case <-changed:
		case <-time.After(pause):
			pause = min(pause*5/4, lastPoll)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Err says how an ended run ended, by the record as it was last read: nil for
// Completed and for a run that still goes on, ErrFailed with the reason, or
// ErrCanceled.
func (r *Run) Err() error {
	rec := r.record()
	switch {
	case rec.Status == record.Failed && rec.Error != nil:
		return fmt.Errorf("%w in phase %s: %s", azml.ErrFailed, rec.Error.Phase, rec.Error.Message)
	case rec.Status == record.Failed:
		return fmt.Errorf("%w: %s", azml.ErrFailed, rec.Reason)
	case rec.Status == record.Canceled:
		return fmt.Errorf("%w: %s", azml.ErrCanceled, rec.Reason)
	}
	return nil
}
