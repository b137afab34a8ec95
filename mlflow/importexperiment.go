package mlflow

import (
	"context"
	"errors"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/internal/record"
)

// experiment carries over an experiment, but for its runs.
func (i *importer) experiment(ctx context.Context, e experiment) error {
	key := mlflow.ExperimentKey(e.name)
	fresh := i.experimentRecord(e, key)
	stored, err := core.Get[record.Experiment](ctx, i.h, history.ExperimentRef(key).Key)
	if err == nil && stored.Value.AliasOf != "" {
		if stored.Value.Title != e.name {
			i.conflict("experiment", e.name, "its name is the ID of another one that was carried over: rename it there")
			return nil
		}
		stored, err = history.Experiment(ctx, i.h, key)
	}
	i.keys[e.id] = key
	switch {
	case errors.Is(err, azml.ErrNotFound) && i.opts.DryRun:
		i.report(func(d *Carried) { d.Experiments.Created++ })
		return nil
	case errors.Is(err, azml.ErrNotFound):
		_, err = core.Create(ctx, i.h, history.ExperimentRef(key), fresh)
		if err != nil && !errors.Is(err, azml.ErrExists) {
			return err
		}
		if err == nil {
			i.report(func(d *Carried) { d.Experiments.Created++ })
			return nil
		}
		if stored, err = history.Experiment(ctx, i.h, key); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	i.keys[e.id] = stored.Value.Name // the name may be one that it was given later
	return i.mergeExperiment(ctx, e, stored.Value, fresh)
}

// mergeExperiment adds to an experiment what it lacks, and lists what differs.
func (i *importer) mergeExperiment(ctx context.Context, e experiment, have, fresh record.Experiment) error {
	if e.deleted != !have.Archived.IsZero() {
		i.conflict("experiment", e.name, "it is deleted in one of the two only")
	}
	missing := i.missing("experiment", e.name, "tag", have.Tags, fresh.Tags)
	if len(missing) == 0 || i.opts.DryRun {
		i.report(func(d *Carried) { d.Experiments.Unchanged++ })
		return nil
	}
	_, err := core.Update(ctx, i.h, history.ExperimentRef(have.Name), core.Updated("tags"), func(r *record.Experiment) error {
		r.Tags = core.ChangeLabels(missing, r.Tags, nil) // what is there by now stays
		return nil
	})
	if err == nil {
		i.report(func(d *Carried) { d.Experiments.Completed++ })
	}
	return err
}

// keepID makes the ID that the experiment had one more name of it, so that
// programs which know it find it. Names of experiments come first.
func (i *importer) keepID(ctx context.Context, e experiment) error {
	key := i.keys[e.id]
	if e.id == key || e.id == mlflow.ExperimentKey("Default") || i.opts.DryRun {
		return nil
	}
	if core.ExperimentName.Check(e.id) != nil {
		i.leave("IDs of experiments that can't be names here", 1, e.id)
		return nil
	}
	_, err := core.Create(ctx, i.h, history.ExperimentRef(e.id), record.Experiment{ID: core.NewUUID(), Name: e.id, AliasOf: key})
	if !errors.Is(err, azml.ErrExists) {
		return err
	}
	there, err := history.Experiment(ctx, i.h, e.id)
	if err == nil && there.Value.Name != key {
		i.leave("IDs of experiments that other experiments have here", 1, e.id)
	}
	return err
}
