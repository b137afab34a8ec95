package index

import (
	"cmp"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// LoggedModels are the models that MLflow clients have logged and that are not
// deleted, the newest first. A metric's value is the latest that was logged, of
// whichever run and on whichever dataset; see MetricOn for one dataset's.
var LoggedModels = &Kind{
	name: "logged model", number: 5, prefix: history.LoggedModelPrefix, flat: true, classify: classifyRegistered, id: loggedModelID, read: readLoggedModel,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"model_id": filter.Text, "name": filter.Text, "model_type": filter.Text, "status": filter.Text, "source_run_id": filter.Text,
			"experiment": filter.Text, "user_id": filter.Text, "creation_timestamp": filter.Number, "last_updated_timestamp": filter.Number,
		},
		Aliases: map[string]string{
			"experiment_id": "experiment", "creation_time": "creation_timestamp", "creation_timestamp_ms": "creation_timestamp",
			"last_updated_time": "last_updated_timestamp", "last_updated_timestamp_ms": "last_updated_timestamp",
		},
		Entities: []filter.Entity{filter.Metric, filter.Param, filter.Tag},
		Order:    []filter.Order{{Field: filter.Field{Entity: filter.Attribute, Key: "creation_timestamp", Type: filter.Number}, Desc: true}},
	},
}

// datasetMark stands between the name of a metric and what it was measured on.
const datasetMark = "\x1f"

// MetricOn gives the field of a logged model's metric on a dataset, or on one of
// its versions when digest is not empty: the latest value that was logged. An
// empty name gives a field that is there when any metric on it is.
func MetricOn(name, dataset, digest string) filter.Field {
	key := name + datasetMark + dataset
	if digest != "" {
		key += datasetMark + digest
	}
	return filter.Field{Entity: filter.Metric, Key: key, Type: filter.Number}
}

func loggedModelID(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, history.LoggedModelPrefix), recordSuffix)
}

func readLoggedModel(key string, raw []byte, _ Summaries) (filter.Row, error) {
	stored, err := core.Restore[record.LoggedModel](key, raw, "")
	if err != nil {
		return nil, err
	}
	m, b := stored.Value, newBuilder()
	if !m.Deleted.IsZero() {
		return nil, nil
	}
	b.text("model_id", m.ID)
	b.text("name", m.Name)
	b.text("model_type", m.Type)
	b.text("status", m.Status)
	b.text("source_run_id", m.RunID)
	b.text("experiment", m.Experiment)
	b.text("user_id", m.CreatedBy)
	b.time("creation_timestamp", m.Created)
	b.time("last_updated_timestamp", m.Modified)
	b.labels(filter.Tag, m.Tags)
	b.labels(filter.Param, m.Params)
	b.modelMetrics(m.Metrics)
	return b.values, nil
}

// modelMetrics sets the fields of metrics, each to the latest of its points.
func (b builder) modelMetrics(points []record.ModelMetric) {
	latest := map[filter.Field]record.ModelMetric{}
	for _, p := range points {
		fields := []filter.Field{{Entity: filter.Metric, Key: p.Name, Type: filter.Number}}
		if p.Dataset != "" {
			fields = append(fields, MetricOn(p.Name, p.Dataset, ""), MetricOn("", p.Dataset, ""))
			if p.Digest != "" {
				fields = append(fields, MetricOn(p.Name, p.Dataset, p.Digest), MetricOn("", p.Dataset, p.Digest))
			}
		}
		for _, f := range fields {
			have, there := latest[f]
			if !there || cmp.Or(cmp.Compare(have.Time, p.Time), cmp.Compare(have.Step, p.Step)) <= 0 {
				latest[f] = p
				b.values[f] = filter.Value{Number: float64(p.Value)}
			}
		}
	}
}
