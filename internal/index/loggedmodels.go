package index

import (
	"cmp"
	"context"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// LoggedModels are the models that MLflow clients have logged and that are not
// deleted, the newest first. Of the values that were logged last by each run on
// each dataset, a metric's value is that of the greatest step; see MetricOn for
// one dataset's.
var LoggedModels = &Kind{
	name: "logged model", number: 5, prefix: history.LoggedModelPrefix, classify: classifyLoggedModel, id: loggedModelID, read: readLoggedModel,
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
// its versions when digest is not empty. An
// empty name gives a field that is there when any metric on it is.
func MetricOn(name, dataset, digest string) filter.Field {
	key := name + datasetMark + dataset
	if digest != "" {
		key += datasetMark + digest
	}
	return filter.Field{Entity: filter.Metric, Key: key, Type: filter.Number}
}

func classifyLoggedModel(rest string) (string, part) {
	id, below, isBelow := strings.Cut(rest, "/")
	switch {
	case !isBelow && strings.HasSuffix(rest, recordSuffix):
		return rest, recordPart
	case strings.HasPrefix(below, metricsFolder):
		return id + recordSuffix, metricsPart
	}
	return "", noPart
}

func loggedModelID(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, history.LoggedModelPrefix), recordSuffix)
}

func readLoggedModel(key string, raw []byte, sums Summaries) (filter.Row, error) {
	stored, err := core.Restore[record.LoggedModel](key, raw, "")
	if err != nil || !stored.Value.Deleted.IsZero() {
		return nil, err
	}
	m, b := stored.Value, newBuilder()
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
	b.modelMetrics(sums)
	return b.values, nil
}

// modelMetrics sets the fields of metrics, each to the latest of its points.
func (b builder) modelMetrics(sums Summaries) {
	latest := map[filter.Field]Summary{}
	for name, sum := range sums {
		s, ok := history.ParseModelSeries(name)
		if !ok || !sum.Number {
			continue
		}
		fields := []filter.Field{{Entity: filter.Metric, Key: s.Metric, Type: filter.Number}}
		if s.Dataset != "" {
			fields = append(fields, MetricOn(s.Metric, s.Dataset, ""), MetricOn("", s.Dataset, ""))
			if s.Digest != "" {
				fields = append(fields, MetricOn(s.Metric, s.Dataset, s.Digest), MetricOn("", s.Dataset, s.Digest))
			}
		}
		for _, f := range fields {
			have, there := latest[f]
			if !there || later(have, sum) < 0 {
				latest[f] = sum
				b.values[f] = filter.Value{Number: sum.Last}
			}
		}
	}
}

// later compares the last points of series as MLflow does.
func later(a, b Summary) int {
	return cmp.Or(cmp.Compare(a.Step, b.Step), a.Time.Compare(b.Time), cmp.Compare(a.Last, b.Last))
}

// fetchLogged sums up the metrics of a logged model. It is looked at each time
// while there are points on this machine that the store does not have yet.
func (u *updater) fetchLogged(ctx context.Context, ch *change, now *state) error {
	id := loggedModelID(ch.key)
	log, err := history.ModelMetrics(u.h, id)
	if err != nil {
		return err
	}
	spooled, err := history.ModelSpooled(u.h, id)
	if err != nil {
		return err
	}
	if spooled {
		now.live = always
	}
	sums, err := u.ended(ctx, ch, now, log)
	if err != nil {
		return err
	}
	now.values, err = ch.kind.read(ch.key, now.record, sums)
	if now.hidden = now.values == nil; now.hidden {
		now.live = never
	}
	return err
}
