package core

import (
	"context"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
)

// tasks are the goroutines that belong to an opened workspace.
type tasks struct {
	jobs     group // awaited by Close
	services group // ended by Close, after the jobs

	mu     sync.Mutex
	closed bool
}

// group is many goroutines with one context.
type group struct {
	ctx     context.Context //nolint:containedctx // it lives as long as the workspace is open
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
}

func (g *group) init() { g.ctx, g.cancel = context.WithCancelCause(context.Background()) }

func (t *tasks) init() {
	t.jobs.init()
	t.services.init()
}

// Go runs a task that comes to an end by itself in a goroutine that the
// workspace owns: Close waits for it, and ends its context, with a cause that
// says so, when it waits no longer. Errors: ErrClosed when the workspace is
// being closed.
func (h Handle) Go(task func(ctx context.Context)) error {
	return h.s.tasks.start(&h.s.tasks.jobs, task)
}

// Serve is Go for a task that goes on until it is told to end: Close ends its
// context when no task of Go is left.
func (h Handle) Serve(task func(ctx context.Context)) error {
	return h.s.tasks.start(&h.s.tasks.services, task)
}

func (t *tasks) start(g *group, task func(ctx context.Context)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	g.running.Go(func() { task(g.ctx) })
	return nil
}

var errClosed = fmt.Errorf("%w: the workspace was closed", azml.ErrClosed)

// close waits for the jobs until ctx is done and cancels those that are left,
// then ends the services. It returns when no task is left.
func (t *tasks) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { t.jobs.cancel(errClosed) })
	defer stop()
	t.jobs.running.Wait()
	cut := context.Cause(t.jobs.ctx) != nil
	t.jobs.cancel(nil)
	t.services.cancel(errClosed)
	t.services.running.Wait()
	if cut {
		return ctx.Err()
	}
	return nil
}
