package mlflow

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
)

// byModel gives those of a run's points that are of logged models, by these, as
// they are kept there.
func byModel(runID string, points []metricFields) map[string][]metricFields {
	var found map[string][]metricFields
	for _, p := range points {
		if p.ModelID == "" {
			continue
		}
		if found == nil {
			found = map[string][]metricFields{}
		}
		model := p.ModelID
		p.Key = history.ModelSeries{Metric: p.Key, RunID: runID, Dataset: p.DatasetName, Digest: p.DatasetDigest}.Name()
		found[model] = append(found[model], p)
	}
	return found
}

// loggableModels makes sure that the logged models are there, as loggable does
// with runs.
func (c call) loggableModels(ctx context.Context, of map[string][]metricFields) error {
	for id := range of {
		log := logID{id, true}
		if c.writers.active(log) {
			continue
		}
		if _, err := c.loggedModel(ctx, id); err != nil {
			return err
		}
		if err := c.writers.saw(ctx, log, "", false); err != nil {
			return err
		}
	}
	return nil
}

// logModelMetrics logs the points to the logged models.
func (c call) logModelMetrics(ctx context.Context, of map[string][]metricFields) error {
	for id, points := range of {
		if err := c.writers.log(ctx, logID{id, true}, points); err != nil {
			return err
		}
	}
	return nil
}

// checkModelID checks the ID of a logged model, if there is one.
func checkModelID(id string) error {
	if id != "" && core.RunID.Check(id) != nil {
		return invalid("Invalid value %s for parameter 'model_id' supplied: use letters, digits, '_' and '-'", quote(cut(id, maxKey)))
	}
	return nil
}

// modelMetrics gives the latest points of a logged model, one for each metric,
// run and dataset.
func (c call) modelMetrics(ctx context.Context, id string) ([]metric, error) {
	log, err := history.ModelMetrics(c.core, id)
	if err != nil {
		return nil, err
	}
	sums, err := log.Summary(ctx)
	if err != nil {
		return nil, err
	}
	var list []metric
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		last := sums[name].Last
		if value, ok := last.Value.(float64); ok {
			list = append(list, modelPoint(id, name, value, last.Step, last.Time))
		}
	}
	return list, nil
}

// modelPoint gives a point of a logged model's metric log as clients see it.
func modelPoint(id, name string, value float64, step int64, at time.Time) metric {
	s, ok := history.ParseModelSeries(name)
	if !ok {
		s.Metric = name
	}
	return metric{Key: s.Metric, Value: double(value), Timestamp: at.UnixMilli(), Step: step, RunID: s.RunID, DatasetName: s.Dataset, DatasetDigest: s.Digest, ModelID: id}
}
