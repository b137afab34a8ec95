package run

import (
	"context"
	"encoding/json"
	"io"

	"github.com/azml-go/azml/internal/core"
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
// under the name, ErrInvalid.
func (r *Run) Chart(ctx context.Context, name string, opts *ChartOptions) (_ []Bucket, err error) {
	defer core.Wrap(&err, "chart metric of", kind, r.id+"/"+name)
	if opts == nil {
		opts = &ChartOptions{}
	}
	log, err := history.Metrics(r.h, r.id)
	if err != nil {
		return nil, err
	}
	chart := &metrics.ChartOptions{Points: opts.Points}
	if opts.Steps != nil {
		chart.Steps = &metrics.StepRange{First: opts.Steps.First, Last: opts.Steps.Last}
	}
	buckets, err := log.Chart(ctx, name, chart)
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

// Format is a form in which metrics are exported.
type Format string

// The formats of Run.ExportMetrics.
const (
	// FormatParquet is Apache Parquet, as metrics are sealed.
	FormatParquet = Format(metrics.FormatParquet)
	// FormatCSV is CSV with a header line.
	FormatCSV = Format(metrics.FormatCSV)
	// FormatJSONL is one JSON object a line.
	FormatJSONL = Format(metrics.FormatJSONL)
)

// Formats lists all formats. The slice is the caller's.
func Formats() []Format { return []Format{FormatParquet, FormatCSV, FormatJSONL} }

// ExportOptions are the options of Run.ExportMetrics.
type ExportOptions struct {
	// Format is the form, FormatParquet by default.
	Format Format
	// Names are the metrics wanted; empty means all.
	Names []string
}

// ExportMetrics writes the run's logged values to w, each once. All formats
// have the columns name, kind, type, step, time, value (the number), text (what
// is no number), writer and seq (the place among that writer's values). Parquet
// has them sorted by name within row groups of half a million, and two columns
// more, which docs/format.md explains; CSV and JSON Lines have them in the order
// of Metrics. Time is RFC 3339 in UTC there, a number has all its digits, and
// NaN and infinite numbers are the texts "NaN", "Infinity" and "-Infinity". It
// streams, and takes memory for one row group. Errors: ErrInvalid for an unknown
// format; w's.
func (r *Run) ExportMetrics(ctx context.Context, w io.Writer, opts *ExportOptions) (err error) {
	defer core.Wrap(&err, "export metrics of", kind, r.id)
	if opts == nil {
		opts = &ExportOptions{}
	}
	format := opts.Format
	if format == "" {
		format = FormatParquet
	}
	log, err := history.Metrics(r.h, r.id)
	if err != nil {
		return err
	}
	return log.Export(ctx, w, metrics.Format(format), opts.Names)
}
