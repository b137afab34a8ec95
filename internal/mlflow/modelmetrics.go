package mlflow

import (
	"context"
	"encoding/json"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
)

// modelSeries is what the points of a logged model are kept by: several runs log
// the same metric of it, for several datasets. As a name in the model's metric
// log it is this list in JSON.
type modelSeries [4]string

// The places in a modelSeries.
const (
	seriesKey = iota
	seriesRun
	seriesDataset
	seriesDigest
)

// logModelMetrics logs those of a run's points that are of a logged model to
// that, too.
func (c call) logModelMetrics(ctx context.Context, runID string, points []metricFields) error {
	byModel := map[string][]metricFields{}
	for _, p := range points {
		if p.ModelID == "" {
			continue
		}
		name, err := json.Marshal(modelSeries{seriesKey: p.Key, seriesRun: runID, seriesDataset: p.DatasetName, seriesDigest: p.DatasetDigest})
		if err != nil {
			return err
		}
		model := p.ModelID
		p.Key = string(name)
		byModel[model] = append(byModel[model], p)
	}
	for id, points := range byModel {
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
	last := lastPoints{}
	if err := readLatest(ctx, log, "", last); err != nil {
		return nil, err
	}
	list := last.list()
	for i := range list {
		var s modelSeries
		if json.Unmarshal([]byte(list[i].Key), &s) == nil {
			m := &list[i]
			m.Key, m.RunID, m.DatasetName, m.DatasetDigest, m.ModelID = s[seriesKey], s[seriesRun], s[seriesDataset], s[seriesDigest], id
		}
	}
	return list, nil
}
