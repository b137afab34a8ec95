package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// loggedModels carries over the logged models of an experiment.
func (i *importer) loggedModels(ctx context.Context, e experiment) error {
	for m, err := range i.src.loggedModels(ctx, e.id) {
		if err == nil {
			err = i.loggedModel(ctx, m)
		}
		if err != nil {
			return fmt.Errorf("logged model %s: %w", m.id, err)
		}
	}
	return nil
}

// loggedModel carries over a logged model. It is pending until all is there.
func (i *importer) loggedModel(ctx context.Context, m loggedModel) error {
	if core.RunID.Check(m.id) != nil {
		i.leave("logged models whose IDs can't be IDs here", 1, m.id)
		return nil
	}
	i.fitTimes(m.id, "logged models", &m.created)
	stored, err := core.Get[record.LoggedModel](ctx, i.h, history.LoggedModelRef(m.id).Key)
	fresh := errors.Is(err, azml.ErrNotFound)
	if i.opts.DryRun && (fresh || err == nil) {
		i.report(func(d *Carried) { d.LoggedModels.count(fresh, false) })
		return nil
	}
	want := i.loggedModelRecord(m)
	switch {
	case fresh:
		draft := want
		draft.Status = record.LoggedModelPending
		_, err = history.CreateLoggedModel(ctx, i.h, draft)
	case err == nil && !stored.Value.Deleted.IsZero():
		i.conflict("logged model", m.id, "it was deleted here")
		return nil
	case err == nil && (stored.Value.Experiment != want.Experiment || stored.Value.RunID != want.RunID || stored.Value.Name != want.Name):
		i.conflict("logged model", m.id, "it is another one here")
		return nil
	}
	if err != nil {
		return err
	}
	added := false
	if fresh || i.opts.Verify || stored.Value.Status != want.Status || want.Status == record.LoggedModelPending {
		if added, err = i.artifacts(ctx, m.place(), history.LoggedModelFiles(m.id), fresh); err != nil {
			return err
		}
	}
	measured, err := i.modelMetrics(ctx, m)
	if err != nil {
		return err
	}
	added = added || measured
	_, err = history.UpdateLoggedModel(ctx, i.h, m.id, core.Quiet, func(rec *record.LoggedModel) error {
		if !mergeLoggedModel(rec, want) {
			return core.ErrNoChange
		}
		added = true
		return nil
	})
	if err == nil {
		i.report(func(d *Carried) { d.LoggedModels.count(fresh, added) })
	}
	return err
}

// mergeLoggedModel adds what is missing, and says that the model is ready when
// it was pending. It tells whether that changed anything.
func mergeLoggedModel(rec *record.LoggedModel, want record.LoggedModel) (changed bool) {
	if rec.Status == record.LoggedModelPending && want.Status != rec.Status {
		rec.Status, changed = want.Status, true
	}
	if params := missingOf(rec.Params, want.Params); len(params) > 0 {
		rec.Params, changed = core.ChangeLabels(rec.Params, params, nil), true
	}
	if tags := missingOf(rec.Tags, want.Tags); len(tags) > 0 {
		rec.Tags, changed = core.ChangeLabels(rec.Tags, tags, nil), true
	}
	return changed
}

// missingOf gives those that are wanted and not there.
func missingOf(have, want map[string]string) map[string]string {
	missing := map[string]string{}
	for key, value := range want {
		if _, there := have[key]; !there {
			missing[key] = value
		}
	}
	return missing
}

func (i *importer) loggedModelRecord(m loggedModel) record.LoggedModel {
	status := map[string]string{loggedModelReady: record.LoggedModelReady, loggedModelFailed: record.LoggedModelUploadFailed}[m.status]
	if status == "" {
		status = record.LoggedModelPending
	}
	rec := record.LoggedModel{ID: m.id, Experiment: i.keys[m.experiment], Name: m.name, Type: m.kind, RunID: m.runID, Status: status,
		Params: m.params, Tags: m.tags}
	rec.Created = m.created
	return rec
}

// models carries over the registered models and their versions.
func (i *importer) models(ctx context.Context) error {
	for m, err := range i.src.models(ctx) {
		if err == nil {
			err = i.model(ctx, m)
		}
		if err != nil {
			return fmt.Errorf("registered model %q: %w", m.name, err)
		}
	}
	return nil
}

// model carries over a registered model: itself, its versions in their order,
// then its aliases, which point to them.
func (i *importer) model(ctx context.Context, m registeredModel) error {
	i.fitTimes(m.name, "registered models", &m.created)
	key := mlflow.ModelKey(m.name)
	fresh := record.RegisteredModel{Name: key, Description: m.description, Tags: m.tags}
	if key != m.name {
		fresh.Title = m.name
	}
	fresh.Created = m.created
	stored, err := registry.Find(ctx, i.h, key)
	created := errors.Is(err, azml.ErrNotFound)
	switch {
	case created && !i.opts.DryRun:
		stored, err = registry.Create(ctx, i.h, fresh)
	case created:
		err = nil
	}
	if err != nil {
		return err
	}
	completed := false
	if !created {
		if completed, err = i.mergeModel(ctx, m, stored.Value); err != nil {
			return err
		}
	}
	i.report(func(d *Carried) { d.Models.count(created, completed) })
	name := cmp.Or(stored.Value.Name, key)
	for v, err := range i.src.versions(ctx, m.name) {
		if err == nil {
			err = i.version(ctx, m, name, v)
		}
		if err != nil {
			return fmt.Errorf("version %d: %w", v.number, err)
		}
	}
	if i.opts.DryRun {
		return nil
	}
	return i.aliases(ctx, m, name)
}

func (i *importer) mergeModel(ctx context.Context, m registeredModel, have record.RegisteredModel) (completed bool, err error) {
	if have.Description != m.description {
		i.conflict("registered model", m.name, "its description is another one here")
	}
	missing := i.missing("registered model", m.name, "tag", have.Tags, m.tags)
	if len(missing) == 0 || i.opts.DryRun {
		return false, nil
	}
	_, err = registry.Update(ctx, i.h, have.Name, core.Updated("tags"), func(r *record.RegisteredModel) error {
		r.Tags = core.ChangeLabels(missing, r.Tags, nil) // what is there by now stays
		return nil
	})
	return true, err
}

func (i *importer) aliases(ctx context.Context, m registeredModel, name string) error {
	stored, err := registry.Find(ctx, i.h, name)
	if err != nil {
		return err
	}
	for _, alias := range sortedKeys(m.aliases) {
		version := m.aliases[alias]
		if there, ok := stored.Value.Aliases[alias]; ok {
			if there != version {
				i.conflict("registered model", m.name, "alias %q points to version %d here and to %d there", alias, there, version)
			}
			continue
		}
		err := registry.SetAlias(ctx, i.h, name, alias, version)
		if errors.Is(err, azml.ErrInvalid) || errors.Is(err, azml.ErrNotFound) {
			i.leave("aliases that can't be set here", 1, m.name, alias)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// version carries over a version under its number.
func (i *importer) version(ctx context.Context, m registeredModel, name string, v modelVersion) error {
	if v.number < 1 || v.number > maxVersion {
		i.leave("versions whose numbers can't be kept", 1, versionID(m.name, v.number))
		return nil
	}
	i.fitTimes(versionID(m.name, v.number), "versions", &v.created)
	if i.opts.DryRun {
		return i.lookAtVersion(ctx, name, v)
	}
	want := record.Model{Version: v.number, Description: v.description, Tags: v.tags, RunID: v.runID, RunLink: v.runLink}
	if slices.Contains(record.Stages(), v.stage) {
		want.Stage = v.stage
	}
	want.Created = v.created
	stored, err := core.Get[record.Model](ctx, i.h, registry.Versions(name).Key(v.number))
	if err == nil {
		i.compareVersion(m, stored.Value, want)
	}
	if !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	f, err := i.versionFiles(ctx, v)
	if err != nil {
		return err
	}
	want.Path, want.Experiment, want.Source, want.ModelID = f.path, f.experiment, f.source, f.modelID
	if err := i.reach(ctx, name, v.number); err != nil {
		return err
	}
	if _, err := registry.Register(ctx, i.h, name, want, f.manifest); err != nil {
		return err
	}
	i.report(func(d *Carried) { d.Versions.Created++ })
	return nil
}

// maxVersion bounds the numbers of versions, for all numbers below one are taken.
const maxVersion = 1_000_000

func (i *importer) lookAtVersion(ctx context.Context, name string, v modelVersion) error {
	_, err := registry.Version(ctx, i.h, name, v.number)
	if err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrInvalid) {
		return err
	}
	i.report(func(d *Carried) { d.Versions.count(err != nil, false) })
	return nil
}

// compareVersion lists a version that is another here.
func (i *importer) compareVersion(m registeredModel, have, want record.Model) {
	id := fmt.Sprintf("%s:%d", m.name, want.Version)
	switch {
	case !have.Deleted.IsZero():
		i.conflict("version", id, "it was deleted here")
	case have.RunID != want.RunID || !want.Created.IsZero() && !have.Created.Equal(want.Created):
		i.conflict("version", id, "another version has this number here")
	case have.Stage != want.Stage:
		i.conflict("version", id, "its stage is %q here and %q there", have.Stage, want.Stage)
	case have.Description != want.Description:
		i.conflict("version", id, "its description is another one here")
	default:
		i.missing("version", id, "tag", have.Tags, want.Tags)
		i.report(func(d *Carried) { d.Versions.Unchanged++ })
	}
}

// reach takes the numbers below the version's, which were deleted in MLflow, as
// deleted ones.
func (i *importer) reach(ctx context.Context, name string, number int) error {
	last, err := registry.Versions(name).Last(ctx, i.h)
	for n := last + 1; err == nil && n < number; n++ {
		_, err = registry.Register(ctx, i.h, name, record.Model{Version: n, Deleted: i.h.Now()}, nil)
	}
	return err
}
