package index

import (
	"cmp"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/record"
)

// Runs are the runs of all experiments, the newest first. Names and meanings are
// MLflow's where it has them.
var Runs = &Kind{
	name: "run", number: 1, prefix: runPrefix, classify: classifyRun, id: runID, read: readRun,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"run_id": filter.Text, "run_name": filter.Text, "experiment": filter.Text, "number": filter.Number,
			"status": filter.Text, "type": filter.Text, "user_id": filter.Text, "description": filter.Text,
			"parent_run_id": filter.Text, "root_run_id": filter.Text, "target": filter.Text,
			"start_time": filter.Number, "end_time": filter.Number, "delete_time": filter.Number,
		},
		Aliases: map[string]string{"created": "start_time", "Created": "start_time", "run name": "run_name", "Run name": "run_name",
			"Run Name": "run_name", "experiment_name": "experiment"},
		Entities: []filter.Entity{filter.Metric, filter.Param, filter.Tag, filter.Property, filter.Dataset},
		Order:    []filter.Order{{Field: filter.Field{Entity: filter.Attribute, Key: "start_time", Type: filter.Number}, Desc: true}},
	},
}

// DatasetContext is the tag of a dataset that says what a run has used it for.
const DatasetContext = "mlflow.data.context"

// The field of a dataset of the workspace is there for runs that have used or made
// it: one look finds them.
const (
	datasetLink  filter.Entity = "dataset links"
	datasetThere string        = "1"
)

func datasetField(ref string) filter.Field {
	return filter.Field{Entity: datasetLink, Key: ref, Type: filter.Text}
}

// WithDataset is true of runs that have used or made the dataset of the workspace
// that ref names, as "name:version" or by the ID of its definition.
func WithDataset(ref string) filter.Expr {
	return filter.Comparison{Field: datasetField(ref), Op: filter.Equal, Values: []filter.Value{{Text: datasetThere}}}
}

const (
	runPrefix = "runs/"
	runRecord = "/run.json"
)

func classifyRun(rest string) (string, part) {
	id, below, _ := strings.Cut(rest, "/")
	switch {
	case "/"+below == runRecord:
		return rest, recordPart
	case strings.HasPrefix(below, runMetricsFolder):
		return id + runRecord, metricsPart
	}
	return "", noPart
}

// runID gives the ID of the run whose record has the key.
func runID(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, runPrefix), runRecord)
}

func readRun(key string, raw []byte, sums Summaries) (filter.Row, error) {
	stored, err := core.Restore[record.Run](key, raw, "")
	if err != nil {
		return nil, err
	}
	return runValues(stored.Value, sums), nil
}

func runValues(r record.Run, sums Summaries) filter.Row {
	b := newBuilder()
	b.text("run_id", r.ID)
	b.text("run_name", r.DisplayName)
	b.text("experiment", r.Experiment)
	b.number("number", float64(r.Number))
	b.text("status", string(r.Status))
	b.text("type", r.Type)
	b.text("user_id", cmp.Or(r.User, r.CreatedBy))
	b.text("description", r.Description)
	b.text("parent_run_id", r.Parent)
	b.text("root_run_id", r.Root)
	if r.Definition != nil {
		b.text("target", r.Definition.Compute)
	}
	b.time("start_time", r.Created)
	b.time("start_time", r.Started)
	b.time("end_time", r.Ended)
	b.time("delete_time", r.Deleted)
	b.labels(filter.Tag, r.Tags)
	b.labels(filter.Param, r.Params)
	b.labels(filter.Property, r.Properties)
	for i, d := range r.Datasets {
		for key, value := range map[string]string{"name": d.Name, "digest": d.Digest, "context": d.Tags[DatasetContext]} {
			if value != "" {
				b.values[filter.DatasetField(i, key)] = filter.Value{Text: value}
			}
		}
	}
	for _, d := range r.Datasets {
		if d.Use != nil {
			b.values[datasetField(d.Use.Dataset)] = filter.Value{Text: datasetThere}
		}
	}
	for _, o := range r.DatasetOutputs {
		b.values[datasetField(o.Dataset)] = filter.Value{Text: datasetThere}
	}
	for name, s := range sums {
		if s.Number {
			b.values[filter.Field{Entity: filter.Metric, Key: name, Type: filter.Number}] = filter.Value{Number: s.Last}
		}
	}
	return b.values
}
