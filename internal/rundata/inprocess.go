package rundata

import (
	"context"
	"errors"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Use notes that the run uses the dataset, as it is now, under the name.
func Use(ctx context.Context, h core.Handle, run record.Run, name string, d *dataset.Dataset) error {
	if err := checkName(name, nil); err != nil {
		return err
	}
	in, err := dataset.PlanInput(ctx, h, name, dataset.Input{Dataset: d, Mode: dataset.ModeDirect})
	if err != nil {
		return err
	}
	if d, err = dataset.NewClient(h).GetByID(ctx, in.Dataset, nil); err != nil {
		return err
	}
	seen, err := dataset.Observe(ctx, d)
	if err != nil {
		return err
	}
	return note(ctx, h, run, []use{used(name, dataset.ModeDirect, seen)})
}

// Store stores the files of the folder dir as an output of the run, registers it
// where that is asked for, and notes it.
func Store(ctx context.Context, h core.Handle, run record.Run, name, dir string, out dataset.Output) (*dataset.Dataset, error) {
	if err := checkName(name, nil); err != nil {
		return nil, err
	}
	if out.PathOnCompute != "" || out.Mode == dataset.ModeMount {
		return nil, fmt.Errorf("%w: the folder is given: an output of this process has no path on the compute and is not mounted", azml.ErrInvalid)
	}
	plan, err := dataset.PlanOutput(ctx, h, name, out)
	if err != nil {
		return nil, err
	}
	store, err := dataset.StoreOutput(ctx, h, run.ID, plan, dir)
	if err != nil {
		return nil, err
	}
	var odd []string
	if err := store.Store(ctx, func(path string) { odd = append(odd, path) }); err != nil {
		return nil, err
	}
	if len(odd) > 0 {
		return nil, fmt.Errorf("%w: only plain files are stored, not links and the like: %s", azml.ErrInvalid, core.Sample(odd))
	}
	d, fact, err := store.Register(ctx)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fmt.Errorf("%w: there is no file to be stored in %s", azml.ErrInvalid, dir)
	}
	return d, noteOutputs(ctx, h, run, []record.DatasetOutput{fact})
}

// Compare tells what has changed of the data since a run used it; nil when that
// can't be told, for it is a query. Of a version that was not what it had been when
// it was registered, and of what is not registered, it tells that something has
// changed but not what.
func Compare(ctx context.Context, h core.Handle, u record.DatasetUse) (*dataset.Changes, bool, error) {
	if u.Digest == "" {
		return nil, false, nil
	}
	d, err := dataset.NewClient(h).GetByID(ctx, u.Dataset, nil)
	if err != nil {
		return nil, false, err
	}
	if d.FingerprintDigest() == u.Digest {
		changes, err := d.Check(ctx, nil)
		return changes, err == nil && !changes.None(), err
	}
	seen, err := dataset.Observe(ctx, d)
	if errors.Is(err, azml.ErrNotFound) { // no file is left
		return nil, true, nil
	}
	return nil, err == nil && seen.Fingerprint.Digest != u.Digest, err
}
