// Package inorder does the same work on many things at once and gives the
// results in the order of the things.
package inorder

import (
	"context"
	"iter"
	"sync"
)

// result is what became of one thing.
type result[O any] struct {
	out O
	err error
}

// Map calls do for each thing of in, up to workers at once, and yields the
// results in the order of in. At most twice as many things as workers are taken
// ahead of what was yielded. It ends after the first error, be it of in or of do,
// and when ctx is done; all goroutines have ended when it has.
func Map[I, O any](ctx context.Context, workers int, in iter.Seq2[I, error], do func(I) (O, error)) iter.Seq2[O, error] {
	return func(yield func(O, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		m := mapping[I, O]{do: do, todo: make(chan task[I, O]), order: make(chan chan result[O], 2*workers)}
		running.Go(func() { m.feed(ctx, in) })
		for range workers {
			running.Go(m.work)
		}
		m.give(ctx, yield)
	}
}

type task[I, O any] struct {
	in   I
	done chan result[O]
}

type mapping[I, O any] struct {
	do    func(I) (O, error)
	todo  chan task[I, O]
	order chan chan result[O]
}

// feed hands out things until there are no more.
func (m mapping[I, O]) feed(ctx context.Context, in iter.Seq2[I, error]) {
	defer close(m.todo)
	defer close(m.order)
	for thing, err := range in {
		t := task[I, O]{thing, make(chan result[O], 1)}
		if err != nil {
			t.done <- result[O]{err: err}
		}
		select {
		case m.order <- t.done:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		select {
		case m.todo <- t:
		case <-ctx.Done():
			return
		}
	}
}

func (m mapping[I, O]) work() {
	for t := range m.todo {
		out, err := m.do(t.in)
		t.done <- result[O]{out, err}
	}
}

// give yields the results as they come in order. What do gives beside an error
// is yielded before it.
func (m mapping[I, O]) give(ctx context.Context, yield func(O, error) bool) {
	for {
		r, ok := m.next(ctx)
		if !ok && ctx.Err() == nil {
			return
		}
		if err := ctx.Err(); err != nil {
			r.err = err
		}
		if !yield(r.out, r.err) || r.err != nil {
			return
		}
	}
}

func (m mapping[I, O]) next(ctx context.Context) (r result[O], ok bool) {
	select {
	case done, more := <-m.order:
		if !more {
			return r, false
		}
		select {
		case r = <-done:
			return r, true
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	return r, false
}
