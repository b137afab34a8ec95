package core

import (
	"context"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
)

// tasks are the goroutines that belong to an opened workspace.
type tasks struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func (t *tasks) init() { t.ctx, t.cancel = context.WithCancelCause(context.Background()) }

// Go runs task in a goroutine that the workspace owns: Close waits for it. Its
// context ends, with a cause that says so, when Close waits no longer. Errors:
// ErrClosed when the workspace is being closed.
func (h Handle) Go(task func(ctx context.Context)) error {
	t := &h.s.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return fmt.Errorf("%w: the workspace was closed", azml.ErrClosed)
	}
	t.running.Go(func() { task(t.ctx) })
	return nil
}

func (t *tasks) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		t.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		t.cancel(nil)
		return nil
	case <-ctx.Done():
	}
	t.cancel(fmt.Errorf("%w: the workspace was closed", azml.ErrClosed))
	<-done
	return ctx.Err()
}
