package main

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// work is calls of which some go on at once, until one fails.
type work struct {
	group *errgroup.Group
	ctx   context.Context //nolint:containedctx // of the calls, which live as long as the work
}

func newWork(ctx context.Context, workers int) *work {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	return &work{group, ctx}
}

// run starts a call when there is room for it.
func (w *work) run(call func(ctx context.Context) error) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.group.Go(func() error { return call(w.ctx) })
	return nil
}

// wait waits for all calls and gives the first error.
func (w *work) wait() error { return w.group.Wait() }
