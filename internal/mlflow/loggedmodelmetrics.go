package mlflow

import (
	"cmp"
	"context"
	"slices"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// maxModelMetrics bounds the metrics of a logged model.
const maxModelMetrics = 10_000

// byModel gives those of the points that are about logged models.
func byModel(points []metricFields) map[string][]metricFields {
	var found map[string][]metricFields
	for _, p := range points {
		if p.ModelID == "" {
			continue
		}
		if found == nil {
			found = map[string][]metricFields{}
		}
		found[p.ModelID] = append(found[p.ModelID], p)
	}
	return found
}

// noteModelMetrics notes points that were logged to a run at the logged models
// that they are about.
func (c call) noteModelMetrics(ctx context.Context, runID string, about map[string][]metricFields) error {
	for id, points := range about {
		_, err := history.UpdateLoggedModel(ctx, c.core, id, core.Quiet, func(m *record.LoggedModel) error { return addModelMetrics(m, runID, points) })
		if asNotFound(err) {
			err = noLoggedModel(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addModelMetrics keeps the latest point of each metric of the run on each
// dataset.
func addModelMetrics(m *record.LoggedModel, runID string, points []metricFields) error {
	list, changed := slices.Clone(m.Metrics), false
	for _, p := range points {
		point := record.ModelMetric{Name: p.Key, Value: record.Float(p.Value), Step: p.Step, Time: p.Timestamp, RunID: runID, Dataset: p.DatasetName, Digest: p.DatasetDigest}
		i, there := slices.BinarySearchFunc(list, point, compareModelMetrics)
		switch {
		case !there:
			list, changed = slices.Insert(list, i, point), true
		case cmp.Or(cmp.Compare(list[i].Step, point.Step), cmp.Compare(list[i].Time, point.Time)) <= 0 && list[i] != point:
			list[i], changed = point, true
		}
	}
	if !changed {
		return core.ErrNoChange
	}
	if len(list) > maxModelMetrics {
		return invalid("A logged model can have at most %d metrics", maxModelMetrics)
	}
	m.Metrics = list
	return nil
}

func compareModelMetrics(a, b record.ModelMetric) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.RunID, b.RunID))
}
