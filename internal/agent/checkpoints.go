package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// keepEvery is the time between two looks at outputs/ while a script runs on nodes
// that may be taken away.
const keepEvery = 30 * time.Second

// mayRequeue tells whether the run waits for nodes anew when it loses them.
func (d *drive) mayRequeue() bool { return d.run.Agent != nil && d.run.Agent.Requeue }

// hasRun tells whether a run has ever been running.
func hasRun(r record.Run) bool {
	return slices.ContainsFunc(r.History, func(t record.Transition) bool { return t.Status == record.Running })
}

// bringBack restores what a run that begins again had in outputs/ when it lost its
// nodes: there are the checkpoints that its script goes on from.
func (d *drive) bringBack(ctx context.Context) error {
	if !d.goesOn {
		return nil
	}
	manifest, err := history.Files(ctx, d.h, d.run, "outputs")
	if err != nil || len(manifest.Files) == 0 {
		return err
	}
	if err := d.h.Files().Restore(ctx, manifest, d.codeDir(), &files.RestoreOptions{Overwrite: true}); err != nil {
		return err
	}
	fmt.Fprintf(d.prepare, "outputs: %d files of the time before restored\n", len(manifest.Files))
	return nil
}

// keepOutputs stores what is new in outputs/ now and then, until ctx ends: a node
// that is taken away may not come back.
func (d *drive) keepOutputs(ctx context.Context) {
	for {
		select {
		case <-time.After(keepEvery):
		case <-ctx.Done():
			return
		}
		// What can't be read now, such as a file that was renamed, is looked at again.
		if err := d.storeOutputs(ctx, func(string, error) error { return nil }); err != nil && ctx.Err() == nil {
			d.h.Logger().Warn("outputs could not be stored yet", "run", d.run.ID, "error", err)
		}
	}
}
