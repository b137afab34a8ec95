package files

import (
	"context"
	"sync"
)

// group runs a bounded number of functions at once. The first error cancels
// the others.
type group struct {
	ctx    context.Context // of the functions; a group lives within one call or batch
	cancel context.CancelCauseFunc
	slots  chan struct{}
	wg     sync.WaitGroup
	once   sync.Once
	err    error
}

func newGroup(ctx context.Context, parallel int) *group {
	return newShared(ctx, make(chan struct{}, parallel))
}

// newShared makes a group whose bound it shares with others.
func newShared(ctx context.Context, slots chan struct{}) *group {
	ctx, cancel := context.WithCancelCause(ctx)
	return &group{ctx: ctx, cancel: cancel, slots: slots}
}

// run starts f as soon as a slot is free. It gives an error, and never starts
// f, once the group has failed, its context is done, or ctx is done.
func (g *group) run(ctx context.Context, f func(ctx context.Context) error) error {
	select {
	case <-g.ctx.Done():
		g.fail(context.Cause(g.ctx))
		return context.Cause(g.ctx)
	case <-ctx.Done():
		return ctx.Err()
	case g.slots <- struct{}{}:
	}
	g.wg.Go(func() {
		defer func() { <-g.slots }()
		if g.ctx.Err() != nil {
			g.fail(context.Cause(g.ctx))
		} else if err := f(g.ctx); err != nil {
			g.fail(err)
		}
	})
	return nil
}

// fail notes the first error and cancels the rest.
func (g *group) fail(err error) {
	g.once.Do(func() { g.err = err })
	g.cancel(err)
}

// drain waits until all functions have ended and gives the first error. More
// may be run then.
func (g *group) drain() error {
	g.wg.Wait()
	return context.Cause(g.ctx)
}

// wait gives the first error when all functions have ended.
func (g *group) wait() error {
	g.wg.Wait()
	g.cancel(nil)
	return g.err
}
