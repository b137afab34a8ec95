package index

import (
	"context"
	"errors"
	"sync"
)

// gate lets one goroutine at a time do something of which everybody needs one
// that began after they came: those who come while it is being done wait for
// the next one together.
type gate struct {
	busy chan struct{} // holds one while it is being done

	mu   sync.Mutex
	next *flight // the one that did not begin yet
}

// flight is one doing, waited for by all who came before it began.
type flight struct {
	done chan struct{}
	err  error
}

func newGate() *gate { return &gate{busy: make(chan struct{}, 1)} }

// pass gives the result of a do that begins after the call of pass: its own or
// somebody else's, with that one's context.
func (g *gate) pass(ctx context.Context, do func(ctx context.Context) error) error {
	for {
		own, err := g.join(ctx, do)
		stranger := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		if own || !stranger || ctx.Err() != nil {
			return err
		}
	}
}

// join is pass once; own says that the error is not of a stranger's doing.
func (g *gate) join(ctx context.Context, do func(ctx context.Context) error) (own bool, err error) {
	g.mu.Lock()
	if f := g.next; f != nil {
		g.mu.Unlock()
		select {
		case <-f.done:
			return false, f.err
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	f := &flight{done: make(chan struct{})}
	g.next = f
	g.mu.Unlock()

	defer close(f.done)
	select {
	case g.busy <- struct{}{}:
		defer func() { <-g.busy }()
	case <-ctx.Done():
		f.err = ctx.Err()
	}
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	if f.err == nil {
		f.err = do(ctx)
	}
	return true, f.err
}
