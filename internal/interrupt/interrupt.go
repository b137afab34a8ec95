// Package interrupt has programs react to Ctrl-C and the like: the first one ends them in
// order, the second one at once.
package interrupt

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/azml-go/azml/internal/agent"
)

// Signals are those that a program is interrupted by; the zero one has none, as in tests.
type Signals struct {
	signals <-chan os.Signal
	exit    func(code int)
}

// Notice has this program get its signals here from now on, to be ended by exit. A hangup
// that whoever started it has it ignore stays ignored.
func Notice(exit func(code int)) Signals {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	return Signals{signals, exit}
}

// Watch gives a context that ends with the first interrupt. The second one ends the
// program.
func (s Signals) Watch(ctx context.Context, stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for _, react := range []func(){cancel, func() {
			fmt.Fprintln(stderr, "\nazml: ended at once; what was going on may be left unfinished")
			s.exit(agent.ExitAsked)
		}} {
			select {
			case <-done:
				return
			case <-s.signals:
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
