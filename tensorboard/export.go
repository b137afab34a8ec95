package tensorboard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/run"
)

// ExportOptions are the options of Export.
type ExportOptions struct {
	// Follow goes on with what is logged until all runs have ended or ctx is
	// done. What is logged is in the files half a second later.
	Follow bool
	// Every keeps the first of every so many values of each scalar of each
	// process that logged, for runs of which nobody needs every value; all are
	// kept when it is 0 or 1. TensorBoard itself draws at most 1,000 values of
	// a curve unless it is told otherwise (--samples_per_plugin).
	Every int
	// Progress, when not nil, is called now and then with what was done of one
	// run; never by two goroutines at once.
	Progress func(Exported)
}

// Exported is what Export has done for one run.
type Exported struct {
	// RunID is the run's ID.
	RunID string `json:"runId"`
	// Dir is the folder of its event files.
	Dir string `json:"dir"`
	// Values is the number of logged values that this call has written.
	Values int64 `json:"values"`
	// LeftOut counts, by reason, values that TensorBoard has no form for.
	LeftOut map[string]int64 `json:"leftOut,omitempty"`
}

// Export writes TensorBoard event files of the runs below the folder dir, which
// is made at need, and says what it wrote for each, in the order of runs; also
// with an error. Each run has a folder "<name>.<ID>", by its display name, else
// its experiment and number, whose name stays once it is there.
//
// It can be called again for the same folder, also after it was killed: the
// files say how far they go, and it goes on there, each value once, so that a
// TensorBoard that has them open sees nothing but more. Memory doesn't grow
// with the number of values.
//
// Numbers and bools are scalars (TensorBoard's are float32), strings are text,
// images images. A list is a curve over its elements, a table a curve for each
// column of numbers, "<name>/<column>", and a Markdown text when it has other
// columns. Residuals are a histogram, an accuracy table precision-recall curves
// per class; a confusion matrix and predictions are Markdown tables. Parameters
// and how the run ended are for the HPARAMS tab, which shows them beside the
// last value of each scalar. Times are kept, and so are steps; as TensorBoard
// hides what a step that comes again or goes back has replaced, a value without
// a step, or with step 0, gets the step after the one before.
//
// Errors: ErrConflict when another process exports one of the runs to dir;
// ErrDamaged when event files are not as Export wrote them; ErrInvalid; those
// of run.Run.Metrics.
func Export(ctx context.Context, runs []*run.Run, dir string, opts *ExportOptions) (_ []Exported, err error) {
	defer core.Wrap(&err, "export to", "TensorBoard folder", dir)
	if opts == nil {
		opts = &ExportOptions{}
	}
	if opts.Every < 0 {
		return nil, fmt.Errorf("%w: keep one of every %d values: give a number of 1 or more", azml.ErrInvalid, opts.Every)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	report := make([]Exported, len(runs))
	failures := make([]error, len(runs))
	progress := serialized(opts.Progress)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Each run that is followed needs its own goroutine for as long as it goes
	// on; others take turns.
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var exporting sync.WaitGroup
	for i, r := range runs {
		exporting.Go(func() {
			if !opts.Follow {
				turns <- struct{}{}
				defer func() { <-turns }()
			}
			report[i], failures[i] = exportRun(ctx, r, dir, opts, progress)
			if failures[i] != nil {
				stop()
			}
		})
	}
	exporting.Wait()
	return report, first(failures)
}

// serialized makes of a function that may be nil one that many can call.
func serialized(progress func(Exported)) func(Exported) {
	var mu sync.Mutex
	return func(e Exported) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			progress(e)
		}
	}
}

// first gives the error that made the others stop.
func first(failures []error) error {
	var canceled error
	for _, err := range failures {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		canceled = errors.Join(canceled, err)
	}
	if canceled != nil {
		return context.Canceled
	}
	return nil
}
