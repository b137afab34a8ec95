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
}

// watch gives a context that ends with the first interrupt.
func (i *interrupts) watch(ctx context.Context, stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for _, react := range []func(){cancel, func() {
			fmt.Fprintln(stderr, "\nazml: ended at once; what was going on may be left unfinished")
			i.exit(exitCanceled)
		}} {
			select {
			case <-done:
				return
			case <-i.signals:
				react()
			}
		}
	})
	return ctx, func() {
		close(done)
		watching.Wait()
		cancel()
	}
}
