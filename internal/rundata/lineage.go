package rundata

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/tabular"
)

// use is the use of a dataset as it is noted: in the run's record, and what is known
// of the dataset beside it, where MLflow's clients find it.
type use struct {
	input record.DatasetInput
	about record.RunDataset
}

// sourceType is what MLflow calls the kind of a dataset's source.
const sourceType = "azureml"

// digestLen is how much of a digest MLflow's clients are shown: they take 36
// characters.
const digestLen = 32

// used says that a run gets the dataset, as it is now, under the name.
func used(name string, mode dataset.Mode, seen *dataset.Observed) use {
	d, f := seen.Dataset, seen.Fingerprint
	label, digest := d.Name(), f.Digest
	if label == "" {
		label = name
	}
	if digest == "" {
		digest = d.ID()
	}
	digest = digest[:digestLen]
	source, _ := json.Marshal(map[string]string{"uri": "azureml:" + d.Ref()}) // never fails
	return use{
		record.DatasetInput{Name: label, Digest: digest, Tags: map[string]string{index.DatasetContext: name},
			Use: &record.DatasetUse{Input: name, Dataset: d.Ref(), Mode: string(mode), Digest: f.Digest, Files: seen.Files, Bytes: seen.Bytes}},
		record.RunDataset{Name: label, Digest: digest, SourceType: sourceType, Source: string(source), SchemaText: schemaText(d)},
	}
}

// mlflowTypes are MLflow's names of types.
var mlflowTypes = map[tabular.Type]string{tabular.Int: "long", tabular.Float: "double", tabular.Bool: "boolean", tabular.Time: "datetime", tabular.Bytes: "binary"}

// schemaText gives the columns of a table in MLflow's form, empty for files and for
// more columns than clients take.
func schemaText(d *dataset.Dataset) string {
	if d.Type() != dataset.TypeTabular {
		return ""
	}
	type column struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Required bool   `json:"required"`
	}
	var columns []column
	for _, f := range d.Columns() {
		t, ok := mlflowTypes[f.Type]
		if !ok {
			t = "string"
		}
		columns = append(columns, column{t, f.Name, false})
	}
	text, _ := json.Marshal(map[string]any{"mlflow_colspec": columns}) // never fails
	const longest = 1 << 20
	if len(text) > longest {
		return ""
	}
	return string(text)
}

// note writes into the run's record which datasets it gets; what was noted of an
// input of the same name before is replaced.
func note(ctx context.Context, h core.Handle, run record.Run, uses []use) error {
	if len(uses) == 0 {
		return nil
	}
	for _, u := range uses {
		_, err := core.CreateQuiet(ctx, h, history.DatasetKey(run, u.input.Name, u.input.Digest), u.about)
		if err != nil && !errors.Is(err, azml.ErrExists) {
			return err
		}
	}
	_, err := history.Update(ctx, h, run.ID, core.Quiet, func(r *record.Run) error {
		if err := history.SameLife(*r, run.Life); err != nil {
			return err
		}
		for _, u := range uses {
			r.Datasets = replaced(r.Datasets, u.input, func(d record.DatasetInput) bool { return d.Use != nil && d.Use.Input == u.input.Use.Input })
		}
		return nil
	})
	return err
}
