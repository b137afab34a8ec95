package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// live is what a run has in a process that logs to it or answers for it.
type live struct {
	writer atomic.Pointer[metrics.Writer] // nil until something is logged
	opened chan struct{}                  // closed when writer is set
	owned  bool                           // this process answers for the run

	uploading sync.Mutex
	outputs   string // folder to upload at the end, empty when that is done

	ctx      context.Context //nolint:containedctx // the life of the keeper
	stop     context.CancelFunc
	stopped  chan struct{} // closed when the keeper has ended
	canceled chan struct{} // closed when somebody asked to cancel

	mu    sync.Mutex
	cause error // why canceled was closed
}

// own makes this process answer for the run, which it has just created.
func (r *Run) own(outputs string) error { return r.begin(&live{owned: true, outputs: outputs}) }

// begin starts the goroutine that ships metrics and, for an owned run, keeps
// the heartbeat. It belongs to the workspace and ends with the run.
func (r *Run) begin(l *live) error {
	l.opened, l.stopped, l.canceled = make(chan struct{}), make(chan struct{}), make(chan struct{})
	l.ctx, l.stop = context.WithCancel(context.Background())
	err := r.h.Serve(func(closing context.Context) {
		defer close(l.stopped)
		detach := context.AfterFunc(closing, l.stop)
		defer detach()
		r.keepAlive(l.ctx, l)
		if closing.Err() != nil {
			r.abandon(l)
		}
	})
	if err != nil {
		l.stop()
		return err
	}
	r.live.Store(l)
	return nil
}

func (r *Run) keepAlive(ctx context.Context, l *live) {
	var shipping sync.WaitGroup
	shipping.Go(func() {
		select {
		case <-l.opened:
			l.writer.Load().Run(ctx)
		case <-ctx.Done():
		}
	})
	defer shipping.Wait()
	if !l.owned {
		return
	}
	if err := history.Keep(ctx, r.h, r.record()); err != nil {
		l.mu.Lock()
		l.cause = err
		l.mu.Unlock()
		close(l.canceled)
	}
	<-ctx.Done()
}

// abandon ends a run whose workspace is closed under it.
func (r *Run) abandon(l *live) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := l.closeWriter(ctx); err != nil {
		r.h.Logger().Warn("metrics of an abandoned run stay in the spool", "run", r.id, "error", err)
	}
	defer history.Seal(ctx, r.h, r.id)
	if !l.owned {
		return
	}
	step := history.Step{To: record.Failed, Reason: "the workspace was closed before the run was completed", Owner: r.h.Owner().ID, Points: l.points()}
	step.Change = func(rec *record.Run) {
		rec.Error = &record.RunError{Code: "UserError", Message: step.Reason, Phase: string(record.Running)}
	}
	if _, err := r.transition(ctx, step); err != nil && !errors.Is(err, azml.ErrConflict) {
		r.h.Logger().Warn("an abandoned run could not be marked as failed", "run", r.id, "error", err)
	}
}

// writer gives the writer of the run's metrics. The first use opens one, if the
// run still goes on, also for a run that this process did not start.
func (r *Run) writer() (*metrics.Writer, error) {
	if l := r.live.Load(); l != nil {
		if w := l.writer.Load(); w != nil {
			return w, nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if status := r.stored.Value.Status; status.Terminal() {
		return nil, fmt.Errorf("%w: the run is %s and takes no more", azml.ErrClosed, status)
	}
	if r.live.Load() == nil {
		if err := r.begin(&live{}); err != nil {
			return nil, err
		}
	}
	l := r.live.Load()
	if w := l.writer.Load(); w != nil { // opened while we waited for the lock
		return w, nil
	}
	if l.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: the run is being ended and takes no more", azml.ErrClosed)
	}
	log, err := history.Metrics(r.h, r.stored.Value)
	if err != nil {
		return nil, err
	}
	w, err := log.NewWriter()
	if err != nil {
		return nil, err
	}
	l.writer.Store(w)
	close(l.opened)
	return w, nil
}

// closeWriter makes what was logged durable and ends logging.
func (l *live) closeWriter(ctx context.Context) error {
	w := l.writer.Load()
	if w == nil {
		return nil
	}
	if err := w.Close(ctx); err != nil && !errors.Is(err, azml.ErrClosed) {
		return err
	}
	return nil
}

// points says how much of what this process has logged is in the store, nil
// for nothing.
func (l *live) points() map[string]uint64 {
	if l == nil {
		return nil
	}
	w := l.writer.Load()
	if w == nil || w.Stored() == 0 {
		return nil
	}
	return map[string]uint64{w.ID(): w.Stored()}
}

// close ends logging: all is durable when it returns without an error.
func (r *Run) close(ctx context.Context) error {
	l := r.live.Load()
	if l == nil {
		return nil
	}
	if w := l.writer.Load(); w != nil {
		if err := w.Flush(ctx); err != nil && !errors.Is(err, azml.ErrClosed) {
			return err
		}
	}
	r.mu.Lock() // no writer is opened from now on
	l.stop()
	r.mu.Unlock()
	select {
	case <-l.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.closeWriter(ctx)
}

// Canceled gives a channel that is closed when somebody has asked to cancel
// the run, or has ended it from outside. For a run that this process did not
// start it is nil, so never ready.
func (r *Run) Canceled() <-chan struct{} {
	if l := r.live.Load(); l != nil && l.owned {
		return l.canceled
	}
	return nil
}

// CancelCause says why Canceled was closed; nil while it is not. When somebody
// asked to cancel, it is of class ErrCanceled, and Fail takes it as such.
func (r *Run) CancelCause() error {
	l := r.live.Load()
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// Flush returns when all that this process has logged to the run is durable in
// the workspace. Errors: ErrUnavailable; what was logged stays on this
// machine's disk and is shipped later.
func (r *Run) Flush(ctx context.Context) (err error) {
	defer r.h.Operation(&ctx, &err, "flush", kind, r.id)()
	if l := r.live.Load(); l != nil {
		if w := l.writer.Load(); w != nil {
			return w.Flush(ctx)
		}
	}
	return nil
}
