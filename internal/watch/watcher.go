package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/run"
)

// Options are the options of Start.
type Options struct {
	// Pick tells which metrics are watched. It is asked once for each name; nil
	// means all but those of the machine, which State.Machine has in any case.
	Pick func(name string) bool
	// Steps is the number of steps that the run will take, when the run does
	// not say so itself.
	Steps int64
	// Lines is how many lines of the output are kept; the output is not read
	// when it is 0.
	Lines int
	// Children also watches the run's direct child runs. It lists the runs of
	// the whole experiment every few seconds.
	Children bool
}

const (
	refreshEvery  = 500 * time.Millisecond
	retryEvery    = time.Second
	childrenEvery = 5 * time.Second
)

// Watcher follows one run from Start until the run has ended. It is safe for
// concurrent use.
type Watcher struct {
	run   *run.Run
	opts  Options
	over  chan struct{} // closed when the run has ended
	ended chan struct{}

	mu       sync.Mutex
	state    State
	progress counter
	picked   map[string]bool // what Pick said
	troubles map[string]error
	err      error
}

// Start begins to follow the run, in goroutines that end with ctx or when the
// run has ended. A store that does not answer is asked again.
func Start(ctx context.Context, r *run.Run, opts Options) *Watcher {
	w := &Watcher{run: r, opts: opts, over: make(chan struct{}), ended: make(chan struct{}), picked: map[string]bool{}, troubles: map[string]error{}}
	w.state = newState(r.Details(), opts.Lines)
	go w.follow(ctx)
	return w
}

// Ended gives a channel that is closed when nothing more will come: the run
// has ended and all of it was read, or Err says why not.
func (w *Watcher) Ended() <-chan struct{} { return w.ended }

// Err says why watching ended before the run did, nil when it did not. Errors:
// ErrNotFound when the run was deleted, ErrDamaged; ctx's.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Look gives what is known to fn, as of now. Nothing of the state may be kept
// or changed, and nothing comes in while fn looks.
func (w *Watcher) Look(now time.Time, fn func(s *State)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.settle()
	w.state.Progress = w.progress.estimate(&w.state.Details, w.opts.Steps, now)
	w.state.Trouble = ""
	for _, what := range []string{"the record", "metrics", "the output", "child runs"} {
		if err := w.troubles[what]; err != nil {
			w.state.Trouble = fmt.Sprintf("can't read %s: %v", what, err)
			break
		}
	}
	fn(&w.state)
}

func (w *Watcher) follow(ctx context.Context) {
	defer close(w.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var reading sync.WaitGroup
	reading.Go(func() { w.retry(ctx, "metrics", w.readMetrics) })
	if w.opts.Lines > 0 {
		reading.Go(func() { w.retry(ctx, "the output", w.readOutput) })
	}
	if w.opts.Children {
		reading.Go(func() { w.retry(ctx, "child runs", w.readChildren) })
	}
	err := w.refresh(ctx)
	if err != nil {
		cancel()
	}
	reading.Wait()
	if err == nil {
		err = ctx.Err()
	}
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
}

// refresh reads the record again and again until the run has ended.
func (w *Watcher) refresh(ctx context.Context) error {
	for {
		err := w.run.Refresh(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, azml.ErrNotFound):
			return fmt.Errorf("the run was deleted while it was watched: %w", err)
		case !errors.Is(err, azml.ErrUnavailable):
			return err
		}
		w.trouble("the record", err)
		w.mu.Lock()
		if err == nil { // the store is there again, also for those who will ask it later
			maps.DeleteFunc(w.troubles, func(_ string, err error) bool { return errors.Is(err, azml.ErrUnavailable) })
		}
		w.state.Details = w.run.Details()
		over := w.state.Details.Status.Terminal()
		w.mu.Unlock()
		if over {
			close(w.over)
			return nil
		}
		if err := sleep(ctx, refreshEvery); err != nil {
			return err
		}
	}
}

// retry reads a part of the run to its end. It begins again when the store was
// not there in between; what is damaged is left with its error.
func (w *Watcher) retry(ctx context.Context, what string, read func(context.Context) error) {
	for {
		err := read(ctx)
		if ctx.Err() != nil {
			return
		}
		w.trouble(what, err)
		if !errors.Is(err, azml.ErrUnavailable) || sleep(ctx, retryEvery) != nil {
			return
		}
	}
}

func (w *Watcher) trouble(what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles[what] = err
}

func (w *Watcher) readMetrics(ctx context.Context) error {
	w.mu.Lock()
	w.state.forgetMetrics()
	w.progress = counter{}
	w.mu.Unlock()
	for m, err := range w.run.Metrics(ctx, &run.MetricsOptions{Follow: true}) {
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.state.add(m, w.picks(m.Name))
		w.progress.add(m)
		w.mu.Unlock()
	}
	return nil
}

// picks tells whether the metric is wanted. The caller holds the lock.
func (w *Watcher) picks(name string) bool {
	picked, known := w.picked[name]
	if !known {
		if picked = !strings.HasPrefix(name, run.SystemPrefix); w.opts.Pick != nil {
			picked = w.opts.Pick(name)
		}
		w.picked[name] = picked
	}
	return picked
}

func (w *Watcher) readOutput(ctx context.Context) error {
	w.mu.Lock()
	w.state.Output = NewTail(w.opts.Lines)
	w.mu.Unlock()
	log, err := w.run.Logs(ctx, &run.LogsOptions{Follow: true, Tail: w.opts.Lines})
	if err != nil {
		return err
	}
	defer log.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := log.Read(buffer)
		w.mu.Lock()
		_, _ = w.state.Output.Write(buffer[:n]) // it never fails
		w.mu.Unlock()
		if err != nil {
			return unlessEOF(err)
		}
	}
}

func (w *Watcher) readChildren(ctx context.Context) error {
	for {
		over := w.run.Status().Terminal()
		var children []run.Details
		for child, err := range w.run.Children(ctx, nil) {
			if err != nil {
				return err
			}
			children = append(children, child.Details())
		}
		w.mu.Lock()
		w.state.Children = children
		w.mu.Unlock()
		if over {
			return nil
		}
		w.trouble("child runs", nil)
		select {
		case <-w.over: // the last look
		case <-time.After(childrenEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
