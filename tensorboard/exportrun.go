package tensorboard

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

// flushEvery is how often what was logged is written while a run is followed.
const flushEvery = 500 * time.Millisecond

// exporter writes one run's values.
type exporter struct {
	run      *run.Run
	dir      string
	every    int64
	progress func(Exported)

	counts map[series]int64 // of each scalar, when not every value is kept
	params map[string]string
	status run.Status

	mu   sync.Mutex // for the log and what was done, which the ticker looks at
	log  *eventLog
	done Exported
}

// series are the values of one name that one process has logged.
type series struct{ writer, name string }

func exportRun(ctx context.Context, r *run.Run, dir string, opts *ExportOptions, progress func(Exported)) (done Exported, err error) {
	defer core.Wrap(&err, "export", "run", r.ID())
	folder, err := runFolder(dir, r.Details())
	if err != nil {
		return Exported{RunID: r.ID()}, err
	}
	x := &exporter{run: r, dir: folder, every: int64(opts.Every), progress: progress, counts: map[series]int64{},
		done: Exported{RunID: r.ID(), Dir: folder, LeftOut: map[string]int64{}}}
	unlock, err := lockFolder(folder)
	if err != nil {
		return x.done, err
	}
	defer unlock()
	if x.log, err = openLog(folder); err != nil {
		return x.done, err
	}
	err = errors.Join(x.export(ctx, opts.Follow), x.log.close())
	progress(x.snapshot())
	return x.done, err
}

// export writes what is there and, when it follows, what comes.
func (x *exporter) export(ctx context.Context, follow bool) error {
	if err := x.writeParams(); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	var ticking sync.WaitGroup
	ticking.Go(func() { x.tick(ctx, stop) })
	err := x.copy(ctx, follow)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	ticking.Wait()
	return errors.Join(err, x.flush(), x.writeParams())
}

// tick writes out at intervals what was gathered; its failure ends the export.
func (x *exporter) tick(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := errors.Join(x.flush(), x.writeParams()); err != nil {
				stop(err)
				return
			}
			x.progress(x.snapshot())
		case <-ctx.Done():
			return
		}
	}
}

func (x *exporter) flush() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.log.flush()
}

// snapshot gives what was done so far.
func (x *exporter) snapshot() Exported {
	x.mu.Lock()
	defer x.mu.Unlock()
	done := x.done
	done.LeftOut = maps.Clone(done.LeftOut)
	return done
}

// copy writes each value that is not in the files yet.
func (x *exporter) copy(ctx context.Context, follow bool) error {
	for m, err := range x.run.Metrics(ctx, &run.MetricsOptions{Follow: follow}) {
		if err != nil {
			return err
		}
		left, known := x.log.written(m.Writer, m.Seq)
		if x.thinned(m) || known {
			continue
		}
		values, reason, err := x.values(ctx, m)
		if err != nil {
			return err
		}
		if err := x.add(m, values, left, reason); err != nil {
			return err
		}
	}
	return nil
}

// thinned tells whether a scalar is one of those that are not wanted.
func (x *exporter) thinned(m run.Metric) bool {
	if x.every <= 1 || m.Kind != run.MetricScalar {
		return false
	}
	s := series{m.Writer, m.Name}
	n := x.counts[s]
	x.counts[s]++
	return n%x.every != 0
}

// add adds the values of one logged value; when left is not 0, only the last
// left of them, as the others are written already.
func (x *exporter) add(m run.Metric, values []value, left int, reason string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if reason != "" {
		x.done.LeftOut[reason]++
	}
	if len(values) == 0 {
		return nil
	}
	x.done.Values++
	return x.log.add(m, values, left)
}

// writeParams writes the parameters for the HPARAMS tab when they or the run's
// status have changed.
func (x *exporter) writeParams() error {
	d := x.run.Details()
	if len(d.Params) == 0 || maps.Equal(d.Params, x.params) && d.Status.Terminal() == x.status.Terminal() {
		return nil
	}
	x.params, x.status = d.Params, d.Status
	return replaceHParams(x.dir, hparamsFile(filepath.Base(x.dir), d))
}

// seconds gives a time as event files have it.
func seconds(t time.Time) float64 {
	return float64(t.Unix()) + float64(t.Nanosecond())/float64(time.Second)
}

// value is one value of a logged value, on its way into an event.
type value struct {
	tag   string
	class string // the plugin that draws it
	count bool   // takes the step after the one before, whatever was logged
	tfevents.Value
}
