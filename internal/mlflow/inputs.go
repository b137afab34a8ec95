package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// maxBody lets a dataset with a schema and a profile of the greatest size pass, which
// are JSON themselves and so grow by each quote in them.
func (*logInputs) maxBody() int64 { return 40 << 20 }

// maxLinks bounds the datasets and the logged models of a run.
const maxLinks = 1000

// logInputs notes which datasets and logged models the run has used. What is
// known of a dataset is written beside the run's record, which is read often.
func (c call) logInputs(ctx context.Context, req *logInputs) (nothing, error) {
	for _, d := range req.Datasets {
		if err := checkDataset(d); err != nil {
			return nothing{}, err
		}
	}
	run, err := c.activeRun(ctx, req.RunID)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, c.audited(ctx, history.Ref(req.RunID), run.Value.Status.Terminal(), "inputs", func() error { return c.storeInputs(ctx, run.Value, req) })
}

func (c call) storeInputs(ctx context.Context, run record.Run, req *logInputs) error {
	for _, d := range req.Datasets {
		rec := record.RunDataset{Name: d.Dataset.Name, Digest: d.Dataset.Digest, SourceType: d.Dataset.SourceType, Source: d.Dataset.Source,
			SchemaText: d.Dataset.Schema, Profile: d.Dataset.Profile}
		_, err := core.CreateQuiet(ctx, c.core, history.DatasetKey(run, rec.Name, rec.Digest), rec)
		if err != nil && !errors.Is(err, azml.ErrExists) {
			return err
		}
	}
	return c.update(ctx, run.ID, core.Quiet, func(r *record.Run) error { return addInputs(r, req) })
}

func checkDataset(d datasetInput) error {
	for _, text := range []struct {
		what, value string
		limit       int
	}{
		{"name", d.Dataset.Name, maxDatasetName},
		{"digest", d.Dataset.Digest, maxDatasetDigest},
		{"source", d.Dataset.Source, maxDatasetSource},
		{"schema", d.Dataset.Schema, maxDatasetSchema},
		{"profile", d.Dataset.Profile, maxDatasetProfile},
	} {
		if utf8.RuneCountInString(text.value) > text.limit {
			return tooLong(text.what, text.limit)
		}
	}
	for _, tag := range d.Tags {
		switch {
		case tag.Value == nil:
			return invalid("InputTag value cannot be None")
		case utf8.RuneCountInString(tag.Key) > maxInputTagKey:
			return tooLong("key", maxInputTagKey)
		case utf8.RuneCountInString(*tag.Value) > maxInputTagValue:
			return tooLong("value", maxInputTagValue)
		}
	}
	return nil
}

// addInputs adds what is not there yet; a dataset that is keeps its tags.
func addInputs(r *record.Run, req *logInputs) error {
	datasets, models := slices.Clone(r.Datasets), slices.Clone(r.ModelInputs)
	for _, d := range req.Datasets {
		same := func(have record.DatasetInput) bool {
			return have.Name == d.Dataset.Name && have.Digest == d.Dataset.Digest
		}
		if slices.ContainsFunc(datasets, same) {
			continue
		}
		in := record.DatasetInput{Name: d.Dataset.Name, Digest: d.Dataset.Digest, Tags: map[string]string{}}
		for _, tag := range d.Tags {
			in.Tags[tag.Key] = *tag.Value
		}
		datasets = append(datasets, in)
	}
	for _, m := range req.Models {
		if !slices.Contains(models, m.ModelID) {
			models = append(models, m.ModelID)
		}
	}
	if len(datasets) == len(r.Datasets) && len(models) == len(r.ModelInputs) {
		return core.ErrNoChange
	}
	if len(datasets) > maxLinks || len(models) > maxLinks {
		return invalid("A run can have at most %d datasets and models as inputs", maxLinks)
	}
	r.Datasets, r.ModelInputs = datasets, models
	return nil
}

// inputsView gives the run's inputs as clients see them. It reads a record for
// each dataset.
func (c call) inputsView(ctx context.Context, r record.Run) (runInputs, error) {
	var in runInputs
	for _, id := range r.ModelInputs {
		in.ModelInputs = append(in.ModelInputs, modelInput{id})
	}
	for _, d := range r.Datasets {
		known, err := core.Get[record.RunDataset](ctx, c.core, history.DatasetKey(r, d.Name, d.Digest))
		if err != nil {
			return in, err
		}
		view := datasetInput{Dataset: dataset{Name: d.Name, Digest: d.Digest, SourceType: known.Value.SourceType, Source: known.Value.Source,
			Schema: known.Value.SchemaText, Profile: known.Value.Profile}}
		for _, tag := range labelList(d.Tags) {
			view.Tags = append(view.Tags, inputTag{tag.Key, &tag.Value})
		}
		in.DatasetInputs = append(in.DatasetInputs, view)
	}
	return in, nil
}

// logOutputs notes which logged models the run has made.
func (c call) logOutputs(ctx context.Context, req *logOutputs) (nothing, error) {
	run, err := c.activeRun(ctx, req.RunID)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, c.logged(ctx, run.Value, "outputs", func(r *record.Run) error {
		outputs := slices.Clone(r.ModelOutputs)
		for _, m := range req.Models {
			if out := (record.ModelOutput{ModelID: m.ModelID, Step: m.Step}); !slices.Contains(outputs, out) {
				outputs = append(outputs, out)
			}
		}
		if len(outputs) > maxLinks {
			return invalid("A run can have at most %d models as outputs", maxLinks)
		}
		r.ModelOutputs = outputs
		return nil
	})
}

// logModel notes a model in a tag of the run, as clients before MLflow 3 do.
func (c call) logModel(ctx context.Context, req *logModel) (nothing, error) {
	var model map[string]json.RawMessage
	if err := json.Unmarshal([]byte(req.ModelJSON), &model); err != nil {
		return nothing{}, invalid("Malformed model info. \n %s \n is not a valid JSON.", cut(req.ModelJSON, maxKey))
	}
	for _, field := range []string{"artifact_path", "flavors", "utc_time_created", "run_id"} {
		if _, there := model[field]; !there {
			return nothing{}, invalid("Model json is missing mandatory fields: {'%s'}", field)
		}
	}
	if _, err := c.activeRun(ctx, req.RunID); err != nil {
		return nothing{}, err
	}
	err := c.update(ctx, req.RunID, core.Updated("tags"), func(r *record.Run) error { return addModel(r, req.ModelJSON) })
	return nothing{}, err
}

// modelsTag is a JSON list of the models of a run.
const modelsTag = "mlflow.log-model.history"

func addModel(r *record.Run, model string) error {
	var list []json.RawMessage
	if have := r.Tags[modelsTag]; have != "" {
		if err := json.Unmarshal([]byte(have), &list); err != nil {
			return invalid("The tag %s of the run is no JSON list: %v", modelsTag, err)
		}
	}
	data, err := json.Marshal(append(list, json.RawMessage(model)))
	if err != nil {
		return invalid("Malformed model info: %v", err)
	}
	r.Tags = core.ChangeLabels(r.Tags, map[string]string{modelsTag: string(data)}, nil)
	return core.CheckRunTags(r.Tags)
}
