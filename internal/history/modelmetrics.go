package history

import (
	"encoding/json"
	"path/filepath"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/metrics"
)

// ModelSeries is what the points of a logged model are kept by: several runs log
// the same metric of it, for several datasets.
type ModelSeries struct {
	// Metric is the metric's name.
	Metric string
	// RunID is the run that the points were logged to as well.
	RunID string
	// Dataset is the name of the dataset that it was measured on, empty for none.
	Dataset string
	// Digest tells versions of the dataset apart.
	Digest string
}

// Name gives the name that the series has in the model's metric log: a JSON list.
func (s ModelSeries) Name() string {
	name, _ := json.Marshal([]string{s.Metric, s.RunID, s.Dataset, s.Digest}) // strings always encode
	return string(name)
}

// ParseModelSeries reads what Name gave; ok is false for another name.
func ParseModelSeries(name string) (s ModelSeries, ok bool) {
	var parts []string
	if err := json.Unmarshal([]byte(name), &parts); err != nil || len(parts) != 4 {
		return s, false
	}
	return ModelSeries{parts[0], parts[1], parts[2], parts[3]}, true
}

// ModelPrefix gives the prefix of all objects of the logged model but its
// record.
func ModelPrefix(id string) string { return LoggedModelPrefix + id + "/" }

// ModelMetrics opens the metric log of the logged model, whatever runs log to
// it.
func ModelMetrics(h core.Handle, id string) (*metrics.Log, error) {
	return openMetrics(h, ModelPrefix(id)+"metrics/", filepath.Join(modelSpools, id))
}
