package mlflow

import (
	"context"
	"slices"

	"github.com/azml-go/azml/internal/history"
)

// fresh leaves out the points that the run has already. When a client logs a
// model, it sends the run's points of that step once more, as the model's: as
// points of the run they would be its last, though they were its first.
//
// Only points of models are looked up, and only those that are not newer than
// what this process last logged of the metric.
func (c call) fresh(ctx context.Context, id string, points []metricFields) ([]metricFields, error) {
	if !slices.ContainsFunc(points, func(p metricFields) bool { return p.ModelID != "" }) {
		return points, nil
	}
	r, err := history.Get(ctx, c.core, id)
	if err != nil {
		return nil, err
	}
	_, last := c.writers.latest(r.Value)
	read := map[string][]point{}
	var fresh []metricFields
	for _, p := range points {
		m := metric{Key: p.Key, Value: double(p.Value), Timestamp: p.Timestamp, Step: p.Step}
		if known, ok := last[p.Key]; p.ModelID == "" || ok && compareLatest(known, m) < 0 {
			fresh = append(fresh, p)
			continue
		}
		list, ok := read[p.Key]
		if !ok {
			if list, err = c.history(ctx, r.Value, p.Key); err != nil {
				return nil, err
			}
			read[p.Key] = list
		}
		if !slices.ContainsFunc(list, point{p.Timestamp, p.Step, p.Value}.same) {
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}
