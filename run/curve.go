package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
)

// ChartOptions are the options of Run.Chart.
type ChartOptions struct {
	// Points is the greatest number of buckets, 1,000 by default.
	Points int
	// Steps are the steps wanted, nil for all.
	Steps *StepRange
}

// StepRange is the steps from First to Last, both among them.
type StepRange struct {
	// First is the least step.
	First int64 `json:"first"`
	// Last is the greatest step.
	Last int64 `json:"last"`
}

// Bucket sums up some consecutive numbers of a metric.
type Bucket struct {
	// FirstStep is the least step among them.
	FirstStep int64 `json:"firstStep"`
	// LastStep is the greatest.
	LastStep int64 `json:"lastStep"`
	// Min is the least number, NaN left out; 0 when Numbers is.
	Min float64 `json:"min"`
	// Max is the greatest number, NaN left out; 0 when Numbers is.
	Max float64 `json:"max"`
	// Mean is the mean of the numbers, NaN left out; 0 when Numbers is.
	Mean float64 `json:"mean"`
	// Numbers is how many values are numbers other than NaN.
	Numbers int64 `json:"numbers"`
	// NaNs is how many values are NaN.
	NaNs int64 `json:"nans"`
}

// MarshalJSON writes the bucket by the rules of Metric.MarshalJSON.
func (b Bucket) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"firstStep": b.FirstStep, "lastStep": b.LastStep, "min": finite(b.Min), "max": finite(b.Max),
		"mean": finite(b.Mean), "numbers": b.Numbers, "nans": b.NaNs})
}

// Chart gives the numbers of a scalar metric as at most Points buckets, for a
// line with a band around it. The numbers are taken in the order of Metrics,
// and each has a place among them, counted from 0. A bucket holds those of the
// wanted steps whose places are alike up to the last k binary digits, for the
// least k that will do: zooming in halves buckets and never moves their
// borders. A metric of few numbers gets a bucket for each. Once the run's
// metrics are sealed it reads some kilobytes, of a metric of millions of points
// too, and otherwise the points. Errors: ErrNotFound when nothing was logged
// under the name, or the run was deleted; ErrInvalid; ErrDamaged.
func (r *Run) Chart(ctx context.Context, name string, opts *ChartOptions) (_ []Bucket, err error) {
	defer r.h.Operation(&ctx, &err, "chart metric of", kind, r.id+"/"+name)()
	if opts == nil {
		opts = &ChartOptions{}
	}
	log, err := history.Metrics(r.h, r.record())
	if err != nil {
		return nil, err
	}
	chart := &metrics.ChartOptions{Points: opts.Points}
	if opts.Steps != nil {
		chart.Steps = &metrics.StepRange{First: opts.Steps.First, Last: opts.Steps.Last}
	}
	buckets, err := log.Chart(ctx, name, chart)
	if err == nil || errors.Is(err, azml.ErrNotFound) {
		err = cmp.Or(r.there(ctx), err)
	}
	if err != nil {
		return nil, err
	}
	out := make([]Bucket, len(buckets))
	for i, b := range buckets {
		out[i] = Bucket{FirstStep: b.FirstStep, LastStep: b.LastStep, Min: b.Min, Max: b.Max, Mean: mean(b.Sum, b.Numbers),
			Numbers: b.Numbers, NaNs: b.NaNs}
	}
	return out, nil
}
