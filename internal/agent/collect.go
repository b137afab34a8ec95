package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// collect gathers what the script has left, however it ended: its outputs and
// the rest of its logs and metrics. What can't be saved fails a run that would
// have completed. It hands on how the run ended. A store that does not answer
// is waited for; when the run is canceled, running ends, and that has an end.
func (d *drive) collect(running context.Context, outcome error) error {
	ctx, cancel := outlive(running, finishTime)
	defer cancel()
	err, refused := d.finalizing(ctx, d.status == record.Running && outcome == nil)
	if refused != nil {
		outcome = refused
	}
	if err == nil {
		return d.takeOutputs(running, outcome)
	}
	if outcome == nil {
		outcome = context.Cause(running)
	}
	if outcome != nil {
		d.warn("not everything the run left could be saved: %v", err)
		return outcome
	}
	return d.systemError(fmt.Errorf("save what the run left: %w", err))
}

// finalizing stores what the script has left while the run's record is told so, unless it
// was not told of a good end: mostly there is less to store than the record takes.
func (d *drive) finalizing(ctx context.Context, tell bool) (err, refused error) {
	if !tell {
		return d.saveAll(ctx), nil
	}
	var entered core.Stored[record.Run]
	var entering sync.WaitGroup
	entering.Go(func() {
		entered, refused = d.transition(ctx, core.Stored[record.Run]{}, record.Finalizing, "collecting outputs")
	})
	err = d.saveAll(ctx)
	entering.Wait()
	if refused == nil {
		d.entered(ctx, entered)
	}
	return err, refused
}

// saveAll stores outputs, logs and metrics, all at once; it waits for a store
// that does not answer.
func (d *drive) saveAll(ctx context.Context) error {
	tasks := []func(context.Context) error{d.collectOutputs, d.finishTracking}
	for _, log := range []*history.LogWriter{d.prepare, d.output} {
		if log != nil {
			tasks = append(tasks, log.Close)
		}
	}
	for _, r := range d.ranks {
		if r.log != d.output {
			tasks = append(tasks, r.log.Close)
		}
	}
	for _, w := range d.writers() {
		tasks = append(tasks, w.Flush)
	}
	failures := make([]error, len(tasks))
	var saving sync.WaitGroup
	for i, task := range tasks {
		saving.Go(func() { failures[i] = persist(ctx, d.waits, task) })
	}
	saving.Wait()
	err := errors.Join(failures...)
	for _, w := range d.writers() {
		err = errors.Join(err, w.Close(ctx))
	}
	return err
}

// collectOutputs stores the new and changed files of outputs/.
func (d *drive) collectOutputs(ctx context.Context) error {
	return d.storeOutputs(ctx, func(path string, err error) error {
		d.warn("output %s could not be stored: %v", path, err)
		return nil
	})
}

// storeOutputs stores those files, and tells skip of those that can't be read.
func (d *drive) storeOutputs(ctx context.Context, skip func(path string, err error) error) error {
	found, err := d.newOutputs()
	if err != nil || len(found) == 0 {
		return err
	}
	var skipping sync.Mutex
	batch, err := d.h.Files().NewBatch(ctx, &files.BatchOptions{Skip: func(path string, err error) error {
		skipping.Lock()
		delete(found, path)
		skipping.Unlock()
		return skip(path, err)
	}})
	if err != nil {
		return err
	}
	defer batch.Abort()
	for _, path := range slices.Sorted(maps.Keys(found)) {
		if err := batch.AddFile(ctx, path, filepath.Join(d.codeDir(), filepath.FromSlash(path))); err != nil {
			return err
		}
	}
	// An MLflow client may have logged a file of outputs under the same path.
	if _, err := history.RunFiles(d.run).AddBatch(ctx, d.h, batch, true); err != nil {
		return err
	}
	maps.Copy(d.before, found)
	return nil
}

// newOutputs lists the plain files of outputs/ that the script has made or changed,
// and that are not stored yet.
func (d *drive) newOutputs() (found fileSet, err error) {
	if d.before == nil {
		return nil, nil // the script was never started
	}
	found = fileSet{}
	var odd []string
	err = walk(d.codeDir(), "outputs", func(path string, info fs.FileInfo) error {
		switch {
		case !info.Mode().IsRegular():
			odd = append(odd, path)
		case d.before.changed(path, info):
			found[path] = fileMark{Size: info.Size(), Modified: info.ModTime()}
		}
		return nil
	})
	if len(odd) > 0 {
		d.warn("only plain files are stored as outputs, not links and the like: %s", core.Sample(odd))
	}
	return found, err
}
