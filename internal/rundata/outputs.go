package rundata

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mount"
	"github.com/azml-go/azml/internal/record"
)

// output is an output of the run.
type output struct {
	record.DataOutput
	store   *dataset.OutputStore
	mounted *mount.Mounted // nil when nothing is
	end     context.CancelFunc
}

// unmount ends the mount: what is in the folder stays as it is from then on.
func (o *output) unmount() error {
	if o.mounted == nil {
		return nil
	}
	err := o.mounted.Close()
	o.end()
	o.mounted = nil
	return err
}

// output makes the folder that the script writes.
func (b *binding) output(ctx context.Context, out record.DataOutput) error {
	dir := filepath.Join(b.at.Dir, out.Name)
	inside := out.PathOnCompute != "" && !filepath.IsAbs(out.PathOnCompute)
	if inside {
		dir = filepath.Join(b.at.WorkingDir, filepath.FromSlash(out.PathOnCompute))
		if there, err := os.ReadDir(dir); err == nil && len(there) > 0 {
			return fmt.Errorf("%w: the folder %s of the snapshot is not empty: its files would be taken for the script's", azml.ErrInvalid, out.PathOnCompute)
		}
	}
	from := dir
	if out.Mode == string(dataset.ModeMount) {
		from = filepath.Join(b.at.Dir, "."+out.Name)
	}
	if err := os.MkdirAll(from, folderMode); err != nil {
		return err
	}
	store, err := dataset.StoreOutput(ctx, b.h, b.run.ID, out, from)
	if err != nil {
		return err
	}
	o := &output{DataOutput: out, store: store}
	if from != dir {
		if err := b.mountOutput(ctx, o, dir, from); err != nil {
			return err
		}
	}
	b.outs = append(b.outs, o)
	fmt.Fprintf(b.at.Log, "output %s: %s to %s\n", out.Name, o.Mode, store.Target())
	if inside {
		b.values[out.Name] = dir
		return nil
	}
	return b.place(out.Name, dir, out.PathOnCompute)
}

// storedAtOnce is how many files of a mounted output are stored at the same time.
const storedAtOnce = 8

// mountOutput mounts the folder from at dir and stores each file when it is closed.
// Where nothing can be mounted, dir is another name of from, and its files are
// stored at the end.
func (b *binding) mountOutput(ctx context.Context, out *output, dir, from string) error {
	writing, end := context.WithCancel(context.WithoutCancel(ctx)) // beyond the preparation
	slots := make(chan struct{}, storedAtOnce)
	mounted, err := mount.Write(dir, from, func(name string) {
		if !out.store.Takes(name) {
			return
		}
		slots <- struct{}{}
		defer func() { <-slots }()
		// What fails now is stored in the end, and fails the run then.
		if err := out.store.StoreFile(writing, name); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, azml.ErrConflict) {
			b.h.Logger().Info("a file of an output is not stored yet", "run", b.run.ID, "output", out.Name, "file", name, "error", err)
		}
	})
	switch {
	case errors.Is(err, azml.ErrUnsupported):
		end()
		out.Mode = string(dataset.ModeUpload)
		fmt.Fprintf(b.at.Log, "output %s: it is uploaded in the end instead of mounted: %v\n", out.Name, err)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return os.Symlink(from, dir)
	case err != nil:
		end()
		return err
	}
	out.mounted, out.end = mounted, end
	b.closes = append(b.closes, out.unmount)
	return nil
}

// take stores all outputs, then registers them, then notes them: so what is
// registered is there as a whole.
func (b *binding) take(ctx context.Context) error {
	for _, out := range b.outs {
		start := time.Now()
		if err := out.unmount(); err != nil {
			return fmt.Errorf("output %q: %w", out.Name, err)
		}
		err := out.store.Store(ctx, func(path string) {
			b.at.Warn("output %s: %s is no plain file and was not stored", out.Name, path)
		})
		if err != nil {
			return fmt.Errorf("output %q: %w", out.Name, err)
		}
		b.h.Logger().Debug("an output is stored", "run", b.run.ID, "output", out.Name, "time", time.Since(start))
	}
	facts := make([]record.DatasetOutput, len(b.outs))
	for i, out := range b.outs {
		d, fact, err := out.store.Register(ctx)
		if err != nil {
			return fmt.Errorf("output %q: %w", out.Name, err)
		}
		if d == nil {
			b.at.Warn("output %s: the script has written no file into it", out.Name)
		}
		facts[i], facts[i].Mode = fact, out.Mode // which is another where nothing can be mounted
	}
	return noteOutputs(ctx, b.h, b.run, facts)
}

// noteOutputs writes what was made into the run's record; what was noted of an
// output of the same name before is replaced.
func noteOutputs(ctx context.Context, h core.Handle, run record.Run, facts []record.DatasetOutput) error {
	_, err := history.Update(ctx, h, run.ID, core.Quiet, func(r *record.Run) error {
		if err := history.SameLife(*r, run.Life); err != nil {
			return err
		}
		for _, fact := range facts {
			r.DatasetOutputs = replaced(r.DatasetOutputs, fact, func(o record.DatasetOutput) bool { return o.Output == fact.Output })
		}
		return nil
	})
	return err
}

// replaced gives the list with the value in the place of the one that it is the
// same as, or at the end.
func replaced[T any](list []T, value T, same func(T) bool) []T {
	out, there := make([]T, 0, len(list)+1), false
	for _, one := range list {
		if same(one) {
			one, there = value, true
		}
		out = append(out, one)
	}
	if !there {
		out = append(out, value)
	}
	return out
}
