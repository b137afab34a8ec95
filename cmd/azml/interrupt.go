package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// interrupts reacts to Ctrl-C: the first one ends the command in order, the
// second one at once.
type interrupts struct {
	signals <-chan os.Signal // nil when there are none, as in tests
	exit    func(code int)

	mu    sync.Mutex
	first func()
}

// watch gives a context that ends with the first interrupt, unless a command
// has set something else to be done then.
func (i *interrupts) watch(ctx context.Context, stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	i.set(cancel)
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for count := 1; ; count++ {
			select {
			case <-done:
				return
			case <-i.signals:
			}
			if count > 1 {
				fmt.Fprintln(stderr, "\nazml: ended at once; what was going on may be left unfinished")
				i.exit(exitCanceled)
				return
			}
			i.mu.Lock()
			first := i.first
			i.mu.Unlock()
			watching.Go(first)
		}
	})
	return ctx, func() {
		close(done)
		watching.Wait()
		cancel()
	}
}

// set says what the first interrupt does from now on.
func (i *interrupts) set(first func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.first = first
}
