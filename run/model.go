package run

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
	"github.com/azml-go/azml/model"
)

// RegisterModel registers the run's file or folder at modelPath (the one that
// has the model's name when it is empty) as the next version of the model, with its lineage: the run, its experiment, snapshot,
// environment, git facts and the registered datasets that it has used. No bytes are copied. Errors: ErrNotFound naming
// the run's files, ErrInvalid.
func (r *Run) RegisterModel(ctx context.Context, name, modelPath string, opts *model.RegisterOptions) (_ *model.Model, err error) {
	defer r.h.Operation(&ctx, &err, "register model of", kind, r.id)()
	if modelPath == "" {
		modelPath = name
	}
	modelPath = strings.TrimSuffix(path.Clean(strings.ReplaceAll(modelPath, `\`, "/")), "/")
	found, err := r.find(ctx, modelPath)
	if err != nil {
		return nil, err
	}
	draft := record.Model{Name: name, Path: modelPath, RunID: r.id, Experiment: r.ExperimentName(), Lineage: r.lineage(), Datasets: r.madeWith(opts)}
	return model.RegisterFiles(ctx, r.h, draft, registry.Rooted(found, modelPath), opts)
}

// madeWith gives the versions of datasets that the run has used, by what it called
// them, but for those of which the caller says what they were.
func (r *Run) madeWith(opts *model.RegisterOptions) (used []record.DatasetReference) {
	for _, in := range r.Inputs() {
		said := opts != nil && slices.ContainsFunc(opts.Datasets, func(d model.DatasetReference) bool { return d.Dataset == in.Dataset })
		if _, version, err := dataset.ParseID(in.Dataset); err == nil && version != dataset.Latest && !said {
			used = append(used, record.DatasetReference{Relation: in.Name, Dataset: in.Dataset})
		}
	}
	return used
}

// lineage gives what says where the run's results come from.
func (r *Run) lineage() map[string]string {
	rec := r.record()
	facts := map[string]string{}
	if rec.Snapshot != "" {
		facts["snapshot"] = rec.Snapshot
	}
	if rec.Definition != nil {
		facts["environment"] = rec.Definition.Environment.Name + ":" + rec.Definition.Environment.Version
		facts["environmentHash"] = rec.Definition.Environment.Hash
	}
	git := maps.Clone(rec.Properties)
	maps.DeleteFunc(git, func(key, _ string) bool { return !strings.HasPrefix(key, "azureml.git.") })
	maps.Copy(facts, git)
	return facts
}
