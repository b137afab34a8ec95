package run

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// live is what a run has in a process that logs to it.
type live struct {
	writer  *metrics.Writer
	owned   bool   // this process answers for the run
	outputs string // folder to upload at the end

	stop     context.CancelFunc
	stopped  chan struct{} // closed when the keeper has ended
	canceled chan struct{} // closed when somebody asked to cancel

	mu    sync.Mutex
	cause error // why canceled was closed
}

// own makes this process answer for the run, which it has just created.
func (r *Run) own(outputs string) error {
	l, err := r.open()
	if err != nil {
		return err
	}
	l.owned, l.outputs = true, outputs
	return r.begin(l)
}

// open makes the writer of the run's metrics.
func (r *Run) open() (*live, error) {
	log, err := history.Metrics(r.h, r.id)
	if err != nil {
		return nil, err
	}
	writer, err := log.NewWriter()
	if err != nil {
		return nil, err
	}
	return &live{writer: writer, stopped: make(chan struct{}), canceled: make(chan struct{})}, nil
}

// begin starts the goroutine that ships metrics and, for an owned run, keeps
// the heartbeat. It belongs to the workspace and ends with the run.
func (r *Run) begin(l *live) error {
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	err := r.h.Go(func(closing context.Context) {
		defer close(l.stopped)
		detach := context.AfterFunc(closing, l.stop)
		defer detach()
		r.keepAlive(ctx, l)
		if closing.Err() != nil {
			r.abandon(l)
		}
	})
	if err != nil {
		l.stop()
		return errors.Join(err, l.writer.Close(context.Background()))
	}
	r.live.Store(l)
	return nil
}

func (r *Run) keepAlive(ctx context.Context, l *live) {
	var shipping sync.WaitGroup
	shipping.Go(func() { l.writer.Run(ctx) })
	defer shipping.Wait()
	if !l.owned {
		return
	}
	if err := history.Keep(ctx, r.h, r.id); err != nil {
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
	if err := l.writer.Close(ctx); err != nil && !errors.Is(err, azml.ErrClosed) {
		r.h.Logger().Warn("metrics of an abandoned run stay in the spool", "run", r.id, "error", err)
	}
	if !l.owned {
		return
	}
	step := history.Step{To: record.Failed, Reason: "the workspace was closed before the run was completed", Owner: r.h.Owner().ID}
	step.Change = func(rec *record.Run) {
		rec.Error = &record.RunError{Code: "UserError", Message: step.Reason, Phase: string(record.Running)}
	}
	if _, err := history.Transition(ctx, r.h, r.id, step); err != nil && !errors.Is(err, azml.ErrConflict) {
		r.h.Logger().Warn("an abandoned run could not be marked as failed", "run", r.id, "error", err)
	}
}

// writer gives the writer of the run's metrics; the first use of a run that
// this process did not start opens one, if the run still goes on.
func (r *Run) writer() (*metrics.Writer, error) {
	if l := r.live.Load(); l != nil {
		return l.writer, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.live.Load(); l != nil {
		return l.writer, nil
	}
	if status := r.stored.Value.Status; status.Terminal() {
		return nil, fmt.Errorf("%w: the run is %s and takes no more", azml.ErrClosed, status)
	}
	l, err := r.open()
	if err != nil {
		return nil, err
	}
	if err := r.begin(l); err != nil {
		return nil, err
	}
	return l.writer, nil
}

// close ends logging: all is durable when it returns without an error.
func (r *Run) close(ctx context.Context) error {
	l := r.live.Load()
	if l == nil {
		return nil
	}
	if err := l.writer.Flush(ctx); err != nil && !errors.Is(err, azml.ErrClosed) {
		return err
	}
	l.stop()
	select {
	case <-l.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := l.writer.Close(ctx); err != nil && !errors.Is(err, azml.ErrClosed) {
		return err
	}
	return nil
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

// CancelCause says why Canceled was closed; nil while it is not.
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
	defer core.Wrap(&err, "flush", kind, r.id)
	if l := r.live.Load(); l != nil {
		return l.writer.Flush(ctx)
	}
	return nil
}
