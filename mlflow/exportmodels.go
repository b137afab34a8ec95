package mlflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// loggedModels carries over the logged models of an experiment.
func (x *exporter) loggedModels(ctx context.Context, t *target) error {
	var known map[string]loggedModel
	for stored, err := range history.LoggedModels(ctx, x.h) {
		if err != nil {
			return err
		}
		if stored.Value.Experiment != t.experiment.Name {
			continue
		}
		if known == nil {
			if known, err = x.knownModels(ctx, t.id); err != nil {
				return err
			}
		}
		if err := x.loggedModel(ctx, t, stored.Value, known); err != nil {
			return fmt.Errorf("logged model %s: %w", stored.Value.ID, err)
		}
	}
	return nil
}

// knownModels gives the logged models of the server that were carried over from
// a workspace, by their IDs there.
func (x *exporter) knownModels(ctx context.Context, experimentID string) (map[string]loggedModel, error) {
	found := map[string]loggedModel{}
	for m, err := range (&server{x.client}).loggedModels(ctx, experimentID) {
		if err != nil {
			return nil, err
		}
		if id := m.tags[tagModel]; id != "" {
			found[id] = m
		}
	}
	return found, nil
}

func (x *exporter) loggedModel(ctx context.Context, t *target, rec record.LoggedModel, known map[string]loggedModel) error {
	there, ok := known[rec.ID]
	if ok {
		x.modelIDs[rec.ID] = there.id
	}
	status := map[string]string{record.LoggedModelReady: loggedModelReady, record.LoggedModelUploadFailed: loggedModelFailed}[rec.Status]
	if x.opts.DryRun {
		x.report(func(d *Carried) { d.LoggedModels.count(!ok, false) })
		return nil
	}
	if !ok {
		var answer struct {
			Model loggedModelMessage `json:"model"`
		}
		tags := core.ChangeLabels(rec.Tags, map[string]string{tagModel: rec.ID}, nil)
		err := x.once(ctx, apiPath+"logged-models", map[string]any{"experiment_id": t.id, "name": rec.Name, "model_type": rec.Type,
			"source_run_id": x.idOfRun(rec.RunID), "params": pairs(rec.Params), "tags": pairs(tags)}, &answer)
		if unserved(err) == nil && err != nil {
			x.leave("logged models, which the server doesn't know", 1, rec.ID)
			return nil
		}
		if err != nil {
			return err
		}
		there = answer.Model.loggedModel()
		x.modelIDs[rec.ID] = there.id
	}
	added := false
	if !ok || there.status != status || x.opts.Verify {
		found, err := history.LoggedModelFiles(rec.ID).Files(ctx, x.h, "")
		if err != nil {
			return err
		}
		if added, err = x.upload(ctx, there.place(), found.Files); err != nil {
			return err
		}
	}
	if status != "" && there.status != status {
		err := x.message(ctx, http.MethodPatch, apiPath+"logged-models/"+there.id, nil, map[string]any{"model_id": there.id, "status": status}, nil)
		if err != nil {
			return err
		}
	}
	if err := x.about(ctx, rec, there); err != nil {
		return err
	}
	x.report(func(d *Carried) { d.LoggedModels.count(!ok, added) })
	return nil
}

// about logs once more what runs have logged about the logged model, this time
// saying so: the server keeps such values once, and notes them at the model.
func (x *exporter) about(ctx context.Context, rec record.LoggedModel, there loggedModel) error {
	log, err := history.ModelMetrics(x.h, rec.ID)
	if err != nil {
		return err
	}
	for p, err := range log.Read(ctx, nil) {
		if err != nil {
			return err
		}
		series, known := history.ParseModelSeries(p.Name)
		value, isNumber := number(p)
		runID := x.idOfRun(series.RunID)
		if !known || !isNumber || runID == "" {
			x.leave("links of values to logged models of other experiments", 1)
			continue
		}
		m := modelMetric{point{p.Step, p.Time.UnixMilli(), value}, series.Metric, runID, series.Dataset, series.Digest}
		if slices.ContainsFunc(there.metrics, m.outdatedBy) {
			continue
		}
		message := valueMessage{Key: m.name, Value: double(m.value), Millis: m.millis, Step: m.step, Model: there.id, Dataset: m.dataset, Digest: m.digest}
		if err := x.post(ctx, apiPath+"runs/log-batch", map[string]any{"run_id": runID, "metrics": []valueMessage{message}}, nil); err != nil {
			return err
		}
	}
	return nil
}

// link names the logged models that a run has used or made.
func (x *exporter) link(ctx context.Context, r openRun) error {
	var used, made []map[string]any
	for _, id := range r.rec.ModelInputs {
		if there := x.modelIDs[id]; there != "" && !slices.Contains(r.there.modelsIn, there) {
			used = append(used, map[string]any{"model_id": there})
		}
	}
	for _, out := range r.rec.ModelOutputs {
		if there := (modelOutput{x.modelIDs[out.ModelID], out.Step}); there.id != "" && !slices.Contains(r.there.modelsOut, there) {
			made = append(made, map[string]any{"model_id": there.id, "step": out.Step})
		}
	}
	if len(used) > 0 {
		if err := x.post(ctx, apiPath+"runs/log-inputs", map[string]any{"run_id": r.there.id, "models": used}, nil); err != nil {
			return err
		}
	}
	if len(made) == 0 {
		return nil
	}
	return x.post(ctx, apiPath+"runs/outputs", map[string]any{"run_id": r.there.id, "models": made}, nil)
}

// models carries over the registered models and their versions.
func (x *exporter) models(ctx context.Context) error {
	for stored, err := range registry.Registered(ctx, x.h) {
		if err == nil {
			err = x.model(ctx, stored.Value)
		}
		if err != nil {
			return fmt.Errorf("registered model %q: %w", stored.Value.Name, err)
		}
	}
	return nil
}

// modelTitle is what MLflow calls the registered model.
func modelTitle(m record.RegisteredModel) string {
	if m.Title != "" {
		return m.Title
	}
	return m.Name
}

func (x *exporter) model(ctx context.Context, m record.RegisteredModel) error {
	title := modelTitle(m)
	there, err := x.registered(ctx, title)
	created := errors.Is(err, azml.ErrNotFound)
	if created && !x.opts.DryRun {
		err = x.post(ctx, apiPath+"registered-models/create", map[string]any{"name": title, "description": m.Description, "tags": pairs(m.Tags)}, nil)
		if errors.Is(err, azml.ErrExists) { // an answer was lost, or somebody was faster
			err = nil
		}
	}
	if created && x.opts.DryRun {
		err = nil
	}
	if err != nil {
		return err
	}
	missing := map[string]string{}
	if !created {
		missing = x.missing("registered model", title, "tag", there.tags, m.Tags)
		if there.description != m.Description {
			x.conflict("registered model", title, "its description is another one there")
		}
	}
	for key, value := range missing {
		if x.opts.DryRun {
			break
		}
		if err := x.post(ctx, apiPath+"registered-models/set-tag", map[string]any{"name": title, "key": key, "value": value}, nil); err != nil {
			return err
		}
	}
	x.report(func(d *Carried) { d.Models.count(created, len(missing) > 0) })
	if err := x.versionsOf(ctx, m, title); err != nil || x.opts.DryRun {
		return err
	}
	return x.aliases(ctx, m, title, there.aliases)
}

func (x *exporter) registered(ctx context.Context, title string) (registeredModel, error) {
	var answer struct {
		Model registeredModelMessage `json:"registered_model"`
	}
	err := x.get(ctx, apiPath+"registered-models/get", url.Values{"name": {title}}, &answer)
	return answer.Model.model(), err
}

func (x *exporter) aliases(ctx context.Context, m record.RegisteredModel, title string, have map[string]int) error {
	for _, alias := range sortedKeys(m.Aliases) {
		version := m.Aliases[alias]
		if there, ok := have[alias]; ok {
			if there != version {
				x.conflict("registered model", title, "alias %q points to version %d there and to %d here", alias, there, version)
			}
			continue
		}
		err := x.post(ctx, apiPath+"registered-models/alias", map[string]any{"name": title, "alias": alias, "version": strconv.Itoa(version)}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// versionsOf carries over the versions in their order. The server numbers them
// itself, so a number that is deleted here is taken and deleted there, too.
func (x *exporter) versionsOf(ctx context.Context, m record.RegisteredModel, title string) error {
	known := map[int]modelVersion{}
	next := 1
	for v, err := range (&server{x.client}).versions(ctx, title) {
		if errors.Is(err, azml.ErrNotFound) {
			break // there is no model yet
		}
		if err != nil {
			return err
		}
		known[v.number] = v
		next = max(next, v.number+1)
	}
	series := registry.Versions(m.Name)
	last, err := series.Last(ctx, x.h)
	for n := 1; err == nil && n <= last; n++ {
		var stored core.Stored[record.Model]
		if stored, err = core.Get[record.Model](ctx, x.h, series.Key(n)); err != nil {
			return err
		}
		v, there := known[n]
		switch {
		case there || n < next:
			x.seenVersion(title, stored.Value, v, there)
		case x.opts.DryRun:
			x.report(func(d *Carried) { d.Versions.Created++ })
		case !stored.Value.Deleted.IsZero():
			err = x.skipNumber(ctx, title, n)
		default:
			err = x.version(ctx, title, stored.Value)
		}
		if err != nil {
			return fmt.Errorf("version %d: %w", n, err)
		}
	}
	return err
}

// seenVersion looks whether the version of the same number is the same.
func (x *exporter) seenVersion(title string, rec record.Model, v modelVersion, there bool) {
	id := versionID(title, rec.Version)
	switch {
	case !rec.Deleted.IsZero() && !there:
	case !rec.Deleted.IsZero() || !there || v.tags[tagModel] != id:
		x.conflict("version", id, "the version of this number is another one there, or was deleted in one of the two only")
	default:
		x.report(func(d *Carried) { d.Versions.Unchanged++ })
	}
}

func versionID(title string, n int) string { return title + ":" + strconv.Itoa(n) }

// skipNumber makes a version and deletes it.
func (x *exporter) skipNumber(ctx context.Context, title string, n int) error {
	number, err := x.createVersion(ctx, title, "azml:/deleted", nil)
	if err == nil && number != n {
		err = fmt.Errorf("%w: the server gives it the number %d", azml.ErrConflict, number)
	}
	if err != nil {
		return err
	}
	return x.message(ctx, http.MethodDelete, apiPath+"model-versions/delete", nil, map[string]any{"name": title, "version": strconv.Itoa(number)}, nil)
}

// createVersion makes the next version. Its request is sent once.
func (x *exporter) createVersion(ctx context.Context, title, source string, more map[string]any) (int, error) {
	message := map[string]any{"name": title, "source": source}
	for key, value := range more {
		message[key] = value
	}
	var answer struct {
		Version versionMessage `json:"model_version"`
	}
	err := x.once(ctx, apiPath+"model-versions/create", message, &answer)
	return int(answer.Version.Version), err
}

// version carries over a version.
func (x *exporter) version(ctx context.Context, title string, rec record.Model) error {
	source, runID, err := x.sourceOf(ctx, title, rec)
	if err != nil {
		return err
	}
	more := map[string]any{"description": rec.Description, "tags": pairs(core.ChangeLabels(rec.Tags, map[string]string{tagModel: versionID(title, rec.Version)}, nil))}
	if runID != "" {
		more["run_id"] = runID
	}
	if rec.RunLink != "" {
		more["run_link"] = rec.RunLink
	}
	number, err := x.createVersion(ctx, title, source, more)
	switch {
	case err != nil:
		return err
	case number != rec.Version:
		x.conflict("version", versionID(title, rec.Version), "it has the number %d there", number)
	}
	x.leave("properties of models", int64(len(rec.Properties)), versionID(title, rec.Version))
	if rec.Stage != "" {
		err = x.post(ctx, apiPath+"model-versions/transition-stage", map[string]any{"name": title, "version": strconv.Itoa(number), "stage": rec.Stage,
			"archive_existing_versions": false}, nil)
	}
	if err == nil {
		x.report(func(d *Carried) { d.Versions.Created++ })
	}
	return err
}

// sourceOf gives the URI from which the server is to register the version: a
// logged model or a run that it has the files of, or else a run that is made for
// them.
func (x *exporter) sourceOf(ctx context.Context, title string, rec record.Model) (source, runID string, err error) {
	runID = x.idOfRun(rec.RunID)
	if rec.Manifest == "" {
		return rec.Source, runID, nil
	}
	if id := x.modelIDs[rec.ModelID]; id != "" {
		return "models:/" + id, runID, nil
	}
	manifest, err := x.h.Files().Manifest(ctx, rec.Manifest)
	if err != nil {
		return "", "", err
	}
	folder := rec.Path
	if rest, ok := strings.CutPrefix(rec.Source, "runs:/"+rec.RunID+"/"); ok {
		folder = rest
	}
	if runID != "" && folder != "" {
		same, err := x.sameFiles(ctx, rec.RunID, folder, manifest.Files)
		if err != nil || same {
			return "runs:/" + runID + "/" + folder, runID, err
		}
	}
	id, err := x.carrier(ctx, title, rec, manifest.Files)
	return "runs:/" + id + "/" + carrierFolder, id, err
}
