package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// collect gathers what the script has left, however it ended: its outputs and
// the rest of its logs and metrics. What can't be saved fails a run that would
// have completed. It hands on how the run ended.
func (d *drive) collect(ctx context.Context, outcome error) error {
	if d.status == record.Running && outcome == nil {
		if err := d.enter(ctx, record.Finalizing, "collecting outputs"); err != nil {
			outcome = err
		}
	}
	err := d.collectOutputs(ctx)
	for _, log := range []*history.LogWriter{d.prepare, d.output} {
		if log != nil {
			err = errors.Join(err, log.Close(ctx))
		}
	}
	if d.metrics != nil {
		err = errors.Join(err, d.metrics.Close(ctx))
	}
	if err == nil {
		return outcome
	}
	if outcome != nil {
		d.warn("not everything the run left could be saved: %v", err)
		return outcome
	}
	return d.systemError(fmt.Errorf("save what the run left: %w", err))
}

// collectOutputs stores the new and changed files of outputs/.
func (d *drive) collectOutputs(ctx context.Context) error {
	if d.before == nil {
		return nil // the script was never started
	}
	batch, err := d.h.Files().NewBatch(ctx, nil)
	if err != nil {
		return err
	}
	defer batch.Abort()
	var odd []string
	err = walk(d.codeDir(), "outputs", func(path string, info fs.FileInfo) error {
		if !info.Mode().IsRegular() {
			odd = append(odd, path)
			return nil
		}
		if !d.before.changed(path, info) {
			return nil
		}
		err := batch.AddFile(ctx, path, filepath.Join(d.codeDir(), filepath.FromSlash(path)))
		if errors.Is(err, fs.ErrPermission) {
			d.warn("output %s could not be read: %v", path, err)
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(odd) > 0 {
		d.warn("only plain files are stored as outputs, not links and the like: %s", core.Sample(odd))
	}
	manifest, _, err := batch.Commit(ctx)
	if err != nil {
		return err
	}
	return history.AddFiles(ctx, d.h, d.run.ID, manifest)
}
