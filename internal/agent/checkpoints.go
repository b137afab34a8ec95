package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/atomicfile"
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

// baseFile is where it is noted how long a process's log was before it began.
func (d *drive) baseFile(job string) string { return filepath.Join(d.dir, "base-"+job) }

// noteBase notes it for a process whose log goes on from one before, whose output must be
// gone by then: who finds both after this process was killed would take it for new.
func (d *drive) noteBase(ctx context.Context, job, log string) error {
	var size int64
	err := persist(ctx, d.waits, func(ctx context.Context) (err error) {
		size, err = history.LogSize(ctx, d.h, history.LogKey(d.run, log))
		return err
	})
	if err != nil {
		return err
	}
	return atomicfile.Create(d.baseFile(job), 0o600, func(f *os.File) error {
		_, err := f.WriteString(strconv.FormatInt(size, 10))
		return errors.Join(err, f.Sync())
	})
}

// noteBases does so for a process of this node, and for those that mpirun starts.
func (d *drive) noteBases(ctx context.Context, local int) error {
	err := d.noteBase(ctx, d.jobName(local), d.logName(local))
	if err == nil && d.mpi() {
		err = os.RemoveAll(filepath.Join(d.dir, rankDir)) // all of it is stored
	}
	for _, log := range d.rankLogs() {
		if err == nil {
			err = d.noteBase(ctx, path.Base(log), log)
		}
	}
	return err
}

// base gives how long the log was, 0 when nothing is noted.
func (d *drive) base(job string) (int64, error) {
	text, err := os.ReadFile(d.baseFile(job))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
